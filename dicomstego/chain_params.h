/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain_params - what the extractor of a chain has to know, and its code in the run. Private.
 */
#ifndef DICOMSTEGO_CHAIN_PARAMS_H
#define DICOMSTEGO_CHAIN_PARAMS_H

#include "dicomstego/chain.h"
#include "dicomstego/scale.h"

/* What the blob holds. */
struct stego_params {
    uint8_t predictor;
    struct stego_scale scale;
    struct stego_model model;
    uint32_t stop;  /* the first sample that the embedder did not come to */
    uint64_t state; /* of the coder, when it stopped */
};

/* STEGO_CHAIN_BLOB_BITS bits; blob is empty. */
void stego_params_write(const struct stego_params *p, struct stego_bits *blob);

/* False when no embedder writes such a blob for a plane of so many samples. */
DS_CHECKED bool stego_params_read(struct stego_params *p, const uint8_t *blob, size_t samples);

#endif
