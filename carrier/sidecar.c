/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/sidecar.h"

#include "carrier/element.h"

#include <stdio.h>
#include <string.h>

#define TAG_CONTENT_DATE           DICOM_TAG(0x0008, 0x0023)
#define TAG_CONTENT_TIME           DICOM_TAG(0x0008, 0x0033)
#define TAG_REFERENCED_INSTANCE    DICOM_TAG(0x0008, 0x114a)
#define TAG_CREATOR_VERSION_UID    DICOM_TAG(0x0008, 0x9123)
#define TAG_CONTRIBUTING_EQUIPMENT DICOM_TAG(0x0018, 0xa001)
#define TAG_PURPOSE_OF_REFERENCE   DICOM_TAG(0x0040, 0xa170)
#define TAG_ACQUISITION_CONTEXT    DICOM_TAG(0x0040, 0x0555)

/* ---- whose it is ---- */

/* Patient (PS3.3 C.7.1.1), General Study (C.7.2.1), Patient Study (C.7.2.2), and the character set
 * that their values are in. Type 2 elements are there also when the original lacks them. */
static const struct {
    dicom_tag tag;
    bool is_type_2;
} inherited[] = {
    {DICOM_TAG_SPECIFIC_CHARACTER_SET, false},
    {DICOM_TAG_STUDY_DATE, true},
    {DICOM_TAG_STUDY_TIME, true},
    {DICOM_TAG_ACCESSION_NUMBER, true},
    {DICOM_TAG(0x0008, 0x0051), false}, /* Issuer of Accession Number */
    {DICOM_TAG(0x0008, 0x0090), true},  /* Referring Physician's Name */
    {DICOM_TAG(0x0008, 0x0201), false}, /* Timezone Offset From UTC */
    {DICOM_TAG_STUDY_DESCRIPTION, false},
    {DICOM_TAG_PATIENT_NAME, true},
    {DICOM_TAG_PATIENT_ID, true},
    {DICOM_TAG(0x0010, 0x0021), false}, /* Issuer of Patient ID */
    {DICOM_TAG(0x0010, 0x0022), false}, /* Type of Patient ID */
    {DICOM_TAG(0x0010, 0x0024), false}, /* Issuer of Patient ID Qualifiers */
    {DICOM_TAG(0x0010, 0x0030), true},  /* Patient's Birth Date */
    {DICOM_TAG(0x0010, 0x0032), false}, /* Patient's Birth Time */
    {DICOM_TAG(0x0010, 0x0040), true},  /* Patient's Sex */
    {DICOM_TAG(0x0010, 0x1001), false}, /* Other Patient Names */
    {DICOM_TAG(0x0010, 0x1002), false}, /* Other Patient IDs */
    {DICOM_TAG(0x0010, 0x1010), false}, /* Patient's Age */
    {DICOM_TAG(0x0010, 0x1020), false}, /* Patient's Size */
    {DICOM_TAG(0x0010, 0x1030), false}, /* Patient's Weight */
    {DICOM_TAG(0x0010, 0x2201), false}, /* Patient Species Description */
    {DICOM_TAG(0x0010, 0x2202), false}, /* Patient Species Code */
    {DICOM_TAG(0x0010, 0x2292), false}, /* Patient Breed Description */
    {DICOM_TAG(0x0010, 0x2293), false}, /* Patient Breed Code */
    {DICOM_TAG(0x0010, 0x2294), false}, /* Breed Registration */
    {DICOM_TAG(0x0010, 0x2297), false}, /* Responsible Person */
    {DICOM_TAG(0x0010, 0x2298), false}, /* Responsible Person Role */
    {DICOM_TAG(0x0010, 0x2299), false}, /* Responsible Organization */
    {DICOM_TAG(0x0012, 0x0062), false}, /* Patient Identity Removed */
    {DICOM_TAG(0x0012, 0x0063), false}, /* De-identification Method */
    {DICOM_TAG(0x0012, 0x0064), false}, /* De-identification Method Code */
    {DICOM_TAG_STUDY_INSTANCE_UID, false},
    {DICOM_TAG(0x0020, 0x0010), true}, /* Study ID */
};

