/* SPDX-License-Identifier: Apache-2.0 */
#include "node/description.h"

#include "carrier/carrier.h"

#include <stdio.h>
#include <string.h>

/* A UID that every instance must have (PS3.3 C.12.1, C.7.2, C.7.3). */
static enum ds_status uid_of(const struct dicom_dataset *set, dicom_tag tag, const char *name,
                             char *out, size_t size, struct ds_error *err)
{
    const enum ds_status s = dicom_dataset_get(set, tag, out, size, err);
    if (s != DS_OK) {
        return ds_fail_context(err, s, "%s", name);
    }
    if (out[0] == '\0' || strspn(out, "0123456789.") != strlen(out)) {
        return ds_fail(err, DS_EFORMAT, "the %s is missing or not a UID", name);
    }
    return DS_OK;
}

/* A text that may be missing; what cannot be read as text is left out of the index. */
static void text_of(const struct dicom_dataset *set, dicom_tag tag, char *out, size_t size)
{
    if (dicom_dataset_get_utf8(set, tag, out, size, NULL) != DS_OK) {
        out[0] = '\0';
    }
}

static enum ds_status read_identity(struct description *d, const struct dicom_dataset *set,
                                    struct ds_error *err)
{
    const struct {
        dicom_tag tag;
        const char *name;
        char *out;
    } uids[] = {
        {DICOM_TAG_STUDY_INSTANCE_UID, "Study Instance UID", d->study_uid},
        {DICOM_TAG_SERIES_INSTANCE_UID, "Series Instance UID", d->series_uid},
        {DICOM_TAG_SOP_INSTANCE_UID, "SOP Instance UID", d->sop_uid},
        {DICOM_TAG_SOP_CLASS_UID, "SOP Class UID", d->sop_class_uid},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(uids); i++) {
        const enum ds_status s =
            uid_of(set, uids[i].tag, uids[i].name, uids[i].out, DICOM_UID_BYTES, err);
        if (s != DS_OK) {
            return s;
        }
    }
    text_of(set, DICOM_TAG_ACCESSION_NUMBER, d->accession, sizeof(d->accession));
    text_of(set, DICOM_TAG_PATIENT_ID, d->patient_id, sizeof(d->patient_id));
    text_of(set, DICOM_TAG_PATIENT_NAME, d->patient_name, sizeof(d->patient_name));
    text_of(set, DICOM_TAG_STUDY_DATE, d->study_date, sizeof(d->study_date));
    text_of(set, DICOM_TAG_STUDY_DESCRIPTION, d->study_description, sizeof(d->study_description));
    text_of(set, DICOM_TAG_MODALITY, d->modality, sizeof(d->modality));
    return DS_OK;
}

/* Requested Procedure Priority (PS3.3 C.4.11); few modalities copy it from the worklist. */
static enum db_priority priority_of(const struct dicom_dataset *set)
{
    char text[17];
    text_of(set, DICOM_TAG(0x0040, 0x1003), text, sizeof(text));
    return strcmp(text, "STAT") == 0   ? DB_PRIORITY_STAT
           : strcmp(text, "HIGH") == 0 ? DB_PRIORITY_HIGH
                                       : DB_PRIORITY_LOW; /* asks for nothing */
}

/* Pixel Data, Float Pixel Data or Double Float Pixel Data (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25). */
static bool has_pixel_data(const struct dicom_dataset *set)
{
    return dicom_dataset_has(set, DICOM_TAG_PIXEL_DATA) ||
           dicom_dataset_has(set, DICOM_TAG(0x7fe0, 0x0008)) ||
           dicom_dataset_has(set, DICOM_TAG(0x7fe0, 0x0009));
}

