/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loading - hides a payload in all planes of an image at one price, and measures what goes in.
 * Private to the engine.
 */
#ifndef DICOMSTEGO_LOADING_H
#define DICOMSTEGO_LOADING_H

#include "dicomstego/allot.h"
#include "dicomstego/cargo.h"

#define STEGO_PAYLOAD_MAX_BITS ((size_t)8 * STEGO_PAYLOAD_MAX_BYTES)

/* What the loading knows of a plane. */
struct stego_berth {
    struct stego_cargo cargo;
    uint64_t easy;        /* bits that fit for certain */
    uint64_t least, most; /* what room.h says, once asked */
    bool was_marked;
    enum ds_status status;
    struct ds_error err;
};

/* The caller may change the first five before stego_loading_run. */
struct stego_loading {
    const uint8_t *payload;
    size_t bits;
    unsigned seed;
    bool is_filled; /* the carrier is made as for `length` bits, which is not less than bits */
    size_t length;

    bool is_measured; /* what goes into each plane at most is known */

    const struct stego_image *image;
    struct stego_embed_options options;
    size_t planes;
    struct stego_bidder *bidders;
    struct stego_berth *berths;
    bool is_offered;
    int32_t *out; /* after success: the samples of the planes used */
    double error; /* ... and their sum of squares */
    double error_limit;
};

DS_CHECKED enum ds_status stego_loading_init(struct stego_loading *l,
                                             const struct stego_image *image,
                                             const struct stego_embed_options *options,
                                             struct ds_error *err);
void stego_loading_finish(struct stego_loading *l);

/* Asks each plane for its curve and what fits for certain, if that was not done. */
DS_CHECKED enum ds_status stego_loading_offers(struct stego_loading *l, struct ds_error *err);

/* Gives back what a run has made: there may be less memory for something else. */
void stego_loading_drop(struct stego_loading *l);

/* One try with one seed. DS_ECAPACITY: does not fit, whatever becomes of the image. */
DS_CHECKED enum ds_status stego_loading_run(struct stego_loading *l, struct ds_error *err);

/* Bits that fit whatever becomes of the image: with least, told quickly, fewer perhaps. */
DS_CHECKED enum ds_status stego_loading_most(struct stego_loading *l, uint64_t *bits,
                                             struct ds_error *err);
DS_CHECKED enum ds_status stego_loading_least(struct stego_loading *l, uint64_t *bits,
                                              struct ds_error *err);

/* Bits that fit for certain, known after the offers or, of one plane, after a run. */
uint64_t stego_loading_easy(const struct stego_loading *l);

#endif
