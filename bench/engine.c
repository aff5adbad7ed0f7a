/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of the engine's benchmark, and a line for each image. */
#include "bench/bench.h"

#include "base/file.h"
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <unistd.h>

static const char help[] =
    "Usage: engine IMAGE... --bits N|max [--effort fast|balanced|best] [options]\n"
    "Hides N pseudo-random bits in each DICOM or PNG image, measures what that does to it and how\n"
    "long it takes, and takes them out again, here and in another process from the file written.\n"
    "  --carrier DIR         keeps the carriers: DICOM with the same header, or PNG\n"
    "  --json                an object on a line of its own for each image\n"
    "  --repeat N            runs of which the median is told (until 9 or 2 seconds)\n"
    "  --threads T           threads over the planes of an image; with several images also a line\n"
    "                        for all of them as a study, on one thread and on T\n"
    "  --max-difference N    no sample changes by more\n"
    "  --min-psnr DB         of the whole image, peak 2^BitsStored - 1\n"
    "  --use-padding         declared padding may be changed\n"
    "  --preserve X,Y,W,H[,FRAME], --preserve-mask PNG   pixels that stay as they are, as\n"
    "                        'dicomstego protect' has them\n"
    "Of many frames only the first ones carry and are measured (at most 8388608 samples).\n"
    "Two PSNRs: peak 2^BitsStored - 1, and the image's own range without declared padding.\n"
    "Exit code 6: some image does not hold the bits; 1: something else went wrong.\n";

struct bench {
    struct bench_options options;
    struct cli_hiding hiding;
    bool json;
    const char *carrier_folder;
    char *const *paths;
    size_t count;
    struct stego_pool *pool;
    char temporary[64]; /* folder of carriers that nobody wants; "" when there is none */
};

/* ---- the command line ---- */

static bool parse_upto(const char *text, uint32_t max, uint32_t *out)
{
    return cli_number(&text, '\0', out) && *out > 0 && *out <= max;
}

static bool parse_bits(struct bench *b, const char *text)
{
    uint32_t bits = 0;
    b->options.full = strcmp(text, "max") == 0;
    if (!b->options.full && !parse_upto(text, 8U * STEGO_PAYLOAD_MAX_BYTES, &bits)) {
        return false;
    }
    b->options.bits = bits;
    return true;
}

/* What is wrong with an option's value, or NULL. */
static const char *parse_value(struct bench *b, int c)
{
    switch (c) {
    case 'b':
        return parse_bits(b, optarg) ? NULL : "--bits takes a number above 0, or max";
    case 'r':
        return parse_upto(optarg, BENCH_RUNS_MAX, &b->options.repeat) ? NULL
                                                                      : "--repeat takes 1 to 1000";
    case 't':
        return parse_upto(optarg, BENCH_THREADS_MAX, &b->options.threads)
                   ? NULL
                   : "--threads takes 1 to 256";
    default:
        return cli_hiding_option(&b->hiding, c, optarg);
    }
}

static const char *parse_option(struct bench *b, int c)
{
    switch (c) {
    case 'c':
        b->carrier_folder = optarg;
        return NULL;
    case 'j':
        b->json = true;
        return NULL;
    default:
        return parse_value(b, c);
    }
}

static const char *parse(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"bits", required_argument, NULL, 'b'},
                                            {"carrier", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"repeat", required_argument, NULL, 'r'},
                                            {"threads", required_argument, NULL, 't'},
                                            CLI_HIDING_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    const char *wrong = NULL;
    int c = 0;
    while (wrong == NULL && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        wrong = parse_option(b, c);
    }
    b->paths = argv + optind;
    b->count = (size_t)(argc - optind);
    if (wrong == NULL && b->count == 0) {
        wrong = "no image is given";
    }
    if (wrong == NULL && (b->hiding.has_method_option || b->hiding.how.method != NULL)) {
        wrong = "this measures the engine; bench/methods compares methods";
    }
    return wrong == NULL && b->options.bits == 0 && !b->options.full ? "--bits is missing" : wrong;
}

