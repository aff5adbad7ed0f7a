/* SPDX-License-Identifier: Apache-2.0 */
/*
 * references - Key Objects, presentation states, structured reports, RT objects and segmentations
 * name the instances and series that they are about. Where those travel as carriers under new UIDs,
 * the names are rewritten in what is sent, and put back on recovery.
 *
 * Every value of VR UI, at any depth, that is in a map of old to new UIDs is replaced: Referenced
 * SOP Instance UIDs and the Series Instance UIDs around them, with whatever else names the same
 * instances. The object's own SOP and Series Instance UID are not references. A frame of reference
 * or a study is in no map.
 */
#ifndef DICOMSTEGO_CARRIER_REFERENCES_H
#define DICOMSTEGO_CARRIER_REFERENCES_H

#include "dicom/dataset.h"

struct carrier_uid_map; /* read by many threads once it is complete */

DS_CHECKED enum ds_status carrier_uid_map_new(struct carrier_uid_map **out, struct ds_error *err);
void carrier_uid_map_free(struct carrier_uid_map *m);
void carrier_uid_map_auto(struct carrier_uid_map **m);
/* Both are copied. DS_EINVAL when one is empty or too long. The first of two for one old UID
 * counts. */
DS_CHECKED enum ds_status carrier_uid_map_add(struct carrier_uid_map *m, const char *old,
                                              const char *new, struct ds_error *err);
/* Sorts; before it nothing is found. */
void carrier_uid_map_complete(struct carrier_uid_map *m);
/* NULL: not in the map. Borrowed. len without padding. */
const char *carrier_uid_map_find(const struct carrier_uid_map *m, const char *old, size_t len);

/* Replaces what d refers to. Appends to record what was there, for carrier_references_undo; nothing
 * and *count 0 when d refers to nothing in the map: then d is as it was. docs/restore-record.md,
 * "references". */
DS_CHECKED enum ds_status carrier_references_rewrite(struct dicom_dataset *d,
                                                     const struct carrier_uid_map *map,
                                                     struct ds_bytes *record, size_t *count,
                                                     struct ds_error *err);
/* Puts back what the record, authenticated before, says. DS_EFORMAT: damaged; DS_EAUTH: not the
 * record of this data set. Whether the result is the original, its hash decides. */
DS_CHECKED enum ds_status carrier_references_undo(struct dicom_dataset *d, const uint8_t *record,
                                                  size_t len, struct ds_error *err);

#endif
