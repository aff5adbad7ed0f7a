/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/file.h"

struct survey {
    bool json, first;
    struct cli_inputs inputs;
};

static void survey_finish(struct survey *s)
{
    cli_inputs_free(&s->inputs);
}

static enum ds_status measure(const struct ds_bytes *file, struct stego_capacity *out,
                              struct ds_error *err)
{
    if (cli_is_png(file)) {
        struct stego_image image = {0};
        enum ds_status s = cli_png_read(file, &image, err);
        if (s == DS_OK) {
            s = stego_capacity_of(&image, NULL, out, err);
        }
        stego_image_free(&image);
        return s;
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
    return stego_capacity_of(carrier_original_image(o), NULL, out, err);
}

static void print_json(struct survey *v, const char *path, const struct stego_capacity *c,
                       const char *why)
{
    (void)fputs(v->first ? "[\n  {\"file\": " : ",\n  {\"file\": ", stdout);
    cli_json_string(stdout, path);
    (void)printf(", \"one_pass_bytes\": %llu, \"all_passes_bytes\": %llu",
                 (unsigned long long)c->one_pass_bytes, (unsigned long long)c->all_passes_bytes);
    if (why[0] != '\0') {
        (void)fputs(", \"why\": ", stdout);
        cli_json_string(stdout, why);
    }
    (void)fputs("}", stdout);
}

static int survey_one(struct survey *v, const struct cli_input *in)
{
    struct ds_error err = {0};
    struct stego_capacity capacity = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    enum ds_status s = ds_file_read(in->path, &file, &err);
    if (s == DS_OK && cli_is_foreign(in, &file)) {
        return CLI_DONE;
    }
    if (s == DS_OK) {
        s = measure(&file, &capacity, &err);
    }
    if (v->json) {
        print_json(v, in->path, &capacity, s == DS_OK ? "" : err.text);
        v->first = false;
    }
    if (s != DS_OK) {
        return cli_complain(in->path, &err);
    }
    if (!v->json) {
        (void)printf("%s: %llu bytes in one pass, %llu in all\n", in->path,
                     (unsigned long long)capacity.one_pass_bytes,
                     (unsigned long long)capacity.all_passes_bytes);
    }
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct ds_error err = {0};
    DS_AUTO(survey_finish) struct survey v = {.first = true};
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 'j') {
            return cli_usage("capacity", "see the options");
        }
        v.json = true;
    }
    if (optind >= argc) {
        return cli_usage("capacity", "no input is given");
    }
    if (cli_inputs_gather(&v.inputs, argv + optind, (size_t)(argc - optind), &err) != DS_OK) {
        return cli_complain("", &err);
    }
    int code = CLI_DONE;
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
    .help = "Usage: dicomstego capacity [--json] IN...\n"
            "Prints how many bytes fit into each image in one pass, and in all passes that the\n"
            "method may take. 'protect' uses less: at most one bit for each sample.\n"
            "Exit code 6: one of them is of a kind that holds nothing.\n",
    .run = run,
};
