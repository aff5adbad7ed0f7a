/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - files of instances that nobody is owed any more, and whose time is over.
 *
 * The row goes first ("deleted", an event with the file's hash), then the file, then the row says
 * that it is gone: a crash in between leaves a file that the next start removes, never a row whose
 * file was lost unnoticed. The row stays for good; a late duplicate is known by its hash.
 *
 * Deleted is only what was planned, is not quarantined, has at least one delivery that is done, and
 * none that is not; in a study nothing of which waits to be planned. Done by the policy of the
 * delivery's rule: committed, or sent where that is enough. For a carrier that was received, the
 * deliveries of what was restored from it count; for a report that travelled inside of others,
 * those of its generation. Cancelled ones do not count. What has no delivery at all is kept.
 */
#ifndef DICOMSTEGO_DB_RETENTION_H
#define DICOMSTEGO_DB_RETENTION_H

#include "db/db.h"

struct db_retention_rule {
    const char *rule; /* name; NULL: for deliveries of rules that are not in the list */
    int64_t keep_ms;  /* since the last destination has it */
    bool after_sent;
};
struct db_retention_pass {
    const struct db_retention_rule *rules; /* a delivery of a rule without policy is kept forever */
    size_t count;
    bool at_once;     /* the disk is full: keep_ms counts as 0 */
    int64_t after_id; /* in: where to begin; out: where to go on, 0 at the end */
    unsigned max;     /* instances to look at */
};
/* One step of a pass over the instances of our archive, in the order in which they came. *deleted:
 * rows; their files are db_retention_left's. */
DS_CHECKED enum ds_status db_retention_delete(struct db *d, struct db_retention_pass *pass,
                                              uint64_t *deleted, struct ds_error *err);

struct db_left {
    int64_t instance_id;
    char path[DB_PATH_BYTES];
};
/* Files whose rows are deleted and that may still be there. */
DS_CHECKED enum ds_status db_retention_left(struct db *d, unsigned max, struct db_left **out,
                                            size_t *count, struct ds_error *err); /* free() */
/* They are gone. */
DS_CHECKED enum ds_status db_retention_removed(struct db *d, const int64_t *ids, size_t count,
                                               struct ds_error *err);

#endif
