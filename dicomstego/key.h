/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key - certificates, private keys and passwords, as the capsule needs them.
 *
 * Keys are EC (P-256, P-384, P-521) or RSA (2048 bits and more), PEM. Opaque, immutable after
 * loading, usable from several threads; private material is wiped when freed.
 */
#ifndef DICOMSTEGO_KEY_H
#define DICOMSTEGO_KEY_H

#include "base/bytes.h"

#include <stdbool.h>

#define STEGO_KEY_ID_BYTES 8U /* the first bytes of the SHA-256 of the SubjectPublicKeyInfo */

struct stego_certificate; /* one X.509 certificate */
struct stego_identity; /* a private key with its certificate: signs, opens what is sealed to it */
struct stego_trust;    /* certificates whose signatures are believed: signers themselves, or CAs */

/* path: PEM, the first certificate in it. DS_ECONFIG with what is wrong. */
DS_CHECKED enum ds_status stego_certificate_load(struct stego_certificate **out, const char *path,
                                                 struct ds_error *err);
void stego_certificate_free(struct stego_certificate *c);
void stego_certificate_key_id(const struct stego_certificate *c, uint8_t out[STEGO_KEY_ID_BYTES]);
/* The subject as text ("CN=clinic-a"), borrowed. */
const char *stego_certificate_subject(const struct stego_certificate *c);
size_t stego_certificate_bytes(const struct stego_certificate *c); /* as DER */

/* DS_ECONFIG when key and certificate do not belong together. */
DS_CHECKED enum ds_status stego_identity_load(struct stego_identity **out, const char *key_path,
                                              const char *certificate_path, struct ds_error *err);
void stego_identity_free(struct stego_identity *i);
const struct stego_certificate *stego_identity_certificate(const struct stego_identity *i);

DS_CHECKED enum ds_status stego_trust_new(struct stego_trust **out, struct ds_error *err);
/* Adds every certificate of a PEM file. */
DS_CHECKED enum ds_status stego_trust_add(struct stego_trust *t, const char *path,
                                          struct ds_error *err);
void stego_trust_free(struct stego_trust *t);

/* `key new`: writes a private key (0600) and a self-signed certificate for subject CN=common_name,
 * valid for days. type: "ec" (P-256), "rsa" (3072), or "secp256k1",
 * which only agreement.h takes. Neither file may exist (DS_EEXIST) unless
 * replace. The certificate carries dns_name (may be NULL) as subjectAltName, so that it serves TLS.
 */
DS_CHECKED enum ds_status stego_key_new(const char *type, const char *common_name,
                                        const char *dns_name, unsigned days, const char *key_path,
                                        const char *certificate_path, bool replace,
                                        struct ds_error *err);

/* For DS_AUTO. */
void stego_certificate_auto(struct stego_certificate **c);
void stego_identity_auto(struct stego_identity **i);
void stego_trust_auto(struct stego_trust **t);

#endif
