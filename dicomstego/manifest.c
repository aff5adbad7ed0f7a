/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/manifest.h"

#include "base/secret.h"
#include "base/size.h"
#include "dicomstego/signature.h"

#define FLAG_CELL_RULE 0x03U
#define FLAG_SIGNED    0x04U
#define FLAG_SEALED    0x08U
#define FLAGS_KNOWN    0x0fU
#define SHARE_NONE     0xffffU

/* A field of the header: a number, or bytes. */
struct field {
    const uint8_t *bytes; /* NULL: a number */
    uint64_t number;
    unsigned len;
};

static bool is_origin(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return len < STEGO_ORIGIN_BYTES;
}

static enum ds_status check_for_put(const struct stego_manifest *m, const struct stego_sections *s,
                                    struct ds_error *err)
{
    if (!is_origin(m->origin, strnlen(m->origin, STEGO_ORIGIN_BYTES)) ||
        m->cell_rule > FLAG_CELL_RULE || m->created_utc_us < 0) {
        return ds_fail(err, DS_EINVAL,
                       "the manifest's origin, time or cell rule cannot be written");
    }
    if (s->key_block.len > STEGO_SECTION_MAX || s->certificate.len > STEGO_SECTION_MAX ||
        s->share.len > UINT32_MAX || s->record.len > UINT32_MAX) {
        return ds_fail(err, DS_EINVAL, "a section is too long: too many recipients?");
    }
    return DS_OK;
}

static enum ds_status put_head(struct ds_bytes *out, const struct stego_tree_head *head,
                               struct ds_error *err)
{
    const enum ds_status s = ds_bytes_put_be(out, head->size, 8, err);
    return s == DS_OK ? ds_bytes_append(out, head->root, sizeof(head->root), err) : s;
}

enum ds_status stego_header_put(struct ds_bytes *out, const struct stego_manifest *m,
                                bool is_signed, const struct stego_sections *sections,
                                struct ds_error *err)
{
    enum ds_status s = check_for_put(m, sections, err);
    if (s != DS_OK) {
        return s;
    }
    const uint32_t share = m->share_index == STEGO_NO_SHARE ? SHARE_NONE : m->share_index;
    const uint8_t flags = (uint8_t)(m->cell_rule | (is_signed ? FLAG_SIGNED : 0U) |
                                    (m->is_sealed ? FLAG_SEALED : 0U));
    const size_t origin_len = strlen(m->origin);
    const struct field fields[] = {
        {NULL, m->head.size > 0 ? STEGO_MANIFEST_HEAD : STEGO_MANIFEST_PLAIN, 1},
        {NULL, flags, 1},
        {m->capsule_id, 0, STEGO_CAPSULE_ID_BYTES},
        {NULL, (uint64_t)m->created_utc_us, 8},
        {m->signer_key_id, 0, STEGO_KEY_ID_BYTES},
        {NULL, share, 2},
        {NULL, m->shares_needed, 2},
        {NULL, m->shares_total, 2},
        {m->pixel_hash, 0, DS_SHA256_BYTES},
        {m->dataset_hash, 0, DS_SHA256_BYTES},
        {NULL, sections->key_block.len, 2},
        {NULL, sections->certificate.len, 2},
        {NULL, sections->share.len, 4},
        {NULL, sections->record.len, 4},
        {NULL, origin_len, 1},
    };
    for (size_t i = 0; s == DS_OK && i < DS_ARRAY_SIZE(fields); i++) {
        const struct field *f = &fields[i];
        s = f->bytes != NULL ? ds_bytes_append(out, f->bytes, f->len, err)
                             : ds_bytes_put_be(out, f->number, f->len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, m->origin, origin_len, err);
    }
    return s == DS_OK && m->head.size > 0 ? put_head(out, &m->head, err) : s;
}

enum ds_status stego_container_digest(const uint8_t *bytes, size_t len,
                                      uint8_t out[STEGO_DIGEST_BYTES], struct ds_error *err)
{
    uint8_t whole[DS_SHA256_BYTES];
    const enum ds_status s = ds_sha256_of(bytes, len, whole, err);
    memcpy(out, whole, STEGO_DIGEST_BYTES);
    return s;
}

static void take(struct ds_cursor *c, uint8_t *out, size_t len)
{
    const uint8_t *at = ds_cursor_bytes(c, len);
    if (at != NULL) {
        memcpy(out, at, len);
    }
}

static struct stego_span take_span(struct ds_cursor *c, size_t len)
{
    const uint8_t *at = len == 0 ? NULL : ds_cursor_bytes(c, len);
    return (struct stego_span){at, at == NULL ? 0 : len};
}

/* True also where the version has none. */
static bool take_head(struct ds_cursor *c, struct stego_manifest *m)
{
    if (m->version != STEGO_MANIFEST_HEAD) {
        return true;
    }
    m->head.size = ds_cursor_be(c, 8);
    take(c, m->head.root, sizeof(m->head.root));
    return m->head.size > 0 && m->head.size <= INT64_MAX;
}

