/* SPDX-License-Identifier: Apache-2.0 */
/* The stages before encryption, and the header that says how to undo them. */
#include "dicomstego/cipher.h"

#include "base/secret.h"
#include "base/size.h"
#include "dicomstego/run_length.h"

#include <lzma.h>
#include <string.h>

#define VERSION         1U
#define LZMA_PRESET     6U
#define LZMA_MEMORY_MAX (UINT64_C(64) * 1024 * 1024) /* preset 6 needs 9 MiB to decode */
#define GROWTH_MAX      3U /* runs of single bytes double them, and so the bits before them */
#define SLACK_BYTES     65536U

static enum ds_status compress(const uint8_t *plain, size_t len, struct ds_bytes *out,
                               struct ds_error *err)
{
    const size_t begin = out->len;
    const size_t bound = lzma_stream_buffer_bound(len);
    enum ds_status s = bound == 0 ? ds_fail(err, DS_ENOMEM, "xz of %zu bytes", len)
                                  : ds_bytes_resize(out, begin + bound, err);
    if (s != DS_OK) {
        return s;
    }
    size_t at = begin;
    if (lzma_easy_buffer_encode(LZMA_PRESET, LZMA_CHECK_NONE, NULL, plain, len, out->data, &at,
                                out->len) != LZMA_OK) {
        return ds_fail(err, DS_ENOMEM, "xz encoder");
    }
    return ds_bytes_resize(out, at, err);
}

static enum ds_status decompress(const uint8_t *packed, size_t len, size_t expected,
                                 struct ds_bytes *out, struct ds_error *err)
{
    const enum ds_status s = ds_bytes_resize(out, expected, err);
    if (s != DS_OK) {
        return s;
    }
    uint64_t memory = LZMA_MEMORY_MAX;
    size_t in = 0;
    size_t at = 0;
    const lzma_ret r =
        lzma_stream_buffer_decode(&memory, 0, NULL, packed, &in, len, out->data, &at, expected);
    return r == LZMA_OK && in == len && at == expected
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "the xz stream is damaged");
}

/* Appends the cells after duplicates and runs. */
static enum ds_status pack_cells(const struct stego_cipher_source *source, unsigned stages,
                                 struct ds_bytes *out, struct stego_cipher_sizes *sizes,
                                 struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes kept = DS_BYTES_INIT(out->max);
    enum ds_status s = DS_OK;
    size_t len = sizes->cells;
    const uint8_t *cells = source->cells;
    if ((stages & STEGO_CIPHER_DUPLICATES) != 0) {
        s = stego_duplicate_remove(&source->grid, cells, &kept, err);
        len = kept.len;
        cells = kept.data;
    }
    sizes->duplicates = len;
    const size_t begin = out->len;
    if (s == DS_OK && (stages & STEGO_CIPHER_RUNS) != 0) {
        s = stego_run_length_encode(cells, len, source->grid.cell_bytes, out, err);
    } else if (s == DS_OK) {
        s = ds_bytes_append(out, cells, len, err);
    }
    sizes->runs = out->len - begin;
    return s;
}

/* version, kind, stages, cell_bytes: 1 byte each; columns, rows, bytes of the head, after
 * duplicates, after runs, of the body: 8 each, big endian; the hash. */
static enum ds_status put_header(const struct stego_cipher_source *source, unsigned stages,
                                 const struct stego_cipher_sizes *sizes, size_t body_len,
                                 struct ds_bytes *out, struct ds_error *err)
{
    const uint8_t small[] = {VERSION, source->kind, (uint8_t)stages,
                             (uint8_t)source->grid.cell_bytes};
    const size_t large[] = {source->grid.columns, source->grid.rows, source->head_len,
                            sizes->duplicates,    sizes->runs,       body_len};
    enum ds_status s = ds_bytes_append(out, small, sizeof(small), err);
    for (size_t i = 0; i < DS_ARRAY_SIZE(large) && s == DS_OK; i++) {
        s = ds_bytes_put_be(out, large[i], 8, err);
    }
    return s == DS_OK ? ds_bytes_append(out, source->hash, sizeof(source->hash), err) : s;
}

