/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/hide.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

/* First guesses; the search for the run corrects them, but that means to begin again. The more bits
 * the more flags, and the less a byte too many weighs. */
#define BLOB_GUESS_BYTES   7U
#define BLOB_GUESS_MORE    13U
#define BITS_FOR_MORE      4096U
#define BLOB_GUESS_FULLEST 3U
#define RUN_TRIES          10U
#define PLAN_TRIES         4U

/* Mark, lead, blobs, sides and checksum of an attempt, and some more. */
#define OVERHEAD_BITS 600U

/* What an attempt needs on the way. */
struct state {
    struct stego_attempt *a;
    const struct stego_ground *g;
    struct stego_scan scan;
    unsigned passes;
    enum stego_load load;
    struct stego_lead lead;
    struct stego_run run;
    const int32_t *own;        /* the plane at the beginning of the pass */
    int32_t *spare;            /* ... when that is not the cover */
    struct stego_bits side;    /* for the next stage to carry */
    struct stego_bits white;   /* the stream as the stage gets it */
    struct stego_stats *stats; /* of each colour */
    unsigned stage;
    uint32_t sum;           /* over the message and the plans of the stages done */
    struct stego_plan plan; /* of the stage that was hidden last */
    size_t sum_at;          /* where the checksum stands in the stream; NO_SUM before the last */
    size_t blob_bytes;      /* of the last stage */
};

#define NO_SUM SIZE_MAX

static void result_free(struct stego_stage_result *r)
{
    ds_bytes_free(&r->blob);
}

static void state_finish(struct state *s)
{
    stego_scan_finish(&s->scan);
    stego_bits_free(&s->side);
    stego_bits_free(&s->white);
    free(s->spare);
    free(s->stats);
}

static enum ds_status out_of_memory(struct ds_error *err)
{
    return ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits");
}

static enum ds_status does_not_fit(struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "the payload does not fit into the image");
}

uint32_t stego_lead_checksum(const struct stego_image *image, size_t index,
                             const struct stego_lead *lead, const uint8_t *map)
{
    struct stego_bits fields = STEGO_BITS_INIT;
    stego_bits_put(&fields, (uint32_t)index, 32);
    stego_lead_write(image, index, lead, &fields);
    const uint32_t sum = lzma_crc32(fields.bytes.data, fields.bytes.len, 0);
    stego_bits_free(&fields);
    return lzma_crc32(map, lead->map_bytes, sum);
}

#define EASY_RANKS 8U

/* Pixels nearer than EASY_RANKS to where they may not go. */
static uint64_t count_cramped(const struct stego_plane *p)
{
    const size_t n = stego_plane_count(p);
    const uint32_t padding = p->has_padding ? (uint32_t)p->padding_min : 0;
    const uint32_t width = p->has_padding ? (uint32_t)p->padding_max - padding : 0;
    uint64_t cramped = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t x = (uint32_t)p->samples[i];
        const unsigned is_padding = p->has_padding & (x - padding <= width);
        const unsigned is_near =
            p->has_padding & (x - padding + EASY_RANKS <= width + 2 * EASY_RANKS);
        const unsigned is_low = x - (uint32_t)p->low < EASY_RANKS;
        const unsigned is_high = (uint32_t)p->high - x < EASY_RANKS;
        cramped += (is_near | is_low | is_high) & (is_padding ^ 1U);
    }
    return cramped;
}

uint64_t stego_easy_bits(const struct stego_plane *plane, const struct stego_stats stats[2],
                         uint32_t max_difference)
{
    const unsigned ranks =
        max_difference != 0 && max_difference < EASY_RANKS ? max_difference : EASY_RANKS;
    const uint64_t cramped = count_cramped(plane);
    uint64_t n = 0;
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        for (unsigned r = 0; r < ranks; r++) {
            n += stats[0].bin[c][r].n + stats[1].bin[c][r].n;
        }
    }
    n = n > cramped ? n - cramped : 0;
    n /= cramped > stego_plane_count(plane) / 64 ? 4 : 2;
    return n > OVERHEAD_BITS ? n - OVERHEAD_BITS : 0;
}

static unsigned count_width(const struct state *s)
{
    return stego_width_of(s->scan.samples);
}

/* Gives the pixels of one colour back what they were. */
static void reset_colour(const struct state *s, unsigned colour)
{
    const struct stego_scan *scan = &s->scan;
    for (size_t y = 0; y < scan->rows; y++) {
        const size_t index = y * scan->columns;
        for (size_t x = (y + colour) & 1U; x < scan->columns; x += 2) {
            s->a->work[index + x] = s->own[index + x];
        }
    }
}

