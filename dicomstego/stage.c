/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/stage.h"

#include <lzma.h>

/* What happens to a site, in offsets. */
struct site {
    uint32_t own;
    bool above;
    int64_t rank; /* not below b of its operation */
};

/* The farther of the two outcomes for this rank. */
static int64_t reach(const struct stego_op *op, int64_t rank)
{
    if (rank < op->b) {
        return 0;
    }
    const int64_t d = rank - op->b + 1;
    return d < op->t ? d : op->t;
}

/* How far a pixel found at this rank was moved, if it was. */
static int64_t way_back(const struct stego_op *op, int64_t rank)
{
    const int64_t moved = rank - op->b;
    return moved < 2 * (int64_t)op->t ? moved - moved / 2 : op->t;
}

/* Not both outcomes have room. */
static bool is_tight(const struct stego_op *op, int64_t rank, int64_t room)
{
    return reach(op, rank) > room;
}

/* The question the reader asks of a value found: can a pixel that had room have been moved here?
 * A tight value for which the answer is no was left alone; one for which it is yes needs a flag.
 * Any other value was marked, so there the answer has to be yes. */
static bool may_be_marked(const struct stego_limits *limits, const struct stego_op *op,
                          const struct site *p)
{
    const int64_t d = way_back(op, p->rank);
    return d <= stego_room(p->own, !p->above, limits) &&
           !is_tight(op, p->rank - d, stego_room(p->own, p->above, limits) + d);
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
                                        int64_t rank)
{
    const uint64_t r = (uint64_t)(rank - op->b);
    return &m->chance[r < FLAG_RANKS ? r : FLAG_RANKS - 1U][m->before];
}

static void flag_done(struct flag_model *m, unsigned flag)
{
    m->before = (m->before << 1 | flag) & 3U;
}

/* Four tables of counters take turns, so that equal cells in a row do not wait for each other. */
#define TABLES 4U

struct measuring {
    const struct stego_scan *scan;
    struct stego_stats *stats;
    uint32_t count[TABLES][STEGO_CELLS];
};

static void measure_wide(const struct measuring *m, const struct stego_row *row)
{
    for (size_t j = 0; j < row->count; j++) {
        if (row->class[j] == STEGO_NO_SITE) {
            continue;
        }
        const uint32_t own = row->wide_own[j];
        const struct stego_place p = stego_place_of(own, row->wide_mean[j], &m->scan->limits);
        const int64_t room = stego_room(own, p.above, &m->scan->limits);
        if (room > p.rank || room >= STEGO_ROOM_ENOUGH) {
            stego_stats_add(m->stats, row->class[j], (uint64_t)p.rank, (uint64_t)p.rank, 1);
        }
    }
}

/* Ranks that share a cell are taken to be spread evenly over its range. */
static void add_cell(struct stego_stats *stats, unsigned class, size_t cell, uint64_t n)
{
    if (cell < STEGO_RANK_EXACT) {
        stego_stats_add(stats, class, cell, cell, n);
        return;
    }
    const size_t i = cell - STEGO_RANK_EXACT;
    const uint64_t next = i + 1 < STEGO_RANK_FLOORS ? stego_rank_floor[i + 1] : 65536U;
    stego_stats_add(stats, class, stego_rank_floor[i], next - 1, n);
}

static bool measure_row(void *object, const struct stego_row *row)
{
    struct measuring *m = object;
    const struct stego_scan *scan = m->scan;
    if (row->is_wide) {
        measure_wide(m, row);
        return true;
    }
    scan->kernels->tally(row->own, row->mean, row->class, row->count, &scan->limits, scan->cell);
    size_t j = 0;
    for (; j + TABLES <= row->count; j += TABLES) {
        m->count[0][scan->cell[j]]++;
        m->count[1][scan->cell[j + 1]]++;
        m->count[2][scan->cell[j + 2]]++;
        m->count[3][scan->cell[j + 3]]++;
    }
    for (; j < row->count; j++) {
        m->count[0][scan->cell[j]]++;
    }
    return true;
}

