/* SPDX-License-Identifier: Apache-2.0 */
#include "node/deliverer.h"

#include "base/log.h"
#include "node/crew.h"

#include <stdlib.h>

struct crew {
    struct crew *next;
    struct settings *settings;
    atomic_bool stop;
    struct peer_state *states; /* one for each peer */
    size_t state_count;
    struct worker *workers;
    size_t worker_count;
};

/* Everything here is called by the main thread. */
struct deliverer {
    struct services *services;
    struct clerk *clerk;
    struct crew *crews; /* the first is in force, the others are ending */
};

static size_t workers_wanted(const struct config *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->peer_count; i++) {
        count += c->peers[i].host == NULL ? 0 : c->peers[i].associations;
    }
    return count;
}

/* Joins who has started; false when one did not end in time. */
static bool crew_join(struct crew *crew, int64_t until_ms)
{
    bool all = true;
    for (size_t i = 0; i < crew->worker_count; i++) {
        struct worker *w = &crew->workers[i];
        if (!w->started) {
            continue;
        }
        if (!thread_join(&w->thread, until_ms)) {
            all = false;
            continue;
        }
        w->started = false;
    }
    return all;
}

static void crew_free(struct crew *crew)
{
    for (size_t i = 0; i < crew->state_count; i++) {
        circuit_finish(&crew->states[i].circuit);
        rate_finish(&crew->states[i].rate);
    }
    settings_release(crew->settings);
    free(crew->states);
    free(crew->workers);
    free(crew);
}

static enum ds_status crew_begin(struct crew *crew, struct deliverer *d, struct ds_error *err)
{
    const struct config *c = settings_config(crew->settings);
    crew->states = calloc(c->peer_count + 1, sizeof(*crew->states));
    crew->workers = calloc(workers_wanted(c) + 1, sizeof(*crew->workers));
    if (crew->states == NULL || crew->workers == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (; crew->state_count < c->peer_count; crew->state_count++) {
        const struct config_peer *peer = &c->peers[crew->state_count];
        circuit_init(&crew->states[crew->state_count].circuit, peer);
        rate_init(&crew->states[crew->state_count].rate, peer->bandwidth);
    }
    for (size_t p = 0; p < c->peer_count; p++) {
        const unsigned count = c->peers[p].host == NULL ? 0 : c->peers[p].associations;
        for (unsigned i = 0; i < count; i++) {
            struct worker *w = &crew->workers[crew->worker_count++];
            w->services = d->services;
            w->clerk = d->clerk;
            w->settings = crew->settings;
            w->peer = &c->peers[p];
            w->state = &crew->states[p];
            w->stop = &crew->stop;
            const enum ds_status s = thread_start(&w->thread, worker_run, w, err);
            if (s != DS_OK) {
                return s;
            }
            w->started = true;
        }
    }
    return DS_OK;
}

static enum ds_status add_crew(struct deliverer *d, struct ds_error *err)
{
    struct crew *crew = calloc(1, sizeof(*crew));
    if (crew == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    atomic_init(&crew->stop, false);
    crew->settings = services_settings(d->services);
    crew->next = d->crews;
    d->crews = crew;
    return crew_begin(crew, d, err);
}

/* Frees the crews behind the first whose workers have ended. */
static void reap(struct deliverer *d)
{
    struct crew **at = d->crews == NULL ? NULL : &d->crews->next;
    while (at != NULL && *at != NULL) {
        struct crew *crew = *at;
        if (crew_join(crew, 0)) {
            *at = crew->next;
            crew_free(crew);
        } else {
            at = &crew->next;
        }
    }
}

enum ds_status deliverer_start(struct deliverer **out, struct services *services,
                               struct ds_error *err)
{
    *out = NULL;
    struct deliverer *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    d->services = services;
    *out = d; /* also on failure: the caller stops what has started */
    const enum ds_status s = clerk_start(&d->clerk, services, CLERK_LEASE_MS, err);
    return s == DS_OK ? add_crew(d, err) : s;
}

enum ds_status deliverer_reload(struct deliverer *d, struct ds_error *err)
{
    atomic_store(&d->crews->stop, true);
    bell_ring(&d->services->bell);
    const enum ds_status s = add_crew(d, err);
    reap(d);
    return s;
}

bool deliverer_stop(struct deliverer *d, int64_t until_ms)
{
    if (d == NULL) {
        return true;
    }
    bool all = true;
    for (struct crew *crew = d->crews; crew != NULL; crew = crew->next) {
        all = crew_join(crew, until_ms) && all;
    }
    if (!all) {
        ds_log(DS_LOG_WARNING, "node",
               "a peer keeps a worker waiting; its leases run out by themselves");
        return false;
    }
    if (!clerk_stop(d->clerk, until_ms)) {
        ds_log(DS_LOG_WARNING, "node", "the database keeps the last outcomes waiting");
        return false;
    }
    while (d->crews != NULL) {
        struct crew *crew = d->crews;
        d->crews = crew->next;
        crew_free(crew);
    }
    free(d);
    return true;
}