/* The numbers of the header; what they say about each other is checked by is_coherent. */
static bool take_header(struct ds_cursor *c, struct stego_container *out, size_t lengths[4])
{
    struct stego_manifest *m = &out->manifest;
    m->version = (uint8_t)ds_cursor_be(c, 1);
    const unsigned flags = (unsigned)ds_cursor_be(c, 1);
    m->cell_rule = (uint8_t)(flags & FLAG_CELL_RULE);
    m->is_sealed = (flags & FLAG_SEALED) != 0;
    out->is_signed = (flags & FLAG_SIGNED) != 0;
    take(c, m->capsule_id, STEGO_CAPSULE_ID_BYTES);
    const uint64_t created = ds_cursor_be(c, 8);
    m->created_utc_us = (int64_t)(created & INT64_MAX);
    take(c, m->signer_key_id, STEGO_KEY_ID_BYTES);
    const uint32_t share = (uint32_t)ds_cursor_be(c, 2);
    m->share_index = share == SHARE_NONE ? STEGO_NO_SHARE : share;
    m->shares_needed = (uint32_t)ds_cursor_be(c, 2);
    m->shares_total = (uint32_t)ds_cursor_be(c, 2);
    take(c, m->pixel_hash, DS_SHA256_BYTES);
    take(c, m->dataset_hash, DS_SHA256_BYTES);
    lengths[0] = (size_t)ds_cursor_be(c, 2);
    lengths[1] = (size_t)ds_cursor_be(c, 2);
    lengths[2] = (size_t)ds_cursor_be(c, 4);
    lengths[3] = (size_t)ds_cursor_be(c, 4);
    const size_t origin_len = (size_t)ds_cursor_be(c, 1);
    const uint8_t *origin = ds_cursor_bytes(c, origin_len);
    if (origin == NULL || origin_len >= STEGO_ORIGIN_BYTES) {
        return false;
    }
    memcpy(m->origin, origin, origin_len);
    return (flags & ~FLAGS_KNOWN) == 0 && created <= INT64_MAX &&
           is_origin(m->origin, origin_len) && take_head(c, m);
}

static bool is_coherent(const struct stego_container *c)
{
    static const uint8_t nobody[STEGO_KEY_ID_BYTES];
    const struct stego_manifest *m = &c->manifest;
    const bool shares_ok = m->shares_needed >= 1 && m->shares_needed <= m->shares_total;
    const bool index_ok = m->share_index == STEGO_NO_SHARE ? c->sections.share.len == 0
                                                           : m->share_index < m->shares_total;
    const bool signature_ok =
        c->is_signed ? c->signature.len > 0 && c->signature.len <= STEGO_SIGNATURE_MAX_BYTES
                     : c->signature.len == 0 && c->sections.certificate.len == 0 &&
                           memcmp(m->signer_key_id, nobody, sizeof(nobody)) == 0;
    const bool keys_ok = m->is_sealed || c->sections.key_block.len == 0;
    return shares_ok && index_ok && signature_ok && keys_ok;
}

static void count_bytes(struct stego_container *c)
{
    struct stego_manifest *m = &c->manifest;
    const struct stego_sections *s = &c->sections;
    m->key_block_bytes = s->key_block.len;
    m->certificate_bytes = s->certificate.len;
    m->share_bytes = s->share.len;
    m->record_bytes = s->record.len;
    m->manifest_bytes = STEGO_DIGEST_BYTES + STEGO_HEADER_BYTES + strlen(m->origin) +
                        c->signature.len +
                        (m->version == STEGO_MANIFEST_HEAD ? STEGO_HEAD_BYTES : 0);
    m->has_key_block = s->key_block.len > 0;
}

static enum ds_status check_digest(const uint8_t *bytes, size_t len, struct ds_error *err)
{
    if (len < STEGO_DIGEST_BYTES + STEGO_HEADER_BYTES) {
        return ds_fail(err, DS_EAUTH, "%zu bytes are too few for a manifest", len);
    }
    uint8_t digest[STEGO_DIGEST_BYTES];
    const enum ds_status s =
        stego_container_digest(bytes + STEGO_DIGEST_BYTES, len - STEGO_DIGEST_BYTES, digest, err);
    if (s == DS_OK && !ds_equal(digest, bytes, sizeof(digest))) {
        return ds_fail(err, DS_EAUTH, "what was hidden has been altered: its digest does not hold");
    }
    return s;
}

static bool take_sections(struct ds_cursor *c, struct stego_container *out, const size_t lengths[4])
{
    struct stego_span *const spans[4] = {&out->sections.key_block, &out->sections.certificate,
                                         &out->sections.share, &out->sections.record};
    for (size_t i = 0; i < 4; i++) {
        out->before_record = (struct stego_span){c->data, c->at};
        *spans[i] = take_span(c, lengths[i]);
    }
    out->body = (struct stego_span){c->data, c->at};
    out->signature = take_span(c, ds_cursor_left(c));
    return !c->failed;
}

enum ds_status stego_container_parse(struct stego_container *out, const uint8_t *bytes, size_t len,
                                     struct ds_error *err)
{
    *out = (struct stego_container){0};
    const enum ds_status s = check_digest(bytes, len, err);
    if (s != DS_OK) {
        return s;
    }
    struct ds_cursor c = ds_cursor_over(bytes + STEGO_DIGEST_BYTES, len - STEGO_DIGEST_BYTES);
    if (c.data[0] < STEGO_MANIFEST_PLAIN || c.data[0] > STEGO_MANIFEST_HEAD) {
        return ds_fail(err, DS_EUNSUPPORTED, "a capsule of version %u: this program knows %u to %u",
                       c.data[0], STEGO_MANIFEST_PLAIN, STEGO_MANIFEST_HEAD);
    }
    size_t lengths[4];
    if (!take_header(&c, out, lengths) || !take_sections(&c, out, lengths) || !is_coherent(out)) {
        *out = (struct stego_container){0};
        return ds_fail(err, DS_EAUTH, "the manifest does not hold together");
    }
    count_bytes(out);
    return DS_OK;
}
