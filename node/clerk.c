/* SPDX-License-Identifier: Apache-2.0 */
#include "node/clerk.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dicom/association.h"
#include "node/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between two transactions: what is settled meanwhile goes together. */
#define WRITE_EVERY_MS 50
#define TRY_AGAIN_MS   500
#define WRITE_MAX      1024U

enum lease_state { LEASE_HELD, LEASE_SETTLED, LEASE_RETURNED };

struct lease {
    struct lease *next;
    enum lease_state state; /* under the clerk's lock, as all below */
    bool lost;              /* somebody else has it */
    int64_t until_ms;       /* monotonic */
    struct db_delivery_result result;
    char cause[DS_ERROR_TEXT_BYTES];
    char sent_uid[DICOM_UID_BYTES], beside_uid[DICOM_UID_BYTES];
    char peer[DB_TEXT_BYTES];
};

struct clerk {
    struct services *services;
    unsigned lease_ms;
    struct thread thread;
    pthread_mutex_t lock;
    struct bell bell;     /* rung for something to write */
    struct lease *leases; /* linked and unlinked under lock; freed by the thread alone */
    size_t to_write;
    bool ending;
    bool told; /* that it cannot write */
    int64_t renewed_ms;
    struct db_delivery_result results[WRITE_MAX]; /* of the thread: what it writes */
};

unsigned clerk_lease_ms(const struct clerk *c)
{
    return c->lease_ms;
}

static int64_t renew_every_ms(const struct clerk *c)
{
    return c->lease_ms / 4;
}

/* What must be left of a lease when something is sent under it. */
static int64_t margin_ms(const struct clerk *c)
{
    return c->lease_ms / 3;
}

/* ---- for the workers ---- */

static void free_leases(struct lease **first)
{
    while (*first != NULL) {
        struct lease *l = *first;
        *first = l->next;
        free(l);
    }
}

enum ds_status clerk_hold(struct clerk *c, const struct db_delivery *deliveries, size_t count,
                          int64_t claimed_ms, struct lease **out, struct ds_error *err)
{
    struct lease *fresh = NULL;
    for (size_t i = 0; i < count; i++) {
        struct lease *l = calloc(1, sizeof(*l));
        if (l == NULL) {
            free_leases(&fresh);
            return ds_fail(err, DS_ENOMEM, "no memory for %zu leases", count);
        }
        l->result.id = deliveries[i].id;
        l->until_ms = claimed_ms + (int64_t)c->lease_ms;
        l->next = fresh;
        fresh = out[i] = l;
    }
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        struct lease *l = fresh;
        fresh = l->next;
        l->next = c->leases;
        c->leases = l;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return DS_OK;
}

bool clerk_holds(struct clerk *c, const struct lease *l)
{
    (void)pthread_mutex_lock(&c->lock);
    const bool holds = !l->lost && ds_clock_monotonic_ms() + margin_ms(c) < l->until_ms;
    (void)pthread_mutex_unlock(&c->lock);
    return holds;
}

static void hand_over(struct clerk *c, struct lease *l, enum lease_state state)
{
    (void)pthread_mutex_lock(&c->lock);
    l->state = state;
    c->to_write++;
    (void)pthread_mutex_unlock(&c->lock);
    bell_ring(&c->bell);
}

void clerk_settle(struct clerk *c, struct lease *l, const char *peer,
                  const struct db_delivery_result *result)
{
    l->result = *result; /* nobody reads it before the state says so */
    (void)snprintf(l->cause, sizeof(l->cause), "%s", result->cause == NULL ? "" : result->cause);
    (void)snprintf(l->sent_uid, sizeof(l->sent_uid), "%s",
                   result->sent_sop_uid == NULL ? "" : result->sent_sop_uid);
    (void)snprintf(l->beside_uid, sizeof(l->beside_uid), "%s",
                   result->sent_beside_uid == NULL ? "" : result->sent_beside_uid);
    (void)snprintf(l->peer, sizeof(l->peer), "%s", peer);
    l->result.cause = l->cause;
    l->result.sent_sop_uid = l->sent_uid;
    l->result.sent_beside_uid = l->beside_uid;
    hand_over(c, l, LEASE_SETTLED);
}

