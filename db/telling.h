/* SPDX-License-Identifier: Apache-2.0 */
/*
 * telling - the events of this node for an audit repository: a cursor in its log (db/log.h), by the
 * number of leaves. log: the log's id.
 *
 * The log itself is the queue: nothing is copied, and nothing is forgotten while the repository is
 * away. The cursor has two places. `told` is what the repository is believed to have; `sure` is
 * where told was before the repository was reached once more, and lags one step behind. Whoever
 * finds it gone goes back to sure, so that what its process had read and lost with its end is told
 * again: at least once, in order, duplicates allowed. Threads, errors and arrays as in db.h.
 */
#ifndef DICOMSTEGO_DB_TELLING_H
#define DICOMSTEGO_DB_TELLING_H

#include "db/db.h"

#define DB_TOLD_MAX 4096U

/* An event with what a message says of its instance and study. Strings are never NULL. */
struct db_told {
    int64_t place; /* how many events of the log are told with it */
    int64_t event_id;
    int64_t at_us;
    char *kind, *actor, *outcome;
    char *peer; /* its name in the configuration, when the event names one */
    char *sop_class_uid, *study_uid, *accession, *patient_id;
    char *calling_ae; /* who sent the instance */
    char *detail;     /* JSON, or "" */
};

/* Where to go on; a repository that is new begins with what happens from now on. */
DS_CHECKED enum ds_status db_telling_begin(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                           const char *repository, int64_t *sure,
                                           struct ds_error *err);
/* Events after a place, in the order of the log, at most max (1 to DB_TOLD_MAX). */
DS_CHECKED enum ds_status db_telling_read(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                          int64_t after, size_t max, struct db_told **out,
                                          size_t *count, struct ds_error *err);
void db_told_free(struct db_told *rows, size_t count);
/* The repository has read everything up to told, and before that it was reached with sure. */
DS_CHECKED enum ds_status db_telling_done(struct db *d, const char *repository, int64_t told,
                                          int64_t sure, struct ds_error *err);

#endif
