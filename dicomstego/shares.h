/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares - erasure coding: n shares of which any k give the data back.
 *
 * Reed-Solomon over GF(2^8), systematic (the first shares are plain pieces of the data). The parity
 * rows are a Cauchy matrix: each square submatrix of a Cauchy matrix is invertible, so any k rows
 * of identity over Cauchy are too. ISA-L's Vandermonde generator (gf_gen_rs_matrix) does not
 * promise that beyond small sizes.
 *
 * GF(2^8) has room for 255 different shares and no more are needed: of n > 255 instances, instance
 * i carries share i mod 255, and the code's own k is chosen so that the promise still holds.
 */
#ifndef DICOMSTEGO_SHARES_H
#define DICOMSTEGO_SHARES_H

#include "base/bytes.h"

#define STEGO_SHARES_DISTINCT 255U

struct stego_shares {
    uint32_t needed;      /* k: so many instances, whichever, are enough */
    uint32_t total;       /* n: instances */
    uint32_t distinct;    /* different shares: min(n, 255) */
    uint32_t code_needed; /* so many different shares are enough */
};

/* 1 <= needed <= total. */
struct stego_shares stego_shares_of(uint32_t needed, uint32_t total);
/* k for so much redundancy: ceil(total * (100 - percent) / 100), at least 1. */
uint32_t stego_shares_needed_for(uint32_t total, unsigned redundancy_percent);

/* The length of each share of len bytes; 0 for 0. */
size_t stego_shares_bytes(const struct stego_shares *s, size_t len);

/* Appends share number index (< total). The data is taken as padded with zeros. */
DS_CHECKED enum ds_status stego_shares_encode(const struct stego_shares *s, const uint8_t *data,
                                              size_t len, uint32_t index, struct ds_bytes *out,
                                              struct ds_error *err);

/* shares[i] (i < distinct): share i of share_len bytes, or NULL. Appends the data with its padding.
 * DS_ECAPACITY when there are fewer than code_needed. */
DS_CHECKED enum ds_status stego_shares_decode(const struct stego_shares *s,
                                              const uint8_t *const *shares, size_t share_len,
                                              struct ds_bytes *out, struct ds_error *err);

#endif
