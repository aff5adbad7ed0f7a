/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/capsule.h"

#include "base/secret.h"
#include "dicomstego/capsule_internal.h"
#include "dicomstego/key_internal.h"
#include "dicomstego/record.h"
#include "dicomstego/seal.h"
#include "dicomstego/signature.h"

#define REDUNDANCY_MAX 90U

enum ds_status stego_capsule_new(struct stego_capsule **out, struct ds_error *err)
{
    *out = NULL;
    struct stego_capsule *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "capsule");
    }
    c->key_block = DS_BYTES_INIT(STEGO_SECTION_MAX);
    c->share_data = DS_BYTES_INIT(STEGO_SHARE_DATA_MAX);
    c->signer_certificate = DS_BYTES_INIT(STEGO_SECTION_MAX);
    *out = c;
    return DS_OK;
}

void stego_capsule_free(struct stego_capsule *c)
{
    if (c == NULL) {
        return;
    }
    ds_bytes_free(&c->key_block);
    ds_bytes_free(&c->share_data);
    ds_bytes_free(&c->signer_certificate);
    EVP_PKEY_free(c->signer);
    ds_wipe(c, sizeof(*c));
    free(c);
}

void stego_capsule_auto(struct stego_capsule **c)
{
    stego_capsule_free(*c);
}

const uint8_t *stego_capsule_id(const struct stego_capsule *c)
{
    return c->id;
}

uint32_t stego_capsule_shares_needed(const struct stego_capsule *c)
{
    return c->shares.needed;
}

uint32_t stego_capsule_shares_total(const struct stego_capsule *c)
{
    return c->shares.total;
}

size_t stego_capsule_share_bytes(const struct stego_capsule *c)
{
    return stego_shares_bytes(&c->shares, c->share_data.len);
}

const char *stego_capsule_origin(const struct stego_capsule *c)
{
    return c->origin;
}

int64_t stego_capsule_created_utc_us(const struct stego_capsule *c)
{
    return c->created_utc_us;
}

size_t stego_capsule_key_block_bytes(const struct stego_capsule *c)
{
    return c->key_block.len;
}

enum ds_status stego_capsule_set_signer(struct stego_capsule *c,
                                        const struct stego_identity *signer, struct ds_error *err)
{
    if (EVP_PKEY_up_ref(signer->key) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "signer");
    }
    c->signer = signer->key;
    memcpy(c->signer_key_id, signer->certificate->key_id, sizeof(c->signer_key_id));
    const struct ds_bytes *der = &signer->certificate->der;
    return ds_bytes_append(&c->signer_certificate, der->data, der->len, err);
}

/* ---- sealing a study ---- */

static enum ds_status check_request(const struct stego_seal_request *r, struct ds_error *err)
{
    const char *wrong = NULL;
    if (r->share_total == 0 || r->share_total > STEGO_SHARES_MAX) {
        wrong = "the number of shares is out of bounds";
    } else if (r->redundancy_percent > REDUNDANCY_MAX) {
        wrong = "the redundancy is above 90 percent";
    } else if (r->origin == NULL || strlen(r->origin) >= STEGO_ORIGIN_BYTES) {
        wrong = "the origin is not an AE title";
    } else if (r->document_count > 0 && r->recipient_count == 0 && r->password == NULL) {
        wrong = "documents need a recipient or a password";
    } else if (r->head.size > INT64_MAX) {
        wrong = "the tree head's size is out of bounds";
    }
    return wrong == NULL ? DS_OK : ds_fail(err, DS_EINVAL, "%s", wrong);
}

static enum ds_status describe(struct stego_capsule *c, const struct stego_seal_request *r,
                               struct ds_error *err)
{
    c->created_utc_us = r->created_utc_us;
    c->head = r->head;
    memcpy(c->origin, r->origin, strlen(r->origin));
    c->shares = stego_shares_of(stego_shares_needed_for(r->share_total, r->redundancy_percent),
                                r->share_total);
    const enum ds_status s = ds_random(c->id, sizeof(c->id), err);
    return s == DS_OK && r->signer != NULL ? stego_capsule_set_signer(c, r->signer, err) : s;
}

static enum ds_status seal_key(struct stego_capsule *c, const struct stego_audience *audience,
                               struct ds_error *err)
{
    enum ds_status s = ds_random(c->study_key, sizeof(c->study_key), err);
    if (s == DS_OK) {
        s = stego_seal(audience, c->study_key, sizeof(c->study_key), &c->key_block, err);
    }
    return s == DS_EFORMAT ? ds_fail(err, DS_EINVAL, "too many recipients") : s;
}

static enum ds_status seal_documents(const struct stego_seal_request *r,
                                     const struct stego_audience *audience, struct ds_bytes *out,
                                     struct ds_error *err)
{
    if (r->document_count == 0) {
        return DS_OK;
    }
    DS_AUTO(stego_bytes_auto) struct ds_bytes packed = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES);
    const enum ds_status s = stego_documents_pack(r->documents, r->document_count, &packed, err);
    return s == DS_OK ? stego_seal(audience, packed.data, packed.len, out, err) : s;
}

