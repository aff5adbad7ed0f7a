/* SPDX-License-Identifier: Apache-2.0 */
/* Grey and RGB PNG in and out of memory. libpng reports errors by longjmp: what must survive one
 * lives in a struct outside the function that sets the jump. */
#include "cli/cli.h"

#include "base/size.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define PNG_SIDE_MAX 32768U

struct png_reading {
    png_structp png;
    png_infop info;
    struct ds_cursor from;
    struct stego_image image;
    uint8_t *cells;
    png_bytep *rows;
    const char *refused;
};

static void read_bytes(png_structp png, png_bytep out, size_t len)
{
    struct ds_cursor *c = png_get_io_ptr(png);
    const uint8_t *bytes = ds_cursor_bytes(c, len);
    if (bytes == NULL) {
        png_error(png, "truncated");
    }
    memcpy(out, bytes, len);
}

/* Our own message says what is wrong; returning from an error handler makes libpng jump. */
static void be_silent(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static const char *check_header(struct png_reading *r)
{
    const unsigned bits = png_get_bit_depth(r->png, r->info);
    const unsigned colour = png_get_color_type(r->png, r->info);
    if (colour != PNG_COLOR_TYPE_GRAY && colour != PNG_COLOR_TYPE_RGB) {
        return "neither grey nor RGB, or with alpha";
    }
    if (bits != 8 && bits != 16) {
        return "not of 8 or 16 bits";
    }
    r->image.columns = png_get_image_width(r->png, r->info);
    r->image.rows = png_get_image_height(r->png, r->info);
    r->image.frames = 1;
    r->image.components = colour == PNG_COLOR_TYPE_RGB ? 3 : 1;
    r->image.bits_stored = (uint8_t)bits;
    return r->image.columns > PNG_SIDE_MAX || r->image.rows > PNG_SIDE_MAX ? "too large" : NULL;
}

/* Within the jump's reach: allocations are kept in *r. */
static void read_all(struct png_reading *r)
{
    png_set_read_fn(r->png, &r->from, read_bytes);
    png_read_info(r->png, r->info);
    r->refused = check_header(r);
    if (r->refused != NULL) {
        return;
    }
    (void)png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    const size_t stride = png_get_rowbytes(r->png, r->info);
    r->cells = calloc(r->image.rows, stride);
    r->rows = calloc(r->image.rows, sizeof(*r->rows));
    if (r->cells == NULL || r->rows == NULL) {
        png_error(r->png, "no memory");
    }
    for (uint32_t y = 0; y < r->image.rows; y++) {
        r->rows[y] = r->cells + y * stride;
    }
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
}

static bool try_read(struct png_reading *r)
{
    if (setjmp(png_jmpbuf(r->png)) != 0) {
        return false;
    }
    read_all(r);
    return true;
}

static enum ds_status to_samples(const struct png_reading *r, struct stego_image *image,
                                 struct ds_error *err)
{
    *image = r->image;
    const enum ds_status s = stego_image_new(image, err);
    if (s != DS_OK) {
        return s;
    }
    const size_t count = (size_t)image->rows * image->columns;
    const size_t step = image->components;
    for (size_t c = 0; c < step; c++) { /* the file has the components of a pixel side by side */
        int32_t *plane = image->samples + c * count;
        for (size_t i = 0, at = c; i < count; i++, at += step) {
            plane[i] = image->bits_stored == 8 ? r->cells[at]
                                               : r->cells[2 * at] << 8 | r->cells[2 * at + 1];
        }
    }
    return DS_OK;
}

enum ds_status cli_png_read(const struct ds_bytes *file, struct stego_image *image,
                            struct ds_error *err)
{
    memset(image, 0, sizeof(*image));
    struct png_reading r = {.from = ds_cursor_over(file->data, file->len)};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, be_silent, be_silent);
    r.info = r.png != NULL ? png_create_info_struct(r.png) : NULL;
    enum ds_status s = DS_OK;
    if (r.info == NULL) {
        s = ds_fail(err, DS_ENOMEM, "no memory for a PNG reader");
    } else if (!try_read(&r)) {
        s = ds_fail(err, DS_EFORMAT, "damaged or truncated PNG");
    } else if (r.refused != NULL) {
        s = ds_fail(err, DS_EUNSUPPORTED, "PNG %s", r.refused);
    } else {
        s = to_samples(&r, image, err);
    }
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.cells);
    free(r.rows);
    return s;
}

