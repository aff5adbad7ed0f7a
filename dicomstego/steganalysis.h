/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steganalysis - what an observer without a key sees of least significant bits that were replaced.
 * Both look at the lowest bit plane; neither sees reversible hiding, which does not replace it.
 */
#ifndef DICOMSTEGO_STEGANALYSIS_H
#define DICOMSTEGO_STEGANALYSIS_H

#include "dicomstego/image.h"

/* Attack by chi-square on pairs of values 2k, 2k + 1 (Westfeld, Pfitzmann, Information Hiding
 * 1999): the probability that the bits of the first count samples, in the order of stego_image,
 * were replaced by random ones. Only pairs that are expected more than 4 times count. NAN without
 * two such pairs. */
DS_CHECKED enum ds_status stego_chi_square_attack(const struct stego_image *image, size_t count,
                                                  double *probability, struct ds_error *err);

/* RS analysis (Fridrich, Goljan, Du, IEEE Multimedia 8:22, 2001): groups of four samples side by
 * side, mask 0 1 1 0, sum of absolute differences. The estimate gets rough towards 1, where its
 * equation has no solution. */
struct stego_rs {
    double regular, singular;                   /* of the groups, with the mask */
    double regular_negative, singular_negative; /* with its negative */
    double length; /* estimated part of the samples that carries a bit; NAN: no estimate */
};
DS_CHECKED enum ds_status stego_rs_analysis(const struct stego_image *image, struct stego_rs *out,
                                            struct ds_error *err);

#endif
