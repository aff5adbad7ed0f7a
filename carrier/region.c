/* SPDX-License-Identifier: Apache-2.0 */
/* Key regions: a rectangle's samples kept without loss, and what is shown in their place. */
#include "carrier/carrier_private.h"

#include "base/size.h"

#include <qrencode.h>
#include <string.h>

#define QUIET_MODULES 4 /* ISO/IEC 18004: the light border around a QR code */

bool carrier_region_is_empty(const struct stego_rect *r)
{
    return r->width == 0 || r->height == 0;
}

enum ds_status carrier_region_check(const struct stego_image *image, const struct stego_rect *r,
                                    struct ds_error *err)
{
    if (carrier_region_is_empty(r) || r->frame >= image->frames || r->x >= image->columns ||
        r->y >= image->rows || r->width > image->columns - r->x || r->height > image->rows - r->y) {
        return ds_fail(err, DS_EINVAL, "region %u,%u,%u,%u lies outside the image of %ux%u", r->x,
                       r->y, r->width, r->height, image->columns, image->rows);
    }
    return DS_OK;
}

static int32_t *row_of(const struct stego_image *image, const struct stego_rect *r, uint32_t row)
{
    const size_t frame = (size_t)r->frame * image->rows * image->columns;
    return image->samples + frame + (size_t)(r->y + row) * image->columns + r->x;
}

/* The median edge detector of JPEG-LS (ITU-T T.87, A.3) inside the rectangle. */
static int32_t predict(const int32_t *above, const int32_t *row, uint32_t x)
{
    if (above == NULL) {
        return x == 0 ? 0 : row[x - 1];
    }
    if (x == 0) {
        return above[0];
    }
    const int32_t a = row[x - 1];
    const int32_t b = above[x];
    const int32_t c = above[x - 1];
    const int32_t low = a < b ? a : b;
    const int32_t high = a < b ? b : a;
    if (c >= high) {
        return low;
    }
    return c <= low ? high : a + b - c;
}

/* Residuals modulo 2^16, folded so that small ones of either sign are small. Modulo loses nothing:
 * samples have at most 16 bits. */
static uint16_t fold(int32_t residual)
{
    const int16_t v = (int16_t)(uint16_t)(uint32_t)residual;
    return v < 0 ? (uint16_t)(-2 * (int32_t)v - 1) : (uint16_t)(2 * (int32_t)v);
}

static int32_t unfold(uint16_t v)
{
    return (v & 1U) != 0 ? -((int32_t)v + 1) / 2 : (int32_t)v / 2;
}

/* All low bytes, then all high bytes: the high plane of small residuals is nearly empty. */
static enum ds_status put_planes(const struct stego_image *image, const struct stego_rect *r,
                                 struct ds_bytes *planes, struct ds_error *err)
{
    const size_t count = (size_t)r->width * r->height;
    const enum ds_status s = ds_bytes_resize(planes, 2 * count, err);
    if (s != DS_OK) {
        return s;
    }
    size_t at = 0;
    for (uint32_t y = 0; y < r->height; y++) {
        const int32_t *row = row_of(image, r, y);
        const int32_t *above = y == 0 ? NULL : row_of(image, r, y - 1);
        for (uint32_t x = 0; x < r->width; x++, at++) {
            const uint16_t v = fold(row[x] - predict(above, row, x));
            planes->data[at] = (uint8_t)v;
            planes->data[count + at] = (uint8_t)(v >> 8);
        }
    }
    return DS_OK;
}

enum ds_status carrier_region_save(const struct stego_image *image, const struct stego_rect *r,
                                   struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = carrier_region_check(image, r, err);
    DS_AUTO(ds_bytes_free) struct ds_bytes planes = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    if (s == DS_OK) {
        s = put_planes(image, r, &planes, err);
    }
    return s == DS_OK ? carrier_pack(planes.data, planes.len, out, err) : s;
}

/* Back into the sample's own range: the residual was taken modulo 2^16. */
static int32_t wrap(const struct stego_image *image, int32_t v)
{
    const uint16_t low = (uint16_t)(uint32_t)v;
    return image->is_signed ? (int32_t)(int16_t)low : (int32_t)low;
}

