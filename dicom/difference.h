/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference - what differs between two data sets that should be the same instance: which
 * attributes, and which pixels by how much.
 *
 * Attributes are compared in the canonical form of the dataset hash (dicom/encode.h): what that
 * hash does not see, such as another transfer syntax without loss, is no difference. Values are
 * never handed out.
 */
#ifndef DICOMSTEGO_DICOM_DIFFERENCE_H
#define DICOMSTEGO_DICOM_DIFFERENCE_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dicom_difference { DICOM_CHANGED, DICOM_REMOVED, DICOM_ADDED };

typedef void (*dicom_difference_visit)(void *context, dicom_tag tag, enum dicom_difference how);
/* Calls visit for each top-level element but Pixel Data in which after differs from before, in
 * ascending order. A sequence is one element, whatever in it differs. */
DS_CHECKED enum ds_status dicom_dataset_differences(const struct dicom_dataset *before,
                                                    const struct dicom_dataset *after,
                                                    dicom_difference_visit visit, void *context,
                                                    struct ds_error *err);

#define DICOM_KEYWORD_BYTES 80U
/* "PatientID" (PS3.6); "" for private elements and those that the dictionary does not know. */
void dicom_tag_keyword(dicom_tag tag, char out[DICOM_KEYWORD_BYTES]);

struct dicom_pixel_difference {
    bool same_geometry; /* else only total is set, of before: no pixel has its counterpart */
    uint64_t total;     /* samples of before; cells where they are no samples */
    uint64_t changed;
    uint64_t greatest; /* difference of two stored values */
};
/* All frames. Memory: one row of both, and what decoding takes. Fails as dicom_pixels_read. */
DS_CHECKED enum ds_status dicom_pixels_difference(const struct dicom_dataset *before,
                                                  const struct dicom_dataset *after,
                                                  struct dicom_pixel_difference *out,
                                                  struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
