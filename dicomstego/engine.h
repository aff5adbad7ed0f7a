/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine - bytes into pixels and out again, the pixels back bit for bit.
 *
 * Reversible data hiding by prediction-error expansion on a checkerboard with a rhombus predictor
 * and complexity classes (Sachnev et al., IEEE TCSVT 19:989, 2009; Li et al., multi-histogram
 * modification, IEEE TIFS 10:2016, 2015). Integers only: every machine restores the same bits. The
 * carrier is found from its pixels alone: geometry, bits stored and sign are all that the extractor
 * is told; padding range, excluded region and parameters travel as side information.
 *
 * The engine neither encrypts nor authenticates. It guarantees: extract(embed(image, payload))
 * gives image and payload, and extraction from any input whatever is memory-safe and ends.
 */
#ifndef DICOMSTEGO_ENGINE_H
#define DICOMSTEGO_ENGINE_H

#include "base/bytes.h"
#include "dicomstego/image.h"

#define STEGO_PAYLOAD_MAX_BYTES (64U * 1024U * 1024U)
#define STEGO_PASSES_MAX        4U

struct stego_embed_options {
    struct stego_rect exclude; /* never changed (a key region); empty when width is 0 */
    unsigned max_passes;       /* 1..STEGO_PASSES_MAX; 0 means STEGO_PASSES_MAX. Another pass is
                                  used only where it is needed or disturbs the image less. */
};

struct stego_embed_facts {
    unsigned passes;
    uint64_t hidden_bits; /* payload and all side information, over all passes */
};

/* Hides payload in image->samples. On failure the samples are as they were. options and facts may
 * be NULL. DS_ECAPACITY: does not fit; DS_EUNSUPPORTED: bits or geometry not for this engine.
 * Deterministic: the same input gives the same carrier. */
DS_CHECKED enum ds_status stego_embed(struct stego_image *image, const uint8_t *payload,
                                      size_t payload_len, const struct stego_embed_options *options,
                                      struct stego_embed_facts *facts, struct ds_error *err);

/* Finds, extracts and restores in place; image->has_padding and padding_* are ignored on input.
 * *exclude (may be NULL) is set to the region that was excluded. payload is appended to.
 * DS_ENOTHING: no carrier, samples as they were. DS_EAUTH: a carrier that was altered since (its
 * mark is found, the rest does not hold together); samples are then unspecified, payload unchanged.
 * DS_EINVAL: a sample is outside the range of bits_stored. */
DS_CHECKED enum ds_status stego_extract(struct stego_image *image, struct ds_bytes *payload,
                                        struct stego_rect *exclude, struct ds_error *err);

/* Is there a carrier's mark? Cheap: no extraction. */
DS_CHECKED bool stego_is_carrier(const struct stego_image *image);

struct stego_capacity {
    uint64_t one_pass_bytes;   /* fits in a single pass */
    uint64_t all_passes_bytes; /* fits in options->max_passes passes, an estimate from below; above
                                  2^18 samples several passes are not tried: that of one */
};

/* 0 bytes when nothing fits. */
DS_CHECKED enum ds_status stego_capacity_of(const struct stego_image *image,
                                            const struct stego_embed_options *options,
                                            struct stego_capacity *out, struct ds_error *err);

#endif
