/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority - a time stamping authority of the openssl program, with a CA of its own, in the
 * group's folder: ca.pem is whom to trust.
 */
#ifndef DICOMSTEGO_TESTS_AUTHORITY_H
#define DICOMSTEGO_TESTS_AUTHORITY_H

#include "../dicomstego/support.h"
#include "provenance/timestamp.h"

#define AUTHORITY_CURVE "ec_paramgen_curve:P-256"

/* Named "CN=name test authority"; its files begin with name. */
static inline void authority_new(const char *name)
{
    static const char extension[] = "extendedKeyUsage=critical,timeStamping\n";
    char text[1024];
    char ca[32], ca_key[32], key[32], request[32], certificate[32], subject[64], config[32];
    (void)snprintf(ca, sizeof(ca), "%s.ca.pem", name);
    (void)snprintf(ca_key, sizeof(ca_key), "%s.ca.key", name);
    (void)snprintf(key, sizeof(key), "%s.key", name);
    (void)snprintf(request, sizeof(request), "%s.csr", name);
    (void)snprintf(certificate, sizeof(certificate), "%s.pem", name);
    (void)snprintf(subject, sizeof(subject), "/CN=%s test authority", name);
    (void)snprintf(config, sizeof(config), "%s.cnf", name);
    (void)snprintf(
        text, sizeof(text),
        "[tsa]\ndefault_tsa = a\n[a]\ndir = .\nserial = %s.serial\n"
        "crypto_device = builtin\nsigner_cert = %s\nsigner_key = %s\n"
        "signer_digest = sha256\ndefault_policy = 1.2.3.4.1\nother_policies = 1.2.3.4.5\n"
        "digests = sha256\naccuracy = secs:1\nordering = no\ntsa_name = no\n"
        "ess_cert_id_chain = no\ness_cert_id_alg = sha256\n",
        name, certificate, key);
    support_write(config, text, strlen(text));
    support_write("tsa.ext", extension, sizeof(extension) - 1);
    assert_int_equal(SUPPORT_RUN("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                 AUTHORITY_CURVE, "-nodes", "-subj", "/CN=CA", "-days", "30",
                                 "-keyout", ca_key, "-out", ca),
                     0);
    assert_int_equal(SUPPORT_RUN("openssl", "req", "-newkey", "ec", "-pkeyopt", AUTHORITY_CURVE,
                                 "-nodes", "-subj", subject, "-keyout", key, "-out", request),
                     0);
    assert_int_equal(SUPPORT_RUN("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey",
                                 ca_key, "-CAcreateserial", "-days", "30", "-extfile", "tsa.ext",
                                 "-out", certificate),
                     0);
}

/* The authority's answer to a request; ds_bytes_free. */
static inline struct ds_bytes authority_answer(const char *name, const struct ds_bytes *request)
{
    char config[32];
    (void)snprintf(config, sizeof(config), "%s.cnf", name);
    support_write("request.tsq", request->data, request->len);
    assert_int_equal(SUPPORT_RUN("openssl", "ts", "-reply", "-config", config, "-section", "a",
                                 "-queryfile", "request.tsq", "-out", "answer.tsr"),
                     0);
    return support_read("answer.tsr");
}

/* A token of the digest; ds_bytes_free. */
static inline struct ds_bytes authority_stamp(const char *name,
                                              const uint8_t digest[DS_SHA256_BYTES])
{
    char ca[32];
    (void)snprintf(ca, sizeof(ca), "%s.ca.pem", name);
    struct ds_error err = {0};
    struct ds_bytes request = DS_BYTES_INIT(4096);
    struct ds_bytes token = DS_BYTES_INIT(PROVENANCE_STAMP_MAX_BYTES);
    assert_int_equal(provenance_stamp_request(digest, &request, &err), DS_OK);
    struct ds_bytes answer = authority_answer(name, &request);
    if (provenance_stamp_accept(&request, answer.data, answer.len, support_path(ca), &token,
                                &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    ds_bytes_free(&request);
    ds_bytes_free(&answer);
    return token;
}

#endif
