/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: a few connections, opened when they are first needed, looked at before each loan, and
 * opened again when they broke. Waiting for NOTIFY takes a connection of its own, so that a waiter
 * never starves a worker.
 */
#include "base/clock.h"
#include "base/secret.h"
#include "db/prepared.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAN_WAIT_MS 10000

static const char sql_session[] = "SET statement_timeout = '60s';"
                                  "SET client_min_messages = 'warning';"
                                  "SET lock_timeout = '20s';"
                                  "SET idle_in_transaction_session_timeout = '60s';"
                                  "SET synchronous_commit = on;"
                                  "SET default_transaction_isolation = 'read committed';"
                                  "SET timezone = 'UTC'";

struct db_connection {
    PGconn *pg; /* NULL: not open */
    struct db_prepared prepared;
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
};

const char *db_node(const struct db *d)
{
    return d->node;
}

const char *db_owner(const struct db *d)
{
    return d->owner;
}

const char *db_archive(const struct db *d)
{
    return d->archive == NULL ? "" : d->archive;
}

const char *db_home(const struct db *d)
{
    return d->home;
}

_Atomic int64_t *db_clock_ahead(struct db *d)
{
    return &d->clock_ahead_us;
}

enum ds_status db_set_archive(struct db *d, const char *name, struct ds_error *err)
{
    free(d->archive);
    d->archive = strdup(name);
    return d->archive == NULL ? ds_fail(err, DS_ENOMEM, "no memory for the database pool") : DS_OK;
}

/* ---- life ---- */

/* libpq's own words about a URL that it cannot read would quote it, password and all. */
static enum ds_status check_url(const char *url, struct ds_error *err)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &message);
    if (message != NULL) {
        ds_wipe(message, strlen(message));
        PQfreemem(message);
    }
    if (options == NULL) {
        return ds_fail(err, DS_ECONFIG,
                       "the database address cannot be read; expected "
                       "postgresql://USER@HOST:PORT/NAME");
    }
    PQconninfoFree(options);
    return DS_OK;
}

/* "NODE:HOME-PROCESS" */
static enum ds_status make_owner(struct db *d, const char *home,
                                 const uint8_t process[DB_PROCESS_BYTES], struct ds_error *err)
{
    char hex[2 * DB_PROCESS_BYTES + 1];
    ds_hex(process, DB_PROCESS_BYTES, hex);
    const size_t size = strlen(d->node) + strlen(home) + sizeof(hex) + 2;
    char *kept = strdup(home);
    char *owner = malloc(size);
    if (owner == NULL || kept == NULL) {
        free(owner);
        free(kept);
        return ds_fail(err, DS_ENOMEM, "no memory for the database pool");
    }
    (void)snprintf(owner, size, "%s:%s-%s", d->node, home, hex);
    free(d->owner);
    free(d->home);
    d->owner = owner;
    d->home = kept;
    return DS_OK;
}

enum ds_status db_set_home(struct db *d, const char *home, const uint8_t process[DB_PROCESS_BYTES],
                           struct ds_error *err)
{
    /* It becomes part of a pattern. */
    if (home[0] == '\0' || home[strspn(home, "0123456789abcdef")] != '\0') {
        return ds_fail(err, DS_EINVAL, "a home is hexadecimal digits");
    }
    return make_owner(d, home, process, err);
}

static enum ds_status draw_owner(struct db *d, struct ds_error *err)
{
    uint8_t process[DB_PROCESS_BYTES];
    const enum ds_status s = ds_random(process, sizeof(process), err);
    return s == DS_OK ? make_owner(d, "", process, err) : s;
}

