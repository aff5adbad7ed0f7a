/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/file.h"

struct survey {
    bool json, first;
    struct cli_inputs inputs;
    struct cli_hiding hiding;
};

static void survey_finish(struct survey *s)
{
    cli_inputs_free(&s->inputs);
    cli_hiding_finish(&s->hiding);
}

static enum ds_status measure_png(const struct ds_bytes *file, const struct carrier_hiding *how,
                                  uint64_t *bits, struct ds_error *err)
{
    struct stego_image image = {0};
    enum ds_status s = cli_png_read(file, &image, err);
    if (s == DS_OK) {
        s = carrier_hiding_capacity(how, &image, NULL, bits, err);
    }
    stego_image_free(&image);
    return s;
}

enum ds_status cli_capacity_of(const struct ds_bytes *file, const struct carrier_hiding *how,
                               uint64_t *bits, struct ds_error *err)
{
    *bits = 0;
    if (cli_is_png(file)) {
        return measure_png(file, how, bits, err);
    }
    DS_AUTO(carrier_original_auto) struct carrier_original *o = NULL;
    enum ds_status s = carrier_original_load(&o, file->data, file->len, err);
    if (s != DS_OK) {
        return s;
    }
    struct ds_error why = {0};
    s = carrier_original_suitable(o, &why);
    if (s != DS_OK) { /* not this kind of image: that nothing fits is the answer */
        return ds_fail(err, DS_ECAPACITY, "%s", why.text);
    }
    return carrier_hiding_capacity(how, carrier_original_image(o), NULL, bits, err);
}

static void print_json(struct survey *v, const char *path, uint64_t bits, const char *why)
{
    (void)fputs(v->first ? "[\n  {\"file\": " : ",\n  {\"file\": ", stdout);
    cli_json_string(stdout, path);
    (void)printf(", \"effort\": \"%s\", \"bits\": %llu, \"bytes\": %llu",
                 cli_effort_name(v->hiding.how.effort), (unsigned long long)bits,
                 (unsigned long long)bits / 8);
    if (why[0] != '\0') {
        (void)fputs(", \"why\": ", stdout);
        cli_json_string(stdout, why);
    }
    (void)fputs("}", stdout);
    v->first = false;
}

static int survey_one(struct survey *v, const struct cli_input *in)
{
    struct ds_error err = {0};
    uint64_t bits = 0;
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    enum ds_status s = ds_file_read(in->path, &file, &err);
    if (s == DS_OK && cli_is_foreign(in, &file)) {
        return CLI_DONE;
    }
    if (s == DS_OK) {
        s = cli_capacity_of(&file, &v->hiding.how, &bits, &err);
    }
    if (s == DS_OK && bits == 0) {
        s = ds_fail(&err, DS_ECAPACITY, "nothing fits");
    }
    if (v->json) {
        print_json(v, in->path, bits, s == DS_OK ? "" : err.text);
    } else if (s == DS_OK) {
        (void)printf("%s: %llu bits, %llu bytes\n", in->path, (unsigned long long)bits,
                     (unsigned long long)bits / 8);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(in->path, &err);
}

static int parse(struct survey *v, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, CLI_HIDING_OPTIONS, {NULL, 0, NULL, 0}};
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const char *wrong = c == 'j' ? NULL : cli_hiding_option(&v->hiding, c, optarg);
        if (wrong != NULL) {
            return cli_usage("capacity", "%s", wrong);
        }
        v->json = v->json || c == 'j';
    }
    const char *wrong = optind < argc ? cli_method_check(&v->hiding) : "no input is given";
    return wrong != NULL ? cli_usage("capacity", "%s", wrong) : CLI_DONE;
}

static int run(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(survey_finish)
    struct survey v = {.first = true, .hiding = {.how = {.effort = STEGO_BALANCED}}};
    int code = parse(&v, argc, argv);
    if (code != CLI_DONE) {
        return code;
    }
    enum ds_status s = cli_inputs_gather(&v.inputs, argv + optind, (size_t)(argc - optind), &err);
    if (s == DS_OK) {
        s = cli_hiding_load(&v.hiding, &err);
    }
    if (s == DS_OK) { /* what fits does not hang on the key, but for the replaced bits' coding */
        s = cli_method_load(&v.hiding, "capacity", &err);
    }
    if (s != DS_OK) {
        return cli_complain("", &err);
    }
    for (size_t i = 0; i < v.inputs.count && !cli_stopped(); i++) {
        cli_progress("measuring", i, v.inputs.count);
        code = cli_worse(code, survey_one(&v, &v.inputs.items[i]));
    }
    if (v.json) {
        (void)fputs(v.first ? "[]\n" : "\n]\n", stdout);
    }
    return cli_stopped() ? CLI_FAILED : code;
}

const struct cli_verb cli_capacity = {
    .name = "capacity",
    .summary = "how much images can hold",
    .help =
        "Usage: dicomstego capacity [--json] [OPTION]... IN...\n"
        "Prints how many bits, and whole bytes, fit into each image at this effort and within\n"
        "these limits: exactly so many. 'protect' asks for at most one bit for each sample, and\n"
        "needs some of it for the manifest.\n\n"
        "  --effort HOW          fast, balanced (default) or best\n"
        "  --preserve X,Y,W,H[,FRAME]  pixels that must stay as they are; may be repeated\n"
        "  --preserve-mask PNG   so must those that are not 0 in this image\n"
        "  --max-difference N    no pixel may change by more than N\n"
        "  --min-psnr DB         the PSNR that must remain, peak 2^BitsStored - 1\n"
        "  --use-padding         pixels with the declared padding value may change, too\n"
        "  --json                the facts as a JSON array\n\n"
        "Exit code 6: one of them holds nothing.\n",
    .run = run,
};
