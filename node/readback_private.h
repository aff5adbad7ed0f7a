/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readback_private - what readback.c (when), readback_run.c (one run) and readback_judge.c (one
 * instance) share.
 */
#ifndef DICOMSTEGO_NODE_READBACK_PRIVATE_H
#define DICOMSTEGO_NODE_READBACK_PRIVATE_H

#include "db/readback.h"
#include "node/calling.h"
#include "node/protector.h"
#include "node/rate.h"
#include "node/services.h"
#include "scu/reading.h"

#define BACK_LEASE_MS 180000U /* longer than one instance can take, twice */
#define BACK_BATCH    32U

/* What was found of one instance; result points into it. */
struct back_finding {
    struct db_back_result result;
    char sop_uid[DICOM_UID_BYTES], study_uid[DICOM_UID_BYTES];
    char *detail; /* free() */
};

/* Belongs to one thread. */
struct back_run {
    struct services *services;
    struct db *db;
    const struct settings *settings;
    const struct config_peer *peer;
    const struct db_back_run *row;
    struct calling calling;
    struct scu_reader *reader;
    struct stego_trust *trust; /* our own certificate */
    struct stego_keyring keyring;
    struct originals kept;
    struct capsule_cache cache;
    bool takes_no_get; /* it is asked to move to us instead */
    struct rate rate;
    int64_t next_ms, renewed_ms, written_ms; /* monotonic */
    struct back_finding findings[BACK_BATCH];
    size_t count;
};

/* Until it is over, put off, or the node stops. */
void back_run_serve(struct services *services, struct db *db, const struct settings *settings,
                    const struct db_back_run *row);

/* Now, in local time? */
bool back_window_is_open(const struct config_windows *w);

/* ---- readback_judge.c ---- */

/* Judges what came of item. Fails for what passes (DS_EIO, DS_ENOMEM); what cannot be read is an
 * outcome. */
DS_CHECKED enum ds_status back_judge(struct back_run *r, const struct db_back_item *item,
                                     const struct ds_bytes *file, struct back_finding *out,
                                     struct ds_error *err);
/* The UID under which the instance beside a sidecar went, when it was rewritten; else "". */
DS_CHECKED enum ds_status back_beside_uid(struct back_run *r, const struct db_back_item *item,
                                          char uid[DICOM_UID_BYTES], struct ds_error *err);
/* One that did not come: missing, or unread and why (a cause, and the peer's status unless 0). */
DS_CHECKED enum ds_status back_say(const struct db_back_item *item, enum db_back_outcome outcome,
                                   const char *cause, uint16_t status, struct back_finding *out,
                                   struct ds_error *err);

#endif
