/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope - the bytes of a DICOM file around its native Pixel Data value.
 *
 * A scanner walks the elements of a data set (PS3.5 7) without interpreting values, and finds where
 * the value of the top-level (7FE0,0010) lies. What stands before and after it, together with the
 * restored pixels, gives back the very file: sequence encodings, group lengths, group 0002 and all.
 *
 * It is also the guard in front of every other parser: lengths that lie and sequences that nest
 * without end are found here, in bounded memory and without recursion.
 */
#ifndef DICOMSTEGO_DICOM_ENVELOPE_H
#define DICOMSTEGO_DICOM_ENVELOPE_H

#include "base/bytes.h"
#include "base/sha256.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_ENVELOPE_DEPTH 64U /* sequences within sequences; more is refused */

struct dicom_envelope {
    size_t dataset_offset; /* first byte after group 0002; 0 for a bare data set */
    size_t pixel_element;  /* first byte of the Pixel Data element */
    size_t pixel_offset;   /* first byte of the Pixel Data value */
    size_t pixel_len;      /* its even length; 0 when there is no native pixel data */
    bool has_native_pixels;
    bool big_endian;    /* the cells in the file are big endian words (1.2.840.10008.1.2.2) */
    uint8_t cell_bytes; /* word size to swap by when big_endian: 1 (OB) or 2 (OW) */
    size_t elements;    /* at the top level, group lengths included */
    bool deflated;      /* the data set is one deflated stream: nothing in it was looked at */
    /* From group 0002; for a bare data set the native one that was guessed. */
    char transfer_syntax[65];
};

/* Borrowed view. DS_EFORMAT when the elements do not add up to the length. Deflated data sets have
 * no visible elements: has_native_pixels is false. */
DS_CHECKED enum ds_status dicom_envelope_scan(const uint8_t *file, size_t len,
                                              struct dicom_envelope *out, struct ds_error *err);

/* The same for a data set without group 0002 in a known transfer syntax (not deflated). */
DS_CHECKED enum ds_status dicom_envelope_scan_dataset(const uint8_t *dataset, size_t len,
                                                      const char *transfer_syntax,
                                                      struct dicom_envelope *out,
                                                      struct ds_error *err);

/* Only group 0002: dataset_offset, transfer_syntax and deflated; the data set is not looked at. */
DS_CHECKED enum ds_status dicom_envelope_locate(const uint8_t *file, size_t len,
                                                struct dicom_envelope *out, struct ds_error *err);

/* File hash: the data set's bytes as received, group 0002 left out. */
DS_CHECKED enum ds_status dicom_file_hash(const uint8_t *file, size_t len,
                                          uint8_t out[DS_SHA256_BYTES], struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
