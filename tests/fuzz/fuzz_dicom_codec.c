/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicom_codec - encapsulated Pixel Data of a small image: its fragments, then every decoder.
 *
 * The head says which syntax and geometry; the rest is the value of Pixel Data as it lies in a
 * file. Cells that were decoded are written by the syntax's encoder and come back the same.
 */
#include "dicom/codec.h"
#include "dicom/dataset.h"
#include "dicom/fragments.h"
#include "dicom/pixel_geometry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 8U
#define SIDE_MAX   64U
#define FRAMES_MAX 4U
#define BYTES_MAX  ((size_t)1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const syntaxes[] = {
    "1.2.840.10008.1.2.5",    "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201",
};

static struct dicom_pixels geometry(const uint8_t head[HEAD_BYTES])
{
    static const uint8_t allocated[] = {8, 16, 1, 32};
    struct dicom_pixels p = {
        .columns = 1 + head[1] % SIDE_MAX,
        .rows = 1 + head[2] % SIDE_MAX,
        .frames = 1 + head[3] % FRAMES_MAX,
        .samples_per_pixel = head[4] % 2 == 0 ? 1 : 3,
        .bits_allocated = allocated[head[5] % 4],
        .is_signed = head[6] % 2 != 0,
    };
    p.bits_stored = (uint16_t)(1 + head[7] % p.bits_allocated);
    p.high_bit = (uint16_t)(p.bits_stored - 1);
    (void)snprintf(p.photometric, sizeof p.photometric, "%s",
                   p.samples_per_pixel == 1 ? "MONOCHROME2" : "RGB");
    return p;
}

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void encode_again(const struct dicom_codec *codec, const struct dicom_pixels *p,
                         const uint8_t *cells, size_t frame_bytes)
{
    struct ds_error err;
    struct ds_bytes stream = DS_BYTES_INIT(BYTES_MAX);
    uint8_t *again = calloc(1, frame_bytes);
    must(again != NULL);
    if (codec->encode != NULL && codec->encode(p, cells, frame_bytes, &stream, &err) == DS_OK) {
        must(codec->decode(p, stream.data, stream.len, again, frame_bytes, &err) == DS_OK);
        must(memcmp(again, cells, frame_bytes) == 0);
    }
    free(again);
    ds_bytes_free(&stream);
}

static void decode_all(const struct dicom_codec *codec, const struct dicom_pixels *p,
                       const struct dicom_fragments *f)
{
    struct ds_error err;
    struct ds_bytes joined = DS_BYTES_INIT(BYTES_MAX);
    size_t frame_bytes = 0;
    size_t total = 0;
    must(dicom_geometry_decoded_bytes(p, &frame_bytes, &total, &err) == DS_OK);
    uint8_t *cells = calloc(1, frame_bytes);
    must(cells != NULL);
    for (uint32_t i = 0; i < p->frames; i++) {
        const uint8_t *stream = NULL;
        size_t len = 0;
        if (dicom_fragments_frame(f, i, &joined, &stream, &len, &err) == DS_OK && len > 0 &&
            codec->decode(p, stream, len, cells, frame_bytes, &err) == DS_OK) {
            encode_again(codec, p, cells, frame_bytes);
        }
    }
    free(cells);
    ds_bytes_free(&joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds_error err;
    struct dicom_fragments *f = NULL;
    must(dicom_init(&err) == DS_OK);
    if (size < HEAD_BYTES) {
        return 0;
    }
    const struct dicom_codec *codec = dicom_codec_for(syntaxes[data[0] % DS_ARRAY_SIZE(syntaxes)]);
    const struct dicom_pixels p = geometry(data);
    if (dicom_fragments_open(&f, data + HEAD_BYTES, size - HEAD_BYTES, NULL, p.frames, &err) ==
        DS_OK) {
        decode_all(codec, &p, f);
    }
    dicom_fragments_free(f);
    return 0;
}
