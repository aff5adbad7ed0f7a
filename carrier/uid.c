/* SPDX-License-Identifier: Apache-2.0 */
/* The UIDs of carriers: a site's own, from what they replace and nothing that differs between two
 * of its nodes, two runs or two generations of a study. */
#include "carrier/carrier_private.h"

#include <string.h>

static const char *const purposes[] = {
    [CARRIER_UID_INSTANCE] = "dicomstego carrier instance",
    [CARRIER_UID_SERIES] = "dicomstego carrier series",
};

/* Purpose, site and old UID are hashed with their terminators, so that no two triples run into one
 * another. */
enum ds_status carrier_derived_uid(enum carrier_uid purpose, const char *site, const char *old,
                                   const uint8_t *content, char out[DICOM_UID_BYTES],
                                   struct ds_error *err)
{
    const char *const texts[] = {purposes[purpose], site, old};
    DS_AUTO(ds_bytes_free) struct ds_bytes b = DS_BYTES_INIT(4096);
    uint8_t digest[DS_SHA256_BYTES];
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(texts) && s == DS_OK; i++) {
        s = ds_bytes_append(&b, texts[i], strlen(texts[i]) + 1, err);
    }
    if (s == DS_OK && content != NULL) {
        s = ds_bytes_append(&b, content, DS_SHA256_BYTES, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_of(b.data, b.len, digest, err);
    }
    if (s == DS_OK) {
        dicom_uid_from_digest(digest, out);
    }
    return s;
}
