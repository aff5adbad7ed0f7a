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
    char beside_uid[DICOM_UID_BYTES]; /* "" when the instance beside a sidecar kept its own */
    char cause[DS_ERROR_TEXT_BYTES];
    bool decided;
    struct lease *lease;
};

enum parcel_fate {
    PARCEL_ANSWERED,  /* by the peer, whatever the status */
    PARCEL_KEPT,      /* not sent, for a reason that is not the peer's to mend */
    PARCEL_BROKE,     /* the association broke on it; it comes back after its own pause */
    PARCEL_UNREACHED, /* no association: not tried, not decided */
};

/* The contexts that the parcels need, from first on and for as many as fit into one association.
 * Those decided need none. Answers the first parcel that did not fit, or count. */
size_t parcel_contexts(const struct worker *w, const struct parcel *parcels, size_t count,
                       size_t first, struct dicom_context contexts[PARCEL_CONTEXTS_MAX],
                       size_t *context_count);

/* Sends over the worker's link, in the best syntax that the peer accepted, and decides, unless it
 * is unreached: then cause says why and *for_good that only a person can change it. What fails is
 * logged. */
enum parcel_fate parcel_send(struct worker *w, struct db *db, struct parcel *p, bool *for_good);

#endif
