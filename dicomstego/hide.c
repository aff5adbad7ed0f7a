/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/hide.h"

#include <stdlib.h>
#include <string.h>

/* First guesses; the search for the run corrects them. */
#define BLOB_GUESS_BITS    56U
#define BLOB_GUESS_FULLEST 24U
#define RUN_TRIES          10U
#define PLAN_TRIES         4U

/* What an attempt needs on the way. */
struct state {
    struct stego_attempt *a;
    const int32_t *own;        /* the image at the beginning of the pass */
    int32_t *spare;            /* ... when that is not the cover */
    struct stego_bits side;    /* for the next stage to carry */
    struct stego_stats *stats; /* of each colour */
    uint32_t sum;              /* over the message and the plans of the stages done */
    struct stego_plan plan;    /* of the stage that was hidden last */
    size_t sum_at;             /* where the checksum stands in the stream; NO_SUM before the last */
};

#define NO_SUM SIZE_MAX

static void result_free(struct stego_stage_result *r)
{
    ds_bytes_free(&r->blob);
}

static enum ds_status out_of_memory(struct ds_error *err)
{
    return ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits");
}

static enum ds_status does_not_fit(struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "the payload does not fit into the image");
}

static struct stego_lead lead_of(const struct state *s, size_t bits, size_t blob_bits)
{
    const struct stego_scan *scan = s->a->scan;
    return (struct stego_lead){2U * s->a->passes, scan->has_padding, scan->padding_min,
                               scan->padding_max, scan->exclude,     bits,
                               blob_bits};
}

/* Gives the pixels of one colour back what they were. */
static void reset_colour(const struct state *s, unsigned colour)
{
    const struct stego_scan *scan = s->a->scan;
    const size_t lines = scan->rows * scan->frames;
    for (size_t line = 0; line < lines; line++) {
        const size_t index = line * scan->columns;
        for (size_t x = (line % scan->rows + colour) & 1U; x < scan->columns; x += 2) {
            s->a->work[index + x] = s->own[index + x];
        }
    }
}

/* The checksum covers this stage's plan too, so it can only be written now. */
static void put_sum(const struct state *s, struct stego_bits *stream)
{
    const uint32_t sum = stego_plan_checksum(&s->plan, s->sum);
    for (unsigned i = 0; s->sum_at != NO_SUM && i < STEGO_CHECKSUM_BITS; i++) {
        const size_t at = s->sum_at + i;
        const unsigned bit = (sum >> (STEGO_CHECKSUM_BITS - 1U - i)) & 1U;
        const unsigned mask = 0x80U >> (at & 7U);
        uint8_t *byte = &stream->bytes.data[at >> 3];
        *byte = (uint8_t)(bit != 0 ? *byte | mask : *byte & ~mask);
    }
}

static enum ds_status embed(struct state *s, unsigned colour, int32_t *out,
                            const struct stego_plan *plan, struct stego_bits *stream, size_t count,
                            struct stego_stage_result *result, struct ds_error *err)
{
    result_free(result);
    s->plan = count == 0 ? stego_plan_uniform(0) : *plan;
    put_sum(s, stream);
    return stego_stage_embed(s->a->scan, colour, s->own, s->a->work, out, &s->plan,
                             stream->bytes.data, count, result, err);
}

static int64_t net_bits(const struct stego_stage_result *r)
{
    return (int64_t)r->bits - 8 * (int64_t)r->blob.len;
}

/* As many bits as possible. Expanding everything is best unless flags eat the gain. */
static enum ds_status embed_fullest(struct state *s, unsigned colour, struct stego_bits *stream,
                                    struct stego_stage_result *result, struct ds_error *err)
{
    static const int32_t limits[] = {65536, 64, 16, 4, 2, 1};
    struct stego_plan best = stego_plan_uniform(0);
    int64_t best_net = INT64_MIN;
    size_t best_bits = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(limits); i++) {
        const struct stego_plan plan = stego_plan_uniform(limits[i]);
        const enum ds_status st = embed(s, colour, NULL, &plan, stream, stream->count, result, err);
        if (st != DS_OK) {
            return st;
        }
        if (net_bits(result) > best_net) {
            best = plan;
            best_net = net_bits(result);
            best_bits = result->bits;
        }
        if (result->skipped == 0 || net_bits(result) < best_net) {
            break; /* nothing was in the way, or less reach has begun to lose more than it wins */
        }
    }
    reset_colour(s, colour);
    return embed(s, colour, s->a->work, &best, stream, best_bits, result, err);
}

