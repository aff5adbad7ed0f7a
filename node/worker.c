/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: claims the deliveries of its peer in batches, sends them while the clerk holds their
 * leases, and stops in between for what is more urgent.
 */
#include "base/clock.h"
#include "base/log.h"
#include "node/calling.h"
#include "node/parcel.h"

#include <stdlib.h>
#include <time.h>

#define BATCH_MAX       64U
#define IDLE_RELEASE_MS 30000
#define POLL_MS         1000
#define ASK_EVERY_MS    250

struct round {
    struct worker *worker;
    struct db *db;
    struct parcel *parcels;
    size_t count, next; /* next: the first that is not handed over */
    uint64_t heard;     /* the bell's count when it was last asked who is more urgent */
    int64_t asked_ms;
    bool is_try; /* of a half-open circuit */
};

static bool must_stop(const struct worker *w)
{
    return atomic_load(w->stop) || services_stopping(w->services);
}

/* Outside of the peer's hours only what is STAT goes. */
static enum db_priority least_priority(const struct worker *w)
{
    const time_t now = (time_t)(ds_clock_utc_us() / 1000000);
    struct tm local;
    if (w->peer->send_window.count == 0 || localtime_r(&now, &local) == NULL) {
        return DB_PRIORITY_LOW;
    }
    const unsigned minute = (unsigned)(local.tm_hour * 60 + local.tm_min);
    return config_window_is_open(&w->peer->send_window, minute) ? DB_PRIORITY_LOW
                                                                : DB_PRIORITY_STAT;
}

/* ---- the circuit ---- */

/* Other nodes and the operator should see it; when the database is away, a little later. */
static void report_circuit(struct worker *w, struct db *db)
{
    struct db_circuit now;
    char cause[DS_ERROR_TEXT_BYTES];
    if (circuit_report(&w->state->circuit, ds_clock_monotonic_ms(), &now, cause) &&
        db_peer_circuit(db, w->peer->name, &now, NULL) != DS_OK) {
        circuit_unreported(&w->state->circuit);
    }
}

static void link_failed(struct worker *w, bool for_good, const char *cause)
{
    circuit_link_failed(&w->state->circuit, for_good, cause, ds_clock_monotonic_ms());
}

/* An association that takes a C-ECHO, or refuses only that, is there. */
static bool probe(struct worker *w)
{
    scu_link_release(w->link);
    const struct scu_outcome o = scu_link_echo(w->link);
    if (scu_was_delivered(&o) || (o.verdict == SCU_PERMANENT && !o.of_link)) {
        circuit_probed(&w->state->circuit);
        return true;
    }
    link_failed(w, o.verdict == SCU_PERMANENT, o.cause);
    return false;
}

/* ---- one batch ---- */

static void give_back_rest(struct round *r)
{
    for (; r->next < r->count; r->next++) {
        clerk_return(r->worker->clerk, r->parcels[r->next].lease);
    }
}

/* Asked only when something was announced: by a plan, an operator, or a node that gave back. */
static bool should_yield(struct round *r, const struct parcel *p)
{
    struct worker *w = r->worker;
    const uint64_t heard = bell_count(&w->services->bell);
    bool yield = false;
    const int64_t now = ds_clock_monotonic_ms();
    if (heard != r->heard && now - r->asked_ms >= ASK_EVERY_MS) {
        r->heard = heard;
        r->asked_ms = now;
        if (db_delivery_should_yield(r->db, w->peer->name, p->delivery->priority, &yield, NULL) !=
            DS_OK) {
            return false; /* away: what is claimed can be sent all the same */
        }
    }
    return yield || p->delivery->priority < least_priority(w);
}

/* Until what was sent before has been paid for. False: the node stops. */
static bool wait_for_rate(struct worker *w)
{
    for (;;) {
        const int64_t wait = rate_wait_ms(&w->state->rate, ds_clock_monotonic_ms());
        if (must_stop(w) || wait == 0) {
            return !must_stop(w);
        }
        const uint64_t seen = bell_count(&w->services->bell);
        bell_wait(&w->services->bell, seen, wait < POLL_MS ? wait : POLL_MS);
    }
}

static void settle(struct round *r, const struct parcel *p)
{
    clerk_settle(r->worker->clerk, p->lease, r->worker->peer->name, &p->result);
    r->next++;
}

