/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cipher.h"

#include "base/secret.h"
#include "dicom/envelope.h"

#include <stdlib.h>
#include <string.h>

#define TAG_SAMPLES_PER_PIXEL DICOM_TAG(0x0028, 0x0002)
#define TAG_ROWS              DICOM_TAG(0x0028, 0x0010)
#define TAG_COLUMNS           DICOM_TAG(0x0028, 0x0011)
#define TAG_PLANAR            DICOM_TAG(0x0028, 0x0006)
#define TAG_BITS_ALLOCATED    DICOM_TAG(0x0028, 0x0100)

void cipher_source_free(struct cipher_source *s)
{
    ds_bytes_free(&s->head);
    ds_bytes_free(&s->cells);
}

/* ---- PNG ---- */

/* columns, rows: 4 bytes each, big endian; components, bits: 1 each. */
#define PNG_HEAD_BYTES 10U

static enum ds_status put_png_head(const struct stego_image *image, struct ds_bytes *out,
                                   struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_be(out, image->columns, 4, err);
    if (s == DS_OK) {
        s = ds_bytes_put_be(out, image->rows, 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, image->components, err);
    }
    return s == DS_OK ? ds_bytes_put_u8(out, image->bits_stored, err) : s;
}

static enum ds_status put_samples(const struct stego_image *image, struct ds_bytes *out,
                                  struct ds_error *err)
{
    size_t count = 0;
    const unsigned width = image->bits_stored == 8 ? 1 : 2;
    if (!stego_image_count(image, &count)) {
        return ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    const enum ds_status s = ds_bytes_resize(out, count * width, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        out->data[i * width] = (uint8_t)image->samples[i];
        if (width == 2) {
            out->data[i * width + 1] = (uint8_t)((uint32_t)image->samples[i] >> 8);
        }
    }
    return s;
}

static enum ds_status load_png(struct cipher_source *out, const struct ds_bytes *file,
                               struct ds_error *err)
{
    struct stego_image image = {0};
    enum ds_status s = cli_png_read(file, &image, err);
    if (s == DS_OK) {
        s = put_png_head(&image, &out->head, err);
    }
    if (s == DS_OK) {
        s = put_samples(&image, &out->cells, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_of(out->cells.data, out->cells.len, out->source.hash, err);
    }
    out->source.kind = CIPHER_KIND_PNG;
    out->source.cells = out->cells.data;
    out->source.grid = (struct stego_grid){image.columns, (size_t)image.rows * image.components,
                                           image.bits_stored == 8 ? 1 : 2};
    stego_image_free(&image);
    return s;
}

static enum ds_status restore_png(const struct stego_cipher_unpacked *u, struct ds_bytes *out,
                                  struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(u->head.data, u->head.len);
    struct stego_image image = {.frames = 1};
    image.columns = (uint32_t)ds_cursor_be(&c, 4);
    image.rows = (uint32_t)ds_cursor_be(&c, 4);
    image.components = (uint8_t)ds_cursor_be(&c, 1);
    image.bits_stored = (uint8_t)ds_cursor_be(&c, 1);
    const size_t width = image.bits_stored == 8 ? 1 : 2;
    size_t count = 0;
    if (c.failed || ds_cursor_left(&c) > 0 || (image.bits_stored != 8 && image.bits_stored != 16) ||
        !stego_image_count(&image, &count) || u->cells.len != count * width) {
        return ds_fail(err, DS_EAUTH, "what was deciphered is no PNG image");
    }
    enum ds_status s = stego_image_new(&image, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        const uint8_t *cell = u->cells.data + i * width;
        image.samples[i] = width == 1 ? cell[0] : cell[0] | cell[1] << 8;
    }
    if (s == DS_OK) {
        s = cli_png_write(&image, out, err);
    }
    stego_image_free(&image);
    return s;
}

/* ---- DICOM ---- */

/* 0 where it is absent or no number. */
static uint32_t number_of(const struct dicom_dataset *d, dicom_tag tag)
{
    char text[32] = "";
    uint32_t n = 0;
    const char *at = text;
    return dicom_dataset_get(d, tag, text, sizeof(text), NULL) == DS_OK && cli_number(&at, '\0', &n)
               ? n
               : 0;
}

/* Rows of all planes and frames below each other; one long row where the numbers do not add up. A
 * padding byte (PS3.5 8.1.1) stays outside. */
static struct stego_grid grid_of(const struct dicom_dataset *d, size_t pixel_len)
{
    const bool is_planar = number_of(d, TAG_PLANAR) == 1;
    const size_t samples = number_of(d, TAG_SAMPLES_PER_PIXEL);
    struct stego_grid g = {.columns = number_of(d, TAG_COLUMNS),
                           .cell_bytes = number_of(d, TAG_BITS_ALLOCATED) / 8};
    g.columns *= is_planar ? 1 : samples;
    const size_t row = g.columns * g.cell_bytes; /* 32 + 8 + 32 bits at most */
    g.rows = row == 0 ? 0 : pixel_len / row;
    size_t bytes = 0;
    return stego_grid_bytes(&g, &bytes) && pixel_len - bytes <= 1
               ? g
               : (struct stego_grid){.columns = pixel_len, .rows = 1, .cell_bytes = 1};
}

/* The length of what stands before the pixels, 8 bytes, big endian; then all around them. */
static enum ds_status put_dicom_head(const struct ds_bytes *file, const struct dicom_envelope *e,
                                     size_t cells_len, struct ds_bytes *out, struct ds_error *err)
{
    const size_t behind = e->pixel_offset + cells_len;
    enum ds_status s = ds_bytes_put_be(out, e->pixel_offset, 8, err);
    if (s == DS_OK) {
        s = ds_bytes_append(out, file->data, e->pixel_offset, err);
    }
    return s == DS_OK ? ds_bytes_append(out, file->data + behind, file->len - behind, err) : s;
}

static enum ds_status load_dicom(struct cipher_source *out, const struct ds_bytes *file,
                                 struct ds_error *err)
{
    struct dicom_envelope e = {0};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_envelope_scan(file->data, file->len, &e, err);
    if (s == DS_OK) {
        s = dicom_dataset_view(&d, file->data, file->len, NULL, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_of(file->data, file->len, out->source.hash, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (!e.has_native_pixels || e.pixel_len == 0) {
        out->source.kind = CIPHER_KIND_FILE;
        out->source.cells = file->data;
        out->source.grid = (struct stego_grid){.columns = file->len, .rows = 1, .cell_bytes = 1};
        return DS_OK;
    }
    out->source.kind = CIPHER_KIND_DICOM;
    out->source.cells = file->data + e.pixel_offset;
    out->source.grid = grid_of(d, e.pixel_len);
    size_t cells_len = 0;
    return stego_grid_bytes(&out->source.grid, &cells_len)
               ? put_dicom_head(file, &e, cells_len, &out->head, err)
               : ds_fail(err, DS_EFORMAT, "the pixels' geometry overflows");
}

static enum ds_status restore_dicom(const struct stego_cipher_unpacked *u, struct ds_bytes *out,
                                    struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(u->head.data, u->head.len);
    const size_t before_len = ds_cursor_be(&c, 8);
    const uint8_t *before = ds_cursor_bytes(&c, before_len);
    if (before == NULL) {
        return ds_fail(err, DS_EAUTH, "what was deciphered is no DICOM file");
    }
    const size_t behind_len = ds_cursor_left(&c);
    enum ds_status s = ds_bytes_append(out, before, before_len, err);
    if (s == DS_OK) {
        s = ds_bytes_append(out, u->cells.data, u->cells.len, err);
    }
    return s == DS_OK ? ds_bytes_append(out, ds_cursor_bytes(&c, behind_len), behind_len, err) : s;
}

/* ---- either ---- */

enum ds_status cipher_source_load(struct cipher_source *out, const struct ds_bytes *file,
                                  struct ds_error *err)
{
    *out = (struct cipher_source){.head = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES),
                                  .cells = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES)};
    const enum ds_status s =
        cli_is_png(file) ? load_png(out, file, err) : load_dicom(out, file, err);
    out->source.head = out->head.data;
    out->source.head_len = out->head.len;
    return s;
}

static enum ds_status hash_of(const struct stego_cipher_unpacked *u, const struct ds_bytes *file,
                              uint8_t hash[DS_SHA256_BYTES], struct ds_error *err)
{
    const struct ds_bytes *of = u->kind == CIPHER_KIND_PNG ? &u->cells : file;
    return ds_sha256_of(of->data, of->len, hash, err);
}

enum ds_status cipher_source_restore(const struct stego_cipher_unpacked *u, struct ds_bytes *out,
                                     struct ds_error *err)
{
    uint8_t hash[DS_SHA256_BYTES];
    enum ds_status s = DS_OK;
    switch (u->kind) {
    case CIPHER_KIND_PNG:
        s = restore_png(u, out, err);
        break;
    case CIPHER_KIND_DICOM:
        s = restore_dicom(u, out, err);
        break;
    case CIPHER_KIND_FILE:
        s = ds_bytes_append(out, u->cells.data, u->cells.len, err);
        break;
    default:
        s = ds_fail(err, DS_EAUTH, "what was deciphered is of an unknown kind");
        break;
    }
    if (s == DS_OK) {
        s = hash_of(u, out, hash, err);
    }
    return s == DS_OK && !ds_equal(hash, u->hash, sizeof(hash))
               ? ds_fail(err, DS_EAUTH, "what was deciphered is not the original")
               : s;
}
