/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/ops.h"

#include <string.h>

/* clang-format off */
const struct stego_op stego_ops[STEGO_OPS] = {
    {0, 0},
    {0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1},
    {0, 2}, {1, 2}, {2, 2}, {3, 2}, {4, 2},
    {0, 3}, {1, 3}, {2, 3}, {3, 3}, {4, 3},
    {0, 4}, {1, 4}, {2, 4}, {3, 4}, {4, 4},
    {0, 5}, {1, 5}, {2, 5}, {3, 5}, {4, 5},
    {0, 6}, {1, 6}, {2, 6}, {3, 6}, {4, 6},
    {0, 8}, {1, 8}, {2, 8}, {3, 8}, {4, 8},
    {0, 10}, {0, 12}, {0, 14}, {0, 16}, {0, 20}, {0, 24}, {0, 28}, {0, 32}, {0, 40}, {0, 48},
    {0, 56}, {0, 64}, {0, 80}, {0, 96}, {0, 128}, {0, 160}, {0, 192}, {0, 256}, {0, 384}, {0, 512},
    {0, 768}, {0, 1024}, {0, 4096}, {0, 65536},
};

/* Where the bins begin: every b and b+T of the table is a border, so that what an operation does is
 * a sum of whole bins. */
static const int32_t bin_floor[STEGO_RANK_BINS + 1] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96,
    128, 160, 192, 256, 384, 512, 768, 1024, 4096, 65536,
};

const uint8_t stego_low_rank_bin[256] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 13, 13,
    14, 14, 14, 14, 15, 15, 15, 15, 16, 16, 16, 16, 17, 17, 17, 17,
    18, 18, 18, 18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19,
    20, 20, 20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 21, 21,
    22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22,
    23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23,
    24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
    24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25,
    26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26,
    26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27,
};
/* clang-format on */

unsigned stego_high_rank_bin(uint32_t rank)
{
    unsigned i = stego_low_rank_bin[255];
    while (i + 1 < STEGO_RANK_BINS && rank >= (uint32_t)bin_floor[i + 1]) {
        i++;
    }
    return i;
}

struct stego_plan stego_plan_uniform(int32_t t)
{
    struct stego_plan plan;
    unsigned best = 0;
    for (unsigned i = 1; i < STEGO_OPS; i++) {
        if (stego_ops[i].b == 0 && stego_ops[i].t <= t) {
            best = i;
        }
    }
    memset(plan.op, (int)best, sizeof plan.op);
    return plan;
}

/* Neighbouring classes mostly share an operation: one bit says so, six name a new one. */
#define CHANCE_SAME ((struct stego_chance){58000, 3})

void stego_plan_encode(const struct stego_plan *plan, struct stego_encoder *e)
{
    struct stego_chance same = CHANCE_SAME;
    unsigned last = 0;
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        const unsigned op = plan->op[c];
        stego_encode(e, &same, op == last);
        if (op != last) {
            stego_encode_plain(e, op, 6);
        }
        last = op;
    }
}

void stego_plan_decode(struct stego_plan *plan, struct stego_decoder *d)
{
    struct stego_chance same = CHANCE_SAME;
    unsigned last = 0;
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        if (stego_decode(d, &same) == 0) {
            last = stego_decode_plain(d, 6);
        }
        plan->op[c] = (uint8_t)last;
    }
}

/*
 * The search: minimise distortion - lambda * (bits taken - bits spent on the plan). Doubles are
 * used on the embedder's side only; lambda has 7 significant bits, so lambda * bits is exact and a
 * fused multiply-add gives the same carrier as separate instructions.
 */
struct outcome {
    double bits;  /* taken, whole */
    double error; /* expected sum of squares */
};

typedef struct outcome outcome_table[STEGO_CLASSES][STEGO_OPS];

#define COST_SAME_BITS   0.25
#define COST_CHANGE_BITS 9.0
#define LAMBDA_STEPS     3840U

static double lambda_at(unsigned i)
{
    double v = 64.0 + (double)(i % 64U);
    for (unsigned k = 0; k < i / 64U; k++) {
        v *= 2.0;
    }
    return v / 4194304.0; /* 2^22: the smallest is 2^-16 */
}

