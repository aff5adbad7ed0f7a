/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_private - the pool from the inside: pool.c has its life and its loans, connection.c one
 * connection, transaction.c what runs on a loan, wait.c the one that listens.
 */
#ifndef DICOMSTEGO_DB_POOL_PRIVATE_H
#define DICOMSTEGO_DB_POOL_PRIVATE_H

#include "db/book.h"
#include "db/event_ids.h"
#include "db/prepared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define DB_LOAN_WAIT_MS 10000

struct db_connection {
    PGconn *pg; /* NULL: not open */
    struct db_prepared prepared;
    struct db_prepared questions; /* put together; by text */
    bool lent;
};

struct db {
    char *url; /* may hold a password */
    char *node;
    char *owner;
    char *archive; /* NULL: none */
    char *home;
    pthread_mutex_t lock;
    pthread_cond_t given_back;
    struct db_connection *connections;
    unsigned count;
    struct db_connection listener;
    bool listening; /* one thread waits at the listener, the others wait for it */
    uint64_t wakes;
    pthread_cond_t woken;
    _Atomic int64_t clock_ahead_us;
    struct db_book *book; /* borrowed; NULL: none */
    struct db_event_ids ids;
};

/* ---- connection.c; the caller has the connection to himself ---- */

void db_connection_drop(struct db_connection *c);
DS_CHECKED enum ds_status db_connection_open(const struct db *d, struct db_connection *c,
                                             struct ds_error *err);
/* An open connection, the present one if it still works. */
DS_CHECKED enum ds_status db_connection_ensure(const struct db *d, struct db_connection *c,
                                               struct ds_error *err);

/* ---- pool.c; any thread ---- */

/* By the monotonic clock, which the pool's conditions go by. */
struct timespec db_deadline_in(unsigned ms);
/* NULL: all were busy for DB_LOAN_WAIT_MS. */
struct db_connection *db_borrow(struct db *d);
void db_give_back(struct db *d, struct db_connection *c);

#endif
