/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: claims the deliveries of its peer in batches, holds their lease while it sends them,
 * and writes down what became of each.
 */
#include "node/parcel.h"

#include "base/clock.h"
#include "base/log.h"
#include "node/backoff.h"

#include <stdlib.h>
#include <sys/stat.h>

#define BATCH_MAX       32U
#define LEASE_MS        120000U
#define RENEW_AFTER_MS  40000
#define LARGE_BYTES     (16 * 1024 * 1024)
#define IDLE_RELEASE_MS 30000
#define POLL_MS         1000
#define FINISH_EVERY_MS 1000

struct round {
    struct worker *worker;
    struct db *db;
    struct parcel *parcels;
    size_t count;
    int64_t renewed_ms, finished_ms;
};

static bool must_stop(const struct worker *w)
{
    return atomic_load(w->stop) || services_stopping(w->services);
}

/* Writes down what is decided. The database may be away: what was sent is not forgotten while we
 * live, and the lease keeps others from sending it again for a while. */
static void write_results(struct round *r)
{
    struct db_delivery_result results[BATCH_MAX];
    struct parcel *whose[BATCH_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->parcels[i].decided && !r->parcels[i].written) {
            whose[count] = &r->parcels[i];
            results[count++] = r->parcels[i].result;
        }
    }
    struct ds_error err = {0};
    if (count == 0) {
        return;
    }
    if (db_delivery_finish(r->db, results, count, &err) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "peer=%s %zu outcomes are not written yet: %s",
               r->worker->peer->name, count, err.text);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        whose[i]->written = true;
    }
    r->finished_ms = ds_clock_monotonic_ms();
}

static bool all_written(const struct round *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (!r->parcels[i].written) {
            return false;
        }
    }
    return true;
}

/* Tries for as long as the lease holds. */
static void write_results_patiently(struct round *r)
{
    const int64_t until = ds_clock_monotonic_ms() + (int64_t)LEASE_MS;
    write_results(r);
    while (!all_written(r) && ds_clock_monotonic_ms() < until && !must_stop(r->worker)) {
        services_sleep(r->worker->services, POLL_MS);
        write_results(r);
    }
}

/* A lease must outlast the delivery that comes next: a large object takes its time to protect and
 * to send, at the slowest a megabyte a second. */
static unsigned lease_for(const struct parcel *next)
{
    struct stat st;
    if (stat(next->delivery->instance.path, &st) != 0 || st.st_size < LARGE_BYTES) {
        return LEASE_MS;
    }
    return LEASE_MS + (unsigned)(st.st_size / 1000);
}

static void renew_lease(struct round *r, const struct parcel *next)
{
    const int64_t now = ds_clock_monotonic_ms();
    const unsigned lease_ms = lease_for(next);
    if (now - r->renewed_ms < RENEW_AFTER_MS && lease_ms == LEASE_MS) {
        return;
    }
    int64_t ids[BATCH_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (!r->parcels[i].written) {
            ids[count++] = r->parcels[i].delivery->id;
        }
    }
    if (db_delivery_renew(r->db, ids, count, lease_ms, NULL) == DS_OK) {
        r->renewed_ms = now;
    }
}

/* ---- one batch ---- */

/* The peer cannot be reached, or refuses us: nothing of the batch can be sent. */
static void decide_rest_by_link(struct round *r, const struct scu_outcome *o)
{
    struct peer_state *state = r->worker->state;
    int64_t pause = 0;
    if (o->verdict == SCU_TRANSIENT) {
        const unsigned failures = atomic_fetch_add(&state->failures, 1) + 1;
        pause = backoff_drawn_ms(failures);
        atomic_store(&state->paused_until_ms, ds_clock_monotonic_ms() + pause);
    }
    for (size_t i = 0; i < r->count; i++) {
        if (!r->parcels[i].decided) {
            parcel_decide(&r->parcels[i], o->verdict == SCU_TRANSIENT ? DB_READY : DB_FAILED,
                          o->cause, pause);
        }
    }
    ds_log(DS_LOG_WARNING, "node", "peer=%s cannot be served, %s: %s", r->worker->peer->name,
           o->verdict == SCU_TRANSIENT ? "paused" : "the deliveries failed", o->cause);
}

