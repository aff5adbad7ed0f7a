/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <lzma.h>
#include <string.h>

enum ds_status carrier_put_number(struct ds_bytes *b, uint32_t v, struct ds_error *err)
{
    while (v >= 0x80U) {
        const enum ds_status s = ds_bytes_put_u8(b, (uint8_t)(v | 0x80U), err);
        if (s != DS_OK) {
            return s;
        }
        v >>= 7;
    }
    return ds_bytes_put_u8(b, (uint8_t)v, err);
}

uint32_t carrier_get_number(struct ds_cursor *c)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint32_t byte = (uint32_t)ds_cursor_be(c, 1);
        if (shift == 28 && byte > 0x0fU) {
            break; /* more than 32 bits */
        }
        v |= (byte & 0x7fU) << shift;
        if (byte < 0x80U) {
            return v;
        }
    }
    c->failed = true;
    return 0;
}

/* Up to here each byte saved is worth the time that it takes to find it. */
#define THOROUGH_MAX_BYTES (512U * 1024U)

#define DICTIONARY_BYTES (1U << 20)

/* One set of parameters for writer and reader, part of the record's format: a dictionary of 1 MiB
 * is more than a key region needs, and a reader takes no more memory than that. How hard the
 * writer searches is its own matter. */
static bool lzma_options(lzma_options_lzma *options, size_t len)
{
    if (lzma_lzma_preset(options, len > THOROUGH_MAX_BYTES ? 3U : 9U | LZMA_PRESET_EXTREME)) {
        return false;
    }
    options->dict_size = DICTIONARY_BYTES;
    options->lc = 3;
    options->lp = 0;
    options->pb = 0; /* text and residual bytes have no word alignment */
    return true;
}

/* A dictionary beyond the data finds nothing, and its tables are cleared each time. Whoever unpacks
 * may have a larger one. */
static uint32_t dictionary_for(size_t len)
{
    uint32_t size = LZMA_DICT_SIZE_MIN;
    while (size < len && size < DICTIONARY_BYTES) {
        size *= 2;
    }
    return size;
}

enum ds_status carrier_pack(const uint8_t *data, size_t len, struct ds_bytes *out,
                            struct ds_error *err)
{
    lzma_options_lzma options;
    if (!lzma_options(&options, len)) {
        return ds_fail(err, DS_EUNSUPPORTED, "liblzma has no such preset");
    }
    options.dict_size = dictionary_for(len);
    const lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA1, .options = &options},
                                   {.id = LZMA_VLI_UNKNOWN, .options = NULL}};
    const size_t start = out->len;
    const size_t room = len + len / 8 + 128; /* len is at most that of an image region */
    enum ds_status s = ds_bytes_resize(out, start + room, err);
    if (s != DS_OK) {
        return s;
    }
    size_t end = start;
    const lzma_ret r = lzma_raw_buffer_encode(filters, NULL, data, len, out->data, &end, out->len);
    s = ds_bytes_resize(out, end, err);
    return r == LZMA_OK ? s : ds_fail(err, DS_EIO, "liblzma cannot compress (%d)", (int)r);
}

enum ds_status carrier_unpack(const uint8_t *data, size_t len, size_t unpacked_len,
                              struct ds_bytes *out, struct ds_error *err)
{
    lzma_options_lzma options;
    if (!lzma_options(&options, unpacked_len)) {
        return ds_fail(err, DS_EUNSUPPORTED, "liblzma has no such preset");
    }
    const lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA1, .options = &options},
                                   {.id = LZMA_VLI_UNKNOWN, .options = NULL}};
    const size_t start = out->len;
    enum ds_status s = ds_bytes_resize(out, start + unpacked_len, err);
    if (s != DS_OK) {
        return s;
    }
    size_t in = 0;
    size_t end = start;
    const lzma_ret r =
        lzma_raw_buffer_decode(filters, NULL, data, &in, len, out->data, &end, out->len);
    if (r != LZMA_OK || in != len || end != start + unpacked_len) {
        return ds_fail(err, DS_EFORMAT, "compressed part of a restore record is damaged");
    }
    return DS_OK;
}
