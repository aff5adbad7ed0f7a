/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parcel - one delivery of a batch: in which contexts it can be sent, how it goes out, and with
 * what outcome. Private to the crew.
 *
 * Parcels belong to the thread of the worker that claimed them.
 */
#ifndef DICOMSTEGO_NODE_PARCEL_H
#define DICOMSTEGO_NODE_PARCEL_H

#include "db/db.h"
#include "node/crew.h"

/* In one association; one is Verification's (PS3.8 9.3.2.2). */
#define PARCEL_CONTEXTS_MAX 127U

/* result points into the parcel and is valid once decided. */
struct parcel {
    const struct db_delivery *delivery; /* borrowed */
    struct db_delivery_result result;
    char sent_uid[DICOM_UID_BYTES];
    char cause[DS_ERROR_TEXT_BYTES];
    bool decided, written;
};

/* The contexts that the parcels need, from first on and for as many as fit into one association.
 * Those decided need none. Answers the first parcel that did not fit, or count. */
size_t parcel_contexts(const struct worker *w, const struct parcel *parcels, size_t count,
                       size_t first, struct dicom_context contexts[PARCEL_CONTEXTS_MAX],
                       size_t *context_count);

/* Sends over the worker's link, in the best syntax that the peer accepted, and decides. What fails
 * is logged. */
void parcel_send(struct worker *w, struct db *db, struct parcel *p);

/* retry_after_ms: for DB_READY. */
void parcel_decide(struct parcel *p, enum db_delivery_state state, const char *cause,
                   int64_t retry_after_ms);

#endif
