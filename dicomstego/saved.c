/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved form of a capsule: CMS length (4) | CMS for the owner | signature of the capsule's
 * signer.
 *
 * Sealing to a certificate takes no secret, so the seal alone would let whoever can write to the
 * database exchange a study's capsule for one that is open to him. The signature, checked before
 * anything is decrypted, keeps that from happening.
 */
#include "dicomstego/capsule.h"

#include "base/secret.h"
#include "dicomstego/capsule_internal.h"
#include "dicomstego/key_internal.h"
#include "dicomstego/seal.h"
#include "dicomstego/signature.h"

#define SAVED_VERSION   1U
#define SAVED_MAX_BYTES (STEGO_SHARE_DATA_MAX + 2U * 1024U * 1024U)
#define FLAG_SEALED     1U
#define FLAG_HEAD       2U /* a tree head stands behind the share data */
#define FLAGS_KNOWN     3U

/* ---- saving ---- */

static enum ds_status put_capsule(const struct stego_capsule *c, struct ds_bytes *out,
                                  struct ds_error *err)
{
    const struct {
        const uint8_t *bytes; /* NULL: a number */
        uint64_t number;
        size_t len;
    } fields[] = {
        {NULL, SAVED_VERSION, 1},
        {NULL, (c->is_sealed ? FLAG_SEALED : 0U) | (c->head.size > 0 ? FLAG_HEAD : 0U), 1},
        {c->id, 0, sizeof(c->id)},
        {NULL, (uint64_t)c->created_utc_us, 8},
        {NULL, c->shares.needed, 2},
        {NULL, c->shares.total, 2},
        {c->study_key, 0, sizeof(c->study_key)},
        {NULL, strlen(c->origin), 1},
        {NULL, c->key_block.len, 4},
        {NULL, c->share_data.len, 4},
    };
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < DS_ARRAY_SIZE(fields); i++) {
        s = fields[i].bytes != NULL
                ? ds_bytes_append(out, fields[i].bytes, fields[i].len, err)
                : ds_bytes_put_be(out, fields[i].number, (unsigned)fields[i].len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, c->origin, strlen(c->origin), err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, c->key_block.data, c->key_block.len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, c->share_data.data, c->share_data.len, err);
    }
    if (s == DS_OK && c->head.size > 0) {
        s = ds_bytes_put_be(out, c->head.size, 8, err);
    }
    return s == DS_OK && c->head.size > 0
               ? ds_bytes_append(out, c->head.root, sizeof(c->head.root), err)
               : s;
}

