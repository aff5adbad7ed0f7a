/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/codec.h"

#include "dicom/codec_private.h"
#include "dicom/deflate.h"
#include "dicom/rle.h"

#include <string.h>

/* ---- frames that are only packed ---- */

/* A native frame, with at most its padding byte. */
static enum ds_status copy_frame(const uint8_t *frame, size_t len, uint8_t *cells,
                                 size_t frame_bytes, struct ds_error *err)
{
    if (len < frame_bytes || len > frame_bytes + 1) {
        return ds_fail(err, DS_EFORMAT, "a frame of %zu bytes where %zu belong", len, frame_bytes);
    }
    memcpy(cells, frame, frame_bytes);
    return DS_OK;
}

static DICOM_DECODER(decode_uncompressed)
{
    (void)p;
    return copy_frame(stream, len, cells, frame_bytes, err);
}

static DICOM_ENCODER(encode_uncompressed)
{
    (void)p;
    return ds_bytes_append(out, cells, frame_bytes, err);
}

static DICOM_DECODER(decode_deflated)
{
    (void)p;
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(frame_bytes + 1);
    const enum ds_status s = dicom_inflate(stream, len, &plain, err);
    return s == DS_OK ? copy_frame(plain.data, plain.len, cells, frame_bytes, err) : s;
}

static DICOM_ENCODER(encode_deflated)
{
    (void)p;
    return dicom_deflate(cells, frame_bytes, out, err);
}

/* ---- RLE ---- */

/* 1-bit cells travel packed, eight to a byte, in one segment. */
static unsigned cell_bytes(const struct dicom_pixels *p)
{
    return p->bits_allocated < 8 ? 1 : p->bits_allocated / 8U;
}

static DICOM_DECODER(decode_rle)
{
    const unsigned bytes = cell_bytes(p);
    return dicom_rle_decode(stream, len, frame_bytes / (bytes * p->samples_per_pixel),
                            p->samples_per_pixel, bytes, cells, err);
}

static DICOM_ENCODER(encode_rle)
{
    const unsigned bytes = cell_bytes(p);
    const bool packed = p->bits_allocated < 8;
    if (packed && p->samples_per_pixel != 1) {
        return ds_fail(err, DS_EUNSUPPORTED, "RLE is not written with 1-bit colour");
    }
    return dicom_rle_encode(cells, packed ? frame_bytes : p->columns, packed ? 1 : p->rows,
                            p->samples_per_pixel, bytes, out, err);
}

/* ---- the table ---- */

static const struct dicom_codec codecs[] = {
    {"1.2.840.10008.1.2.5", false, decode_rle, encode_rle},
    {"1.2.840.10008.1.2.1.98", true, decode_uncompressed, encode_uncompressed},
    {"1.2.840.10008.1.2.8.1", true, decode_deflated, encode_deflated},
    {"1.2.840.10008.1.2.4.50", false, dicom_jpeg_decode, NULL},
    {"1.2.840.10008.1.2.4.51", false, dicom_jpeg_decode, NULL},
    {"1.2.840.10008.1.2.4.53", false, dicom_jpeg_decode, NULL},
    {"1.2.840.10008.1.2.4.55", false, dicom_jpeg_decode, NULL},
    {"1.2.840.10008.1.2.4.57", false, dicom_jpeg_decode, dicom_lossless_encode},
    {"1.2.840.10008.1.2.4.70", false, dicom_jpeg_decode, dicom_lossless_encode},
    {"1.2.840.10008.1.2.4.80", false, dicom_jpegls_frame_decode, dicom_jpegls_frame_encode},
    {"1.2.840.10008.1.2.4.81", false, dicom_jpegls_frame_decode, dicom_jpegls_frame_encode},
    {"1.2.840.10008.1.2.4.90", false, dicom_j2k_decode, dicom_j2k_encode},
    {"1.2.840.10008.1.2.4.91", false, dicom_j2k_decode, dicom_j2k_encode},
    {"1.2.840.10008.1.2.4.201", false, dicom_j2k_decode, dicom_htj2k_encode},
    {"1.2.840.10008.1.2.4.202", false, dicom_j2k_decode, NULL},
    {"1.2.840.10008.1.2.4.203", false, dicom_j2k_decode, dicom_htj2k_encode},
};

const struct dicom_codec *dicom_codec_for(const char *transfer_syntax)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(codecs); i++) {
        if (strcmp(codecs[i].transfer_syntax, transfer_syntax) == 0) {
            return &codecs[i];
        }
    }
    return NULL;
}

bool dicom_dataset_encodes(const char *transfer_syntax)
{
    const struct dicom_codec *codec = dicom_codec_for(transfer_syntax);
    return dicom_transfer_syntax_is_native(transfer_syntax) ||
           (codec != NULL && codec->encode != NULL);
}

bool dicom_dataset_decodes(const char *transfer_syntax)
{
    return dicom_transfer_syntax_is_native(transfer_syntax) ||
           dicom_codec_for(transfer_syntax) != NULL;
}
