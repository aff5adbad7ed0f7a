/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/agreement.h"

#include "base/secret.h"
#include "base/sha256.h"
#include "dicomstego/key_internal.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

struct stego_ec_key {
    EVP_PKEY *key;
    enum stego_curve curve;
    uint8_t id[STEGO_KEY_ID_BYTES];
    uint8_t point[STEGO_POINT_BYTES];
};

/* OpenSSL's name of P-256 is that of X9.62. */
static const struct {
    const char *name, *group;
} curves[] = {
    [STEGO_CURVE_P256] = {"P-256", "prime256v1"},
    [STEGO_CURVE_SECP256K1] = {"secp256k1", "secp256k1"},
};

const char *stego_curve_name(enum stego_curve curve)
{
    return curves[curve].name;
}

bool stego_curve_named(const char *name, enum stego_curve *out)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(curves); i++) {
        if (strcmp(name, curves[i].name) == 0) {
            *out = (enum stego_curve)i;
            return true;
        }
    }
    return false;
}

static void pkey_ctx_auto(EVP_PKEY_CTX **c)
{
    EVP_PKEY_CTX_free(*c);
}

void stego_ec_key_free(struct stego_ec_key *k)
{
    if (k != NULL) {
        EVP_PKEY_free(k->key); /* OpenSSL clears private numbers */
        free(k);
    }
}

void stego_ec_key_auto(struct stego_ec_key **k)
{
    stego_ec_key_free(*k);
}

enum stego_curve stego_ec_key_curve(const struct stego_ec_key *k)
{
    return k->curve;
}

const uint8_t *stego_ec_key_id(const struct stego_ec_key *k)
{
    return k->id;
}

const uint8_t *stego_ec_key_point(const struct stego_ec_key *k)
{
    return k->point;
}

static bool find_curve(EVP_PKEY *key, enum stego_curve *out)
{
    char group[64] = "";
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1) {
        return false;
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(curves); i++) {
        if (strcmp(group, curves[i].group) == 0) {
            *out = (enum stego_curve)i;
            return true;
        }
    }
    return false;
}

static bool copy_point(EVP_PKEY *key, uint8_t out[STEGO_POINT_BYTES])
{
    uint8_t *point = NULL;
    const size_t len = EVP_PKEY_get1_encoded_public_key(key, &point);
    const bool right = len == STEGO_POINT_BYTES && point[0] == POINT_CONVERSION_UNCOMPRESSED;
    if (right) {
        memcpy(out, point, STEGO_POINT_BYTES);
    }
    OPENSSL_free(point);
    return right;
}

static enum ds_status find_id(struct stego_ec_key *k, struct ds_error *err)
{
    uint8_t *spki = NULL;
    const int len = i2d_PUBKEY(k->key, &spki);
    if (len <= 0) {
        return stego_crypto_fail(err, DS_ECONFIG, "public key");
    }
    uint8_t hash[DS_SHA256_BYTES];
    const enum ds_status s = ds_sha256_of(spki, (size_t)len, hash, err);
    OPENSSL_free(spki);
    memcpy(k->id, hash, sizeof(k->id));
    return s;
}

/* Takes key over, also when it fails. */
static enum ds_status wrap(struct stego_ec_key **out, EVP_PKEY *key, const char *path,
                           struct ds_error *err)
{
    DS_AUTO(stego_ec_key_auto) struct stego_ec_key *k = calloc(1, sizeof(*k));
    if (k == NULL) {
        EVP_PKEY_free(key);
        return ds_fail(err, DS_ENOMEM, "key");
    }
    k->key = key;
    if (!find_curve(key, &k->curve) || !copy_point(key, k->point)) {
        ERR_clear_error();
        return ds_fail(err, DS_ECONFIG, "%s: the key must be of the curve P-256 or secp256k1",
                       path);
    }
    const enum ds_status s = find_id(k, err);
    if (s == DS_OK) {
        *out = k;
        k = NULL;
    }
    return s;
}

enum ds_status stego_ec_public_load(struct stego_ec_key **out, const char *path,
                                    struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_bytes_auto) struct ds_bytes text = DS_BYTES_INIT(STEGO_PEM_MAX_BYTES);
    DS_AUTO(stego_bio_auto) BIO *bio = NULL;
    const enum ds_status s = stego_pem_open(&bio, &text, path, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(stego_x509_auto) X509 *x = PEM_read_bio_X509(bio, NULL, stego_no_passphrase, NULL);
    EVP_PKEY *key = x != NULL ? X509_get_pubkey(x) : NULL;
    if (x == NULL && BIO_reset(bio) == 1) {
        key = PEM_read_bio_PUBKEY(bio, NULL, stego_no_passphrase, NULL);
    }
    ERR_clear_error();
    if (key == NULL) {
        return ds_fail(err, DS_ECONFIG, "%s has no PEM certificate or public key", path);
    }
    return wrap(out, key, path, err);
}

enum ds_status stego_ec_private_load(struct stego_ec_key **out, const char *path,
                                     struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_bytes_auto) struct ds_bytes text = DS_BYTES_INIT(STEGO_PEM_MAX_BYTES);
    DS_AUTO(stego_bio_auto) BIO *bio = NULL;
    const enum ds_status s = stego_pem_open(&bio, &text, path, err);
    if (s != DS_OK) {
        return s;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, stego_no_passphrase, NULL);
    ERR_clear_error();
    if (key == NULL) {
        return ds_fail(err, DS_ECONFIG, "%s has no PEM private key without a passphrase", path);
    }
    return wrap(out, key, path, err);
}

/* ---- agreeing ---- */

static enum ds_status derive(EVP_PKEY *mine, EVP_PKEY *theirs, uint8_t secret[STEGO_KEY_BYTES],
                             struct ds_error *err)
{
    DS_AUTO(pkey_ctx_auto) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
    size_t len = STEGO_KEY_BYTES;
    if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer(ctx, theirs) != 1 || EVP_PKEY_derive(ctx, secret, &len) != 1 ||
        len != STEGO_KEY_BYTES) {
        ds_wipe(secret, STEGO_KEY_BYTES);
        return stego_crypto_fail(err, DS_EAUTH, "key agreement");
    }
    return DS_OK;
}

enum ds_status stego_agree(const struct stego_ec_key *recipient,
                           uint8_t ephemeral[STEGO_POINT_BYTES], uint8_t secret[STEGO_KEY_BYTES],
                           struct ds_error *err)
{
    DS_AUTO(stego_pkey_auto) EVP_PKEY *mine = EVP_EC_gen(curves[recipient->curve].group);
    if (mine == NULL || !copy_point(mine, ephemeral)) {
        return stego_crypto_fail(err, DS_ENOMEM, "ephemeral key");
    }
    return derive(mine, recipient->key, secret, err);
}

enum ds_status stego_agree_again(const struct stego_ec_key *key,
                                 const uint8_t ephemeral[STEGO_POINT_BYTES],
                                 uint8_t secret[STEGO_KEY_BYTES], struct ds_error *err)
{
    DS_AUTO(stego_pkey_auto) EVP_PKEY *theirs = EVP_PKEY_new();
    /* It checks that the point lies on the curve. */
    if (theirs == NULL || EVP_PKEY_copy_parameters(theirs, key->key) != 1 ||
        EVP_PKEY_set1_encoded_public_key(theirs, ephemeral, STEGO_POINT_BYTES) != 1) {
        return stego_crypto_fail(err, DS_EAUTH, "the ephemeral key is no point of the curve");
    }
    return derive(key->key, theirs, secret, err);
}
