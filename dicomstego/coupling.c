/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/coupling.h"

#include "dicomstego/fixed.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX (2U * STEGO_WINDOW_MAX + 2U)
#define BUCKETS    256U
#define INNER      32U /* scales next to each other: four octaves */

__extension__ typedef unsigned __int128 wide;

struct stego_couplings {
    struct stego_model model;
    bool failed;
    bool is_counting;
    size_t bytes, room;
    size_t missed;                  /* asked for while counting, when there was no room any more */
    uint32_t power[VALUES_MAX + 1]; /* 2^-(lambda k), 30 fraction bits */
    uint64_t sum[VALUES_MAX + 1];   /* of power[0..k-1] */
    struct stego_coupling *bucket[BUCKETS];
    /* Those whose window lies wholly within the range, by scale and fraction: an image has few
     * scales, so the last one asked for stands for all that share its place. */
    struct stego_coupling *inner[INNER][1U << STEGO_FRACTION_BITS];
    uint16_t window[STEGO_SCALES];
};

/* The scale in 1/256 of a step: 2^(i / 8 - 2) * 16. */
static uint64_t scale_of(unsigned i)
{
    static const uint16_t eighth[8] = {1024, 1117, 1218, 1328, 1448, 1579, 1722, 1878};
    return ((uint64_t)eighth[i & 7U] << (i >> 3U)) >> 8U;
}

/* How many of `all` (30 fraction bits: 1.0) lie above distance d, both in 1/256 of a step, on one
 * side of the mode: the tail of the shape. */
static uint64_t tail(unsigned shape, uint64_t d, uint64_t scale)
{
    if (shape == 1) {
        /* Student's t with 4 degrees of freedom: with w = z / sqrt(4 + z^2) the upper tail is
         * 1/2 - (3 w - w^3) / 4 (Abramowitz & Stegun 26.7.3). */
        const uint64_t cap = scale << 12U;
        const uint64_t z = ((d < cap ? d : cap) << 12U) / scale;
        const uint64_t root = stego_sqrt((UINT64_C(4) << 24U) + z * z);
        const uint64_t w = (z << 15U) / root;
        const uint64_t w3 = (w * w * w) >> 30U;
        const uint64_t up = (3U * w - w3) << 13U;
        return up < (uint64_t)STEGO_ONE / 2U ? (uint64_t)STEGO_ONE / 2U - up : 0;
    }
    const uint64_t e = stego_exp2_minus((d << 17U) / scale);
    if (shape == 2) {
        return e / 2U;
    }
    return (e << 30U) / ((uint64_t)STEGO_ONE + e);
}

static unsigned window_of(unsigned class)
{
    const uint64_t scale = scale_of(class);
    const uint64_t k = (scale * 8U) / 256U + 4U;
    return k < STEGO_WINDOW_MAX ? (unsigned)k : STEGO_WINDOW_MAX;
}

/* The part of STEGO_ONE at or below edge (in 1/256 of a step from the prediction). */
static uint64_t below(unsigned shape, int64_t edge, uint64_t scale)
{
    return edge <= 0 ? tail(shape, (uint64_t)-edge, scale)
                     : (uint64_t)STEGO_ONE - tail(shape, (uint64_t)edge, scale);
}

/* Every value gets one slot, the rest is shared out. */
static void fill_p(const struct stego_couplings *c, struct stego_coupling *t, unsigned class,
                   int64_t centre)
{
    const uint64_t scale = scale_of(class);
    const unsigned shape = c->model.shape;
    const uint64_t share = STEGO_SLOTS - t->count;
    const uint64_t begin = below(shape, 256 * (int64_t)t->first - 128 - centre, scale);
    const int64_t last = t->first + (int64_t)t->count;
    const uint64_t end = below(shape, 256 * last - 128 - centre, scale);
    const uint64_t all = end > begin ? end - begin : 1;
    t->p[0] = 0;
    for (uint32_t i = 1; i < t->count; i++) {
        const int64_t edge = 256 * (t->first + (int64_t)i) - 128 - centre;
        const uint64_t at = below(shape, edge, scale);
        const uint64_t part = at > begin ? at - begin : 0;
        t->p[i] = i + (uint32_t)((part < all ? part : all) * share / all);
    }
    t->p[t->count] = STEGO_SLOTS;
}

/* Consecutive values, outward from `start` steps from the mode, whose q falls by 2^-lambda a step.
 */
struct block {
    uint32_t start, length;
    uint64_t mass;
};

/* Is the block farther out, at a distance of `steps`, less probable than the slope allows? */
static bool violates(const struct stego_couplings *c, const struct block *inner, uint64_t inner_sum,
                     const struct block *outer, uint32_t steps)
{
    const uint64_t left = outer->mass * inner_sum;
    const wide right = (wide)(inner->mass * c->sum[outer->length]) * c->power[steps] >> 30;
    return left < right;
}

