/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/seal.h"

#include "base/secret.h"
#include "dicomstego/key_internal.h"

#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#define SCRYPT_LABEL     "scrypt"
#define SCRYPT_LABEL_LEN 6U
/* 32 MiB and about a tenth of a second for each guess. */
#define SCRYPT_LOG2_N 15U
#define SCRYPT_R      8U
#define SCRYPT_P      1U
/* What a reader accepts from outside: never more than 128 MiB and 16 times the work. */
#define SCRYPT_LOG2_N_MIN    14U
#define SCRYPT_LOG2_N_MAX    17U
#define SCRYPT_P_MAX         4U
#define SCRYPT_MEMORY_MAX    (160UL * 1024UL * 1024UL)
#define PASSWORD_INFOS_TRIED 2

static void cms_auto(CMS_ContentInfo **c)
{
    CMS_ContentInfo_free(*c);
}

/* ---- passwords ---- */

enum ds_status stego_password_key_derive(struct stego_password_key *out, const uint8_t *id,
                                         size_t id_len, const char *password, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    if (id_len != STEGO_PASSWORD_ID_BYTES || memcmp(id, SCRYPT_LABEL, SCRYPT_LABEL_LEN) != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "not a key from a password");
    }
    const uint8_t log2_n = id[SCRYPT_LABEL_LEN];
    const uint8_t r = id[SCRYPT_LABEL_LEN + 1];
    const uint8_t p = id[SCRYPT_LABEL_LEN + 2];
    if (log2_n < SCRYPT_LOG2_N_MIN || log2_n > SCRYPT_LOG2_N_MAX || r != SCRYPT_R || p == 0 ||
        p > SCRYPT_P_MAX) {
        return ds_fail(err, DS_EUNSUPPORTED, "scrypt with N=2^%u, r=%u, p=%u is out of bounds",
                       log2_n, r, p);
    }
    memcpy(out->id, id, id_len);
    if (EVP_PBE_scrypt(password, strlen(password), id + SCRYPT_LABEL_LEN + 3,
                       STEGO_SCRYPT_SALT_BYTES, 1ULL << log2_n, r, p, SCRYPT_MEMORY_MAX, out->key,
                       sizeof(out->key)) != 1) {
        ds_wipe(out, sizeof(*out));
        return stego_crypto_fail(err, DS_ENOMEM, "scrypt");
    }
    return DS_OK;
}

enum ds_status stego_password_key_new(struct stego_password_key *out, const char *password,
                                      struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    if (password[0] == '\0') {
        return ds_fail(err, DS_EINVAL, "the password is empty");
    }
    uint8_t id[STEGO_PASSWORD_ID_BYTES] = SCRYPT_LABEL;
    id[SCRYPT_LABEL_LEN] = SCRYPT_LOG2_N;
    id[SCRYPT_LABEL_LEN + 1] = SCRYPT_R;
    id[SCRYPT_LABEL_LEN + 2] = SCRYPT_P;
    const enum ds_status s = ds_random(id + SCRYPT_LABEL_LEN + 3, STEGO_SCRYPT_SALT_BYTES, err);
    return s == DS_OK ? stego_password_key_derive(out, id, sizeof(id), password, err) : s;
}

/* ---- sealing ---- */

static bool set_oaep(EVP_PKEY_CTX *ctx)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0;
}

static bool add_certificate(CMS_ContentInfo *cms, const struct stego_certificate *c)
{
    unsigned flags = CMS_KEY_PARAM;
    /* A key identifier is shorter than issuer and serial number, and says nothing about the
     * recipient. */
    if (X509_get0_subject_key_id(c->x509) != NULL) {
        flags |= CMS_USE_KEYID;
    }
    CMS_RecipientInfo *info = CMS_add1_recipient_cert(cms, c->x509, flags);
    EVP_PKEY_CTX *ctx = info == NULL ? NULL : CMS_RecipientInfo_get0_pkey_ctx(info);
    if (ctx == NULL) {
        return false;
    }
    const enum stego_key_kind kind = stego_key_kind_of(c->public_key);
    return kind == STEGO_KEY_RSA ? set_oaep(ctx)
                                 : EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, stego_key_digest(kind)) > 0;
}

static bool add_password(CMS_ContentInfo *cms, const struct stego_password_key *key)
{
    uint8_t *id = OPENSSL_memdup(key->id, sizeof(key->id));
    uint8_t *secret = OPENSSL_memdup(key->key, sizeof(key->key));
    /* On success the CMS owns both. */
    if (id != NULL && secret != NULL &&
        CMS_add0_recipient_key(cms, NID_undef, secret, sizeof(key->key), id, sizeof(key->id), NULL,
                               NULL, NULL) != NULL) {
        return true;
    }
    OPENSSL_free(id);
    OPENSSL_clear_free(secret, sizeof(key->key));
    return false;
}

