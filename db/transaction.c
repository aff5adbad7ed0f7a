/* SPDX-License-Identifier: Apache-2.0 */
/* What runs on a loan of the pool: statements, alone or in a transaction. */
#include "db/pool_private.h"

#include <stdlib.h>

/* A sound connection, without a transaction on it. */
static enum ds_status take_connection(struct db_tx *t, struct db *d, struct ds_error *err)
{
    struct db_connection *c = db_borrow(d);
    if (c == NULL) {
        return ds_fail(err, DS_EIO, "all %u database connections were busy for %d s", d->count,
                       DB_LOAN_WAIT_MS / 1000);
    }
    t->d = d;
    t->c = c;
    return db_connection_ensure(d, c, err);
}

enum ds_status db_begin(struct db_tx *t, struct db *d, struct ds_error *err)
{
    enum ds_status s = take_connection(t, d, err);
    if (s == DS_OK) {
        s = db_run(t, "BEGIN", NULL, NULL, err);
    }
    t->open = s == DS_OK;
    return s;
}

/* What was committed gets its place in the log; what may have been is asked for later. */
static void enter_in_book(struct db_tx *t, bool is_sure)
{
    if (t->leaf_count > 0) { /* then there is a book */
        db_book_add(t->d->book, t->leaves, t->leaf_count, is_sure);
        t->leaf_count = 0;
    }
}

enum ds_status db_commit(struct db_tx *t, struct ds_error *err)
{
    const enum ds_status s = db_run(t, "COMMIT", NULL, NULL, err);
    t->open = false;
    enter_in_book(t, s == DS_OK);
    return s;
}

void db_end(struct db_tx *t)
{
    free(t->leaves);
    t->leaves = NULL;
    if (t->c == NULL) {
        return;
    }
    if (t->open && t->c->pg != NULL && PQstatus(t->c->pg) == CONNECTION_OK) {
        PQclear(PQexec(t->c->pg, "ROLLBACK"));
    }
    if (t->c->pg != NULL &&
        (PQstatus(t->c->pg) != CONNECTION_OK || PQtransactionStatus(t->c->pg) != PQTRANS_IDLE)) {
        db_connection_drop(t->c);
    }
    db_give_back(t->d, t->c);
    *t = DB_TX_INIT;
}

static enum ds_status run(struct db_tx *t, struct db_prepared *prepared, const char *sql,
                          struct db_args *a, PGresult **result, struct ds_error *err)
{
    if (result != NULL) {
        *result = NULL;
    }
    const char *values[DB_ARGS_MAX];
    int formats[DB_ARGS_MAX];
    const unsigned count = a == NULL ? 0 : a->count;
    if (a != NULL && a->status != DS_OK) {
        return ds_fail(err, a->status, "database: values of a statement do not fit in memory");
    }
    for (unsigned i = 0; i < count; i++) {
        /* A pointer of any kind will do for an empty value, but not NULL. */
        const char *base = a->data.data == NULL ? "" : (const char *)a->data.data + a->at[i];
        values[i] = a->length[i] < 0 ? NULL : base;
        formats[i] = 1;
    }
    DS_AUTO(db_clear)
    PGresult *r = db_prepared_run(prepared, t->c->pg, sql, a, values, formats);
    const ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        return db_result_failed(t->c->pg, r, err);
    }
    if (result != NULL) {
        *result = r;
        r = NULL;
    }
    return DS_OK;
}

enum ds_status db_run(struct db_tx *t, const char *sql, struct db_args *a, PGresult **result,
                      struct ds_error *err)
{
    return run(t, &t->c->prepared, sql, a, result, err);
}

/* A statement alone is a transaction of its own: one way to the server and back, and not three. */
enum ds_status db_ask(struct db *d, const char *sql, struct db_args *a, PGresult **result,
                      struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    const enum ds_status s = take_connection(&t, d, err);
    return s == DS_OK ? db_run(&t, sql, a, result, err) : s;
}

enum ds_status db_ask_question(struct db *d, const char *sql, struct db_args *a, PGresult **result,
                               struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    const enum ds_status s = take_connection(&t, d, err);
    if (s != DS_OK) {
        return s;
    }
    t.c->questions.by_text = true;
    return run(&t, &t.c->questions, sql, a, result, err);
}

enum ds_status db_run_script(struct db_tx *t, const char *sql, struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = PQexec(t->c->pg, sql);
    const ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
               ? DS_OK
               : db_result_failed(t->c->pg, r, err);
}

enum ds_status db_ping(struct db *d, struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, "SELECT 1", NULL, NULL, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
