/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/stage.h"

#include <lzma.h>

/* What one pixel is to its prediction. Its value is base + 1 + rank above, base - rank below. */
struct place {
    bool above;
    int32_t rank;
};

static struct place place_of(int32_t x, int32_t base)
{
    const int32_t e = x - base;
    return e > 0 ? (struct place){true, e - 1} : (struct place){false, -e};
}

/* The farther of the two outcomes for this rank. */
static int32_t reach(const struct stego_op *op, int32_t rank)
{
    if (rank < op->b) {
        return 0;
    }
    const int32_t d = rank - op->b + 1;
    return d < op->t ? d : op->t;
}

static int32_t room_of(const struct stego_scan *scan, int32_t x, bool up)
{
    return up ? stego_room_up(scan, x) : stego_room_down(scan, x);
}

/* How far a pixel found at this rank (not below b) was moved, if it was. */
static int32_t way_back(const struct stego_op *op, int32_t rank)
{
    const int32_t moved = rank - op->b;
    return moved < 2 * op->t ? moved - moved / 2 : op->t;
}

/* Not both outcomes have room. */
static bool is_tight(const struct stego_op *op, int32_t rank, int32_t room)
{
    return reach(op, rank) > room;
}

/* The question the reader asks of a value found: can a pixel that had room have been moved here?
 * A tight value for which the answer is no was left alone; one for which it is yes needs a flag.
 * Any other value was marked, so there the answer has to be yes. */
static bool may_be_marked(const struct stego_scan *scan, const struct stego_op *op, int32_t x,
                          struct place p)
{
    const int32_t d = way_back(op, p.rank);
    return d <= room_of(scan, x, !p.above) &&
           !is_tight(op, p.rank - d, room_of(scan, x, p.above) + d);
}

/* The context of a flag: the two before, since they come in runs, and the rank above b. */
#define FLAG_RANKS 4U

struct flag_model {
    struct stego_chance chance[FLAG_RANKS][4];
    unsigned before;
};

static void flag_model_init(struct flag_model *m)
{
    for (unsigned i = 0; i < FLAG_RANKS * 4U; i++) {
        m->chance[i / 4U][i % 4U] = STEGO_CHANCE_EVEN;
    }
    m->before = 0;
}

static struct stego_chance *flag_chance(struct flag_model *m, const struct stego_op *op,
                                        int32_t rank)
{
    const unsigned r = (unsigned)(rank - op->b);
    return &m->chance[r < FLAG_RANKS ? r : FLAG_RANKS - 1U][m->before];
}

static void flag_done(struct flag_model *m, unsigned flag)
{
    m->before = (m->before << 1 | flag) & 3U;
}

struct measuring {
    const struct stego_scan *scan;
    const int32_t *own;
    struct stego_stats *stats;
};

/* With this much room the small T that are chosen near the ends of the range always fit. A guess
 * is enough here: the embedder counts what really fitted. */
#define ROOM_ENOUGH 8

static bool measure_row(void *object, const struct stego_row *row)
{
    const struct measuring *m = object;
    for (size_t j = 0; j < row->count; j++) {
        if (row->class[j] == STEGO_NO_SITE) {
            continue;
        }
        const int32_t x = m->own[row->index + 2 * j];
        const struct place p = place_of(x, row->base[j]);
        const int32_t room = room_of(m->scan, x, p.above);
        if (room > p.rank || room >= ROOM_ENOUGH) {
            stego_stats_add(m->stats, row->class[j], (uint32_t)p.rank);
        }
    }
    return true;
}

void stego_stage_measure(struct stego_scan *scan, unsigned colour, const int32_t *own,
                         const int32_t *context, struct stego_stats *stats)
{
    struct measuring m = {scan, own, stats};
    stego_scan_walk(scan, colour, own, context, measure_row, &m);
}

