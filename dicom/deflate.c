/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/deflate.h"

#define ZLIB_CONST /* input is only read */
#include <zlib.h>

#define CHUNK_BYTES 65536U
#define LEVEL       6
#define MEMORY      8  /* zlib's own defaults for level and memory */
#define BARE        15 /* the largest window; negated: without zlib's header */

/* zlib counts in 32 bits: it is fed piece by piece. */
static void feed(z_stream *z, const uint8_t **data, size_t *len)
{
    if (z->avail_in == 0 && *len > 0) {
        const size_t n = *len < CHUNK_BYTES ? *len : CHUNK_BYTES;
        z->next_in = *data;
        z->avail_in = (uInt)n;
        *data += n;
        *len -= n;
    }
}

static enum ds_status drain(z_stream *z, const uint8_t *chunk, struct ds_bytes *out,
                            struct ds_error *err)
{
    const size_t n = CHUNK_BYTES - z->avail_out;
    return n == 0 ? DS_OK : ds_bytes_append(out, chunk, n, err);
}

static enum ds_status inflate_all(z_stream *z, const uint8_t *data, size_t len,
                                  struct ds_bytes *out, struct ds_error *err)
{
    uint8_t chunk[CHUNK_BYTES];
    for (;;) {
        feed(z, &data, &len);
        z->next_out = chunk;
        z->avail_out = CHUNK_BYTES;
        const int result = inflate(z, Z_NO_FLUSH);
        const enum ds_status s = drain(z, chunk, out, err);
        if (s != DS_OK || result == Z_STREAM_END) {
            return s;
        }
        if (result == Z_MEM_ERROR) {
            return ds_fail(err, DS_ENOMEM, "no memory to inflate");
        }
        if (result != Z_OK) {
            return ds_fail(err, DS_EFORMAT, "a deflated stream is %s",
                           result == Z_BUF_ERROR ? "cut" : "damaged");
        }
    }
}

enum ds_status dicom_inflate(const uint8_t *data, size_t len, struct ds_bytes *out,
                             struct ds_error *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, -BARE) != Z_OK) {
        return ds_fail(err, DS_ENOMEM, "no memory to inflate");
    }
    const enum ds_status s = inflate_all(&z, data, len, out, err);
    (void)inflateEnd(&z);
    return s;
}

static enum ds_status deflate_all(z_stream *z, const uint8_t *data, size_t len,
                                  struct ds_bytes *out, struct ds_error *err)
{
    uint8_t chunk[CHUNK_BYTES];
    for (;;) {
        feed(z, &data, &len);
        z->next_out = chunk;
        z->avail_out = CHUNK_BYTES;
        const int result = deflate(z, len == 0 ? Z_FINISH : Z_NO_FLUSH);
        const enum ds_status s = drain(z, chunk, out, err);
        if (s != DS_OK || result == Z_STREAM_END) {
            return s;
        }
        if (result != Z_OK) {
            return ds_fail(err, DS_EINVAL, "zlib answers %d when deflating", result);
        }
    }
}

enum ds_status dicom_deflate(const uint8_t *data, size_t len, struct ds_bytes *out,
                             struct ds_error *err)
{
    z_stream z = {0};
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, -BARE, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        return ds_fail(err, DS_ENOMEM, "no memory to deflate");
    }
    const enum ds_status s = deflate_all(&z, data, len, out, err);
    (void)deflateEnd(&z);
    return s;
}
