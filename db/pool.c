/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: a few connections, opened when they are first needed. Waiting for NOTIFY takes a
 * connection of its own, so that a waiter never starves a worker.
 */
#include "base/secret.h"
#include "db/pool_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct db_book *db_book(const struct db *d)
{
    return d->book;
}

struct db_event_ids *db_event_ids_of(struct db *d)
{
    return &d->ids;
}

void db_set_book(struct db *d, struct db_book *b)
{
    d->book = b;
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
    (void)pthread_mutex_init(&d->ids.lock, NULL);
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
        db_prepared_forget(&d->connections[i].questions);
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
    (void)pthread_mutex_destroy(&d->ids.lock);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- loans ---- */

struct timespec db_deadline_in(unsigned ms)
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

struct db_connection *db_borrow(struct db *d)
{
    const struct timespec deadline = db_deadline_in(DB_LOAN_WAIT_MS);
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

void db_give_back(struct db *d, struct db_connection *c)
{
    (void)pthread_mutex_lock(&d->lock);
    c->lent = false;
    (void)pthread_cond_signal(&d->given_back);
    (void)pthread_mutex_unlock(&d->lock);
}
