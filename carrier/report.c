/* SPDX-License-Identifier: Apache-2.0 */
/* Reports as DICOM objects: Encapsulated PDF (PS3.3 A.45.1) and Basic Text SR (PS3.3 A.35.1). */
#include "carrier/carrier_private.h"

#include <stdio.h>
#include <string.h>

#define UID_BASIC_TEXT_SR    "1.2.840.10008.5.1.4.1.1.88.11"
#define UID_ENCAPSULATED_PDF "1.2.840.10008.5.1.4.1.1.104.1"

#define TAG_CONCEPT_NAME DICOM_TAG(0x0040, 0xa043)

bool carrier_is_report_class(const char *sop_class_uid)
{
    /* Basic, Enhanced and Comprehensive SR with their 3D and extensible forms; key objects, CAD and
     * dose reports are not for reading. Then the encapsulated documents. */
    static const char *const classes[] = {
        "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.22",
        "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.34",
        "1.2.840.10008.5.1.4.1.1.88.35", "1.2.840.10008.5.1.4.1.1.104.1",
        "1.2.840.10008.5.1.4.1.1.104.2",
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(classes); i++) {
        if (strcmp(sop_class_uid, classes[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum ds_status set_all(struct dicom_dataset *d, const struct dicom_value *values,
                              size_t count, struct ds_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const enum ds_status s = dicom_dataset_set(d, values[i].tag, values[i].value, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

/* Patient and study, type 2 where absent, in UTF-8. */
static enum ds_status copy_study(struct dicom_dataset *d, const struct dicom_dataset *reference,
                                 struct ds_error *err)
{
    static const dicom_tag tags[] = {
        DICOM_TAG_STUDY_DATE,      DICOM_TAG_STUDY_TIME,      DICOM_TAG_ACCESSION_NUMBER,
        DICOM_TAG(0x0008, 0x0090), DICOM_TAG_PATIENT_NAME,    DICOM_TAG_PATIENT_ID,
        DICOM_TAG(0x0010, 0x0030), DICOM_TAG(0x0010, 0x0040), DICOM_TAG_STUDY_INSTANCE_UID,
        DICOM_TAG(0x0020, 0x0010),
    };
    enum ds_status s = dicom_dataset_set(d, DICOM_TAG_SPECIFIC_CHARACTER_SET, "ISO_IR 192", err);
    for (size_t i = 0; i < DS_ARRAY_SIZE(tags) && s == DS_OK; i++) {
        char value[1024] = "";
        s = dicom_dataset_get_utf8(reference, tags[i], value, sizeof(value), err);
        if (s == DS_OK) {
            s = dicom_dataset_set(d, tags[i], value, err);
        }
    }
    char description[1024] = "";
    if (s == DS_OK) {
        s = dicom_dataset_get_utf8(reference, DICOM_TAG_STUDY_DESCRIPTION, description,
                                   sizeof(description), err);
    }
    return s == DS_OK && description[0] != '\0'
               ? dicom_dataset_set(d, DICOM_TAG_STUDY_DESCRIPTION, description, err)
               : s;
}

/* From what it is and where it belongs, so that the same report becomes the same object again. */
static enum ds_status set_uid(struct dicom_dataset *d, dicom_tag tag, const char *purpose,
                              const uint8_t *data, size_t len, struct ds_error *err)
{
    char study[DICOM_UID_BYTES] = "";
    char uid[DICOM_UID_BYTES] = "";
    uint8_t digest[DS_SHA256_BYTES];
    struct ds_sha256 *h = NULL;
    enum ds_status s =
        dicom_dataset_get(d, DICOM_TAG_STUDY_INSTANCE_UID, study, sizeof(study), err);
    if (s == DS_OK) {
        s = ds_sha256_new(&h, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_update(h, purpose, strlen(purpose) + 1, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_update(h, study, strlen(study) + 1, err);
    }
    if (s == DS_OK && len > 0) {
        s = ds_sha256_update(h, data, len, err);
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

static enum ds_status set_identity(struct dicom_dataset *d, const char *sop_class,
                                   const char *modality, const struct ds_bytes *report,
                                   struct ds_error *err)
{
    const struct dicom_value values[] = {
        {DICOM_TAG_SOP_CLASS_UID, sop_class},      {DICOM_TAG_MODALITY, modality},
        {DICOM_TAG(0x0008, 0x0070), "dicomstego"}, {DICOM_TAG(0x0018, 0x1020), DICOMSTEGO_VERSION},
        {DICOM_TAG_SERIES_DESCRIPTION, "Report"},  {DICOM_TAG_SERIES_NUMBER, "9001"},
        {DICOM_TAG_INSTANCE_NUMBER, "1"},
    };
    enum ds_status s = set_all(d, values, DS_ARRAY_SIZE(values), err);
    if (s == DS_OK) {
        s = set_uid(d, DICOM_TAG_SERIES_INSTANCE_UID, "dicomstego report series",
                    (const uint8_t *)modality, strlen(modality), err);
    }
    return s == DS_OK ? set_uid(d, DICOM_TAG_SOP_INSTANCE_UID, "dicomstego report", report->data,
                                report->len, err)
                      : s;
}

/* Content Date and Time are type 1 in an SR. The report's bytes do not say when it was written; the
 * study's own date is true of the study, and the same each time. */
static enum ds_status set_content_time(struct dicom_dataset *d, struct ds_error *err)
{
    char date[64] = "";
    char time[64] = "";
    enum ds_status s = dicom_dataset_get(d, DICOM_TAG_STUDY_DATE, date, sizeof(date), err);
    if (s == DS_OK) {
        s = dicom_dataset_get(d, DICOM_TAG_STUDY_TIME, time, sizeof(time), err);
    }
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x0023), date[0] != '\0' ? date : "19000101"},
        {DICOM_TAG(0x0008, 0x0033), time[0] != '\0' ? time : "000000"},
    };
    return s == DS_OK ? set_all(d, values, DS_ARRAY_SIZE(values), err) : s;
}

enum ds_status carrier_set_empty_sequence(struct dicom_dataset *d, dicom_tag tag,
                                          struct ds_error *err)
{
    const uint8_t element[12] = {
        (uint8_t)(tag >> 16), (uint8_t)(tag >> 24), (uint8_t)tag, (uint8_t)(tag >> 8), 'S', 'Q'};
    return dicom_dataset_import(d, element, sizeof(element), err);
}

static enum ds_status set_concept(struct dicom_dataset *d, struct ds_error *err)
{
    const struct dicom_value title[] = {
        {DICOM_TAG(0x0008, 0x0100), "18748-4"},
        {DICOM_TAG(0x0008, 0x0102), "LN"},
        {DICOM_TAG(0x0008, 0x0104), "Diagnostic imaging report"},
    };
    return dicom_dataset_append_item(d, TAG_CONCEPT_NAME, title, DS_ARRAY_SIZE(title), NULL, err);
}

/* ---- PDF ---- */

static enum ds_status fill_pdf(struct dicom_dataset *d, const struct stego_opened_document *report,
                               struct ds_error *err)
{
    char length[24];
    (void)snprintf(length, sizeof(length), "%zu", report->data.len);
    const struct dicom_value values[] = {
        {DICOM_TAG(0x0008, 0x002a), ""}, /* Acquisition DateTime, type 2 */
        {DICOM_TAG(0x0008, 0x0064), "WSD"},
        {DICOM_TAG(0x0028, 0x0301), "YES"}, /* a report names its patient */
        {DICOM_TAG(0x0042, 0x0010), report->name},
        {DICOM_TAG(0x0042, 0x0012), "application/pdf"},
        {DICOM_TAG(0x0042, 0x0015), length},
    };
    enum ds_status s = set_identity(d, UID_ENCAPSULATED_PDF, "DOC", &report->data, err);
    if (s == DS_OK) {
        s = set_all(d, values, DS_ARRAY_SIZE(values), err);
    }
    if (s == DS_OK) {
        s = set_content_time(d, err);
    }
    if (s == DS_OK) {
        s = set_concept(d, err);
    }
    return s == DS_OK ? dicom_dataset_set_bytes(d, DICOM_TAG(0x0042, 0x0011), NULL,
                                                report->data.data, report->data.len, err)
                      : s;
}

/* ---- text ---- */

/* Length of the UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t utf8_sequence(const uint8_t *s, size_t left)
{
    static const struct {
        uint8_t low, high, second_low, second_high;
        uint8_t len;
    } forms[] = {
        {0x09, 0x0a, 0, 0, 1},       {0x0c, 0x0d, 0, 0, 1},       {0x20, 0x7e, 0, 0, 1},
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(forms); i++) {
        if (s[0] < forms[i].low || s[0] > forms[i].high || left < forms[i].len) {
            continue;
        }
        if (forms[i].len > 1 && (s[1] < forms[i].second_low || s[1] > forms[i].second_high)) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].len; k++) {
            if (s[k] < 0x80 || s[k] > 0xbf) {
                return 0;
            }
        }
        return forms[i].len;
    }
    return 0;
}

/* A value that a string may hold: UTF-8 without control characters but tab and line ends. */
static bool is_text(const struct ds_bytes *b)
{
    size_t at = 0;
    while (at < b->len) {
        const size_t n = utf8_sequence(b->data + at, b->len - at);
        if (n == 0) {
            return false;
        }
        at += n;
    }
    return b->len > 0;
}

static enum ds_status set_content(struct dicom_dataset *d, const struct ds_bytes *text,
                                  struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes terminated = DS_BYTES_INIT(STEGO_REPORT_MAX_BYTES + 1);
    enum ds_status s = ds_bytes_append(&terminated, text->data, text->len, err);
    if (s == DS_OK) {
        s = ds_bytes_put_u8(&terminated, 0, err);
    }
    const struct dicom_value item[] = {
        {DICOM_TAG(0x0040, 0xa010), "CONTAINS"},
        {DICOM_TAG(0x0040, 0xa040), "TEXT"},
        {DICOM_TAG(0x0040, 0xa160), (const char *)terminated.data},
    };
    const struct dicom_code name = {TAG_CONCEPT_NAME, "121070", "DCM", "Findings"};
    return s == DS_OK ? dicom_dataset_append_item(d, DICOM_TAG(0x0040, 0xa730), item,
                                                  DS_ARRAY_SIZE(item), &name, err)
                      : s;
}

static enum ds_status fill_text(struct dicom_dataset *d, const struct stego_opened_document *report,
                                struct ds_error *err)
{
    static const struct dicom_value values[] = {
        {DICOM_TAG(0x0040, 0xa040), "CONTAINER"},
        {DICOM_TAG(0x0040, 0xa050), "SEPARATE"},
        {DICOM_TAG(0x0040, 0xa491), "COMPLETE"},
        {DICOM_TAG(0x0040, 0xa493), "UNVERIFIED"},
    };
    if (!is_text(&report->data)) {
        return ds_fail(err, DS_EUNSUPPORTED, "the report is not UTF-8 text");
    }
    enum ds_status s = set_identity(d, UID_BASIC_TEXT_SR, "SR", &report->data, err);
    if (s == DS_OK) {
        s = set_all(d, values, DS_ARRAY_SIZE(values), err);
    }
    if (s == DS_OK) {
        s = set_content_time(d, err);
    }
    if (s == DS_OK) {
        s = carrier_set_empty_sequence(d, DICOM_TAG(0x0008, 0x1111),
                                       err); /* performed procedure step */
    }
    if (s == DS_OK) {
        s = carrier_set_empty_sequence(d, DICOM_TAG(0x0040, 0xa372),
                                       err); /* performed procedure code */
    }
    if (s == DS_OK) {
        s = set_concept(d, err);
    }
    return s == DS_OK ? set_content(d, &report->data, err) : s;
}

enum ds_status carrier_report_to_dicom(const struct stego_opened_document *report,
                                       const struct dicom_dataset *reference, struct ds_bytes *out,
                                       struct ds_error *err)
{
    if (strcmp(report->media_type, "application/dicom") == 0) {
        return ds_bytes_append(out, report->data.data, report->data.len, err);
    }
    const bool is_pdf = strcmp(report->media_type, "application/pdf") == 0;
    if (!is_pdf && strncmp(report->media_type, "text/plain", 10) != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "no DICOM object for a report of type %.64s",
                       report->media_type);
    }
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_new(&d, err);
    if (s == DS_OK) {
        s = copy_study(d, reference, err);
    }
    if (s == DS_OK) {
        s = is_pdf ? fill_pdf(d, report, err) : fill_text(d, report, err);
    }
    return s == DS_OK ? dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, out, err) : s;
}
