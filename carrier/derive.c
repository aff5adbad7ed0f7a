/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes that say that an instance is derived, from what, by whom and how (PS3.3 C.7.6.1,
 * C.12.1). */
#include "carrier/carrier_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define TAG_DERIVATION_DESCRIPTION DICOM_TAG(0x0008, 0x2111)
#define TAG_SOURCE_IMAGE_SEQUENCE  DICOM_TAG(0x0008, 0x2112)
#define TAG_CONTRIBUTING_EQUIPMENT DICOM_TAG(0x0018, 0xa001)
#define TAG_LOSSY_COMPRESSION      DICOM_TAG(0x0028, 0x2110)
#define TAG_PURPOSE_OF_REFERENCE   DICOM_TAG(0x0040, 0xa170)

/* Indices are written into records: append only. */
const dicom_tag carrier_derived_tags[] = {
    DICOM_TAG_IMAGE_TYPE,      DICOM_TAG_SOP_INSTANCE_UID, TAG_DERIVATION_DESCRIPTION,
    TAG_SOURCE_IMAGE_SEQUENCE, TAG_CONTRIBUTING_EQUIPMENT, DICOM_TAG_SERIES_INSTANCE_UID,
    TAG_LOSSY_COMPRESSION,
};
const size_t carrier_derived_tag_count = DS_ARRAY_SIZE(carrier_derived_tags);

/* The same original and capsule give the same new UID, so that a retry is the same instance. */
static enum ds_status derived_uid(const char *old, const uint8_t *capsule_id,
                                  char out[DICOM_UID_BYTES], struct ds_error *err)
{
    static const char purpose[] = "dicomstego carrier";
    DS_AUTO(ds_bytes_free) struct ds_bytes b = DS_BYTES_INIT(1024);
    uint8_t digest[DS_SHA256_BYTES];
    enum ds_status s = ds_bytes_append(&b, purpose, sizeof(purpose), err);
    if (s == DS_OK) {
        s = ds_bytes_append(&b, old, strlen(old) + 1, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(&b, capsule_id, STEGO_CAPSULE_ID_BYTES, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_of(b.data, b.len, digest, err);
    }
    if (s == DS_OK) {
        dicom_uid_from_digest(digest, out);
    }
    return s;
}

static enum ds_status replace_uid(struct dicom_dataset *d, dicom_tag tag,
                                  const struct carrier_derivation *how, struct ds_error *err)
{
    char old[DICOM_UID_BYTES] = "";
    char new[DICOM_UID_BYTES] = "";
    enum ds_status s = dicom_dataset_get(d, tag, old, sizeof(old), err);
    if (s == DS_OK) {
        s = derived_uid(old, how->capsule_id, new, err);
    }
    return s == DS_OK ? dicom_dataset_set(d, tag, new, err) : s;
}

/* Value 1 says DERIVED, the others stay: value 2 is about the examination, 3 about the IOD. */
static enum ds_status set_image_type(struct dicom_dataset *d, struct ds_error *err)
{
    char old[1024] = "";
    char new[1024 + 16] = "";
    const enum ds_status s = dicom_dataset_get(d, DICOM_TAG_IMAGE_TYPE, old, sizeof(old), err);
    if (s != DS_OK) {
        return s;
    }
    const char *rest = strchr(old, '\\');
    (void)snprintf(new, sizeof(new), "DERIVED%s", rest != NULL ? rest : "\\SECONDARY");
    return dicom_dataset_set(d, DICOM_TAG_IMAGE_TYPE, new, err);
}

static enum ds_status add_source_image(struct dicom_dataset *d, const struct carrier_original *o,
                                       struct ds_error *err)
{
    char sop_class[DICOM_UID_BYTES] = "";
    char instance[DICOM_UID_BYTES] = "";
    enum ds_status s =
        dicom_dataset_get(o->dataset, DICOM_TAG_SOP_CLASS_UID, sop_class, sizeof(sop_class), err);
    if (s == DS_OK) {
        s = dicom_dataset_get(o->dataset, DICOM_TAG_SOP_INSTANCE_UID, instance, sizeof(instance),
                              err);
    }
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x1150), sop_class},
        {DICOM_TAG(0x0008, 0x1155), instance},
    };
    const struct dicom_code purpose = {TAG_PURPOSE_OF_REFERENCE, "121322", "DCM",
                                       "Source image for image processing operation"};
    return s == DS_OK ? dicom_dataset_append_item(d, TAG_SOURCE_IMAGE_SEQUENCE, values,
                                                  DS_ARRAY_SIZE(values), &purpose, err)
                      : s;
}

