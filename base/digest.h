/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - a running hash of 32 bytes of either kind, where somebody may choose: SHA-256 (FIPS
 * 180-4, OpenSSL) or BLAKE3 (the official C code, when the program was built with it).
 *
 * The three hashes that are carried and compared between sites are SHA-256 always (sha256.h).
 */
#ifndef DICOMSTEGO_BASE_DIGEST_H
#define DICOMSTEGO_BASE_DIGEST_H

#include "base/base.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DS_DIGEST_BYTES 32U

enum ds_digest_kind { DS_DIGEST_SHA256, DS_DIGEST_BLAKE3 };

/* Was the program built with it? */
bool ds_digest_has(enum ds_digest_kind kind);

struct ds_digest; /* one running digest; not shared between threads */

/* DS_EUNSUPPORTED: the program was built without this kind. */
DS_CHECKED enum ds_status ds_digest_new(struct ds_digest **out, enum ds_digest_kind kind,
                                        struct ds_error *err);
void ds_digest_free(struct ds_digest *d);
DS_CHECKED enum ds_status ds_digest_update(struct ds_digest *d, const void *data, size_t len,
                                           struct ds_error *err);
/* Writes the digest; the object can only be freed afterwards. */
DS_CHECKED enum ds_status ds_digest_final(struct ds_digest *d, uint8_t out[DS_DIGEST_BYTES],
                                          struct ds_error *err);

/* All at once. */
DS_CHECKED enum ds_status ds_digest_of(enum ds_digest_kind kind, const void *data, size_t len,
                                       uint8_t out[DS_DIGEST_BYTES], struct ds_error *err);

#endif
