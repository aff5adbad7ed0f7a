/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recorder.h"

#include "base/log.h"
#include "node/services.h"
#include "node/thread.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOM       4096U
#define BATCH      256U
#define FULL_MS    2000 /* how long somebody waits for room */
#define AWAY_MS    500  /* between tries while the database is away */
#define LAST_TRIES 4U   /* after the stop */

struct entry {
    char *kind, *actor, *peer, *outcome, *detail;
};

struct recorder {
    struct services *services;
    struct thread thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry entries[ROOM]; /* a ring */
    size_t first, count;
    bool closed;
};

static void entry_free(struct entry *e)
{
    free(e->kind);
    free(e->actor);
    free(e->peer);
    free(e->outcome);
    free(e->detail);
    *e = (struct entry){0};
}

static bool text_copy(char **out, const char *text)
{
    *out = text == NULL ? NULL : strdup(text);
    return text == NULL || *out != NULL;
}

static bool entry_copy(struct entry *out, const struct db_event *event)
{
    return text_copy(&out->kind, event->kind) && text_copy(&out->actor, event->actor) &&
           text_copy(&out->peer, event->peer) && text_copy(&out->outcome, event->outcome) &&
           text_copy(&out->detail, event->detail);
}

static struct timespec in_ms(int64_t ms)
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

static bool enqueue(struct recorder *r, struct entry *e)
{
    const struct timespec until = in_ms(FULL_MS);
    int waited = 0;
    (void)pthread_mutex_lock(&r->lock);
    while (r->count == ROOM && waited == 0) {
        waited = pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    const bool there = r->count < ROOM;
    if (there) {
        r->entries[(r->first + r->count++) % ROOM] = *e;
        *e = (struct entry){0};
        (void)pthread_cond_broadcast(&r->changed);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return there;
}

void recorder_add(struct recorder *r, const struct db_event *event)
{
    struct entry e = {0};
    if (r == NULL || !entry_copy(&e, event) || !enqueue(r, &e)) {
        ds_log(DS_LOG_ERROR, "node", "peer=%s an event is not recorded: %s", event->actor,
               event->kind);
    }
    entry_free(&e);
}

/* The first ones of the queue, which stay there until they are written; 0: closed and empty. */
static size_t await(struct recorder *r, struct db_event *out)
{
    (void)pthread_mutex_lock(&r->lock);
    while (r->count == 0 && !r->closed) {
        (void)pthread_cond_wait(&r->changed, &r->lock);
    }
    const size_t n = r->count < BATCH ? r->count : BATCH;
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = &r->entries[(r->first + i) % ROOM];
        out[i] = (struct db_event){.kind = e->kind,
                                   .actor = e->actor,
                                   .peer = e->peer,
                                   .outcome = e->outcome,
                                   .detail = e->detail};
    }
    (void)pthread_mutex_unlock(&r->lock);
    return n;
}

static void drop(struct recorder *r, size_t n)
{
    (void)pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i++) {
        entry_free(&r->entries[(r->first + i) % ROOM]);
    }
    r->first = (r->first + n) % ROOM;
    r->count -= n;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
}

static enum ds_status write_batch(struct recorder *r, const struct db_event *events, size_t n,
                                  struct ds_error *err)
{
    struct db *db = services_db(r->services);
    return db == NULL ? ds_fail(err, DS_EIO, "the database is away")
                      : db_event_add(db, events, n, err);
}

static bool is_closed(struct recorder *r)
{
    (void)pthread_mutex_lock(&r->lock);
    const bool closed = r->closed;
    (void)pthread_mutex_unlock(&r->lock);
    return closed;
}

static void run(void *context)
{
    struct recorder *r = context;
    struct db_event events[BATCH];
    unsigned last_tries = 0;
    for (size_t n = await(r, events); n > 0; n = await(r, events)) {
        struct ds_error err = {DS_OK, ""};
        const enum ds_status s = write_batch(r, events, n, &err);
        if (s == DS_EIO || s == DS_ENOMEM) {
            last_tries += is_closed(r);
            if (last_tries <= LAST_TRIES) {
                const struct timespec pause = {0, AWAY_MS * 1000000L};
                (void)nanosleep(&pause, NULL);
                continue;
            }
        }
        if (s != DS_OK) {
            ds_log(DS_LOG_ERROR, "node", "%zu events are not recorded: %s", n, err.text);
        }
        drop(r, n);
    }
}

enum ds_status recorder_start(struct recorder **out, struct services *services,
                              struct ds_error *err)
{
    *out = NULL;
    struct recorder *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    r->services = services;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&r->lock, NULL);
    *out = r; /* also on failure: the caller stops what has started */
    const enum ds_status s = thread_start(&r->thread, run, r, err);
    r->started = s == DS_OK;
    return s;
}

bool recorder_stop(struct recorder *r, int64_t until_ms)
{
    if (r == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&r->lock);
    r->closed = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
    if (r->started && !thread_join(&r->thread, until_ms)) {
        return false;
    }
    drop(r, r->count);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    return true;
}