static void set_bits(uint8_t *data, size_t at, uint32_t v, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        const unsigned bit = (v >> (width - 1U - i)) & 1U;
        const unsigned mask = 0x80U >> ((at + i) & 7U);
        uint8_t *byte = &data[(at + i) >> 3];
        *byte = (uint8_t)(bit != 0 ? *byte | mask : *byte & ~mask);
    }
}

/* No pixel may move by more than its part of the limit in each pass. */
static int32_t widest(const struct state *s)
{
    const uint32_t most = s->g->max_difference / s->passes;
    return s->g->max_difference == 0 || most > INT32_MAX ? INT32_MAX : (int32_t)most;
}

static void narrow(const struct state *s, struct stego_plan *plan)
{
    const int32_t most = widest(s);
    const struct stego_plan narrower = stego_plan_uniform(most);
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        if (stego_ops[plan->op[c]].t > most) {
            plan->op[c] = narrower.op[c];
        }
    }
}

/* The checksum covers this stage's plan too, so it can only be written now. */
static enum ds_status embed(struct state *s, int32_t *out, const struct stego_plan *plan,
                            const struct stego_bits *stream, size_t count,
                            struct stego_stage_result *result, struct ds_error *err)
{
    result_free(result);
    s->plan = count == 0 ? stego_plan_uniform(0) : *plan;
    s->white.count = 0;
    s->white.bytes.len = 0;
    stego_bits_append(&s->white, stream->bytes.data, 0, stream->count);
    if (s->white.failed) {
        return out_of_memory(err);
    }
    if (s->sum_at != NO_SUM) {
        set_bits(s->white.bytes.data, s->sum_at, stego_plan_checksum(&s->plan, s->sum),
                 STEGO_CHECKSUM_BITS);
    }
    stego_whiten(s->white.bytes.data, count, s->a->seed, s->stage);
    return stego_stage_embed(&s->scan, s->stage & 1U, s->own, s->a->work, out, &s->plan,
                             s->white.bytes.data, count, result, err);
}

static int64_t net_bits(const struct stego_stage_result *r)
{
    return (int64_t)r->bits - 8 * (int64_t)r->blob.len;
}

/* As many bits as possible. Expanding everything is best unless flags eat the gain. */
static enum ds_status embed_fullest(struct state *s, const struct stego_bits *stream,
                                    struct stego_stage_result *result, struct ds_error *err)
{
    static const int32_t limits[] = {65536, 64, 16, 4, 2, 1};
    const int32_t most = widest(s);
    struct stego_plan best = stego_plan_uniform(0);
    int64_t best_net = INT64_MIN;
    size_t best_bits = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(limits); i++) {
        const struct stego_plan plan = stego_plan_uniform(limits[i] < most ? limits[i] : most);
        const enum ds_status st = embed(s, NULL, &plan, stream, stream->count, result, err);
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
    reset_colour(s, s->stage & 1U);
    return embed(s, s->a->work, &best, stream, best_bits, result, err);
}

/* The whole stream at the least distortion, or else as many bits as possible. */
static enum ds_status embed_stage(struct state *s, const struct stego_bits *stream,
                                  struct stego_stage_result *result, struct ds_error *err)
{
    const unsigned colour = s->stage & 1U;
    const struct stego_stats *stats = &s->stats[colour];
    uint64_t need = stream->count;
    for (unsigned i = 0; s->load == STEGO_EVEN && i < PLAN_TRIES; i++) {
        struct stego_plan plan;
        uint64_t expected = 0;
        if (!stego_plans_choose(&stats, 1, need, &plan, &expected)) {
            break;
        }
        narrow(s, &plan);
        if (i > 0) {
            reset_colour(s, colour);
        }
        const enum ds_status st = embed(s, s->a->work, &plan, stream, stream->count, result, err);
        if (st != DS_OK || result->bits == stream->count) {
            return st;
        }
        /* Sites near the ends of the range took less than the statistics promised. */
        need += (stream->count - result->bits) * 5 / 4 + 16;
    }
    return embed_fullest(s, stream, result, err);
}

static void measure(struct state *s, unsigned colour)
{
    memset(&s->stats[colour], 0, sizeof s->stats[colour]);
    stego_stage_measure(&s->scan, colour, s->own, s->a->work, &s->stats[colour]);
}

/* The next stage carries what this one's reader has to know. */
static enum ds_status put_side(struct state *s, const struct stego_stage_result *r,
                               struct ds_error *err)
{
    s->side.count = 0;
    s->side.bytes.len = 0;
    stego_bits_put(&s->side, (uint32_t)r->bits, count_width(s));
    stego_bits_put_number(&s->side, (uint32_t)r->blob.len);
    stego_bits_append(&s->side, r->blob.data, 0, 8 * r->blob.len);
    return s->side.failed ? out_of_memory(err) : DS_OK;
}

