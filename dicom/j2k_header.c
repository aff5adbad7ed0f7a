/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/j2k_header.h"

#include "base/bytes.h"

#define MARKER_SOC 0xff4fU
#define MARKER_SIZ 0xff51U
#define MARKER_COD 0xff52U
#define MARKER_SOT 0xff90U
#define BOX_JP2    0x6a502020U /* "jP  " */
#define BOX_STREAM 0x6a703263U /* "jp2c" */

/* The content of the next box; false at the end or when it is damaged (T.800 I.4). */
static bool next_box(struct ds_cursor *c, uint32_t *type, const uint8_t **content, size_t *len)
{
    uint64_t size = ds_cursor_be(c, 4);
    size_t header = 8;
    *type = (uint32_t)ds_cursor_be(c, 4);
    if (size == 1) {
        size = ds_cursor_be(c, 8);
        header = 16;
    } else if (size == 0) { /* to the end of the file */
        size = header + ds_cursor_left(c);
    }
    if (c->failed || size < header || size - header > ds_cursor_left(c)) {
        return false;
    }
    *len = (size_t)size - header;
    *content = ds_cursor_bytes(c, *len);
    return true;
}

static bool find_stream(const uint8_t **data, size_t *len)
{
    struct ds_cursor c = ds_cursor_over(*data, *len);
    uint32_t type = 0;
    const uint8_t *content = NULL;
    size_t content_len = 0;
    if (!next_box(&c, &type, &content, &content_len) || type != BOX_JP2) {
        return false;
    }
    while (next_box(&c, &type, &content, &content_len)) {
        if (type == BOX_STREAM) {
            *data = content;
            *len = content_len;
            return true;
        }
    }
    return false;
}

static void read_components(struct ds_cursor *c, struct dicom_j2k_header *out)
{
    out->is_uniform = true;
    for (unsigned i = 0; i < out->components && !c->failed; i++) {
        const unsigned depth = (unsigned)ds_cursor_be(c, 1);
        const unsigned dx = (unsigned)ds_cursor_be(c, 1);
        const unsigned dy = (unsigned)ds_cursor_be(c, 1);
        const unsigned precision = (depth & 0x7fU) + 1;
        const bool is_signed = (depth & 0x80U) != 0;
        if (i == 0) {
            out->precision_bits = precision;
            out->is_signed = is_signed;
        }
        out->is_uniform =
            out->is_uniform && precision == out->precision_bits && is_signed == out->is_signed;
        out->is_subsampled = out->is_subsampled || dx != 1 || dy != 1;
    }
}

static uint64_t tiles_of(uint32_t size, uint32_t tile, uint32_t offset)
{
    return ((uint64_t)size - offset + tile - 1) / tile;
}

static bool read_size(struct ds_cursor *c, struct dicom_j2k_header *out)
{
    uint32_t v[8];            /* Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz */
    (void)ds_cursor_be(c, 4); /* Lsiz, Rsiz */
    for (size_t i = 0; i < DS_ARRAY_SIZE(v); i++) {
        v[i] = (uint32_t)ds_cursor_be(c, 4);
    }
    out->components = (unsigned)ds_cursor_be(c, 2);
    read_components(c, out);
    if (c->failed || v[0] <= v[2] || v[1] <= v[3] || v[4] == 0 || v[5] == 0 || v[6] > v[2] ||
        v[7] > v[3]) {
        return false;
    }
    out->columns = v[0] - v[2];
    out->rows = v[1] - v[3];
    out->tiles = tiles_of(v[0], v[4], v[6]) * tiles_of(v[1], v[5], v[7]);
    return true;
}

/* Among the segments behind SIZ, the transformation of the coding style default (A.6.1). */
static bool finds_reversible(struct ds_cursor *c)
{
    while (!c->failed) {
        const unsigned marker = (unsigned)ds_cursor_be(c, 2);
        const size_t len = (size_t)ds_cursor_be(c, 2);
        if (marker == MARKER_SOT || len < 2) {
            return false;
        }
        const uint8_t *body = ds_cursor_bytes(c, len - 2);
        if (body != NULL && marker == MARKER_COD) {
            return len >= 12 && body[9] == 1;
        }
    }
    return false;
}

