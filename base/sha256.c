/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include "base/map.h"

#include <openssl/evp.h>

/* struct ds_sha256 is OpenSSL's context under a name of ours: no second allocation. */
static EVP_MD_CTX *context(struct ds_sha256 *h)
{
    return (EVP_MD_CTX *)h;
}

enum ds_status ds_sha256_new(struct ds_sha256 **out, struct ds_error *err)
{
    *out = NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c == NULL || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(c);
        return ds_fail(err, DS_ENOMEM, "cannot start a SHA-256 digest");
    }
    *out = (struct ds_sha256 *)c;
    return DS_OK;
}

void ds_sha256_free(struct ds_sha256 *h)
{
    EVP_MD_CTX_free(context(h));
}

enum ds_status ds_sha256_update(struct ds_sha256 *h, const void *data, size_t len,
                                struct ds_error *err)
{
    const uint8_t *bytes = data;
    size_t n = 0;
    for (size_t at = 0; at < len; at += n) {
        n = len - at < DS_MAP_STEP_BYTES ? len - at : DS_MAP_STEP_BYTES;
        if (EVP_DigestUpdate(context(h), bytes + at, n) != 1) {
            return ds_fail(err, DS_EINVAL, "SHA-256 update failed");
        }
        if (len > DS_MAP_STEP_BYTES) {
            ds_map_forget(bytes + at, n);
        }
    }
    return DS_OK;
}

enum ds_status ds_sha256_final(struct ds_sha256 *h, uint8_t out[DS_SHA256_BYTES],
                               struct ds_error *err)
{
    unsigned len = DS_SHA256_BYTES;
    if (EVP_DigestFinal_ex(context(h), out, &len) != 1) {
        return ds_fail(err, DS_EINVAL, "SHA-256 final failed");
    }
    return DS_OK;
}

enum ds_status ds_sha256_of(const void *data, size_t len, uint8_t out[DS_SHA256_BYTES],
                            struct ds_error *err)
{
    struct ds_sha256 *h = NULL;
    enum ds_status s = ds_sha256_new(&h, err);
    if (s == DS_OK) {
        s = ds_sha256_update(h, data, len, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_final(h, out, err);
    }
    ds_sha256_free(h);
    return s;
}
