/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/statement.h"

#include "base/secret.h"
#include "base/sha256.h"
#include "dicomstego/key_internal.h"
#include "dicomstego/signature.h"

#include <openssl/err.h>

static void md_ctx_auto(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
}

enum ds_status stego_statement_sign(const struct stego_identity *by, const uint8_t *text,
                                    size_t len, struct ds_bytes *signature, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes raw = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    const enum ds_status s = stego_sign(by->key, text, len, &raw, err);
    return s == DS_OK ? stego_signature_der(by->key, raw.data, raw.len, signature, err) : s;
}

enum ds_status stego_certificate_public_key(const struct stego_certificate *c, struct ds_bytes *out,
                                            struct ds_error *err)
{
    uint8_t *spki = NULL;
    const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x509), &spki);
    if (len <= 0) {
        return stego_crypto_fail(err, DS_ECONFIG, "public key");
    }
    const enum ds_status s = ds_bytes_append(out, spki, (size_t)len, err);
    OPENSSL_free(spki);
    return s;
}

const uint8_t *stego_certificate_der(const struct stego_certificate *c, size_t *len)
{
    *len = c->der.len;
    return c->der.data;
}

/* Exactly one SubjectPublicKeyInfo of a key kind of ours. */
static enum ds_status public_key_parse(EVP_PKEY **out, const uint8_t *der, size_t len,
                                       struct ds_error *err)
{
    const uint8_t *at = der;
    *out = len == 0 || len > STEGO_PUBLIC_KEY_MAX_BYTES ? NULL : d2i_PUBKEY(NULL, &at, (long)len);
    ERR_clear_error();
    if (*out == NULL || at != der + len || stego_key_kind_of(*out) == STEGO_KEY_OTHER) {
        return ds_fail(err, DS_EAUTH, "the public key cannot be read, or is of a foreign kind");
    }
    return DS_OK;
}

enum ds_status stego_statement_verify(const uint8_t *public_key, size_t public_key_len,
                                      const uint8_t *text, size_t len, const uint8_t *signature,
                                      size_t signature_len, struct ds_error *err)
{
    DS_AUTO(stego_pkey_auto) EVP_PKEY *key = NULL;
    const enum ds_status s = public_key_parse(&key, public_key, public_key_len, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(md_ctx_auto) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = stego_key_digest(stego_key_kind_of(key));
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "signature");
    }
    const int ok = EVP_DigestVerify(ctx, signature, signature_len, text, len);
    ERR_clear_error();
    return ok == 1 ? DS_OK : ds_fail(err, DS_EAUTH, "the signature does not verify");
}

/* Is it the certificate of that very key? */
static enum ds_status check_key_of(const struct stego_certificate *c, const uint8_t *public_key,
                                   size_t len, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    const enum ds_status s = stego_certificate_public_key(c, &key, err);
    if (s != DS_OK) {
        return s;
    }
    return key.len == len && ds_equal(key.data, public_key, len)
               ? DS_OK
               : ds_fail(err, DS_EAUTH, "the certificate is of another key");
}

static bool holds_key(const struct stego_trust *trust, const uint8_t *public_key, size_t len)
{
    for (size_t i = 0; i < trust->count; i++) {
        if (check_key_of(trust->items[i], public_key, len, NULL) == DS_OK) {
            return true;
        }
    }
    return false;
}

enum ds_status stego_trust_key(const struct stego_trust *trust, const uint8_t *public_key,
                               size_t public_key_len, const uint8_t *certificate,
                               size_t certificate_len, int64_t utc_us,
                               char subject[STEGO_SUBJECT_BYTES], struct ds_error *err)
{
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = NULL;
    enum ds_status s = DS_OK;
    subject[0] = '\0';
    if (certificate_len > 0) {
        s = stego_certificate_parse(&c, certificate, certificate_len, err);
    }
    if (s == DS_OK && c != NULL) {
        (void)snprintf(subject, STEGO_SUBJECT_BYTES, "%s", c->subject);
        s = check_key_of(c, public_key, public_key_len, err);
    }
    if (s != DS_OK || trust == NULL || holds_key(trust, public_key, public_key_len)) {
        return s;
    }
    return c != NULL ? stego_trust_check(trust, c, utc_us, err)
                     : ds_fail(err, DS_EAUTH, "the key is not among the trusted");
}

enum ds_status stego_identity_secret(const struct stego_identity *i, const char *purpose,
                                     uint8_t out[STEGO_SECRET_BYTES], struct ds_error *err)
{
    static const char label[] = "dicomstego secret, never shown: ";
    DS_AUTO(stego_bytes_auto) struct ds_bytes text = DS_BYTES_INIT(4096);
    DS_AUTO(stego_bytes_auto) struct ds_bytes raw = DS_BYTES_INIT(STEGO_SIGNATURE_MAX_BYTES);
    uint8_t seed[DS_SHA256_BYTES];
    enum ds_status s = ds_bytes_append(&text, label, sizeof(label) - 1, err);
    s = s == DS_OK ? ds_bytes_append(&text, purpose, strlen(purpose), err) : s;
    s = s == DS_OK ? stego_sign(i->key, text.data, text.len, &raw, err) : s;
    s = s == DS_OK ? ds_sha256_of(raw.data, raw.len, seed, err) : s;
    if (s == DS_OK) {
        s = stego_hkdf(seed, NULL, 0, (const uint8_t *)purpose, strlen(purpose), out,
                       STEGO_SECRET_BYTES, err);
    }
    ds_wipe(seed, sizeof(seed));
    return s;
}
