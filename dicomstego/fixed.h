/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixed - logarithm, power and square root in whole numbers, the same on every machine. Private.
 *
 * What the extractor repeats is computed with these alone. They are definitions: a more exact value
 * would be another format (docs/engine.md).
 */
#ifndef DICOMSTEGO_FIXED_H
#define DICOMSTEGO_FIXED_H

#include <stdint.h>

#define STEGO_ONE (INT64_C(1) << 30) /* 1.0 with 30 fraction bits */

/* 16 * log2(v), rounded down to 1/16 octave by a parabola through each octave; 0 for v = 0. */
uint32_t stego_log2_16ths(uint64_t v);
/* 2^-(x / 2^16) with 30 fraction bits; 0 from x = 30 * 2^16 on. */
uint32_t stego_exp2_minus(uint64_t x);
/* The greatest integer whose square is not greater than v. */
uint32_t stego_sqrt(uint64_t v);

#endif
