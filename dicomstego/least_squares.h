/* SPDX-License-Identifier: Apache-2.0 */
/*
 * least_squares - weights from sums of products, in whole numbers. Private.
 *
 * Solves the normal equations by LDL' decomposition with 30 fraction bits. The equations are scaled
 * by powers of two so that the diagonal lies between 1/4 and 1, and 2^-13 is added to it: then no
 * pivot is below 2^-13, and by Cauchy and Schwarz no sum in the decomposition exceeds 1.
 */
#ifndef DICOMSTEGO_LEAST_SQUARES_H
#define DICOMSTEGO_LEAST_SQUARES_H

#include <stddef.h>
#include <stdint.h>

#define STEGO_UNKNOWNS_MAX 48U
#define STEGO_WEIGHT_BITS  12U /* fraction bits of a weight; weights are below 8 */

struct stego_fit {
    int64_t residue; /* the sum of squares that the weights miss is residue * 2^residue_shift */
    int32_t residue_shift;
};

/* sums: the lower triangle, row by row, of the products of n inputs and (last row) the output;
 * |sums| < 2^40. count: how many were summed. */
void stego_least_squares(const int64_t *sums, unsigned n, int64_t count, int32_t *weight,
                         struct stego_fit *fit);

#endif