static void read_hashes(struct description *d, const struct carrier_original *original)
{
    const struct carrier_hashes *h = carrier_original_hashes(original);
    d->row.has_pixel_hash = h->has_pixels;
    d->row.has_dataset_hash = true;
    d->row.priority = priority_of(carrier_original_dataset(original));
    d->row.has_pixel_data = has_pixel_data(carrier_original_dataset(original));
    memcpy(d->row.pixel_hash, h->pixel, DS_SHA256_BYTES);
    memcpy(d->row.dataset_hash, h->dataset, DS_SHA256_BYTES);
    memcpy(d->row.file_hash, h->file, DS_SHA256_BYTES);
}

static void point_row_here(struct description *d)
{
    d->row.study_uid = d->study_uid;
    d->row.series_uid = d->series_uid;
    d->row.sop_uid = d->sop_uid;
    d->row.sop_class_uid = d->sop_class_uid;
    d->row.transfer_syntax = d->meta.transfer_syntax;
    d->row.accession = d->accession;
    d->row.patient_id = d->patient_id;
    d->row.patient_name = d->patient_name;
    d->row.study_date = d->study_date;
    d->row.study_description = d->study_description;
    d->row.modality = d->modality;
    d->row.calling_ae = d->calling_ae;
    d->row.called_ae = d->called_ae;
    d->row.path = d->path;
}

void description_free(struct description *d)
{
    attributes_free(&d->attributes);
    d->row.attributes = attributes_of(&d->attributes);
}

void description_set_callers(struct description *d, const char *calling_ae, const char *called_ae)
{
    (void)snprintf(d->calling_ae, sizeof(d->calling_ae), "%s", calling_ae);
    (void)snprintf(d->called_ae, sizeof(d->called_ae), "%s", called_ae);
}

static enum ds_status read_texts(struct description *d, const struct dicom_dataset *set,
                                 struct ds_error *err)
{
    enum ds_status s = read_identity(d, set, err);
    if (s == DS_OK) {
        s = attributes_read(&d->attributes, set, err);
    }
    d->row.attributes = attributes_of(&d->attributes);
    return s;
}

enum ds_status description_of_dataset(struct description *d, const struct dicom_dataset *set,
                                      struct ds_error *err)
{
    memset(d, 0, sizeof(*d));
    point_row_here(d);
    return read_texts(d, set, err);
}

static enum ds_status describe(struct description *d, struct carrier_original *original,
                               struct ds_error *err)
{
    memset(d, 0, sizeof(*d));
    point_row_here(d);
    size_t len = 0;
    const uint8_t *file = carrier_original_file(original, &len);
    enum ds_status s = part10_read(&d->meta, file, len, err);
    if (s == DS_OK) {
        s = read_texts(d, carrier_original_dataset(original), err);
    }
    if (s != DS_OK) {
        return s;
    }
    read_hashes(d, original);
    description_set_callers(d, d->meta.source_ae, d->meta.receiving_ae);
    d->row.file_bytes = len;
    d->row.kind = DB_ORIGINAL;
    if (carrier_original_is_carrier(original)) {
        d->row.kind = DB_CARRIER;
    } else if (carrier_is_report_class(d->sop_class_uid)) {
        d->row.kind = DB_REPORT;
    }
    return DS_OK;
}

enum ds_status description_make(struct description *d, const uint8_t *file, size_t len,
                                struct ds_error *err)
{
    DS_AUTO(carrier_original_auto) struct carrier_original *original = NULL;
    d->attributes = (struct attributes){0};
    const enum ds_status s = carrier_original_load(&original, file, len, err);
    return s == DS_OK ? describe(d, original, err) : s;
}

enum ds_status description_open(struct description *d, const char *path, const uint8_t *file_hash,
                                struct carrier_original **original, struct ds_error *err)
{
    DS_AUTO(carrier_original_auto) struct carrier_original *opened = NULL;
    *original = NULL;
    d->attributes = (struct attributes){0};
    enum ds_status s = carrier_original_open_hashed(&opened, path, file_hash, err);
    if (s == DS_OK) {
        s = describe(d, opened, err);
    }
    if (s == DS_OK) {
        *original = opened;
        opened = NULL;
    }
    return s;
}
