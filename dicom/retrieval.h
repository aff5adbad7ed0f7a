/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieval - C-GET and C-MOVE as the one who asks (PS3.7 9.1.3, 9.1.4; PS3.4 C.4.2, C.4.3).
 *
 * Both wait no longer for the peer's next word than the association's timeout says. What a C-GET
 * brings is handed on as it comes over the wire, piece by piece: nothing here holds an instance.
 */
#ifndef DICOMSTEGO_DICOM_RETRIEVAL_H
#define DICOMSTEGO_DICOM_RETRIEVAL_H

#include "dicom/association.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where what comes is put; called on the caller's thread. C-MOVE needs goes_on alone. */
struct dicom_retrieval {
    void *context;
    /* One C-STORE sub-operation; peer is NULL. A status other than 0000H refuses it: its bytes are
     * drained and the status is answered. */
    uint16_t (*begin)(void *context, const struct dicom_store_request *request);
    /* The data set's bytes in the order of arrival, without group 0002. A status other than 0000H:
     * drained, then end(complete=false). */
    uint16_t (*data)(void *context, const uint8_t *data, size_t len);
    /* Once after each begin that answered 0000H; complete: all bytes came. Returns the status to
     * answer. */
    uint16_t (*end)(void *context, bool complete);
    /* NULL, or after each sub-operation and pending response: false ends it with a C-CANCEL-RQ;
     * what comes until the peer has heard that is still taken. */
    bool (*goes_on)(void *context, const struct dicom_counts *counts);
};

struct dicom_retrieved {
    uint16_t status;            /* the final one: 0000H, B000 when some failed, FE00, Axxx, Cxxx */
    struct dicom_counts counts; /* of the last response that had any */
};

/* C-GET for the identifier. The association was opened with as_scp, a context of the class, and one
 * for each storage class and syntax that may come. DS_OK: answered, with whatever status. DS_EIO,
 * DS_EREFUSED: as dicom_requestor_store. */
DS_CHECKED enum ds_status dicom_requestor_get(struct dicom_requestor *r, const char *class_uid,
                                              const struct dicom_dataset *identifier,
                                              const struct dicom_retrieval *take,
                                              struct dicom_retrieved *out, struct ds_error *err);
/* C-MOVE to the application entity. take may be NULL. */
DS_CHECKED enum ds_status dicom_requestor_move(struct dicom_requestor *r, const char *class_uid,
                                               const char *destination,
                                               const struct dicom_dataset *identifier,
                                               const struct dicom_retrieval *take,
                                               struct dicom_retrieved *out, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
