/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/kernel.h"

#include "dicomstego/kernel_avx2.h"

#include <stdatomic.h>

static void halve(const int32_t *from, size_t count, int32_t low, uint16_t *to)
{
    for (size_t j = 0; j < count; j++) {
        to[j] = (uint16_t)((uint32_t)from[2 * j] - (uint32_t)low);
    }
}

static void merge(uint16_t *row, size_t count, uint16_t first, uint16_t last)
{
    for (size_t j = 0; j < count; j++) {
        row[j] = row[j] >= first && row[j] <= last ? first : row[j];
    }
}

static uint64_t apart(int64_t a, int64_t b)
{
    return (uint64_t)(a > b ? a - b : b - a);
}

static int64_t or_else(int64_t x, int64_t other)
{
    return x != STEGO_MISSING ? x : other;
}

struct stego_prediction stego_predict(const struct stego_neighbours *around)
{
    int64_t up = or_else(around->near[0], around->near[1]);
    int64_t down = or_else(around->near[1], around->near[0]);
    int64_t left = or_else(around->near[2], around->near[3]);
    int64_t right = or_else(around->near[3], around->near[2]);
    if (up == STEGO_MISSING && left == STEGO_MISSING) {
        return (struct stego_prediction){0, STEGO_NO_SITE};
    }
    up = or_else(up, left);
    down = or_else(down, right);
    left = or_else(left, up);
    right = or_else(right, down);
    const int64_t near[4] = {up, down, left, right};
    uint64_t c = apart(up, left) + apart(up, right) + apart(down, left) + apart(down, right);
    for (size_t i = 0; i < 4; i++) {
        const size_t other = i < 2 ? 2 : 0; /* of the other pair */
        c += apart(near[i], or_else(around->far[i][0], near[other]));
        c += apart(near[i], or_else(around->far[i][1], near[other + 1]));
    }
    return (struct stego_prediction){
        (uint32_t)((up + down + left + right + 3) / 4),
        (uint8_t)stego_class_of(c < UINT16_MAX ? (uint32_t)c : UINT16_MAX)};
}

static int64_t seen(const struct stego_context *k, uint16_t v)
{
    return v == k->missing ? STEGO_MISSING : (int64_t)v;
}

static void predict_ragged(const struct stego_context *k, size_t begin, size_t end, uint16_t *mean,
                           uint8_t *class)
{
    for (size_t j = begin; j < end; j++) {
        const struct stego_neighbours around = {
            {seen(k, k->above[j]), seen(k, k->below[j]), seen(k, k->same[j]),
             seen(k, k->same[j + 1])},
            {{seen(k, k->above2[j]), seen(k, k->above2[j + 1])},
             {seen(k, k->below2[j]), seen(k, k->below2[j + 1])},
             {seen(k, (k->above - 1)[j]), seen(k, (k->below - 1)[j])},
             {seen(k, k->above[j + 1]), seen(k, k->below[j + 1])}}};
        const struct stego_prediction p = stego_predict(&around);
        mean[j] = (uint16_t)p.mean;
        class[j] = p.class;
    }
}

