/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agreement - Diffie-Hellman with an ephemeral key on P-256 or secp256k1 (SEC 1, 3.3.1; NIST SP
 * 800-56A, C(1e, 1s)). Whoever has the recipient's public key can make a secret that only the
 * recipient can repeat: it says nothing about who made it.
 *
 * Keys are opaque, immutable after loading, usable from several threads.
 */
#ifndef DICOMSTEGO_AGREEMENT_H
#define DICOMSTEGO_AGREEMENT_H

#include "dicomstego/crypto.h"
#include "dicomstego/key.h"

#define STEGO_POINT_BYTES 65U /* uncompressed: 4, x, y (SEC 1, 2.3.3) */

enum stego_curve { STEGO_CURVE_P256, STEGO_CURVE_SECP256K1 };
/* "P-256", "secp256k1" */
const char *stego_curve_name(enum stego_curve curve);
/* False: no such curve. */
DS_CHECKED bool stego_curve_named(const char *name, enum stego_curve *out);

struct stego_ec_key;

/* path: PEM with a certificate or a public key. DS_ECONFIG when it is of another curve or kind. */
DS_CHECKED enum ds_status stego_ec_public_load(struct stego_ec_key **out, const char *path,
                                               struct ds_error *err);
/* path: PEM with a private key without a passphrase. */
DS_CHECKED enum ds_status stego_ec_private_load(struct stego_ec_key **out, const char *path,
                                                struct ds_error *err);
void stego_ec_key_free(struct stego_ec_key *k);
void stego_ec_key_auto(struct stego_ec_key **k);

enum stego_curve stego_ec_key_curve(const struct stego_ec_key *k);
/* The same for the private and the public half: as in key.h. */
const uint8_t *stego_ec_key_id(const struct stego_ec_key *k);    /* STEGO_KEY_ID_BYTES */
const uint8_t *stego_ec_key_point(const struct stego_ec_key *k); /* STEGO_POINT_BYTES */

/* Draws an ephemeral key and forgets it. secret: the x coordinate, to be put through a KDF. */
DS_CHECKED enum ds_status stego_agree(const struct stego_ec_key *recipient,
                                      uint8_t ephemeral[STEGO_POINT_BYTES],
                                      uint8_t secret[STEGO_KEY_BYTES], struct ds_error *err);
/* With a private key. DS_EAUTH: ephemeral is no point of the key's curve. */
DS_CHECKED enum ds_status stego_agree_again(const struct stego_ec_key *key,
                                            const uint8_t ephemeral[STEGO_POINT_BYTES],
                                            uint8_t secret[STEGO_KEY_BYTES], struct ds_error *err);

#endif
