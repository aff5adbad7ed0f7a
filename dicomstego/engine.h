/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine - bytes into pixels and out again, the pixels back bit for bit.
 *
 * Every plane of the image (a frame, or one colour component of a frame) is a carrier of its own,
 * made by one of two codecs: the board, prediction-error expansion on a checkerboard with a rhombus
 * predictor and complexity classes (Sachnev et al., IEEE TCSVT 19:989, 2009; Li et al.,
 * multi-histogram modification, IEEE TIFS 10:2016, 2015), or the chain (chain.h), which moves
 * pixels at the rate-distortion bound of its model. One price for a bit shares the payload out over
 * the planes. Integers only: every machine restores the same bits. A carrier is found from its
 * pixels alone: geometry, bits stored and sign are all that the extractor is told; padding range,
 * excluded pixels and parameters travel as side information. A damaged plane costs its own pixels
 * and the payload, not the other planes.
 *
 * The engine neither encrypts nor authenticates. It guarantees: extract(embed(image, payload))
 * gives image and payload, and extraction from any input whatever is memory-safe and ends.
 */
#ifndef DICOMSTEGO_ENGINE_H
#define DICOMSTEGO_ENGINE_H

#include "base/bytes.h"
#include "dicomstego/image.h"
#include "dicomstego/pool.h"

#define STEGO_PAYLOAD_MAX_BYTES (64U * 1024U * 1024U)
#define STEGO_PASSES_MAX        4U

/* How hard the embedder works for the image. The extractor learns from the carrier what was done.
 */
enum stego_effort {
    STEGO_FAST,     /* checkerboard and rhombus predictor, in parallel */
    STEGO_BALANCED, /* the better of that and the chain with a small predictor */
    STEGO_BEST      /* whatever changes the image least: the chain with its largest predictor too */
};

struct stego_embed_options {
    enum stego_effort effort;
    /* Never changed: a key region that is covered, whose place the extractor is told, ... */
    struct stego_rect exclude; /* empty when width is 0 */
    /* ... and what somebody wants to be left alone: up to STEGO_PRESERVE_MAX rectangles, and a mask
     * of rows * columns bytes for every frame alike, non-zero where the pixel stays; NULL for none.
     * The embedder may keep a few pixels more than asked. */
    const struct stego_rect *preserve;
    size_t preserve_count;
    const uint8_t *mask;
    unsigned max_passes;     /* 1..STEGO_PASSES_MAX; 0 means STEGO_PASSES_MAX. Another pass is used
                                only where it is needed or disturbs the image less. */
    uint32_t max_difference; /* no sample changes by more; 0: no limit */
    double min_psnr_db;      /* over the whole image, peak 2^bits_stored - 1; 0: no limit */
    struct stego_pool *pool; /* threads for planes; NULL: the caller's thread does all */
};

#define STEGO_PRESERVE_MAX 64U

struct stego_embed_facts {
    unsigned planes;      /* that hold something */
    unsigned passes;      /* the most of any plane */
    unsigned chained;     /* planes in which the chain was used */
    uint64_t hidden_bits; /* payload and all side information, over all planes and passes */
};

/* Hides payload_bits bits (from the most significant bit of payload[0]) in image->samples. On
 * failure the samples are as they were. options and facts may be NULL. DS_ECAPACITY: does not fit
 * within the limits; DS_EUNSUPPORTED: bits or geometry not for this engine; DS_EINVAL: arguments.
 * Deterministic: the same input gives the same carrier, with any number of threads. */
DS_CHECKED enum ds_status stego_embed(struct stego_image *image, const uint8_t *payload,
                                      size_t payload_bits,
                                      const struct stego_embed_options *options,
                                      struct stego_embed_facts *facts, struct ds_error *err);

struct stego_extract_facts {
    struct stego_rect exclude; /* the region that was excluded */
    size_t payload_bits;
    unsigned planes;  /* that hold something */
    unsigned damaged; /* planes that were altered since; the others were restored all the same */
    unsigned first_damaged; /* frame of the first one */
};

/* Finds, extracts and restores in place; image->has_padding and padding_* are ignored on input.
 * payload is appended to, its last byte filled up with zeros. pool and facts may be NULL.
 * DS_ENOTHING: no carrier, samples as they were. DS_EAUTH: a carrier that was altered since (a mark
 * is found, the rest does not hold together): payload is unchanged, undamaged planes are restored,
 * damaged ones unspecified. A plane whose mark is gone is not counted as damaged: that its part of
 * the payload is missing is then all that can be told. DS_EUNSUPPORTED: a mark of another version.
 * DS_EINVAL: a sample is outside the range of bits_stored. */
DS_CHECKED enum ds_status stego_extract(struct stego_image *image, struct stego_pool *pool,
                                        struct ds_bytes *payload, struct stego_extract_facts *facts,
                                        struct ds_error *err);

/* Is there a carrier's mark? Cheap: no extraction. */
DS_CHECKED bool stego_is_carrier(const struct stego_image *image);

/* Writes samples first .. first + count - 1 of a plane to out; false when it cannot. */
typedef bool stego_read_samples(void *context, uint32_t frame, unsigned component, size_t first,
                                size_t count, int32_t *out);
/* The same of an image whose samples are not in memory: image->samples is not looked at, read gives
 * them in pieces. What cannot be read has no mark. */
DS_CHECKED bool stego_is_carrier_read(const struct stego_image *image, stego_read_samples *read,
                                      void *context);

/* How many payload bits fit with these options, true to the bit: stego_embed takes so many and
 * answers DS_ECAPACITY to one more. 0 when nothing fits. */
DS_CHECKED enum ds_status stego_capacity_of(const struct stego_image *image,
                                            const struct stego_embed_options *options,
                                            uint64_t *bits, struct ds_error *err);

/* A bound of that from below, for planning: it takes one attempt to find where the capacity takes
 * many, and is about half of what fits in one pass. 0 when a PSNR is to be kept: then only trials
 * tell. */
DS_CHECKED enum ds_status stego_capacity_at_least(const struct stego_image *image,
                                                  const struct stego_embed_options *options,
                                                  uint64_t *bits, struct ds_error *err);

#endif
