/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/key.h"

#include "base/file.h"
#include "base/sha256.h"
#include "dicomstego/key_internal.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define TRUST_MAX      4096U
#define RSA_BITS_MIN   2048
#define RSA_BITS_MAX   8192
#define GROUP_NAME_MAX 32U

enum stego_key_kind stego_key_kind_of(EVP_PKEY *key)
{
    static const struct {
        const char *group;
        enum stego_key_kind kind;
    } curves[] = {
        {"prime256v1", STEGO_KEY_P256},
        {"secp384r1", STEGO_KEY_P384},
        {"secp521r1", STEGO_KEY_P521},
    };
    if (key == NULL) {
        return STEGO_KEY_OTHER;
    }
    if (EVP_PKEY_is_a(key, "RSA")) {
        const int bits = EVP_PKEY_get_bits(key);
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? STEGO_KEY_RSA : STEGO_KEY_OTHER;
    }
    char group[GROUP_NAME_MAX] = "";
    if (!EVP_PKEY_is_a(key, "EC") ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1) {
        return STEGO_KEY_OTHER;
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(curves); i++) {
        if (strcmp(group, curves[i].group) == 0) {
            return curves[i].kind;
        }
    }
    return STEGO_KEY_OTHER;
}

const EVP_MD *stego_key_digest(enum stego_key_kind kind)
{
    if (kind == STEGO_KEY_P384) {
        return EVP_sha384();
    }
    return kind == STEGO_KEY_P521 ? EVP_sha512() : EVP_sha256();
}

/* ---- certificates ---- */

void stego_certificate_free(struct stego_certificate *c)
{
    if (c == NULL) {
        return;
    }
    X509_free(c->x509);
    free(c->subject);
    ds_bytes_free(&c->der);
    free(c);
}

void stego_certificate_auto(struct stego_certificate **c)
{
    stego_certificate_free(*c);
}

/* RFC 2253 escapes control characters, so the text is safe in a log; other UTF-8 stays readable. */
static char *subject_text(const X509 *x)
{
    DS_AUTO(stego_bio_auto) BIO *bio = BIO_new(BIO_s_mem());
    const unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    if (bio == NULL || X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, flags) < 0) {
        return NULL;
    }
    char *text = NULL;
    const long len = BIO_get_mem_data(bio, &text);
    return len < 0 ? NULL : strndup(len == 0 ? "" : text, (size_t)len);
}

static enum ds_status certificate_der(struct stego_certificate *c, struct ds_error *err)
{
    uint8_t *der = NULL;
    const int len = i2d_X509(c->x509, &der);
    if (len <= 0) {
        return stego_crypto_fail(err, DS_ECONFIG, "certificate");
    }
    const enum ds_status s = ds_bytes_append(&c->der, der, (size_t)len, err);
    OPENSSL_free(der);
    return s;
}

static enum ds_status certificate_key_id(struct stego_certificate *c, struct ds_error *err)
{
    uint8_t *spki = NULL;
    const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x509), &spki);
    if (len <= 0) {
        return stego_crypto_fail(err, DS_ECONFIG, "public key");
    }
    uint8_t hash[DS_SHA256_BYTES];
    const enum ds_status s = ds_sha256_of(spki, (size_t)len, hash, err);
    OPENSSL_free(spki);
    memcpy(c->key_id, hash, sizeof(c->key_id));
    return s;
}

/* Takes x over, also when it fails. */
static enum ds_status certificate_wrap(struct stego_certificate **out, X509 *x,
                                       struct ds_error *err)
{
    DS_AUTO(stego_x509_auto) X509 *x509 = x;
    *out = NULL;
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "certificate");
    }
    c->x509 = x509;
    x509 = NULL;
    c->der = DS_BYTES_INIT(STEGO_PEM_MAX_BYTES);
    c->public_key = X509_get0_pubkey(c->x509);
    ERR_clear_error();
    c->subject = subject_text(c->x509);
    if (c->subject == NULL) {
        return stego_crypto_fail(err, DS_ENOMEM, "certificate's subject");
    }
    enum ds_status s = certificate_der(c, err);
    if (s == DS_OK) {
        s = certificate_key_id(c, err);
    }
    if (s != DS_OK) {
        return s;
    }
    *out = c;
    c = NULL;
    return DS_OK;
}

int stego_no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