static uint32_t mass_at(const struct stego_coupling *t, uint32_t i)
{
    return t->p[i + 1] - t->p[i];
}

/* Pools one side of the mode; returns the number of blocks. */
static unsigned pool_side(const struct stego_couplings *c, const struct stego_coupling *t,
                          uint32_t mode, bool up, struct block *blocks)
{
    unsigned n = 0;
    const uint32_t far = up ? t->count - 1 - mode : mode;
    for (uint32_t k = 1; k <= far; k++) {
        blocks[n++] = (struct block){k, 1, mass_at(t, up ? mode + k : mode - k)};
        while (n > 1 && violates(c, &blocks[n - 2], c->sum[blocks[n - 2].length], &blocks[n - 1],
                                 blocks[n - 2].length)) {
            blocks[n - 2].length += blocks[n - 1].length;
            blocks[n - 2].mass += blocks[n - 1].mass;
            n--;
        }
    }
    return n;
}

/* A mass is at most STEGO_SLOTS, a sum of powers below 2^40: their product has 60 bits. */
_Static_assert((uint64_t)(VALUES_MAX + 1U) << 30 <= UINT64_C(1) << 40, "sums of powers");

/* Writes the masses of a block into mass[], exact in sum. */
static void spread(const struct stego_couplings *c, uint32_t mode, bool up, const struct block *b,
                   uint32_t *mass)
{
    const uint64_t all = c->sum[b->length];
    uint64_t before = 0;
    for (uint32_t j = 0; j < b->length; j++) {
        const uint64_t upto = b->mass * c->sum[j + 1] / all;
        const uint32_t k = b->start + j;
        mass[up ? mode + k : mode - k] = (uint32_t)(upto - before);
        before = upto;
    }
}

/* Merges the mode with the blocks next to it as long as they violate the slope. */
static void pool_mode(const struct stego_couplings *c, const struct stego_coupling *t,
                      uint32_t mode, struct block *side[2], unsigned used[2],
                      const unsigned count[2], uint32_t reached[2], uint32_t *mass)
{
    struct block centre = {0, 1, mass_at(t, mode)};
    uint64_t sum = c->sum[1];
    bool merged = true;
    while (merged) {
        merged = false;
        for (unsigned s = 0; s < 2; s++) {
            const struct block *b = &side[s][used[s]];
            if (used[s] < count[s] && violates(c, &centre, sum, b, b->start)) {
                centre.mass += b->mass;
                reached[s] += b->length;
                used[s]++;
                sum = c->sum[reached[0] + 1] + c->sum[reached[1] + 1] - c->sum[1];
                merged = true;
            }
        }
    }
    uint64_t left = centre.mass;
    for (unsigned s = 0; s < 2; s++) {
        for (uint32_t k = 1; k <= reached[s]; k++) {
            const uint32_t m = (uint32_t)(centre.mass * c->power[k] / sum);
            mass[s == 1 ? mode + k : mode - k] = m;
            left -= m;
        }
    }
    mass[mode] = (uint32_t)left;
}

/* Nothing moves inward or over the mode, by a rounded slot, and nothing farther than the reach. */
static void keep_bounds(const struct stego_coupling *t, uint32_t mode, uint32_t reach)
{
    for (uint32_t i = 1; i < t->count; i++) {
        const bool is_up = i > mode;
        const uint32_t from = reach == 0 || i < reach + mode ? mode : i - reach;
        const uint32_t upto = reach == 0 || i + reach > mode + 1 ? mode + 1 : i + reach;
        const uint32_t least = is_up ? t->p[from] : t->p[i];
        const uint32_t most = is_up ? t->p[i] : t->p[upto];
        t->q[i] = t->q[i] < least ? least : (t->q[i] > most ? most : t->q[i]);
    }
}

static uint32_t mode_of(const struct stego_coupling *t)
{
    const uint32_t upper = (t->key & 15U) >= 8U ? 1 : 0;
    const int64_t mode = (int64_t)upper - t->first;
    return mode < 0 ? 0 : (mode >= (int64_t)t->count ? t->count - 1 : (uint32_t)mode);
}

static void fill_q(const struct stego_couplings *c, struct stego_coupling *t)
{
    struct block down[STEGO_WINDOW_MAX + 2];
    struct block up[STEGO_WINDOW_MAX + 2];
    struct block *side[2] = {down, up};
    uint32_t mass[VALUES_MAX];
    uint32_t reached[2] = {0, 0};
    unsigned used[2] = {0, 0};
    const uint32_t mode = mode_of(t);
    const unsigned count[2] = {pool_side(c, t, mode, false, down), pool_side(c, t, mode, true, up)};
    pool_mode(c, t, mode, side, used, count, reached, mass);
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned b = used[s]; b < count[s]; b++) {
            spread(c, mode, s == 1, &side[s][b], mass);
        }
    }
    t->q[0] = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        t->q[i + 1] = t->q[i] + mass[i];
    }
    keep_bounds(t, mode, c->model.reach);
    t->is_idle = memcmp(t->p, t->q, t->count * sizeof *t->p) == 0;
}

