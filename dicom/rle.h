/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rle - RLE Lossless frames (PS3.5 annex G); private to dicom/.
 *
 * Written here because DCMTK 3.6.7 reads beyond its input on damaged streams, and knows no 1-bit
 * pixels.
 */
#ifndef DICOMSTEGO_DICOM_RLE_H
#define DICOMSTEGO_DICOM_RLE_H

#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

/* One frame: pixels cells of samples * bytes each, little endian, colour by pixel. out has exactly
 * pixels * samples * bytes bytes. DS_EFORMAT when the segments do not give that many. */
DS_CHECKED enum ds_status dicom_rle_decode(const uint8_t *data, size_t len, size_t pixels,
                                           unsigned samples, unsigned bytes, uint8_t *out,
                                           struct ds_error *err);

/* Appends one frame of such cells. Rows are packed each for itself (G.3.1); a segment is padded to
 * even length. DS_EUNSUPPORTED above 15 segments. */
DS_CHECKED enum ds_status dicom_rle_encode(const uint8_t *cells, size_t columns, size_t rows,
                                           unsigned samples, unsigned bytes, struct ds_bytes *out,
                                           struct ds_error *err);

#endif