/* ---- writing ---- */

struct png_writing {
    png_structp png;
    png_infop info;
    struct ds_bytes *out;
    const struct stego_image *image;
    uint8_t *row;
};

static void write_bytes(png_structp png, png_bytep data, size_t len)
{
    struct png_writing *w = png_get_io_ptr(png);
    if (ds_bytes_append(w->out, data, len, NULL) != DS_OK) {
        png_error(png, "no memory");
    }
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

static void fill_row(struct png_writing *w, uint32_t y)
{
    const size_t step = w->image->components;
    const size_t plane = (size_t)w->image->rows * w->image->columns;
    for (size_t c = 0; c < step; c++) {
        const int32_t *samples = w->image->samples + c * plane + (size_t)y * w->image->columns;
        for (size_t x = 0, at = c; x < w->image->columns; x++, at += step) {
            if (w->image->bits_stored == 8) {
                w->row[at] = (uint8_t)samples[x];
            } else {
                w->row[2 * at] = (uint8_t)((uint32_t)samples[x] >> 8);
                w->row[2 * at + 1] = (uint8_t)samples[x];
            }
        }
    }
}

static void write_all(struct png_writing *w)
{
    png_set_write_fn(w->png, w, write_bytes, flush_bytes);
    png_set_IHDR(w->png, w->info, w->image->columns, w->image->rows, w->image->bits_stored,
                 w->image->components == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (uint32_t y = 0; y < w->image->rows; y++) {
        fill_row(w, y);
        png_write_row(w->png, w->row);
    }
    png_write_end(w->png, NULL);
}

static bool try_write(struct png_writing *w)
{
    if (setjmp(png_jmpbuf(w->png)) != 0) {
        return false;
    }
    write_all(w);
    return true;
}

enum ds_status cli_png_write(const struct stego_image *image, struct ds_bytes *out,
                             struct ds_error *err)
{
    struct png_writing w = {.out = out, .image = image};
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, be_silent, be_silent);
    w.info = w.png != NULL ? png_create_info_struct(w.png) : NULL;
    w.row = calloc(image->columns, (size_t)2 * image->components);
    const bool done = w.info != NULL && w.row != NULL && try_write(&w);
    png_destroy_write_struct(&w.png, &w.info);
    free(w.row);
    return done ? DS_OK : ds_fail(err, DS_ENOMEM, "the PNG cannot be written");
}

/* ---- hashes ---- */

static enum ds_status hash_samples(const struct stego_image *image, uint8_t out[DS_SHA256_BYTES],
                                   struct ds_error *err)
{
    const size_t width = image->bits_stored == 8 ? 1 : 2;
    size_t count = 0;
    size_t len = 0;
    if (!stego_image_count(image, &count) || !ds_size_mul(count, width, &len)) {
        return ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes cells = DS_BYTES_INIT(len);
    const enum ds_status s = ds_bytes_resize(&cells, len, err);
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < count; i++) {
        cells.data[i * width] = (uint8_t)image->samples[i];
        if (width == 2) {
            cells.data[i * width + 1] = (uint8_t)((uint32_t)image->samples[i] >> 8);
        }
    }
    return ds_sha256_of(cells.data, cells.len, out, err);
}

enum ds_status cli_png_hashes(const struct stego_image *image, uint8_t pixel[DS_SHA256_BYTES],
                              uint8_t dataset[DS_SHA256_BYTES], struct ds_error *err)
{
    char text[128];
    const int len = snprintf(
        text, sizeof(text), "dicomstego png 1\ncolumns %u\nrows %u\nbits %u\n%s", image->columns,
        image->rows, image->bits_stored, image->components == 3 ? "colours rgb\n" : "");
    const enum ds_status s = hash_samples(image, pixel, err);
    return s == DS_OK ? ds_sha256_of(text, (size_t)len, dataset, err) : s;
}
