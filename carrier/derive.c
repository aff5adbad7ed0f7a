/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes that say that an instance is derived, from what, by whom and how (PS3.3 C.7.6.1,
 * C.12.1). */
#include "carrier/carrier_private.h"
#include "carrier/references.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define WHOLE_SLIDE_CLASS "1.2.840.10008.5.1.4.1.1.77.1.6"

#define TAG_REFERENCED_SERIES      DICOM_TAG(0x0008, 0x1115)
#define TAG_DERIVATION_DESCRIPTION DICOM_TAG(0x0008, 0x2111)
#define TAG_SOURCE_IMAGE_SEQUENCE  DICOM_TAG(0x0008, 0x2112)
#define TAG_CONTRIBUTING_EQUIPMENT DICOM_TAG(0x0018, 0xa001)
#define TAG_LOSSY_COMPRESSION      DICOM_TAG(0x0028, 0x2110)
#define TAG_PURPOSE_OF_REFERENCE   DICOM_TAG(0x0040, 0xa170)
#define TAG_MAC_PARAMETERS         DICOM_TAG(0x4ffe, 0x0001)
#define TAG_DIGITAL_SIGNATURES     DICOM_TAG(0xfffa, 0xfffa)

/* Indices are written into records: append only. */
const dicom_tag carrier_derived_tags[] = {
    DICOM_TAG_IMAGE_TYPE,          DICOM_TAG_SOP_INSTANCE_UID,   TAG_DERIVATION_DESCRIPTION,
    TAG_SOURCE_IMAGE_SEQUENCE,     TAG_CONTRIBUTING_EQUIPMENT,   DICOM_TAG_SERIES_INSTANCE_UID,
    TAG_LOSSY_COMPRESSION,         TAG_MAC_PARAMETERS,           TAG_DIGITAL_SIGNATURES,
    CARRIER_TAG_SMALLEST_IN_IMAGE, CARRIER_TAG_LARGEST_IN_IMAGE, CARRIER_TAG_SMALLEST_IN_SERIES,
    CARRIER_TAG_LARGEST_IN_SERIES, TAG_REFERENCED_SERIES,
};
const size_t carrier_derived_tag_count = DS_ARRAY_SIZE(carrier_derived_tags);

/* Without a UID of its own an instance is told apart by what it is. */
static enum ds_status replace_uid(struct dicom_dataset *d, const struct carrier_original *o,
                                  dicom_tag tag, const struct carrier_derivation *how,
                                  struct ds_error *err)
{
    const bool is_series = tag == DICOM_TAG_SERIES_INSTANCE_UID;
    char old[DICOM_UID_BYTES] = "";
    char new[DICOM_UID_BYTES] = "";
    enum ds_status s = dicom_dataset_get(d, tag, old, sizeof(old), err);
    uint8_t apart[DS_SHA256_BYTES] = {0}; /* what tells it apart beside site and old UID */
    const bool by_content = !is_series && (how->options->uid_from_content || old[0] == '\0');
    const bool by_capsule = !is_series && how->options->uid_from_capsule;
    if (by_capsule) {
        memcpy(apart, how->capsule_id, STEGO_CAPSULE_ID_BYTES);
    } else {
        memcpy(apart, o->hashes.dataset, sizeof(apart));
    }
    if (s == DS_OK) {
        s = carrier_derived_uid(is_series ? CARRIER_UID_SERIES : CARRIER_UID_INSTANCE, how->site,
                                old, by_content || by_capsule ? apart : NULL, new, err);
    }
    return s == DS_OK ? dicom_dataset_set(d, tag, new, err) : s;
}

/* The SOP classes whose Image Type sums up the Frame Type of every frame (PS3.3 C.8.16.1): CT, MR,
 * PET and their legacy ones, ultrasound volume, XA, XRF, 3D X-ray, tomosynthesis, optical
 * coherence. */