static void fill_powers(struct stego_couplings *c)
{
    /* In 1/2^16 bits. */
    const uint64_t v = stego_exp2_minus((uint64_t)(1024U - c->model.lambda) << 10U) >> 8U;
    c->sum[0] = 0;
    for (unsigned k = 0; k <= VALUES_MAX; k++) {
        c->power[k] = stego_exp2_minus(v * k);
        c->sum[k < VALUES_MAX ? k + 1 : k] = c->sum[k] + (k < VALUES_MAX ? c->power[k] : 0);
    }
}

enum ds_status stego_couplings_new(struct stego_couplings **out, const struct stego_model *model,
                                   size_t room_bytes, bool is_counting, struct ds_error *err)
{
    struct stego_couplings *c = calloc(1, sizeof *c);
    *out = c;
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for the model");
    }
    c->model = *model;
    c->room = room_bytes;
    c->is_counting = is_counting;
    for (unsigned i = 0; i < STEGO_SCALES; i++) {
        c->window[i] = (uint16_t)window_of(i);
    }
    fill_powers(c);
    return DS_OK;
}

void stego_couplings_free(struct stego_couplings *c)
{
    for (unsigned i = 0; c != NULL && i < BUCKETS; i++) {
        for (struct stego_coupling *t = c->bucket[i]; t != NULL;) {
            struct stego_coupling *next = t->next;
            free(t);
            t = next;
        }
    }
    free(c);
}

static size_t bytes_of(uint32_t count, bool is_counted)
{
    return sizeof(struct stego_coupling) +
           ((is_counted ? 3U : 2U) * (size_t)count + 2U) * sizeof(uint32_t);
}

static size_t bytes_taken(const struct stego_coupling *t)
{
    return t->p != NULL ? bytes_of(t->count, t->seen != NULL) : sizeof *t;
}

/* All that nothing was counted in. */
static void forget(struct stego_couplings *c)
{
    memset(c->inner, 0, sizeof c->inner); /* the others are found again by their keys */
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct stego_coupling **from = &c->bucket[i];
        while (*from != NULL) {
            struct stego_coupling *t = *from;
            if (t->seen != NULL) {
                from = &t->next;
                continue;
            }
            *from = t->next;
            c->bytes -= bytes_taken(t);
            free(t);
        }
    }
}

void stego_couplings_set(struct stego_couplings *c, const struct stego_model *model)
{
    c->model.lambda = model->lambda;
    c->model.reach = model->reach;
    forget(c);
    fill_powers(c);
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct stego_coupling *t = c->bucket[i]; t != NULL; t = t->next) {
            fill_q(c, t);
        }
    }
}

size_t stego_couplings_counted(struct stego_couplings *c, size_t more_bytes)
{
    c->is_counting = false;
    c->room = c->bytes + more_bytes;
    return c->missed;
}

static struct stego_coupling *allocate(struct stego_couplings *c, uint32_t count)
{
    const size_t bytes = bytes_of(count, c->is_counting);
    if (bytes > c->room || c->bytes > c->room - bytes) {
        if (c->is_counting) {
            c->missed++;
            return NULL;
        }
        forget(c);
    }
    struct stego_coupling *t = malloc(bytes);
    c->failed = c->failed || t == NULL;
    c->bytes += t != NULL ? bytes : 0;
    return t;
}

/* Nobody looks at the slots of an idle one. */
static struct stego_coupling *slim(struct stego_couplings *c, struct stego_coupling *t)
{
    c->bytes -= bytes_taken(t);
    t->p = t->q = NULL;
    c->bytes += bytes_taken(t);
    struct stego_coupling *less = realloc(t, sizeof *t);
    return less != NULL ? less : t;
}

static struct stego_coupling *make(struct stego_couplings *c, uint32_t key, unsigned class,
                                   unsigned fraction, uint32_t down, uint32_t up)
{
    const uint32_t count = down + up + 1;
    struct stego_coupling *t = allocate(c, count);
    if (t == NULL) {
        return NULL;
    }
    t->first = -(int32_t)down;
    t->count = count;
    t->key = key;
    t->p = (uint32_t *)(t + 1);
    t->q = t->p + count + 1;
    t->seen = c->is_counting ? t->q + count + 1 : NULL;
    if (t->seen != NULL) {
        memset(t->seen, 0, count * sizeof(uint32_t));
    }
    fill_p(c, t, class, (int64_t)fraction * 16 + 8); /* predictions are rounded down */
    fill_q(c, t);
    return t->is_idle && t->seen == NULL ? slim(c, t) : t;
}

