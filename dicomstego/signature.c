/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/signature.h"

#include "base/secret.h"
#include "dicomstego/key_internal.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>

#define ORDER_MAX_BYTES 66U /* P-521 */

/* One signature in the making. Numbers that depend on the private key or the nonce are cleared when
 * freed. */
struct ecdsa {
    EC_KEY *ec;
    const EC_GROUP *group;
    const BIGNUM *order; /* n of the curve, RFC 6979's q */
    const EVP_MD *md;
    size_t order_bytes;
    BN_CTX *ctx;
    BIGNUM *k, *kinv, *r, *exponent;
    EC_POINT *point;
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t digest_len;
};

static void ecdsa_finish(struct ecdsa *e)
{
    BN_clear_free(e->k);
    BN_clear_free(e->kinv);
    BN_free(e->r);
    BN_free(e->exponent);
    EC_POINT_clear_free(e->point);
    BN_CTX_free(e->ctx);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    EC_KEY_free(e->ec);
#pragma GCC diagnostic pop
}

/* OpenSSL 3.0 takes a chosen nonce only through the EC_KEY interface, which it deprecates without a
 * replacement (a deterministic nonce arrived with 3.2). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static bool ecdsa_set_key(struct ecdsa *e, EVP_PKEY *key)
{
    e->ec = EVP_PKEY_get1_EC_KEY(key);
    if (e->ec == NULL) {
        return false;
    }
    e->group = EC_KEY_get0_group(e->ec);
    e->order = EC_GROUP_get0_order(e->group);
    return EC_KEY_get0_private_key(e->ec) != NULL;
}

static const BIGNUM *ecdsa_private(const struct ecdsa *e)
{
    return EC_KEY_get0_private_key(e->ec);
}

static ECDSA_SIG *ecdsa_finish_with_nonce(struct ecdsa *e)
{
    return ECDSA_do_sign_ex(e->digest, (int)e->digest_len, e->kinv, e->r, e->ec);
}
#pragma GCC diagnostic pop

static bool ecdsa_init(struct ecdsa *e, EVP_PKEY *key, const uint8_t *message, size_t len)
{
    unsigned digest_len = 0;
    e->md = stego_key_digest(stego_key_kind_of(key));
    if (!ecdsa_set_key(e, key) ||
        EVP_Digest(message, len, e->digest, &digest_len, e->md, NULL) != 1) {
        return false;
    }
    e->digest_len = digest_len;
    e->order_bytes = (size_t)BN_num_bytes(e->order);
    e->ctx = BN_CTX_secure_new();
    e->k = BN_secure_new();
    e->kinv = BN_secure_new();
    e->r = BN_new();
    e->exponent = BN_dup(e->order);
    e->point = EC_POINT_new(e->group);
    return e->ctx != NULL && e->k != NULL && e->kinv != NULL && e->r != NULL &&
           e->exponent != NULL && e->point != NULL && BN_sub_word(e->exponent, 2) == 1 &&
           e->order_bytes <= ORDER_MAX_BYTES;
}

/* RFC 6979 2.3.2: the leftmost bits of the string, as many as the order has. */
static bool bits_to_int(const struct ecdsa *e, const uint8_t *bits, size_t len, BIGNUM *out)
{
    const int order_bits = BN_num_bits(e->order);
    if (BN_bin2bn(bits, (int)len, out) == NULL) {
        return false;
    }
    const int excess = (int)(8 * len) - order_bits;
    return excess <= 0 || BN_rshift(out, out, excess) == 1;
}

/* RFC 6979 3.2: an HMAC_DRBG seeded with private key and message digest. */
struct drbg {
    const EVP_MD *md;
    size_t len;
    uint8_t key[EVP_MAX_MD_SIZE];
    uint8_t value[EVP_MAX_MD_SIZE];
};

