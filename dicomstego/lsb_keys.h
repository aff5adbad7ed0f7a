/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsb_keys - what a password or shared key gives one image: order, complements, and a check that
 * tells a wrong key from an altered image. HKDF (RFC 5869) with a label for each. Private.
 */
#ifndef DICOMSTEGO_LSB_KEYS_H
#define DICOMSTEGO_LSB_KEYS_H

#include "dicomstego/image.h"
#include "dicomstego/seal.h"

struct stego_lsb_keys {
    uint8_t order[STEGO_KEY_BYTES], complement[STEGO_KEY_BYTES];
    uint8_t check[STEGO_KEY_BYTES]; /* the first bytes stand in the header */
};

/* planes: how many of the lowest bits hiding may change. Needs stego_lsb_keys_wipe. */
DS_CHECKED enum ds_status stego_lsb_keys_derive(const struct stego_password_key *key,
                                                const struct stego_image *image, unsigned planes,
                                                struct stego_lsb_keys *out, struct ds_error *err);
void stego_lsb_keys_wipe(struct stego_lsb_keys *k);

#endif
