/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query_key - the attributes by which a query may ask, and that it may ask for: level and value
 * representation of each (PS3.4 C.6.1.1, C.6.2.1, C.3.4).
 *
 * One table is the whole of it: what is kept of an instance when it is indexed, and what a query
 * finds, both follow from it. Any thread.
 */
#ifndef DICOMSTEGO_DICOM_QUERY_KEY_H
#define DICOMSTEGO_DICOM_QUERY_KEY_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Query/Retrieve Level (0008,0052), the highest first. */
enum dicom_level { DICOM_LEVEL_PATIENT, DICOM_LEVEL_STUDY, DICOM_LEVEL_SERIES, DICOM_LEVEL_IMAGE };

#define DICOM_TAG_QUERY_LEVEL         DICOM_TAG(0x0008, 0x0052)
#define DICOM_TAG_RETRIEVE_AE_TITLE   DICOM_TAG(0x0008, 0x0054)
#define DICOM_TAG_AVAILABILITY        DICOM_TAG(0x0008, 0x0056)
#define DICOM_TAG_MODALITIES_IN_STUDY DICOM_TAG(0x0008, 0x0061)
#define DICOM_TAG_CLASSES_IN_STUDY    DICOM_TAG(0x0008, 0x0062)

enum dicom_key_source {
    DICOM_KEY_OF_DATASET,  /* stands in the instances */
    DICOM_KEY_OF_TRANSFER, /* how the instance is kept, not what is in it */
    DICOM_KEY_SUM,         /* made of what is below; values to match and to return */
    DICOM_KEY_COUNT,       /* likewise, only to return */
};

struct dicom_query_key {
    dicom_tag tag;
    dicom_tag sequence; /* it stands in the items of this one; 0: it does not */
    char vr[3];
    enum dicom_level level;
    enum dicom_key_source source;
    bool is_multiple; /* may have several values */
    const char *name; /* of PS3.6 */
};

/* By ascending tag; what stands in items comes behind its sequence. */
const struct dicom_query_key *dicom_query_keys(size_t *count);
/* NULL: not supported. sequence 0: top level. */
const struct dicom_query_key *dicom_query_key_of(dicom_tag sequence, dicom_tag tag);
/* The unique key of a level (PS3.4 C.6.1.1). */
dicom_tag dicom_level_key(enum dicom_level level);
const char *dicom_level_name(enum dicom_level level);
/* False: no level is called so. */
bool dicom_level_named(const char *name, enum dicom_level *out);

#ifdef __cplusplus
}
#endif
#endif