enum ds_status carrier_region_restore(struct stego_image *image, const struct stego_rect *r,
                                      const uint8_t *saved, size_t len, struct ds_error *err)
{
    enum ds_status s = carrier_region_check(image, r, err);
    DS_AUTO(ds_bytes_free) struct ds_bytes planes = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    size_t count = 0;
    if (s == DS_OK &&
        (!ds_size_mul(r->width, r->height, &count) || count > STEGO_RECORD_MAX_BYTES / 2)) {
        s = ds_fail(err, DS_EFORMAT, "a key region of %ux%u is too large", r->width, r->height);
    }
    if (s == DS_OK) {
        s = carrier_unpack(saved, len, 2 * count, &planes, err);
    }
    if (s != DS_OK) {
        return s;
    }
    size_t at = 0;
    for (uint32_t y = 0; y < r->height; y++) {
        int32_t *row = row_of(image, r, y);
        const int32_t *above = y == 0 ? NULL : row_of(image, r, y - 1);
        for (uint32_t x = 0; x < r->width; x++, at++) {
            const uint16_t v = (uint16_t)(planes.data[at] | (unsigned)planes.data[count + at] << 8);
            row[x] = wrap(image, predict(above, row, x) + unfold(v));
        }
    }
    return DS_OK;
}

/* ---- what is shown instead ---- */

/* Darkest and lightest sample of the frame without padding: a code in these shows under any window
 * that shows the image. */
static void range_of(const struct stego_image *image, uint32_t frame, int32_t *low, int32_t *high)
{
    const size_t count = (size_t)image->rows * image->columns;
    const int32_t *s = image->samples + frame * count;
    *low = stego_image_max(image);
    *high = stego_image_min(image);
    for (size_t i = 0; i < count; i++) {
        if (image->has_padding && s[i] >= image->padding_min && s[i] <= image->padding_max) {
            continue;
        }
        *low = s[i] < *low ? s[i] : *low;
        *high = s[i] > *high ? s[i] : *high;
    }
    if (*low >= *high) { /* flat, or nothing but padding */
        *low = stego_image_min(image);
        *high = stego_image_max(image);
    }
}

static void fill(struct stego_image *image, const struct stego_rect *r, int32_t value)
{
    for (uint32_t y = 0; y < r->height; y++) {
        int32_t *row = row_of(image, r, y);
        for (uint32_t x = 0; x < r->width; x++) {
            row[x] = value;
        }
    }
}

static void free_code(QRcode **code)
{
    QRcode_free(*code);
}

static void draw(struct stego_image *image, const struct stego_rect *r, const QRcode *code,
                 uint32_t scale, int32_t dark)
{
    const uint32_t modules = (uint32_t)code->width;
    const uint32_t left = (r->width - modules * scale) / 2;
    const uint32_t top = (r->height - modules * scale) / 2;
    for (uint32_t y = 0; y < modules * scale; y++) {
        int32_t *row = row_of(image, r, top + y);
        for (uint32_t x = 0; x < modules * scale; x++) {
            const size_t module = (size_t)(y / scale) * modules + x / scale;
            if ((code->data[module] & 1U) != 0) {
                row[left + x] = dark;
            }
        }
    }
}

enum ds_status carrier_region_cover(struct stego_image *image, const struct stego_rect *r,
                                    const char *text, bool inverted, struct ds_error *err)
{
    const enum ds_status s = carrier_region_check(image, r, err);
    if (s != DS_OK) {
        return s;
    }
    int32_t low = 0;
    int32_t high = 0;
    range_of(image, r->frame, &low, &high);
    const int32_t dark = inverted ? high : low;
    const int32_t light = inverted ? low : high;
    if (text == NULL) {
        fill(image, r, dark);
        return DS_OK;
    }
    DS_AUTO(free_code)
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (code == NULL) {
        return ds_fail(err, DS_ENOMEM, "the QR code cannot be made");
    }
    const uint32_t across = (uint32_t)code->width + 2 * QUIET_MODULES;
    const uint32_t side = r->width < r->height ? r->width : r->height;
    if (side < across) {
        return ds_fail(err, DS_EINVAL,
                       "region of %ux%u is too small for the QR code: at least %ux%u", r->width,
                       r->height, across, across);
    }
    fill(image, r, light);
    draw(image, r, code, side / across, dark);
    return DS_OK;
}

enum ds_status carrier_region_fits(const struct carrier_original *o,
                                   const struct stego_rect *region, bool qr, struct ds_error *err)
{
    struct stego_image image = {0};
    enum ds_status s = carrier_original_suitable(o, err);
    if (s == DS_OK) {
        s = carrier_region_check(&o->image, region, err);
    }
    if (s != DS_OK || !qr) {
        return s;
    }
    /* The code's size follows from its length: as long as the longest that make.c writes. */
    char text[CARRIER_QR_TEXT_BYTES];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    s = stego_image_copy(&image, &o->image, err);
    if (s == DS_OK) {
        s = carrier_region_cover(&image, region, text, false, err);
    }
    stego_image_free(&image);
    return s;
}