static inline uint32_t between(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

/* Nothing is missing. */
static void predict_whole(const struct stego_context *k, size_t begin, size_t end,
                          uint16_t *restrict mean, uint8_t *restrict class)
{
    const uint16_t *above2 = k->above2;
    const uint16_t *above = k->above;
    const uint16_t *same = k->same;
    const uint16_t *below = k->below;
    const uint16_t *below2 = k->below2;
    for (size_t j = begin; j < end; j++) {
        const uint32_t up = above[j];
        const uint32_t down = below[j];
        const uint32_t left = same[j];
        const uint32_t right = same[j + 1];
        uint32_t c =
            between(up, left) + between(up, right) + between(down, left) + between(down, right);
        c += between(up, above2[j]) + between(up, above2[j + 1]);
        c += between(down, below2[j]) + between(down, below2[j + 1]);
        c += between(left, (above - 1)[j]) + between(left, (below - 1)[j]);
        c += between(right, above[j + 1]) + between(right, below[j + 1]);
        mean[j] = (uint16_t)((up + down + left + right + 3U) / 4U);
        class[j] = (uint8_t)stego_class_of(c);
    }
}

static bool is_ragged(const struct stego_context *k, size_t begin, size_t end)
{
    const uint16_t m = k->missing;
    unsigned any = 0;
    for (size_t j = begin; j < end; j++) {
        any |= (k->above2[j] == m) | (k->above2[j + 1] == m) | ((k->above - 1)[j] == m);
        any |= (k->above[j] == m) | (k->above[j + 1] == m) | (k->same[j] == m);
        any |= (k->same[j + 1] == m) | ((k->below - 1)[j] == m) | (k->below[j] == m);
        any |= (k->below[j + 1] == m) | (k->below2[j] == m) | (k->below2[j + 1] == m);
    }
    return any != 0;
}

static void predict(const struct stego_context *k, size_t count, uint16_t *mean, uint8_t *class)
{
    const size_t step = k->has_missing ? 32 : count;
    for (size_t begin = 0; begin < count; begin += step) {
        const size_t end = count - begin < step ? count : begin + step;
        if (k->has_missing && is_ragged(k, begin, end)) {
            predict_ragged(k, begin, end, mean, class);
        } else {
            predict_whole(k, begin, end, mean, class);
        }
    }
}

static void strike(const uint16_t *own, size_t count, uint16_t first, uint16_t last, uint8_t *class)
{
    for (size_t j = 0; j < count; j++) {
        class[j] = own[j] >= first && own[j] <= last ? STEGO_NO_SITE : class[j];
    }
}

const uint16_t stego_rank_floor[STEGO_RANK_FLOORS] = {40,   48,   56,   64,   80,   96,    128,
                                                      160,  192,  256,  384,  512,  768,   1024,
                                                      1536, 2048, 3072, 4096, 8192, 16384, 32768};

static unsigned cell_of_rank(uint64_t rank)
{
    if (rank < STEGO_RANK_EXACT) {
        return (unsigned)rank;
    }
    unsigned i = 0;
    while (i + 1 < STEGO_RANK_FLOORS && rank >= stego_rank_floor[i + 1]) {
        i++;
    }
    return STEGO_RANK_EXACT + i;
}

static void tally(const uint16_t *own, const uint16_t *mean, const uint8_t *class, size_t count,
                  const struct stego_limits *limits, uint16_t *cell)
{
    for (size_t j = 0; j < count; j++) {
        const struct stego_place p = stego_place_of(own[j], mean[j], limits);
        const int64_t room = stego_room(own[j], p.above, limits);
        const bool fits = room > p.rank || room >= STEGO_ROOM_ENOUGH;
        cell[j] = STEGO_CELLS - 1U;
        if (class[j] != STEGO_NO_SITE && fits) {
            cell[j] = (uint16_t)(class[j] * STEGO_RANK_CELLS + cell_of_rank((uint64_t)p.rank));
        }
    }
}

static uint64_t pick(const uint8_t *class, size_t count, uint64_t classes)
{
    uint64_t picked = 0;
    for (size_t j = 0; j < count; j++) {
        const uint64_t in = class[j] < STEGO_CLASSES ? classes >> class[j] & 1U : 0U;
        picked |= in << j;
    }
    return picked;
}

/* popcount(v) <= most */
static bool has_few(uint64_t v, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        v &= v - 1; /* 0 stays 0 */
    }
    return v == 0;
}

static size_t find(const int32_t *samples, size_t count, size_t from, uint64_t mark, unsigned wrong)
{
    uint64_t window = 0;
    for (size_t i = from; i < count; i++) {
        window = window >> 1 | (uint64_t)(samples[i] & 1) << 63;
        if (i - from >= 63 && has_few(window ^ mark, wrong)) {
            return i - 63;
        }
    }
    return count;
}

static bool inside(const int32_t *samples, size_t count, int32_t low, int32_t high)
{
    bool out = false;
    for (size_t i = 0; i < count; i++) {
        out = out || samples[i] < low || samples[i] > high;
    }
    return !out;
}

static bool holds(const struct stego_holders *h, const int32_t *samples, size_t i)
{
    const int32_t even = samples[i] & ~1;
    const int32_t odd = samples[i] | 1;
    return even >= h->low && odd <= h->high && (h->still == NULL || h->still[i] == 0) &&
           !(h->has_padding && odd >= h->padding_min && even <= h->padding_max);
}

static uint32_t block_unrest(const struct stego_holders *h, const int32_t *samples, size_t first)
{
    uint32_t sum = 0;
    for (size_t i = first; i < first + STEGO_UNREST_BLOCK; i++) {
        if (!holds(h, samples, i)) {
            return STEGO_HOLDS_NONE;
        }
    }
    for (size_t i = first; i < first + STEGO_UNREST_BLOCK; i += 2) {
        const uint64_t d = apart(samples[i], samples[i + 1]);
        sum += d < 255 ? (uint32_t)d : 255U;
    }
    return sum;
}

static void unrest(const struct stego_holders *holders, const int32_t *samples, size_t first,
                   size_t blocks, uint32_t *out)
{
    for (size_t i = 0; i < blocks; i++) {
        out[i] = block_unrest(holders, samples, first + i * STEGO_UNREST_BLOCK);
    }
}

const struct stego_kernels stego_kernels_portable = {.halve = halve,
                                                     .merge = merge,
                                                     .predict = predict,
                                                     .strike = strike,
                                                     .tally = tally,
                                                     .pick = pick,
                                                     .find = find,
                                                     .inside = inside,
                                                     .unrest = unrest};

const struct stego_kernels *stego_kernels_best(void)
{
    const struct stego_kernels *avx2 = stego_kernels_avx2();
    return avx2 != NULL ? avx2 : &stego_kernels_portable;
}

static _Atomic(const struct stego_kernels *) forced;

void stego_kernels_force(const struct stego_kernels *kernels)
{
    atomic_store(&forced, kernels);
}

const struct stego_kernels *stego_kernels_now(void)
{
    const struct stego_kernels *kernels = atomic_load(&forced);
    return kernels != NULL ? kernels : stego_kernels_best();
}