static void account(struct state *s, const struct stego_stage_result *r, size_t overhead)
{
    s->a->left -= r->bits - overhead;
    s->a->hidden += r->bits;
    s->sum = stego_plan_checksum(&s->plan, s->sum);
    s->stage++;
}

/* A stage that is not the last: the next `chunk` bits of the message, or as many as fit. */
static enum ds_status run_stage(struct state *s, size_t chunk, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits stream = STEGO_BITS_INIT;
    DS_AUTO(result_free) struct stego_stage_result result = {0, 0, 0, DS_BYTES_INIT(0)};
    const size_t overhead = s->side.count;
    stego_bits_append(&stream, s->side.bytes.data, 0, overhead);
    stego_bits_append(&stream, s->a->message->bytes.data, s->a->message->count - s->a->left, chunk);
    if (stream.failed) {
        return out_of_memory(err);
    }
    const enum ds_status st = embed_stage(s, &stream, &result, err);
    if (st != DS_OK) {
        return st;
    }
    if (result.bits < overhead) {
        return does_not_fit(err);
    }
    account(s, &result, overhead);
    return put_side(s, &result, err);
}

/* Mark, lead, map and blob into the run. */
static enum ds_status finish_run(struct state *s, const struct stego_stage_result *r,
                                 struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits bits = STEGO_BITS_INIT;
    stego_lead_write(s->g->image, s->g->index, &s->lead, &bits);
    stego_bits_append(&bits, s->g->map->data, 0, 8 * s->lead.map_bytes);
    stego_bits_append(&bits, r->blob.data, 0, 8 * r->blob.len);
    stego_bits_grow(&bits, 8 * (s->lead.blob_bytes - r->blob.len));
    if (bits.failed) {
        return out_of_memory(err);
    }
    stego_run_write(&s->g->plane, s->a->work, s->run.begin, s->run.end, bits.bytes.data);
    return DS_OK;
}

/* DS_OK also when the blob does not fit into the run: s->blob_bytes tells. */
static enum ds_status run_last_stage(struct state *s, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits stream = STEGO_BITS_INIT;
    DS_AUTO(result_free) struct stego_stage_result result = {0, 0, 0, DS_BYTES_INIT(0)};
    stego_run_read(&s->g->plane, s->run.begin, s->run.end, &stream);
    stego_bits_append(&stream, s->side.bytes.data, 0, s->side.count);
    s->sum_at = stream.count;
    stego_bits_grow(&stream, STEGO_CHECKSUM_BITS);
    const size_t overhead = stream.count;
    stego_bits_append(&stream, s->a->message->bytes.data, s->a->message->count - s->a->left,
                      s->a->left);
    if (stream.failed) {
        return out_of_memory(err);
    }
    s->lead.bits = stream.count;
    const uint32_t sum = stego_lead_checksum(s->g->image, s->g->index, &s->lead, s->g->map->data);
    s->sum ^= sum;
    const enum ds_status st = embed_stage(s, &stream, &result, err);
    if (st != DS_OK) {
        return st;
    }
    if (result.bits < (s->a->measuring ? overhead : stream.count)) {
        return does_not_fit(err);
    }
    s->blob_bytes = result.blob.len;
    account(s, &result, overhead);
    return result.blob.len <= s->lead.blob_bytes ? finish_run(s, &result, err) : DS_OK;
}

static size_t run_bits(const struct state *s)
{
    return stego_lead_measure(s->g->image, s->g->index, &s->lead).all +
           8 * (s->lead.map_bytes + s->lead.blob_bytes);
}

/* How many message bits the first colour should take of `chunk`. */
static bool share_out(struct state *s, size_t chunk, bool last, size_t *first)
{
    const struct stego_stats *const stats[2] = {&s->stats[0], &s->stats[1]};
    struct stego_plan plans[2];
    uint64_t bits[2] = {0, 0};
    measure(s, 0);
    measure(s, 1);
    if (s->stage == 0) {
        s->a->easy = stego_easy_bits(&s->g->plane, s->stats, s->g->max_difference);
    }
    const size_t fields = 2U * count_width(s) + 8 * BLOB_GUESS_BYTES;
    const size_t ends = last ? run_bits(s) + STEGO_CHECKSUM_BITS : 0;
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
    const bool even = s->load == STEGO_EVEN;
    const size_t chunk = even ? (a->left + passes_left - 1) / passes_left : a->left;
    const size_t keep = a->left - chunk;
    size_t first = chunk;
    if (even && !share_out(s, chunk, passes_left == 1, &first)) {
        return does_not_fit(err);
    }
    const enum ds_status st = run_stage(s, first, err);
    if (st != DS_OK) {
        return st;
    }
    if (even) {
        measure(s, 1);
    }
    return passes_left == 1 ? run_last_stage(s, err)
                            : run_stage(s, a->left > keep ? a->left - keep : 0, err);
}

