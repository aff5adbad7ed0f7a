/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_internal - what is inside the opaque types of key.h, for the files of this folder.
 */
#ifndef DICOMSTEGO_KEY_INTERNAL_H
#define DICOMSTEGO_KEY_INTERNAL_H

#include "dicomstego/crypto.h"
#include "dicomstego/key.h"

#define STEGO_PEM_MAX_BYTES (1024U * 1024U)

struct stego_certificate {
    X509 *x509;
    EVP_PKEY *public_key; /* borrowed from x509; NULL when OpenSSL does not know its kind */
    char *subject;
    uint8_t key_id[STEGO_KEY_ID_BYTES];
    struct ds_bytes der;
};

struct stego_identity {
    EVP_PKEY *key;
    struct stego_certificate *certificate;
};

struct stego_trust {
    struct stego_certificate **items;
    size_t count;
    X509_STORE *store;
};

/* The key kinds that sign manifests and receive capsules. */
enum stego_key_kind {
    STEGO_KEY_OTHER,
    STEGO_KEY_P256,
    STEGO_KEY_P384,
    STEGO_KEY_P521,
    STEGO_KEY_RSA /* 2048 to 8192 bits */
};
enum stego_key_kind stego_key_kind_of(EVP_PKEY *key);
/* The digest that goes with the kind: SHA-256, but SHA-384 and SHA-512 for the larger curves. */
const EVP_MD *stego_key_digest(enum stego_key_kind kind);

/* The bytes of a PEM file behind a read-only BIO over *text, which has to outlive it. */
DS_CHECKED enum ds_status stego_pem_open(BIO **out, struct ds_bytes *text, const char *path,
                                         struct ds_error *err);
/* For PEM_read_bio_...: OpenSSL's default would ask on the terminal. */
int stego_no_passphrase(char *buffer, int size, int writing, void *user);

/* From DER that somebody sent: DS_EAUTH when it is not one certificate of a key kind of ours. */
DS_CHECKED enum ds_status stego_certificate_parse(struct stego_certificate **out,
                                                  const uint8_t *der, size_t len,
                                                  struct ds_error *err);

/* The trusted certificate with this key id, or NULL. */
const struct stego_certificate *stego_trust_find(const struct stego_trust *t,
                                                 const uint8_t key_id[STEGO_KEY_ID_BYTES]);
/* Does c chain to a trusted CA, at that time? DS_EAUTH with OpenSSL's reason when not. */
DS_CHECKED enum ds_status stego_trust_check(const struct stego_trust *t,
                                            const struct stego_certificate *c, int64_t utc_us,
                                            struct ds_error *err);

#endif
