/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity - which instance a data set says that it is, from its first elements alone.
 */
#ifndef DICOMSTEGO_DICOM_IDENTITY_H
#define DICOMSTEGO_DICOM_IDENTITY_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_identity { /* "" where an element is missing, empty or longer than a UID */
    char sop_class_uid[DICOM_UID_BYTES];
    char sop_instance_uid[DICOM_UID_BYTES];
};

/* dataset: the bytes of a data set without group 0002, or its beginning; nothing behind group 0008
 * is looked at. A deflated one is inflated only so far as that needs (at most 64 KiB). DS_EFORMAT:
 * the elements before that do not add up. Pure; any thread. */
DS_CHECKED enum ds_status dicom_identity_read(const uint8_t *dataset, size_t len,
                                              const char *transfer_syntax,
                                              struct dicom_identity *out, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