#define INHERITED_MAX_BYTES (16U * 1024U * 1024U)

static enum ds_status inherit(struct dicom_dataset *d, const struct dicom_dataset *from,
                              struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(inherited) && s == DS_OK; i++) {
        DS_AUTO(ds_bytes_free) struct ds_bytes element = DS_BYTES_INIT(INHERITED_MAX_BYTES);
        s = dicom_dataset_export(from, inherited[i].tag, &element, err);
        if (s == DS_OK && element.len > 0) {
            s = dicom_dataset_import(d, element.data, element.len, err);
        } else if (s == DS_OK && inherited[i].is_type_2) {
            s = dicom_dataset_set(d, inherited[i].tag, "", err);
        }
    }
    return s;
}

/* ---- what it is ---- */

/* A UID of a purpose, from what makes it unique. The same instance and capsule give the same UID,
 * so that a retry is the same sidecar. */
struct uid_source {
    const void *data;
    size_t len;
};

static enum ds_status set_uid(struct dicom_dataset *d, dicom_tag tag, const char *purpose,
                              const struct uid_source *sources, size_t count, struct ds_error *err)
{
    char uid[DICOM_UID_BYTES];
    uint8_t digest[DS_SHA256_BYTES];
    struct ds_sha256 *h = NULL;
    enum ds_status s = ds_sha256_new(&h, err);
    if (s == DS_OK) {
        s = ds_sha256_update(h, purpose, strlen(purpose) + 1, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = ds_sha256_update(h, sources[i].data, sources[i].len, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_final(h, digest, err);
    }
    ds_sha256_free(h);
    if (s != DS_OK) {
        return s;
    }
    dicom_uid_from_digest(digest, uid);
    return dicom_dataset_set(d, tag, uid, err);
}

static enum ds_status set_uids(struct dicom_dataset *d, const struct carrier_original *o,
                               const struct carrier_derivation *how, struct ds_error *err)
{
    char study[DICOM_UID_BYTES] = "";
    const struct uid_source series[] = {{study, sizeof(study)},
                                        {how->capsule_id, STEGO_CAPSULE_ID_BYTES}};
    /* By the data set's hash: two originals may have one UID, and both get a sidecar. */
    const struct uid_source instance[] = {{o->hashes.dataset, sizeof(o->hashes.dataset)},
                                          {how->capsule_id, STEGO_CAPSULE_ID_BYTES}};
    enum ds_status s =
        dicom_dataset_get(o->dataset, DICOM_TAG_STUDY_INSTANCE_UID, study, sizeof(study), err);
    if (s == DS_OK) {
        s = set_uid(d, DICOM_TAG_SERIES_INSTANCE_UID, "dicomstego sidecar series", series,
                    DS_ARRAY_SIZE(series), err);
    }
    if (s == DS_OK) {
        s = set_uid(d, DICOM_TAG_SOP_INSTANCE_UID, "dicomstego sidecar", instance,
                    DS_ARRAY_SIZE(instance), err);
    }
    return s == DS_OK ? set_uid(d, TAG_CREATOR_VERSION_UID, CARRIER_SIDECAR_CREATOR, NULL, 0, err)
                      : s;
}

/* General Series, General Equipment, Raw Data (PS3.3 C.7.3.1, C.7.5.1, C.19.1). The times are UTC:
 * when the capsule was sealed. Instance Number may be empty and is left so. */
static enum ds_status set_series(struct dicom_dataset *d, const char *when, struct ds_error *err)
{
    char date[9] = "";
    char time[7] = "";
    (void)snprintf(date, sizeof(date), "%.8s", when);
    (void)snprintf(time, sizeof(time), "%.6s", when + 8);
    const struct dicom_value values[] = {
        {DICOM_TAG_SOP_CLASS_UID, CARRIER_SIDECAR_CLASS},
        {DICOM_TAG_MODALITY, "OT"},
        {DICOM_TAG(0x0008, 0x0070), "dicomstego"},
        {DICOM_TAG(0x0018, 0x1020), DICOMSTEGO_VERSION},
        {DICOM_TAG_SERIES_DESCRIPTION, "dicomstego sidecars"},
        {DICOM_TAG_SERIES_NUMBER, "9002"},
        {DICOM_TAG(0x0020, 0x0060), ""}, /* Laterality: type 2C, nobody said */
        {DICOM_TAG_INSTANCE_NUMBER, ""},
        {TAG_CONTENT_DATE, date},
        {TAG_CONTENT_TIME, time},
        {DICOM_TAG(0x0070, 0x0080), "SEALED"},
        {DICOM_TAG(0x0070, 0x0081), "A sealed document about the instance that is referenced"},
    };
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(values) && s == DS_OK; i++) {
        s = dicom_dataset_set(d, values[i].tag, values[i].value, err);
    }
    return s == DS_OK ? carrier_set_empty_sequence(d, TAG_ACQUISITION_CONTEXT, err) : s;
}

static enum ds_status add_reference(struct dicom_dataset *d, const struct dicom_dataset *beside,
                                    struct ds_error *err)
{
    char sop_class[DICOM_UID_BYTES] = "";
    char instance[DICOM_UID_BYTES] = "";
    enum ds_status s =
        dicom_dataset_get(beside, DICOM_TAG_SOP_CLASS_UID, sop_class, sizeof(sop_class), err);
    if (s == DS_OK) {
        s = dicom_dataset_get(beside, DICOM_TAG_SOP_INSTANCE_UID, instance, sizeof(instance), err);
    }
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x1150), sop_class},
        {DICOM_TAG(0x0008, 0x1155), instance},
    };
    const struct dicom_code purpose = {TAG_PURPOSE_OF_REFERENCE, "121335", "DCM",
                                       "Source Document"};
    return s == DS_OK ? dicom_dataset_append_item(d, TAG_REFERENCED_INSTANCE, values,
                                                  DS_ARRAY_SIZE(values), &purpose, err)
                      : s;
}

