/* SPDX-License-Identifier: Apache-2.0 */
#include "node/watch.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "db/operate.h"
#include "db/readback.h"
#include "db/quarantine.h"
#include "node/thread.h"
#include "node/vitals.h"
#include "web/web.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 3000
#define OPEN_AGAIN_MS 10000
#define CONNECTION_MS 30000 /* to the web port */
#define STEP_MS       500

struct watch {
    struct services *services;
    struct settings *settings; /* those that the node started with: address, port, watermark */
    char *spool;               /* the folder */
    struct ports ports;
    struct web *web; /* of the thread once it runs */
    struct thread thread;
    atomic_bool database_up;
};

/* ---- what web asks ---- */

static void measure(void *context)
{
    struct watch *w = context;
    uint64_t free_bytes = 0;
    if (vitals_disk(w->spool, &free_bytes) || free_bytes > 0) {
        ds_metric_set(DS_METRIC_SPOOL_FREE, NULL, NULL, (double)free_bytes);
    }
    ds_metric_set(DS_METRIC_SPOOL_MIN_FREE, NULL, NULL,
                  (double)settings_config(w->settings)->min_free_bytes);
    ds_metric_set(DS_METRIC_INDEX_LAG, NULL, NULL,
                  (double)arrivals_lag_ms(w->services->arrivals) / 1e3);
    vitals_measure();
}

static void health(void *context, struct web_health *out)
{
    struct watch *w = context;
    const bool writes = vitals_disk(w->spool, &out->spool_free_bytes);
    out->dicom_port = w->ports.dicom;
    out->tls_port = w->ports.tls;
    out->database_up = atomic_load(&w->database_up);
    if (services_stopping(w->services)) {
        out->unready = "the node is stopping";
    } else if (!writes) {
        out->unready = "the spool cannot be written";
    } else if (!spool_has_room(w->services->spool)) {
        out->unready = "free space is below node.min_free";
    }
}

/* ---- what the thread asks ---- */

static bool has_state(const struct db_peer_state *states, size_t count, const char *peer)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(states[i].peer, peer) == 0) {
            return true;
        }
    }
    return false;
}

static void show_queue(const char *peer, const struct db_peer_state *state)
{
    static const enum db_delivery_state shown[] = {DB_WAITING, DB_READY, DB_LEASED, DB_FAILED};
    for (size_t i = 0; i < DS_ARRAY_SIZE(shown); i++) {
        ds_metric_set(DS_METRIC_DELIVERIES, peer, db_delivery_state_name(shown[i]),
                      (double)state->counts[shown[i]]);
    }
    ds_metric_set(DS_METRIC_OLDEST_UNDELIVERED, peer, NULL,
                  (double)state->oldest_undelivered_us / 1e6);
    ds_metric_set(DS_METRIC_PEER_PAUSED, peer, NULL, state->paused ? 1 : 0);
    ds_metric_set(DS_METRIC_PEER_CIRCUIT, peer, NULL, state->circuit != DB_CIRCUIT_CLOSED ? 1 : 0);
}

/* A peer that nothing was ever owed to is shown with zeros: an alarm needs to know it. */
static bool look_at_queues(struct services *services, struct db *db)
{
    struct db_peer_state *states = NULL;
    size_t count = 0;
    if (db_peer_states(db, false, &states, &count, NULL) != DS_OK) {
        return false;
    }
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    const struct config *c = settings_config(settings);
    static const struct db_peer_state nothing = {.circuit = DB_CIRCUIT_CLOSED};
    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].host != NULL && !has_state(states, count, c->peers[i].name)) {
            show_queue(c->peers[i].name, &nothing);
        }
    }
    for (size_t i = 0; i < count; i++) {
        show_queue(states[i].peer, &states[i]);
    }
    free(states);
    return true;
}

static void look_at_profiles(struct db *db)
{
    struct db_peer_profile *profiles = NULL;
    size_t count = 0;
    if (db_peer_profiles(db, NULL, &profiles, &count, NULL) != DS_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (unsigned p = 0; p < DB_BACK_PROFILES; p++) {
            ds_metric_set(DS_METRIC_PEER_PROFILE, profiles[i].peer,
                          db_back_profile_name((enum db_back_profile)p),
                          (unsigned)profiles[i].profile == p ? 1 : 0);
        }
    }
    free(profiles);
}