/* The whole stream at the least distortion, or else as many bits as possible. */
static enum ds_status embed_stage(struct state *s, unsigned colour, struct stego_bits *stream,
                                  struct stego_stage_result *result, struct ds_error *err)
{
    const struct stego_stats *stats = &s->stats[colour];
    uint64_t need = stream->count;
    for (unsigned i = 0; s->a->effort == STEGO_BALANCED && i < PLAN_TRIES; i++) {
        struct stego_plan plan;
        uint64_t expected = 0;
        if (!stego_plans_choose(&stats, 1, need, &plan, &expected)) {
            break;
        }
        reset_colour(s, colour);
        const enum ds_status st =
            embed(s, colour, s->a->work, &plan, stream, stream->count, result, err);
        if (st != DS_OK || result->bits == stream->count) {
            return st;
        }
        /* Sites near the ends of the range took less than the statistics promised. */
        need += (stream->count - result->bits) * 5 / 4 + 16;
    }
    return embed_fullest(s, colour, stream, result, err);
}

static void measure(struct state *s, unsigned colour)
{
    memset(&s->stats[colour], 0, sizeof s->stats[colour]);
    stego_stage_measure(s->a->scan, colour, s->own, s->a->work, &s->stats[colour]);
}

/* The next stage carries what this one's reader has to know. */
static enum ds_status put_side(struct state *s, const struct stego_stage_result *r,
                               struct ds_error *err)
{
    const unsigned width = stego_count_width(s->a->scan);
    s->side.count = 0;
    s->side.bytes.len = 0;
    stego_bits_put(&s->side, (uint32_t)r->bits, width);
    stego_bits_put(&s->side, (uint32_t)(8 * r->blob.len), width);
    stego_bits_append(&s->side, r->blob.data, 0, 8 * r->blob.len);
    return s->side.failed ? out_of_memory(err) : DS_OK;
}

static void account(struct state *s, const struct stego_stage_result *r, size_t overhead)
{
    s->a->left -= r->bits - overhead;
    s->a->hidden += r->bits;
    s->a->is_exact = s->a->is_exact && r->skipped == 0;
    s->sum = stego_plan_checksum(&s->plan, s->sum);
}

/* A stage that is not the last: the next `chunk` bits of the message, or as many as fit. */
static enum ds_status run_stage(struct state *s, unsigned colour, size_t chunk,
                                struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits stream = STEGO_BITS_INIT;
    DS_AUTO(result_free) struct stego_stage_result result = {0, 0, 0, DS_BYTES_INIT(0)};
    const size_t overhead = s->side.count;
    stego_bits_append(&stream, s->side.bytes.data, 0, overhead);
    stego_bits_append(&stream, s->a->message->bytes.data, s->a->message->count - s->a->left, chunk);
    if (stream.failed) {
        return out_of_memory(err);
    }
    const enum ds_status st = embed_stage(s, colour, &stream, &result, err);
    if (st != DS_OK) {
        return st;
    }
    if (result.bits < overhead) {
        return does_not_fit(err);
    }
    account(s, &result, overhead);
    return put_side(s, &result, err);
}

/* An older carrier's mark in this image would be found instead of ours if it came first. */
static size_t latest_begin(const struct state *s)
{
    struct stego_lead lead;
    size_t begin = 0;
    const enum stego_finding f = stego_mark_find(s->a->scan, s->a->work, &lead, &begin);
    return f == STEGO_FOUND_CARRIER ? begin : SIZE_MAX;
}

/* Mark, lead and blob into the run. */
static enum ds_status finish_run(struct state *s, const struct stego_stage_result *r,
                                 size_t run_bits, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits bits = STEGO_BITS_INIT;
    const struct stego_scan *scan = s->a->scan;
    struct stego_lead lead = lead_of(s, r->bits, 0);
    const size_t length = stego_lead_length(scan, &lead);
    lead.blob_bits = run_bits - length;
    stego_lead_write(scan, &lead, &bits);
    stego_bits_append(&bits, r->blob.data, 0, 8 * r->blob.len);
    stego_bits_grow(&bits, run_bits - length - 8 * r->blob.len);
    if (bits.failed) {
        return out_of_memory(err);
    }
    stego_run_write(scan, s->a->work, scan->run_begin, scan->run_end, bits.bytes.data);
    return DS_OK;
}

/* The last stage with a run of run_bits. *fits tells whether the blob fitted into it; if not,
 * *run_bits is what it would have taken. */
static enum ds_status try_run(struct state *s, size_t latest, size_t length, size_t *run_bits,
                              bool *fits, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits stream = STEGO_BITS_INIT;
    DS_AUTO(result_free) struct stego_stage_result result = {0, 0, 0, DS_BYTES_INIT(0)};
    struct stego_scan *scan = s->a->scan;
    scan->run_begin = scan->run_end = 0;
    reset_colour(s, 1);
    *fits = false;
    if (!stego_run_choose(scan, s->a->work, length, *run_bits, latest, &scan->run_begin,
                          &scan->run_end)) {
        return does_not_fit(err);
    }
    stego_run_read(scan, s->a->work, scan->run_begin, scan->run_end, &stream);
    stego_bits_append(&stream, s->side.bytes.data, 0, s->side.count);
    s->sum_at = stream.count;
    stego_bits_grow(&stream, STEGO_CHECKSUM_BITS);
    const size_t overhead = stream.count;
    stego_bits_append(&stream, s->a->message->bytes.data, s->a->message->count - s->a->left,
                      s->a->left);
    if (stream.failed) {
        return out_of_memory(err);
    }
    if (s->a->effort == STEGO_BALANCED) {
        measure(s, 1);
    }
    const enum ds_status st = embed_stage(s, 1, &stream, &result, err);
    if (st != DS_OK) {
        return st;
    }
    const size_t enough = s->a->measuring ? overhead : stream.count;
    if (result.bits < enough) {
        return does_not_fit(err);
    }
    if (length + 8 * result.blob.len > *run_bits) {
        *run_bits = length + 8 * result.blob.len;
        return DS_OK;
    }
    *fits = true;
    account(s, &result, overhead);
    return finish_run(s, &result, *run_bits, err);
}

