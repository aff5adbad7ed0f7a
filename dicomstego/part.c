/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/capsule.h"

#include "base/secret.h"
#include "dicomstego/capsule_internal.h"
#include "dicomstego/key_internal.h"
#include "dicomstego/record.h"
#include "dicomstego/seal.h"

static const struct stego_keyring no_keys;

void stego_part_free(struct stego_part *p)
{
    if (p == NULL) {
        return;
    }
    ds_bytes_free(&p->bytes);
    free(p->signer);
    free(p);
}

void stego_part_auto(struct stego_part **p)
{
    stego_part_free(*p);
}

const struct stego_manifest *stego_part_manifest(const struct stego_part *p)
{
    return &p->container.manifest;
}

enum stego_origin_state stego_part_origin(const struct stego_part *p)
{
    return p->origin;
}

const char *stego_part_signer(const struct stego_part *p)
{
    return p->signer;
}

const uint8_t *stego_part_key_block(const struct stego_part *p, size_t *len)
{
    *len = p->container.sections.key_block.len;
    return p->container.sections.key_block.data;
}

/* ---- who signed it ---- */

static enum ds_status verify_by(struct stego_part *p, const struct stego_certificate *c,
                                struct ds_error *err)
{
    const enum ds_status s = stego_verify_labelled(c->public_key, STEGO_SIGNED_MANIFEST,
                                                   p->container.body, p->container.signature, err);
    if (s != DS_OK) {
        return s;
    }
    p->signer = strdup(c->subject);
    if (p->signer == NULL) {
        return ds_fail(err, DS_ENOMEM, "signer");
    }
    p->origin = STEGO_ORIGIN_VERIFIED;
    return DS_OK;
}

/* The chain first: only what a trusted CA has issued is asked about the signature. */
static enum ds_status verify_by_carried(struct stego_part *p, const struct stego_trust *trust,
                                        struct ds_error *err)
{
    const struct stego_span der = p->container.sections.certificate;
    const struct stego_manifest *m = &p->container.manifest;
    if (der.len == 0) {
        return ds_fail(err, DS_EAUTH, "the signer is not among the trusted");
    }
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = NULL;
    enum ds_status s = stego_certificate_parse(&c, der.data, der.len, err);
    if (s != DS_OK) {
        return s;
    }
    if (memcmp(c->key_id, m->signer_key_id, sizeof(c->key_id)) != 0) {
        return ds_fail(err, DS_EAUTH, "the certificate that travelled along is not the signer's");
    }
    s = stego_trust_check(trust, c, m->created_utc_us, err);
    return s == DS_OK ? verify_by(p, c, err) : s;
}

static enum ds_status check_origin(struct stego_part *p, const struct stego_trust *trust,
                                   struct ds_error *err)
{
    p->origin = p->container.is_signed ? STEGO_ORIGIN_UNCHECKED : STEGO_ORIGIN_UNSIGNED;
    if (trust == NULL) {
        return DS_OK;
    }
    if (!p->container.is_signed) {
        return ds_fail(err, DS_EAUTH, "not signed, but a trusted signer is asked for");
    }
    const struct stego_certificate *c =
        stego_trust_find(trust, p->container.manifest.signer_key_id);
    return c != NULL ? verify_by(p, c, err) : verify_by_carried(p, trust, err);
}

enum ds_status stego_part_open(struct stego_part **out, const uint8_t *bytes, size_t len,
                               const struct stego_keyring *keyring, struct ds_error *err)
{
    *out = NULL;
    if (len > STEGO_CONTAINER_MAX) {
        return ds_fail(err, DS_EAUTH, "%zu bytes are too many for one instance", len);
    }
    DS_AUTO(stego_part_auto) struct stego_part *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return ds_fail(err, DS_ENOMEM, "part");
    }
    p->bytes = DS_BYTES_INIT(STEGO_CONTAINER_MAX);
    enum ds_status s = ds_bytes_append(&p->bytes, bytes, len, err);
    if (s == DS_OK) {
        s = stego_container_parse(&p->container, p->bytes.data, p->bytes.len, err);
    }
    if (s == DS_OK) {
        s = check_origin(p, keyring == NULL ? NULL : keyring->trust, err);
    }
    if (s == DS_OK) {
        *out = p;
        p = NULL;
    }
    return s;
}