/* With r = k - b an expanded pixel moves by r or r+1: (r^2 + (r+1)^2) / 2 = r^2 + r + 1/2. */
static struct outcome outcome_of(const struct stego_bin *bins, const struct stego_op *op)
{
    struct outcome o = {0.0, 0.0};
    const double b = op->b;
    const double t = op->t;
    for (unsigned i = 0; i < STEGO_RANK_BINS; i++) {
        const double n = (double)bins[i].n;
        if (bins[i].n == 0 || bin_floor[i] < op->b) {
            continue;
        }
        if (bin_floor[i] >= op->b + op->t) {
            o.error += n * t * t;
            continue;
        }
        const double sum = (double)bins[i].sum;
        o.error += (double)bins[i].squares - 2.0 * b * sum + b * b * n + sum - b * n + 0.5 * n;
        o.bits += n;
    }
    return o;
}

/* The last operation expands every rank, so it takes a bit of each pixel there is. */
static bool is_empty(const struct outcome outcomes[STEGO_OPS])
{
    return outcomes[STEGO_OPS - 1].bits < 0.5;
}

static bool has_pixels(const struct stego_bin bins[STEGO_RANK_BINS])
{
    for (unsigned i = 0; i < STEGO_RANK_BINS; i++) {
        if (bins[i].n != 0) {
            return true;
        }
    }
    return false;
}

static void fill_outcomes(const struct stego_stats *stats, outcome_table table)
{
    memset(table, 0, sizeof(outcome_table));
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        if (!has_pixels(stats->bin[c])) {
            continue;
        }
        for (unsigned i = 1; i < STEGO_OPS; i++) {
            table[c][i] = outcome_of(stats->bin[c], &stego_ops[i]);
        }
    }
}

/* One step of the path: the costs of being at each operation after this class, from where each was
 * reached, and the cheapest. */
static unsigned path_step(const struct outcome outcomes[STEGO_OPS], double lambda,
                          unsigned cheapest, double cost[STEGO_OPS], uint8_t from[STEGO_OPS])
{
    const double change = cost[cheapest] + lambda * COST_CHANGE_BITS;
    unsigned best = 0;
    for (unsigned i = 0; i < STEGO_OPS; i++) {
        const double stay = cost[i] + lambda * COST_SAME_BITS;
        from[i] = (uint8_t)(stay <= change ? i : cheapest);
        cost[i] = (stay <= change ? stay : change) + outcomes[i].error;
        cost[i] -= lambda * outcomes[i].bits;
        best = cost[i] < cost[best] ? i : best;
    }
    return best;
}

/* The cheapest path through the classes at this lambda (Viterbi); returns the bits it takes. */
static double best_path(outcome_table table, double lambda, struct stego_plan *plan)
{
    double cost[STEGO_OPS];
    uint8_t from[STEGO_CLASSES][STEGO_OPS];
    unsigned cheapest = 0;
    for (unsigned i = 0; i < STEGO_OPS; i++) {
        cost[i] = i == 0 ? 0.0 : lambda * COST_CHANGE_BITS;
    }
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        if (!is_empty(table[c])) {
            cheapest = path_step(table[c], lambda, cheapest, cost, from[c]);
            continue;
        }
        for (unsigned i = 0; i < STEGO_OPS; i++) {
            from[c][i] = (uint8_t)i; /* keeps what it has, at next to no cost */
        }
    }
    double bits = 0.0;
    for (unsigned c = STEGO_CLASSES; c-- > 0;) {
        plan->op[c] = (uint8_t)cheapest;
        bits += table[c][cheapest].bits;
        cheapest = from[c][cheapest];
    }
    return bits;
}

static bool try_lambda(outcome_table *tables, unsigned count, double lambda, double need,
                       struct stego_plan plans[], uint64_t bits[])
{
    double all = 0.0;
    for (unsigned i = 0; i < count; i++) {
        const double took = best_path(tables[i], lambda, &plans[i]);
        bits[i] = (uint64_t)took;
        all += took;
    }
    return all >= need;
}

bool stego_plans_choose(const struct stego_stats *const stats[], unsigned count, uint64_t need,
                        struct stego_plan plans[], uint64_t bits[])
{
    outcome_table tables[2];
    for (unsigned i = 0; i < count; i++) {
        fill_outcomes(stats[i], tables[i]);
    }
    unsigned enough = LAMBDA_STEPS - 1;
    unsigned below = 0; /* every lambda under it takes too little */
    if (!try_lambda(tables, count, lambda_at(enough), (double)need, plans, bits)) {
        return false;
    }
    while (below < enough) {
        const unsigned middle = below + (enough - below) / 2;
        if (try_lambda(tables, count, lambda_at(middle), (double)need, plans, bits)) {
            enough = middle;
        } else {
            below = middle + 1;
        }
    }
    return try_lambda(tables, count, lambda_at(enough), (double)need, plans, bits);
}
