/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/timestamp.h"

#include "base/secret.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <string.h>
#include <time.h>

#define NONCE_BYTES 8U
#define REASON_MAX  100

static void free_request(TS_REQ **r)
{
    TS_REQ_free(*r);
}

static void free_answer(TS_RESP **r)
{
    TS_RESP_free(*r);
}

static void free_context(TS_VERIFY_CTX **c)
{
    TS_VERIFY_CTX_free(*c);
}

static void free_token(PKCS7 **p)
{
    PKCS7_free(*p);
}

static void free_info(TS_TST_INFO **i)
{
    TS_TST_INFO_free(*i);
}

static void free_store(X509_STORE **s)
{
    X509_STORE_free(*s);
}

static enum ds_status no_memory(struct ds_error *err)
{
    ERR_clear_error();
    return ds_fail(err, DS_ENOMEM, "out of memory for a time stamp");
}

/* The first reason that OpenSSL noted is the one that says what is wrong. */
static enum ds_status refused(struct ds_error *err)
{
    const char *data = NULL;
    int flags = 0;
    const unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    const enum ds_status s =
        ds_fail(err, DS_EAUTH, "the time stamp does not verify: %.*s%s%.*s", REASON_MAX,
                reason != NULL ? reason : "no reason", data != NULL && data[0] != '\0' ? ": " : "",
                REASON_MAX, data != NULL ? data : "");
    ERR_clear_error();
    return s;
}

/* ---- the request ---- */

static bool set_imprint(TS_REQ *r, const uint8_t digest[DS_SHA256_BYTES])
{
    TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
    X509_ALGOR *algorithm = X509_ALGOR_new();
    uint8_t copy[DS_SHA256_BYTES];
    memcpy(copy, digest, sizeof(copy));
    bool ok = imprint != NULL && algorithm != NULL &&
              X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) == 1;
    ok = ok && TS_MSG_IMPRINT_set_algo(imprint, algorithm) == 1 &&
         TS_MSG_IMPRINT_set_msg(imprint, copy, (int)sizeof(copy)) == 1 &&
         TS_REQ_set_msg_imprint(r, imprint) == 1;
    X509_ALGOR_free(algorithm);
    TS_MSG_IMPRINT_free(imprint);
    return ok;
}

static enum ds_status set_nonce(TS_REQ *r, struct ds_error *err)
{
    uint64_t nonce = 0;
    const enum ds_status s = ds_random(&nonce, NONCE_BYTES, err);
    if (s != DS_OK) {
        return s;
    }
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    const bool ok = number != NULL && ASN1_INTEGER_set_uint64(number, nonce) == 1 &&
                    TS_REQ_set_nonce(r, number) == 1;
    ASN1_INTEGER_free(number);
    return ok ? DS_OK : no_memory(err);
}

enum ds_status provenance_stamp_request(const uint8_t digest[DS_SHA256_BYTES], struct ds_bytes *out,
                                        struct ds_error *err)
{
    DS_AUTO(free_request) TS_REQ *r = TS_REQ_new();
    if (r == NULL || TS_REQ_set_version(r, 1) != 1 || !set_imprint(r, digest) ||
        TS_REQ_set_cert_req(r, 1) != 1) {
        return no_memory(err);
    }
    const enum ds_status s = set_nonce(r, err);
    if (s != DS_OK) {
        return s;
    }
    uint8_t *der = NULL;
    const int len = i2d_TS_REQ(r, &der);
    if (len <= 0) {
        return no_memory(err);
    }
    const enum ds_status appended = ds_bytes_append(out, der, (size_t)len, err);
    OPENSSL_free(der);
    return appended;
}

/* ---- whom we believe ---- */

/* At a time of the past: what a certificate was good for then it stays good for (0: now). */
static enum ds_status open_store(X509_STORE **out, const char *const *ca_paths, size_t count,
                                 time_t at, struct ds_error *err)
{
    DS_AUTO(free_store) X509_STORE *store = X509_STORE_new();
    if (store == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        if (X509_STORE_load_file(store, ca_paths[i]) != 1) {
            ERR_clear_error();
            return ds_fail(err, DS_ECONFIG, "%s has no PEM certificate that can be read",
                           ca_paths[i]);
        }
    }
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1) {
        return no_memory(err);
    }
    if (at != 0) {
        X509_VERIFY_PARAM_set_time(param, at);
    }
    *out = store;
    store = NULL;
    return DS_OK;
}

/* ---- the answer ---- */

static enum ds_status put_token(PKCS7 *token, struct ds_bytes *out, struct ds_error *err)
{
    uint8_t *der = NULL;
    const int len = i2d_PKCS7(token, &der);
    if (len <= 0) {
        return no_memory(err);
    }
    const enum ds_status s = ds_bytes_append(out, der, (size_t)len, err);
    OPENSSL_free(der);
    return s;
}

