/* SPDX-License-Identifier: Apache-2.0 */
/*
 * j2k_header - what a JPEG 2000 codestream says about itself (ITU-T T.800 A.5.1), and where it lies
 * in a JP2 file, which PS3.5 8.2.4 forbids and some devices write; private to dicom/.
 *
 * Asked before a decoder is, so that a stream takes no memory that the image does not need.
 */
#ifndef DICOMSTEGO_DICOM_J2K_HEADER_H
#define DICOMSTEGO_DICOM_J2K_HEADER_H

#include "dicom/pixels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_j2k_header {
    uint32_t columns, rows;
    uint64_t tiles;
    unsigned components;
    unsigned precision_bits;
    bool is_signed;
    bool is_uniform;    /* all components have this precision and sign */
    bool is_subsampled; /* some component has fewer samples than the grid */
    bool is_reversible; /* the wavelet loses nothing (A.6.1, main header) */
};

/* Moves *data and *len to the codestream; false when there is none, or no SIZ segment in it. */
DS_CHECKED bool dicom_j2k_header_read(const uint8_t **data, size_t *len,
                                      struct dicom_j2k_header *out);

/* Says in a whole codestream's SIZ that its signed samples have 30 bits. A reversible stream
 * decodes to the same numbers, but none is cut to the range that it had: careless encoders put
 * unsigned words into signed streams, and their low bits are right. */
void dicom_j2k_widen(uint8_t *stream, unsigned components);

/* DS_EFORMAT: another image than p. DS_EUNSUPPORTED: a kind that is not decoded here. */
DS_CHECKED enum ds_status dicom_j2k_header_check(const struct dicom_pixels *p,
                                                 const struct dicom_j2k_header *h,
                                                 struct ds_error *err);

/* A decoded sample to its cell, which is zero: as the stream has it, of its precision and sign.
 * Where Pixel Representation says another sign the low bits are the same. */
void dicom_j2k_put_cell(const struct dicom_pixels *p, const struct dicom_j2k_header *h,
                        uint8_t *cells, size_t at, int32_t value);

#ifdef __cplusplus
}
#endif
#endif
