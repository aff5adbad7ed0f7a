/* SPDX-License-Identifier: Apache-2.0 */
#include "node/readback.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "node/readback_private.h"
#include "node/thread.h"

#include <stdlib.h>
#include <string.h>

#define READERS         3U /* peers that are looked at at once */
#define LOOK_EVERY_MS   500
#define SCHEDULE_MAX_MS 60000
#define SCHEDULE_MIN_MS 1000

struct readback {
    struct services *services;
    struct thread threads[READERS];
    unsigned started;
    pthread_mutex_t lock;
    int64_t next_ms; /* under lock: when schedules are looked at again; monotonic */
};

/* The clock would do; but who knows when a run began could then tell what it draws. */
static int64_t fresh_seed(void)
{
    uint64_t seed = 0;
    struct ds_error err;
    if (ds_random((uint8_t *)&seed, sizeof(seed), &err) != DS_OK) {
        seed = (uint64_t)ds_clock_utc_us();
    }
    return (int64_t)(seed >> 1);
}

static void begin_due(struct db *db, const struct config_peer *peer)
{
    const struct db_back_request request = {.peer = peer->name,
                                            .actor = "node",
                                            .sample = peer->read_back.sample,
                                            .seed = fresh_seed(),
                                            .every_ms = peer->read_back.every_ms};
    int64_t id = 0;
    struct ds_error err = {0};
    if (db_back_begin(db, &request, &id, &err) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "peer=%s read-back: %s", peer->name, err.text);
    } else if (id != 0) {
        ds_log(DS_LOG_INFO, "node", "peer=%s read-back=%lld begins by schedule", peer->name,
               (long long)id);
    }
}

/* One of the threads, now and then. */
static bool is_time_for_schedules(struct readback *r, const struct config *c)
{
    int64_t shortest = SCHEDULE_MAX_MS;
    for (size_t i = 0; i < c->peer_count; i++) {
        const int64_t every = c->peers[i].read_back.every_ms;
        shortest = every != 0 && every / 4 < shortest ? every / 4 : shortest;
    }
    const int64_t now = ds_clock_monotonic_ms();
    (void)pthread_mutex_lock(&r->lock);
    const bool is_time = now >= r->next_ms;
    if (is_time) {
        r->next_ms = now + (shortest < SCHEDULE_MIN_MS ? SCHEDULE_MIN_MS : shortest);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return is_time;
}

static void look_at_schedules(struct readback *r, struct db *db, const struct config *c)
{
    if (!is_time_for_schedules(r, c)) {
        return;
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].read_back.every_ms != 0 &&
            back_window_is_open(&c->peers[i].read_back.window)) {
            begin_due(db, &c->peers[i]);
        }
    }
}

static void look(struct readback *r, struct db *db)
{
    struct db_back_run run;
    bool found = false;
    DS_AUTO(settings_auto) struct settings *settings = services_settings(r->services);
    look_at_schedules(r, db, settings_config(settings));
    if (db_back_claim(db, BACK_LEASE_MS, &run, &found, NULL) == DS_OK && found) {
        back_run_serve(r->services, db, settings, &run);
    }
}

static void run(void *context)
{
    struct readback *r = context;
    while (!services_stopping(r->services)) {
        struct db *db = services_db(r->services);
        if (db != NULL) {
            look(r, db);
        }
        services_sleep(r->services, LOOK_EVERY_MS);
    }
}

enum ds_status readback_start(struct readback **out, struct services *services,
                              struct ds_error *err)
{
    *out = NULL;
    struct readback *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    r->services = services;
    (void)pthread_mutex_init(&r->lock, NULL);
    *out = r; /* also on failure: the caller stops what has started */
    enum ds_status s = DS_OK;
    for (; s == DS_OK && r->started < READERS; r->started += s == DS_OK ? 1 : 0) {
        s = thread_start(&r->threads[r->started], run, r, err);
    }
    return s;
}

bool readback_stop(struct readback *r, int64_t until_ms)
{
    if (r == NULL) {
        return true;
    }
    while (r->started > 0) {
        if (!thread_join(&r->threads[r->started - 1], until_ms)) {
            return false;
        }
        r->started--;
    }
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    return true;
}
