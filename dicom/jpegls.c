/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lossless regular and run modes of JPEG-LS (ITU-T T.87, Annex A) for one component, scan data
 * only. Our own, because what is decoded here comes from outside: the distribution's CharLS keeps
 * its assertions and so ends the process at a crafted scan, and exports JpegLsDecode with other
 * arguments than the CharLS inside DCMTK, which then may find the wrong one of the two.
 */
#include "dicom/jpegls.h"

#include <stdlib.h>

#define RESET         64 /* the default */
#define CONTEXTS      365
#define CORRECTION    128 /* C lies in -128..127 */
#define RUN_INDEX_MAX 31U

static const uint8_t run_orders[RUN_INDEX_MAX + 1] = {/* J of A.2.1 */
                                                      0, 0, 0, 0, 1,  1,  1,  1,  2,  2, 2,
                                                      2, 3, 3, 3, 3,  4,  4,  5,  5,  6, 6,
                                                      7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

struct context {
    int32_t a; /* sum of magnitudes: at most reset * range, far below 2^31 */
    int32_t b; /* bias */
    int32_t c; /* correction of the prediction */
    int32_t n;
};

struct run_context {
    int32_t a, n, negative;
};

struct model {
    int32_t range; /* 2^depth */
    int32_t thresholds[3];
    int32_t reset;
    unsigned depth;
    unsigned limit; /* of the length of a code word */
    unsigned run_index;
    struct context contexts[CONTEXTS];
    struct run_context runs[2]; /* interrupted between unequal and equal neighbours */
    /* Lines with the sample left of them in [0] and the one right of them behind the last. */
    int32_t *above, *line;
    size_t columns;
};

/* What is known about a sample before it is coded. */
struct site {
    int32_t a, b, c, d; /* left, above, above left, above right */
};

static int32_t clamp(int32_t v, int32_t low, int32_t high)
{
    return v > high || v < low ? low : v;
}

/* C.2.4.1.1 with NEAR = 0. */
static void set_thresholds(struct model *m)
{
    static const int32_t basic[3] = {3, 7, 21};
    const int32_t max = m->range - 1;
    int32_t low = 1;
    for (size_t i = 0; i < 3; i++) {
        int32_t t = 0;
        if (max >= 128) {
            const int32_t factor = ((max < 4095 ? max : 4095) + 128) / 256;
            t = factor * (basic[i] - (int32_t)i - 2) + (int32_t)i + 2;
        } else {
            const int32_t factor = 256 / (max + 1);
            t = basic[i] / factor > (int32_t)i + 2 ? basic[i] / factor : (int32_t)i + 2;
        }
        m->thresholds[i] = clamp(t, low, max);
        low = m->thresholds[i];
    }
}

/* The stream's own, where it has any (C.2.4.1.1); false when they are out of range. */
static bool take_presets(struct model *m, const struct dicom_jpegls *b)
{
    int32_t low = 1;
    m->reset = b->reset != 0 ? b->reset : RESET;
    set_thresholds(m);
    for (size_t i = 0; i < 3; i++) {
        m->thresholds[i] = b->thresholds[i] != 0 ? b->thresholds[i] : m->thresholds[i];
        if (m->thresholds[i] < low || m->thresholds[i] >= m->range) {
            return false;
        }
        low = m->thresholds[i];
    }
    return m->reset >= 3 && m->reset <= (int32_t)DICOM_JPEGLS_RESET_MAX;
}

static void model_finish(struct model *m)
{
    free(m->above);
    free(m->line);
}

static enum ds_status model_init(struct model *m, const struct dicom_jpegls *b,
                                 struct ds_error *err)
{
    *m = (struct model){.depth = b->depth, .columns = b->columns};
    if (b->depth < DICOM_JPEGLS_DEPTH_MIN || b->depth > DICOM_JPEGLS_DEPTH_MAX) {
        return ds_fail(err, DS_EFORMAT, "JPEG-LS has no samples of %u bits", b->depth);
    }
    m->range = INT32_C(1) << b->depth;
    m->limit = 2 * (b->depth + (b->depth > 8 ? b->depth : 8));
    if (!take_presets(m, b)) {
        return ds_fail(err, DS_EFORMAT, "JPEG-LS with parameters out of range");
    }
    const int32_t a = (m->range + 32) / 64 > 2 ? (m->range + 32) / 64 : 2;
    for (size_t i = 0; i < CONTEXTS; i++) {
        m->contexts[i] = (struct context){.a = a, .n = 1};
    }
    m->runs[0] = m->runs[1] = (struct run_context){.a = a, .n = 1};
    m->above = calloc(m->columns + 2, sizeof(int32_t));
    m->line = calloc(m->columns + 2, sizeof(int32_t));
    return m->above != NULL && m->line != NULL
               ? DS_OK
               : ds_fail(err, DS_ENOMEM, "no memory for lines of %zu samples", m->columns);
}

/* A.2.1: the borders of the line that comes, after that which was. */
static void next_line(struct model *m)
{
    int32_t *was = m->line;
    m->line = m->above;
    m->above = was;
    m->above[m->columns + 1] = m->above[m->columns];
    m->line[0] = m->above[1];
}

static struct site site_at(const struct model *m, size_t x)
{
    return (struct site){m->line[x], m->above[x + 1], m->above[x], m->above[x + 2]};
}

static bool starts_run(const struct site *s)
{
    return s->d == s->b && s->b == s->c && s->c == s->a;
}

static int32_t quantize(const struct model *m, int32_t gradient)
{
    const int32_t size = gradient < 0 ? -gradient : gradient;
    const int32_t q = size == 0                 ? 0
                      : size < m->thresholds[0] ? 1
                      : size < m->thresholds[1] ? 2
                      : size < m->thresholds[2] ? 3
                                                : 4;
    return gradient < 0 ? -q : q;
}

/* A.3: mirrored contexts are one; *sign says which of the two it was. */
static struct context *context_of(struct model *m, const struct site *s, int32_t *sign)
{
    const int32_t q =
        81 * quantize(m, s->d - s->b) + 9 * quantize(m, s->b - s->c) + quantize(m, s->c - s->a);
    *sign = q < 0 ? -1 : 1;
    return &m->contexts[q < 0 ? -q : q];
}

/* A.4.1 and A.4.2 */
static int32_t predict(const struct model *m, const struct site *s, const struct context *q,
                       int32_t sign)
{
    const int32_t low = s->a < s->b ? s->a : s->b;
    const int32_t high = s->a < s->b ? s->b : s->a;
    const int32_t edge = s->c >= high ? low : s->c <= low ? high : s->a + s->b - s->c;
    const int32_t p = edge + sign * q->c;
    return p < 0 ? 0 : p >= m->range ? m->range - 1 : p;
}

/* A.4.5: into -range/2..range/2-1 */
static int32_t reduce(const struct model *m, int32_t error)
{
    const int32_t half = m->range / 2;
    return (int32_t)((uint32_t)(error + half) & (uint32_t)(m->range - 1)) - half;
}

static int32_t reconstruct(const struct model *m, int32_t predicted, int32_t error)
{
    return (int32_t)((uint32_t)(predicted + error) & (uint32_t)(m->range - 1));
}

/* The Golomb code's parameter (A.5.1). a < 2^23, so k is small. */
static unsigned order_of(int32_t n, int32_t a)
{
    unsigned k = 0;
    while (n << k < a) {
        k++;
    }
    return k;
}

/* A.5.2: with this bias and k the two signs change places. */
static bool is_turned(const struct context *q, unsigned k)
{
    return k == 0 && 2 * q->b <= -q->n;
}

static uint32_t map_error(int32_t error, bool turned)
{
    return turned ? (uint32_t)(error >= 0 ? 2 * error + 1 : -2 * (error + 1))
                  : (uint32_t)(error >= 0 ? 2 * error : -2 * error - 1);
}

static int32_t unmap_error(uint32_t mapped, bool turned)
{
    const int32_t half = (int32_t)(mapped >> 1);
    return ((mapped & 1U) != 0) == turned ? half : -half - 1;
}

/* A.6 */
static void learn(const struct model *m, struct context *q, int32_t error)
{
    q->b += error;
    q->a += error < 0 ? -error : error;
    if (q->n == m->reset) {
        q->a >>= 1;
        q->b = q->b >= 0 ? q->b >> 1 : -((1 - q->b) >> 1);
        q->n >>= 1;
    }
    q->n++;
    if (q->b <= -q->n) {
        q->b += q->n;
        q->c -= q->c > -CORRECTION ? 1 : 0;
        q->b = q->b <= -q->n ? 1 - q->n : q->b;
    } else if (q->b > 0) {
        q->b -= q->n;
        q->c += q->c < CORRECTION - 1 ? 1 : 0;
        q->b = q->b > 0 ? 0 : q->b;
    }
}

/* ---- run interruption (A.7.2) ---- */

struct interruption {
    struct run_context *q;
    int32_t equal; /* RItype: 1 when left and above are equal */
    int32_t sign, predicted;
    unsigned k, limit;
};

static struct interruption interruption_at(struct model *m, const struct site *s)
{
    struct interruption i = {.equal = s->a == s->b ? 1 : 0};
    i.q = &m->runs[i.equal];
    i.sign = s->a > s->b ? -1 : 1;
    i.predicted = s->b;
    i.k = order_of(i.q->n, i.q->a + i.equal * (i.q->n >> 1));
    i.limit = m->limit - run_orders[m->run_index] - 1U;
    return i;
}

/* Negative errors take the odd codes when this holds, the even ones otherwise. */
static bool negative_is_odd(const struct interruption *i)
{
    return i->k != 0 || 2 * i->q->negative >= i->q->n;
}

static uint32_t map_interruption(const struct interruption *i, int32_t error)
{
    const int32_t odd = error != 0 && (error < 0) == negative_is_odd(i) ? 1 : 0;
    return (uint32_t)(2 * (error < 0 ? -error : error) - i->equal - odd);
}

static int32_t unmap_interruption(const struct interruption *i, uint32_t mapped)
{
    const uint32_t v = mapped + (uint32_t)i->equal;
    const bool odd = (v & 1U) != 0;
    const int32_t size = (int32_t)((v + 1) >> 1);
    return odd == negative_is_odd(i) ? -size : size;
}

static void learn_interruption(struct model *m, const struct interruption *i, int32_t error,
                               uint32_t mapped)
{
    struct run_context *q = i->q;
    q->negative += error < 0 ? 1 : 0;
    q->a += ((int32_t)mapped + 1 - i->equal) >> 1;
    if (q->n == m->reset) {
        q->a >>= 1;
        q->n >>= 1;
        q->negative >>= 1;
    }
    q->n++;
    m->run_index -= m->run_index > 0 ? 1U : 0U;
}

/* ---- bits out: a byte behind 0xff has seven (A.1) ---- */

struct writer {
    struct ds_bytes *out;
    struct ds_error *err;
    enum ds_status status; /* the first failure stays */
    uint64_t pending;
    unsigned count; /* bits in pending, below 8 between calls */
    bool after_ff;
};

static void put(struct writer *w, uint32_t value, unsigned bits)
{
    w->pending = w->pending << bits | value;
    w->count += bits;
    for (unsigned take = w->after_ff ? 7 : 8; w->count >= take; take = w->after_ff ? 7 : 8) {
        w->count -= take;
        const uint8_t byte = (uint8_t)(w->pending >> w->count & ((1U << take) - 1));
        w->after_ff = byte == 0xffU;
        if (w->status == DS_OK) {
            w->status = ds_bytes_put_u8(w->out, byte, w->err);
        }
    }
}

static void put_end(struct writer *w)
{
    if (w->count > 0 || w->after_ff) {
        put(w, 0, (w->after_ff ? 7 : 8) - w->count);
    }
}

/* A.5.3 */
static void put_golomb(struct writer *w, uint32_t v, unsigned k, unsigned limit, unsigned depth)
{
    const unsigned longest = limit - depth - 1;
    const bool escape = v >> k >= longest;
    const unsigned zeros = escape ? longest : v >> k;
    put(w, 0, zeros / 2);
    put(w, 0, zeros - zeros / 2);
    put(w, 1, 1);
    if (escape) {
        put(w, v - 1, depth);
    } else {
        put(w, v & ((1U << k) - 1), k);
    }
}

static void encode_sample(struct model *m, struct writer *w, size_t x, int32_t value)
{
    const struct site s = site_at(m, x);
    int32_t sign = 1;
    struct context *q = context_of(m, &s, &sign);
    const int32_t error = reduce(m, sign * (value - predict(m, &s, q, sign)));
    const unsigned k = order_of(q->n, q->a);
    put_golomb(w, map_error(error, is_turned(q, k)), k, m->limit, m->depth);
    learn(m, q, error);
}

static void put_run(struct model *m, struct writer *w, size_t run, bool to_end)
{
    while (run >= (size_t)1 << run_orders[m->run_index]) {
        put(w, 1, 1);
        run -= (size_t)1 << run_orders[m->run_index];
        m->run_index += m->run_index < RUN_INDEX_MAX ? 1U : 0U;
    }
    if (!to_end) {
        put(w, 0, 1);
        put(w, (uint32_t)run, run_orders[m->run_index]);
    } else if (run > 0) {
        put(w, 1, 1);
    }
}

/* Returns the column behind the run and the sample that ended it. */
static size_t encode_run(struct model *m, struct writer *w, size_t x, const uint32_t *row)
{
    const int32_t same = m->line[x];
    const size_t start = x;
    while (x < m->columns && (int32_t)row[x] == same) {
        m->line[++x] = same;
    }
    put_run(m, w, x - start, x == m->columns);
    if (x == m->columns) {
        return x;
    }
    const struct site s = site_at(m, x);
    const struct interruption i = interruption_at(m, &s);
    const int32_t error = reduce(m, i.sign * ((int32_t)row[x] - i.predicted));
    const uint32_t mapped = map_interruption(&i, error);
    put_golomb(w, mapped, i.k, i.limit, m->depth);
    learn_interruption(m, &i, error, mapped);
    m->line[x + 1] = (int32_t)row[x];
    return x + 1;
}

static void encode_line(struct model *m, struct writer *w, const uint32_t *row)
{
    for (size_t x = 0; x < m->columns;) {
        const struct site s = site_at(m, x);
        if (starts_run(&s)) {
            x = encode_run(m, w, x, row);
        } else {
            encode_sample(m, w, x, (int32_t)row[x]);
            m->line[x + 1] = (int32_t)row[x];
            x++;
        }
    }
}

enum ds_status dicom_jpegls_encode(const struct dicom_jpegls *b, struct ds_bytes *out,
                                   struct ds_error *err)
{
    DS_AUTO(model_finish) struct model m = {0};
    const enum ds_status s = model_init(&m, b, err);
    if (s != DS_OK) {
        return s;
    }
    struct writer w = {.out = out, .err = err};
    for (uint32_t y = 0; y < b->rows && w.status == DS_OK; y++) {
        next_line(&m);
        encode_line(&m, &w, b->values + (size_t)y * b->columns);
    }
    put_end(&w);
    return w.status;
}

/* ---- bits in ---- */

struct reader {
    const uint8_t *data;
    size_t len, at;
    uint64_t ahead;
    unsigned count; /* valid bits in ahead, the lowest ones */
    bool after_ff;
    bool failed; /* read past the end, or what no encoder writes */
};

static void read_ahead(struct reader *r)
{
    while (r->count <= 48 && r->at < r->len) {
        const uint8_t byte = r->data[r->at++];
        const unsigned bits = r->after_ff ? 7 : 8;
        r->failed = r->failed || (r->after_ff && byte > 0x7fU); /* a marker */
        r->ahead = r->ahead << bits | byte;
        r->count += bits;
        r->after_ff = byte == 0xffU;
    }
}

/* At most 16 bits; 0 when there are not so many. */
static uint32_t get(struct reader *r, unsigned bits)
{
    if (r->count < bits) {
        read_ahead(r);
    }
    if (r->count < bits) {
        r->failed = true;
        return 0;
    }
    r->count -= bits;
    return (uint32_t)(r->ahead >> r->count) & ((1U << bits) - 1);
}

/* Nothing but the zeros that fill up the last byte. */
static bool is_at_end(struct reader *r)
{
    read_ahead(r);
    return !r->failed && r->at == r->len && r->count < 8 &&
           (r->ahead & ((UINT64_C(1) << r->count) - 1)) == 0;
}

static uint32_t get_golomb(struct reader *r, unsigned k, unsigned limit, unsigned depth)
{
    const unsigned longest = limit - depth - 1;
    unsigned zeros = 0;
    while (zeros <= longest && !r->failed && get(r, 1) == 0) {
        zeros++;
    }
    r->failed = r->failed || zeros > longest;
    return zeros < longest ? (uint32_t)zeros << k | get(r, k) : get(r, depth) + 1;
}

static void decode_sample(struct model *m, struct reader *r, size_t x)
{
    const struct site s = site_at(m, x);
    int32_t sign = 1;
    struct context *q = context_of(m, &s, &sign);
    const unsigned k = order_of(q->n, q->a);
    const uint32_t mapped = get_golomb(r, k, m->limit, m->depth);
    if (mapped >= (uint32_t)m->range) { /* larger ones would make the sums grow without bound */
        r->failed = true;
        return;
    }
    const int32_t error = unmap_error(mapped, is_turned(q, k));
    m->line[x + 1] = reconstruct(m, predict(m, &s, q, sign), sign * error);
    learn(m, q, error);
}

static void decode_interruption(struct model *m, struct reader *r, size_t x)
{
    const struct site s = site_at(m, x);
    const struct interruption i = interruption_at(m, &s);
    const uint32_t mapped = get_golomb(r, i.k, i.limit, m->depth);
    if (mapped + (uint32_t)i.equal > (uint32_t)m->range) {
        r->failed = true;
        return;
    }
    const int32_t error = unmap_interruption(&i, mapped);
    m->line[x + 1] = reconstruct(m, i.predicted, i.sign * error);
    learn_interruption(m, &i, error, mapped);
}

/* The run's length; *to_end when it goes to the line's end, else a sample that ends it follows. */
static size_t get_run(struct model *m, struct reader *r, size_t left, bool *to_end)
{
    size_t run = 0;
    *to_end = false;
    while (get(r, 1) != 0) {
        const size_t step = (size_t)1 << run_orders[m->run_index];
        const bool whole = step <= left - run;
        run += whole ? step : left - run;
        m->run_index += whole && m->run_index < RUN_INDEX_MAX ? 1U : 0U;
        if (run == left) {
            *to_end = true;
            return run;
        }
    }
    const size_t rest = get(r, run_orders[m->run_index]);
    r->failed = r->failed || rest >= left - run;
    return r->failed ? 0 : run + rest;
}

static size_t decode_run(struct model *m, struct reader *r, size_t x)
{
    bool to_end = false;
    const int32_t same = m->line[x];
    const size_t end = x + get_run(m, r, m->columns - x, &to_end);
    while (x < end) {
        m->line[++x] = same;
    }
    if (!to_end && !r->failed) {
        decode_interruption(m, r, x);
        x++;
    }
    return x;
}

static void decode_line(struct model *m, struct reader *r)
{
    for (size_t x = 0; x < m->columns && !r->failed;) {
        const struct site s = site_at(m, x);
        if (starts_run(&s)) {
            x = decode_run(m, r, x);
        } else {
            decode_sample(m, r, x);
            x++;
        }
    }
}

enum ds_status dicom_jpegls_decode(struct dicom_jpegls *b, const uint8_t *data, size_t len,
                                   struct ds_error *err)
{
    DS_AUTO(model_finish) struct model m = {0};
    const enum ds_status s = model_init(&m, b, err);
    if (s != DS_OK) {
        return s;
    }
    struct reader r = {.data = data, .len = len};
    for (uint32_t y = 0; y < b->rows && !r.failed; y++) {
        next_line(&m);
        decode_line(&m, &r);
        for (size_t x = 0; x < m.columns; x++) {
            b->values[(size_t)y * b->columns + x] = (uint32_t)m.line[x + 1];
        }
    }
    return is_at_end(&r) ? DS_OK : ds_fail(err, DS_EFORMAT, "the JPEG-LS scan is damaged");
}
