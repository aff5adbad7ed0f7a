/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scu - a link to one peer: an association that is kept open and reused while its contexts suffice.
 *
 * One link belongs to one thread. A failed association is never reused: the next send opens a new
 * one. What an answer, or none, means for a retry is decided in verdict.c, by two tables: A7xx and
 * network trouble are transient, Bxxx delivered with a warning, everything else permanent.
 */
#ifndef DICOMSTEGO_SCU_SCU_H
#define DICOMSTEGO_SCU_SCU_H

#include "dicom/association.h"

enum scu_verdict {
    SCU_DELIVERED,
    SCU_WARNING,   /* delivered; the peer coerced or complained (Bxxx, also 0001H, 0107H, 0116H) */
    SCU_TRANSIENT, /* retry later */
    SCU_PERMANENT, /* never retry by itself */
};

struct scu_outcome {
    enum scu_verdict verdict;
    uint16_t dimse_status; /* valid when answered */
    bool answered;
    bool of_link;                    /* no association could be opened: no instance is to blame */
    char cause[DS_ERROR_TEXT_BYTES]; /* "" when delivered */
};

struct scu_object {
    const char *sop_class_uid, *sop_instance_uid;
    const char *transfer_syntax; /* of data */
    const uint8_t *data;         /* the data set without group 0002 */
    size_t len;
};

struct scu_link;

/* options is copied (tls deeply too). Connects lazily. Contexts that sends and prepares asked for
 * are kept and proposed together, at most 127. */
DS_CHECKED enum ds_status scu_link_new(struct scu_link **out,
                                       const struct dicom_requestor_options *options,
                                       struct ds_error *err);
void scu_link_free(struct scu_link *l); /* releases the association; NULL is fine */

/* Makes sure that an association with these contexts is open, keeping the present one when it was
 * opened with all of them. Failure is the outcome of every send that would follow. */
struct scu_outcome scu_link_prepare(struct scu_link *l, const struct dicom_context *contexts,
                                    size_t count);
bool scu_link_accepts(const struct scu_link *l, const char *sop_class_uid,
                      const char *transfer_syntax);
struct scu_outcome scu_link_send(struct scu_link *l, const struct scu_object *object);
struct scu_outcome scu_link_echo(struct scu_link *l);
/* Ends the association now (idle for long). */
void scu_link_release(struct scu_link *l);

/* The tables, for tests: of an answer, and of what kept us from one. */
enum scu_verdict scu_verdict_of(uint16_t dimse_status);
enum scu_verdict scu_verdict_of_failure(enum ds_status status);
/* Does the peer have it, with a warning or without? */
bool scu_was_delivered(const struct scu_outcome *o);

#endif
