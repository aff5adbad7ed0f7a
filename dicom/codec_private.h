/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec_private - the coders behind codec.c's table, one file for each family; private to dicom/.
 * All have the contract of struct dicom_codec.
 *
 *   codec_jpeg.cc    JPEG by DCMTK; what it does not take of JPEG-LS too
 *   codec_jpegls.c   JPEG-LS lossless, over jpegls.c
 *   codec_lossless.c JPEG Lossless, writing
 *   codec_j2k.c      JPEG 2000 by OpenJPEG, and reading HTJ2K; in a process of its own, apart.h
 *   codec_htj2k.cc   writing HTJ2K by OpenJPH
 */
#ifndef DICOMSTEGO_DICOM_CODEC_PRIVATE_H
#define DICOMSTEGO_DICOM_CODEC_PRIVATE_H

#include "dicom/codec.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_DECODER(name)                                                                        \
    enum ds_status name(const struct dicom_pixels *p, const uint8_t *stream, size_t len,           \
                        uint8_t *cells, size_t frame_bytes, struct ds_error *err)
#define DICOM_ENCODER(name)                                                                        \
    enum ds_status name(const struct dicom_pixels *p, const uint8_t *cells, size_t frame_bytes,    \
                        struct ds_bytes *out, struct ds_error *err)

DICOM_DECODER(dicom_jpeg_decode);
DICOM_ENCODER(dicom_lossless_encode);
DICOM_DECODER(dicom_jpegls_frame_decode);
DICOM_ENCODER(dicom_jpegls_frame_encode);
DICOM_DECODER(dicom_j2k_decode);
DICOM_ENCODER(dicom_j2k_encode);
DICOM_ENCODER(dicom_htj2k_encode);
/* Once, before threads start: OpenJPH prints to stderr what it also throws. */
void dicom_htj2k_silence(void);

#ifdef __cplusplus
}
#endif
#endif
