/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage - hides a string of bits in the pixels of one colour, and takes it out again. Private.
 *
 * A carrier is made by a chain of stages, colours taking turns. What the reader of a stage has to
 * know is its number of bits and its side information: the plan (an operation for each class) and
 * a flag for each ambiguous site, arithmetic-coded into one blob.
 *
 * A site takes part when both its possible outcomes stay in the format's range and neither touch
 * nor cross padding; else it is left alone. A value that has no such room and could have come from
 * one that had is ambiguous to the reader, and a flag tells (1: left alone).
 */
#ifndef DICOMSTEGO_STAGE_H
#define DICOMSTEGO_STAGE_H

#include "dicomstego/bits.h"
#include "dicomstego/ops.h"
#include "dicomstego/scan.h"

struct stego_stage_result {
    size_t bits;          /* hidden, from the front of the string */
    size_t flags;         /* ambiguous sites met */
    size_t skipped;       /* sites left alone for want of room */
    struct ds_bytes blob; /* freed by the caller */
};

/* Adds the ranks of all sites that have some room to *stats, which the caller zeroed. */
void stego_stage_measure(struct stego_scan *scan, unsigned colour, const int32_t *own,
                         const int32_t *context, struct stego_stats *stats);

/* Hides at most count bits of `bits` (from bit 0) and stops behind the last. Own pixels come from
 * own and go to out (NULL: only count), both with room for all samples; only changed ones are
 * written. When fewer than count bits fit, out is not usable: ask again for as many as fitted. */
DS_CHECKED enum ds_status stego_stage_embed(struct stego_scan *scan, unsigned colour,
                                            const int32_t *own, const int32_t *context,
                                            int32_t *out, const struct stego_plan *plan,
                                            const uint8_t *bits, size_t count,
                                            struct stego_stage_result *result,
                                            struct ds_error *err);

/* Appends count bits to *out and restores the pixels of this colour; *plan is what the blob says.
 * DS_EAUTH when the pixels hold fewer, or when the blob is not the one that the embedder writes for
 * what it says. */
DS_CHECKED enum ds_status stego_stage_extract(struct stego_scan *scan, unsigned colour,
                                              int32_t *samples, const uint8_t *blob,
                                              size_t blob_len, size_t count,
                                              struct stego_plan *plan, struct stego_bits *out,
                                              struct ds_error *err);

/* Carries a CRC-32 on over a plan. Two plans can do the same to the pixels of one image; the
 * checksum tells them apart all the same. */
uint32_t stego_plan_checksum(const struct stego_plan *plan, uint32_t sum);

#endif
