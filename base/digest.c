/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/sha256.h"

#include <stdlib.h>

#if DICOMSTEGO_BLAKE3
#include <blake3.h>
#endif

_Static_assert(DS_DIGEST_BYTES == DS_SHA256_BYTES, "a digest of either kind has its place");

struct ds_digest {
    struct ds_sha256 *sha256; /* NULL: the other kind */
#if DICOMSTEGO_BLAKE3
    blake3_hasher blake3;
#endif
};

bool ds_digest_has(enum ds_digest_kind kind)
{
    return kind == DS_DIGEST_SHA256 || DICOMSTEGO_BLAKE3 != 0;
}

enum ds_status ds_digest_new(struct ds_digest **out, enum ds_digest_kind kind, struct ds_error *err)
{
    *out = NULL;
    if (!ds_digest_has(kind)) {
        return ds_fail(err, DS_EUNSUPPORTED, "this program was built without BLAKE3");
    }
    struct ds_digest *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a digest");
    }
    enum ds_status s = DS_OK;
    if (kind == DS_DIGEST_SHA256) {
        s = ds_sha256_new(&d->sha256, err);
    }
#if DICOMSTEGO_BLAKE3
    if (kind == DS_DIGEST_BLAKE3) {
        blake3_hasher_init(&d->blake3);
    }
#endif
    if (s != DS_OK) {
        ds_digest_free(d);
        return s;
    }
    *out = d;
    return DS_OK;
}

void ds_digest_free(struct ds_digest *d)
{
    if (d != NULL) {
        ds_sha256_free(d->sha256);
        free(d);
    }
}

enum ds_status ds_digest_update(struct ds_digest *d, const void *data, size_t len,
                                struct ds_error *err)
{
    if (d->sha256 != NULL) {
        return ds_sha256_update(d->sha256, data, len, err);
    }
#if DICOMSTEGO_BLAKE3
    blake3_hasher_update(&d->blake3, data, len);
#endif
    return DS_OK;
}

enum ds_status ds_digest_final(struct ds_digest *d, uint8_t out[DS_DIGEST_BYTES],
                               struct ds_error *err)
{
    if (d->sha256 != NULL) {
        return ds_sha256_final(d->sha256, out, err);
    }
#if DICOMSTEGO_BLAKE3
    blake3_hasher_finalize(&d->blake3, out, DS_DIGEST_BYTES);
#endif
    return DS_OK;
}

enum ds_status ds_digest_of(enum ds_digest_kind kind, const void *data, size_t len,
                            uint8_t out[DS_DIGEST_BYTES], struct ds_error *err)
{
    struct ds_digest *d = NULL;
    enum ds_status s = ds_digest_new(&d, kind, err);
    if (s == DS_OK) {
        s = ds_digest_update(d, data, len, err);
    }
    if (s == DS_OK) {
        s = ds_digest_final(d, out, err);
    }
    ds_digest_free(d);
    return s;
}
