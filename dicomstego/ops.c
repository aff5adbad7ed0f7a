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
static const int32_t bin_floor[STEGO_RANK_BINS] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96,
    128, 160, 192, 256, 384, 512, 768, 1024, 4096, 65536,
};

/* clang-format on */

static unsigned bin_of(uint64_t rank)
{
    if (rank < 12) {
        return (unsigned)rank;
    }
    unsigned i = 12;
    while (i + 1 < STEGO_RANK_BINS && rank >= (uint64_t)bin_floor[i + 1]) {
        i++;
    }
    return i;
}

/* What lies beyond the reach of every operation is only counted: its squares could overflow. The
 * mean of the squares of first..last is that of a whole number of ranks, rounded down. */
void stego_stats_add(struct stego_stats *s, unsigned class, uint64_t first, uint64_t last,
                     uint64_t n)
{
    const unsigned i = bin_of(first);
    struct stego_bin *bin = &s->bin[class][i];
    bin->n += n;
    if (i + 1 < STEGO_RANK_BINS) {
        const uint64_t span = last - first;
        bin->sum += n * (first + last) / 2;
        bin->squares += n * (first * last + span * (2 * span + 1) / 6);
    }
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
#define COST_SAME_BITS   0.25
#define COST_CHANGE_BITS 9.0
#define LAMBDA_STEPS     3840U

/* What each operation does to the pixels of one class. */
struct outcomes {
    double bits[STEGO_OPS];  /* taken, whole */
    double error[STEGO_OPS]; /* expected sum of squares */
};

struct table {
    unsigned count; /* classes that have pixels */
    uint8_t class[STEGO_CLASSES];
    struct outcomes of[STEGO_CLASSES]; /* of class[i] */
};

static double lambda_at(unsigned i)
{
    double v = 64.0 + (double)(i % 64U);
    for (unsigned k = 0; k < i / 64U; k++) {
        v *= 2.0;
    }
    return v / 4194304.0; /* 2^22: the smallest is 2^-16 */
}

/* Sums over all bins below each border. */
struct sums {
    struct stego_bin below[STEGO_RANK_BINS + 1];
};

static void sum_up(const struct stego_bin bins[STEGO_RANK_BINS], struct sums *sums)
{
    struct stego_bin s = {0, 0, 0};
    for (unsigned i = 0; i < STEGO_RANK_BINS; i++) {
        sums->below[i] = s;
        s.n += bins[i].n;
        s.sum += bins[i].sum;
        s.squares += bins[i].squares;
    }
    sums->below[STEGO_RANK_BINS] = s;
}

/* With r = k - b an expanded pixel moves by r or r+1: (r^2 + (r+1)^2) / 2 = r^2 + r + 1/2. */
static void fill_outcomes(const struct sums *sums, struct outcomes *o)
{
    const uint64_t all = sums->below[STEGO_RANK_BINS].n;
    o->bits[0] = 0.0;
    o->error[0] = 0.0;
    for (unsigned i = 1; i < STEGO_OPS; i++) {
        const struct stego_op *op = &stego_ops[i];
        const struct stego_bin *from = &sums->below[bin_of((uint64_t)op->b)];
        const struct stego_bin *to = &sums->below[bin_of((uint64_t)op->b + (uint64_t)op->t)];
        const double b = op->b;
        const double t = op->t;
        const double n = (double)(to->n - from->n);
        const double sum = (double)(to->sum - from->sum);
        const double squares = (double)(to->squares - from->squares);
        o->bits[i] = n;
        o->error[i] =
            squares + (1.0 - 2.0 * b) * sum + (b * b - b + 0.5) * n + t * t * (double)(all - to->n);
    }
}

static void fill_table(const struct stego_stats *stats, struct table *table)
{
    struct sums sums;
    table->count = 0;
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        sum_up(stats->bin[c], &sums);
        if (sums.below[STEGO_RANK_BINS - 1].n != 0) {
            table->class[table->count] = (uint8_t)c;
            fill_outcomes(&sums, &table->of[table->count]);
            table->count++;
        }
    }
}

/* The operations worth a look for one class. One that costs more than the cheapest and two changes
 * of operation is on no cheapest path. */
struct choice {
    unsigned count;
    uint8_t op[STEGO_OPS];
    double cost[STEGO_OPS];
};

static void choose_ops(const struct outcomes *o, double lambda, struct choice *choice)
{
    double cost[STEGO_OPS];
    double least = 0.0;
    for (unsigned i = 0; i < STEGO_OPS; i++) {
        cost[i] = o->error[i] - lambda * o->bits[i];
    }
    for (unsigned i = 0; i < STEGO_OPS; i++) {
        least = cost[i] < least ? cost[i] : least;
    }
    const double most = least + 2.0 * COST_CHANGE_BITS * lambda;
    choice->count = 0;
    for (unsigned i = 0; i < STEGO_OPS; i++) {
        choice->op[choice->count] = (uint8_t)i;
        choice->cost[choice->count] = cost[i];
        choice->count += cost[i] <= most;
    }
}

