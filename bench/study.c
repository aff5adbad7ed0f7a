/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#define ROUNDS 3U

struct study_image {
    struct stego_image cover, work; /* owned */
    enum ds_status status;
    struct ds_error err;
    bool changed; /* differs from the cover after extraction */
};

struct study {
    const struct bench_options *options;
    struct study_image *images;
    size_t count;
    struct ds_bytes payload;
};

static void study_finish(struct study *s)
{
    for (size_t i = 0; s->images != NULL && i < s->count; i++) {
        stego_image_free(&s->images[i].cover);
        stego_image_free(&s->images[i].work);
    }
    free(s->images);
    ds_bytes_free(&s->payload);
}

static size_t sample_bytes(const struct stego_image *image)
{
    size_t n = 0;
    return stego_image_count(image, &n) ? n * sizeof(*image->samples) : 0;
}

static enum ds_status load(struct study *s, char *const *paths, struct bench_study *out,
                           struct ds_error *err)
{
    enum ds_status status = DS_OK;
    for (size_t i = 0; status == DS_OK && i < s->count; i++) {
        struct study_image *image = &s->images[i];
        struct bench_file file = {0};
        status = bench_file_load(&file, paths[i], err);
        if (status == DS_OK) {
            image->cover = file.image;
            file.image.samples = NULL;
            status = stego_image_copy(&image->work, &image->cover, err);
        }
        out->megabytes += bench_megabytes(&image->cover);
        bench_file_free(&file);
    }
    return status;
}

static void embed(void *object, size_t i)
{
    const struct study *s = object;
    struct study_image *image = &s->images[i];
    memcpy(image->work.samples, image->cover.samples, sample_bytes(&image->cover));
    struct carrier_hiding alone = s->options->hiding;
    alone.pool = NULL; /* which runs this task */
    image->status = carrier_hide(&alone, &image->work, NULL, s->payload.data,
                                 (size_t)s->options->bits, NULL, &image->err);
}

static void extract(void *object, size_t i)
{
    const struct study *s = object;
    struct study_image *image = &s->images[i];
    DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    image->status = stego_extract(&image->work, NULL, &found, NULL, &image->err);
    image->changed =
        found.len != s->payload.len || memcmp(found.data, s->payload.data, found.len) != 0 ||
        memcmp(image->work.samples, image->cover.samples, sample_bytes(&image->cover)) != 0;
}

static enum ds_status worst_of(const struct study *s, struct ds_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->images[i].status != DS_OK) {
            return ds_fail(err, s->images[i].status, "%s", s->images[i].err.text);
        }
        if (s->images[i].changed) {
            return ds_fail(err, DS_EAUTH, "an image of the study did not come back");
        }
    }
    return DS_OK;
}

static enum ds_status run_batch(struct study *s, struct stego_pool *pool, stego_task *task,
                                double *seconds, struct ds_error *err)
{
    const double start = bench_now_s();
    stego_pool_run(pool, task, s, s->count);
    *seconds = bench_now_s() - start;
    return worst_of(s, err);
}

static enum ds_status run_rounds(struct study *s, unsigned threads, double *embed_s,
                                 double *extract_s, struct ds_error *err)
{
    struct stego_pool *pool = NULL;
    double embeds[ROUNDS] = {0.0};
    double extracts[ROUNDS] = {0.0};
    enum ds_status status = stego_pool_new(&pool, threads, err);
    for (unsigned k = 0; status == DS_OK && k < ROUNDS; k++) {
        status = run_batch(s, pool, embed, &embeds[k], err);
        if (status == DS_OK) {
            status = run_batch(s, pool, extract, &extracts[k], err);
        }
    }
    stego_pool_free(pool);
    *embed_s = bench_median(embeds, ROUNDS);
    *extract_s = bench_median(extracts, ROUNDS);
    return status;
}

enum ds_status bench_study_measure(char *const *paths, size_t count,
                                   const struct bench_options *options, struct bench_study *out,
                                   struct ds_error *err)
{
    DS_AUTO(study_finish)
    struct study s = {.options = options,
                      .images = calloc(count, sizeof(*s.images)),
                      .count = count,
                      .payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES)};
    *out = (struct bench_study){.images = count};
    if (s.images == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu images", count);
    }
    enum ds_status status = bench_payload(options->bits, &s.payload, err);
    if (status == DS_OK) {
        status = load(&s, paths, out, err);
    }
    for (unsigned k = 0; status == DS_OK && k < 2U; k++) {
        status = run_rounds(&s, k == 0 ? 1U : options->threads, &out->embed_s[k],
                            &out->extract_s[k], err);
    }
    return status;
}
