/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieve - what the identifier of a C-MOVE or C-GET asks for (PS3.4 C.4.2.1.4, C.4.3.1.3): the
 * level, and the values of the unique keys. Other keys have no meaning in a retrieval.
 */
#ifndef DICOMSTEGO_SCP_RETRIEVE_H
#define DICOMSTEGO_SCP_RETRIEVE_H

#include "dicom/operation.h"

enum scp_retrieve_level {
    SCP_RETRIEVE_PATIENT,
    SCP_RETRIEVE_STUDY,
    SCP_RETRIEVE_SERIES,
    SCP_RETRIEVE_IMAGE,
    SCP_RETRIEVE_LEVELS
};

/* The values of one unique key; count 0: it is not given. */
struct scp_retrieve_key {
    const char **values;
    size_t count;
    char *text; /* what the values point into */
};

struct scp_retrieve {
    enum scp_retrieve_level level;
    struct scp_retrieve_key keys[SCP_RETRIEVE_LEVELS]; /* Patient ID, and the three UIDs; UTF-8 */
};

/* PS3.4 C.4.2.2.1: one value, or a list of UIDs, of the level's key; one value of each key above
 * it, from the model's root on, unless relational retrieval was negotiated (C.5.2.1). False:
 * refused with *refusal, whose texts are static. *out needs scp_retrieve_free in either case. */
DS_CHECKED bool scp_retrieve_read(const struct dicom_operation_request *request,
                                  struct scp_retrieve *out, struct dicom_response *refusal);
void scp_retrieve_free(struct scp_retrieve *r);

#endif
