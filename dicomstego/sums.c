/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/sums.h"

#include <stdlib.h>

bool stego_sums_init(struct stego_sums *s, size_t count, bool is_whole)
{
    *s = (struct stego_sums){0};
    if (is_whole) {
        s->whole = calloc(count, sizeof *s->whole);
        return s->whole != NULL;
    }
    s->high = calloc(count, sizeof *s->high);
    s->low = calloc(count, sizeof *s->low);
    return s->high != NULL && s->low != NULL;
}

void stego_sums_finish(struct stego_sums *s)
{
    free(s->whole);
    free(s->high);
    free(s->low);
}

static void add_whole(int64_t *restrict to, const int32_t *restrict more, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += more[i];
    }
}

/* >> rounds down. */
static void add_split(int32_t *restrict high, uint8_t *restrict low, const int32_t *restrict more,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t sum = low[i] + (more[i] & 255);
        high[i] += (more[i] >> 8) + (sum >> 8);
        low[i] = (uint8_t)sum;
    }
}

void stego_sums_add(struct stego_sums *s, size_t begin, const int32_t *more, size_t count)
{
    if (s->whole != NULL) {
        add_whole(s->whole + begin, more, count);
    } else {
        add_split(s->high + begin, s->low + begin, more, count);
    }
}

static void take_whole(int64_t *restrict from, const int32_t *restrict less, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        from[i] -= less[i];
    }
}

static void take_split(int32_t *restrict high, uint8_t *restrict low, const int32_t *restrict less,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t sum = low[i] - (less[i] & 255);
        high[i] += (sum >> 8) - (less[i] >> 8);
        low[i] = (uint8_t)sum;
    }
}

void stego_sums_take(struct stego_sums *s, size_t begin, const int32_t *less, size_t count)
{
    if (s->whole != NULL) {
        take_whole(s->whole + begin, less, count);
    } else {
        take_split(s->high + begin, s->low + begin, less, count);
    }
}

static void gather_whole(const int64_t *restrict sums, size_t count, int64_t *restrict to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += sums[i];
    }
}

static void gather_split(const int32_t *restrict high, const uint8_t *restrict low, size_t count,
                         int64_t *restrict to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += (int64_t)high[i] * 256 + low[i];
    }
}

void stego_sums_gather(const struct stego_sums *s, size_t begin, size_t count, int64_t *to)
{
    if (s->whole != NULL) {
        gather_whole(s->whole + begin, count, to);
    } else {
        gather_split(s->high + begin, s->low + begin, count, to);
    }
}
