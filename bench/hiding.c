/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program bench/hiding: one image, one method (dicomstego/method.h), so many bytes hidden and
 * found again, several times. Prints one line of JSON: what it cost, in image and in time.
 */
#include "bench/bench.h"
#include "cli/cli.h"
#include "dicomstego/similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 5U

struct trial {
    uint64_t bytes;
    struct cli_hiding hiding;
    struct bench_file file;
    struct stego_image carrier, restored;
    struct ds_bytes payload, found;
    struct stego_method_facts facts;
    double in_s[RUNS], out_s[RUNS];
};

static void trial_finish(struct trial *t)
{
    cli_hiding_finish(&t->hiding);
    bench_file_free(&t->file);
    stego_image_free(&t->carrier);
    stego_image_free(&t->restored);
    ds_bytes_free(&t->payload);
    ds_bytes_free(&t->found);
}

static size_t sample_bytes(const struct stego_image *image)
{
    size_t n = 0;
    return stego_image_count(image, &n) ? n * sizeof(int32_t) : 0;
}

/* The key is there before: scrypt is as slow as it is meant to be, once for a study. */
static enum ds_status run_once(struct trial *t, unsigned run, struct ds_error *err)
{
    const struct stego_image *cover = &t->file.image;
    const struct stego_secret secret = {.key = t->hiding.how.lsb.key};
    const struct stego_method_reader reader = {.secret = &secret};
    memcpy(t->carrier.samples, cover->samples, sample_bytes(cover));
    double start = bench_now_s();
    enum ds_status s = carrier_hide(&t->hiding.how, &t->carrier, NULL, t->payload.data,
                                    8 * t->payload.len, NULL, err);
    t->in_s[run] = bench_now_s() - start;
    if (s != DS_OK) {
        return s;
    }
    memcpy(t->restored.samples, t->carrier.samples, sample_bytes(cover));
    t->found.len = 0;
    start = bench_now_s();
    s = stego_method_recover(&t->restored, &reader, &t->found, &t->facts, err);
    t->out_s[run] = bench_now_s() - start;
    if (s == DS_OK && (t->found.len != t->payload.len ||
                       memcmp(t->found.data, t->payload.data, t->found.len) != 0)) {
        s = ds_fail(err, DS_EAUTH, "the payload did not come back");
    }
    return s;
}

static enum ds_status run_all(struct trial *t, const char *path, struct ds_error *err)
{
    enum ds_status s = bench_file_load(&t->file, path, err);
    if (s == DS_OK) {
        s = stego_image_copy(&t->carrier, &t->file.image, err);
    }
    if (s == DS_OK) {
        s = stego_image_copy(&t->restored, &t->file.image, err);
    }
    if (s == DS_OK) {
        s = bench_payload(8 * t->bytes, &t->payload, err);
    }
    for (unsigned run = 0; run < RUNS && s == DS_OK; run++) {
        s = run_once(t, run, err);
    }
    return s;
}

static enum ds_status print(struct trial *t, struct ds_error *err)
{
    const struct stego_image *cover = &t->file.image;
    struct stego_distortion d;
    double ssim = NAN;
    enum ds_status s = stego_image_compare(cover, &t->carrier, &d, err);
    if (s == DS_OK) {
        s = stego_ssim(cover, &t->carrier, &ssim, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const bool is_back = memcmp(t->restored.samples, cover->samples, sample_bytes(cover)) == 0;
    const double megabytes = bench_megabytes(cover);
    (void)printf("{\"psnr_db\": %.2f, \"range_psnr_db\": %.2f, \"ssim\": ", d.psnr_format_db,
                 d.psnr_dynamic_db);
    (void)(isnan(ssim) ? printf("null") : printf("%.6f", ssim));
    (void)printf(", \"max_difference\": %u, \"changed\": %llu, \"restored\": %s, "
                 "\"in_mb_s\": %.1f, \"out_mb_s\": %.1f}\n",
                 d.max_difference, (unsigned long long)d.changed_samples,
                 is_back ? "true" : "false", megabytes / bench_median(t->in_s, RUNS),
                 megabytes / bench_median(t->out_s, RUNS));
    return DS_OK;
}

static const char *parse(struct trial *t, int argc, char **argv)
{
    static const struct option options[] = {
        {"bytes", required_argument, NULL, 'b'}, CLI_HIDING_OPTIONS, {NULL, 0, NULL, 0}};
    int c = 0;
    const char *wrong = NULL;
    while (wrong == NULL && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const char *value = optarg;
        uint32_t bytes = 0;
        if (c != 'b') {
            wrong = cli_hiding_option(&t->hiding, c, optarg);
        } else {
            wrong = cli_number(&value, '\0', &bytes) && bytes > 0 ? NULL : "--bytes takes a number";
            t->bytes = bytes;
        }
    }
    if (wrong == NULL && (t->bytes == 0 || optind + 1 != argc)) {
        return "usage: hiding IMAGE --bytes N [options of 'dicomstego capacity']";
    }
    return wrong != NULL ? wrong : cli_method_check(&t->hiding);
}

int main(int argc, char **argv)
{
    struct ds_error err = {0};
    DS_AUTO(trial_finish)
    struct trial t = {.payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES),
                      .found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES)};
    const char *wrong = parse(&t, argc, argv);
    if (wrong != NULL) {
        (void)fprintf(stderr, "hiding: %s\n", wrong);
        return CLI_USAGE;
    }
    enum ds_status s = dicom_init(&err);
    if (s == DS_OK) {
        s = cli_hiding_load(&t.hiding, &err);
    }
    if (s == DS_OK) {
        s = cli_method_load(&t.hiding, t.hiding.how.lsb.is_keyed ? "a password" : NULL, &err);
    }
    t.hiding.how.pool = NULL; /* one thread */
    if (s == DS_OK) {
        s = run_all(&t, argv[optind], &err);
    }
    if (s == DS_OK) {
        s = print(&t, &err);
    }
    return s == DS_OK ? CLI_DONE : cli_complain(argv[optind], &err);
}
