/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logkeeper - keeps the node's provenance log (db/log.h): numbers what was committed, signs what
 * the log was, and reads it again.
 *
 * The log is named by the node's key; a node without one, or with a shared archive, whose key is not
 * its alone, makes a key for its log under state_dir/provenance. A thread takes what the book has about every second, extends the tree that
 * it holds in memory, and writes leaves. It never computes the tree from the database, so nobody
 * who can write there can make it sign anything. Heads go to the node's disk (headfile.h) and to
 * the database.
 */
#ifndef DICOMSTEGO_NODE_LOGKEEPER_H
#define DICOMSTEGO_NODE_LOGKEEPER_H

#include "db/log_verify.h"
#include "node/services.h"

struct logkeeper;

/* Key and book, before the database is opened. */
DS_CHECKED enum ds_status logkeeper_new(struct logkeeper **out, struct services *services,
                                        struct ds_error *err);
/* For every pool, before its first event. */
struct db_book *logkeeper_book(struct logkeeper *k);
/* After the migrations and before anybody else uses the pool. Makes the log known and, the first
 * time, takes it up where the last process left it: what came since the last head is verified, what
 * a crash left without a number gets one. */
DS_CHECKED enum ds_status logkeeper_take_up(struct logkeeper *k, struct db *db,
                                            struct ds_error *err);
DS_CHECKED enum ds_status logkeeper_start(struct logkeeper *k, struct ds_error *err);
/* Numbers what is there, signs a last head and ends the thread; after every other thread that
 * writes events. The book lives until logkeeper_free, after the last pool. */
DS_CHECKED bool logkeeper_stop(struct logkeeper *k, int64_t until_ms);
void logkeeper_free(struct logkeeper *k); /* NULL is fine */

const struct stego_identity *logkeeper_identity(const struct logkeeper *k);
const uint8_t *logkeeper_log(const struct logkeeper *k); /* its id, DS_SHA256_BYTES */
/* The newest head that was signed; DS_ENOTFOUND: none yet. Any thread. */
DS_CHECKED enum ds_status logkeeper_head(struct logkeeper *k, struct db_head *out,
                                         struct ds_error *err);
/* Waits until everything that was committed before has its number and is under a signed head, at
 * most for timeout_ms (DS_EIO after that). DS_EAUTH: the log cannot be gone on with. Any thread. */
DS_CHECKED enum ds_status logkeeper_settle(struct logkeeper *k, int64_t timeout_ms,
                                           struct ds_error *err);

/* Reads the whole log again, against the heads on the node's own disk. Any thread; what is found is
 * logged, counted and an event, too. found may be NULL. */
DS_CHECKED enum ds_status
logkeeper_verify(struct logkeeper *k, struct db *db,
                 void (*found)(void *context, const struct db_finding *finding), void *context,
                 struct db_log_report *report, struct ds_error *err);

#endif