static void init_condition(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void db_auto(struct db **d)
{
    db_close(*d);
}

enum ds_status db_open(struct db **out, const char *url, unsigned connections, const char *node,
                       struct ds_error *err)
{
    *out = NULL;
    enum ds_status s = check_url(url, err);
    if (s != DS_OK) {
        return s;
    }
    if (connections == 0 || connections > 256) {
        return ds_fail(err, DS_EINVAL, "%u database connections; 1 to 256 make a pool",
                       connections);
    }
    DS_AUTO(db_auto) struct db *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the database pool");
    }
    (void)pthread_mutex_init(&d->lock, NULL);
    init_condition(&d->given_back);
    init_condition(&d->woken);
    d->url = strdup(url);
    atomic_init(&d->clock_ahead_us, DB_CLOCK_UNKNOWN_US);
    d->node = strdup(node);
    d->connections = calloc(connections, sizeof(*d->connections));
    if (d->url == NULL || d->node == NULL || d->connections == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the database pool");
    }
    d->count = connections;
    s = draw_owner(d, err);
    if (s == DS_OK) {
        *out = d;
        d = NULL;
    }
    return s;
}

void db_close(struct db *d)
{
    if (d == NULL) {
        return;
    }
    for (unsigned i = 0; i < d->count; i++) {
        PQfinish(d->connections[i].pg);
        db_prepared_forget(&d->connections[i].prepared);
    }
    PQfinish(d->listener.pg);
    if (d->url != NULL) {
        ds_wipe(d->url, strlen(d->url));
    }
    free(d->url);
    free(d->node);
    free(d->owner);
    free(d->archive);
    free(d->home);
    free(d->connections);
    (void)pthread_cond_destroy(&d->given_back);
    (void)pthread_cond_destroy(&d->woken);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- one connection ---- */

static void drop(struct db_connection *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
    db_prepared_forget(&c->prepared);
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
static enum ds_status connect_now(const struct db *d, struct db_connection *c, struct ds_error *err)
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
        drop(c);
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
        drop(c);
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

/* An open connection, the present one if it still works. */
static enum ds_status ensure(const struct db *d, struct db_connection *c, struct ds_error *err)
{
    if (c->pg != NULL && is_sound(c->pg)) {
        return DS_OK;
    }
    drop(c);
    return connect_now(d, c, err);
}

/* ---- loans ---- */

static struct timespec deadline_in(unsigned ms)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

/* A free place, an open one first. */
static struct db_connection *find_free(struct db *d)
{
    struct db_connection *found = NULL;
    for (unsigned i = 0; i < d->count; i++) {
        struct db_connection *c = &d->connections[i];
        if (!c->lent && (found == NULL || (found->pg == NULL && c->pg != NULL))) {
            found = c;
        }
    }
    return found;
}

static struct db_connection *borrow(struct db *d)
{
    const struct timespec deadline = deadline_in(LOAN_WAIT_MS);
    int waited = 0;
    (void)pthread_mutex_lock(&d->lock);
    struct db_connection *c = find_free(d);
    while (c == NULL && waited == 0) {
        waited = pthread_cond_timedwait(&d->given_back, &d->lock, &deadline);
        c = find_free(d);
    }
    if (c != NULL) {
        c->lent = true;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return c;
}

static void give_back(struct db *d, struct db_connection *c)
{
    (void)pthread_mutex_lock(&d->lock);
    c->lent = false;
    (void)pthread_cond_signal(&d->given_back);
    (void)pthread_mutex_unlock(&d->lock);
}

/* ---- transactions ---- */

/* A sound connection, without a transaction on it. */
static enum ds_status take_connection(struct db_tx *t, struct db *d, struct ds_error *err)
{
    struct db_connection *c = borrow(d);
    if (c == NULL) {
        return ds_fail(err, DS_EIO, "all %u database connections were busy for %d s", d->count,
                       LOAN_WAIT_MS / 1000);
    }
    t->d = d;
    t->c = c;
    return ensure(d, c, err);
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

enum ds_status db_commit(struct db_tx *t, struct ds_error *err)
{
    const enum ds_status s = db_run(t, "COMMIT", NULL, NULL, err);
    t->open = false;
    return s;
}

void db_end(struct db_tx *t)
{
    if (t->c == NULL) {
        return;
    }
    if (t->open && t->c->pg != NULL && PQstatus(t->c->pg) == CONNECTION_OK) {
        PQclear(PQexec(t->c->pg, "ROLLBACK"));
    }
    if (t->c->pg != NULL &&
        (PQstatus(t->c->pg) != CONNECTION_OK || PQtransactionStatus(t->c->pg) != PQTRANS_IDLE)) {
        drop(t->c);
    }
    give_back(t->d, t->c);
    *t = DB_TX_INIT;
}

enum ds_status db_run(struct db_tx *t, const char *sql, struct db_args *a, PGresult **result,
                      struct ds_error *err)
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
    PGresult *r = db_prepared_run(&t->c->prepared, t->c->pg, sql, a, values, formats);
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

/* A statement alone is a transaction of its own: one way to the server and back, and not three. */
enum ds_status db_ask(struct db *d, const char *sql, struct db_args *a, PGresult **result,
                      struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    const enum ds_status s = take_connection(&t, d, err);
    return s == DS_OK ? db_run(&t, sql, a, result, err) : s;
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

/* ---- waiting for NOTIFY ---- */

/* What was announced before we listened was missed, so a new connection counts as a wake. */
static enum ds_status listen_anew(const struct db *d, struct db_connection *c, bool *woken,
                                  struct ds_error *err)
{
    enum ds_status s = connect_now(d, c, err);
    if (s != DS_OK) {
        return s;
    }
    PGresult *result = PQexec(c->pg, "LISTEN dicomstego");
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        s = db_result_failed(c->pg, result, err);
    }
    PQclear(result);
    *woken = s == DS_OK;
    if (s != DS_OK) {
        drop(c);
    }
    return s;
}

static bool take_notifications(PGconn *pg)
{
    bool any = false;
    for (PGnotify *n = PQnotifies(pg); n != NULL; n = PQnotifies(pg)) {
        PQfreemem(n);
        any = true;
    }
    return any;
}

static enum ds_status listen_until(const struct db *d, struct db_connection *c, int64_t until_ms,
                                   bool *woken, struct ds_error *err)
{
    if (c->pg == NULL) {
        return listen_anew(d, c, woken, err);
    }
    *woken = take_notifications(c->pg);
    while (!*woken) {
        const int64_t left = until_ms - ds_clock_monotonic_ms();
        struct pollfd p = {PQsocket(c->pg), POLLIN, 0};
        const int ready = left <= 0 ? 0 : poll(&p, 1, (int)left);
        if (ready == 0 || (ready < 0 && errno == EINTR)) {
            return DS_OK; /* a signal may mean that the caller should look around */
        }
        if (PQconsumeInput(c->pg) == 0 || PQstatus(c->pg) != CONNECTION_OK) {
            drop(c);
            return ds_fail(err, DS_EIO,
                           "database: the listening connection broke; it is opened again at the "
                           "next try");
        }
        *woken = take_notifications(c->pg);
    }
    return DS_OK;
}

/* Called with the lock held, which is given up meanwhile. */
static enum ds_status lead(struct db *d, int64_t until_ms, bool *woken, struct ds_error *err)
{
    d->listening = true;
    (void)pthread_mutex_unlock(&d->lock);
    const enum ds_status s = listen_until(d, &d->listener, until_ms, woken, err);
    (void)pthread_mutex_lock(&d->lock);
    d->listening = false;
    d->wakes += *woken ? 1 : 0;
    (void)pthread_cond_broadcast(&d->woken);
    return s;
}

enum ds_status db_wait(struct db *d, unsigned timeout_ms, bool *woken, struct ds_error *err)
{
    *woken = false;
    const unsigned capped = timeout_ms > 3600000U ? 3600000U : timeout_ms;
    const struct timespec deadline = deadline_in(capped);
    const int64_t until_ms = ds_clock_monotonic_ms() + (int64_t)capped;
    enum ds_status s = DS_OK;
    (void)pthread_mutex_lock(&d->lock);
    const uint64_t before = d->wakes;
    int waited = 0;
    while (d->listening && d->wakes == before && waited == 0) {
        waited = pthread_cond_timedwait(&d->woken, &d->lock, &deadline);
    }
    if (d->wakes != before) {
        *woken = true;
    } else if (!d->listening) {
        s = lead(d, until_ms, woken, err);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return s;
}
