/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec - one compressed frame to native cells, and back; private to dicom/. One table for all
 * transfer syntaxes that are decoded or encoded here.
 *
 * A codec is pure and keeps nothing between frames: any thread, any order of frames.
 */
#ifndef DICOMSTEGO_DICOM_CODEC_H
#define DICOMSTEGO_DICOM_CODEC_H

#include "dicom/pixels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_codec {
    const char *transfer_syntax;
    /* Frames are native ones, packed at most (PS3.5 A.4.11, A.4.13): colour may lie by plane. */
    bool only_packs;
    /* p: geometry and attributes of the image, cells and frames not used. stream: one whole frame's
     * codestream, its fragments joined. cells: exactly frame_bytes bytes, little endian, colour by
     * pixel. DS_EFORMAT: damaged, or another image than p says. DS_EUNSUPPORTED: a kind of stream
     * that is not decoded here; the text says which. Sizes in the stream are checked against p
     * before memory is taken. */
    enum ds_status (*decode)(const struct dicom_pixels *p, const uint8_t *stream, size_t len,
                             uint8_t *cells, size_t frame_bytes, struct ds_error *err);
    /* Appends the codestream of one frame, lossless: bits above bits_stored included where the
     * syntax can hold them. DS_EUNSUPPORTED: this kind of image has no lossless form in the syntax.
     * NULL: there is no encoder. The same cells give the same bytes. */
    enum ds_status (*encode)(const struct dicom_pixels *p, const uint8_t *cells, size_t frame_bytes,
                             struct ds_bytes *out, struct ds_error *err);
};

/* NULL: pixels in this transfer syntax are neither decoded nor encoded. */
const struct dicom_codec *dicom_codec_for(const char *transfer_syntax);

#ifdef __cplusplus
}
#endif
#endif
