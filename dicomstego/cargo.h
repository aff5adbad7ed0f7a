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
    struct stego_rect exclude; /* of the image, on whichever plane */
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

/* A message can be longer than its part of the payload, which is then told in the lead. Such a lead
 * has one length for all payloads, so that what fits does not depend on them. */
struct stego_lead stego_hold_filled(const struct stego_hold *h, size_t first, size_t count,
                                    size_t total);

/* Filled messages have seeds from STEGO_FIRST_SEED to STEGO_SEEDS - 1: 0 would be told in another
 * length. */
#define STEGO_FIRST_SEED 1U
#define STEGO_SEEDS      64U

struct stego_cargo {
    const uint8_t *payload;
    size_t first, count; /* bits of it ... */
    size_t total;        /* ... which has so many */
    bool is_part;        /* the lead tells first and total */
    bool tells_exclude;  /* the lead tells what is excluded even when it is elsewhere */
    bool is_filled;      /* the message is to be filled up ... */
    size_t length;       /* ... to so many bits, not less than count */
    size_t room;         /* 0, or a length that is known to fit, for when nothing else does */
    unsigned seed;       /* to begin with; not 0 when filled */
    int32_t *out;        /* room for the plane's samples */

    /* afterwards */
    double error;  /* sum of squares */
    uint64_t easy; /* bits that would have fitted for certain */
    unsigned passes;
    bool is_chained;
    uint64_t hidden_bits;
};

/* DS_ECAPACITY when it does not fit; never when stego_room_most told the room. */
DS_CHECKED enum ds_status stego_cargo_stow(struct stego_cargo *c, const struct stego_hold *h,
                                           struct ds_error *err);

#endif