/* ---- where carriers go ---- */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Files of two folders may have the same name: then their numbers on the command line go before. */
static bool is_unique(const struct bench *b, size_t which)
{
    for (size_t i = 0; i < b->count; i++) {
        if (i != which && strcmp(name_of(b->paths[i]), name_of(b->paths[which])) == 0) {
            return false;
        }
    }
    return true;
}

/* NULL when out of memory; free(). */
static char *carrier_path(const struct bench *b, size_t which)
{
    const char *folder = b->carrier_folder != NULL ? b->carrier_folder : b->temporary;
    const char *name = name_of(b->paths[which]);
    char *path = NULL;
    const int len = is_unique(b, which) ? asprintf(&path, "%s/%s", folder, name)
                                        : asprintf(&path, "%s/%04zu-%s", folder, which + 1U, name);
    return len < 0 ? NULL : path;
}

static enum ds_status make_folder(struct bench *b, struct ds_error *err)
{
    if (b->carrier_folder != NULL) {
        return ds_file_make_folders(b->carrier_folder, 0755, err);
    }
    (void)snprintf(b->temporary, sizeof(b->temporary), "/tmp/dicomstego-bench.XXXXXX");
    if (mkdtemp(b->temporary) == NULL) {
        b->temporary[0] = '\0';
        return ds_fail(err, DS_EIO, "no temporary folder: %m");
    }
    return DS_OK;
}

/* ---- one line ---- */

/* The last folder and the name tell images of a collection apart. */
static const char *short_name(const char *path)
{
    const char *at = name_of(path);
    if (at - path < 2) {
        return path;
    }
    at--; /* the slash before the name */
    while (at > path && at[-1] != '/') {
        at--;
    }
    return at;
}

static const char *codec_of(const struct stego_embed_facts *f)
{
    return f->chained == 0 ? "board" : f->chained == f->planes ? "chain" : "board and chain";
}

static double rate_of(const struct stego_image *image, double seconds)
{
    return seconds > 0.0 ? bench_megabytes(image) / seconds : 0.0;
}

static void print_geometry(const char *path, const struct stego_image *image)
{
    (void)printf("%-34s %4ux%u", short_name(path), image->columns, image->rows);
    if (image->frames > 1) {
        (void)printf("x%u", image->frames);
    }
    if (image->components > 1) {
        (void)printf(image->chroma_halved ? " 4:2:2" : " x%u", image->components);
    }
    (void)printf(" %u bit%s", image->bits_stored, image->is_signed ? " signed" : "");
}

static void print_known(const struct bench_known *k, double psnr_db)
{
    if (k->method != NULL) {
        (void)printf("; prototype (%s) %.2f", k->method, k->psnr_db);
        if (k->range_psnr_db > 0.0) {
            (void)printf("/%.2f", k->range_psnr_db);
        }
        if (k->max_difference > 0) {
            (void)printf(" (%u)", k->max_difference);
        }
        (void)printf(": %+.2f dB", psnr_db - k->psnr_db);
    }
    if (k->first_engine_db > 0.0) {
        (void)printf("; first engine %.2f: %+.2f dB", k->first_engine_db,
                     psnr_db - k->first_engine_db);
    }
    if (k->goal_db > 0.0) {
        (void)printf("; goal %.2f %s, %+.2f dB", k->goal_db,
                     psnr_db >= k->goal_db ? "reached" : "missed", psnr_db - k->goal_db);
    }
}

static void print_line(const struct bench *b, const char *path, const struct stego_image *image,
                       const struct bench_result *r)
{
    const struct bench_known k = bench_known_of(path, image, r->bits, &b->options);
    print_geometry(path, image);
    (void)printf("  %" PRIu64 " bits, %s: ", r->bits, cli_effort_name(b->options.hiding.effort));
    if (r->status != DS_OK) {
        (void)printf("%s: %s\n", ds_status_name(r->status), r->err.text);
        return;
    }
    (void)printf("%.2f/%.2f dB, ", r->distortion.psnr_format_db, r->distortion.psnr_dynamic_db);
    if (!isnan(r->ssim)) {
        (void)printf("SSIM %.6f, ", r->ssim);
    }
    (void)printf("max %u, %s in %u pass(es), embed %.1f MB/s, extract %.1f MB/s",
                 r->distortion.max_difference, codec_of(&r->facts), r->facts.passes,
                 rate_of(image, r->embed_s), rate_of(image, r->extract_s));
    if (!isnan(r->embed_frames)) {
        (void)printf(", memory %.1f frames of 16 bits", r->embed_frames);
    }
    print_known(&k, r->distortion.psnr_format_db);
    (void)puts("");
}