struct embedding {
    const struct stego_scan *scan;
    const int32_t *own;
    int32_t *out;
    struct stego_op op[STEGO_CLASSES];
    const uint8_t *bits;
    size_t count, at;
    size_t flags, skipped;
    struct flag_model model;
    struct stego_encoder coder;
};

static void put_flag(struct embedding *m, const struct stego_op *op, int32_t rank, unsigned flag)
{
    stego_encode(&m->coder, flag_chance(&m->model, op, rank), flag);
    flag_done(&m->model, flag);
    m->flags++;
}

static void embed_site(struct embedding *m, size_t i, int32_t base, const struct stego_op *op)
{
    const int32_t x = m->own[i];
    const struct place p = place_of(x, base);
    if (p.rank < op->b) {
        return;
    }
    const int32_t room = room_of(m->scan, x, p.above);
    if (is_tight(op, p.rank, room)) {
        m->skipped++;
        if (may_be_marked(m->scan, op, x, p)) {
            put_flag(m, op, p.rank, 1);
        }
        return;
    }
    int32_t d = op->t;
    if (p.rank < op->b + op->t) {
        d = p.rank - op->b + (int32_t)stego_bit_at(m->bits, m->at++);
    }
    if (m->out != NULL) {
        m->out[i] = p.above ? x + d : x - d;
    }
    if (is_tight(op, p.rank + d, room - d)) {
        put_flag(m, op, p.rank + d, 0);
    }
}

static bool embed_row(void *object, const struct stego_row *row)
{
    struct embedding *m = object;
    for (size_t j = 0; j < row->count && m->at < m->count; j++) {
        const unsigned class = row->class[j];
        if (class != STEGO_NO_SITE && m->op[class].t != 0) {
            embed_site(m, row->index + 2 * j, row->base[j], &m->op[class]);
        }
    }
    return m->at < m->count && !m->coder.failed;
}

static void resolve(const struct stego_plan *plan, struct stego_op op[STEGO_CLASSES])
{
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        op[c] = stego_ops[plan->op[c]];
    }
}

enum ds_status stego_stage_embed(struct stego_scan *scan, unsigned colour, const int32_t *own,
                                 const int32_t *context, int32_t *out,
                                 const struct stego_plan *plan, const uint8_t *bits, size_t count,
                                 struct stego_stage_result *result, struct ds_error *err)
{
    struct embedding m = {.scan = scan, .own = own, .out = out, .bits = bits, .count = count};
    flag_model_init(&m.model);
    resolve(plan, m.op);
    stego_encoder_init(&m.coder);
    if (count > 0) {
        stego_plan_encode(plan, &m.coder);
        stego_scan_walk(scan, colour, own, context, embed_row, &m);
        stego_encoder_finish(&m.coder);
    }
    *result = (struct stego_stage_result){m.at, m.flags, m.skipped, ds_bytes_take(&m.coder.out)};
    if (m.coder.failed) {
        ds_bytes_free(&result->blob);
        return ds_fail(err, DS_ENOMEM, "out of memory for side information");
    }
    return DS_OK;
}

struct extracting {
    const struct stego_scan *scan;
    int32_t *samples;
    struct stego_op op[STEGO_CLASSES];
    uint8_t *out;
    size_t count, at;   /* bits of out: where to stop, and the next one */
    bool is_impossible; /* a value was met that no embedder leaves behind */
    struct flag_model model;
    struct stego_decoder coder;
    /* Writes the blob again: a carrier whose blob is another spelling of the same was altered. */
    struct stego_encoder again;
};

static bool is_flagged(struct extracting *m, const struct stego_op *op, int32_t rank)
{
    struct stego_chance *chance = flag_chance(&m->model, op, rank);
    struct stego_chance same = *chance;
    const unsigned flag = stego_decode(&m->coder, chance);
    stego_encode(&m->again, &same, flag);
    flag_done(&m->model, flag);
    return flag != 0;
}

/* Restored values lie between the base and the value found, so they stay in the format's range
 * even when the side information is rubbish. */