static void look_at_quarantine(struct db *db)
{
    uint64_t counts[DB_QUARANTINE_CLASSES];
    if (db_quarantine_counts(db, counts, NULL) != DS_OK) {
        return; /* the pool says so */
    }
    for (unsigned i = 0; i < DB_QUARANTINE_CLASSES; i++) {
        ds_metric_set(DS_METRIC_QUARANTINE_HELD,
                      db_quarantine_class_name((enum db_quarantine_class)i), NULL,
                      (double)counts[i]);
    }
}

static void look_at_database(struct watch *w)
{
    struct db *db = services_db(w->services);
    const int64_t begun_us = ds_clock_monotonic_us();
    const bool up = db != NULL && db_ping(db, NULL) == DS_OK;
    if (up) {
        ds_metric_set(DS_METRIC_DATABASE_LATENCY, NULL, NULL,
                      (double)(ds_clock_monotonic_us() - begun_us) / 1e6);
        look_at_quarantine(db);
    }
    atomic_store(&w->database_up, up && look_at_queues(w->services, db));
    if (atomic_load(&w->database_up)) {
        look_at_profiles(db);
    }
    ds_metric_set(DS_METRIC_DATABASE_UP, NULL, NULL, atomic_load(&w->database_up) ? 1 : 0);
}

/* *told: the failure was logged already. */
static void open_web(struct watch *w, bool *told)
{
    const struct config *c = settings_config(w->settings);
    const struct web_source source = {.context = w, .measure = measure, .health = health};
    struct ds_error err = {0};
    if (web_start(&w->web, c->web_address, c->web_port, &source, &err) == DS_OK) {
        w->ports.web = web_port(w->web);
        return;
    }
    if (!*told) {
        ds_log(DS_LOG_ERROR, "node", "no metrics, tried again every %d s: %s", OPEN_AGAIN_MS / 1000,
               err.text);
    }
    *told = true;
}

static void open_web_late(struct watch *w, bool *told)
{
    struct ds_error err = {0};
    open_web(w, told);
    if (w->web == NULL) {
        return;
    }
    ds_log(DS_LOG_INFO, "node", "ready web=%u", w->ports.web);
    if (ports_write(w->services->archive.state_dir, &w->ports, &err) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "%s", err.text);
    }
}

static void run(void *context)
{
    struct watch *w = context;
    const bool wanted = settings_config(w->settings)->web_port != 0;
    bool told = true; /* by the start */
    int64_t next_look_ms = 0;
    int64_t next_open_ms = ds_clock_monotonic_ms() + OPEN_AGAIN_MS;
    while (!services_stopping(w->services)) {
        const int64_t now = ds_clock_monotonic_ms();
        if (now >= next_look_ms) {
            look_at_database(w);
            next_look_ms = ds_clock_monotonic_ms() + LOOK_EVERY_MS;
        }
        if (wanted && w->web == NULL && now >= next_open_ms) {
            open_web_late(w, &told);
            next_open_ms = ds_clock_monotonic_ms() + OPEN_AGAIN_MS;
        }
        if (w->web != NULL) {
            web_tend(w->web, CONNECTION_MS);
        }
        services_sleep(w->services, STEP_MS);
    }
}

/* ---- life ---- */

static void watch_free(struct watch *w)
{
    web_stop(w->web);
    settings_release(w->settings);
    ds_string_free(&w->spool);
    free(w);
}

enum ds_status watch_start(struct watch **out, struct services *services,
                           const struct ports *listeners, struct ds_error *err)
{
    *out = NULL;
    struct watch *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    w->services = services;
    w->settings = services_settings(services);
    w->spool = ds_file_join(services->archive.state_dir, "spool");
    w->ports = *listeners;
    atomic_init(&w->database_up, false);
    enum ds_status s = w->spool != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
    vitals_begin();
    bool told = false;
    if (s == DS_OK && settings_config(w->settings)->web_port != 0) {
        open_web(w, &told);
    }
    if (s == DS_OK) {
        s = ports_write(services->archive.state_dir, &w->ports, err);
    }
    if (s == DS_OK) {
        s = thread_start(&w->thread, run, w, err);
    }
    if (s != DS_OK) {
        watch_free(w);
        return s;
    }
    *out = w;
    return DS_OK;
}

uint16_t watch_web_port(const struct watch *w)
{
    return w->ports.web;
}

bool watch_stop(struct watch *w, int64_t until_ms)
{
    if (w == NULL) {
        return true;
    }
    if (!thread_join(&w->thread, until_ms)) {
        return false;
    }
    watch_free(w);
    return true;
}
