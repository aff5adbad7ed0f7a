/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allot - shares a payload out over planes by one price for a bit. Private.
 */
#ifndef DICOMSTEGO_ALLOT_H
#define DICOMSTEGO_ALLOT_H

#include "base/error.h"
#include "dicomstego/plane.h"

struct stego_bidder {
    struct stego_curve curve;
    double fixed_bits;  /* that a used plane takes for itself ... */
    double fixed_error; /* ... and the disturbance by the run */
    uint64_t most;      /* it takes no more payload bits than that */
    bool is_forced;     /* has to be used, be it for nothing */

    /* afterwards */
    bool is_used;
    uint64_t share;
};

/* Shares `total` bits out at the least squared error expected, in as few planes as is best: at
 * least one is used. DS_ECAPACITY when all that they take at most is less. */
DS_CHECKED enum ds_status stego_allot(struct stego_bidder *bidders, size_t count, uint64_t total,
                                      struct ds_error *err);

#endif