void clerk_return(struct clerk *c, struct lease *l)
{
    hand_over(c, l, LEASE_RETURNED);
}

/* ---- the thread ---- */

/* Up to WRITE_MAX in this state. */
static size_t collect(struct clerk *c, enum lease_state state, struct lease **out)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&c->lock);
    for (struct lease *l = c->leases; l != NULL && count < WRITE_MAX; l = l->next) {
        if (l->state == state) {
            out[count++] = l;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    return count;
}

/* done is in the order of the list, and nothing but new ones at its head has changed since. */
static void drop(struct clerk *c, struct lease *const *done, size_t count)
{
    (void)pthread_mutex_lock(&c->lock);
    size_t at = 0;
    for (struct lease **l = &c->leases; *l != NULL && at < count;) {
        if (*l == done[at]) {
            struct lease *gone = *l;
            *l = gone->next;
            free(gone);
            at++;
        } else {
            l = &(*l)->next;
        }
    }
    c->to_write -= at;
    (void)pthread_mutex_unlock(&c->lock);
}

static void count_outcome(const struct lease *l)
{
    const char *outcome = l->result.state == DB_SENT     ? "sent"
                          : l->result.state == DB_FAILED ? "failed"
                                                         : "retry";
    ds_metric_add(DS_METRIC_DELIVERY_ATTEMPTS, l->peer, outcome, 1);
}

static enum ds_status write_outcomes(struct clerk *c, struct db *db, struct lease **some,
                                     struct ds_error *err)
{
    struct db_delivery_result *results = c->results;
    const size_t count = collect(c, LEASE_SETTLED, some);
    for (size_t i = 0; i < count; i++) {
        results[i] = some[i]->result;
    }
    const enum ds_status s = db_delivery_finish(db, results, count, err);
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < count; i++) {
        count_outcome(some[i]);
    }
    drop(c, some, count);
    return DS_OK;
}

static enum ds_status write_returns(struct clerk *c, struct db *db, struct lease **some,
                                    struct ds_error *err)
{
    int64_t ids[WRITE_MAX];
    const size_t count = collect(c, LEASE_RETURNED, some);
    for (size_t i = 0; i < count; i++) {
        ids[i] = some[i]->result.id;
    }
    const enum ds_status s = db_delivery_give_back(db, ids, count, err);
    if (s == DS_OK) {
        drop(c, some, count);
    }
    return s;
}

static enum ds_status write_all(struct clerk *c, struct ds_error *err)
{
    struct lease *some[WRITE_MAX];
    struct db *db = services_db(c->services);
    if (db == NULL) {
        return ds_fail(err, DS_EIO, "the database is away");
    }
    const enum ds_status s = write_outcomes(c, db, some, err);
    return s == DS_OK ? write_returns(c, db, some, err) : s;
}