static enum ds_status add_equipment(struct dicom_dataset *d, const struct carrier_derivation *how,
                                    const char *when, struct ds_error *err)
{
    const char *station = how->options->station != NULL ? how->options->station : "DICOMSTEGO";
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x0070), "dicomstego"},
        {DICOM_TAG(0x0008, 0x1010), station},
        {DICOM_TAG(0x0018, 0x1020), DICOMSTEGO_VERSION},
        {DICOM_TAG(0x0018, 0xa002), when},
        {DICOM_TAG(0x0018, 0xa003), "Sealed document beside an instance that is left untouched"},
    };
    const struct dicom_code purpose = {TAG_PURPOSE_OF_REFERENCE, "109102", "DCM",
                                       "Processing Equipment"};
    return dicom_dataset_append_item(d, TAG_CONTRIBUTING_EQUIPMENT, values, DS_ARRAY_SIZE(values),
                                     &purpose, err);
}

/* An OB value has an even length (PS3.5 6.2), so the true one stands before it. */
static enum ds_status set_payload(struct dicom_dataset *d, const struct ds_bytes *payload,
                                  struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes value = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES + 4U);
    enum ds_status s = ds_bytes_put_be(&value, payload->len, 4, err);
    if (s == DS_OK) {
        s = ds_bytes_append(&value, payload->data, payload->len, err);
    }
    return s == DS_OK ? dicom_dataset_set_bytes(d, CARRIER_SIDECAR_TAG, CARRIER_SIDECAR_CREATOR,
                                                value.data, value.len, err)
                      : s;
}

