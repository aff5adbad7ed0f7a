/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shuffle - the numbers below n in an order that a key gives, without storing it.
 *
 * A Feistel network over as many bits as n needs, of eight rounds with AES-256 as round function
 * (Luby and Rackoff, SIAM J. Comput. 17:373, 1988), walked until the number is below n again (Black
 * and Rogaway, CT-RSA 2002). Deterministic on every machine. Private.
 */
#ifndef DICOMSTEGO_SHUFFLE_H
#define DICOMSTEGO_SHUFFLE_H

#include "base/base.h"
#include "base/error.h"
#include "dicomstego/crypto.h"

#define STEGO_SHUFFLE_BATCH 1024U /* as many at once as are quick */

struct stego_shuffle;

/* n: 1..2^62. Not shared between threads. */
DS_CHECKED enum ds_status stego_shuffle_new(struct stego_shuffle **out,
                                            const uint8_t key[STEGO_KEY_BYTES], uint64_t n,
                                            struct ds_error *err);
void stego_shuffle_free(struct stego_shuffle *s);
void stego_shuffle_auto(struct stego_shuffle **s);
/* The count numbers (at most STEGO_SHUFFLE_BATCH) at places first and following, all below n. */
DS_CHECKED enum ds_status stego_shuffle_at(struct stego_shuffle *s, uint64_t first, size_t count,
                                           uint64_t *out, struct ds_error *err);

#endif
