/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_verify - the whole log read again: is every row what it was, where it was?
 *
 * Rows, leaves, subtrees and heads are read in pieces; nothing is changed. What does not fit is
 * reported one by one, and the reading goes on. Findings are facts about the database, not failures
 * of the function: it answers DS_OK when it could read all.
 */
#ifndef DICOMSTEGO_DB_LOG_VERIFY_H
#define DICOMSTEGO_DB_LOG_VERIFY_H

#include "db/log.h"

enum db_finding_kind {
    DB_ROW_CHANGED,    /* the row is not what was hashed */
    DB_ROW_MISSING,    /* a leaf without its row */
    DB_ROW_INSERTED,   /* a row that the node did not write */
    DB_LEAF_CHANGED,   /* the row is right, the leaf's hash is not */
    DB_LEAVES_MISSING, /* numbers that nobody has, or that end too early */
    DB_LEAF_TWICE,     /* one number for several rows */
    DB_SUBTREE_WRONG,  /* changed, missing, or of leaves in another order */
    DB_HEAD_WRONG,     /* does not fit the leaves, or is not signed by the log's key */
    DB_HEAD_MISSING,   /* in the node's own file, and not in the database */
    DB_HEAD_UNKNOWN,   /* in the database, and not in the node's own file */
    DB_KEY_WRONG,      /* the log's row in the database names another key */
};
const char *db_finding_name(enum db_finding_kind kind); /* "row-changed" ... */

struct db_finding {
    enum db_finding_kind kind;
    int64_t event_id;     /* 0: none */
    uint64_t leaf, count; /* of leaves; of a head: its size */
    char text[160];
};

struct db_log_check {
    uint8_t log[DS_SHA256_BYTES];
    const uint8_t *tag_key; /* NULL: of a log that is not ours, tags cannot be checked */
    const uint8_t *public_key;
    size_t public_key_len;
    /* Where to begin; NULL: at the first leaf. What came before is believed. */
    const struct provenance_tree *from;
    int64_t after_event; /* with from: rows with larger ids are looked for that have no leaf */
    uint64_t min_size;   /* leaves that there were once, as the caller knows himself */
    /* The heads that the caller has kept himself, the smallest first: false when there are no more.
     * NULL: none were kept. */
    bool (*next_kept)(void *context, struct db_head *out);
    void (*found)(void *context, const struct db_finding *finding);
    void *context;
};
struct db_log_report {
    uint64_t leaves, heads; /* that were read */
    uint64_t waiting;       /* rows that are right and have no number yet */
    uint64_t findings;
    struct provenance_tree tree; /* as far as the leaves are without a gap */
};

DS_CHECKED enum ds_status db_log_verify(struct db *d, const struct db_log_check *check,
                                        struct db_log_report *report, struct ds_error *err);

/* Rows of this log that have no leaf, with an id above after: those with the right tag go into the
 * book, for others found is called. Before the pool's first event. */
DS_CHECKED enum ds_status db_log_adopt(struct db *d, struct db_book *b, int64_t after,
                                       void (*found)(void *context,
                                                     const struct db_finding *finding),
                                       void *context, uint64_t *adopted, struct ds_error *err);
/* The smallest event id among the last count leaves before size, less one: rows with ids up to this
 * one were numbered long ago. */
DS_CHECKED enum ds_status db_log_watermark(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                           uint64_t size, uint64_t count, int64_t *after,
                                           struct ds_error *err);

#endif