static size_t collect_unwritten(struct clerk *c, struct lease ***out, int64_t **ids)
{
    size_t room = 1, count = 0;
    (void)pthread_mutex_lock(&c->lock);
    for (const struct lease *l = c->leases; l != NULL; l = l->next) {
        room++;
    }
    *out = calloc(room, sizeof(struct lease *));
    *ids = calloc(room, sizeof(int64_t));
    for (struct lease *l = c->leases; l != NULL && *out != NULL && *ids != NULL; l = l->next) {
        if (!l->lost && l->state != LEASE_RETURNED) {
            (*ids)[count] = l->result.id;
            (*out)[count++] = l;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    return count;
}

static void note_renewed(struct clerk *c, struct lease *const *leases, const bool *held,
                         size_t count, int64_t from_ms)
{
    size_t lost = 0;
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        if (held[i]) {
            leases[i]->until_ms = from_ms + (int64_t)c->lease_ms;
        } else {
            leases[i]->lost = true;
            lost++;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (lost > 0) {
        ds_log(DS_LOG_WARNING, "node", "leases=%zu were taken over by another node", lost);
    }
}

/* What is settled and not written yet is renewed too: nobody should send it a second time. */
static void renew(struct clerk *c)
{
    struct db *db = services_db(c->services);
    struct lease **leases = NULL;
    int64_t *ids = NULL;
    const int64_t now = ds_clock_monotonic_ms();
    const size_t count = db == NULL ? 0 : collect_unwritten(c, &leases, &ids);
    bool *held = calloc(count + 1, sizeof(*held));
    if (count > 0 && held != NULL &&
        db_delivery_renew(db, ids, count, c->lease_ms, held, NULL) == DS_OK) {
        note_renewed(c, leases, held, count, now);
    }
    free(held);
    free(ids);
    free(leases);
    c->renewed_ms = now;
}

static bool has_to_write(struct clerk *c, bool *ending)
{
    (void)pthread_mutex_lock(&c->lock);
    const bool some = c->to_write > 0;
    *ending = c->ending;
    (void)pthread_mutex_unlock(&c->lock);
    return some;
}

/* Answers how long to leave it alone. */
static int64_t write_some(struct clerk *c)
{
    struct ds_error err = {0};
    const enum ds_status s = write_all(c, &err);
    if (s == DS_OK) {
        c->told = false;
        return WRITE_EVERY_MS;
    }
    ds_log(c->told ? DS_LOG_DEBUG : DS_LOG_WARNING, "node",
           "status=%s outcomes of deliveries are not written yet: %s", ds_status_name(s), err.text);
    c->told = true;
    return TRY_AGAIN_MS;
}

static void pause_ms(struct clerk *c, int64_t ms)
{
    const int64_t until = ds_clock_monotonic_ms() + ms;
    bool ending = false;
    while (!ending && ds_clock_monotonic_ms() < until) {
        const uint64_t seen = bell_count(&c->bell);
        (void)has_to_write(c, &ending);
        if (!ending) {
            bell_wait(&c->bell, seen, until - ds_clock_monotonic_ms());
        }
    }
}

static void run(void *context)
{
    struct clerk *c = context;
    bool ending = false;
    for (;;) {
        const uint64_t seen = bell_count(&c->bell);
        const bool some = has_to_write(c, &ending);
        if (some) {
            const int64_t pause = write_some(c);
            if (ending && pause == TRY_AGAIN_MS) {
                return; /* the database is away, and so are we: it is sent again */
            }
            pause_ms(c, pause);
        } else if (ending) {
            return;
        } else {
            bell_wait(&c->bell, seen, renew_every_ms(c));
        }
        if (ds_clock_monotonic_ms() - c->renewed_ms >= renew_every_ms(c)) {
            renew(c);
        }
    }
}

/* ---- life ---- */

static void clerk_free(struct clerk *c)
{
    free_leases(&c->leases);
    bell_finish(&c->bell);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

enum ds_status clerk_start(struct clerk **out, struct services *services, unsigned lease_ms,
                           struct ds_error *err)
{
    *out = NULL;
    struct clerk *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    c->services = services;
    c->lease_ms = lease_ms;
    (void)pthread_mutex_init(&c->lock, NULL);
    bell_init(&c->bell);
    const enum ds_status s = thread_start(&c->thread, run, c, err);
    if (s != DS_OK) {
        clerk_free(c);
        return s;
    }
    *out = c;
    return DS_OK;
}

bool clerk_stop(struct clerk *c, int64_t until_ms)
{
    if (c == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&c->lock);
    c->ending = true;
    (void)pthread_mutex_unlock(&c->lock);
    bell_ring(&c->bell);
    if (!thread_join(&c->thread, until_ms)) {
        return false;
    }
    clerk_free(c);
    return true;
}