/* The cheapest paths through the classes up to one that end in each of its choices. */
struct paths {
    unsigned count, cheapest;
    uint8_t op[STEGO_OPS];
    uint8_t from[STEGO_OPS]; /* the place in the paths to the class before */
    double cost[STEGO_OPS];
};

/* Adds one class to the paths in `last`; both lists are in order of the operations. */
static void extend_paths(const struct paths *last, const struct choice *choice, double lambda,
                         struct paths *next)
{
    const double change = last->cost[last->cheapest] + lambda * COST_CHANGE_BITS;
    unsigned k = 0;
    next->count = choice->count; /* 1 or more: the cheapest operation is always chosen */
    next->cheapest = 0;
    next->op[0] = 0;
    next->from[0] = 0;
    next->cost[0] = 0.0;
    for (unsigned i = 0; i < choice->count; i++) {
        while (k < last->count && last->op[k] < choice->op[i]) {
            k++;
        }
        const bool may_stay = k < last->count && last->op[k] == choice->op[i];
        const double stay = may_stay ? last->cost[k] + lambda * COST_SAME_BITS : change;
        const bool stays = may_stay && stay <= change;
        next->op[i] = choice->op[i];
        next->from[i] = (uint8_t)(stays ? k : last->cheapest);
        next->cost[i] = (stays ? stay : change) + choice->cost[i];
        next->cheapest = next->cost[i] < next->cost[next->cheapest] ? i : next->cheapest;
    }
}

/* What a plan is expected to do. */
struct total {
    double bits, error;
};

/* The cheapest path through the classes at this lambda (Viterbi). Classes without pixels keep the
 * operation before them, at next to no cost. */
static struct total best_path(const struct table *table, double lambda, struct stego_plan *plan)
{
    struct paths paths[STEGO_CLASSES + 1];
    struct choice choice;
    struct total total = {0.0, 0.0};
    const unsigned count = table->count;
    paths[0].count = 1;
    paths[0].cheapest = 0;
    paths[0].op[0] = 0;
    paths[0].cost[0] = 0.0;
    unsigned at = 0; /* the end of the cheapest path */
    for (unsigned i = 0; i < count; i++) {
        choose_ops(&table->of[i], lambda, &choice);
        extend_paths(&paths[i], &choice, lambda, &paths[i + 1]);
        at = paths[i + 1].cheapest;
    }
    uint8_t next = STEGO_CLASSES;
    for (unsigned i = count; i-- > 0;) {
        const unsigned op = paths[i + 1].op[at];
        memset(plan->op + table->class[i], (int)op, next - table->class[i]);
        next = table->class[i];
        total.bits += table->of[i].bits[op];
        total.error += table->of[i].error[op];
        at = paths[i + 1].from[at];
    }
    memset(plan->op, 0, next);
    return total;
}

static bool try_lambda(const struct table *tables, unsigned count, double lambda, double need,
                       struct stego_plan plans[], uint64_t bits[])
{
    double all = 0.0;
    for (unsigned i = 0; i < count; i++) {
        const double took = best_path(&tables[i], lambda, &plans[i]).bits;
        bits[i] = (uint64_t)took;
        all += took;
    }
    return all >= need;
}

bool stego_plans_choose(const struct stego_stats *const stats[], unsigned count, uint64_t need,
                        struct stego_plan plans[], uint64_t bits[])
{
    struct table tables[2];
    struct stego_plan tried[2];
    uint64_t tried_bits[2];
    unsigned enough = LAMBDA_STEPS; /* what was found there is in plans and bits */
    unsigned below = 0;             /* every lambda under it takes too little */
    for (unsigned i = 0; i < count; i++) {
        fill_table(stats[i], &tables[i]);
    }
    while (below < enough) {
        const unsigned middle = below + (enough - below) / 2;
        if (try_lambda(tables, count, lambda_at(middle), (double)need, tried, tried_bits)) {
            enough = middle;
            memcpy(plans, tried, count * sizeof *plans);
            memcpy(bits, tried_bits, count * sizeof *bits);
        } else {
            below = middle + 1;
        }
    }
    return enough < LAMBDA_STEPS;
}

void stego_stats_curve(const struct stego_stats *const stats[2], struct stego_curve *curve)
{
    struct table tables[2];
    struct stego_plan plan;
    struct total most = {0.0, 0.0};
    fill_table(stats[0], &tables[0]);
    fill_table(stats[1], &tables[1]);
    for (unsigned i = 0; i < STEGO_PRICES; i++) {
        const double price = stego_price(i);
        const struct total a = best_path(&tables[0], price, &plan);
        const struct total b = best_path(&tables[1], price, &plan);
        /* Where the plan's cost weighs, a dearer bit can be bought with fewer of them. */
        most.bits = a.bits + b.bits > most.bits ? a.bits + b.bits : most.bits;
        most.error = a.error + b.error > most.error ? a.error + b.error : most.error;
        curve->bits[i] = most.bits;
        curve->error[i] = most.error;
    }
}