void stego_stage_measure(struct stego_scan *scan, unsigned colour, const int32_t *own,
                         const int32_t *context, struct stego_stats *stats)
{
    struct measuring m = {.scan = scan, .stats = stats};
    stego_scan_walk(scan, colour, own, context, measure_row, &m);
    for (size_t i = 0; i + 1 < STEGO_CELLS; i++) {
        const uint64_t n = (uint64_t)m.count[0][i] + m.count[1][i] + m.count[2][i] + m.count[3][i];
        if (n != 0) {
            add_cell(stats, (unsigned)(i / STEGO_RANK_CELLS), i % STEGO_RANK_CELLS, n);
        }
    }
}

/* The operations of a plan, and the classes that take part. */
struct operations {
    struct stego_op of[STEGO_CLASSES];
    uint64_t classes;
    bool are_short; /* moves says the same */
    struct stego_moves moves;
};

static void resolve(const struct stego_plan *plan, struct operations *ops)
{
    ops->classes = 0;
    ops->are_short = true;
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        ops->of[c] = stego_ops[plan->op[c]];
        ops->classes |= (uint64_t)(ops->of[c].t != 0) << c;
        ops->are_short = ops->are_short && ops->of[c].t <= (int32_t)STEGO_MOVE_MAX;
        ops->moves.b[c] = (uint8_t)ops->of[c].b;
        ops->moves.t[c] = (uint8_t)ops->of[c].t;
    }
}

static uint32_t own_of(const struct stego_row *row, size_t j)
{
    return row->is_wide ? row->wide_own[j] : row->own[j];
}

static uint32_t mean_of(const struct stego_row *row, size_t j)
{
    return row->is_wide ? row->wide_mean[j] : row->mean[j];
}

/* Sites j.. of a row as a word for the kernels; false when they cannot take it. */
static bool word_of(const struct stego_scan *scan, const struct operations *ops,
                    const struct stego_row *row, size_t j, struct stego_word *word)
{
    *word = (struct stego_word){
        row->own + j, row->mean + j, row->class + j, scan->low, &scan->limits, &ops->moves, NULL};
    return scan->kernels->hide != NULL && ops->are_short && !row->is_wide &&
           row->count - j >= STEGO_WORD && row->index + 2 * (j + STEGO_WORD) <= scan->samples;
}

/* Bits of `classes` among the sites j.. of a row, at most 64 of them. */
static uint64_t pick(const struct stego_scan *scan, const struct operations *ops,
                     const struct stego_row *row, size_t j)
{
    const size_t left = row->count - j;
    return scan->kernels->pick(row->class + j, left < STEGO_WORD ? left : STEGO_WORD, ops->classes);
}

static uint64_t reversed(uint64_t v)
{
    v = (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(v);
}

/* Bits at.. of data, the first one lowest; zeros from bit `count` on. */
static uint64_t next_bits(const uint8_t *data, size_t at, size_t count)
{
    const uint8_t *from = data + (at >> 3);
    const size_t bytes = (count + 7) / 8 - (at >> 3);
    const unsigned skip = (unsigned)(at & 7U);
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) {
        v = v << 8 | (i < bytes ? from[i] : 0U);
    }
    v = v << skip | (bytes > 8 ? (uint64_t)from[8] >> (8U - skip) : 0U);
    return reversed(v);
}

struct embedding {
    const struct stego_scan *scan;
    int32_t *out;
    struct operations ops;
    const uint8_t *bits;
    size_t count, at;
    size_t flags, skipped;
    struct flag_model model;
    struct stego_encoder coder;
};

static void put_flag(struct embedding *m, const struct stego_op *op, int64_t rank, unsigned flag)
{
    stego_encode(&m->coder, flag_chance(&m->model, op, rank), flag);
    flag_done(&m->model, flag);
    m->flags++;
}