enum ds_status carrier_sidecar_build(const struct carrier_original *o,
                                     const struct dicom_dataset *beside,
                                     const struct carrier_derivation *how,
                                     const struct ds_bytes *payload, struct dicom_dataset **out,
                                     struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    char when[CARRIER_DATE_TIME_BYTES];
    carrier_format_date_time(how->created_utc_us, when);
    enum ds_status s = dicom_dataset_new(&d, err);
    if (s == DS_OK) {
        s = inherit(d, o->dataset, err);
    }
    if (s == DS_OK) {
        s = set_series(d, when, err);
    }
    if (s == DS_OK) {
        s = set_uids(d, o, how, err);
    }
    if (s == DS_OK) {
        s = add_reference(d, beside, err);
    }
    if (s == DS_OK) {
        s = add_equipment(d, how, when, err);
    }
    if (s == DS_OK) {
        s = set_payload(d, payload, err);
    }
    if (s == DS_OK) {
        *out = d;
        d = NULL;
    }
    return s;
}

/* ---- reading ---- */

enum ds_status carrier_sidecar_payload(const struct dicom_dataset *d, struct ds_bytes *out,
                                       struct ds_error *err)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    char sop_class[DICOM_UID_BYTES] = "";
    enum ds_status s =
        dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, sop_class, sizeof(sop_class), err);
    if (s != DS_OK || strcmp(sop_class, CARRIER_SIDECAR_CLASS) != 0) {
        return ds_fail(err, DS_ENOTHING, "carries nothing");
    }
    s = dicom_dataset_private_bytes(d, CARRIER_SIDECAR_TAG, CARRIER_SIDECAR_CREATOR, &data, &len,
                                    err);
    if (s != DS_OK) {
        return s;
    }
    if (data == NULL) {
        return ds_fail(err, DS_ENOTHING, "carries nothing");
    }
    struct ds_cursor c = ds_cursor_over(data, len);
    const size_t payload_len = (size_t)ds_cursor_be(&c, 4);
    const uint8_t *payload = ds_cursor_bytes(&c, payload_len);
    if (payload == NULL || ds_cursor_left(&c) > 1) {
        return ds_fail(err, DS_EAUTH, "the sidecar was altered");
    }
    return ds_bytes_append(out, payload, payload_len, err);
}

/* A UID is padded with a NUL to an even length (PS3.5 9.1); some pad with a space. */
static bool take_uid(const struct carrier_element *e, char uid[DICOM_UID_BYTES])
{
    size_t len = e->len;
    while (len > 0 && (e->value[len - 1] == 0 || e->value[len - 1] == ' ')) {
        len--;
    }
    if (len >= DICOM_UID_BYTES) {
        return false;
    }
    memcpy(uid, e->value, len);
    uid[len] = '\0';
    return strspn(uid, "0123456789.") == len;
}

/* Into the sequence, into its first item, to Referenced SOP Instance UID. The data set gives every
 * sequence and item an explicit length. */
static bool find_referenced(const struct ds_bytes *sequence, char uid[DICOM_UID_BYTES])
{
    struct carrier_element e = {0};
    struct ds_cursor c = ds_cursor_over(sequence->data, sequence->len);
    for (unsigned depth = 0; depth < 2; depth++) {
        if (!carrier_element_read(&c, &e) || e.value == NULL) {
            return false;
        }
        c = ds_cursor_over(e.value, e.len);
    }
    while (ds_cursor_left(&c) > 0 && carrier_element_read(&c, &e) && e.value != NULL) {
        if (e.group == 0x0008 && e.number == 0x1155) {
            return take_uid(&e, uid);
        }
    }
    return false;
}

enum ds_status carrier_sidecar_names(const struct dicom_dataset *d, char uid[DICOM_UID_BYTES],
                                     struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes sequence = DS_BYTES_INIT(INHERITED_MAX_BYTES);
    uid[0] = '\0';
    const enum ds_status s = dicom_dataset_export(d, TAG_REFERENCED_INSTANCE, &sequence, err);
    if (s == DS_OK && !find_referenced(&sequence, uid)) {
        uid[0] = '\0';
    }
    return s;
}