enum ds_status stego_capsule_save(const struct stego_capsule *c,
                                  const struct stego_certificate *owner, struct ds_bytes *out,
                                  struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes plain = DS_BYTES_INIT(SAVED_MAX_BYTES);
    DS_AUTO(stego_bytes_auto) struct ds_bytes cms = DS_BYTES_INIT(SAVED_MAX_BYTES);
    const struct stego_audience audience = {&owner, 1, NULL};
    enum ds_status s = put_capsule(c, &plain, err);
    if (s == DS_OK) {
        s = stego_seal(&audience, plain.data, plain.len, &cms, err);
    }
    const struct stego_span sealed = {cms.data, cms.len};
    DS_AUTO(stego_bytes_auto) struct ds_bytes signature = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    if (s == DS_OK && c->signer != NULL) {
        s = stego_sign_labelled(c->signer, STEGO_SIGNED_SAVED, sealed, &signature, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_be(out, cms.len, 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, cms.data, cms.len, err);
    }
    return s == DS_OK ? ds_bytes_append(out, signature.data, signature.len, err) : s;
}

/* ---- loading ---- */

static enum ds_status take_bytes(struct ds_cursor *from, size_t len, struct ds_bytes *out,
                                 struct ds_error *err)
{
    const uint8_t *at = ds_cursor_bytes(from, len);
    return at == NULL ? ds_fail(err, DS_EFORMAT, "a saved capsule is cut short")
                      : ds_bytes_append(out, at, len, err);
}

static void take_fixed(struct ds_cursor *from, uint8_t *out, size_t len)
{
    const uint8_t *at = ds_cursor_bytes(from, len);
    if (at != NULL) {
        memcpy(out, at, len);
    }
}

static enum ds_status get_capsule(struct stego_capsule *c, const struct ds_bytes *plain,
                                  struct ds_error *err)
{
    struct ds_cursor in = ds_cursor_over(plain->data, plain->len);
    const uint64_t version = ds_cursor_be(&in, 1);
    const uint64_t flags = ds_cursor_be(&in, 1);
    c->is_sealed = (flags & FLAG_SEALED) != 0;
    take_fixed(&in, c->id, sizeof(c->id));
    c->created_utc_us = (int64_t)(ds_cursor_be(&in, 8) & INT64_MAX);
    const uint32_t needed = (uint32_t)ds_cursor_be(&in, 2);
    const uint32_t total = (uint32_t)ds_cursor_be(&in, 2);
    take_fixed(&in, c->study_key, sizeof(c->study_key));
    const size_t origin_len = (size_t)ds_cursor_be(&in, 1);
    const size_t key_len = (size_t)ds_cursor_be(&in, 4);
    const size_t share_len = (size_t)ds_cursor_be(&in, 4);
    if (in.failed || version != SAVED_VERSION || (flags & ~FLAGS_KNOWN) != 0 || needed == 0 ||
        needed > total || origin_len >= STEGO_ORIGIN_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a saved capsule does not hold together");
    }
    c->shares = stego_shares_of(needed, total);
    take_fixed(&in, (uint8_t *)c->origin, origin_len);
    enum ds_status s = take_bytes(&in, key_len, &c->key_block, err);
    if (s == DS_OK) {
        s = take_bytes(&in, share_len, &c->share_data, err);
    }
    if (s == DS_OK && (flags & FLAG_HEAD) != 0) {
        c->head.size = ds_cursor_be(&in, 8);
        take_fixed(&in, c->head.root, sizeof(c->head.root));
    }
    return s == DS_OK && (in.failed || ds_cursor_left(&in) != 0)
               ? ds_fail(err, DS_EFORMAT, "a saved capsule has bytes too many, or too few")
               : s;
}

static enum ds_status check_signature(struct stego_span cms, struct stego_span signature,
                                      const struct stego_identity *signer, struct ds_error *err)
{
    if (signer == NULL) {
        return signature.len == 0
                   ? DS_OK
                   : ds_fail(err, DS_ENOKEY, "the saved capsule needs its signer's key");
    }
    return stego_verify_labelled(signer->certificate->public_key, STEGO_SIGNED_SAVED, cms,
                                 signature, err);
}

static enum ds_status load(struct stego_capsule *c, struct stego_span cms,
                           const struct stego_identity *owner, const struct stego_identity *signer,
                           struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes plain = DS_BYTES_INIT(SAVED_MAX_BYTES);
    const struct stego_keyring keyring = {.identities = &owner, .identity_count = 1};
    enum ds_status s = stego_unseal(cms.data, cms.len, &keyring, &plain, err);
    if (s == DS_OK) {
        s = get_capsule(c, &plain, err);
    }
    return s == DS_OK && signer != NULL ? stego_capsule_set_signer(c, signer, err) : s;
}

enum ds_status stego_capsule_load(struct stego_capsule **out, const uint8_t *saved, size_t len,
                                  const struct stego_identity *owner,
                                  const struct stego_identity *signer, struct ds_error *err)
{
    *out = NULL;
    struct ds_cursor in = ds_cursor_over(saved, len);
    const size_t cms_len = (size_t)ds_cursor_be(&in, 4);
    const struct stego_span cms = {ds_cursor_bytes(&in, cms_len), cms_len};
    if (in.failed) {
        return ds_fail(err, DS_EAUTH, "a saved capsule is cut short");
    }
    const size_t signature_len = ds_cursor_left(&in);
    const struct stego_span signature = {ds_cursor_bytes(&in, signature_len), signature_len};
    DS_AUTO(stego_capsule_auto) struct stego_capsule *c = NULL;
    enum ds_status s = check_signature(cms, signature, signer, err);
    if (s == DS_OK) {
        s = stego_capsule_new(&c, err);
    }
    if (s == DS_OK) {
        s = load(c, cms, owner, signer, err);
    }
    if (s == DS_OK) {
        *out = c;
        c = NULL;
    }
    return s;
}
