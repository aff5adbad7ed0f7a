/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testimony - evidence that the node hands out (provenance/evidence.h), sealed by its key.
 *
 * Appended to *out, which should be able to hold EVIDENCE_MAX_BYTES. DS_EIO when the database is
 * away.
 */
#ifndef DICOMSTEGO_NODE_TESTIMONY_H
#define DICOMSTEGO_NODE_TESTIMONY_H

#include "db/db.h"
#include "dicomstego/key.h"
#include "provenance/evidence.h"

/* Every event of one instance up to the newest tree heads: those of this node's log, and of the
 * other logs of the database. DS_ENOTFOUND: no log has an event of it. */
DS_CHECKED enum ds_status testimony_of_instance(struct db *db, const struct stego_identity *by,
                                                const char *sop_uid, struct ds_bytes *out,
                                                struct ds_error *err);
/* The newest tree head of this node's log. */
DS_CHECKED enum ds_status testimony_of_head(struct db *db, const struct stego_identity *by,
                                            struct ds_bytes *out, struct ds_error *err);
/* What this node has seen of the log of who has this certificate. DS_ENOTFOUND: nothing. */
DS_CHECKED enum ds_status testimony_of_seen(struct db *db, const struct stego_identity *by,
                                            const struct stego_certificate *peer,
                                            struct ds_bytes *out, struct ds_error *err);
/* The id of the log of who has this certificate. */
DS_CHECKED enum ds_status testimony_log_of(const struct stego_certificate *c,
                                           uint8_t out[DS_SHA256_BYTES], struct ds_error *err);

#endif
