/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - the log as an auditor reads it: events by what they are about, and their leaves.
 *
 * As in db.h: a function is one transaction, any thread may call, DS_EIO when the database is away.
 * Rows are handed out one by one, and some hundred of them are all that is in memory.
 */
#ifndef DICOMSTEGO_DB_AUDIT_H
#define DICOMSTEGO_DB_AUDIT_H

#include "db/log.h"

/* Conditions that must all hold; NULL and 0: any. */
struct db_audit_filter {
    const char *study_uid, *patient_id, *peer, *kind, *sop_uid;
    int64_t since_us, until_us; /* from the one on, before the other */
};

struct db_audit_row {
    bool has_leaf; /* false: not yet in the log */
    uint64_t leaf;
    struct provenance_event event; /* its texts are borrowed until the function returns */
};
typedef enum ds_status db_audit_take(void *context, const struct db_audit_row *row,
                                     struct ds_error *err);

/* All events in the order of their ids. One transaction for as long as take takes them: what is
 * written meanwhile is not among them. */
DS_CHECKED enum ds_status db_audit_all(struct db *d, const struct db_audit_filter *filter,
                                       db_audit_take *take, void *context, struct ds_error *err);
/* The last ones, at most limit, in the same order. */
DS_CHECKED enum ds_status db_audit_newest(struct db *d, const struct db_audit_filter *filter,
                                          unsigned limit, db_audit_take *take, void *context,
                                          struct ds_error *err);

/* What one instance is called: by the UID given and, as far as the index still knows, as the
 * original, its carriers, and what was restored from them. The UID given is the first. *out: free()
 */
DS_CHECKED enum ds_status db_audit_uids(struct db *d, const char *sop_uid,
                                        char (**out)[DB_UID_BYTES], size_t *count,
                                        struct ds_error *err);
/* The logs that have events of these, by name. *out: free() */
DS_CHECKED enum ds_status db_audit_logs(struct db *d, const char (*uids)[DB_UID_BYTES],
                                        size_t count, uint8_t (**out)[DS_SHA256_BYTES],
                                        size_t *log_count, struct ds_error *err);
/* The events of these in one log, of the leaves before size, in the log's order. */
DS_CHECKED enum ds_status db_audit_of(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                      uint64_t size, const char (*uids)[DB_UID_BYTES], size_t count,
                                      db_audit_take *take, void *context, struct ds_error *err);

#endif
