/* SPDX-License-Identifier: Apache-2.0 */
/* `key new`: a private key and a self-signed certificate that serves signing, sealing and TLS. */
#include "dicomstego/key.h"

#include "base/file.h"
#include "base/secret.h"
#include "dicomstego/key_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#define RSA_BITS        3072
#define COMMON_NAME_MAX 64U /* ub-common-name, RFC 5280 appendix A */
#define DNS_NAME_MAX    253U
#define DAYS_MAX        36500U
#define SERIAL_BYTES    16U
#define SECONDS_A_DAY   86400L
#define CLOCK_SLACK_S   3600L /* a peer's clock may lag: valid from an hour ago */
#define PEM_BYTES_MAX   65536U

static enum ds_status generate(EVP_PKEY **out, const char *type, struct ds_error *err)
{
    if (strcmp(type, "ec") == 0) {
        *out = EVP_EC_gen("P-256");
    } else if (strcmp(type, "secp256k1") == 0) {
        *out = EVP_EC_gen("secp256k1");
    } else if (strcmp(type, "rsa") == 0) {
        *out = EVP_RSA_gen(RSA_BITS);
    } else {
        return ds_fail(err, DS_EINVAL,
                       "key type \"%s\": \"ec\", \"rsa\" or \"secp256k1\" is possible", type);
    }
    return *out == NULL ? stego_crypto_fail(err, DS_ENOMEM, "new key") : DS_OK;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    const bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool is_address(const char *name)
{
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Letters, digits, '-', '.', '*': nothing that OpenSSL's extension syntax would take for more than
 * one name. */
static bool is_host_name(const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("-.*_", name[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= DNS_NAME_MAX;
}

static enum ds_status add_alternative_name(X509 *x, const char *name, struct ds_error *err)
{
    const bool address = is_address(name);
    if (!address && !is_host_name(name)) {
        return ds_fail(err, DS_EINVAL, "not a host name or address for the certificate");
    }
    char value[DNS_NAME_MAX + 8U];
    (void)snprintf(value, sizeof(value), "%s:%s", address ? "IP" : "DNS", name);
    return add_extension(x, NID_subject_alt_name, value)
               ? DS_OK
               : stego_crypto_fail(err, DS_ENOMEM, "subjectAltName");
}

static bool set_serial(X509 *x)
{
    uint8_t serial[SERIAL_BYTES];
    if (ds_random(serial, sizeof(serial), NULL) != DS_OK) {
        return false;
    }
    serial[0] = (uint8_t)((serial[0] & 0x7fU) | 0x40U); /* positive, never shorter */
    BIGNUM *n = BN_bin2bn(serial, sizeof(serial), NULL);
    const bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

static bool set_name(X509 *x, const char *common_name)
{
    X509_NAME *name = X509_NAME_new();
    /* The bytes are only read; the type says unsigned char. */
    const unsigned char *cn = (const unsigned char *)common_name;
    const bool ok =
        name != NULL &&
        X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, cn, -1, -1, 0) == 1 &&
        X509_set_subject_name(x, name) == 1 && X509_set_issuer_name(x, name) == 1;
    X509_NAME_free(name);
    return ok;
}

static bool set_validity(X509 *x, unsigned days)
{
    return X509_gmtime_adj(X509_getm_notBefore(x), -CLOCK_SLACK_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), (long)days * SECONDS_A_DAY) != NULL;
}

/* CA:FALSE and no keyCertSign: whoever trusts this certificate trusts this key and nothing that it
 * might issue. OpenSSL and the TLS stacks upon it take such a certificate as its own trust anchor
 * when it is found in the trust store itself. */
static bool set_usage(X509 *x, bool rsa)
{
    const char *usage = rsa ? "critical,digitalSignature,keyEncipherment"
                            : "critical,digitalSignature,keyAgreement";
    return add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, NID_key_usage, usage) &&
           add_extension(x, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(x, NID_subject_key_identifier, "hash");
}

static enum ds_status self_sign(X509 **out, EVP_PKEY *key, const char *common_name,
                                const char *dns_name, unsigned days, struct ds_error *err)
{
    DS_AUTO(stego_x509_auto) X509 *x = X509_new();
    if (x == NULL || X509_set_version(x, X509_VERSION_3) != 1 || !set_serial(x) ||
        !set_name(x, common_name) || !set_validity(x, days) || X509_set_pubkey(x, key) != 1 ||
        !set_usage(x, EVP_PKEY_is_a(key, "RSA"))) {
        return stego_crypto_fail(err, DS_EINVAL, "new certificate");
    }
    if (dns_name != NULL) {
        const enum ds_status s = add_alternative_name(x, dns_name, err);
        if (s != DS_OK) {
            return s;
        }
    }
    if (X509_sign(x, key, EVP_sha256()) <= 0) {
        return stego_crypto_fail(err, DS_ENOMEM, "new certificate");
    }
    *out = x;
    x = NULL;
    return DS_OK;
}

/* Moves what the BIO gathered into wiped memory of ours. */
static enum ds_status take_pem(BIO *bio, struct ds_bytes *out, struct ds_error *err)
{
    char *text = NULL;
    const long len = BIO_get_mem_data(bio, &text);
    const enum ds_status s = ds_bytes_append(out, text, len < 0 ? 0 : (size_t)len, err);
    if (len > 0) {
        ds_wipe(text, (size_t)len);
    }
    return s;
}

static enum ds_status write_pair(EVP_PKEY *key, X509 *x, const char *key_path,
                                 const char *certificate_path, bool replace, struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes key_pem = DS_BYTES_INIT(PEM_BYTES_MAX);
    DS_AUTO(stego_bytes_auto) struct ds_bytes x_pem = DS_BYTES_INIT(PEM_BYTES_MAX);
    DS_AUTO(stego_bio_auto) BIO *key_bio = BIO_new(BIO_s_secmem());
    DS_AUTO(stego_bio_auto) BIO *x_bio = BIO_new(BIO_s_mem());
    if (key_bio == NULL || x_bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(x_bio, x) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "PEM");
    }
    enum ds_status s = take_pem(key_bio, &key_pem, err);
    if (s == DS_OK) {
        s = take_pem(x_bio, &x_pem, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const enum ds_file_mode mode = replace ? DS_FILE_REPLACE : DS_FILE_NEW;
    s = ds_file_write(key_path, key_pem.data, key_pem.len, mode, 0600, err);
    if (s != DS_OK) {
        return s;
    }
    s = ds_file_write(certificate_path, x_pem.data, x_pem.len, mode, 0644, err);
    if (s != DS_OK && !replace) {
        (void)unlink(key_path); /* no half of a pair */
    }
    return s;
}

enum ds_status stego_key_new(const char *type, const char *common_name, const char *dns_name,
                             unsigned days, const char *key_path, const char *certificate_path,
                             bool replace, struct ds_error *err)
{
    const size_t name_len = strlen(common_name);
    if (name_len == 0 || name_len > COMMON_NAME_MAX || days == 0 || days > DAYS_MAX) {
        return ds_fail(err, DS_EINVAL, "a name of 1 to %u bytes and 1 to %u days are needed",
                       COMMON_NAME_MAX, DAYS_MAX);
    }
    /* Before the key is drawn, because RSA takes its time; writing checks again. */
    if (!replace && (ds_file_exists(key_path) || ds_file_exists(certificate_path))) {
        return ds_fail(err, DS_EEXIST, "%s exists",
                       ds_file_exists(key_path) ? key_path : certificate_path);
    }
    DS_AUTO(stego_pkey_auto) EVP_PKEY *key = NULL;
    DS_AUTO(stego_x509_auto) X509 *x = NULL;
    enum ds_status s = generate(&key, type, err);
    if (s == DS_OK) {
        s = self_sign(&x, key, common_name, dns_name, days, err);
    }
    return s == DS_OK ? write_pair(key, x, key_path, certificate_path, replace, err) : s;
}
