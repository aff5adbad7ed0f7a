/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/lsb_keys.h"

#include "base/secret.h"
#include "base/sha256.h"

#include <string.h>

#define LABEL_BYTES 16U
#define INFO_BYTES  (LABEL_BYTES + DS_SHA256_BYTES)

/* A hash of all that hiding leaves as it is: so that one password gives each image its own order
 * and complements. */
static enum ds_status hash_upper(const struct stego_image *image, unsigned planes,
                                 uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    uint8_t piece[4096];
    size_t n = 0;
    size_t held = 0;
    struct ds_sha256 *h = NULL;
    enum ds_status s = ds_sha256_new(&h, err);
    if (!stego_image_count(image, &n)) {
        n = 0;
    }
    for (size_t i = 0; i < n && s == DS_OK; i++) {
        const uint32_t v = (uint32_t)image->samples[i] >> planes;
        for (unsigned k = 0; k < 4; k++) {
            piece[held++] = (uint8_t)(v >> (8 * k));
        }
        if (held == sizeof(piece) || i + 1 == n) {
            s = ds_sha256_update(h, piece, held, err);
            held = 0;
        }
    }
    s = s == DS_OK ? ds_sha256_final(h, out, err) : s;
    ds_sha256_free(h);
    return s;
}

void stego_lsb_keys_wipe(struct stego_lsb_keys *k)
{
    ds_wipe(k, sizeof(*k));
}

static enum ds_status derive(const struct stego_password_key *key, const char label[LABEL_BYTES],
                             const uint8_t *hash, uint8_t out[STEGO_KEY_BYTES],
                             struct ds_error *err)
{
    uint8_t info[INFO_BYTES] = {0};
    memcpy(info, label, LABEL_BYTES);
    if (hash != NULL) {
        memcpy(info + LABEL_BYTES, hash, DS_SHA256_BYTES);
    }
    return stego_hkdf(key->key, NULL, 0, info, hash != NULL ? sizeof(info) : LABEL_BYTES, out,
                      STEGO_KEY_BYTES, err);
}

enum ds_status stego_lsb_keys_derive(const struct stego_password_key *key,
                                     const struct stego_image *image, unsigned planes,
                                     struct stego_lsb_keys *out, struct ds_error *err)
{
    uint8_t hash[DS_SHA256_BYTES];
    enum ds_status s = hash_upper(image, planes, hash, err);
    if (s == DS_OK) {
        s = derive(key, "lsb order      1", hash, out->order, err);
    }
    if (s == DS_OK) {
        s = derive(key, "dna complement 1", hash, out->complement, err);
    }
    return s == DS_OK ? derive(key, "lsb check      1", NULL, out->check, err) : s;
}
