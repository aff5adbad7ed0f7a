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
#include "dicomstego/kernel.h"
#include "dicomstego/plane.h"

#include <stdbool.h>
#include <stdint.h>

#define STEGO_OPS       64U
#define STEGO_RANK_BINS 35U

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

/* Adds n pixels with ranks spread evenly from first to last, which are in the same bin. */
void stego_stats_add(struct stego_stats *s, unsigned class, uint64_t first, uint64_t last,
                     uint64_t n);

/* Finds the plans that take at least `need` bits in all at the least squared error, counting what
 * the plans themselves cost. stats and plans have `count` (1 or 2) elements; bits[i] is what plan i
 * is expected to take. False when no plan takes that much. */
DS_CHECKED bool stego_plans_choose(const struct stego_stats *const stats[], unsigned count,
                                   uint64_t need, struct stego_plan plans[], uint64_t bits[]);

/* What both colours of a plane take at each price, the cost of the plans considered but not taken
 * off. */
void stego_stats_curve(const struct stego_stats *const stats[2], struct stego_curve *curve);

#endif
