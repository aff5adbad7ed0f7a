/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto - what the capsule needs of OpenSSL, in the shape of this code base.
 *
 * Private to this folder. OpenSSL's error queue is read into our error and emptied wherever
 * stego_crypto_fail is called, so that no reason leaks into a later failure.
 */
#ifndef DICOMSTEGO_CRYPTO_H
#define DICOMSTEGO_CRYPTO_H

#include "base/bytes.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define STEGO_KEY_BYTES       32U /* AES-256 */
#define STEGO_GCM_NONCE_BYTES 12U
#define STEGO_GCM_TAG_BYTES   16U

/* ds_fail with "what: OpenSSL's last reason"; empties the queue. */
enum ds_status stego_crypto_fail(struct ds_error *err, enum ds_status status, const char *what);

/* RFC 5869 with SHA-256. */
DS_CHECKED enum ds_status stego_hkdf(const uint8_t key[STEGO_KEY_BYTES], const uint8_t *salt,
                                     size_t salt_len, const uint8_t *info, size_t info_len,
                                     uint8_t *out, size_t out_len, struct ds_error *err);

struct stego_gcm {
    uint8_t key[STEGO_KEY_BYTES];
    uint8_t nonce[STEGO_GCM_NONCE_BYTES];
};

/* Appends ciphertext and tag. */
DS_CHECKED enum ds_status stego_gcm_seal(const struct stego_gcm *gcm, const uint8_t *aad,
                                         size_t aad_len, const uint8_t *plain, size_t len,
                                         struct ds_bytes *out, struct ds_error *err);
/* sealed: ciphertext and tag. Appends the plaintext once the tag has been found right; DS_EAUTH and
 * nothing appended otherwise. */
DS_CHECKED enum ds_status stego_gcm_open(const struct stego_gcm *gcm, const uint8_t *aad,
                                         size_t aad_len, const uint8_t *sealed, size_t len,
                                         struct ds_bytes *out, struct ds_error *err);

/* The same with another cipher of the same sizes. */
enum stego_aead {
    STEGO_AES_256_GCM,
    STEGO_CHACHA20_POLY1305, /* RFC 8439 */
};
DS_CHECKED enum ds_status stego_aead_seal(enum stego_aead aead, const struct stego_gcm *gcm,
                                          const uint8_t *aad, size_t aad_len, const uint8_t *plain,
                                          size_t len, struct ds_bytes *out, struct ds_error *err);
DS_CHECKED enum ds_status stego_aead_open(enum stego_aead aead, const struct stego_gcm *gcm,
                                          const uint8_t *aad, size_t aad_len, const uint8_t *sealed,
                                          size_t len, struct ds_bytes *out, struct ds_error *err);

/* For DS_AUTO. */
void stego_bio_auto(BIO **b);
void stego_pkey_auto(EVP_PKEY **k);
void stego_x509_auto(X509 **x);
void stego_bytes_auto(struct ds_bytes *b);

#endif
