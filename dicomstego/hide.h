/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hide - one attempt to put a message into an image in a given number of passes. Private.
 *
 * A pass is two stages, one for each colour. Each stage carries what its predecessor's reader
 * needs, then the next part of the message; the last one begins with the bits displaced by the run
 * and has the checksum before its part of the message.
 */
#ifndef DICOMSTEGO_HIDE_H
#define DICOMSTEGO_HIDE_H

#include "dicomstego/mark.h"
#include "dicomstego/stage.h"

enum stego_effort {
    STEGO_BALANCED, /* the least distortion, the passes sharing the load evenly */
    STEGO_FULLEST   /* each stage takes all it can */
};

struct stego_attempt {
    struct stego_scan *scan;
    const int32_t *cover;
    int32_t *work; /* room for all samples: the carrier, after success */
    const struct stego_bits *message;
    uint32_t checksum; /* CRC-32 of the message's bytes */
    unsigned passes;
    enum stego_effort effort;
    bool measuring; /* the message is longer than fits; what does not fit is no failure */

    /* afterwards */
    size_t left;     /* message bits not hidden */
    uint64_t hidden; /* bits over all stages */
    bool is_exact;   /* no site lacked room: another message of this length fits as well */
};

#define STEGO_CHECKSUM_BITS 32U

/* DS_ECAPACITY without a text of its own when it does not fit. */
DS_CHECKED enum ds_status stego_attempt_run(struct stego_attempt *attempt, struct ds_error *err);

#endif
