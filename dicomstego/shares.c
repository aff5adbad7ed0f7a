/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/shares.h"

#include "base/size.h"

#include <isa-l/erasure_code.h>
#include <limits.h>

#define TABLE_BYTES 32U /* ISA-L's expanded table for one coefficient */

/*
 * Which k for the code when n > 255? Share j is carried by q + 1 instances when j < r, by q when
 * j >= r, where n = 255 q + r. Let k instances arrive, chosen by an enemy who wants as few
 * different shares as possible: he takes all copies of the most frequent ones first. With r (q + 1)
 * >= k that gives ceil(k / (q + 1)) different shares, otherwise all r frequent ones and ceil((k - r
 * (q + 1)) / q) of the others. No choice of k instances has fewer, so a code that needs exactly
 * that many keeps the promise. For n <= 255: q = 1 and r = 0 (n = 255), or q = 0 and each of the r
 * = n shares has one copy: k itself.
 */
static uint32_t fewest_different(uint32_t needed, uint32_t total)
{
    const uint32_t q = total / STEGO_SHARES_DISTINCT;
    const uint32_t r = total % STEGO_SHARES_DISTINCT;
    const uint32_t in_frequent = r * (q + 1);
    if (needed <= in_frequent) {
        return (needed + q) / (q + 1);
    }
    return r + (needed - in_frequent + q - 1) / q;
}

struct stego_shares stego_shares_of(uint32_t needed, uint32_t total)
{
    return (struct stego_shares){
        .needed = needed,
        .total = total,
        .distinct = total < STEGO_SHARES_DISTINCT ? total : STEGO_SHARES_DISTINCT,
        .code_needed = fewest_different(needed, total),
    };
}

uint32_t stego_shares_needed_for(uint32_t total, unsigned redundancy_percent)
{
    const uint64_t kept = (uint64_t)total * (100U - redundancy_percent);
    const uint32_t k = (uint32_t)((kept + 99U) / 100U);
    return k == 0 ? 1 : k;
}

size_t stego_shares_bytes(const struct stego_shares *s, size_t len)
{
    return len / s->code_needed + (len % s->code_needed != 0 ? 1 : 0);
}

/* The coding matrix (distinct rows of code_needed) and room for the tables of as many rows. */
struct code {
    struct ds_bytes matrix;
    struct ds_bytes tables;
};

static void code_finish(struct code *c)
{
    ds_bytes_free(&c->matrix);
    ds_bytes_free(&c->tables);
}

static enum ds_status code_init(struct code *c, const struct stego_shares *s, uint32_t rows,
                                struct ds_error *err)
{
    /* At most 255 * 255 and 255 * 255 * 32 bytes. */
    const size_t cells = (size_t)s->distinct * s->code_needed;
    const size_t tables = (size_t)rows * s->code_needed * TABLE_BYTES;
    c->matrix = DS_BYTES_INIT(cells);
    c->tables = DS_BYTES_INIT(tables);
    enum ds_status status = ds_bytes_resize(&c->matrix, cells, err);
    if (status == DS_OK) {
        status = ds_bytes_resize(&c->tables, tables, err);
    }
    if (status == DS_OK) {
        gf_gen_cauchy1_matrix(c->matrix.data, (int)s->distinct, (int)s->code_needed);
    }
    return status;
}

/* results[i] = row i times the pieces. */
static void multiply(struct code *c, uint8_t *rows, uint32_t row_count, uint32_t k,
                     uint8_t **pieces, uint8_t **results, size_t len)
{
    ec_init_tables((int)k, (int)row_count, rows, c->tables.data);
    ec_encode_data((int)len, (int)k, (int)row_count, c->tables.data, pieces, results);
}

static void bytes_auto(struct ds_bytes *b)
{
    ds_bytes_free(b);
}

/* The piece of the data that starts at offset; what lies past the end stays zero. */
static void copy_piece(uint8_t *to, size_t share_len, const uint8_t *data, size_t len,
                       size_t offset)
{
    if (offset < len) {
        memcpy(to, data + offset, len - offset < share_len ? len - offset : share_len);
    }
}

/* to: zeroed room for one share. */
static enum ds_status encode_parity(const struct stego_shares *s, const uint8_t *data, size_t len,
                                    uint32_t row, uint8_t *to, struct ds_error *err)
{
    const size_t share_len = stego_shares_bytes(s, len);
    const size_t whole = share_len * s->code_needed; /* < len + 255 */
    DS_AUTO(bytes_auto) struct ds_bytes padded = DS_BYTES_INIT(whole);
    DS_AUTO(code_finish) struct code c = {0};
    enum ds_status status = code_init(&c, s, 1, err);
    if (status == DS_OK) {
        status = ds_bytes_append(&padded, data, len, err);
    }
    if (status == DS_OK) {
        status = ds_bytes_resize(&padded, whole, err);
    }
    if (status != DS_OK) {
        return status;
    }
    uint8_t *pieces[STEGO_SHARES_DISTINCT];
    for (uint32_t i = 0; i < s->code_needed; i++) {
        pieces[i] = padded.data + i * share_len;
    }
    uint8_t *results[1] = {to};
    multiply(&c, c.matrix.data + (size_t)row * s->code_needed, 1, s->code_needed, pieces, results,
             share_len);
    return DS_OK;
}