enum ds_status stego_pem_open(BIO **out, struct ds_bytes *text, const char *path,
                              struct ds_error *err)
{
    const enum ds_status s = ds_file_read(path, text, err);
    if (s == DS_ENOMEM || s == DS_EIO) {
        return s;
    }
    if (s != DS_OK) {
        return ds_fail_context(err, DS_ECONFIG, "certificate or key");
    }
    *out = BIO_new_mem_buf(text->len == 0 ? "" : (const void *)text->data, (int)text->len);
    return *out == NULL ? stego_crypto_fail(err, DS_ENOMEM, path) : DS_OK;
}

enum ds_status stego_certificate_load(struct stego_certificate **out, const char *path,
                                      struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_bytes_auto) struct ds_bytes text = DS_BYTES_INIT(STEGO_PEM_MAX_BYTES);
    DS_AUTO(stego_bio_auto) BIO *bio = NULL;
    enum ds_status s = stego_pem_open(&bio, &text, path, err);
    if (s != DS_OK) {
        return s;
    }
    X509 *x = PEM_read_bio_X509(bio, NULL, stego_no_passphrase, NULL);
    if (x == NULL) {
        ERR_clear_error();
        return ds_fail(err, DS_ECONFIG, "%s has no PEM certificate", path);
    }
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = NULL;
    s = certificate_wrap(&c, x, err);
    if (s != DS_OK) {
        return s;
    }
    if (stego_key_kind_of(c->public_key) == STEGO_KEY_OTHER) {
        return ds_fail(err, DS_ECONFIG,
                       "%s: the key must be EC P-256, P-384, P-521 or RSA of 2048 to 8192 bits",
                       path);
    }
    *out = c;
    c = NULL;
    return DS_OK;
}

enum ds_status stego_certificate_parse(struct stego_certificate **out, const uint8_t *der,
                                       size_t len, struct ds_error *err)
{
    *out = NULL;
    const uint8_t *at = der;
    DS_AUTO(stego_x509_auto)
    X509 *x = len > STEGO_PEM_MAX_BYTES ? NULL : d2i_X509(NULL, &at, (long)len);
    ERR_clear_error();
    if (x == NULL || at != der + len) {
        return ds_fail(err, DS_EAUTH, "the certificate that travelled along cannot be read");
    }
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = NULL;
    X509 *mine = x;
    x = NULL;
    const enum ds_status s = certificate_wrap(&c, mine, err);
    if (s != DS_OK) {
        return s == DS_ENOMEM ? s : ds_fail_context(err, DS_EAUTH, "travelled along");
    }
    if (stego_key_kind_of(c->public_key) == STEGO_KEY_OTHER) {
        return ds_fail(err, DS_EAUTH, "the certificate that travelled along has a foreign key");
    }
    *out = c;
    c = NULL;
    return DS_OK;
}

void stego_certificate_key_id(const struct stego_certificate *c, uint8_t out[STEGO_KEY_ID_BYTES])
{
    memcpy(out, c->key_id, STEGO_KEY_ID_BYTES);
}

const char *stego_certificate_subject(const struct stego_certificate *c)
{
    return c->subject;
}

size_t stego_certificate_bytes(const struct stego_certificate *c)
{
    return c->der.len;
}

/* ---- identities ---- */

void stego_identity_free(struct stego_identity *i)
{
    if (i == NULL) {
        return;
    }
    EVP_PKEY_free(i->key); /* OpenSSL clears private numbers */
    stego_certificate_free(i->certificate);
    free(i);
}

void stego_identity_auto(struct stego_identity **i)
{
    stego_identity_free(*i);
}

static enum ds_status private_key_load(EVP_PKEY **out, const char *path, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes text = DS_BYTES_INIT(STEGO_PEM_MAX_BYTES);
    DS_AUTO(stego_bio_auto) BIO *bio = NULL;
    const enum ds_status s = stego_pem_open(&bio, &text, path, err);
    if (s != DS_OK) {
        return s;
    }
    *out = PEM_read_bio_PrivateKey(bio, NULL, stego_no_passphrase, NULL);
    ERR_clear_error();
    if (*out == NULL) {
        return ds_fail(err, DS_ECONFIG, "%s has no PEM private key without a passphrase", path);
    }
    return DS_OK;
}

