/* SPDX-License-Identifier: Apache-2.0 */
/*
 * henon - cyclic shifts of an image's rows and columns by an orbit of the Henon map.
 *
 *     x' = 1 - a x^2 + y,   y' = b x        (M. Henon, Comm. Math. Phys. 50:69, 1976)
 *
 * in fixed-point numbers with 56 fraction bits and whole-number rounding, so that every machine has
 * the same orbit. A permutation that hides nothing by itself: the cells it moves are ciphertext.
 */
#ifndef DICOMSTEGO_HENON_H
#define DICOMSTEGO_HENON_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define STEGO_HENON_SEED_BYTES 16U

/* In millionths; a up to 2, b up to 1. Henon's own are 1.4 and 0.3. */
struct stego_henon_form {
    uint32_t a, b;
};
#define STEGO_HENON_DEFAULT ((struct stego_henon_form){.a = 1400000, .b = 300000})
#define STEGO_HENON_A_MAX   2000000U
#define STEGO_HENON_B_MAX   1000000U

#define STEGO_HENON_ONE (INT64_C(1) << 56)

struct stego_henon {
    int64_t a, b, x, y; /* multiples of 1 / STEGO_HENON_ONE */
};

/* DS_EINVAL: the form is out of bounds. The first steps, on which seeds that lie close together are
 * still close, have been made. */
DS_CHECKED enum ds_status stego_henon_start(struct stego_henon *h, struct stego_henon_form form,
                                            const uint8_t seed[STEGO_HENON_SEED_BYTES],
                                            struct ds_error *err);
/* One step: a number below bound (not 0, at most 2^32) from the bits of x. */
uint64_t stego_henon_next(struct stego_henon *h, uint64_t bound);

/* Cells of cell_bytes bytes, raster order; from and to do not overlap. Every row is shifted by a
 * number of its own, then every column. DS_ENOMEM. */
struct stego_henon_grid {
    uint32_t columns, rows;
    unsigned cell_bytes;
};
DS_CHECKED enum ds_status stego_henon_scatter(struct stego_henon h, struct stego_henon_grid grid,
                                              const uint8_t *from, uint8_t *to,
                                              struct ds_error *err);
/* The way back, from the same start. */
DS_CHECKED enum ds_status stego_henon_gather(struct stego_henon h, struct stego_henon_grid grid,
                                             const uint8_t *from, uint8_t *to,
                                             struct ds_error *err);

#endif