/* False: the round is over. */
static bool send_next(struct round *r, struct parcel *p)
{
    struct worker *w = r->worker;
    struct circuit *circuit = &w->state->circuit;
    bool for_good = false;
    switch (parcel_send(w, r->db, p, &for_good)) {
    case PARCEL_ANSWERED:
        circuit_answered(circuit);
        settle(r, p);
        return true;
    case PARCEL_KEPT:
        settle(r, p);
        return true;
    case PARCEL_BROKE:
        settle(r, p);
        return circuit_broke(circuit, p->delivery->id, p->delivery->attempts, p->cause,
                             ds_clock_monotonic_ms());
    case PARCEL_UNREACHED:
        link_failed(w, for_good, p->cause);
        break;
    }
    return false;
}

static void send_round(struct round *r)
{
    struct worker *w = r->worker;
    struct dicom_context contexts[PARCEL_CONTEXTS_MAX];
    size_t context_count = 0;
    size_t covered = 0;
    while (r->next < r->count && wait_for_rate(w)) {
        struct parcel *p = &r->parcels[r->next];
        if (!clerk_holds(w->clerk, p->lease) || should_yield(r, p)) {
            return;
        }
        if (r->next == covered) {
            covered = parcel_contexts(w, r->parcels, r->count, covered, contexts, &context_count);
        }
        /* Also opens the association again after it broke. */
        const struct scu_outcome o = scu_link_prepare(w->link, contexts, context_count);
        if (!scu_was_delivered(&o)) {
            link_failed(w, o.verdict == SCU_PERMANENT, o.cause);
            return;
        }
        if (!send_next(r, p)) {
            return;
        }
    }
}

static void serve(struct round *r, const struct db_delivery *deliveries, int64_t claimed_ms)
{
    struct worker *w = r->worker;
    struct ds_error err = {0};
    struct lease *leases[BATCH_MAX];
    struct parcel *parcels = calloc(r->count, sizeof(*parcels));
    if (parcels == NULL ||
        clerk_hold(w->clerk, deliveries, r->count, claimed_ms, leases, &err) != DS_OK) {
        free(parcels);
        ds_log(DS_LOG_ERROR, "node", "peer=%s no memory to send; the leases run out",
               w->peer->name);
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        parcels[i].delivery = &deliveries[i];
        parcels[i].lease = leases[i];
    }
    r->parcels = parcels;
    send_round(r);
    give_back_rest(r);
    free(parcels);
}

/* False when there was nothing to do. */
static bool serve_some(struct round *r)
{
    struct worker *w = r->worker;
    const unsigned few = w->peer->circuit_after < BATCH_MAX ? w->peer->circuit_after : BATCH_MAX;
    const struct db_claim claim = {.peer = w->peer->name,
                                   .max = r->is_try ? few : BATCH_MAX,
                                   .workers = r->is_try ? 1 : w->peer->associations,
                                   .lease_ms = clerk_lease_ms(w->clerk),
                                   .at_least = least_priority(w)};
    const int64_t claimed_ms = ds_clock_monotonic_ms();
    struct db_delivery *deliveries = NULL;
    if (db_delivery_claim(r->db, &claim, &deliveries, &r->count, NULL) != DS_OK) {
        return false; /* away: the pool says so */
    }
    if (r->count > 0) {
        serve(r, deliveries, claimed_ms);
    }
    free(deliveries);
    return r->count > 0;
}

static bool serve_next(struct worker *w, uint64_t heard)
{
    struct circuit *circuit = &w->state->circuit;
    struct round r = {.worker = w, .db = services_db(w->services), .heard = heard};
    if (r.db == NULL) {
        return false;
    }
    report_circuit(w, r.db);
    bool worked = false;
    circuit_hurry(circuit, atomic_load(&w->services->hurries));
    switch (circuit_ask(circuit, ds_clock_monotonic_ms())) {
    case CIRCUIT_WAIT:
        return false;
    case CIRCUIT_PROBE:
        worked = probe(w);
        break;
    case CIRCUIT_TRY:
        r.is_try = true;
        worked = serve_some(&r);
        circuit_tried(circuit);
        break;
    case CIRCUIT_GO:
        worked = serve_some(&r);
        break;
    }
    report_circuit(w, r.db);
    return worked;
}

/* ---- life ---- */

static enum ds_status open_link(struct worker *w, struct ds_error *err)
{
    struct calling calling;
    calling_init(&calling, w->settings, w->peer);
    return scu_link_new(&w->link, &calling.options, err);
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
        if (serve_next(w, seen) || must_stop(w)) {
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
