/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes - what queries are to know about one instance (dicom/query_key.h), as the database
 * takes it (db/find.h).
 */
#ifndef DICOMSTEGO_NODE_ATTRIBUTES_H
#define DICOMSTEGO_NODE_ATTRIBUTES_H

#include "db/db.h"
#include "dicom/dataset.h"

/* JSON and comparable names, owned; all NULL: nothing. */
struct attributes {
    char *study, *series, *instance, *name_key, *name_words;
};

/* Values that are longer than 1023 bytes, or no text, are left out. DS_ENOMEM. */
DS_CHECKED enum ds_status attributes_read(struct attributes *out, const struct dicom_dataset *set,
                                          struct ds_error *err);
void attributes_free(struct attributes *a);
struct db_attributes attributes_of(const struct attributes *a); /* borrowed */

/* The member of a level's JSON object. folded: of a person name as it is compared. */
#define ATTRIBUTE_NAME_BYTES 10U
void attributes_name(dicom_tag tag, bool folded, char out[ATTRIBUTE_NAME_BYTES]);

#endif