static uint32_t key_of(unsigned scale, unsigned fraction, uint32_t down, uint32_t up)
{
    return fraction | scale << 4U | down << 12U | up << 21U;
}

static unsigned scale_in(uint32_t key)
{
    return key >> 4U & 255U;
}

static struct stego_coupling *find_or_make(struct stego_couplings *c, unsigned scale,
                                           unsigned fraction, uint32_t down, uint32_t up)
{
    const uint32_t key = key_of(scale, fraction, down, up);
    struct stego_coupling **head = &c->bucket[(key * 2654435761U) >> 24U];
    for (struct stego_coupling *t = *head; t != NULL; t = t->next) {
        if (t->key == key) {
            return t;
        }
    }
    struct stego_coupling *t = make(c, key, scale, fraction, down, up);
    if (t != NULL) {
        t->next = *head;
        *head = t;
    }
    return t;
}

const struct stego_coupling *stego_couplings_get(struct stego_couplings *c, unsigned scale,
                                                 unsigned fraction, uint32_t below_, uint32_t above)
{
    const uint32_t window = c->window[scale];
    const bool is_inner = below_ >= window && above >= window;
    struct stego_coupling **inner = &c->inner[scale % INNER][fraction];
    if (is_inner && *inner != NULL && scale_in((*inner)->key) == scale) {
        return *inner;
    }
    /* Wide windows: a fraction matters less, and near the ends of the range few widths will do. */
    const uint32_t grain = window / 16U < 1 ? 1 : window / 16U;
    unsigned f = fraction;
    if (window > 128) {
        f = 8;
    } else if (window > 32) {
        f = (fraction & ~3U) + 2U;
    }
    const uint32_t down = below_ >= window ? window : below_ - below_ % grain;
    const uint32_t up = above >= window ? window : above - above % grain;
    if (down + up == 0) {
        return NULL;
    }
    struct stego_coupling *t = find_or_make(c, scale, f, down, up);
    if (is_inner) {
        *inner = t;
    }
    return t;
}

bool stego_couplings_failed(const struct stego_couplings *c)
{
    return c->failed;
}

/* By the series of the inverse hyperbolic tangent; the error is below 1e-9. */
static double log2_of(uint32_t v)
{
    int octave = 31 - __builtin_clz(v);
    double m = (double)v / (double)(UINT64_C(1) << octave);
    if (m > 1.41421356) {
        m /= 2.0;
        octave++;
    }
    const double t = (m - 1.0) / (m + 1.0);
    const double u = t * t;
    const double series = 1.0 + u * (1.0 / 3 + u * (1.0 / 5 + u * (1.0 / 7 + u * (1.0 / 9))));
    return (double)octave + 2.0 * 1.4426950408889634 * t * series;
}

double stego_shape_cost(unsigned shape, unsigned scale, int32_t distance)
{
    const uint64_t s = scale_of(scale);
    const int64_t d = 16 * (int64_t)distance - 8; /* predictions are rounded down */
    const uint64_t above = below(shape, d + 128, s);
    const uint64_t under = below(shape, d - 128, s);
    const uint64_t part = above > under ? (above - under) >> 4U : 0; /* 26 fraction bits */
    return 26.0 - log2_of((uint32_t)part + 8U);
}

/* Of the pixels at i, those in the slots that P's i shares with Q's j become j. */
static void yield_of(const struct stego_coupling *t, uint32_t i, struct stego_yield *sum)
{
    const uint32_t begin = t->p[i];
    const uint32_t end = t->p[i + 1];
    const double n = (double)t->seen[i] / (double)(end - begin);
    const double own = log2_of(end - begin);
    uint32_t j = i;
    while (j > 0 && t->q[j] > begin) {
        j--;
    }
    for (; j < t->count && t->q[j] < end; j++) {
        const uint32_t from = t->q[j] > begin ? t->q[j] : begin;
        const uint32_t to = t->q[j + 1] < end ? t->q[j + 1] : end;
        if (to > from) {
            const double part = n * (double)(to - from);
            const double d = (double)j - (double)i;
            sum->bits += part * (own - log2_of(t->q[j + 1] - t->q[j]));
            sum->error += part * d * d;
        }
    }
}

struct stego_yield stego_couplings_yield(const struct stego_couplings *c)
{
    struct stego_yield sum = {0.0, 0.0};
    for (unsigned b = 0; b < BUCKETS; b++) {
        for (const struct stego_coupling *t = c->bucket[b]; t != NULL; t = t->next) {
            for (uint32_t i = 0; t->seen != NULL && i < t->count; i++) {
                if (t->seen[i] != 0) {
                    yield_of(t, i, &sum);
                }
            }
        }
    }
    return sum;
}
