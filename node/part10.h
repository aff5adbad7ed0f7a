/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part10 - the File Meta Information that the spool and the restorer write (PS3.10 7.1).
 *
 * Group 0002 is always Explicit VR Little Endian. Read here without the toolkit, because the node
 * needs three things fast: where the data set begins, its transfer syntax, and who brought it.
 */
#ifndef DICOMSTEGO_NODE_PART10_H
#define DICOMSTEGO_NODE_PART10_H

#include "dicom/dataset.h"

struct part10 {
    size_t dataset_offset;
    char transfer_syntax[DICOM_UID_BYTES];
    char sop_instance_uid[DICOM_UID_BYTES]; /* as announced in the C-STORE command */
    char source_ae[DICOM_AE_BYTES];         /* (0002,0016): the calling title */
    char receiving_ae[DICOM_AE_BYTES];      /* (0002,0018): the called title */
};

/* DS_EFORMAT when the bytes are no Part 10 file. */
DS_CHECKED enum ds_status part10_read(struct part10 *out, const uint8_t *file, size_t len,
                                      struct ds_error *err);

#endif