/* How far the site is to move; the next bit is used when its rank is expanded. */
static inline int64_t way_of(const struct embedding *m, const struct stego_op *op, int64_t rank,
                             size_t *at)
{
    const int64_t k = rank - op->b;
    const int64_t moved = k + (int64_t)stego_bit_at(m->bits, *at);
    *at += k < op->t;
    return k < op->t ? moved : op->t;
}

/* A site near the end of the range, or near padding. Returns how far it is to move. */
static int64_t embed_near_end(struct embedding *m, const struct stego_op *op, const struct site *p,
                              int64_t room)
{
    if (is_tight(op, p->rank, room)) {
        m->skipped++;
        if (may_be_marked(&m->scan->limits, op, p)) {
            put_flag(m, op, p->rank, 1);
        }
        return 0;
    }
    const int64_t d = way_of(m, op, p->rank, &m->at);
    if (is_tight(op, p->rank + d, room - d)) {
        put_flag(m, op, p->rank + d, 0);
    }
    return d;
}

static inline void embed_site(struct embedding *m, const struct stego_row *row, size_t j)
{
    const struct stego_limits *limits = &m->scan->limits;
    const struct stego_op *op = &m->ops.of[row->class[j]];
    const uint32_t own = own_of(row, j);
    const struct stego_place p = stego_place_of(own, mean_of(row, j), limits);
    if (p.rank < op->b) {
        return;
    }
    const int64_t room = stego_room(own, p.above, limits);
    int64_t d = 0;
    if (room >= 2 * (int64_t)op->t) {
        d = way_of(m, op, p.rank, &m->at);
    } else {
        d = embed_near_end(m, op, &(struct site){own, p.above, p.rank}, room);
    }
    if (m->out != NULL) {
        const int64_t to = (int64_t)own + (p.above ? d : -d);
        m->out[row->index + 2 * j] = (int32_t)(to + m->scan->low);
    }
}

static bool embed_word(struct embedding *m, const struct stego_row *row, size_t j)
{
    struct stego_word word;
    if (!word_of(m->scan, &m->ops, row, j, &word)) {
        return false;
    }
    word.samples = m->out == NULL ? NULL : m->out + row->index + 2 * j;
    const size_t left = m->count - m->at;
    const int taken = m->scan->kernels->hide(&word, next_bits(m->bits, m->at, m->count), left);
    m->at += taken < 0 ? 0 : (size_t)taken;
    return taken >= 0;
}

static bool embed_row(void *object, const struct stego_row *row)
{
    struct embedding *m = object;
    for (size_t j = 0; j < row->count && m->at < m->count; j += STEGO_WORD) {
        uint64_t left = pick(m->scan, &m->ops, row, j);
        if (left == 0 || embed_word(m, row, j)) {
            continue;
        }
        for (; left != 0 && m->at < m->count; left &= left - 1) {
            embed_site(m, row, j + (unsigned)__builtin_ctzll(left));
        }
    }
    return m->at < m->count && !m->coder.failed;
}

