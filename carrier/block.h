/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block - a rectangle of values coded without loss. Private.
 *
 * Each coder has its own file: dicom/jpegls.c (ITU-T T.87), residuals.c (LZMA of prediction
 * residuals). block.c takes whichever needs fewer bytes. What is decoded may be anything: a decoder
 * ends, stays inside its memory, wants exactly as many values as there are and not a byte more, and
 * answers DS_EFORMAT otherwise; the values are then unspecified, but each is below 2^depth.
 * docs/restore-record.md is the format.
 */
#ifndef DICOMSTEGO_CARRIER_BLOCK_H
#define DICOMSTEGO_CARRIER_BLOCK_H

#include "base/bytes.h"

#define CARRIER_DEPTH_MIN 2U
#define CARRIER_DEPTH_MAX 32U

struct carrier_block {
    uint32_t *values; /* columns * rows in raster order, each below 2^depth; the caller's */
    uint32_t columns, rows;
    unsigned depth; /* CARRIER_DEPTH_MIN..CARRIER_DEPTH_MAX bits */
};

/* The number of values; DS_EFORMAT where their bytes would not fit into memory. */
DS_CHECKED enum ds_status carrier_block_count(const struct carrier_block *b, size_t *out,
                                              struct ds_error *err);

/* Appends a byte for the coder, then what it wrote. */
DS_CHECKED enum ds_status carrier_block_encode(const struct carrier_block *b, struct ds_bytes *out,
                                               struct ds_error *err);
DS_CHECKED enum ds_status carrier_block_decode(struct carrier_block *b, const uint8_t *data,
                                               size_t len, struct ds_error *err);

DS_CHECKED enum ds_status carrier_residuals_encode(const struct carrier_block *b,
                                                   struct ds_bytes *out, struct ds_error *err);
DS_CHECKED enum ds_status carrier_residuals_decode(struct carrier_block *b, const uint8_t *data,
                                                   size_t len, struct ds_error *err);

#endif