static bool has_frame_types(const struct dicom_dataset *d)
{
    static const char prefix[] = "1.2.840.10008.5.1.4.1.1.";
    static const char *const classes[] = {"2.1",    "2.2",    "4.1",    "4.3",    "4.4",
                                          "6.2",    "12.1.1", "12.2.1", "13.1.1", "13.1.2",
                                          "13.1.3", "14.1",   "14.2",   "128.1",  "130"};
    char uid[DICOM_UID_BYTES] = "";
    const size_t start = sizeof(prefix) - 1;
    if (dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, uid, sizeof(uid), NULL) != DS_OK ||
        strncmp(uid, prefix, start) != 0) {
        return false;
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(classes); i++) {
        if (strcmp(uid + start, classes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Value 1 says DERIVED, the others stay: value 2 is about the examination, 3 about the IOD. Where
 * frames have types of their own all stay: what was recorded with the frames is allowed only for
 * ORIGINAL and MIXED ones (PS3.3 C.8.13.4). */
static enum ds_status set_image_type(struct dicom_dataset *d, struct ds_error *err)
{
    char old[1024] = "";
    char new[1024 + 16] = "";
    if (has_frame_types(d)) {
        return DS_OK;
    }
    const enum ds_status s = dicom_dataset_get(d, DICOM_TAG_IMAGE_TYPE, old, sizeof(old), err);
    if (s != DS_OK) {
        return s;
    }
    const char *rest = strchr(old, '\\');
    (void)snprintf(new, sizeof(new), "DERIVED%s", rest != NULL ? rest : "\\SECONDARY");
    return dicom_dataset_set(d, DICOM_TAG_IMAGE_TYPE, new, err);
}

/* PS3.5 9.1: components of digits without leading zeros, the first of them 0, 1 or 2. */
static bool is_valid_uid(const char *uid)
{
    const char *p = uid;
    if (p[0] < '0' || p[0] > '2' || p[1] != '.') {
        return false;
    }
    while (*p != '\0') {
        const size_t digits = strspn(p, "0123456789");
        if (digits == 0 || (digits > 1 && p[0] == '0')) {
            return false;
        }
        p += digits;
        if (p[0] == '.' && p[1] != '\0') {
            p++;
        } else if (p[0] != '\0') {
            return false;
        }
    }
    return true;
}

/* Nothing where the original has no UID to refer to; its own, as it was, is in the record. */
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
    if (s == DS_OK && (!is_valid_uid(sop_class) || !is_valid_uid(instance))) {
        return DS_OK;
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

static enum ds_status put_uid(struct ds_bytes *out, dicom_tag tag, const char *uid,
                              struct ds_error *err)
{
    const size_t len = strlen(uid);
    enum ds_status s = ds_bytes_put_le(out, tag >> 16, 2, err);
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, tag & 0xffffU, 2, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, "UI", 2, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, len + (len & 1U), 2, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, uid, len + (len & 1U), err); /* with the terminator as padding */
    }
    return s;
}

/* A sequence of the one item. */
static enum ds_status put_sequence(struct ds_bytes *out, dicom_tag tag, const struct ds_bytes *item,
                                   struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_le(out, tag >> 16, 2, err);
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, tag & 0xffffU, 2, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(out, "SQ\0\0", 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, item->len + 8, 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, 0xe000fffeU, 4, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_le(out, item->len, 4, err);
    }
    return s == DS_OK ? ds_bytes_append(out, item->data, item->len, err) : s;
}

/* Common Instance Reference (PS3.3 C.12.2), where the IOD has that module: the series of the
 * source. One that is there already is about others, and stays. */
static enum ds_status add_source_series(struct dicom_dataset *d, const struct carrier_original *o,
                                        struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes instance = DS_BYTES_INIT(1024);
    DS_AUTO(ds_bytes_free) struct ds_bytes series = DS_BYTES_INIT(1024);
    DS_AUTO(ds_bytes_free) struct ds_bytes element = DS_BYTES_INIT(1024);
    static const dicom_tag tags[] = {DICOM_TAG_SOP_CLASS_UID, DICOM_TAG_SOP_INSTANCE_UID,
                                     DICOM_TAG_SERIES_INSTANCE_UID};
    char uids[3][DICOM_UID_BYTES] = {"", "", ""};
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(tags) && s == DS_OK; i++) {
        s = dicom_dataset_get(o->dataset, tags[i], uids[i], sizeof(uids[i]), err);
    }
    if (s != DS_OK || !is_valid_uid(uids[0]) || !is_valid_uid(uids[1]) || !is_valid_uid(uids[2]) ||
        dicom_dataset_has(d, TAG_REFERENCED_SERIES)) {
        return s;
    }
    s = put_uid(&instance, DICOM_TAG(0x0008, 0x1150), uids[0], err);
    if (s == DS_OK) {
        s = put_uid(&instance, DICOM_TAG(0x0008, 0x1155), uids[1], err);
    }
    if (s == DS_OK) {
        s = put_sequence(&series, DICOM_TAG(0x0008, 0x114a), &instance, err);
    }
    if (s == DS_OK) {
        s = put_uid(&series, DICOM_TAG_SERIES_INSTANCE_UID, uids[2], err);
    }
    if (s == DS_OK) {
        s = put_sequence(&element, TAG_REFERENCED_SERIES, &series, err);
    }
    return s == DS_OK ? dicom_dataset_import(d, element.data, element.len, err) : s;
}

#define DESCRIPTION_MAX 1024U /* VR ST */

static const char *what_was_done(const struct carrier_make_options *options)
{
    if (!carrier_hiding_reverses(&options->hiding)) {
        return "dicomstego: a sealed document was put in the place of the least significant bits "
               "of pixel values; the original cannot be restored";
    }
    return carrier_region_is_empty(&options->region)
               ? "dicomstego: a sealed document was hidden reversibly in the pixel values; the "
                 "original can be restored exactly"
               : "dicomstego: a sealed document was hidden reversibly in the pixel values and a "
                 "key region covered; the original can be restored exactly";
}

static enum ds_status describe(struct dicom_dataset *d, const struct carrier_derivation *how,
                               struct ds_error *err)
{
    const char *what = what_was_done(how->options);
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

void carrier_format_date_time(int64_t utc_us, char out[CARRIER_DATE_TIME_BYTES])
{
    char t[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(utc_us, t);
    (void)snprintf(out, CARRIER_DATE_TIME_BYTES, "%.4s%.2s%.2s%.2s%.2s%.2s+0000", t, t + 5, t + 8,
                   t + 11, t + 14, t + 17);
}

static enum ds_status add_equipment(struct dicom_dataset *d, const struct carrier_derivation *how,
                                    const char *contribution, struct ds_error *err)
{
    char when[CARRIER_DATE_TIME_BYTES];
    carrier_format_date_time(how->created_utc_us, when);
    const char *station = how->options->station != NULL ? how->options->station : "DICOMSTEGO";
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x0070), "dicomstego"},       {DICOM_TAG(0x0008, 0x1010), station},
        {DICOM_TAG(0x0018, 0x1020), DICOMSTEGO_VERSION}, {DICOM_TAG(0x0018, 0xa002), when},
        {DICOM_TAG(0x0018, 0xa003), contribution},
    };
    const struct dicom_code purpose = {TAG_PURPOSE_OF_REFERENCE, "109103", "DCM",
                                       "Modifying Equipment"};
    return dicom_dataset_append_item(d, TAG_CONTRIBUTING_EQUIPMENT, values, DS_ARRAY_SIZE(values),
                                     &purpose, err);
}

