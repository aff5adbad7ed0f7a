/* SPDX-License-Identifier: Apache-2.0 */
#include "node/census.h"

#include "base/log.h"
#include "node/calling.h"
#include "node/thread.h"
#include "scu/count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM       256U
#define IDLE_MS    1000
#define PATIENCE_S 10U /* for each step of asking: another source may be waiting its turn */
#define PEER_BYTES 65U /* a name of the configuration has at most 64 characters */

enum state { FREE, WANTED, ASKING, DONE };

struct row {
    enum state state;
    int64_t study_id;
    char study_uid[DB_UID_BYTES];
    char peer[PEER_BYTES];
    unsigned pending; /* when it was asked for */
    bool known;
    uint64_t instances;
    uint64_t used; /* for replacing the one that was not asked for longest */
};

struct census {
    struct services *services;
    struct thread thread;
    pthread_mutex_t lock;
    struct row rows[ROOM];
    uint64_t clock;
};

static struct row *row_of(struct census *c, int64_t study_id)
{
    for (size_t i = 0; i < ROOM; i++) {
        if (c->rows[i].state != FREE && c->rows[i].study_id == study_id) {
            return &c->rows[i];
        }
    }
    return NULL;
}

/* One that is being asked for keeps its place: the thread comes back to it. */
static struct row *new_row(struct census *c)
{
    struct row *oldest = NULL;
    for (size_t i = 0; i < ROOM; i++) {
        struct row *r = &c->rows[i];
        if (r->state != ASKING && (oldest == NULL || r->state == FREE ||
                                   (oldest->state != FREE && r->used < oldest->used))) {
            oldest = r;
        }
    }
    memset(oldest, 0, sizeof(*oldest)); /* the thread asks for one at a time */
    return oldest;
}

void census_ask(struct census *c, const struct census_question *q)
{
    (void)pthread_mutex_lock(&c->lock);
    struct row *r = row_of(c, q->study_id);
    const bool asks = r == NULL || (r->state == DONE && r->pending != q->pending);
    if (asks && r == NULL) {
        r = new_row(c);
        r->study_id = q->study_id;
        (void)snprintf(r->study_uid, sizeof(r->study_uid), "%s", q->study_uid);
    }
    if (asks) {
        (void)snprintf(r->peer, sizeof(r->peer), "%s", q->peer);
        r->pending = q->pending;
        r->state = WANTED;
    }
    r->used = ++c->clock;
    (void)pthread_mutex_unlock(&c->lock);
    if (asks) {
        bell_ring(&c->services->planning); /* its own thread waits there, too */
    }
}

bool census_answer(struct census *c, int64_t study_id, uint64_t *instances)
{
    (void)pthread_mutex_lock(&c->lock);
    const struct row *r = row_of(c, study_id);
    const bool known = r != NULL && r->known;
    *instances = known ? r->instances : 0;
    (void)pthread_mutex_unlock(&c->lock);
    return known;
}

void census_forget(struct census *c, int64_t study_id)
{
    (void)pthread_mutex_lock(&c->lock);
    struct row *r = row_of(c, study_id);
    if (r != NULL && r->state != ASKING) {
        memset(r, 0, sizeof(*r));
    }
    (void)pthread_mutex_unlock(&c->lock);
}

/* Copies the question, for the answer takes its time. */
static struct row *next_wanted(struct census *c, struct row *question)
{
    struct row *wanted = NULL;
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < ROOM && wanted == NULL; i++) {
        wanted = c->rows[i].state == WANTED ? &c->rows[i] : NULL;
    }
    if (wanted != NULL) {
        wanted->state = ASKING;
        *question = *wanted;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return wanted;
}

static enum ds_status ask(struct census *c, const struct row *q, uint64_t *instances,
                          struct ds_error *err)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(c->services);
    const struct config_peer *peer = config_peer_named(settings_config(settings), q->peer);
    if (peer == NULL || peer->host == NULL) {
        return ds_fail(err, DS_ENOTFOUND, "the peer is not configured any more");
    }
    struct calling calling;
    calling_init(&calling, settings, peer);
    calling.options.timeout_s = PATIENCE_S;
    return scu_study_count(&calling.options, q->study_uid, instances, err);
}

static void ask_next(struct census *c, struct row *row, const struct row *question)
{
    uint64_t instances = 0;
    struct ds_error err = {0};
    const enum ds_status s = ask(c, question, &instances, &err);
    if (s == DS_OK) {
        ds_log(DS_LOG_INFO, "node", "study=%lld peer=%s has %llu instances of it",
               (long long)question->study_id, question->peer, (unsigned long long)instances);
    } else {
        ds_log(DS_LOG_WARNING, "node", "study=%lld peer=%s does not say how many instances: %s",
               (long long)question->study_id, question->peer, err.text);
    }
    (void)pthread_mutex_lock(&c->lock);
    row->state = DONE;
    row->known = s == DS_OK;
    row->instances = instances;
    (void)pthread_mutex_unlock(&c->lock);
    bell_ring(&c->services->planning);
}

static void run(void *context)
{
    struct census *c = context;
    while (!services_stopping(c->services)) {
        const uint64_t seen = bell_count(&c->services->planning);
        struct row question;
        struct row *row = next_wanted(c, &question);
        if (row != NULL) {
            ask_next(c, row, &question);
        } else {
            bell_wait(&c->services->planning, seen, IDLE_MS);
        }
    }
}

static void census_free(struct census *c)
{
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

enum ds_status census_start(struct census **out, struct services *services, struct ds_error *err)
{
    *out = NULL;
    struct census *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    c->services = services;
    (void)pthread_mutex_init(&c->lock, NULL);
    const enum ds_status s = thread_start(&c->thread, run, c, err);
    if (s != DS_OK) {
        census_free(c);
        return s;
    }
    *out = c;
    return DS_OK;
}

bool census_stop(struct census *c, int64_t until_ms)
{
    if (c == NULL) {
        return true;
    }
    if (!thread_join(&c->thread, until_ms)) {
        return false;
    }
    census_free(c);
    return true;
}
