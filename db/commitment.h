/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commitment - storage commitment in the database: what we ask of peers (commitment.c), and what
 * peers ask of us (commitment_request.c). PS3.4 annex J.
 *
 * A transaction is in the database before it is asked for, and a request before it is answered: a
 * restart forgets neither. Several nodes share the work: what is due is claimed for a while by one.
 * Threads, errors and times as in db.h.
 */
#ifndef DICOMSTEGO_DB_COMMITMENT_H
#define DICOMSTEGO_DB_COMMITMENT_H

#include "db/db.h"

/* ---- what we ask ---- */

struct db_commitment_item {
    char sop_class_uid[DB_UID_BYTES], sop_uid[DB_UID_BYTES];
    int answer; /* 0: committed; -1: none yet; else the reason of the failure (PS3.3 C.14.1.1) */
};
struct db_commitment {
    int64_t id;
    char transaction_uid[DB_UID_BYTES];
    unsigned asks;  /* attempts to ask, this one too */
    int64_t age_us; /* since the transaction was made */
    struct db_commitment_item *items;
    size_t count;
};
#define DB_COMMITMENT_ITEMS_MAX 512U

/* Makes one transaction of sent deliveries that none asks for: of one generation, at most max, once
 * the newest was sent settle_ms ago or there are max of them. transaction_uid: a fresh one.
 * *made false: there is nothing to ask for. */
DS_CHECKED enum ds_status db_commitment_begin(struct db *d, const char *peer,
                                              const char *transaction_uid, unsigned max,
                                              unsigned settle_ms, bool *made, struct ds_error *err);
/* A transaction that is due to be asked; nobody else gets it within lease_ms. *found false: none.
 */
DS_CHECKED enum ds_status db_commitment_claim(struct db *d, const char *peer, unsigned lease_ms,
                                              struct db_commitment *out, bool *found,
                                              struct ds_error *err);
void db_commitment_free(struct db_commitment *c); /* zeroed is fine */
/* The peer has taken the request: its report is waited for. */
DS_CHECKED enum ds_status db_commitment_asked(struct db *d, int64_t id, int64_t timeout_ms,
                                              struct ds_error *err);
/* It has not: ask again later. */
DS_CHECKED enum ds_status db_commitment_put_off(struct db *d, int64_t id, int64_t retry_ms,
                                                const char *cause, struct ds_error *err);
/* It never will. The deliveries stay sent, with the cause, or, where commitment is required, fail.
 */
DS_CHECKED enum ds_status db_commitment_give_up(struct db *d, int64_t id, bool required,
                                                const char *cause, struct ds_error *err);
/* Transactions of a peer whose report did not come in time: their deliveries are asked for again,
 * in another transaction, or, after asks_max, given up as above. A report that comes after all is
 * taken. *count: transactions. */
DS_CHECKED enum ds_status db_commitment_expire(struct db *d, const char *peer, bool required,
                                               unsigned asks_max, uint64_t *count,
                                               struct ds_error *err);

/* What an answer means for the delivery. */
enum db_commitment_verdict {
    DB_COMMITMENT_DONE,
    DB_COMMITMENT_SEND_AGAIN, /* up to failures_max times, then it fails */
    DB_COMMITMENT_ASK_AGAIN,
    DB_COMMITMENT_FAILED,
};
struct db_commitment_answer {
    const char *sop_uid;
    uint16_t failure; /* 0: committed */
    enum db_commitment_verdict verdict;
};
struct db_commitment_policy {
    unsigned failures_max; /* how often an instance is sent again */
    int64_t retry_ms;      /* before the first time; four times as long before each further one */
};
/* A report. One transaction with its events ("committed", "commit-failed"), may be repeated. What
 * it does not name stays unanswered. *known false: the peer was never asked so. */
DS_CHECKED enum ds_status
db_commitment_report(struct db *d, const char *peer, const char *transaction_uid,
                     const struct db_commitment_answer *answers, size_t count,
                     const struct db_commitment_policy *policy, bool *known, struct ds_error *err);

/* ---- what we are asked ---- */

struct db_commitment_request {
    int64_t id;
    char transaction_uid[DB_UID_BYTES];
    char calling_ae[DB_AE_BYTES], called_ae[DB_AE_BYTES];
    char peer[DB_UID_BYTES]; /* name in the configuration */
    bool is_checked;         /* every item has an answer */
    unsigned attempts;       /* reports that were not taken */
    int64_t age_us;          /* since it was asked */
    struct db_commitment_item *items;
    size_t count;
};

/* A request as it came: id, attempts, age and answers are ignored. The same transaction of the same
 * AE once more is checked and reported anew. */
DS_CHECKED enum ds_status db_commitment_request_add(struct db *d,
                                                    const struct db_commitment_request *request,
                                                    struct ds_error *err);
/* One that is due to be checked or reported; nobody else gets it within lease_ms. */
DS_CHECKED enum ds_status db_commitment_request_claim(struct db *d, unsigned lease_ms,
                                                      struct db_commitment_request *out,
                                                      bool *found, struct ds_error *err);
void db_commitment_request_free(struct db_commitment_request *r); /* zeroed is fine */
/* Stores the answers of all items; it is to be reported from now on. */
DS_CHECKED enum ds_status db_commitment_request_checked(struct db *d,
                                                        const struct db_commitment_request *r,
                                                        struct ds_error *err);
/* Not now: try again later. failed: an attempt to report. */
DS_CHECKED enum ds_status db_commitment_request_put_off(struct db *d, int64_t id, int64_t retry_ms,
                                                        bool failed, const char *cause,
                                                        struct ds_error *err);
/* The end: reported (cause ""), or given up with a cause. An event "commitment-reported" or
 * "commitment-given-up". */
DS_CHECKED enum ds_status db_commitment_request_finish(struct db *d, int64_t id, const char *cause,
                                                       struct ds_error *err);

/* An instance that was received and is kept. */
struct db_held {
    size_t item; /* index into the request's items */
    int64_t instance_id;
    char study_uid[DB_UID_BYTES], sop_class_uid[DB_UID_BYTES];
    char path[DB_PATH_BYTES];
    uint8_t file_hash[DS_SHA256_BYTES];
};
/* Those that could stand for the items, item by item. What was deleted is not among them. */
DS_CHECKED enum ds_status db_commitment_held(struct db *d, const struct db_commitment_request *r,
                                             struct db_held **out, size_t *count,
                                             struct ds_error *err); /* free() */

#endif
