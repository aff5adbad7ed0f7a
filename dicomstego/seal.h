/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal - CMS AuthEnvelopedData (RFC 5083, RFC 5084) for certificates and passwords.
 *
 * AES-256-GCM with a 128-bit tag, DER. EC recipients by key agreement (RFC 5753, the curve's digest
 * in the X9.63 KDF), RSA recipients by OAEP with SHA-256, both named by subject key identifier
 * where the certificate has one. A password is a KEKRecipientInfo: OpenSSL refuses
 * PasswordRecipientInfo together with GCM. Its keyIdentifier spells out how to get the
 * key-encryption key from the password.
 */
#ifndef DICOMSTEGO_SEAL_H
#define DICOMSTEGO_SEAL_H

#include "dicomstego/capsule.h"
#include "dicomstego/crypto.h"

#define STEGO_SCRYPT_SALT_BYTES 16U
/* "scrypt", log2 N, r, p, salt */
#define STEGO_PASSWORD_ID_BYTES (6U + 3U + STEGO_SCRYPT_SALT_BYTES)

/* A key-encryption key made from a password. */
struct stego_password_key {
    uint8_t id[STEGO_PASSWORD_ID_BYTES];
    uint8_t key[STEGO_KEY_BYTES];
};

/* Draws a salt. DS_EINVAL for an empty password. */
DS_CHECKED enum ds_status stego_password_key_new(struct stego_password_key *out,
                                                 const char *password, struct ds_error *err);
/* For the salt and cost in an id that somebody sent: DS_EUNSUPPORTED when the id is not of this
 * form or the cost is out of bounds. */
DS_CHECKED enum ds_status stego_password_key_derive(struct stego_password_key *out,
                                                    const uint8_t *id, size_t id_len,
                                                    const char *password, struct ds_error *err);

/* Who may open. Borrowed. */
struct stego_audience {
    const struct stego_certificate *const *certificates;
    size_t count;
    const struct stego_password_key *password; /* NULL: none */
};

/* Appends the DER. Draws key, nonce and ephemeral keys. */
DS_CHECKED enum ds_status stego_seal(const struct stego_audience *audience, const uint8_t *plain,
                                     size_t len, struct ds_bytes *out, struct ds_error *err);

/* Appends the content, once its tag has been found right; nothing otherwise, nor beyond out->max.
 * DS_ENOKEY: nobody in the keyring (trust is not looked at); DS_EAUTH: altered, or not such a CMS.
 */
DS_CHECKED enum ds_status stego_unseal(const uint8_t *der, size_t len,
                                       const struct stego_keyring *keyring, struct ds_bytes *out,
                                       struct ds_error *err);

#endif
