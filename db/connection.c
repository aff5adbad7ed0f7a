/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: opened, looked at before each loan, and opened again when it broke. */
#include "db/pool_private.h"

#include <poll.h>
#include <string.h>

static const char sql_session[] = "SET statement_timeout = '60s';"
                                  "SET client_min_messages = 'warning';"
                                  "SET lock_timeout = '20s';"
                                  "SET idle_in_transaction_session_timeout = '60s';"
                                  "SET synchronous_commit = on;"
                                  "SET default_transaction_isolation = 'read committed';"
                                  "SET timezone = 'UTC'";

void db_connection_drop(struct db_connection *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
    db_prepared_forget(&c->prepared);
    db_prepared_forget(&c->questions);
}

/* The first line of libpq's words: which host, and why. They name users and hosts, no password. */
static enum ds_status connect_failed(const struct db_connection *c, struct ds_error *err)
{
    const char *text = c->pg == NULL ? "out of memory" : PQerrorMessage(c->pg);
    const int len = (int)strcspn(text, "\n");
    return ds_fail(err, DS_EIO,
                   "database not reachable (is PostgreSQL running, and does the "
                   "address fit?): %.*s",
                   len > 150 ? 150 : len, text);
}

/* libpq would print what the server remarks on standard error, values of rows included. */
static void ignore_notice(void *nobody, const PGresult *notice)
{
    (void)nobody;
    (void)notice;
}

/* Later keywords win: the URL may change the time-outs and our name, not the encoding. */
enum ds_status db_connection_open(const struct db *d, struct db_connection *c, struct ds_error *err)
{
    const char *const keywords[] = {"connect_timeout",
                                    "keepalives_idle",
                                    "tcp_user_timeout",
                                    "application_name",
                                    "dbname",
                                    "client_encoding",
                                    NULL};
    const char *const values[] = {"5", "30", "20000", "dicomstego", d->url, "UTF8", NULL};
    c->pg = PQconnectdbParams(keywords, values, 1);
    if (c->pg == NULL || PQstatus(c->pg) != CONNECTION_OK) {
        const enum ds_status s = connect_failed(c, err);
        db_connection_drop(c);
        return s;
    }
    (void)PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
    PGresult *result = PQexec(c->pg, sql_session);
    enum ds_status s = DS_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        s = db_result_failed(c->pg, result, err);
    }
    PQclear(result);
    if (s != DS_OK) {
        db_connection_drop(c);
    }
    return s;
}

/* A server that went away has closed its end, and that can be read without asking it. A word that
 * it said before (a shutdown notice) may have to be read first. */
static bool is_sound(PGconn *pg)
{
    struct pollfd p = {PQsocket(pg), POLLIN, 0};
    for (int i = 0; i < 8 && PQstatus(pg) == CONNECTION_OK; i++) {
        if (poll(&p, 1, 0) <= 0) {
            return PQtransactionStatus(pg) == PQTRANS_IDLE;
        }
        if (PQconsumeInput(pg) == 0) {
            return false;
        }
        PGnotify *n = PQnotifies(pg);
        PQfreemem(n);
    }
    return false;
}

enum ds_status db_connection_ensure(const struct db *d, struct db_connection *c,
                                    struct ds_error *err)
{
    if (c->pg != NULL && is_sound(c->pg)) {
        return DS_OK;
    }
    db_connection_drop(c);
    return db_connection_open(d, c, err);
}
