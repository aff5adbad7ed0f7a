/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain - hides bits in a plane pixel after pixel, at the rate-distortion bound of its model.
 * Private.
 *
 * The embedder walks the raster from the first pixel to the last, the extractor from the last to
 * the first. Both then see the same around a pixel: marked pixels before it, original ones after
 * it. So a prediction may use all its neighbours. A pixel's value x is compressed into the state of
 * a range coder of stacks (rANS; Duda, arXiv:1311.2540) under the distribution P that the model
 * expects, and its new value y is decompressed from the same state under a distribution Q of more
 * entropy; the state begins as the message, so the difference of the entropies is what the pixel
 * has taken. The extractor does the opposite of each step in opposite order. Slots of P and Q are
 * in order of value, so y is close to x (the monotone coupling is the cheapest for squared error).
 * A value and what becomes of it lie in the same legal interval, so there are no overflows and no
 * flags.
 */
#ifndef DICOMSTEGO_CHAIN_H
#define DICOMSTEGO_CHAIN_H

#include "base/error.h"
#include "dicomstego/bits.h"
#include "dicomstego/plane.h"

/* All that the extractor has to know besides the number of bits: parameters, where the embedder
 * ended, the final state. */
#define STEGO_CHAIN_BLOB_BITS 208U
/* The first of its last 23 bits, the low ones of a CRC-32 over those before, in bytes with zeros at
 * their end. */
#define STEGO_CHAIN_BLOB_SUM 185U

struct stego_chain {
    const struct stego_plane *plane; /* samples: cover when embedding, carrier when extracting */
    size_t run_begin, run_end;       /* samples that are no sites and are seen with bit 0 cleared */
    bool thorough;                   /* best effort, else balanced. Ignored by the extractor. */
    uint32_t max_difference;         /* 0: no limit. Ignored by the extractor. */
};

/* Hides all of message (at least 64 bits) at the least distortion found; out is allocated memory
 * for all samples and gets the carrier without the run's bits; before that, and on failure, it has
 * what planning put there. DS_ECAPACITY when it does not fit. */
DS_CHECKED enum ds_status stego_chain_embed(const struct stego_chain *chain,
                                            const struct stego_bits *message, int32_t *out,
                                            struct stego_bits *blob, struct ds_error *err);

/* Restores plane->samples in place (but for bit 0 of the run) and appends `count` bits to *out.
 * DS_EAUTH when the pixels contradict the blob. */
DS_CHECKED enum ds_status stego_chain_extract(const struct stego_chain *chain, const uint8_t *blob,
                                              size_t count, struct stego_bits *out,
                                              struct ds_error *err);

DS_CHECKED enum ds_status stego_chain_measure(const struct stego_chain *chain,
                                              struct stego_curve *curve, struct ds_error *err);

#endif
