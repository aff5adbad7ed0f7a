/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contest - of the ways to put a message into a plane, the one that disturbs it least. Private.
 */
#ifndef DICOMSTEGO_CONTEST_H
#define DICOMSTEGO_CONTEST_H

#include "dicomstego/cargo.h"

/* A way to put it there. */
struct stego_entry {
    unsigned passes;
    enum stego_load load;
    bool is_chained;
};

struct stego_contest {
    const struct stego_hold *h;
    struct stego_attempt a; /* the caller sets ground, message and work */
    bool with_chain;

    struct stego_entry best; /* passes is 0 as long as nothing fitted */
    bool is_standing;        /* a.work has the best carrier */
    double error;            /* of the best, sum of squares */
    uint64_t hidden;
};

/* With one seed after the other, `count` of them from `first` on and again from STEGO_FIRST_SEED,
 * until the message fits: balanced passes of the board, the chain, and passes as full as possible
 * only when nothing else fits. That nothing fits is no failure: best.passes is 0 then. Else a.work
 * has the best carrier. */
DS_CHECKED enum ds_status stego_contest_hold(struct stego_contest *c, unsigned first,
                                             unsigned count, struct ds_error *err);

/* Does the message fit with a.seed in so many passes, in one of the ways that the contest has? Full
 * passes, which take long to fail, only if asked for. The error does not matter here. */
DS_CHECKED enum ds_status stego_contest_fits(struct stego_contest *c, unsigned passes,
                                             bool with_fullest, bool *fits, struct ds_error *err);

#endif