/* key = HMAC(key, value || separator || seed), then value = HMAC(key, value). */
static bool drbg_mix(struct drbg *d, uint8_t separator, const uint8_t *seed, size_t seed_len)
{
    uint8_t text[EVP_MAX_MD_SIZE + 1 + 2 * ORDER_MAX_BYTES];
    size_t n = 0;
    memcpy(text, d->value, d->len);
    n += d->len;
    text[n++] = separator;
    if (seed_len > 0) {
        memcpy(text + n, seed, seed_len);
        n += seed_len;
    }
    uint8_t mac[EVP_MAX_MD_SIZE];
    bool ok = HMAC(d->md, d->key, (int)d->len, text, n, mac, NULL) != NULL;
    memcpy(d->key, mac, d->len);
    ok = ok && HMAC(d->md, d->key, (int)d->len, d->value, d->len, mac, NULL) != NULL;
    memcpy(d->value, mac, d->len);
    ds_wipe(text, sizeof(text));
    ds_wipe(mac, sizeof(mac));
    return ok;
}

static bool drbg_next(struct drbg *d)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    const bool ok = HMAC(d->md, d->key, (int)d->len, d->value, d->len, mac, NULL) != NULL;
    memcpy(d->value, mac, d->len);
    ds_wipe(mac, sizeof(mac));
    return ok;
}

/* Steps a to g: seed = int2octets(x) || bits2octets(h1). */
static bool drbg_seed(struct drbg *d, const struct ecdsa *e)
{
    *d = (struct drbg){.md = e->md, .len = (size_t)EVP_MD_get_size(e->md)};
    memset(d->value, 1, d->len);
    uint8_t seed[2 * ORDER_MAX_BYTES];
    const size_t n = e->order_bytes;
    BIGNUM *h = BN_new();
    bool ok = h != NULL && bits_to_int(e, e->digest, e->digest_len, h);
    /* h < 2^bits(q) < 2q, so one subtraction reduces it. */
    if (ok && BN_cmp(h, e->order) >= 0) {
        ok = BN_sub(h, h, e->order) == 1;
    }
    ok = ok && BN_bn2binpad(ecdsa_private(e), seed, (int)n) == (int)n &&
         BN_bn2binpad(h, seed + n, (int)n) == (int)n;
    ok = ok && drbg_mix(d, 0, seed, 2 * n) && drbg_mix(d, 1, seed, 2 * n);
    ds_wipe(seed, sizeof(seed));
    BN_free(h);
    return ok;
}

/* Step h.2 and h.3: a candidate for k, in or out of range. */
static bool drbg_candidate(struct drbg *d, struct ecdsa *e)
{
    uint8_t t[ORDER_MAX_BYTES + EVP_MAX_MD_SIZE];
    size_t n = 0;
    bool ok = true;
    while (ok && n < e->order_bytes) {
        ok = drbg_next(d);
        memcpy(t + n, d->value, d->len);
        n += d->len;
    }
    ok = ok && bits_to_int(e, t, n, e->k);
    ds_wipe(t, sizeof(t));
    return ok;
}

/* r = x(kG) mod n and k^-1 = k^(n-2) mod n, both without branching on k. */
static bool ecdsa_take_nonce(struct ecdsa *e)
{
    BN_set_flags(e->k, BN_FLG_CONSTTIME);
    return EC_POINT_mul(e->group, e->point, e->k, NULL, NULL, e->ctx) == 1 &&
           EC_POINT_get_affine_coordinates(e->group, e->point, e->r, NULL, e->ctx) == 1 &&
           BN_nnmod(e->r, e->r, e->order, e->ctx) == 1 &&
           BN_mod_exp_mont_consttime(e->kinv, e->k, e->exponent, e->order, e->ctx, NULL) == 1;
}

/* A candidate is refused with a chance of 2^-32 or less, so four in a row do not happen. */
static bool ecdsa_draw_nonce(struct ecdsa *e)
{
    struct drbg d;
    bool ok = drbg_seed(&d, e);
    bool found = false;
    for (unsigned i = 0; ok && !found && i < 4; i++) {
        ok = drbg_candidate(&d, e);
        found = ok && !BN_is_zero(e->k) && BN_cmp(e->k, e->order) < 0 && ecdsa_take_nonce(e) &&
                !BN_is_zero(e->r);
        if (ok && !found) {
            ok = drbg_mix(&d, 0, NULL, 0);
        }
    }
    ds_wipe(&d, sizeof(d));
    return found;
}

