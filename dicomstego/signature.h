/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature - deterministic signatures: the same key and bytes always give the same signature.
 *
 * ECDSA with the nonce of RFC 6979, written as r || s, each as long as the curve's order (P-256
 * with SHA-256: 64 bytes, P-384 with SHA-384: 96, P-521 with SHA-512: 132). RSA: PKCS#1 v1.5 with
 * SHA-256, as long as the modulus.
 */
#ifndef DICOMSTEGO_SIGNATURE_H
#define DICOMSTEGO_SIGNATURE_H

#include "base/bytes.h"

#include <openssl/evp.h>

#define STEGO_SIGNATURE_MAX_BYTES 1024U

/* 0 when the key is of no kind that signs. */
size_t stego_signature_bytes(EVP_PKEY *key);

/* Appends the signature. */
DS_CHECKED enum ds_status stego_sign(EVP_PKEY *key, const uint8_t *message, size_t len,
                                     struct ds_bytes *out, struct ds_error *err);

/* DS_EAUTH when it is not the signature of that message by that key. */
DS_CHECKED enum ds_status stego_verify(EVP_PKEY *key, const uint8_t *message, size_t len,
                                       const uint8_t *signature, size_t signature_len,
                                       struct ds_error *err);

/* Appends the form that EVP and the openssl command verify: of ECDSA the DER of r and s. */
DS_CHECKED enum ds_status stego_signature_der(EVP_PKEY *key, const uint8_t *signature, size_t len,
                                              struct ds_bytes *out, struct ds_error *err);

#endif
