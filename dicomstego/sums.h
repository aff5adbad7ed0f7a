/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sums - the sums of products that a predictor learns from. Private.
 *
 * Each is of 16 rows at most, whose own sums are below 2^30: 40 bits would do. With few taps they
 * are kept in 64, which is faster; with many they would take a good part of a predictor's memory.
 */
#ifndef DICOMSTEGO_SUMS_H
#define DICOMSTEGO_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stego_sums {
    int64_t *whole;
    int32_t *high; /* when whole is NULL: 256 high + low */
    uint8_t *low;
};

/* count sums, all 0. False: out of memory; stego_sums_finish as after success. */
bool stego_sums_init(struct stego_sums *s, size_t count, bool is_whole);
void stego_sums_finish(struct stego_sums *s);

/* Those from begin on are greater by more, less by less. */
void stego_sums_add(struct stego_sums *s, size_t begin, const int32_t *more, size_t count);
void stego_sums_take(struct stego_sums *s, size_t begin, const int32_t *less, size_t count);

/* Adds those from begin on to to[]. */
void stego_sums_gather(const struct stego_sums *s, size_t begin, size_t count, int64_t *to);

#endif
