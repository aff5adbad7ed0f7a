/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jpeg_header - what a JPEG or JPEG-LS stream says about itself (ISO/IEC 10918-1 B.2.2); private to
 * dicom/.
 *
 * DCMTK's decoders trust the DICOM attributes for the size of a sample: a stream of 8 bits then
 * fills half of a 16-bit frame. Asked before decoding, the contradiction is an error.
 */
#ifndef DICOMSTEGO_DICOM_JPEG_HEADER_H
#define DICOMSTEGO_DICOM_JPEG_HEADER_H

#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_jpeg_header {
    unsigned precision_bits, rows, columns, components;
    bool is_jpegls;
};

/* The first frame header of the stream; false when there is none. */
DS_CHECKED bool dicom_jpeg_header_read(const uint8_t *data, size_t len,
                                       struct dicom_jpeg_header *out);

#ifdef __cplusplus
}
#endif
#endif
