/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jpegls - the scan of a lossless JPEG-LS image of one component (ITU-T T.87), without any marker
 * segment.
 *
 * What is decoded may be anything: the decoder ends, stays inside its memory, wants exactly as many
 * values as there are and not a byte more, and answers DS_EFORMAT otherwise; the values are then
 * unspecified, but each is below 2^depth.
 */
#ifndef DICOMSTEGO_DICOM_JPEGLS_H
#define DICOMSTEGO_DICOM_JPEGLS_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_JPEGLS_DEPTH_MIN 2U
#define DICOM_JPEGLS_DEPTH_MAX 16U
#define DICOM_JPEGLS_RESET_MAX 255U /* keeps the sums of the contexts below 2^24 */

struct dicom_jpegls {
    uint32_t *values; /* columns * rows in raster order, each below 2^depth; the caller's */
    uint32_t columns, rows;
    unsigned depth;         /* MAXVAL is 2^depth - 1 */
    uint16_t thresholds[3]; /* T1, T2, T3; 0: the default (C.2.4.1.1) */
    uint16_t reset;         /* RESET; 0: the default */
};

/* DS_EFORMAT: depth, thresholds or reset out of range. */
DS_CHECKED enum ds_status dicom_jpegls_encode(const struct dicom_jpegls *j, struct ds_bytes *out,
                                              struct ds_error *err);
DS_CHECKED enum ds_status dicom_jpegls_decode(struct dicom_jpegls *j, const uint8_t *data,
                                              size_t len, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