static enum ds_status seal_for(struct stego_capsule *c, const struct stego_seal_request *r,
                               const struct stego_audience *audience, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes sealed = DS_BYTES_INIT(STEGO_SHARE_DATA_MAX);
    c->is_sealed = true;
    enum ds_status s = seal_key(c, audience, err);
    if (s == DS_OK) {
        s = seal_documents(r, audience, &sealed, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct stego_span key_block = {c->key_block.data, c->key_block.len};
    return stego_share_data_put(&c->share_data, key_block,
                                (struct stego_span){sealed.data, sealed.len}, err);
}

static enum ds_status seal_request(struct stego_capsule *c, const struct stego_seal_request *r,
                                   struct ds_error *err)
{
    struct stego_password_key password;
    struct stego_audience audience = {r->recipients, r->recipient_count, NULL};
    if (r->password == NULL) {
        return r->recipient_count == 0 ? DS_OK : seal_for(c, r, &audience, err);
    }
    enum ds_status s = stego_password_key_new(&password, r->password, err);
    if (s == DS_OK) {
        audience.password = &password;
        s = seal_for(c, r, &audience, err);
    }
    ds_wipe(&password, sizeof(password));
    return s;
}

enum ds_status stego_capsule_seal(struct stego_capsule **out, const struct stego_seal_request *r,
                                  struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_capsule_auto) struct stego_capsule *c = NULL;
    enum ds_status s = check_request(r, err);
    if (s == DS_OK) {
        s = stego_capsule_new(&c, err);
    }
    if (s == DS_OK) {
        s = describe(c, r, err);
    }
    if (s == DS_OK) {
        s = seal_request(c, r, err);
    }
    if (s == DS_OK) {
        *out = c;
        c = NULL;
    }
    return s;
}

/* ---- share data ---- */

enum ds_status stego_share_data_put(struct ds_bytes *out, struct stego_span key_block,
                                    struct stego_span sealed, struct ds_error *err)
{
    const size_t start = out->len;
    enum ds_status s = ds_bytes_resize(out, start + STEGO_DIGEST_BYTES, err);
    if (s == DS_OK) {
        s = ds_bytes_put_be(out, key_block.len, 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_be(out, sealed.len, 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, key_block.data, key_block.len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, sealed.data, sealed.len, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const size_t digested = start + STEGO_DIGEST_BYTES;
    return stego_container_digest(out->data + digested, out->len - digested, out->data + start,
                                  err);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

enum ds_status stego_share_data_get(struct stego_share_view *out, const uint8_t *bytes, size_t len,
                                    struct ds_error *err)
{
    *out = (struct stego_share_view){0};
    if (len == 0) {
        return DS_OK;
    }
    struct ds_cursor c = ds_cursor_over(bytes, len);
    const uint8_t *digest = ds_cursor_bytes(&c, STEGO_DIGEST_BYTES);
    const size_t key_len = (size_t)ds_cursor_be(&c, 4);
    const size_t sealed_len = (size_t)ds_cursor_be(&c, 4);
    const struct stego_span key = {ds_cursor_bytes(&c, key_len), key_len};
    const struct stego_span sealed = {ds_cursor_bytes(&c, sealed_len), sealed_len};
    if (c.failed || !is_zero(bytes + c.at, len - c.at)) {
        return ds_fail(err, DS_EAUTH, "the shares do not belong together");
    }
    uint8_t expected[STEGO_DIGEST_BYTES];
    const enum ds_status s = stego_container_digest(bytes + STEGO_DIGEST_BYTES,
                                                    c.at - STEGO_DIGEST_BYTES, expected, err);
    if (s != DS_OK) {
        return s;
    }
    if (!ds_equal(digest, expected, sizeof(expected))) {
        return ds_fail(err, DS_EAUTH, "the shares do not belong together");
    }
    *out = (struct stego_share_view){key, sealed};
    return DS_OK;
}

/* ---- one instance ---- */

static enum ds_status labelled(const char *label, struct stego_span bytes, struct ds_bytes *out,
                               struct ds_error *err)
{
    const enum ds_status s = ds_bytes_append(out, label, strlen(label), err);
    return s == DS_OK ? ds_bytes_append(out, bytes.data, bytes.len, err) : s;
}

#define LABEL_MAX 64U

enum ds_status stego_sign_labelled(EVP_PKEY *key, const char *label, struct stego_span bytes,
                                   struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes message = DS_BYTES_INIT(bytes.len + LABEL_MAX);
    const enum ds_status s = labelled(label, bytes, &message, err);
    return s == DS_OK ? stego_sign(key, message.data, message.len, out, err) : s;
}

enum ds_status stego_verify_labelled(EVP_PKEY *key, const char *label, struct stego_span bytes,
                                     struct stego_span signature, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes message = DS_BYTES_INIT(bytes.len + LABEL_MAX);
    const enum ds_status s = labelled(label, bytes, &message, err);
    return s == DS_OK
               ? stego_verify(key, message.data, message.len, signature.data, signature.len, err)
               : s;
}

static enum ds_status check_instance(const struct stego_capsule *c, const struct stego_instance *i,
                                     struct ds_error *err)
{
    if (i->share_index != STEGO_NO_SHARE && i->share_index >= c->shares.total) {
        return ds_fail(err, DS_EINVAL, "share %u of %u", i->share_index, c->shares.total);
    }
    if (i->record_len > STEGO_RECORD_MAX_BYTES) {
        return ds_fail(err, DS_EINVAL, "a restore record of %zu bytes", i->record_len);
    }
    return DS_OK;
}

static struct stego_manifest describe_instance(const struct stego_capsule *c,
                                               const struct stego_instance *i)
{
    struct stego_manifest m = {
        .created_utc_us = c->created_utc_us,
        .share_index = i->share_index,
        .shares_needed = c->shares.needed,
        .shares_total = c->shares.total,
        .cell_rule = i->cell_rule,
        .head = c->head,
        .is_sealed = c->is_sealed,
    };
    memcpy(m.capsule_id, c->id, sizeof(m.capsule_id));
    memcpy(m.origin, c->origin, sizeof(m.origin));
    memcpy(m.signer_key_id, c->signer_key_id, sizeof(m.signer_key_id));
    memcpy(m.pixel_hash, i->pixel_hash, sizeof(m.pixel_hash));
    memcpy(m.dataset_hash, i->dataset_hash, sizeof(m.dataset_hash));
    return m;
}

static struct stego_span span_if(bool wanted, const struct ds_bytes *b)
{
    return wanted && b->len > 0 ? (struct stego_span){b->data, b->len} : (struct stego_span){0};
}

/* Header, key block, certificate, share: all that the record's seal binds. */
static enum ds_status put_before_record(const struct stego_capsule *c,
                                        const struct stego_instance *i, struct ds_bytes *out,
                                        struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes share = DS_BYTES_INIT(STEGO_SHARE_DATA_MAX);
    if (i->share_index != STEGO_NO_SHARE) {
        const enum ds_status s = stego_shares_encode(
            &c->shares, c->share_data.data, c->share_data.len, i->share_index, &share, err);
        if (s != DS_OK) {
            return s;
        }
    }
    const struct stego_sections sections = {
        .key_block = span_if(i->with_key_block, &c->key_block),
        .certificate = span_if(i->with_certificate, &c->signer_certificate),
        .share = span_if(true, &share),
        .record = {i->record, i->record_len + (c->is_sealed ? STEGO_RECORD_OVERHEAD : 0)},
    };
    const struct stego_manifest m = describe_instance(c, i);
    enum ds_status s = stego_header_put(out, &m, c->signer != NULL, &sections, err);
    const struct stego_span *const spans[] = {&sections.key_block, &sections.certificate,
                                              &sections.share};
    for (size_t n = 0; s == DS_OK && n < DS_ARRAY_SIZE(spans); n++) {
        s = ds_bytes_append(out, spans[n]->data, spans[n]->len, err);
    }
    return s;
}

static enum ds_status put_body(const struct stego_capsule *c, const struct stego_instance *i,
                               struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = put_before_record(c, i, out, err);
    if (s != DS_OK) {
        return s;
    }
    if (!c->is_sealed) {
        return ds_bytes_append(out, i->record, i->record_len, err);
    }
    /* Reserved first, because the context lies in the same buffer and may not move. */
    s = ds_bytes_reserve(out, i->record_len + STEGO_RECORD_OVERHEAD, err);
    return s == DS_OK ? stego_record_seal(c->study_key, c->id, out->data, out->len, i->record,
                                          i->record_len, out, err)
                      : s;
}

enum ds_status stego_capsule_instance(const struct stego_capsule *c, const struct stego_instance *i,
                                      struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes body = DS_BYTES_INIT(STEGO_CONTAINER_MAX);
    enum ds_status s = check_instance(c, i, err);
    if (s == DS_OK) {
        s = put_body(c, i, &body, err);
    }
    if (s == DS_OK && c->signer != NULL) {
        s = stego_sign_labelled(c->signer, STEGO_SIGNED_MANIFEST,
                                (struct stego_span){body.data, body.len}, &body, err);
    }
    uint8_t digest[STEGO_DIGEST_BYTES];
    if (s == DS_OK) {
        s = stego_container_digest(body.data, body.len, digest, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_reserve(out, sizeof(digest) + body.len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, digest, sizeof(digest), err);
    }
    return s == DS_OK ? ds_bytes_append(out, body.data, body.len, err) : s;
}

enum ds_status stego_capsule_sealed_text(const struct stego_capsule *c, struct ds_bytes *out,
                                         struct ds_error *err)
{
    struct stego_share_view view = {0};
    enum ds_status s = stego_share_data_get(&view, c->share_data.data, c->share_data.len, err);
    if (s != DS_OK || view.sealed.len == 0) {
        return s;
    }
    const size_t begin = out->len;
    const size_t len = (view.sealed.len + 2) / 3 * 4;
    s = ds_bytes_resize(out, begin + len + 1, err); /* OpenSSL writes a terminator */
    if (s != DS_OK) {
        return s;
    }
    (void)EVP_EncodeBlock(out->data + begin, view.sealed.data, (int)view.sealed.len);
    return ds_bytes_resize(out, begin + len, err);
}
