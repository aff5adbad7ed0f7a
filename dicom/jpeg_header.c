/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/jpeg_header.h"

#include "base/bytes.h"

/* SOF0 to SOF15 without DHT, JPG and DAC, which lie among them; and SOF55 of JPEG-LS. */
static bool is_frame_header(unsigned marker)
{
    if (marker == 0xf7) {
        return true;
    }
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Markers without a length: SOI, EOI, RST and TEM. */
static bool stands_alone(unsigned marker)
{
    return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd9);
}

static unsigned next_marker(struct ds_cursor *c)
{
    unsigned byte = (unsigned)ds_cursor_be(c, 1);
    if (byte != 0xff) {
        return 0;
    }
    while (byte == 0xff && !c->failed) {
        byte = (unsigned)ds_cursor_be(c, 1);
    }
    return byte;
}

bool dicom_jpeg_header_read(const uint8_t *data, size_t len, struct dicom_jpeg_header *out)
{
    struct ds_cursor c = ds_cursor_over(data, len);
    *out = (struct dicom_jpeg_header){0};
    for (;;) {
        const unsigned marker = next_marker(&c);
        if (marker == 0) {
            return false;
        }
        if (stands_alone(marker)) {
            continue;
        }
        const size_t segment = (size_t)ds_cursor_be(&c, 2);
        if (is_frame_header(marker)) {
            out->is_jpegls = marker == 0xf7;
            out->precision_bits = (unsigned)ds_cursor_be(&c, 1);
            out->rows = (unsigned)ds_cursor_be(&c, 2);
            out->columns = (unsigned)ds_cursor_be(&c, 2);
            out->components = (unsigned)ds_cursor_be(&c, 1);
            return !c.failed;
        }
        if (segment < 2 || ds_cursor_bytes(&c, segment - 2) == NULL) {
            return false;
        }
    }
}
