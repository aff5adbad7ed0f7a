/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/crypto.h"

#include "base/secret.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>

enum ds_status stego_crypto_fail(struct ds_error *err, enum ds_status status, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    const enum ds_status s = ds_fail(err, status, "%s%s%s", what, reason == NULL ? "" : ": ",
                                     reason == NULL ? "" : reason);
    ERR_clear_error();
    return s;
}

void stego_bio_auto(BIO **b)
{
    BIO_free_all(*b);
}

void stego_pkey_auto(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

void stego_x509_auto(X509 **x)
{
    X509_free(*x);
}

void stego_bytes_auto(struct ds_bytes *b)
{
    ds_bytes_free(b);
}

static void kdf_auto(EVP_KDF **k)
{
    EVP_KDF_free(*k);
}

static void kdf_ctx_auto(EVP_KDF_CTX **c)
{
    EVP_KDF_CTX_free(*c);
}

static void cipher_ctx_auto(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c);
}

/* OSSL_PARAM takes pointers to non-const for what it only reads, so inputs are copied into a buffer
 * of ours: a cast would take the const away from the caller's bytes. */
static OSSL_PARAM octets(const char *name, struct ds_bytes *copy)
{
    /* A zero length parameter still needs a pointer. */
    static uint8_t none;
    return OSSL_PARAM_construct_octet_string(name, copy->len == 0 ? &none : copy->data, copy->len);
}

enum ds_status stego_hkdf(const uint8_t key[STEGO_KEY_BYTES], const uint8_t *salt, size_t salt_len,
                          const uint8_t *info, size_t info_len, uint8_t *out, size_t out_len,
                          struct ds_error *err)
{
    DS_AUTO(kdf_auto) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    DS_AUTO(kdf_ctx_auto) EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    DS_AUTO(stego_bytes_auto) struct ds_bytes k = DS_BYTES_INIT(STEGO_KEY_BYTES);
    DS_AUTO(stego_bytes_auto) struct ds_bytes s = DS_BYTES_INIT(salt_len);
    DS_AUTO(stego_bytes_auto) struct ds_bytes i = DS_BYTES_INIT(info_len);
    ds_wipe(out, out_len);
    if (ctx == NULL || ds_bytes_append(&k, key, STEGO_KEY_BYTES, err) != DS_OK ||
        ds_bytes_append(&s, salt, salt_len, err) != DS_OK ||
        ds_bytes_append(&i, info, info_len, err) != DS_OK) {
        return stego_crypto_fail(err, DS_ENOMEM, "HKDF");
    }
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, &k),
        octets(OSSL_KDF_PARAM_SALT, &s),
        octets(OSSL_KDF_PARAM_INFO, &i),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_KDF_derive(ctx, out, out_len, params) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "HKDF");
    }
    return DS_OK;
}

/* EVP counts in int. Everything that comes here is far below, but the bound is checked where it
 * matters. */
static bool fits_evp(size_t a, size_t b)
{
    return a <= INT_MAX && b <= INT_MAX - STEGO_GCM_TAG_BYTES;
}

static const EVP_CIPHER *cipher_of(enum stego_aead aead)
{
    return aead == STEGO_CHACHA20_POLY1305 ? EVP_chacha20_poly1305() : EVP_aes_256_gcm();
}

static const char *name_of(enum stego_aead aead)
{
    return aead == STEGO_CHACHA20_POLY1305 ? "ChaCha20-Poly1305" : "AES-256-GCM";
}

enum ds_status stego_aead_seal(enum stego_aead aead, const struct stego_gcm *gcm,
                               const uint8_t *aad, size_t aad_len, const uint8_t *plain, size_t len,
                               struct ds_bytes *out, struct ds_error *err)
{
    if (!fits_evp(aad_len, len)) {
        return ds_fail(err, DS_EINVAL, "%zu bytes are too many to encrypt at once", len);
    }
    const enum ds_status s = ds_bytes_reserve(out, len + STEGO_GCM_TAG_BYTES, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(cipher_ctx_auto) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *to = out->data + out->len;
    int n = 0;
    if (ctx == NULL || EVP_EncryptInit_ex(ctx, cipher_of(aead), NULL, gcm->key, gcm->nonce) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1 ||
        (len > 0 && EVP_EncryptUpdate(ctx, to, &n, plain, (int)len) != 1) ||
        EVP_EncryptFinal_ex(ctx, to + len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, STEGO_GCM_TAG_BYTES, to + len) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, name_of(aead));
    }
    out->len += len + STEGO_GCM_TAG_BYTES;
    return DS_OK;
}

static bool decrypt(enum stego_aead aead, const struct stego_gcm *gcm, const uint8_t *aad,
                    size_t aad_len, const uint8_t *sealed, size_t len, uint8_t *to)
{
    uint8_t tag[STEGO_GCM_TAG_BYTES];
    memcpy(tag, sealed + len, sizeof(tag));
    DS_AUTO(cipher_ctx_auto) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    return ctx != NULL &&
           EVP_DecryptInit_ex(ctx, cipher_of(aead), NULL, gcm->key, gcm->nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1 &&
           (len == 0 || EVP_DecryptUpdate(ctx, to, &n, sealed, (int)len) == 1) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, to + len, &n) == 1;
}

enum ds_status stego_aead_open(enum stego_aead aead, const struct stego_gcm *gcm,
                               const uint8_t *aad, size_t aad_len, const uint8_t *sealed,
                               size_t len, struct ds_bytes *out, struct ds_error *err)
{
    if (len < STEGO_GCM_TAG_BYTES || !fits_evp(aad_len, len)) {
        return ds_fail(err, DS_EAUTH, "encrypted record of %zu bytes", len);
    }
    const size_t plain_len = len - STEGO_GCM_TAG_BYTES;
    /* OpenSSL writes plaintext before it knows the tag: into a buffer that nobody else sees. One
     * byte more, so that there is memory for an empty record too. */
    DS_AUTO(stego_bytes_auto) struct ds_bytes plain = DS_BYTES_INIT(len);
    const enum ds_status s = ds_bytes_resize(&plain, plain_len + 1, err);
    if (s != DS_OK) {
        return s;
    }
    if (!decrypt(aead, gcm, aad, aad_len, sealed, plain_len, plain.data)) {
        return stego_crypto_fail(err, DS_EAUTH, "the encrypted record was altered");
    }
    return ds_bytes_append(out, plain.data, plain_len, err);
}

enum ds_status stego_gcm_seal(const struct stego_gcm *gcm, const uint8_t *aad, size_t aad_len,
                              const uint8_t *plain, size_t len, struct ds_bytes *out,
                              struct ds_error *err)
{
    return stego_aead_seal(STEGO_AES_256_GCM, gcm, aad, aad_len, plain, len, out, err);
}

enum ds_status stego_gcm_open(const struct stego_gcm *gcm, const uint8_t *aad, size_t aad_len,
                              const uint8_t *sealed, size_t len, struct ds_bytes *out,
                              struct ds_error *err)
{
    return stego_aead_open(STEGO_AES_256_GCM, gcm, aad, aad_len, sealed, len, out, err);
}
