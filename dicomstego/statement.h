/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement - signatures that the openssl command can verify, by a key alone.
 *
 * ECDSA as DER (RFC 3279 2.2.3), deterministic (RFC 6979), with SHA-256, SHA-384 or SHA-512 for
 * P-256, P-384 or P-521; RSA PKCS#1 v1.5 with SHA-256:
 *
 *   openssl dgst -sha256 -verify public.pem -signature SIGNATURE STATEMENT
 *
 * Public keys are SubjectPublicKeyInfo, DER.
 */
#ifndef DICOMSTEGO_STATEMENT_H
#define DICOMSTEGO_STATEMENT_H

#include "dicomstego/key.h"

#define STEGO_PUBLIC_KEY_MAX_BYTES 2048U
#define STEGO_STATEMENT_MAX_BYTES  1100U /* of a signature */

/* Append. */
DS_CHECKED enum ds_status stego_statement_sign(const struct stego_identity *by, const uint8_t *text,
                                               size_t len, struct ds_bytes *signature,
                                               struct ds_error *err);
DS_CHECKED enum ds_status stego_certificate_public_key(const struct stego_certificate *c,
                                                       struct ds_bytes *out, struct ds_error *err);
/* Borrowed DER of the whole certificate. */
const uint8_t *stego_certificate_der(const struct stego_certificate *c, size_t *len);

/* DS_EAUTH when it is not that key's signature of that text. */
DS_CHECKED enum ds_status stego_statement_verify(const uint8_t *public_key, size_t public_key_len,
                                                 const uint8_t *text, size_t len,
                                                 const uint8_t *signature, size_t signature_len,
                                                 struct ds_error *err);

#define STEGO_SUBJECT_BYTES 128U

/* Whose key is it? DS_EAUTH when the certificate (DER; len 0: none) is of another key, or when
 * trust holds neither that key nor a CA that the certificate chained to at utc_us. trust NULL: only
 * the former is asked. subject: the certificate's, cut to fit; "" without one. */
DS_CHECKED enum ds_status stego_trust_key(const struct stego_trust *trust,
                                          const uint8_t *public_key, size_t public_key_len,
                                          const uint8_t *certificate, size_t certificate_len,
                                          int64_t utc_us, char subject[STEGO_SUBJECT_BYTES],
                                          struct ds_error *err);

#define STEGO_SECRET_BYTES 32U
/* A secret of the private key's own for one purpose: the same each time, and nobody who has not the
 * key can tell it (HKDF-SHA256 of a signature that is never shown). */
DS_CHECKED enum ds_status stego_identity_secret(const struct stego_identity *i, const char *purpose,
                                                uint8_t out[STEGO_SECRET_BYTES],
                                                struct ds_error *err);

#endif