static enum ds_status run_last_stage(struct state *s, struct ds_error *err)
{
    const struct stego_lead lead = lead_of(s, 0, 0);
    const size_t length = stego_lead_length(s->a->scan, &lead);
    const size_t latest = latest_begin(s);
    size_t run_bits =
        length + (s->a->effort == STEGO_BALANCED ? BLOB_GUESS_BITS : BLOB_GUESS_FULLEST);
    bool fits = false;
    for (unsigned i = 0; i < RUN_TRIES; i++) {
        const enum ds_status st = try_run(s, latest, length, &run_bits, &fits, err);
        if (st != DS_OK || fits) {
            return st;
        }
        run_bits += (size_t)8 * i * i; /* the longer run itself changes the blob */
    }
    return does_not_fit(err);
}

/* How many message bits the first colour should take of `chunk`. */
static bool share_out(struct state *s, size_t chunk, bool last, size_t *first)
{
    const struct stego_stats *const stats[2] = {&s->stats[0], &s->stats[1]};
    const struct stego_lead lead = lead_of(s, 0, 0);
    struct stego_plan plans[2];
    uint64_t bits[2] = {0, 0};
    measure(s, 0);
    measure(s, 1);
    const size_t fields = 2U * stego_count_width(s->a->scan) + BLOB_GUESS_BITS;
    const size_t ends =
        last ? stego_lead_length(s->a->scan, &lead) + BLOB_GUESS_BITS + STEGO_CHECKSUM_BITS : 0;
    const size_t all = s->side.count + chunk + fields + ends;
    *first = 0;
    if (!stego_plans_choose(stats, 2, all, plans, bits)) {
        return false;
    }
    const double part = (double)bits[0] / (double)(bits[0] + bits[1]);
    const size_t want = (size_t)(part * (double)all);
    *first = want > s->side.count ? want - s->side.count : 0;
    *first = *first < chunk ? *first : chunk;
    return true;
}

static enum ds_status run_pass(struct state *s, unsigned passes_left, struct ds_error *err)
{
    struct stego_attempt *a = s->a;
    const bool balanced = a->effort == STEGO_BALANCED;
    const size_t chunk = balanced ? (a->left + passes_left - 1) / passes_left : a->left;
    const size_t keep = a->left - chunk;
    size_t first = chunk;
    if (balanced && !share_out(s, chunk, passes_left == 1, &first)) {
        return does_not_fit(err);
    }
    enum ds_status st = run_stage(s, 0, first, err);
    if (st != DS_OK) {
        return st;
    }
    if (passes_left == 1) {
        return run_last_stage(s, err);
    }
    if (balanced) {
        measure(s, 1);
    }
    return run_stage(s, 1, a->left > keep ? a->left - keep : 0, err);
}

static enum ds_status run_passes(struct state *s, struct ds_error *err)
{
    struct stego_attempt *a = s->a;
    const size_t bytes = a->scan->samples * sizeof(int32_t);
    for (unsigned pass = 0; pass < a->passes; pass++) {
        if (pass > 0) {
            memcpy(s->spare, a->work, bytes);
            s->own = s->spare;
        }
        const enum ds_status st = run_pass(s, a->passes - pass, err);
        if (st != DS_OK) {
            return st;
        }
    }
    return DS_OK;
}

enum ds_status stego_attempt_run(struct stego_attempt *attempt, struct ds_error *err)
{
    const size_t bytes = attempt->scan->samples * sizeof(int32_t);
    struct state s = {.a = attempt,
                      .own = attempt->cover,
                      .side = STEGO_BITS_INIT,
                      .sum = attempt->checksum,
                      .sum_at = NO_SUM};
    attempt->left = attempt->message->count;
    attempt->hidden = 0;
    attempt->is_exact = true;
    attempt->scan->run_begin = attempt->scan->run_end = 0;
    memcpy(attempt->work, attempt->cover, bytes);
    s.stats = calloc(2, sizeof *s.stats);
    s.spare = attempt->passes > 1 ? malloc(bytes) : NULL;
    enum ds_status st = DS_OK;
    if (s.stats == NULL || (attempt->passes > 1 && s.spare == NULL)) {
        st = out_of_memory(err);
    } else {
        st = run_passes(&s, err);
    }
    stego_bits_free(&s.side);
    free(s.spare);
    free(s.stats);
    return st;
}
