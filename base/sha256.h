/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256 - the digest behind the three hashes (FIPS 180-4), computed by OpenSSL.
 */
#ifndef DICOMSTEGO_BASE_SHA256_H
#define DICOMSTEGO_BASE_SHA256_H

#include "base/base.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define DS_SHA256_BYTES     32U
#define DS_SHA256_HEX_BYTES (2U * DS_SHA256_BYTES + 1U)

struct ds_sha256; /* one running digest; not shared between threads */

DS_CHECKED enum ds_status ds_sha256_new(struct ds_sha256 **out, struct ds_error *err);
void ds_sha256_free(struct ds_sha256 *h);
/* Long data are forgotten as they are read (base/map.h). */
DS_CHECKED enum ds_status ds_sha256_update(struct ds_sha256 *h, const void *data, size_t len,
                                           struct ds_error *err);
/* Writes the digest; the object can only be freed afterwards. */
DS_CHECKED enum ds_status ds_sha256_final(struct ds_sha256 *h, uint8_t out[DS_SHA256_BYTES],
                                          struct ds_error *err);

/* All at once. */
DS_CHECKED enum ds_status ds_sha256_of(const void *data, size_t len, uint8_t out[DS_SHA256_BYTES],
                                       struct ds_error *err);

#endif
