/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/allot.h"

#include <stdbool.h>
#include <stdlib.h>

/* A plane in the order of what it would win at the price looked at. */
struct entry {
    double gain;
    struct stego_bidder *bidder;
};

struct auction {
    struct entry *entries;
    size_t count, forced;
    double total;
};

/* Payload bits that a bidder takes at a price. */
static double takes(const struct stego_bidder *b, unsigned price)
{
    const double bits = b->curve.bits[price] - b->fixed_bits;
    const double most = (double)b->most;
    return bits < 0.0 ? 0.0 : bits < most ? bits : most;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->bidder->is_forced != y->bidder->is_forced) {
        return x->bidder->is_forced ? -1 : 1;
    }
    if ((x->bidder->most == 0) != (y->bidder->most == 0)) {
        return y->bidder->most == 0 ? -1 : 1; /* a payload of no bits still needs a place */
    }
    if (x->gain < y->gain || x->gain > y->gain) {
        return x->gain > y->gain ? -1 : 1;
    }
    return x->bidder < y->bidder ? -1 : 1; /* of equal ones the first in the image */
}

static void sort_at(const struct auction *a, unsigned price)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct stego_bidder *b = a->entries[i].bidder;
        a->entries[i].gain =
            takes(b, price) * stego_price(price) - b->curve.error[price] - b->fixed_error;
    }
    qsort(a->entries, a->count, sizeof *a->entries, compare_entries);
}

static double taken_at(const struct auction *a, size_t used, unsigned price)
{
    double sum = 0.0;
    for (size_t i = 0; i < used; i++) {
        sum += takes(a->entries[i].bidder, price);
    }
    return sum;
}

/* The lowest price at which the best `used` planes take all; the last one when none is enough. The
 * entries are then in its order. */
static unsigned price_for(const struct auction *a, size_t used)
{
    unsigned below = 0;
    unsigned enough = STEGO_PRICES - 1;
    while (below < enough) {
        const unsigned middle = below + (enough - below) / 2;
        sort_at(a, middle);
        if (taken_at(a, used, middle) >= a->total) {
            enough = middle;
        } else {
            below = middle + 1;
        }
    }
    sort_at(a, enough);
    return enough;
}

/* Between the price and the one below it lies the one that sells exactly the total. */
static double part_of_step(const struct auction *a, size_t used, unsigned price)
{
    const double high = taken_at(a, used, price);
    const double low = price > 0 ? taken_at(a, used, price - 1U) : 0.0;
    if (high <= a->total || high <= low) {
        return 1.0;
    }
    return a->total > low ? (a->total - low) / (high - low) : 0.0;
}

static double between(double low, double high, double part)
{
    return low + (high - low) * part;
}

/* What it costs with so many planes; negative when they do not take all. */
static double cost_with(const struct auction *a, size_t used)
{
    const unsigned price = price_for(a, used);
    const unsigned lower = price > 0 ? price - 1U : 0;
    const double part = part_of_step(a, used, price);
    double cost = 0.0;
    if (taken_at(a, used, price) < a->total) {
        return -1.0;
    }
    for (size_t i = 0; i < used; i++) {
        const struct stego_bidder *b = a->entries[i].bidder;
        cost += between(b->curve.error[lower], b->curve.error[price], part) + b->fixed_error;
    }
    return cost;
}

/* Trying each number of planes would take too long; the cost is flat around its least. */
static size_t best_number(const struct auction *a)
{
    size_t best = 0;
    double least = 0.0;
    size_t used = a->forced > 1 ? a->forced : 1;
    while (used <= a->count) {
        const double cost = cost_with(a, used);
        if (cost >= 0.0 && (best == 0 || cost < least)) {
            best = used;
            least = cost;
        }
        used = used < a->count && used + 1 + used / 6 > a->count ? a->count : used + 1 + used / 6;
    }
    return best == 0 ? a->count : best;
}

static uint64_t give_shares(const struct auction *a, size_t used)
{
    const unsigned price = price_for(a, used);
    const unsigned lower = price > 0 ? price - 1U : 0;
    const double part = part_of_step(a, used, price);
    uint64_t left = (uint64_t)a->total;
    for (size_t i = 0; i < used; i++) {
        struct stego_bidder *b = a->entries[i].bidder;
        const uint64_t share =
            (uint64_t)between(price > 0 ? takes(b, lower) : 0.0, takes(b, price), part);
        b->share = share < left ? share : left;
        left -= b->share;
    }
    return left;
}

/* What rounding has left over, and what is asked beyond all prices: evenly, as far as each goes. */
static uint64_t give_rest(const struct auction *a, size_t used, uint64_t left)
{
    while (left > 0) {
        const uint64_t before = left;
        const uint64_t portion = left / used + 1;
        for (size_t i = 0; i < used; i++) {
            struct stego_bidder *b = a->entries[i].bidder;
            uint64_t more = b->most > b->share ? b->most - b->share : 0;
            more = more < portion ? more : portion;
            more = more < left ? more : left;
            b->share += more;
            left -= more;
        }
        if (left == before) {
            break;
        }
    }
    return left;
}

enum ds_status stego_allot(struct stego_bidder *bidders, size_t count, uint64_t total,
                           struct ds_error *err)
{
    struct auction a = {.count = count, .total = (double)total};
    a.entries = calloc(count, sizeof *a.entries);
    if (a.entries == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu planes", count);
    }
    for (size_t i = 0; i < count; i++) {
        a.entries[i].bidder = &bidders[i];
        a.forced += bidders[i].is_forced;
        bidders[i].share = 0;
        bidders[i].is_used = false;
    }
    const size_t used = best_number(&a);
    uint64_t left = give_shares(&a, used);
    left = give_rest(&a, used, left);
    left = give_rest(&a, count, left);
    for (size_t i = 0; i < count; i++) {
        struct stego_bidder *b = a.entries[i].bidder;
        b->is_used = b->share > 0 || b->is_forced || (total == 0 && i == 0);
    }
    free(a.entries);
    return left == 0 ? DS_OK
                     : ds_fail(err, DS_ECAPACITY, "%llu bits do not fit into the image",
                               (unsigned long long)total);
}
