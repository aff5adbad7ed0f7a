/* SPDX-License-Identifier: Apache-2.0 */
/*
 * similarity - SSIM of two images of the same geometry.
 */
#ifndef DICOMSTEGO_SIMILARITY_H
#define DICOMSTEGO_SIMILARITY_H

#include "dicomstego/image.h"

/* Greatest minus least sample of what is not declared padding, at least 1. */
double stego_image_range(const struct stego_image *image);

/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13:600, 2004): Gaussian window
 * of 11 x 11, sigma 1.5, K1 0.01, K2 0.03, L = stego_image_range(cover), windows wholly inside,
 * mean over all windows of all planes. Signed samples are lifted to begin at 0. NAN when no window
 * fits. */
DS_CHECKED enum ds_status stego_ssim(const struct stego_image *cover,
                                     const struct stego_image *carrier, double *out,
                                     struct ds_error *err);

#endif
