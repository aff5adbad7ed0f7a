/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops - what happens to the pixels of a complexity class, and the search for the best choice.
 * Private to the engine.
 *
 * A pixel has a side (above its base or not) and a rank k >= 0 (how far from the prediction). An
 * operation (b,T) leaves ranks below b alone, expands ranks b..b+T-1 (one bit each) and moves
 * ranks from b+T on outward by T. T = 1 is histogram modification, large T difference expansion.
 */
#ifndef DICOMSTEGO_OPS_H
#define DICOMSTEGO_OPS_H

#include "dicomstego/coder.h"

#include <stdbool.h>
#include <stdint.h>

#define STEGO_CLASSES   64U
#define STEGO_OPS       64U
#define STEGO_RANK_BINS 34U

struct stego_op {
    int32_t b;
    int32_t t; /* 0: the class takes no part */
};

/* Index 0 is (0,0). The order is part of the format. */
extern const struct stego_op stego_ops[STEGO_OPS];

/* One index into stego_ops for each class. */
struct stego_plan {
    uint8_t op[STEGO_CLASSES];
};

/* The same operation for every class: (0, the largest T of the table that is <= t). */
struct stego_plan stego_plan_uniform(int32_t t);

void stego_plan_encode(const struct stego_plan *plan, struct stego_encoder *e);
/* Any bytes whatever give a valid plan. */
void stego_plan_decode(struct stego_plan *plan, struct stego_decoder *d);

/* Number, sum and sum of squares of the ranks in a range of ranks. */
struct stego_bin {
    uint64_t n, sum, squares;
};

struct stego_stats {
    struct stego_bin bin[STEGO_CLASSES][STEGO_RANK_BINS];
};

/* Ranks are below 2^16: samples have at most 16 bits. */
extern const uint8_t stego_low_rank_bin[256];
unsigned stego_high_rank_bin(uint32_t rank);

static inline void stego_stats_add(struct stego_stats *s, unsigned class, uint32_t rank)
{
    const unsigned i = rank < 256 ? stego_low_rank_bin[rank] : stego_high_rank_bin(rank);
    struct stego_bin *bin = &s->bin[class][i];
    bin->n++;
    bin->sum += rank;
    bin->squares += (uint64_t)rank * rank;
}

/* Finds the plans that take at least `need` bits in all at the least squared error, counting what
 * the plans themselves cost. stats and plans have `count` (1 or 2) elements; bits[i] is what plan i
 * is expected to take. False when no plan takes that much. */
DS_CHECKED bool stego_plans_choose(const struct stego_stats *const stats[], unsigned count,
                                   uint64_t need, struct stego_plan plans[], uint64_t bits[]);

#endif