enum ds_status stego_identity_load(struct stego_identity **out, const char *key_path,
                                   const char *certificate_path, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_identity_auto) struct stego_identity *i = calloc(1, sizeof(*i));
    if (i == NULL) {
        return ds_fail(err, DS_ENOMEM, "identity");
    }
    enum ds_status s = stego_certificate_load(&i->certificate, certificate_path, err);
    if (s == DS_OK) {
        s = private_key_load(&i->key, key_path, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (X509_check_private_key(i->certificate->x509, i->key) != 1) {
        ERR_clear_error();
        return ds_fail(err, DS_ECONFIG, "%s is not the key of %s", key_path, certificate_path);
    }
    *out = i;
    i = NULL;
    return DS_OK;
}

const struct stego_certificate *stego_identity_certificate(const struct stego_identity *i)
{
    return i->certificate;
}

/* ---- trust ---- */

void stego_trust_free(struct stego_trust *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        stego_certificate_free(t->items[i]);
    }
    free(t->items);
    X509_STORE_free(t->store);
    free(t);
}

void stego_trust_auto(struct stego_trust **t)
{
    stego_trust_free(*t);
}

enum ds_status stego_trust_new(struct stego_trust **out, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_trust_auto) struct stego_trust *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return ds_fail(err, DS_ENOMEM, "trust");
    }
    t->store = X509_STORE_new();
    if (t->store == NULL) {
        return stego_crypto_fail(err, DS_ENOMEM, "trust");
    }
    *out = t;
    t = NULL;
    return DS_OK;
}

/* Takes x over. */
static enum ds_status trust_add_one(struct stego_trust *t, X509 *x, struct ds_error *err)
{
    DS_AUTO(stego_certificate_auto) struct stego_certificate *c = NULL;
    const enum ds_status s = certificate_wrap(&c, x, err);
    if (s != DS_OK) {
        return s;
    }
    if (t->count == TRUST_MAX) {
        return ds_fail(err, DS_ECONFIG, "more than %u trusted certificates", TRUST_MAX);
    }
    struct stego_certificate **grown =
        realloc(t->items, (t->count + 1) * sizeof(struct stego_certificate *));
    if (grown == NULL) {
        return ds_fail(err, DS_ENOMEM, "trust");
    }
    t->items = grown;
    if (X509_STORE_add_cert(t->store, c->x509) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "trust");
    }
    t->items[t->count++] = c;
    c = NULL;
    return DS_OK;
}

enum ds_status stego_trust_add(struct stego_trust *t, const char *path, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes text = DS_BYTES_INIT(STEGO_PEM_MAX_BYTES);
    DS_AUTO(stego_bio_auto) BIO *bio = NULL;
    enum ds_status s = stego_pem_open(&bio, &text, path, err);
    if (s != DS_OK) {
        return s;
    }
    size_t found = 0;
    for (X509 *x = PEM_read_bio_X509(bio, NULL, stego_no_passphrase, NULL); x != NULL;
         x = PEM_read_bio_X509(bio, NULL, stego_no_passphrase, NULL)) {
        s = trust_add_one(t, x, err);
        if (s != DS_OK) {
            return s;
        }
        found++;
    }
    /* The normal end is "no start line"; anything else is a certificate that cannot be read. */
    const bool clean = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (found == 0 || !clean) {
        return ds_fail(err, DS_ECONFIG, "%s: %s", path,
                       found == 0 ? "no PEM certificate" : "a certificate in it cannot be read");
    }
    return DS_OK;
}

const struct stego_certificate *stego_trust_find(const struct stego_trust *t,
                                                 const uint8_t key_id[STEGO_KEY_ID_BYTES])
{
    for (size_t i = 0; i < t->count; i++) {
        if (memcmp(t->items[i]->key_id, key_id, STEGO_KEY_ID_BYTES) == 0) {
            return t->items[i];
        }
    }
    return NULL;
}

static void store_ctx_auto(X509_STORE_CTX **c)
{
    X509_STORE_CTX_free(*c);
}

enum ds_status stego_trust_check(const struct stego_trust *t, const struct stego_certificate *c,
                                 int64_t utc_us, struct ds_error *err)
{
    DS_AUTO(store_ctx_auto) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (ctx == NULL || X509_STORE_CTX_init(ctx, t->store, c->x509, NULL) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "certificate chain");
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    /* A partial chain may end at an intermediate CA that the operator trusts. An end-entity
     * certificate in the store vouches for itself only: whatever it issued fails the CA check. */
    if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
        X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "certificate chain");
    }
    X509_VERIFY_PARAM_set_time(param, (time_t)(utc_us / 1000000));
    const int ok = X509_verify_cert(ctx);
    ERR_clear_error();
    if (ok != 1) {
        return ds_fail(err, DS_EAUTH, "the signer's certificate is not trusted: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    return DS_OK;
}
