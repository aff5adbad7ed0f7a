/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/record.h"

#include "base/bytes.h"
#include "base/size.h"

#include <string.h>

#define SEAL_AT (RECORD_BLOCK_BYTES - DS_SHA256_BYTES)

#define MAGIC_BYTES 8U
static const char magics[][MAGIC_BYTES + 1] = {
    [DS_DIGEST_SHA256] = "DSRECRD1", [DS_DIGEST_BLAKE3] = "DSRECRD3"};

static enum ds_status seal_of(const uint8_t *block, const uint8_t *head, size_t head_bytes,
                              uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    struct ds_sha256 *h = NULL;
    enum ds_status st = ds_sha256_new(&h, err);
    st = st == DS_OK ? ds_sha256_update(h, block, SEAL_AT, err) : st;
    st = st == DS_OK ? ds_sha256_update(h, head, head_bytes, err) : st;
    st = st == DS_OK ? ds_sha256_final(h, out, err) : st;
    ds_sha256_free(h);
    return st;
}

static enum ds_status put_fields(struct ds_bytes *b, uint64_t life, const struct record *r,
                                 struct ds_error *err)
{
    enum ds_status st = ds_bytes_append(b, magics[r->kind], MAGIC_BYTES, err);
    st = st == DS_OK ? ds_bytes_put_le(b, life, 8, err) : st;
    st = st == DS_OK ? ds_bytes_put_le(b, (uint64_t)r->arrival_us, 8, err) : st;
    st = st == DS_OK ? ds_bytes_append(b, r->id, sizeof(r->id), err) : st;
    st = st == DS_OK ? ds_bytes_put_le(b, r->head_bytes, 4, err) : st;
    st = st == DS_OK ? ds_bytes_put_le(b, r->extent_count, 4, err) : st;
    st = st == DS_OK ? ds_bytes_put_le(b, r->file_bytes, 8, err) : st;
    st = st == DS_OK ? ds_bytes_append(b, r->hash, sizeof(r->hash), err) : st;
    for (uint32_t i = 0; i < r->extent_count && st == DS_OK; i++) {
        st = ds_bytes_put_le(b, r->extents[i].life, 8, err);
        st = st == DS_OK ? ds_bytes_put_le(b, r->extents[i].offset, 8, err) : st;
        st = st == DS_OK ? ds_bytes_put_le(b, r->extents[i].bytes, 8, err) : st;
    }
    return st;
}

enum ds_status record_put(uint8_t block[RECORD_BLOCK_BYTES], uint64_t life, const struct record *r,
                          const uint8_t *head, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes b = DS_BYTES_INIT(SEAL_AT);
    if (r->extent_count > RECORD_EXTENTS_MAX) {
        return ds_fail(err, DS_EINVAL, "journal: a record of %u extents",
                       (unsigned)r->extent_count);
    }
    const enum ds_status st = put_fields(&b, life, r, err);
    if (st != DS_OK) {
        return st;
    }
    memset(block, 0, RECORD_BLOCK_BYTES);
    memcpy(block, b.data, b.len);
    return seal_of(block, head, r->head_bytes, block + SEAL_AT, err);
}

static bool extents_add_up(const struct record *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->extent_count; i++) {
        const struct record_extent *e = &r->extents[i];
        const bool last = i + 1 == r->extent_count;
        if (e->bytes == 0 || e->bytes > RECORD_FILE_MAX_BYTES ||
            e->offset % RECORD_BLOCK_BYTES != 0 || e->offset > INT64_MAX ||
            (!last && e->bytes % RECORD_BLOCK_BYTES != 0)) {
            return false;
        }
        sum += e->bytes; /* at most 18 times 4 MiB */
    }
    return sum == r->file_bytes;
}

bool record_get(const uint8_t block[RECORD_BLOCK_BYTES], uint64_t life, struct record *out)
{
    memset(out, 0, sizeof(*out));
    if (memcmp(block, magics[DS_DIGEST_BLAKE3], MAGIC_BYTES) == 0) {
        out->kind = DS_DIGEST_BLAKE3;
    } else if (memcmp(block, magics[DS_DIGEST_SHA256], MAGIC_BYTES) != 0) {
        return false;
    }
    struct ds_cursor c = ds_cursor_over(block + MAGIC_BYTES, SEAL_AT - MAGIC_BYTES);
    if (ds_cursor_le(&c, 8) != life) {
        return false;
    }
    out->arrival_us = (int64_t)ds_cursor_le(&c, 8);
    const uint8_t *id = ds_cursor_bytes(&c, sizeof(out->id));
    if (id == NULL || memchr(id, 0, sizeof(out->id)) == NULL) {
        return false;
    }
    memcpy(out->id, id, sizeof(out->id));
    out->head_bytes = (uint32_t)ds_cursor_le(&c, 4);
    out->extent_count = (uint32_t)ds_cursor_le(&c, 4);
    out->file_bytes = ds_cursor_le(&c, 8);
    const uint8_t *hash = ds_cursor_bytes(&c, sizeof(out->hash));
    if (hash == NULL || !entry_id_is_sound(out->id) || out->arrival_us < 0 ||
        out->extent_count == 0 || out->extent_count > RECORD_EXTENTS_MAX ||
        out->file_bytes > RECORD_FILE_MAX_BYTES || out->head_bytes > RECORD_HEAD_MAX_BYTES ||
        out->head_bytes > out->file_bytes) {
        return false;
    }
    memcpy(out->hash, hash, sizeof(out->hash));
    for (uint32_t i = 0; i < out->extent_count; i++) {
        out->extents[i].life = ds_cursor_le(&c, 8);
        out->extents[i].offset = ds_cursor_le(&c, 8);
        out->extents[i].bytes = ds_cursor_le(&c, 8);
    }
    return !c.failed && extents_add_up(out);
}

bool record_is_whole(const uint8_t block[RECORD_BLOCK_BYTES], const struct record *r,
                     const uint8_t *file)
{
    uint8_t digest[DS_SHA256_BYTES];
    return seal_of(block, file, r->head_bytes, digest, NULL) == DS_OK &&
           memcmp(digest, block + SEAL_AT, sizeof(digest)) == 0 &&
           ds_digest_of(r->kind, file + r->head_bytes, (size_t)r->file_bytes - r->head_bytes,
                        digest, NULL) == DS_OK &&
           memcmp(digest, r->hash, sizeof(digest)) == 0;
}