enum ds_status provenance_stamp_accept(const struct ds_bytes *request, const uint8_t *answer,
                                       size_t len, const char *ca_path, struct ds_bytes *token,
                                       struct ds_error *err)
{
    const uint8_t *at = request->data;
    DS_AUTO(free_request) TS_REQ *asked = d2i_TS_REQ(NULL, &at, (long)request->len);
    at = answer;
    DS_AUTO(free_answer)
    TS_RESP *answered = len > PROVENANCE_STAMP_MAX_BYTES ? NULL : d2i_TS_RESP(NULL, &at, (long)len);
    if (asked == NULL || answered == NULL || at != answer + len) {
        ERR_clear_error();
        return ds_fail(err, DS_EAUTH, "the answer is no time stamp");
    }
    X509_STORE *store = NULL;
    const enum ds_status s = open_store(&store, &ca_path, 1, 0, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(free_context) TS_VERIFY_CTX *context = TS_REQ_to_TS_VERIFY_CTX(asked, NULL);
    if (context == NULL) {
        X509_STORE_free(store);
        return no_memory(err);
    }
    (void)TS_VERIFY_CTX_add_flags(context, TS_VFY_SIGNATURE);
    (void)TS_VERIFY_CTX_set_store(context, store); /* takes it */
    if (TS_RESP_verify_response(context, answered) != 1) {
        return refused(err);
    }
    return put_token(TS_RESP_get_token(answered), token, err);
}

/* ---- a token, years later ---- */

static bool time_of(const TS_TST_INFO *info, int64_t *utc_us)
{
    struct tm t;
    const ASN1_GENERALIZEDTIME *when = TS_TST_INFO_get_time(info);
    if (when == NULL || ASN1_TIME_to_tm(when, &t) != 1) {
        return false;
    }
    *utc_us = (int64_t)timegm(&t) * 1000000;
    return *utc_us > 0;
}

static void name_signer(PKCS7 *token, struct provenance_stamp *out)
{
    STACK_OF(X509) *signers = PKCS7_get0_signers(token, NULL, 0);
    const X509 *signer = sk_X509_num(signers) > 0 ? sk_X509_value(signers, 0) : NULL;
    BIO *text = BIO_new(BIO_s_mem());
    const unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    char *at = NULL;
    if (signer != NULL && text != NULL &&
        X509_NAME_print_ex(text, X509_get_subject_name(signer), 0, flags) >= 0) {
        const long len = BIO_get_mem_data(text, &at);
        (void)snprintf(out->signer, sizeof(out->signer), "%.*s", (int)len, at);
    }
    BIO_free(text);
    sk_X509_free(signers);
    ERR_clear_error();
}

/* By the certificate that the token brings. */
static bool signature_holds(PKCS7 *token)
{
    BIO *content = BIO_new(BIO_s_mem());
    const bool ok =
        content != NULL && PKCS7_verify(token, NULL, NULL, NULL, content, PKCS7_NOVERIFY) == 1;
    BIO_free(content);
    return ok;
}

static enum ds_status check_imprint(TS_TST_INFO *info, const uint8_t digest[DS_SHA256_BYTES],
                                    struct ds_error *err)
{
    TS_MSG_IMPRINT *imprint = TS_TST_INFO_get_msg_imprint(info);
    X509_ALGOR *algorithm = TS_MSG_IMPRINT_get_algo(imprint);
    const ASN1_OCTET_STRING *message = TS_MSG_IMPRINT_get_msg(imprint);
    const ASN1_OBJECT *name = NULL;
    X509_ALGOR_get0(&name, NULL, NULL, algorithm);
    const bool same = OBJ_obj2nid(name) == NID_sha256 &&
                      ASN1_STRING_length(message) == (int)DS_SHA256_BYTES &&
                      ds_equal(ASN1_STRING_get0_data(message), digest, DS_SHA256_BYTES);
    return same ? DS_OK : ds_fail(err, DS_EAUTH, "the time stamp is of something else");
}

static enum ds_status check_chain(PKCS7 *token, const uint8_t digest[DS_SHA256_BYTES],
                                  const char *const *ca_paths, size_t count, int64_t utc_us,
                                  struct ds_error *err)
{
    X509_STORE *store = NULL;
    const enum ds_status s = open_store(&store, ca_paths, count, (time_t)(utc_us / 1000000), err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(free_context) TS_VERIFY_CTX *context = TS_VERIFY_CTX_new();
    uint8_t *imprint = OPENSSL_memdup(digest, DS_SHA256_BYTES);
    if (context == NULL || imprint == NULL) {
        X509_STORE_free(store);
        OPENSSL_free(imprint);
        return no_memory(err);
    }
    (void)TS_VERIFY_CTX_set_store(context, store);                      /* takes it */
    (void)TS_VERIFY_CTX_set_imprint(context, imprint, DS_SHA256_BYTES); /* takes it */
    (void)TS_VERIFY_CTX_set_flags(context, TS_VFY_VERSION | TS_VFY_IMPRINT | TS_VFY_SIGNATURE);
    return TS_RESP_verify_token(context, token) == 1 ? DS_OK : refused(err);
}

enum ds_status provenance_stamp_check(const uint8_t *token, size_t len,
                                      const uint8_t digest[DS_SHA256_BYTES],
                                      const char *const *ca_paths, size_t count,
                                      struct provenance_stamp *out, struct ds_error *err)
{
    *out = (struct provenance_stamp){0};
    const uint8_t *at = token;
    DS_AUTO(free_token)
    PKCS7 *p = len > PROVENANCE_STAMP_MAX_BYTES ? NULL : d2i_PKCS7(NULL, &at, (long)len);
    DS_AUTO(free_info)
    TS_TST_INFO *info = p != NULL && at == token + len ? PKCS7_to_TS_TST_INFO(p) : NULL;
    if (info == NULL || !time_of(info, &out->utc_us)) {
        ERR_clear_error();
        return ds_fail(err, DS_EAUTH, "this is no time stamp");
    }
    name_signer(p, out);
    enum ds_status s = check_imprint(info, digest, err);
    if (s == DS_OK && !signature_holds(p)) {
        s = refused(err);
    }
    if (s == DS_OK && count > 0) {
        s = check_chain(p, digest, ca_paths, count, out->utc_us, err);
        out->trusted = s == DS_OK;
    }
    return s;
}
