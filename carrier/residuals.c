/* SPDX-License-Identifier: Apache-2.0 */
/* LZMA of prediction residuals: the better coder of values that repeat, and of deep ones. */
#include "carrier/block.h"
#include "carrier/carrier_private.h"

#include "base/size.h"

/* The median edge detector of JPEG-LS (ITU-T T.87, A.4.1). */
static uint32_t predict(const uint32_t *above, const uint32_t *row, uint32_t x)
{
    if (above == NULL) {
        return x == 0 ? 0 : row[x - 1];
    }
    if (x == 0) {
        return above[0];
    }
    const uint32_t a = row[x - 1];
    const uint32_t b = above[x];
    const uint32_t c = above[x - 1];
    const uint32_t low = a < b ? a : b;
    const uint32_t high = a < b ? b : a;
    if (c >= high) {
        return low;
    }
    return c <= low ? high : a + b - c; /* between low and high */
}

static uint32_t mask_of(const struct carrier_block *b)
{
    return UINT32_MAX >> (CARRIER_DEPTH_MAX - b->depth);
}

/* A residual modulo 2^depth, folded so that small ones of either sign are small. */
static uint32_t fold(uint32_t residual, uint32_t mask)
{
    const uint32_t v = residual & mask;
    return v > mask >> 1 ? (mask - v) << 1 | 1U : v << 1;
}

static uint32_t unfold(uint32_t v)
{
    return (v & 1U) != 0 ? ~(v >> 1) : v >> 1;
}

/* All lowest bytes, then all next ones: the planes of higher bytes are nearly empty. */
static enum ds_status planes_size(const struct carrier_block *b, size_t *count, size_t *bytes,
                                  struct ds_error *err)
{
    const enum ds_status s = carrier_block_count(b, count, err);
    if (s == DS_OK && !ds_size_mul(*count, (b->depth + 7) / 8, bytes)) {
        return ds_fail(err, DS_EFORMAT, "%zu values are too many", *count);
    }
    return s;
}

static const uint32_t *row_above(const struct carrier_block *b, uint32_t y)
{
    return y == 0 ? NULL : b->values + (size_t)(y - 1) * b->columns;
}

static void put_planes(const struct carrier_block *b, size_t count, struct ds_bytes *planes)
{
    size_t at = 0;
    for (uint32_t y = 0; y < b->rows; y++) {
        const uint32_t *row = b->values + (size_t)y * b->columns;
        for (uint32_t x = 0; x < b->columns; x++, at++) {
            uint32_t v = fold(row[x] - predict(row_above(b, y), row, x), mask_of(b));
            for (size_t i = at; i < planes->len; i += count, v >>= 8) {
                planes->data[i] = (uint8_t)v;
            }
        }
    }
}

static void get_planes(struct carrier_block *b, size_t count, const struct ds_bytes *planes)
{
    size_t at = 0;
    for (uint32_t y = 0; y < b->rows; y++) {
        uint32_t *row = b->values + (size_t)y * b->columns;
        for (uint32_t x = 0; x < b->columns; x++, at++) {
            uint32_t v = 0;
            unsigned shift = 0;
            for (size_t i = at; i < planes->len; i += count, shift += 8) {
                v |= (uint32_t)planes->data[i] << shift;
            }
            row[x] = (predict(row_above(b, y), row, x) + unfold(v)) & mask_of(b);
        }
    }
}

enum ds_status carrier_residuals_encode(const struct carrier_block *b, struct ds_bytes *out,
                                        struct ds_error *err)
{
    size_t count = 0;
    size_t bytes = 0;
    enum ds_status s = planes_size(b, &count, &bytes, err);
    DS_AUTO(ds_bytes_free) struct ds_bytes planes = DS_BYTES_INIT(bytes);
    if (s == DS_OK) {
        s = ds_bytes_resize(&planes, bytes, err);
    }
    if (s != DS_OK) {
        return s;
    }
    put_planes(b, count, &planes);
    return carrier_pack(planes.data, planes.len, out, err);
}

enum ds_status carrier_residuals_decode(struct carrier_block *b, const uint8_t *data, size_t len,
                                        struct ds_error *err)
{
    size_t count = 0;
    size_t bytes = 0;
    enum ds_status s = planes_size(b, &count, &bytes, err);
    DS_AUTO(ds_bytes_free) struct ds_bytes planes = DS_BYTES_INIT(bytes);
    if (s == DS_OK) {
        s = carrier_unpack(data, len, bytes, &planes, err);
    }
    if (s == DS_OK) {
        get_planes(b, count, &planes);
    }
    return s;
}