static enum ds_status ecdsa_sign(EVP_PKEY *key, const uint8_t *message, size_t len,
                                 struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ecdsa_finish) struct ecdsa e = {0};
    if (!ecdsa_init(&e, key, message, len) || !ecdsa_draw_nonce(&e)) {
        return stego_crypto_fail(err, DS_ENOMEM, "ECDSA");
    }
    ECDSA_SIG *signature = ecdsa_finish_with_nonce(&e);
    if (signature == NULL) {
        return stego_crypto_fail(err, DS_ENOMEM, "ECDSA");
    }
    uint8_t raw[2 * ORDER_MAX_BYTES] = {0};
    const int n = (int)e.order_bytes;
    const bool ok = BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, n) == n &&
                    BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + n, n) == n;
    ECDSA_SIG_free(signature);
    return ok ? ds_bytes_append(out, raw, 2 * e.order_bytes, err)
              : stego_crypto_fail(err, DS_ENOMEM, "ECDSA");
}

static void md_ctx_auto(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
}

static enum ds_status rsa_sign(EVP_PKEY *key, const uint8_t *message, size_t len,
                               struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(md_ctx_auto) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[STEGO_SIGNATURE_MAX_BYTES];
    size_t n = sizeof(signature);
    /* EVP's default padding for an RSA key is PKCS#1 v1.5: no randomness in it. */
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &n, message, len) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "RSA signature");
    }
    return ds_bytes_append(out, signature, n, err);
}

size_t stego_signature_bytes(EVP_PKEY *key)
{
    switch (stego_key_kind_of(key)) {
    case STEGO_KEY_P256:
        return 64;
    case STEGO_KEY_P384:
        return 96;
    case STEGO_KEY_P521:
        return 132;
    case STEGO_KEY_RSA:
        return (size_t)EVP_PKEY_get_size(key);
    case STEGO_KEY_OTHER:
        break;
    }
    return 0;
}

enum ds_status stego_sign(EVP_PKEY *key, const uint8_t *message, size_t len, struct ds_bytes *out,
                          struct ds_error *err)
{
    const enum stego_key_kind kind = stego_key_kind_of(key);
    if (kind == STEGO_KEY_OTHER) {
        return ds_fail(err, DS_EINVAL, "a key of this kind does not sign");
    }
    return kind == STEGO_KEY_RSA ? rsa_sign(key, message, len, out, err)
                                 : ecdsa_sign(key, message, len, out, err);
}

/* r || s as the DER that EVP verifies. */
static enum ds_status ecdsa_der(const uint8_t *raw, size_t len, struct ds_bytes *out,
                                struct ds_error *err)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)(len / 2), NULL);
    BIGNUM *s = BN_bin2bn(raw + len / 2, (int)(len / 2), NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return stego_crypto_fail(err, DS_ENOMEM, "ECDSA");
    }
    uint8_t *der = NULL;
    const int n = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    if (n <= 0) {
        return stego_crypto_fail(err, DS_ENOMEM, "ECDSA");
    }
    const enum ds_status status = ds_bytes_append(out, der, (size_t)n, err);
    OPENSSL_free(der);
    return status;
}

enum ds_status stego_signature_der(EVP_PKEY *key, const uint8_t *signature, size_t len,
                                   struct ds_bytes *out, struct ds_error *err)
{
    return stego_key_kind_of(key) == STEGO_KEY_RSA ? ds_bytes_append(out, signature, len, err)
                                                   : ecdsa_der(signature, len, out, err);
}

enum ds_status stego_verify(EVP_PKEY *key, const uint8_t *message, size_t len,
                            const uint8_t *signature, size_t signature_len, struct ds_error *err)
{
    const enum stego_key_kind kind = stego_key_kind_of(key);
    if (kind == STEGO_KEY_OTHER || signature_len != stego_signature_bytes(key)) {
        return ds_fail(err, DS_EAUTH, "a signature of %zu bytes is not by this signer's key",
                       signature_len);
    }
    DS_AUTO(stego_bytes_auto) struct ds_bytes der = DS_BYTES_INIT(2 * STEGO_SIGNATURE_MAX_BYTES);
    const enum ds_status s = stego_signature_der(key, signature, signature_len, &der, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(md_ctx_auto) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, stego_key_digest(kind), NULL, key) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "signature");
    }
    const int ok = EVP_DigestVerify(ctx, der.data, der.len, message, len);
    ERR_clear_error();
    return ok == 1 ? DS_OK : ds_fail(err, DS_EAUTH, "the signature does not verify");
}