enum ds_status stego_shares_encode(const struct stego_shares *s, const uint8_t *data, size_t len,
                                   uint32_t index, struct ds_bytes *out, struct ds_error *err)
{
    const size_t share_len = stego_shares_bytes(s, len);
    if (index >= s->total || share_len > INT_MAX / 2) {
        return ds_fail(err, DS_EINVAL, "share %u of %u, %zu bytes", index, s->total, share_len);
    }
    if (share_len == 0) {
        return DS_OK;
    }
    const size_t before = out->len;
    const uint32_t row = index % STEGO_SHARES_DISTINCT;
    enum ds_status status = ds_bytes_resize(out, before + share_len, err); /* zeros */
    if (status != DS_OK) {
        return status;
    }
    if (row < s->code_needed) {
        copy_piece(out->data + before, share_len, data, len, row * share_len);
        return DS_OK;
    }
    status = encode_parity(s, data, len, row, out->data + before, err);
    if (status != DS_OK) {
        out->len = before;
    }
    return status;
}

/* The k by k matrix of the rows that are there, inverted. */
static enum ds_status invert_rows(const struct code *c, const uint32_t *rows, uint32_t k,
                                  struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(bytes_auto) struct ds_bytes square = DS_BYTES_INIT((size_t)k * k);
    for (uint32_t i = 0; i < k; i++) {
        const enum ds_status s =
            ds_bytes_append(&square, c->matrix.data + (size_t)rows[i] * k, k, err);
        if (s != DS_OK) {
            return s;
        }
    }
    const enum ds_status s = ds_bytes_resize(out, (size_t)k * k, err);
    if (s != DS_OK) {
        return s;
    }
    if (gf_invert_matrix(square.data, out->data, (int)k) != 0) {
        return ds_fail(err, DS_EINVAL, "the coding matrix is singular");
    }
    return DS_OK;
}

static enum ds_status decode_rows(const struct stego_shares *s, const uint32_t *rows,
                                  const uint8_t *const *shares, size_t share_len, uint8_t *to,
                                  struct ds_error *err)
{
    const uint32_t k = s->code_needed;
    DS_AUTO(code_finish) struct code c = {0};
    DS_AUTO(bytes_auto) struct ds_bytes inverse = DS_BYTES_INIT((size_t)k * k);
    DS_AUTO(bytes_auto) struct ds_bytes gathered = DS_BYTES_INIT(k * share_len);
    enum ds_status status = code_init(&c, s, k, err);
    if (status == DS_OK) {
        status = invert_rows(&c, rows, k, &inverse, err);
    }
    /* ISA-L only reads its sources but does not say const. */
    for (uint32_t i = 0; status == DS_OK && i < k; i++) {
        status = ds_bytes_append(&gathered, shares[rows[i]], share_len, err);
    }
    if (status != DS_OK) {
        return status;
    }
    uint8_t *pieces[STEGO_SHARES_DISTINCT];
    uint8_t *results[STEGO_SHARES_DISTINCT];
    for (uint32_t i = 0; i < k; i++) {
        pieces[i] = gathered.data + i * share_len;
        results[i] = to + i * share_len;
    }
    multiply(&c, inverse.data, k, k, pieces, results, share_len);
    return DS_OK;
}

enum ds_status stego_shares_decode(const struct stego_shares *s, const uint8_t *const *shares,
                                   size_t share_len, struct ds_bytes *out, struct ds_error *err)
{
    uint32_t rows[STEGO_SHARES_DISTINCT];
    uint32_t have = 0;
    /* Plain pieces come first, so that nothing is computed when all are there. */
    for (uint32_t i = 0; i < s->distinct && have < s->code_needed; i++) {
        if (shares[i] != NULL) {
            rows[have++] = i;
        }
    }
    if (have < s->code_needed) {
        return ds_fail(err, DS_ECAPACITY, "%u more shares of the capsule are needed",
                       s->code_needed - have);
    }
    const size_t before = out->len;
    size_t whole;
    if (share_len > INT_MAX / 2 || !ds_size_mul(share_len, have, &whole)) {
        return ds_fail(err, DS_EFORMAT, "shares of %zu bytes", share_len);
    }
    const enum ds_status status = ds_bytes_resize(out, before + whole, err);
    if (status != DS_OK || whole == 0) {
        return status;
    }
    if (rows[have - 1] == have - 1) {
        for (uint32_t i = 0; i < have; i++) {
            memcpy(out->data + before + i * share_len, shares[i], share_len);
        }
        return DS_OK;
    }
    return decode_rows(s, rows, shares, share_len, out->data + before, err);
}