#define DESCRIPTION_MAX 1024U /* VR ST */

static enum ds_status describe(struct dicom_dataset *d, const struct carrier_derivation *how,
                               struct ds_error *err)
{
    const bool covered = !carrier_region_is_empty(&how->options->region);
    const char *what =
        how->placement == CARRIER_SIDECAR
            ? "dicomstego: a sealed document was added as a private attribute; pixels unchanged"
        : covered ? "dicomstego: a sealed document was hidden reversibly in the pixel values and a "
                    "key region covered; the original can be restored exactly"
                  : "dicomstego: a sealed document was hidden reversibly in the pixel values; the "
                    "original can be restored exactly";
    char old[4 * DESCRIPTION_MAX] = "";
    char new[sizeof(old) + DESCRIPTION_MAX] = "";
    const enum ds_status s =
        dicom_dataset_get(d, TAG_DERIVATION_DESCRIPTION, old, sizeof(old), err);
    if (s != DS_OK) {
        return s;
    }
    const bool keep = old[0] != '\0' && strlen(old) + strlen(what) + 2 <= DESCRIPTION_MAX;
    (void)snprintf(new, sizeof(new), "%s%s%s", keep ? old : "", keep ? "; " : "", what);
    return dicom_dataset_set(d, TAG_DERIVATION_DESCRIPTION, new, err);
}

/* VR DT in UTC (PS3.5 6.2), to the second: "20260131235959+0000". */
static void format_date_time(int64_t utc_us, char out[32])
{
    char t[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(utc_us, t);
    (void)snprintf(out, 32, "%.4s%.2s%.2s%.2s%.2s%.2s+0000", t, t + 5, t + 8, t + 11, t + 14,
                   t + 17);
}

static enum ds_status add_equipment(struct dicom_dataset *d, const struct carrier_derivation *how,
                                    struct ds_error *err)
{
    char when[32];
    format_date_time(how->created_utc_us, when);
    const char *station = how->options->station != NULL ? how->options->station : "DICOMSTEGO";
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x0070), "dicomstego"},
        {DICOM_TAG(0x0008, 0x1010), station},
        {DICOM_TAG(0x0018, 0x1020), DICOMSTEGO_VERSION},
        {DICOM_TAG(0x0018, 0xa002), when},
        {DICOM_TAG(0x0018, 0xa003), "Reversible data hiding"},
    };
    const struct dicom_code purpose = {TAG_PURPOSE_OF_REFERENCE, "109103", "DCM",
                                       "Modifying Equipment"};
    return dicom_dataset_append_item(d, TAG_CONTRIBUTING_EQUIPMENT, values, DS_ARRAY_SIZE(values),
                                     &purpose, err);
}

/* What only an image has. */
static enum ds_status derive_image(struct dicom_dataset *d, const struct carrier_original *o,
                                   const struct carrier_derivation *how, struct ds_error *err)
{
    enum ds_status s = set_image_type(d, err);
    if (s == DS_OK && !how->options->retain_uids) {
        s = add_source_image(d, o, err);
    }
    if (s == DS_OK) {
        s = describe(d, how, err);
    }
    /* PS3.3 C.7.6.1.1.5: once lossy, always said to be lossy. */
    if (s == DS_OK && o->pixels.was_lossy && !dicom_dataset_has(d, TAG_LOSSY_COMPRESSION)) {
        s = dicom_dataset_set(d, TAG_LOSSY_COMPRESSION, "01", err);
    }
    return s;
}

enum ds_status carrier_derive(const struct carrier_original *o,
                              const struct carrier_derivation *how, struct dicom_dataset **out,
                              struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_copy(&d, o->dataset, err);
    if (s == DS_OK && !how->options->retain_uids) {
        s = replace_uid(d, DICOM_TAG_SOP_INSTANCE_UID, how, err);
    }
    if (s == DS_OK && !how->options->retain_uids) {
        s = replace_uid(d, DICOM_TAG_SERIES_INSTANCE_UID, how, err);
    }
    if (s == DS_OK && dicom_dataset_has(d, DICOM_TAG_PIXEL_DATA)) {
        s = derive_image(d, o, how, err);
    }
    if (s == DS_OK) {
        s = add_equipment(d, how, err);
    }
    if (s == DS_OK) {
        *out = d;
        d = NULL;
    }
    return s;
}
