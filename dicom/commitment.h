/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commitment - the messages of the Storage Commitment Push Model (PS3.4 J.3): which instances
 * somebody is asked to keep for good, and which he answers for.
 *
 * One list serves the request (N-ACTION, PS3.4 table J.3-1) and the report (N-EVENT-REPORT, table
 * J.3-2): an item without a failure stands in the Referenced SOP Sequence, one with a failure in
 * the Failed SOP Sequence.
 *
 * Any thread.
 */
#ifndef DICOMSTEGO_DICOM_COMMITMENT_H
#define DICOMSTEGO_DICOM_COMMITMENT_H

#include "base/bytes.h"
#include "dicom/association.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_COMMITMENT          "1.2.840.10008.1.20.1"
#define DICOM_COMMITMENT_INSTANCE "1.2.840.10008.1.20.1.1" /* the well-known one of the class */

#define DICOM_COMMITMENT_ACTION  1U /* Request Storage Commitment */
#define DICOM_COMMITMENT_SUCCESS 1U /* event type: all of them */
#define DICOM_COMMITMENT_FAILURE 2U /* event type: not all of them */

/* PS3.3 C.14.1.1: reasons of a failure; PS3.7 annex C has the same numbers as statuses. */
#define DICOM_FAILURE_PROCESSING          0x0110U
#define DICOM_FAILURE_NO_SUCH_INSTANCE    0x0112U
#define DICOM_FAILURE_CLASS_CONFLICT      0x0119U
#define DICOM_FAILURE_CLASS_NOT_SUPPORTED 0x0122U
#define DICOM_FAILURE_DUPLICATE           0x0131U /* of the Transaction UID */
#define DICOM_FAILURE_RESOURCES           0x0213U

/* A study of some thousand slices is some hundred kilobytes. */
#define DICOM_COMMITMENT_MAX_BYTES (4U * 1024U * 1024U)
#define DICOM_COMMITMENT_MAX_ITEMS 16384U

struct dicom_commitment_item {
    char sop_class_uid[DICOM_UID_BYTES];
    char sop_instance_uid[DICOM_UID_BYTES];
    uint16_t failure; /* reason; 0: none */
};

struct dicom_commitment {
    char transaction_uid[DICOM_UID_BYTES];
    struct dicom_commitment_item *items; /* owned */
    size_t count;
};

/* data: the whole data set in transfer_syntax. DS_EFORMAT: too large, no data set, no Transaction
 * UID, no item or too many, or an item without two sound UIDs. A failure without a reason is
 * DICOM_FAILURE_PROCESSING. *out is empty on failure; dicom_commitment_free in either case. */
DS_CHECKED enum ds_status dicom_commitment_read(struct dicom_commitment *out, const uint8_t *data,
                                                size_t len, const char *transfer_syntax,
                                                struct ds_error *err);
/* Appends the data set. */
DS_CHECKED enum ds_status dicom_commitment_write(const struct dicom_commitment *c,
                                                 const char *transfer_syntax, struct ds_bytes *out,
                                                 struct ds_error *err);
void dicom_commitment_free(struct dicom_commitment *c);

/* The event type that reports it (PS3.4 J.3.3). */
uint16_t dicom_commitment_event(const struct dicom_commitment *c);

/* A message as it came, request or report. Answers DICOM_STATUS_SUCCESS with *out filled, or the
 * status with which it is to be refused (PS3.4 J.3.2, PS3.7 10.1), logged with its cause. Free *out
 * in either case. */
DS_CHECKED uint16_t dicom_commitment_accept(struct dicom_commitment *out,
                                            const struct dicom_message *message, bool is_report);

#ifdef __cplusplus
}
#endif
#endif
