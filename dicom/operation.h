/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation - a C-FIND, C-MOVE or C-GET that a peer asks of us, while it is answered (PS3.7 9.1.2
 * to 9.1.4; PS3.4 annex C).
 *
 * The callback of dicom_service gets the request and answers through the operation: any number of
 * pending responses, then one that is final. Between them it asks whether to go on. All of it on
 * the association's thread, during the callback; nothing here is kept beyond it.
 */
#ifndef DICOMSTEGO_DICOM_OPERATION_H
#define DICOMSTEGO_DICOM_OPERATION_H

#include "dicom/association.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed during the callback. */
struct dicom_operation_request {
    const struct dicom_peer *peer;
    const struct dicom_query_class *query_class;
    uint16_t message_id;
    uint16_t priority;
    const struct dicom_dataset *identifier; /* at most DICOM_MESSAGE_MAX_BYTES, nothing checked */
    const char *move_destination;           /* AE title; "" but for C-MOVE, or when it was none */
    bool relational;                        /* negotiated for the class (PS3.4 C.5.1.1) */
};

struct dicom_response {
    uint16_t status;
    const struct dicom_dataset *identifier; /* NULL: none */
    const struct dicom_counts *counts;      /* NULL: none. Remaining is sent only while pending and
                                               when cancelled, as the standard wants it */
    const char *error_comment;              /* NULL, or up to 64 characters (ASCII) */
    dicom_tag offending_element;            /* 0: none */
};

/* Sends a response. Any status but a pending one is final: nothing can be sent after it. False: the
 * association is lost, or it was final already; end the callback. A callback that ends without a
 * final response is answered for with C000. */
bool dicom_operation_send(struct dicom_operation *o, const struct dicom_response *response);

/* Should it end? Does not wait: a C-CANCEL-RQ for this request has come, or the association ended
 * (then nothing can be sent any more). Once true it stays so. */
bool dicom_operation_cancelled(struct dicom_operation *o);

/* C-GET only: did the peer offer to be the SCP of this class in this syntax (PS3.7 D.3.3.4)? */
bool dicom_operation_accepts(const struct dicom_operation *o, const char *sop_class_uid,
                             const char *transfer_syntax);
/* C-GET only: one C-STORE sub-operation on the same association (PS3.4 C.4.3.1); as
 * dicom_requestor_store. A C-CANCEL-RQ that comes meanwhile is kept for
 * dicom_operation_cancelled. */
DS_CHECKED enum ds_status dicom_operation_store(struct dicom_operation *o,
                                                const char *sop_class_uid,
                                                const char *sop_instance_uid,
                                                const char *transfer_syntax, const uint8_t *data,
                                                size_t len, uint16_t *status, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