static void extract_site(struct extracting *m, size_t i, int32_t base, const struct stego_op *op)
{
    const int32_t x = m->samples[i];
    const struct place p = place_of(x, base);
    if (p.rank < op->b) {
        return;
    }
    const bool tight = is_tight(op, p.rank, room_of(m->scan, x, p.above));
    if (!may_be_marked(m->scan, op, x, p)) {
        m->is_impossible = m->is_impossible || !tight;
        return;
    }
    if (tight && is_flagged(m, op, p.rank)) {
        return;
    }
    const int32_t d = way_back(op, p.rank);
    if (p.rank - op->b < 2 * op->t) {
        const unsigned bit = (unsigned)(p.rank - op->b) & 1U;
        m->out[m->at >> 3] |= (uint8_t)(bit << (7U - (m->at & 7U)));
        m->at++;
    }
    m->samples[i] = p.above ? x - d : x + d;
}

static bool extract_row(void *object, const struct stego_row *row)
{
    struct extracting *m = object;
    for (size_t j = 0; j < row->count && m->at < m->count; j++) {
        const unsigned class = row->class[j];
        if (class != STEGO_NO_SITE && m->op[class].t != 0) {
            extract_site(m, row->index + 2 * j, row->base[j], &m->op[class]);
        }
    }
    return m->at < m->count && !m->is_impossible;
}

/* The blob is what the embedder would have written, filled up with zeros. */
static enum ds_status check_blob(struct stego_encoder *again, const uint8_t *blob, size_t blob_len,
                                 struct ds_error *err)
{
    stego_encoder_finish(again);
    if (again->failed) {
        return ds_fail(err, DS_ENOMEM, "out of memory for side information");
    }
    bool same = again->out.len <= blob_len;
    for (size_t i = 0; same && i < blob_len; i++) {
        same = blob[i] == (i < again->out.len ? again->out.data[i] : 0);
    }
    return same ? DS_OK : ds_fail(err, DS_EAUTH, "the carrier's side information was altered");
}

static enum ds_status extract_bits(struct extracting *m, unsigned colour, struct stego_scan *scan,
                                   const uint8_t *blob, size_t blob_len, struct stego_plan *plan,
                                   struct ds_error *err)
{
    flag_model_init(&m->model);
    stego_decoder_init(&m->coder, blob, blob_len);
    stego_plan_decode(plan, &m->coder);
    stego_plan_encode(plan, &m->again);
    resolve(plan, m->op);
    stego_scan_walk(scan, colour, m->samples, m->samples, extract_row, m);
    if (m->at < m->count || m->is_impossible) {
        return ds_fail(err, DS_EAUTH, "the carrier was altered: its pixels contradict it");
    }
    return check_blob(&m->again, blob, blob_len, err);
}

enum ds_status stego_stage_extract(struct stego_scan *scan, unsigned colour, int32_t *samples,
                                   const uint8_t *blob, size_t blob_len, size_t count,
                                   struct stego_plan *plan, struct stego_bits *out,
                                   struct ds_error *err)
{
    *plan = stego_plan_uniform(0);
    if (count > scan->samples) {
        return ds_fail(err, DS_EAUTH, "the carrier claims %zu bits in %zu pixels", count,
                       scan->samples);
    }
    if (count == 0) {
        return blob_len == 0 ? DS_OK : ds_fail(err, DS_EAUTH, "the carrier was altered");
    }
    struct extracting m = {.scan = scan, .samples = samples, .at = out->count};
    stego_bits_grow(out, count);
    if (out->failed) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu bits", count);
    }
    m.out = out->bytes.data;
    m.count = out->count;
    stego_encoder_init(&m.again);
    const enum ds_status s = extract_bits(&m, colour, scan, blob, blob_len, plan, err);
    ds_bytes_free(&m.again.out);
    return s;
}

uint32_t stego_plan_checksum(const struct stego_plan *plan, uint32_t sum)
{
    return lzma_crc32(plan->op, sizeof plan->op, sum);
}