enum ds_status stego_cipher_pack(const struct stego_cipher_source *source, unsigned stages,
                                 struct ds_bytes *out, struct stego_cipher_sizes *sizes,
                                 struct ds_error *err)
{
    memset(sizes, 0, sizeof(*sizes));
    size_t room = 0;
    if (!stego_grid_bytes(&source->grid, &sizes->cells) ||
        !ds_size_mul(sizes->cells, GROWTH_MAX, &room) ||
        !ds_size_add(room, source->head_len + SLACK_BYTES, &room)) {
        return ds_fail(err, DS_EINVAL, "the grid of cells is empty or too large");
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(room);
    DS_AUTO(ds_bytes_free) struct ds_bytes small = DS_BYTES_INIT(2 * room);
    enum ds_status s = ds_bytes_append(&plain, source->head, source->head_len, err);
    if (s == DS_OK) {
        s = pack_cells(source, stages, &plain, sizes, err);
    }
    const bool compresses = (stages & STEGO_CIPHER_LZMA) != 0;
    if (s == DS_OK && compresses) {
        s = compress(plain.data, plain.len, &small, err);
    }
    const struct ds_bytes *body = compresses ? &small : &plain;
    sizes->lzma = body->len;
    if (s == DS_OK) {
        s = put_header(source, stages, sizes, body->len, out, err);
    }
    return s == DS_OK ? ds_bytes_append(out, body->data, body->len, err) : s;
}

/* ---- and back ---- */

struct header {
    unsigned stages;
    size_t head_len, duplicates, runs, body_len;
    size_t cells_len;
};

static bool read_header(struct ds_cursor *c, struct header *h, struct stego_cipher_unpacked *out,
                        size_t max_bytes)
{
    const uint64_t version = ds_cursor_be(c, 1);
    out->kind = (uint8_t)ds_cursor_be(c, 1);
    h->stages = (unsigned)ds_cursor_be(c, 1);
    out->grid.cell_bytes = (unsigned)ds_cursor_be(c, 1);
    out->grid.columns = ds_cursor_be(c, 8);
    out->grid.rows = ds_cursor_be(c, 8);
    h->head_len = ds_cursor_be(c, 8);
    h->duplicates = ds_cursor_be(c, 8);
    h->runs = ds_cursor_be(c, 8);
    h->body_len = ds_cursor_be(c, 8);
    const uint8_t *hash = ds_cursor_bytes(c, sizeof(out->hash));
    if (hash == NULL || version != VERSION || h->stages > STEGO_CIPHER_ALL ||
        !stego_grid_bytes(&out->grid, &h->cells_len) || h->cells_len > max_bytes ||
        h->head_len > max_bytes || h->duplicates > GROWTH_MAX * max_bytes + SLACK_BYTES ||
        h->runs == 0 || h->runs > GROWTH_MAX * max_bytes + SLACK_BYTES) {
        return false;
    }
    memcpy(out->hash, hash, sizeof(out->hash));
    return true;
}

/* coded: what comes after the head. */
static enum ds_status unpack_cells(const struct header *h, const uint8_t *coded,
                                   struct stego_cipher_unpacked *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes kept = DS_BYTES_INIT(h->duplicates);
    const bool has_runs = (h->stages & STEGO_CIPHER_RUNS) != 0;
    if (!has_runs && h->runs != h->duplicates) {
        return ds_fail(err, DS_EFORMAT, "sizes that contradict each other");
    }
    enum ds_status s = has_runs ? stego_run_length_decode(coded, h->runs, out->grid.cell_bytes,
                                                          h->duplicates, &kept, err)
                                : ds_bytes_append(&kept, coded, h->runs, err);
    if (s != DS_OK) {
        return s;
    }
    if ((h->stages & STEGO_CIPHER_DUPLICATES) != 0) {
        return stego_duplicate_restore(&out->grid, kept.data, kept.len, &out->cells, err);
    }
    return kept.len == h->cells_len ? ds_bytes_append(&out->cells, kept.data, kept.len, err)
                                    : ds_fail(err, DS_EFORMAT, "sizes that contradict each other");
}

static enum ds_status unpack(const struct header *h, const uint8_t *body,
                             struct stego_cipher_unpacked *out, struct ds_error *err)
{
    const size_t plain_len = h->head_len + h->runs; /* both were bounded */
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(plain_len + 1);
    const bool is_compressed = (h->stages & STEGO_CIPHER_LZMA) != 0;
    if (!is_compressed && h->body_len != plain_len) {
        return ds_fail(err, DS_EFORMAT, "sizes that contradict each other");
    }
    enum ds_status s = is_compressed ? decompress(body, h->body_len, plain_len, &plain, err)
                                     : ds_bytes_append(&plain, body, plain_len, err);
    if (s == DS_OK) {
        s = ds_bytes_append(&out->head, plain.data, h->head_len, err);
    }
    return s == DS_OK ? unpack_cells(h, plain.data + h->head_len, out, err) : s;
}

enum ds_status stego_cipher_unpack(const uint8_t *packed, size_t len, size_t max_bytes,
                                   struct stego_cipher_unpacked *out, struct ds_error *err)
{
    struct header h = {0};
    struct ds_cursor c = ds_cursor_over(packed, len);
    *out = (struct stego_cipher_unpacked){
        .head = DS_BYTES_INIT(max_bytes),
        .cells = DS_BYTES_INIT(max_bytes),
    };
    if (!read_header(&c, &h, out, max_bytes) || h.body_len > ds_cursor_left(&c)) {
        return ds_fail(err, DS_EFORMAT, "this is no packed image");
    }
    const uint8_t *body = ds_cursor_bytes(&c, h.body_len);
    const enum ds_status s = unpack(&h, body, out, err);
    if (s != DS_OK) {
        stego_cipher_unpacked_free(out);
    }
    return s;
}

void stego_cipher_unpacked_free(struct stego_cipher_unpacked *u)
{
    ds_bytes_free(&u->head);
    ds_bytes_free(&u->cells);
}
