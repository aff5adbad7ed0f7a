/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics - the figures by which the literature judges ciphers of images.
 *
 * Numbers that do not exist (the correlation of a flat image) are NAN. Pure; usable from several
 * threads.
 */
#ifndef DICOMSTEGO_STATISTICS_H
#define DICOMSTEGO_STATISTICS_H

#include "dicomstego/image.h"

/* P(X > x) for chi-square distributed X: the regularised incomplete gamma function Q(df / 2, x / 2)
 * by its series or continued fraction (Abramowitz, Stegun 6.5.29 and 6.5.31). */
double stego_chi_square_tail(double x, double degrees);

enum stego_direction { STEGO_HORIZONTAL, STEGO_VERTICAL, STEGO_DIAGONAL, STEGO_DIRECTIONS };

struct stego_statistics {
    /* Shannon's, -sum p log2 p: of the samples, and of their bytes as they are stored (1, 2 or 4 a
     * sample). Of the samples NAN with more than 16 bits. */
    double entropy_sample, entropy_byte;
    /* Pearson's r of all pairs of neighbours in the planes: right, below, right below. */
    double correlation[STEGO_DIRECTIONS];
    /* Of the histogram of the stored bytes against the uniform one, 255 degrees of freedom, and how
     * probable one is that deviates more. */
    double chi_square, chi_square_p;
    uint64_t bytes[256]; /* that histogram */
};
DS_CHECKED enum ds_status stego_statistics_of(const struct stego_image *image,
                                              struct stego_statistics *out, struct ds_error *err);

/* Number of pixels change rate and unified averaged changed intensity (Wu, Noonan, Agaian, J.
 * Selected Areas in Telecommunications, 2011). Two independent uniform images of 8 bits have 99.609
 * % and 33.464 %; of 16 bits 99.998 % and 33.334 %. */
struct stego_change {
    bool by_byte; /* the geometries differ: the stored bytes, as many as the shorter has */
    uint64_t compared;
    double npcr, uaci; /* percent */
};
DS_CHECKED enum ds_status stego_change_of(const struct stego_image *a, const struct stego_image *b,
                                          struct stego_change *out, struct ds_error *err);

/* Bytes of a stored sample: 1, 2 or 4. */
unsigned stego_sample_bytes(const struct stego_image *image);

#endif
