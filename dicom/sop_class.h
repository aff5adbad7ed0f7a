/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sop_class - every storage SOP class of the standard (PS3.4 table B.5-1 and B.6-1, PS3.6 table
 * A-1, retired ones included), and what may be one that is not in the table yet.
 *
 * Pure look-ups; any thread.
 */
#ifndef DICOMSTEGO_DICOM_SOP_CLASS_H
#define DICOMSTEGO_DICOM_SOP_CLASS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_VERIFICATION "1.2.840.10008.1.1"

enum dicom_sop_kind {
    DICOM_SOP_IMAGE,       /* pixels that people look at */
    DICOM_SOP_MEASUREMENT, /* pixels or voxels that are computed with: dose, segments, PET */
    DICOM_SOP_REPORT,      /* SR documents, encapsulated PDF and CDA */
    DICOM_SOP_OBJECT,      /* everything else: presentation states, RT, waveforms, raw data ... */
};

struct dicom_sop_class {
    const char *uid;
    const char *name; /* of PS3.6 */
    enum dicom_sop_kind kind;
};

/* By ascending UID. */
const struct dicom_sop_class *dicom_sop_classes(size_t *count);

/* NULL when it is none of the standard's. */
const struct dicom_sop_class *dicom_sop_class_of(const char *uid);

/* Also true for private classes and those that a later edition adds: whatever does not belong to
 * another service. Losing a study over a new UID is the worse error. */
bool dicom_sop_class_may_be_storage(const char *uid);

/* Query/Retrieve (PS3.4 C.6.1, C.6.2). */
enum dicom_query_kind { DICOM_QUERY_FIND, DICOM_QUERY_MOVE, DICOM_QUERY_GET };

#define DICOM_PATIENT_ROOT_FIND "1.2.840.10008.5.1.4.1.2.1.1"
#define DICOM_PATIENT_ROOT_MOVE "1.2.840.10008.5.1.4.1.2.1.2"
#define DICOM_PATIENT_ROOT_GET  "1.2.840.10008.5.1.4.1.2.1.3"
#define DICOM_STUDY_ROOT_FIND   "1.2.840.10008.5.1.4.1.2.2.1"
#define DICOM_STUDY_ROOT_MOVE   "1.2.840.10008.5.1.4.1.2.2.2"
#define DICOM_STUDY_ROOT_GET    "1.2.840.10008.5.1.4.1.2.2.3"

struct dicom_query_class {
    const char *uid;
    enum dicom_query_kind kind;
    bool patient_root; /* its highest level is PATIENT; else STUDY */
};

/* NULL when it is none of the six. */
const struct dicom_query_class *dicom_query_class_of(const char *uid);

#ifdef __cplusplus
}
#endif
#endif
