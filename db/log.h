/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - the provenance log in the database: events as leaves of a Merkle tree, and its signed
 * heads.
 *
 * One log for each node, named by its key, so each has one writer. An event is inserted in the
 * transaction of the deed that it speaks of; what was committed stands in a book in memory, and the
 * node's keeper gives it leaf numbers in batches (node/logkeeper.h). What the keeper signs never
 * comes from the database: hashes are made before the rows are written.
 *
 * Functions as in db.h: one transaction each, any thread, DS_EIO when the database is away.
 */
#ifndef DICOMSTEGO_DB_LOG_H
#define DICOMSTEGO_DB_LOG_H

#include "db/db.h"
#include "provenance/event.h"
#include "provenance/head.h"
#include "provenance/tree.h"

/* ---- book.c: what this process has written and the log does not have yet ---- */

struct db_book;
struct db_leaf {
    int64_t event_id;
    uint8_t hash[DS_SHA256_BYTES]; /* of the leaf */
};
/* log: its id; tag_key: a secret of the node's key that is never in the database. Any thread. */
DS_CHECKED enum ds_status db_book_new(struct db_book **out, const uint8_t log[DS_SHA256_BYTES],
                                      const uint8_t tag_key[DS_SHA256_BYTES], struct ds_error *err);
void db_book_free(struct db_book *b); /* after the last pool that uses it; NULL is fine */
/* Before the first other call. The pool's events belong to the book's log; without a book they are
 * written without a log, and a verification finds them. */
void db_set_book(struct db *d, struct db_book *b);
/* How many leaves wait for their number. */
size_t db_book_waiting(struct db_book *b);
/* How many there was no room for; they never get one. */
uint64_t db_book_lost(struct db_book *b);
/* The first of them, at most max, in the order in which they were committed; they stay until
 * db_book_done takes away as many. One thread. */
size_t db_book_look(struct db_book *b, struct db_leaf *out, size_t max);
void db_book_done(struct db_book *b, size_t count);

/* ---- log.c: writing ---- */

/* Makes the log known, once and for all; after db_migrate. public_key: SubjectPublicKeyInfo. */
DS_CHECKED enum ds_status db_log_register(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                          const uint8_t *public_key, size_t public_key_len,
                                          const uint8_t *certificate, size_t certificate_len,
                                          struct ds_error *err);
/* Events whose commit was not answered: those that are there wait for a number from now on, the
 * others are forgotten. */
DS_CHECKED enum ds_status db_log_settle(struct db *d, struct db_book *b, struct ds_error *err);

struct db_subtree {
    unsigned level;
    uint64_t index;
    uint8_t hash[DS_SHA256_BYTES];
};
/* Leaves first, first + 1 ... of a log, with the subtrees that they complete. DS_EEXIST: somebody
 * else has given these numbers. */
DS_CHECKED enum ds_status db_leaves_add(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                        uint64_t first, const struct db_leaf *leaves, size_t count,
                                        const struct db_subtree *subtrees, size_t subtree_count,
                                        struct ds_error *err);

#define DB_SIGNATURE_BYTES 1100U
struct db_head {
    struct provenance_head head;
    size_t signature_len;
    uint8_t signature[DB_SIGNATURE_BYTES];
};
/* One that is there already is no error. */
DS_CHECKED enum ds_status db_head_add(struct db *d, const struct db_head *h, struct ds_error *err);

/* ---- log_read.c ---- */

/* Heads of a log with a size of at least from, the smallest first. *out: free() */
DS_CHECKED enum ds_status db_heads(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t from,
                                   size_t max, struct db_head **out, size_t *count,
                                   struct ds_error *err);
/* The largest; DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_head_last(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                       struct db_head *out, struct ds_error *err);
/* The leaf of an event; DS_ENOTFOUND: it has no number yet, or there is none. */
DS_CHECKED enum ds_status db_leaf_of(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                     int64_t event_id, uint64_t *leaf, struct ds_error *err);
/* SubjectPublicKeyInfo and certificate of a log, appended; DS_ENOTFOUND. */
DS_CHECKED enum ds_status db_log_key(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                     struct ds_bytes *public_key, struct ds_bytes *certificate,
                                     struct ds_error *err);

/* The hashes of a log's tree, for proofs (provenance/tree.h): a few blocks of 256 are kept in
 * memory, so that one proof in millions of rows reads some thousand of them. One thread. */
struct db_log_nodes;
DS_CHECKED enum ds_status db_log_nodes_new(struct db_log_nodes **out, struct db *d,
                                           const uint8_t log[DS_SHA256_BYTES],
                                           struct ds_error *err);
void db_log_nodes_free(struct db_log_nodes *n);
struct provenance_nodes db_log_nodes_of(struct db_log_nodes *n);

#endif