bool dicom_j2k_header_read(const uint8_t **data, size_t *len, struct dicom_j2k_header *out)
{
    *out = (struct dicom_j2k_header){0};
    struct ds_cursor c = ds_cursor_over(*data, *len);
    if (ds_cursor_be(&c, 2) != MARKER_SOC) {
        if (!find_stream(data, len)) {
            return false;
        }
        c = ds_cursor_over(*data, *len);
        if (ds_cursor_be(&c, 2) != MARKER_SOC) {
            return false;
        }
    }
    /* SIZ comes first (A.4.1). */
    if (ds_cursor_be(&c, 2) != MARKER_SIZ || !read_size(&c, out)) {
        return false;
    }
    out->is_reversible = finds_reversible(&c);
    return true;
}

/* SOC, SIZ, Lsiz, Rsiz, eight numbers, Csiz; then three bytes a component. */
#define FIRST_DEPTH_OFFSET 42U

void dicom_j2k_widen(uint8_t *stream, unsigned components)
{
    for (unsigned i = 0; i < components; i++) {
        stream[FIRST_DEPTH_OFFSET + 3 * i] = 0x80U | (30U - 1U);
    }
}

/* Tiles are allocated before any of them is read; real ones have thousands of pixels. */
#define TILE_MIN_PIXELS 256U
#define TILES_ALWAYS    64U

enum ds_status dicom_j2k_header_check(const struct dicom_pixels *p,
                                      const struct dicom_j2k_header *h, struct ds_error *err)
{
    if (h->columns != p->columns || h->rows != p->rows || h->components != p->samples_per_pixel) {
        return ds_fail(err, DS_EFORMAT,
                       "a stream of %ux%u pixels with %u components where %ux%u "
                       "with %u belong",
                       h->columns, h->rows, h->components, p->columns, p->rows,
                       p->samples_per_pixel);
    }
    if (h->is_subsampled || !h->is_uniform) {
        return ds_fail(err, DS_EUNSUPPORTED, "JPEG 2000 with components that differ");
    }
    if (p->bits_allocated > 32 || h->precision_bits > p->bits_allocated) {
        return ds_fail(err, p->bits_allocated > 32 ? DS_EUNSUPPORTED : DS_EFORMAT,
                       "a stream of %u bits where %u are allocated", h->precision_bits,
                       p->bits_allocated);
    }
    if (h->tiles > TILES_ALWAYS + (uint64_t)h->columns * h->rows / TILE_MIN_PIXELS) {
        return ds_fail(err, DS_EUNSUPPORTED, "JPEG 2000 in %llu tiles",
                       (unsigned long long)h->tiles);
    }
    return DS_OK;
}

static uint32_t cell_of(const struct dicom_j2k_header *h, int32_t value)
{
    const uint32_t mask = h->precision_bits == 32 ? UINT32_MAX : (1U << h->precision_bits) - 1;
    const uint32_t low = (uint32_t)value & mask;
    return h->is_signed && (low >> (h->precision_bits - 1) & 1U) != 0 ? low | ~mask : low;
}

void dicom_j2k_put_cell(const struct dicom_pixels *p, const struct dicom_j2k_header *h,
                        uint8_t *cells, size_t at, int32_t value)
{
    const uint32_t cell = cell_of(h, value);
    if (p->bits_allocated == 1) {
        cells[at / 8] = (uint8_t)(cells[at / 8] | (cell & 1U) << (at % 8));
        return;
    }
    const unsigned bytes = p->bits_allocated / 8U;
    for (unsigned i = 0; i < bytes; i++) {
        cells[at * bytes + i] = (uint8_t)(cell >> (8 * i));
    }
}
