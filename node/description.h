/* SPDX-License-Identifier: Apache-2.0 */
/*
 * description - what the database is to know about one instance, read from its Part 10 file.
 */
#ifndef DICOMSTEGO_NODE_DESCRIPTION_H
#define DICOMSTEGO_NODE_DESCRIPTION_H

#include "carrier/carrier.h"
#include "db/db.h"
#include "node/archive.h"
#include "node/attributes.h"
#include "node/part10.h"

struct description {
    struct db_received row; /* its strings point into this object: do not copy it */
    struct part10 meta;
    char study_uid[DICOM_UID_BYTES], series_uid[DICOM_UID_BYTES], sop_uid[DICOM_UID_BYTES];
    char sop_class_uid[DICOM_UID_BYTES];
    char calling_ae[DICOM_AE_BYTES], called_ae[DICOM_AE_BYTES];
    char accession[DB_TEXT_BYTES], patient_id[DB_TEXT_BYTES], patient_name[DB_TEXT_BYTES];
    char study_date[32], study_description[DB_TEXT_BYTES], modality[32];
    char path[ARCHIVE_PATH_BYTES];
    struct attributes attributes;
};

/* Fills everything but path, received_us and restored_from, and is freed in either case; kind is
 * carrier, report or original, as the bytes say. DS_EFORMAT: not DICOM, or without the UIDs that
 * make an instance. */
DS_CHECKED enum ds_status description_make(struct description *d, const uint8_t *file, size_t len,
                                           struct ds_error *err);
/* The same from a file that is mapped; *original, without its samples, is the caller's. file_hash:
 * that of the spool; NULL: computed. */
DS_CHECKED enum ds_status description_open(struct description *d, const char *path,
                                           const uint8_t *file_hash,
                                           struct carrier_original **original,
                                           struct ds_error *err);
/* Only what the data set says of itself: UIDs, texts and attributes, no hashes. Likewise freed. */
DS_CHECKED enum ds_status description_of_dataset(struct description *d,
                                                 const struct dicom_dataset *set,
                                                 struct ds_error *err);
void description_free(struct description *d);
void description_set_callers(struct description *d, const char *calling_ae, const char *called_ae);

#endif