static void give_back_rest(struct round *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (!r->parcels[i].decided) {
            parcel_decide(&r->parcels[i], DB_READY, "the node was stopped or reloaded", 0);
        }
    }
}

static void send_round(struct round *r)
{
    struct dicom_context contexts[PARCEL_CONTEXTS_MAX];
    size_t context_count = 0;
    size_t covered = 0;
    for (size_t i = 0; i < r->count && !must_stop(r->worker); i++) {
        if (i == covered) {
            covered = parcel_contexts(r->worker, r->parcels, r->count, i, contexts, &context_count);
        }
        /* Also opens the association again after it broke. */
        const struct scu_outcome o = scu_link_prepare(r->worker->link, contexts, context_count);
        if (!scu_was_delivered(&o)) {
            decide_rest_by_link(r, &o);
            return;
        }
        atomic_store(&r->worker->state->failures, 0);
        renew_lease(r, &r->parcels[i]);
        parcel_send(r->worker, r->db, &r->parcels[i]);
        if (ds_clock_monotonic_ms() - r->finished_ms >= FINISH_EVERY_MS) {
            write_results(r);
        }
    }
    give_back_rest(r);
}

static void serve(struct worker *w, struct db *db, const struct db_delivery *deliveries,
                  size_t count)
{
    struct parcel *parcels = calloc(count, sizeof(*parcels));
    if (parcels == NULL) {
        return; /* the lease runs out */
    }
    for (size_t i = 0; i < count; i++) {
        parcels[i].delivery = &deliveries[i];
    }
    const int64_t now = ds_clock_monotonic_ms();
    struct round r = {.worker = w,
                      .db = db,
                      .parcels = parcels,
                      .count = count,
                      .renewed_ms = now,
                      .finished_ms = now};
    send_round(&r);
    write_results_patiently(&r);
    free(parcels);
}

/* False when there was nothing to do. */
static bool serve_next(struct worker *w)
{
    struct db *db = services_db(w->services);
    if (db == NULL || ds_clock_monotonic_ms() < atomic_load(&w->state->paused_until_ms)) {
        return false;
    }
    struct db_delivery *deliveries = NULL;
    size_t count = 0;
    if (db_delivery_claim(db, w->peer->name, BATCH_MAX, LEASE_MS, &deliveries, &count, NULL) !=
        DS_OK) {
        return false; /* away: the pool says so */
    }
    if (count > 0) {
        serve(w, db, deliveries, count);
    }
    free(deliveries);
    return count > 0;
}

static enum ds_status open_link(struct worker *w, struct ds_error *err)
{
    const struct config *c = settings_config(w->settings);
    const char *trusted = w->peer->certificate;
    const bool mutual = w->peer->tls == CONFIG_TLS_MUTUAL;
    const struct dicom_tls tls = {.key_path = mutual ? c->key : NULL,
                                  .certificate_path = mutual ? c->certificate : NULL,
                                  .trusted_paths = &trusted,
                                  .trusted_count = 1,
                                  .require_peer_certificate = true};
    const struct dicom_requestor_options options = {.host = w->peer->host,
                                                    .port = w->peer->port,
                                                    .calling_ae = c->ae_title,
                                                    .called_ae = w->peer->ae_title,
                                                    .tls = w->peer->tls == CONFIG_TLS_NONE ? NULL
                                                                                           : &tls};
    return scu_link_new(&w->link, &options, err);
}

void worker_run(void *worker)
{
    struct worker *w = worker;
    struct ds_error err = {0};
    if (open_link(w, &err) != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "peer=%s cannot be served: %s", w->peer->name, err.text);
        return;
    }
    while (!must_stop(w)) {
        const uint64_t seen = bell_count(&w->services->bell);
        if (serve_next(w) || must_stop(w)) {
            continue;
        }
        if (ds_clock_monotonic_ms() - w->last_sent_ms > IDLE_RELEASE_MS) {
            scu_link_release(w->link);
            capsule_cache_free(&w->cache);
        }
        bell_wait(&w->services->bell, seen, POLL_MS);
    }
    scu_link_free(w->link);
    w->link = NULL;
    capsule_cache_free(&w->cache);
}
