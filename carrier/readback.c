/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/readback.h"

#include "carrier/carrier_private.h"

#include <stdio.h>
#include <string.h>

#define TAG_LOSSY_IMAGE_COMPRESSION DICOM_TAG(0x0028, 0x2110)

static bool is_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, DS_SHA256_BYTES) == 0;
}

/* ---- what differs ---- */

static void add_change(void *context, dicom_tag tag, enum dicom_difference how)
{
    struct carrier_back *b = context;
    if (b->change_count < CARRIER_BACK_CHANGES_MAX) {
        b->changes[b->change_count] = (struct carrier_back_change){tag, how};
    }
    b->change_count++;
    b->private_removed += how == DICOM_REMOVED && (tag >> 16 & 1U) != 0 ? 1 : 0;
}

static enum ds_status compare_pixels(struct carrier_back *b, const struct dicom_dataset *sent,
                                     const struct dicom_dataset *came, struct ds_error *err)
{
    struct ds_error why = {0};
    const enum ds_status s = dicom_pixels_difference(sent, came, &b->pixels, &why);
    b->pixels_compared = s == DS_OK;
    return s == DS_ENOMEM || s == DS_EIO ? ds_fail(err, s, "%s", why.text) : DS_OK;
}

static enum ds_status compare(struct carrier_back *b, const struct dicom_dataset *sent,
                              const struct dicom_dataset *came, struct ds_error *err)
{
    b->compared = true;
    enum ds_status s = dicom_dataset_differences(sent, came, add_change, b, err);
    if (s == DS_OK && b->verdict != CARRIER_BACK_ATTRIBUTES) {
        s = compare_pixels(b, sent, came, err);
    }
    return s;
}

/* ---- the verdict ---- */

static bool says_lossy(const struct dicom_dataset *d)
{
    char value[17] = "";
    return dicom_dataset_get(d, TAG_LOSSY_IMAGE_COMPRESSION, value, sizeof(value), NULL) == DS_OK &&
           strcmp(value, "01") == 0;
}

/* Pixels that differ: by compression, when the syntax is one that may lose, or when the instance
 * has begun to say so (PS3.3 C.7.6.1.1.5). One that said so before proves nothing by it. */
static bool is_lossy(const struct dicom_dataset *sent, const struct dicom_dataset *came)
{
    return dicom_transfer_syntax_may_lose(dicom_dataset_transfer_syntax(came)) ||
           (says_lossy(came) && (sent == NULL || !says_lossy(sent)));
}

static bool has_other_pixels(const struct carrier_hashes *sent, const struct carrier_hashes *came)
{
    return sent->has_pixels && (!came->has_pixels || !is_equal(sent->pixel, came->pixel));
}

/* Pixels that nobody here decoded, neither then nor now, are in no list of changes: where it stays
 * empty, they are what differs. */
static bool differs_in_nothing_else(const struct carrier_back *b)
{
    return b->compared && b->change_count == 0 && b->verdict == CARRIER_BACK_ATTRIBUTES;
}

static enum ds_status judge(const struct carrier_back_expected *expected,
                            const struct dicom_dataset *came, struct carrier_back *b,
                            struct ds_error *err)
{
    const struct carrier_hashes *sent_hashes = &expected->hashes;
    const struct dicom_dataset *sent = NULL;
    /* The very bytes, also of what could not be parsed as far as its data set hash. */
    if (is_equal(sent_hashes->file, b->hashes.file) ||
        is_equal(sent_hashes->dataset, b->hashes.dataset)) {
        b->verdict = CARRIER_BACK_INTACT;
        return DS_OK;
    }
    if (sent_hashes->has_pixels && !b->hashes.has_pixels &&
        dicom_dataset_has(came, DICOM_TAG_PIXEL_DATA)) {
        return ds_fail(err, DS_EUNSUPPORTED,
                       "its pixels came in transfer syntax %s and cannot be decoded",
                       b->transfer_syntax);
    }
    b->verdict =
        has_other_pixels(sent_hashes, &b->hashes) ? CARRIER_BACK_PIXELS : CARRIER_BACK_ATTRIBUTES;
    enum ds_status s =
        expected->sent != NULL ? expected->sent(expected->context, &sent, err) : DS_OK;
    if (s == DS_OK && sent != NULL) {
        s = compare(b, sent, came, err);
    }
    if (s == DS_OK && (differs_in_nothing_else(b))) {
        b->verdict = CARRIER_BACK_PIXELS;
    }
    if (s == DS_OK && b->verdict == CARRIER_BACK_PIXELS && is_lossy(sent, came)) {
        b->verdict = CARRIER_BACK_LOSSY;
    }
    return s;
}

/* ---- what a carrier is for ---- */

static bool speaks_for(const struct carrier_found *f, const struct carrier_hashes *original)
{
    const struct stego_manifest *m = stego_part_manifest(carrier_found_part(f));
    return is_equal(m->dataset_hash, original->dataset) &&
           (!original->has_pixels || is_equal(m->pixel_hash, original->pixel));
}

static enum ds_status prove_restored(const struct carrier_found *f,
                                     const struct carrier_hashes *original,
                                     enum carrier_back_proof *out, struct ds_error *err)
{
    struct carrier_restored restored = {0};
    struct ds_error why = {0};
    const enum ds_status s = carrier_restore_pixels(f, &restored, &why);
    if (s == DS_OK) {
        *out = is_equal(restored.hashes.pixel, original->pixel) ? CARRIER_BACK_PROVEN
                                                                : CARRIER_BACK_LOST;
        carrier_restored_free(&restored);
        return DS_OK;
    }
    *out = s == DS_ENOKEY ? CARRIER_BACK_SEALED : CARRIER_BACK_LOST;
    return s == DS_ENOMEM || s == DS_EIO ? ds_fail(err, s, "%s", why.text) : DS_OK;
}

static enum ds_status prove(const struct carrier_back_expected *expected, const uint8_t *file,
                            size_t len, enum carrier_back_proof *out, struct ds_error *err)
{
    *out = CARRIER_BACK_NOT_ASKED;
    if (expected->original == NULL) {
        return DS_OK;
    }
    DS_AUTO(carrier_found_auto) struct carrier_found *found = NULL;
    struct ds_error why = {0};
    const enum ds_status s = carrier_found_load(&found, file, len, expected->keyring, NULL, &why);
    if (s == DS_ENOMEM || s == DS_EIO) {
        return ds_fail(err, s, "%s", why.text);
    }
    if (s != DS_OK || !speaks_for(found, expected->original)) {
        *out = CARRIER_BACK_LOST;
        return DS_OK;
    }
    if (carrier_found_placement(found) == CARRIER_SIDECAR) {
        *out = CARRIER_BACK_PROVEN;
        return DS_OK;
    }
    return prove_restored(found, expected->original, out, err);
}

enum ds_status carrier_read_back(const struct carrier_back_expected *expected, const uint8_t *file,
                                 size_t len, struct carrier_back *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *came = NULL;
    enum ds_status s = dicom_dataset_view(&came, file, len, NULL, err);
    if (s == DS_OK) {
        s = carrier_hashes_of(came, file, len, NULL, &out->hashes, err);
    }
    if (s != DS_OK) {
        return s;
    }
    (void)snprintf(out->transfer_syntax, sizeof(out->transfer_syntax), "%s",
                   dicom_dataset_transfer_syntax(came));
    out->reencoded = !is_equal(expected->hashes.file, out->hashes.file);
    s = judge(expected, came, out, err);
    return s == DS_OK ? prove(expected, file, len, &out->proof, err) : s;
}
