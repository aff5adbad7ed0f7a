/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cargo - one plane's part of the payload, put into it in whichever way disturbs it least. Private.
 */
#ifndef DICOMSTEGO_CARGO_H
#define DICOMSTEGO_CARGO_H

#include "dicomstego/engine.h"
#include "dicomstego/hide.h"

/* What the embedder knows of a plane before anything is hidden in it. */
struct stego_hold {
    struct stego_ground ground;
    enum stego_effort effort;
    unsigned max_passes;
    uint8_t *still;      /* owned; NULL when nothing is */
    struct ds_bytes map; /* owned */
    bool was_marked;     /* the cover has a mark already, so the plane needs one of its own */
};

/* The options are checked. */
DS_CHECKED enum ds_status stego_hold_init(struct stego_hold *h, const struct stego_image *image,
                                          size_t index, const struct stego_embed_options *options,
                                          struct ds_error *err);
void stego_hold_finish(struct stego_hold *h);

/* What each price buys, without what the plane's own mark and lead cost, and how many bits go in
 * for certain. */
DS_CHECKED enum ds_status stego_hold_offer(const struct stego_hold *h, struct stego_curve *curve,
                                           uint64_t *easy, struct ds_error *err);

/* Told quickly: certainly not more than stego_hold_most says. */
DS_CHECKED enum ds_status stego_hold_least(const struct stego_hold *h, uint64_t *bits,
                                           struct ds_error *err);

/* The most that stego_cargo_stow takes; the lead is as long as `lead` makes it. */
DS_CHECKED enum ds_status stego_hold_most(const struct stego_hold *h, uint64_t *bits,
                                          struct ds_error *err);

struct stego_cargo {
    const uint8_t *payload;
    size_t first, count; /* bits of it */
    unsigned seed;       /* the first to try, 0..255 */
    int32_t *out;        /* room for the plane's samples */

    /* afterwards */
    double error;     /* sum of squares */
    uint64_t easy;    /* bits that would have fitted for certain */
    bool is_measured; /* it was so close that what fits at most is known: */
    uint64_t most;
    unsigned passes;
    bool is_chained;
    uint64_t hidden_bits;
};

/* DS_ECAPACITY exactly when count is above what stego_hold_most says. */
DS_CHECKED enum ds_status stego_cargo_stow(struct stego_cargo *c, const struct stego_hold *h,
                                           struct ds_error *err);

#endif