/* Was a source named, and does the IOD want its series as well? */
static bool refers_by_series(const struct dicom_dataset *d)
{
    char uid[DICOM_UID_BYTES] = "";
    const bool is_slide =
        dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, uid, sizeof(uid), NULL) == DS_OK &&
        strcmp(uid, WHOLE_SLIDE_CLASS) == 0;
    return (is_slide || has_frame_types(d)) && dicom_dataset_has(d, TAG_SOURCE_IMAGE_SEQUENCE);
}

/* What only an image has. */
static enum ds_status derive_image(struct dicom_dataset *d, const struct carrier_original *o,
                                   const struct carrier_derivation *how, struct ds_error *err)
{
    enum ds_status s = set_image_type(d, err);
    if (s == DS_OK && !how->options->retain_uids) {
        s = add_source_image(d, o, err);
    }
    if (s == DS_OK && !how->options->retain_uids && refers_by_series(d)) {
        s = add_source_series(d, o, err);
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

/* What every derived instance has. */
static enum ds_status derive_instance(struct dicom_dataset *d, const struct carrier_original *o,
                                      const struct carrier_derivation *how,
                                      const char *contribution, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    if (!how->options->retain_uids) {
        s = replace_uid(d, o, DICOM_TAG_SOP_INSTANCE_UID, how, err);
    }
    if (s == DS_OK && !how->options->retain_uids) {
        s = replace_uid(d, o, DICOM_TAG_SERIES_INSTANCE_UID, how, err);
    }
    if (s == DS_OK) {
        /* What they signed is no longer there (PS3.15 C): they travel in the record. Those of items
         * sign the items alone, and these stay as they are. */
        dicom_dataset_remove(d, TAG_MAC_PARAMETERS);
        dicom_dataset_remove(d, TAG_DIGITAL_SIGNATURES);
        s = add_equipment(d, how, contribution, err);
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
    if (s == DS_OK) {
        s = derive_instance(d, o, how,
                            carrier_hiding_reverses(&how->options->hiding)
                                ? "Reversible data hiding"
                                : "Data hiding in least significant bits",
                            err);
    }
    if (s == DS_OK && dicom_dataset_has(d, DICOM_TAG_PIXEL_DATA)) {
        s = derive_image(d, o, how, err);
    }
    if (s == DS_OK) {
        *out = d;
        d = NULL;
    }
    return s;
}

enum ds_status carrier_derive_referring(const struct carrier_original *o,
                                        const struct carrier_derivation *how,
                                        struct dicom_dataset **out, struct ds_bytes *references,
                                        struct ds_error *err)
{
    *out = NULL;
    if (how->options->references == NULL || how->options->retain_uids) {
        return DS_OK;
    }
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    size_t count = 0;
    enum ds_status s = dicom_dataset_copy(&d, o->dataset, err);
    if (s == DS_OK) {
        s = carrier_references_rewrite(d, how->options->references, references, &count, err);
    }
    if (s != DS_OK || count == 0) {
        return s;
    }
    s = derive_instance(d, o, how, "References rewritten to the derived instances that were sent",
                        err);
    if (s == DS_OK) {
        *out = d;
        d = NULL;
    }
    return s;
}