static bool add_audience(CMS_ContentInfo *cms, const struct stego_audience *audience)
{
    for (size_t i = 0; i < audience->count; i++) {
        if (!add_certificate(cms, audience->certificates[i])) {
            return false;
        }
    }
    return audience->password == NULL || add_password(cms, audience->password);
}

static enum ds_status append_der(CMS_ContentInfo *cms, struct ds_bytes *out, struct ds_error *err)
{
    uint8_t *der = NULL;
    const int len = i2d_CMS_ContentInfo(cms, &der);
    if (len <= 0) {
        return stego_crypto_fail(err, DS_ENOMEM, "CMS");
    }
    const enum ds_status s = ds_bytes_append(out, der, (size_t)len, err);
    OPENSSL_free(der);
    return s;
}

enum ds_status stego_seal(const struct stego_audience *audience, const uint8_t *plain, size_t len,
                          struct ds_bytes *out, struct ds_error *err)
{
    if (len > INT_MAX / 2 || (audience->count == 0 && audience->password == NULL)) {
        return ds_fail(err, DS_EINVAL, "nobody to seal for, or %zu bytes are too many", len);
    }
    DS_AUTO(cms_auto) CMS_ContentInfo *cms = CMS_AuthEnvelopedData_create(EVP_aes_256_gcm());
    DS_AUTO(stego_bio_auto)
    BIO *in = BIO_new_mem_buf(len == 0 ? "" : (const void *)plain, (int)len);
    if (cms == NULL || in == NULL || CMS_set_detached(cms, 0) != 1 ||
        !add_audience(cms, audience) || CMS_final(cms, in, NULL, CMS_BINARY) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "CMS");
    }
    return append_der(cms, out, err);
}

/* ---- opening ---- */

static bool is_for(CMS_RecipientInfo *info, X509 *x)
{
    if (CMS_RecipientInfo_type(info) == CMS_RECIPINFO_TRANS) {
        return CMS_RecipientInfo_ktri_cert_cmp(info, x) == 0;
    }
    if (CMS_RecipientInfo_type(info) != CMS_RECIPINFO_AGREE) {
        return false;
    }
    STACK_OF(CMS_RecipientEncryptedKey) *keys = CMS_RecipientInfo_kari_get0_reks(info);
    for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(keys); i++) {
        if (CMS_RecipientEncryptedKey_cert_cmp(sk_CMS_RecipientEncryptedKey_value(keys, i), x) ==
            0) {
            return true;
        }
    }
    return false;
}

static bool is_recipient(CMS_ContentInfo *cms, X509 *x)
{
    STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms);
    for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++) {
        if (is_for(sk_CMS_RecipientInfo_value(infos, i), x)) {
            return true;
        }
    }
    return false;
}

static enum ds_status unlock_by_identity(CMS_ContentInfo *cms, const struct stego_keyring *keyring,
                                         struct ds_error *err)
{
    bool addressed = false;
    for (size_t i = 0; i < keyring->identity_count; i++) {
        const struct stego_identity *id = keyring->identities[i];
        if (!is_recipient(cms, id->certificate->x509)) {
            continue;
        }
        addressed = true;
        if (CMS_decrypt_set1_pkey(cms, id->key, id->certificate->x509) == 1) {
            return DS_OK;
        }
    }
    ERR_clear_error();
    return addressed ? ds_fail(err, DS_EAUTH, "the key sealed for this recipient was altered")
                     : ds_fail(err, DS_ENOKEY, "sealed for somebody else");
}

static enum ds_status unlock_by_password_info(CMS_ContentInfo *cms, CMS_RecipientInfo *info,
                                              const char *password, struct ds_error *err)
{
    ASN1_OCTET_STRING *id = NULL;
    if (CMS_RecipientInfo_kekri_get0_id(info, NULL, &id, NULL, NULL, NULL) != 1 || id == NULL) {
        return stego_crypto_fail(err, DS_ENOKEY, "key identifier");
    }
    struct stego_password_key key;
    const size_t id_len = (size_t)ASN1_STRING_length(id);
    enum ds_status s =
        stego_password_key_derive(&key, ASN1_STRING_get0_data(id), id_len, password, err);
    if (s == DS_OK &&
        CMS_decrypt_set1_key(cms, key.key, sizeof(key.key), key.id, sizeof(key.id)) != 1) {
        s = stego_crypto_fail(err, DS_ENOKEY, "the password does not open it");
    }
    ds_wipe(&key, sizeof(key));
    return s;
}

