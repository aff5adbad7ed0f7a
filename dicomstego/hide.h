/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hide - one attempt to put a message into a plane in a given way. Private.
 *
 * The board takes a number of passes. A pass is two stages, one for each colour. Each stage carries
 * what its predecessor's reader needs, then the next part of the message; the last one begins with
 * the bits displaced by the run and has the checksum before its part of the message. The chain has
 * one stage, with the displaced bits, the checksum and the message.
 */
#ifndef DICOMSTEGO_HIDE_H
#define DICOMSTEGO_HIDE_H

#include "dicomstego/mark.h"
#include "dicomstego/stage.h"

/* What is the same for every attempt on a plane. */
struct stego_ground {
    const struct stego_image *image;
    size_t index;             /* of the plane */
    struct stego_plane plane; /* the cover */
    const struct ds_bytes *map;
    struct stego_lead lead;  /* but for what an attempt decides */
    size_t latest;           /* the run begins there at the latest */
    uint32_t max_difference; /* 0: no limit */
};

enum stego_load {
    STEGO_EVEN,   /* the least distortion, the passes sharing the load evenly */
    STEGO_FULLEST /* each stage takes all it can */
};

struct stego_attempt {
    const struct stego_ground *ground;
    const struct stego_bits *message;
    unsigned seed;
    bool measuring; /* the message is longer than fits; what does not fit is no failure */
    int32_t *work;  /* room for all samples: the carrier, after success */

    /* afterwards */
    size_t left;      /* message bits not hidden */
    uint64_t hidden;  /* bits over all stages */
    size_t run_begin; /* where the mark is */
    uint64_t easy;    /* stego_easy_bits of the cover; unchanged with STEGO_FULLEST */
};

#define STEGO_CHECKSUM_BITS 32U

/* DS_ECAPACITY when it does not fit, or changes a sample by more than it may. */
DS_CHECKED enum ds_status stego_attempt_board(struct stego_attempt *attempt, unsigned passes,
                                              enum stego_load load, struct ds_error *err);

/* The same with the chain. */
DS_CHECKED enum ds_status stego_attempt_chain(struct stego_attempt *attempt, bool thorough,
                                              struct ds_error *err);

/* Is no sample of work farther from the cover than it may be? */
DS_CHECKED bool stego_attempt_is_within_limit(const struct stego_attempt *attempt);

/* Bits that fit for certain: a part of what fits when each pixel of low rank takes one, those near
 * the ends of their range left out. There is that much room however the rest turns out. stats are
 * those of both colours. */
uint64_t stego_easy_bits(const struct stego_plane *plane, const struct stego_stats stats[2],
                         uint32_t max_difference);

/* CRC-32 over what the lead says, where the plane is, and the still map's code. */
uint32_t stego_lead_checksum(const struct stego_image *image, size_t index,
                             const struct stego_lead *lead, const uint8_t *map);

#endif
