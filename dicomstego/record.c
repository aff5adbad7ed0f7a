/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM must never see one key and nonce with two different messages. Nonces from a counter
 * or a generator would need memory or would make a retried carrier differ, so key and nonce are
 * derived:
 *
 *   salt        = first 8 bytes of HMAC-SHA256(salt key, record)
 *   key | nonce = HKDF-SHA256(study key, capsule id, label | SHA-256(context) | salt)
 *
 * The context holds hashes, identifiers and every section but the record. Two different pairs of
 * context and record give the same key only if the contexts are equal (SHA-256 has no known
 * collisions) and the salts of the two records collide. That takes two different records for one
 * and the same instance of one capsule: a handful at most (the same data set in another encoding
 * has another file hash), so with 64 bits of salt it does not happen, and no key serves two
 * messages. Without the salt the handful would be enough. The salt key is the study key's child, so
 * the salt tells nothing to who lacks the key.
 */
#include "dicomstego/record.h"

#include "base/secret.h"
#include "base/sha256.h"

#include <openssl/hmac.h>

#define LABEL     "dicomstego record 1"
#define LABEL_LEN 19U
_Static_assert(sizeof(LABEL) == LABEL_LEN + 1, "the label's length");

struct binding {
    const uint8_t *study_key;
    const uint8_t *capsule_id;
    const uint8_t *context;
    size_t context_len;
};

static enum ds_status make_salt(const struct binding *b, const uint8_t *record, size_t len,
                                uint8_t out[STEGO_RECORD_SALT_BYTES], struct ds_error *err)
{
    static const uint8_t info[] = "dicomstego record salt 1";
    static const uint8_t nothing;
    uint8_t key[STEGO_KEY_BYTES];
    uint8_t mac[DS_SHA256_BYTES];
    const enum ds_status s = stego_hkdf(b->study_key, b->capsule_id, STEGO_CAPSULE_ID_BYTES, info,
                                        sizeof(info) - 1, key, sizeof(key), err);
    if (s != DS_OK) {
        return s;
    }
    const bool ok = HMAC(EVP_sha256(), key, (int)sizeof(key), len == 0 ? &nothing : record, len,
                         mac, NULL) != NULL;
    memcpy(out, mac, STEGO_RECORD_SALT_BYTES);
    ds_wipe(key, sizeof(key));
    ds_wipe(mac, sizeof(mac));
    return ok ? DS_OK : stego_crypto_fail(err, DS_ENOMEM, "HMAC");
}

static enum ds_status make_key(const struct binding *b, const uint8_t salt[STEGO_RECORD_SALT_BYTES],
                               struct stego_gcm *out, struct ds_error *err)
{
    uint8_t info[LABEL_LEN + DS_SHA256_BYTES + STEGO_RECORD_SALT_BYTES];
    uint8_t derived[STEGO_KEY_BYTES + STEGO_GCM_NONCE_BYTES];
    memcpy(info, LABEL, LABEL_LEN);
    enum ds_status s = ds_sha256_of(b->context, b->context_len, info + LABEL_LEN, err);
    memcpy(info + LABEL_LEN + DS_SHA256_BYTES, salt, STEGO_RECORD_SALT_BYTES);
    if (s == DS_OK) {
        s = stego_hkdf(b->study_key, b->capsule_id, STEGO_CAPSULE_ID_BYTES, info, sizeof(info),
                       derived, sizeof(derived), err);
    }
    if (s == DS_OK) {
        memcpy(out->key, derived, sizeof(out->key));
        memcpy(out->nonce, derived + STEGO_KEY_BYTES, sizeof(out->nonce));
    }
    ds_wipe(derived, sizeof(derived));
    return s;
}

enum ds_status stego_record_seal(const uint8_t study_key[STEGO_KEY_BYTES],
                                 const uint8_t capsule_id[STEGO_CAPSULE_ID_BYTES],
                                 const uint8_t *context, size_t context_len, const uint8_t *record,
                                 size_t len, struct ds_bytes *out, struct ds_error *err)
{
    const struct binding b = {study_key, capsule_id, context, context_len};
    uint8_t salt[STEGO_RECORD_SALT_BYTES];
    struct stego_gcm gcm = {0};
    enum ds_status s = make_salt(&b, record, len, salt, err);
    if (s == DS_OK) {
        s = make_key(&b, salt, &gcm, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, salt, sizeof(salt), err);
    }
    if (s == DS_OK) {
        s = stego_gcm_seal(&gcm, context, context_len, record, len, out, err);
    }
    ds_wipe(&gcm, sizeof(gcm));
    return s;
}

enum ds_status stego_record_open(const uint8_t study_key[STEGO_KEY_BYTES],
                                 const uint8_t capsule_id[STEGO_CAPSULE_ID_BYTES],
                                 const uint8_t *context, size_t context_len, const uint8_t *sealed,
                                 size_t len, struct ds_bytes *out, struct ds_error *err)
{
    if (len < STEGO_RECORD_OVERHEAD) {
        return ds_fail(err, DS_EAUTH, "encrypted record of %zu bytes", len);
    }
    const struct binding b = {study_key, capsule_id, context, context_len};
    struct stego_gcm gcm = {0};
    enum ds_status s = make_key(&b, sealed, &gcm, err);
    if (s == DS_OK) {
        s = stego_gcm_open(&gcm, context, context_len, sealed + STEGO_RECORD_SALT_BYTES,
                           len - STEGO_RECORD_SALT_BYTES, out, err);
    }
    ds_wipe(&gcm, sizeof(gcm));
    return s;
}
