/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image - samples as the hiding engine sees them.
 *
 * Samples are logical values: sign-extended from bits_stored when is_signed. They lie plane after
 * plane: frame by frame, in a frame component by component, in a plane in raster order. How DICOM
 * interleaves colour is the caller's matter. What lies above bits_stored in a DICOM pixel cell
 * never comes here. Nothing in this folder knows DICOM, SQL or the network.
 */
#ifndef DICOMSTEGO_IMAGE_H
#define DICOMSTEGO_IMAGE_H

#include "base/base.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEGO_BITS_MIN 8U
#define STEGO_BITS_MAX 32U

/* Columns x to x+width-1, rows y to y+height-1 of one frame (from 0), in all its components. Empty
 * when width is 0. */
struct stego_rect {
    uint32_t x, y, width, height;
    uint32_t frame;
};

struct stego_image {
    int32_t *samples; /* stego_image_count of them; the caller's, or owned after stego_image_new */
    uint32_t columns, rows, frames;
    uint8_t components; /* 1: greyscale; 3: RGB or YBR_FULL, each a plane of its own */
    bool chroma_halved; /* YBR_FULL_422: components 1 and 2 have columns / 2 columns (PS3.3
                           C.7.6.3.1.2); columns is even then */
    uint8_t
        bits_stored; /* STEGO_BITS_MIN..STEGO_BITS_MAX. 32 bits unsigned do not fit into a sample:
                        the caller flips the top bit, which keeps their order, and says signed. */
    bool is_signed;
    bool has_padding; /* samples in padding_min..padding_max are never changed, never produced */
    int32_t padding_min, padding_max;
};

/* Allocates zeroed samples for the geometry in *image (its other fields already set). */
DS_CHECKED enum ds_status stego_image_new(struct stego_image *image, struct ds_error *err);
/* Copies geometry and samples. */
DS_CHECKED enum ds_status stego_image_copy(struct stego_image *out, const struct stego_image *from,
                                           struct ds_error *err);
void stego_image_free(struct stego_image *image); /* frees the samples; zeroed is fine */

/* Number of samples; false on overflow, a zero dimension, or components that do not exist. */
DS_CHECKED bool stego_image_count(const struct stego_image *image, size_t *out);

/* The format's legal range: 0..2^bits-1 or -2^(bits-1)..2^(bits-1)-1. */
int32_t stego_image_min(const struct stego_image *image);
int32_t stego_image_max(const struct stego_image *image);

/* What hiding did to the image. Both PSNRs, because a 16-bit peak flatters a 12-bit anatomy. */
struct stego_distortion {
    uint64_t changed_samples;
    uint32_t max_difference;
    double mse;
    double psnr_format_db;  /* peak 2^bits_stored - 1; INFINITY when equal */
    double psnr_dynamic_db; /* peak max - min of the cover without its padding */
};

/* The two must have the same geometry. */
DS_CHECKED enum ds_status stego_image_compare(const struct stego_image *cover,
                                              const struct stego_image *carrier,
                                              struct stego_distortion *out, struct ds_error *err);

#endif