/* ---- the same for programs ---- */

static void json_decibels(const char *key, double v)
{
    if (isfinite(v)) {
        (void)printf(", \"%s\": %.4f", key, v);
    } else {
        (void)printf(", \"%s\": null", key);
    }
}

static void json_known(const struct bench_known *k)
{
    if (k->method != NULL) {
        (void)printf(", \"prototype\": {\"method\": \"%s\"", k->method);
        json_decibels("psnr_db", k->psnr_db);
        json_decibels("range_psnr_db", k->range_psnr_db > 0.0 ? k->range_psnr_db : NAN);
        if (k->max_difference > 0) {
            (void)printf(", \"max_difference\": %u", k->max_difference);
        }
        (void)printf("}");
    }
    if (k->first_engine_db > 0.0) {
        json_decibels("first_engine_psnr_db", k->first_engine_db);
    }
    if (k->goal_db > 0.0) {
        json_decibels("goal_psnr_db", k->goal_db);
    }
}

static void json_measured(const struct stego_image *image, const struct bench_result *r)
{
    json_decibels("psnr_db", r->distortion.psnr_format_db);
    json_decibels("range_psnr_db", r->distortion.psnr_dynamic_db);
    if (isnan(r->ssim)) {
        (void)printf(", \"ssim\": null");
    } else {
        (void)printf(", \"ssim\": %.12f", r->ssim);
    }
    (void)printf(", \"max_difference\": %u, \"changed_samples\": %" PRIu64,
                 r->distortion.max_difference, r->distortion.changed_samples);
    (void)printf(", \"codec\": \"%s\", \"planes\": %u, \"passes\": %u, \"hidden_bits\": %" PRIu64,
                 codec_of(&r->facts), r->facts.planes, r->facts.passes, r->facts.hidden_bits);
    (void)printf(", \"runs\": %u, \"embed_mb_s\": %.2f, \"extract_mb_s\": %.2f", r->runs,
                 rate_of(image, r->embed_s), rate_of(image, r->extract_s));
    json_decibels("embed_memory_frames", r->embed_frames);
}

static void print_json(const struct bench *b, const char *path, const char *carrier,
                       const struct stego_image *image, const struct bench_result *r)
{
    const struct bench_known k = bench_known_of(path, image, r->bits, &b->options);
    (void)fputs("{\"file\": ", stdout);
    cli_json_string(stdout, path);
    (void)printf(", \"columns\": %u, \"rows\": %u, \"frames\": %u, \"components\": %u",
                 image->columns, image->rows, image->frames, image->components);
    (void)printf(", \"bits_stored\": %u, \"signed\": %s, \"bits\": %" PRIu64, image->bits_stored,
                 image->is_signed ? "true" : "false", r->bits);
    (void)printf(", \"effort\": \"%s\", \"threads\": %u, \"status\": \"%s\"",
                 cli_effort_name(b->options.hiding.effort), b->options.threads,
                 ds_status_name(r->status));
    if (r->status == DS_OK) {
        json_measured(image, r);
    } else {
        (void)fputs(", \"why\": ", stdout);
        cli_json_string(stdout, r->err.text);
    }
    if (r->status == DS_OK && b->carrier_folder != NULL) {
        (void)fputs(", \"carrier\": ", stdout);
        cli_json_string(stdout, carrier);
    }
    json_known(&k);
    (void)puts("}");
}

static void print_unread(const char *path, enum ds_status status, const struct ds_error *err)
{
    (void)fputs("{\"file\": ", stdout);
    cli_json_string(stdout, path);
    (void)printf(", \"status\": \"%s\", \"why\": ", ds_status_name(status));
    cli_json_string(stdout, err->text);
    (void)puts("}");
}

/* ---- all of them ---- */

