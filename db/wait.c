/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for NOTIFY: one thread waits at the connection that listens, the others wait for it. */
#include "base/clock.h"
#include "db/pool_private.h"

#include <errno.h>
#include <poll.h>

/* What was announced before we listened was missed, so a new connection counts as a wake. */
static enum ds_status listen_anew(const struct db *d, struct db_connection *c, bool *woken,
                                  struct ds_error *err)
{
    enum ds_status s = db_connection_open(d, c, err);
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
        db_connection_drop(c);
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
            db_connection_drop(c);
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
    const struct timespec deadline = db_deadline_in(capped);
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
