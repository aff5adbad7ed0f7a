/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/find.h"

#include "dicomstego/kernel.h"

/* Bit i of the result is bit 63 - i of v. */
static uint64_t reversed(uint64_t v)
{
    uint64_t r = 0;
    for (unsigned i = 0; i < 64; i++) {
        r = r << 1 | (v >> i & 1U);
    }
    return r;
}

size_t stego_find_mark(const int32_t *samples, size_t count, size_t from, uint64_t mark,
                       unsigned wrong)
{
    return stego_kernels_now()->find(samples, count, from, reversed(mark), wrong);
}

bool stego_find_none_outside(const int32_t *samples, size_t count, int32_t low, int32_t high)
{
    return stego_kernels_now()->inside(samples, count, low, high);
}

/* How far back the blocks of a run reach: a power of two. */
#define BLOCKS_KEPT 128U

bool stego_find_restless(const struct stego_plane *plane, size_t length, size_t latest,
                         size_t *begin)
{
    const struct stego_kernels *kernels = stego_kernels_now();
    const struct stego_holders holders = {plane->low,         plane->high,
                                          plane->has_padding, plane->padding_min,
                                          plane->padding_max, plane->still};
    const size_t wanted = (length + STEGO_UNREST_BLOCK - 1) / STEGO_UNREST_BLOCK;
    const size_t blocks = stego_plane_count(plane) / STEGO_UNREST_BLOCK;
    uint32_t unrest[BLOCKS_KEPT];
    uint64_t sum = 0;  /* over the last `held` blocks */
    uint64_t best = 0; /* 1 more than the unrest of the best run */
    size_t held = 0;
    if (wanted == 0 || wanted > BLOCKS_KEPT / 2) {
        return false;
    }
    for (size_t i = 0; i < blocks; i++) {
        if (i % (BLOCKS_KEPT / 2) == 0) {
            const size_t left = blocks - i < BLOCKS_KEPT / 2 ? blocks - i : BLOCKS_KEPT / 2;
            kernels->unrest(&holders, plane->samples, i * STEGO_UNREST_BLOCK, left,
                            &unrest[i % BLOCKS_KEPT]);
        }
        if (unrest[i % BLOCKS_KEPT] == STEGO_HOLDS_NONE) {
            held = 0;
            sum = 0;
            continue;
        }
        sum += unrest[i % BLOCKS_KEPT];
        sum -= held == wanted ? unrest[(i - wanted) % BLOCKS_KEPT] : 0;
        held += held < wanted;
        const size_t at = (i + 1 - held) * STEGO_UNREST_BLOCK;
        if (held == wanted && at <= latest && sum + 1 > best) {
            best = sum + 1;
            *begin = at;
        }
    }
    return best != 0;
}
