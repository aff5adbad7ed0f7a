/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/block.h"

#include "base/size.h"
#include "dicom/jpegls.h"

#define CODED_VALUE_MAX_BYTES 8U /* no coder writes more for one value, nor for all it adds */

struct coder {
    enum ds_status (*encode)(const struct carrier_block *, struct ds_bytes *, struct ds_error *);
    enum ds_status (*decode)(struct carrier_block *, const uint8_t *, size_t, struct ds_error *);
    unsigned depth_max;
};

static struct dicom_jpegls as_jpegls(const struct carrier_block *b)
{
    return (struct dicom_jpegls){
        .values = b->values, .columns = b->columns, .rows = b->rows, .depth = b->depth};
}

static enum ds_status jpegls_encode(const struct carrier_block *b, struct ds_bytes *out,
                                    struct ds_error *err)
{
    const struct dicom_jpegls j = as_jpegls(b);
    return dicom_jpegls_encode(&j, out, err);
}

static enum ds_status jpegls_decode(struct carrier_block *b, const uint8_t *data, size_t len,
                                    struct ds_error *err)
{
    struct dicom_jpegls j = as_jpegls(b);
    return dicom_jpegls_decode(&j, data, len, err);
}

/* The index is what the format calls them. */
static const struct coder coders[] = {
    {jpegls_encode, jpegls_decode, DICOM_JPEGLS_DEPTH_MAX},
    {carrier_residuals_encode, carrier_residuals_decode, CARRIER_DEPTH_MAX},
};

enum ds_status carrier_block_count(const struct carrier_block *b, size_t *out, struct ds_error *err)
{
    size_t bytes = 0;
    if (b->depth < CARRIER_DEPTH_MIN || b->depth > CARRIER_DEPTH_MAX) {
        return ds_fail(err, DS_EFORMAT, "values of %u bits", b->depth);
    }
    if (!ds_size_mul(b->columns, b->rows, out) || !ds_size_mul(*out, sizeof(uint32_t), &bytes)) {
        return ds_fail(err, DS_EFORMAT, "%ux%u values are too many", b->columns, b->rows);
    }
    return DS_OK;
}

/* The bytes with the index of the coder that needs fewest. */
static enum ds_status try_coders(const struct carrier_block *b, size_t max, struct ds_bytes *best,
                                 uint8_t *winner, struct ds_error *err)
{
    for (uint8_t i = 0; i < DS_ARRAY_SIZE(coders); i++) {
        if (b->depth > coders[i].depth_max) {
            continue;
        }
        DS_AUTO(ds_bytes_free) struct ds_bytes tried = DS_BYTES_INIT(max);
        const enum ds_status s = coders[i].encode(b, &tried, err);
        if (s != DS_OK) {
            return s;
        }
        if (best->len == 0 || tried.len < best->len) {
            ds_bytes_free(best);
            *best = ds_bytes_take(&tried);
            *winner = i;
        }
    }
    return DS_OK;
}

enum ds_status carrier_block_encode(const struct carrier_block *b, struct ds_bytes *out,
                                    struct ds_error *err)
{
    size_t count = 0;
    size_t max = 0;
    uint8_t winner = 0;
    enum ds_status s = carrier_block_count(b, &count, err);
    if (s == DS_OK && !ds_size_mul(count + 64, CODED_VALUE_MAX_BYTES, &max)) {
        return ds_fail(err, DS_EFORMAT, "%zu values are too many", count);
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes best = DS_BYTES_INIT(max);
    if (s == DS_OK) {
        s = try_coders(b, max, &best, &winner, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, winner, err);
    }
    return s == DS_OK ? ds_bytes_append(out, best.data, best.len, err) : s;
}

enum ds_status carrier_block_decode(struct carrier_block *b, const uint8_t *data, size_t len,
                                    struct ds_error *err)
{
    if (len == 0 || data[0] >= DS_ARRAY_SIZE(coders) || b->depth > coders[data[0]].depth_max) {
        return ds_fail(err, DS_EFORMAT, "key region in a code of a later version");
    }
    return coders[data[0]].decode(b, data + 1, len - 1, err);
}
