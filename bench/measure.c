/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include <math.h>

#define RUNS_ENOUGH   9U  /* for a median, unless the caller says how many */
#define SECONDS_SPENT 2.0 /* after which one run is enough */
#define PAYLOAD_SEED  UINT64_C(0x2545F4914F6CDD1D)

/* The buffers and times of one measurement. */
struct measuring {
    const struct bench_options *options;
    const struct stego_image *cover;
    struct stego_image carrier, restored; /* owned */
    struct ds_bytes payload;
    double embed_s[BENCH_RUNS_MAX], extract_s[BENCH_RUNS_MAX];
    unsigned runs;
};

double bench_now_s(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this process alone when one thread does all: others may be busy here. */
static double spent_s(const struct bench_options *options)
{
    struct timespec t = {0};
    (void)clock_gettime(options->threads > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int order(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), order);
    return (values[(count - 1U) / 2U] + values[count / 2U]) / 2.0;
}

double bench_megabytes(const struct stego_image *image)
{
    size_t n = 0;
    if (!stego_image_count(image, &n)) {
        return 0.0;
    }
    const double width = image->bits_stored > 16 ? 4.0 : image->bits_stored > 8 ? 2.0 : 1.0;
    return (double)n * width / 1e6;
}

enum ds_status bench_payload(uint64_t bits, struct ds_bytes *out, struct ds_error *err)
{
    uint64_t state = PAYLOAD_SEED;
    const enum ds_status s = ds_bytes_resize(out, (size_t)((bits + 7U) / 8U), err);
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < out->len; i++) { /* Marsaglia's xorshift */
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out->data[i] = (uint8_t)(state >> 32);
    }
    if (bits % 8U != 0) {
        out->data[out->len - 1U] &= (uint8_t)(0xFFU << (8U - bits % 8U));
    }
    return DS_OK;
}

static size_t sample_bytes(const struct stego_image *image)
{
    size_t n = 0;
    return stego_image_count(image, &n) ? n * sizeof(*image->samples) : 0;
}

static enum ds_status prepare(struct measuring *m, struct bench_result *out)
{
    enum ds_status s = stego_image_copy(&m->carrier, m->cover, &out->err);
    if (s == DS_OK) {
        s = stego_image_copy(&m->restored, m->cover, &out->err);
    }
    out->bits = m->options->bits;
    if (s == DS_OK && m->options->full) {
        s = carrier_hiding_capacity(&m->options->hiding, m->cover, NULL, &out->bits, &out->err);
        if (s == DS_OK && out->bits == 0) {
            s = ds_fail(&out->err, DS_ECAPACITY, "nothing fits");
        }
    }
    if (s == DS_OK && out->bits > 8ULL * STEGO_PAYLOAD_MAX_BYTES) {
        s = ds_fail(&out->err, DS_ECAPACITY, "more than %u bytes", STEGO_PAYLOAD_MAX_BYTES);
    }
    return s == DS_OK ? bench_payload(out->bits, &m->payload, &out->err) : s;
}

/* Restores what the last run embedded and compares it with what went in. */
static enum ds_status take_out(struct measuring *m, uint64_t bits, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_extract_facts facts = {0};
    memcpy(m->restored.samples, m->carrier.samples, sample_bytes(m->cover));
    const double start = spent_s(m->options);
    const enum ds_status s =
        stego_extract(&m->restored, m->options->hiding.pool, &found, &facts, err);
    m->extract_s[m->runs] = spent_s(m->options) - start;
    if (s != DS_OK) {
        return ds_fail(err, DS_EAUTH, "what was embedded is not found");
    }
    if (facts.payload_bits != bits || found.len != m->payload.len ||
        memcmp(found.data, m->payload.data, found.len) != 0) {
        return ds_fail(err, DS_EAUTH, "the payload did not come back");
    }
    if (memcmp(m->restored.samples, m->cover->samples, sample_bytes(m->cover)) != 0) {
        return ds_fail(err, DS_EAUTH, "the samples did not come back");
    }
    return DS_OK;
}

static enum ds_status run_once(struct measuring *m, struct bench_result *out)
{
    memcpy(m->carrier.samples, m->cover->samples, sample_bytes(m->cover));
    /* Later runs may find memory that an earlier one has left. */
    const double before = m->runs == 0 ? bench_memory_begin() : NAN;
    const double start = spent_s(m->options);
    enum ds_status s = carrier_hide(&m->options->hiding, &m->carrier, NULL, m->payload.data,
                                    (size_t)out->bits, &out->facts, &out->err);
    m->embed_s[m->runs] = spent_s(m->options) - start;
    if (m->runs == 0) {
        out->embed_frames = bench_memory_end(before) / ((double)sample_bytes(m->cover) / 2.0);
    }
    if (s == DS_OK) {
        s = take_out(m, out->bits, &out->err);
    }
    m->runs++;
    return s;
}

static bool is_enough(const struct measuring *m, double start)
{
    if (m->options->repeat > 0) {
        return m->runs >= m->options->repeat;
    }
    return m->runs >= RUNS_ENOUGH || bench_now_s() - start > SECONDS_SPENT;
}

static enum ds_status run_all(struct measuring *m, struct bench_result *out)
{
    const double start = bench_now_s();
    enum ds_status s = DS_OK;
    do {
        s = run_once(m, out);
    } while (s == DS_OK && !is_enough(m, start));
    out->runs = m->runs;
    out->embed_s = bench_median(m->embed_s, m->runs);
    out->extract_s = bench_median(m->extract_s, m->runs);
    return s;
}

static enum ds_status prove(const struct measuring *m, const struct bench_file *file,
                            const char *carrier_path, struct bench_result *out)
{
    struct bench_extracted expected = {0};
    enum ds_status s = bench_expected(m->cover, m->payload.data, out->bits, &expected, &out->err);
    if (s == DS_OK) {
        s = bench_file_store(file, &m->carrier, carrier_path, &out->err);
    }
    return s == DS_OK ? bench_extract_elsewhere(carrier_path, &expected, &out->err) : s;
}

static enum ds_status measure(struct measuring *m, const struct bench_file *file,
                              const char *carrier_path, struct bench_result *out)
{
    enum ds_status s = prepare(m, out);
    if (s == DS_OK) {
        s = run_all(m, out);
    }
    if (s == DS_OK) {
        s = stego_image_compare(m->cover, &m->carrier, &out->distortion, &out->err);
    }
    if (s == DS_OK) {
        s = stego_ssim(m->cover, &m->carrier, &out->ssim, &out->err);
    }
    return s == DS_OK ? prove(m, file, carrier_path, out) : s;
}

void bench_measure(const struct bench_file *file, const char *carrier_path,
                   const struct bench_options *options, struct bench_result *out)
{
    *out = (struct bench_result){.ssim = NAN};
    struct measuring m = {.options = options,
                          .cover = &file->image,
                          .payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES)};
    out->status = measure(&m, file, carrier_path, out);
    stego_image_free(&m.carrier);
    stego_image_free(&m.restored);
    ds_bytes_free(&m.payload);
}