static enum ds_status unlock_by_password(CMS_ContentInfo *cms, const char *password,
                                         struct ds_error *err)
{
    enum ds_status s = ds_fail(err, DS_ENOKEY, "not sealed with a password");
    STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms);
    /* Each try costs a tenth of a second, so a peer may not ask for many. */
    int tries = 0;
    for (int i = 0; i < sk_CMS_RecipientInfo_num(infos) && tries < PASSWORD_INFOS_TRIED; i++) {
        CMS_RecipientInfo *info = sk_CMS_RecipientInfo_value(infos, i);
        if (CMS_RecipientInfo_type(info) != CMS_RECIPINFO_KEK) {
            continue;
        }
        tries++;
        s = unlock_by_password_info(cms, info, password, err);
        if (s == DS_OK || s == DS_ENOMEM) {
            return s;
        }
    }
    return s == DS_EUNSUPPORTED ? ds_fail_context(err, DS_ENOKEY, "password") : s;
}

static enum ds_status unlock(CMS_ContentInfo *cms, const struct stego_keyring *keyring,
                             struct ds_error *err)
{
    const enum ds_status s = unlock_by_identity(cms, keyring, err);
    if (s == DS_OK || keyring->password == NULL) {
        return s;
    }
    const enum ds_status t = unlock_by_password(cms, keyring->password, err);
    /* What was altered stays altered, whatever the password says. */
    return t == DS_ENOKEY && s == DS_EAUTH ? ds_fail_context(err, s, "recipient") : t;
}

static enum ds_status parse(CMS_ContentInfo **out, const uint8_t *der, size_t len,
                            struct ds_error *err)
{
    const uint8_t *at = der;
    *out = len > INT_MAX / 2 ? NULL : d2i_CMS_ContentInfo(NULL, &at, (long)len);
    ERR_clear_error();
    /* Plain EnvelopedData has no tag: taking it would let an enemy switch the authentication off.
     */
    if (*out == NULL || at != der + len ||
        OBJ_obj2nid(CMS_get0_type(*out)) != NID_id_smime_ct_authEnvelopedData) {
        return ds_fail(err, DS_EAUTH, "not a CMS AuthEnvelopedData");
    }
    return DS_OK;
}

/* AES-256-GCM with the whole tag, whatever the message says: a shorter tag is easier to forge, and
 * another mode under the same key reveals plaintext. */
static bool is_expected_cipher(BIO *content)
{
    BIO *filter = BIO_find_type(content, BIO_TYPE_CIPHER);
    EVP_CIPHER_CTX *ctx = NULL;
    return filter != NULL && BIO_get_cipher_ctx(filter, &ctx) == 1 && ctx != NULL &&
           EVP_CIPHER_CTX_get_nid(ctx) == NID_aes_256_gcm &&
           EVP_CIPHER_CTX_get_tag_length(ctx) == (int)STEGO_GCM_TAG_BYTES;
}

#define READ_BYTES 65536U

static enum ds_status read_content(BIO *content, struct ds_bytes *out, struct ds_error *err)
{
    uint8_t buffer[READ_BYTES];
    enum ds_status s = DS_OK;
    int n = BIO_read(content, buffer, sizeof(buffer));
    while (n > 0 && s == DS_OK) {
        s = ds_bytes_append(out, buffer, (size_t)n, err);
        n = BIO_read(content, buffer, sizeof(buffer));
    }
    ds_wipe(buffer, sizeof(buffer));
    if (s == DS_OK && BIO_get_cipher_status(content) != 1) {
        s = stego_crypto_fail(err, DS_EAUTH, "the sealed content was altered");
    }
    return s;
}

enum ds_status stego_unseal(const uint8_t *der, size_t len, const struct stego_keyring *keyring,
                            struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(cms_auto) CMS_ContentInfo *cms = NULL;
    enum ds_status s = parse(&cms, der, len, err);
    if (s == DS_OK) {
        s = unlock(cms, keyring, err);
    }
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(stego_bio_auto) BIO *content = CMS_dataInit(cms, NULL);
    if (content == NULL || !is_expected_cipher(content)) {
        return stego_crypto_fail(err, DS_EAUTH, "not AES-256-GCM with a tag of 16 bytes");
    }
    /* Private until the tag at its end has been checked. */
    DS_AUTO(stego_bytes_auto) struct ds_bytes plain = DS_BYTES_INIT(out->max);
    s = read_content(content, &plain, err);
    return s == DS_OK ? ds_bytes_append(out, plain.data, plain.len, err) : s;
}