/* ---- the restore record ---- */

enum ds_status stego_study_key_open(struct stego_span key_block,
                                    const struct stego_keyring *keyring,
                                    uint8_t out[STEGO_KEY_BYTES], struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes key = DS_BYTES_INIT(STEGO_KEY_BYTES);
    memset(out, 0, STEGO_KEY_BYTES);
    const enum ds_status s = stego_unseal(key_block.data, key_block.len, keyring, &key, err);
    if (s == DS_EFORMAT || (s == DS_OK && key.len != STEGO_KEY_BYTES)) {
        return ds_fail(err, DS_EAUTH, "the key block does not hold a study key");
    }
    if (s == DS_OK) {
        memcpy(out, key.data, STEGO_KEY_BYTES);
    }
    return s;
}

/* One share is enough here, so the part has the whole share data. */
static bool has_whole_capsule(const struct stego_part *p)
{
    const struct stego_manifest *m = &p->container.manifest;
    return m->share_index != STEGO_NO_SHARE && m->shares_needed == 1;
}

/* With k = 1 each share is the data times a constant: decoding is the collector's, made for the
 * moment. */
static enum ds_status key_from_own_share(const struct stego_part *p,
                                         const struct stego_keyring *keyring,
                                         uint8_t out[STEGO_KEY_BYTES], struct ds_error *err)
{
    DS_AUTO(stego_collector_auto) struct stego_collector *c = NULL;
    struct stego_span key_block = {0};
    enum ds_status s = stego_collector_new(&c, err);
    if (s == DS_OK) {
        s = stego_collector_add(c, p, err);
    }
    if (s == DS_OK) {
        s = stego_collector_key_block(c, &key_block, err);
    }
    return s == DS_OK ? stego_collector_study_key(c, key_block, keyring, out, err) : s;
}

static enum ds_status find_study_key(const struct stego_part *p, struct stego_collector *collector,
                                     const struct stego_keyring *keyring,
                                     uint8_t out[STEGO_KEY_BYTES], struct ds_error *err)
{
    struct stego_span key_block = p->container.sections.key_block;
    if (key_block.len == 0 && collector == NULL) {
        return has_whole_capsule(p)
                   ? key_from_own_share(p, keyring, out, err)
                   : ds_fail(
                         err, DS_ECAPACITY,
                         "this instance has no key block: the study's other instances are needed");
    }
    if (key_block.len == 0) {
        const enum ds_status s = stego_collector_key_block(collector, &key_block, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return collector == NULL ? stego_study_key_open(key_block, keyring, out, err)
                             : stego_collector_study_key(collector, key_block, keyring, out, err);
}

static enum ds_status open_record(const struct stego_part *p, const uint8_t key[STEGO_KEY_BYTES],
                                  struct ds_bytes *out, struct ds_error *err)
{
    const struct stego_span record = p->container.sections.record;
    const struct stego_span context = p->container.before_record;
    if (!p->container.manifest.is_sealed) {
        return ds_bytes_append(out, record.data, record.len, err);
    }
    return stego_record_open(key, p->container.manifest.capsule_id, context.data, context.len,
                             record.data, record.len, out, err);
}

enum ds_status stego_part_record(const struct stego_part *p, struct stego_collector *collector,
                                 const struct stego_keyring *keyring, struct ds_bytes *out,
                                 struct ds_error *err)
{
    uint8_t key[STEGO_KEY_BYTES] = {0};
    enum ds_status s = DS_OK;
    if (p->container.manifest.is_sealed) {
        s = find_study_key(p, collector, keyring == NULL ? &no_keys : keyring, key, err);
    }
    if (s == DS_OK) {
        s = open_record(p, key, out, err);
    }
    ds_wipe(key, sizeof(key));
    return s;
}

enum ds_status stego_part_record_with_capsule(const struct stego_part *p,
                                              const struct stego_capsule *capsule,
                                              struct ds_bytes *out, struct ds_error *err)
{
    if (memcmp(p->container.manifest.capsule_id, capsule->id, sizeof(capsule->id)) != 0 ||
        p->container.manifest.is_sealed != capsule->is_sealed) {
        return ds_fail(err, DS_EINVAL, "a part of another capsule");
    }
    return open_record(p, capsule->study_key, out, err);
}