static enum ds_status run_passes(struct state *s, struct ds_error *err)
{
    const size_t bytes = s->scan.samples * sizeof(int32_t);
    s->a->left = s->a->message->count;
    s->a->hidden = 0;
    s->own = s->g->plane.samples;
    s->stage = 0;
    s->side.count = 0;
    s->side.bytes.len = 0;
    s->sum = lzma_crc32(s->a->message->bytes.data, s->a->message->bytes.len, 0);
    s->sum_at = NO_SUM;
    memcpy(s->a->work, s->own, bytes);
    for (unsigned pass = 0; pass < s->passes; pass++) {
        if (pass > 0) {
            memcpy(s->spare, s->a->work, bytes);
            s->own = s->spare;
        }
        const enum ds_status st = run_pass(s, s->passes - pass, err);
        if (st != DS_OK) {
            return st;
        }
    }
    return DS_OK;
}

static enum ds_status place_run(struct state *s, size_t blob_bytes, struct ds_error *err)
{
    s->lead.blob_bytes = blob_bytes;
    const struct stego_lead_length length = stego_lead_measure(s->g->image, s->g->index, &s->lead);
    const struct stego_run_need need = {.head = length.head,
                                        .rest_and_map =
                                            length.all - length.head + 8 * s->lead.map_bytes,
                                        .blob = 8 * blob_bytes,
                                        .latest = s->g->latest};
    if (!stego_run_choose(&s->g->plane, &need, &s->run)) {
        return does_not_fit(err);
    }
    s->a->run_begin = s->run.begin;
    s->scan.run_begin = s->run.begin;
    s->scan.run_end = s->run.end;
    return DS_OK;
}

bool stego_attempt_is_within_limit(const struct stego_attempt *attempt)
{
    const struct stego_ground *g = attempt->ground;
    const size_t n = g->max_difference != 0 ? stego_plane_count(&g->plane) : 0;
    bool is_within = true;
    for (size_t i = 0; i < n; i++) {
        const int64_t d = (int64_t)attempt->work[i] - g->plane.samples[i];
        is_within &= d <= (int64_t)g->max_difference && -d <= (int64_t)g->max_difference;
    }
    return is_within;
}

static size_t guess_blob(const struct state *s)
{
    const size_t steps = s->a->message->count / BITS_FOR_MORE;
    const size_t more = steps > 3 ? steps - 3 : 0;
    return s->load == STEGO_FULLEST
               ? BLOB_GUESS_FULLEST
               : BLOB_GUESS_BYTES + (more < BLOB_GUESS_MORE ? more : BLOB_GUESS_MORE);
}

/* Again with a longer run until the last stage's blob fits into it. */
static enum ds_status run_all(struct state *s, struct ds_error *err)
{
    s->blob_bytes = guess_blob(s);
    for (unsigned i = 0; i < RUN_TRIES; i++) {
        /* The longer run itself changes the blob. */
        enum ds_status st = place_run(s, s->blob_bytes + (size_t)i * i, err);
        st = st == DS_OK ? run_passes(s, err) : st;
        if (st != DS_OK) {
            return st;
        }
        if (s->blob_bytes <= s->lead.blob_bytes) {
            return stego_attempt_is_within_limit(s->a) ? DS_OK : does_not_fit(err);
        }
    }
    return does_not_fit(err);
}

enum ds_status stego_attempt_board(struct stego_attempt *attempt, unsigned passes,
                                   enum stego_load load, struct ds_error *err)
{
    DS_AUTO(state_finish)
    struct state s = {.a = attempt,
                      .g = attempt->ground,
                      .passes = passes,
                      .load = load,
                      .lead = attempt->ground->lead,
                      .side = STEGO_BITS_INIT,
                      .white = STEGO_BITS_INIT};
    const enum ds_status st = stego_scan_init(&s.scan, &s.g->plane, err);
    if (st != DS_OK) {
        return st;
    }
    if (widest(&s) == 0) {
        return does_not_fit(err);
    }
    s.lead.codec = STEGO_BOARD;
    s.lead.stages = 2U * passes;
    s.lead.seed = attempt->seed;
    s.stats = calloc(2, sizeof *s.stats);
    s.spare = passes > 1 ? malloc(s.scan.samples * sizeof *s.spare) : NULL;
    if (s.stats == NULL || (passes > 1 && s.spare == NULL)) {
        return out_of_memory(err);
    }
    return run_all(&s, err);
}