static int complain(const char *path, const struct ds_error *err)
{
    (void)fprintf(stderr, "engine: %s%s%s\n", path, path[0] != '\0' ? ": " : "", err->text);
    return cli_exit_of(err->status) == CLI_CAPACITY ? CLI_CAPACITY : CLI_FAILED;
}

static int measure_one(const struct bench *b, size_t which)
{
    struct ds_error err = {0};
    struct bench_file file = {0};
    struct bench_result result;
    DS_AUTO(ds_string_free) char *carrier = carrier_path(b, which);
    enum ds_status s = carrier != NULL ? bench_file_load(&file, b->paths[which], &err)
                                       : ds_fail(&err, DS_ENOMEM, "no memory for a name");
    if (s != DS_OK) {
        bench_file_free(&file);
        if (b->json) {
            print_unread(b->paths[which], s, &err);
        }
        return complain(b->paths[which], &err);
    }
    bench_measure(&file, carrier, &b->options, &result);
    if (b->json) {
        print_json(b, b->paths[which], carrier, &file.image, &result);
    } else {
        print_line(b, b->paths[which], &file.image, &result);
    }
    (void)fflush(stdout);
    bench_file_free(&file);
    return result.status == DS_OK          ? CLI_DONE
           : result.status == DS_ECAPACITY ? CLI_CAPACITY
                                           : CLI_FAILED;
}

static int measure_study(const struct bench *b)
{
    struct ds_error err = {0};
    struct bench_study study;
    if (bench_study_measure(b->paths, b->count, &b->options, &study, &err) != DS_OK) {
        return complain("study", &err);
    }
    const double mb = study.megabytes;
    const double factor =
        (study.embed_s[0] + study.extract_s[0]) / (study.embed_s[1] + study.extract_s[1]);
    (void)printf(b->json ? "{\"study\": %zu, \"threads\": %u, \"embed_mb_s\": [%.2f, %.2f], "
                           "\"extract_mb_s\": [%.2f, %.2f], \"scaling\": %.3f}\n"
                         : "study of %zu images on 1 and on %u threads: embed %.1f and %.1f MB/s, "
                           "extract %.1f and %.1f MB/s: %.2f times as fast\n",
                 study.images, b->options.threads, mb / study.embed_s[0], mb / study.embed_s[1],
                 mb / study.extract_s[0], mb / study.extract_s[1], factor);
    return CLI_DONE;
}

static void bench_finish(struct bench *b)
{
    stego_pool_free(b->pool);
    cli_hiding_finish(&b->hiding);
    if (b->temporary[0] != '\0' && ds_file_remove_tree(b->temporary, NULL) != DS_OK) {
        (void)fprintf(stderr, "engine: %s is left behind\n", b->temporary);
    }
}

static enum ds_status prepare(struct bench *b, struct ds_error *err)
{
    enum ds_status s = cli_hiding_load(&b->hiding, err);
    cli_pool_finish(); /* --threads says how many */
    if (s == DS_OK && b->options.threads > 1U) {
        s = stego_pool_new(&b->pool, b->options.threads, err);
    }
    b->options.hiding = b->hiding.how;
    b->options.hiding.pool = b->pool;
    return s == DS_OK ? make_folder(b, err) : s;
}

static int run(struct bench *b)
{
    struct ds_error err = {0};
    if (prepare(b, &err) != DS_OK) {
        return complain("", &err);
    }
    int code = CLI_DONE;
    for (size_t i = 0; i < b->count; i++) {
        code = cli_worse(code, measure_one(b, i));
    }
    if (b->options.threads > 1U && b->count > 1U && !b->options.full) {
        code = cli_worse(code, measure_study(b));
    }
    return code;
}

int main(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(bench_finish)
    struct bench b = {.options = {.threads = 1}, .hiding = {.how = {.effort = STEGO_BALANCED}}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(help, stdout);
        return CLI_DONE;
    }
    if (dicom_init(&err) != DS_OK) {
        return complain("dicom", &err);
    }
    if (argc == 3 && strcmp(argv[1], "--extract") == 0) {
        return bench_extract_here(argv[2]);
    }
    const char *wrong = parse(&b, argc, argv);
    if (wrong != NULL) {
        (void)fprintf(stderr, "engine: %s\n%s", wrong, help);
        return CLI_USAGE;
    }
    return run(&b);
}