enum ds_status stego_stage_embed(struct stego_scan *scan, unsigned colour, const int32_t *own,
                                 const int32_t *context, int32_t *out,
                                 const struct stego_plan *plan, const uint8_t *bits, size_t count,
                                 struct stego_stage_result *result, struct ds_error *err)
{
    struct embedding m = {.scan = scan, .out = out, .bits = bits, .count = count};
    flag_model_init(&m.model);
    resolve(plan, &m.ops);
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

/* Writes the lowest `count` bits of v, the lowest first, behind the first `at` bits of `to`, where
 * there are zeros. */
static void put_bits(uint8_t *to, size_t at, uint64_t v, size_t count)
{
    uint64_t rest = reversed(v); /* the next one is the highest */
    uint8_t *byte = to + (at >> 3);
    unsigned room = 8U - (unsigned)(at & 7U);
    for (size_t done = 0; done < count; byte++) {
        *byte |= (uint8_t)(rest >> 56 >> (8U - room));
        rest <<= room;
        done += room;
        room = 8;
    }
}

struct extracting {
    const struct stego_scan *scan;
    int32_t *samples;
    struct operations ops;
    uint8_t *out;
    size_t count, at;   /* bits of out: where to stop, and the next one */
    bool is_impossible; /* a value was met that no embedder leaves behind */
    struct flag_model model;
    struct stego_decoder coder;
    /* Writes the blob again: a carrier whose blob is another spelling of the same was altered. */
    struct stego_encoder again;
};

static bool is_flagged(struct extracting *m, const struct stego_op *op, int64_t rank)
{
    struct stego_chance *chance = flag_chance(&m->model, op, rank);
    struct stego_chance same = *chance;
    const unsigned flag = stego_decode(&m->coder, chance);
    stego_encode(&m->again, &same, flag);
    flag_done(&m->model, flag);
    return flag != 0;
}

/* Was the site near the end of the range, or near padding, moved? */
static bool was_moved(struct extracting *m, const struct stego_op *op, const struct site *p)
{
    const struct stego_limits *limits = &m->scan->limits;
    const bool tight = is_tight(op, p->rank, stego_room(p->own, p->above, limits));
    if (!may_be_marked(limits, op, p)) {
        m->is_impossible = m->is_impossible || !tight;
        return false;
    }
    return !tight || !is_flagged(m, op, p->rank);
}

static inline void take_bit(struct extracting *m, int64_t moved, bool counts)
{
    const unsigned bit = (unsigned)moved & (unsigned)counts;
    m->out[m->at >> 3] |= (uint8_t)(bit << (7U - (m->at & 7U)));
    m->at += counts;
}

/* Restored values lie between the base and the value found, so they stay in the format's range
 * even when the side information is rubbish. */
static inline void extract_site(struct extracting *m, const struct stego_row *row, size_t j)
{
    const struct stego_limits *limits = &m->scan->limits;
    const struct stego_op *op = &m->ops.of[row->class[j]];
    const uint32_t own = own_of(row, j);
    const struct stego_place p = stego_place_of(own, mean_of(row, j), limits);
    if (p.rank < op->b) {
        return;
    }
    const bool free = stego_room(own, p.above, limits) >= op->t &&
                      (!limits->has_padding || stego_room(own, !p.above, limits) >= op->t);
    if (!free && !was_moved(m, op, &(struct site){own, p.above, p.rank})) {
        return;
    }
    const int64_t d = way_back(op, p.rank);
    const int64_t moved = p.rank - op->b;
    take_bit(m, moved, moved < 2 * (int64_t)op->t);
    const int64_t to = (int64_t)own + (p.above ? -d : d);
    m->samples[row->index + 2 * j] = (int32_t)(to + m->scan->low);
}

static bool extract_word(struct extracting *m, const struct stego_row *row, size_t j)
{
    struct stego_word word;
    uint64_t bits = 0;
    if (!word_of(m->scan, &m->ops, row, j, &word)) {
        return false;
    }
    word.samples = m->samples + row->index + 2 * j;
    const int taken = m->scan->kernels->reveal(&word, &bits, m->count - m->at);
    if (taken > 0) {
        put_bits(m->out, m->at, bits, (size_t)taken);
        m->at += (size_t)taken;
    }
    return taken >= 0;
}

static bool extract_row(void *object, const struct stego_row *row)
{
    struct extracting *m = object;
    for (size_t j = 0; j < row->count && m->at < m->count; j += STEGO_WORD) {
        uint64_t left = pick(m->scan, &m->ops, row, j);
        if (left == 0 || extract_word(m, row, j)) {
            continue;
        }
        for (; left != 0 && m->at < m->count; left &= left - 1) {
            extract_site(m, row, j + (unsigned)__builtin_ctzll(left));
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
    resolve(plan, &m->ops);
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
