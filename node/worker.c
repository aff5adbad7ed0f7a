/* SPDX-License-Identifier: Apache-2.0 */
#include "node/crew.h"

#include "base/clock.h"
#include "base/log.h"
#include "node/backoff.h"
#include "node/part10.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX       32U
#define LEASE_MS        120000U
#define RENEW_AFTER_MS  40000
#define IDLE_RELEASE_MS 30000
#define POLL_MS         1000
#define FINISH_EVERY_MS 1000
#define CONTEXTS_MAX    (3U * BATCH_MAX)

/* One delivery of the batch with its outcome; the result points into it. */
struct parcel {
    const struct db_delivery *delivery;
    struct db_delivery_result result;
    char sent_uid[DICOM_UID_BYTES];
    char cause[DS_ERROR_TEXT_BYTES];
    bool decided, written;
};

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

/* ---- outcomes ---- */

static void decide(struct parcel *p, enum db_delivery_state state, const char *cause,
                   int64_t retry_after_ms)
{
    (void)snprintf(p->cause, sizeof(p->cause), "%s", cause);
    p->result.id = p->delivery->id;
    p->result.state = state;
    p->result.cause = p->cause;
    p->result.retry_after_ms = retry_after_ms;
    p->result.sent_sop_uid = state == DB_SENT ? p->sent_uid : "";
    p->decided = true;
}

static void decide_by_outcome(struct round *r, struct parcel *p, const struct scu_outcome *o)
{
    p->result.answered = o->answered;
    p->result.dimse_status = o->dimse_status;
    switch (o->verdict) {
    case SCU_DELIVERED:
    case SCU_WARNING:
        decide(p, DB_SENT, o->cause, 0);
        break;
    case SCU_TRANSIENT:
        decide(p, DB_READY, o->cause, backoff_drawn_ms(p->delivery->attempts + 1));
        break;
    case SCU_PERMANENT:
        decide(p, DB_FAILED, o->cause, 0);
        break;
    }
    if (o->verdict == SCU_TRANSIENT || o->verdict == SCU_PERMANENT) {
        ds_log(DS_LOG_WARNING, "node", "peer=%s delivery=%lld status=%04x %s: %s",
               r->worker->peer->name, (long long)p->delivery->id, o->dimse_status,
               o->verdict == SCU_TRANSIENT ? "will be tried again" : "failed", o->cause);
    }
}

/* What our own side could not do: disk and database pass, the rest does not. */
static void decide_by_error(struct round *r, struct parcel *p, const struct ds_error *err)
{
    const bool passes = err->status == DS_EIO || err->status == DS_ENOMEM;
    decide(p, passes ? DB_READY : DB_FAILED, err->text,
           passes ? backoff_drawn_ms(p->delivery->attempts + 1) : 0);
    ds_log(DS_LOG_ERROR, "node", "peer=%s delivery=%lld status=%s %s: %s", r->worker->peer->name,
           (long long)p->delivery->id, ds_status_name(err->status),
           passes ? "will be tried again" : "failed", err->text);
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

static void renew_lease(struct round *r)
{
    const int64_t now = ds_clock_monotonic_ms();
    if (now - r->renewed_ms < RENEW_AFTER_MS) {
        return;
    }
    int64_t ids[BATCH_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (!r->parcels[i].written) {
            ids[count++] = r->parcels[i].delivery->id;
        }
    }
    if (db_delivery_renew(r->db, ids, count, LEASE_MS, NULL) == DS_OK) {
        r->renewed_ms = now;
    }
}

/* ---- what is sent ---- */

/* The syntaxes in which the delivery could be sent, best first. */
static size_t syntaxes_for(const struct db_delivery *d, const char *out[3])
{
    const char *own = d->instance.transfer_syntax;
    size_t count = 0;
    if (d->action != DB_SEND_CARRIER &&
        (d->action == DB_SEND_AS_IS || !dicom_transfer_syntax_is_native(own))) {
        out[count++] = own;
    }
    if (d->action != DB_SEND_CARRIER && !dicom_transfer_syntax_is_native(own)) {
        return count;
    }
    const char *const rewritten[] = {DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE};
    for (size_t i = 0; i < DS_ARRAY_SIZE(rewritten); i++) {
        if (count == 0 || strcmp(out[0], rewritten[i]) != 0) {
            out[count++] = rewritten[i];
        }
    }
    return count;
}

static bool is_listed(const struct dicom_context *contexts, size_t count, const char *class_uid,
                      const char *syntax)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(contexts[i].sop_class_uid, class_uid) == 0 &&
            strcmp(contexts[i].transfer_syntax, syntax) == 0) {
            return true;
        }
    }
    return false;
}

static size_t list_contexts(const struct round *r, struct dicom_context *contexts)
{
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct db_delivery *d = r->parcels[i].delivery;
        const char *syntaxes[3];
        const size_t n = syntaxes_for(d, syntaxes);
        for (size_t k = 0; k < n && !r->parcels[i].decided; k++) {
            const char *class_uid = d->instance.sop_class_uid;
            if (!is_listed(contexts, count, class_uid, syntaxes[k])) {
                contexts[count++] = (struct dicom_context){class_uid, syntaxes[k]};
            }
        }
    }
    return count;
}

/* The best syntax that the peer accepted, or NULL. */
static const char *agreed_syntax(const struct worker *w, const struct db_delivery *d)
{
    const char *syntaxes[3];
    const size_t n = syntaxes_for(d, syntaxes);
    for (size_t i = 0; i < n; i++) {
        if (scu_link_accepts(w->link, d->instance.sop_class_uid, syntaxes[i])) {
            return syntaxes[i];
        }
    }
    return NULL;
}

static struct scu_outcome send_object(struct worker *w, const struct scu_object *object)
{
    const struct scu_outcome outcome = scu_link_send(w->link, object);
    w->last_sent_ms = ds_clock_monotonic_ms();
    return outcome;
}

static enum ds_status send_as_is(struct worker *w, const struct db_delivery *d, const char *syntax,
                                 struct scu_outcome *outcome, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes rewritten = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *set = NULL;
    struct part10 meta = {0};
    enum ds_status s = protector_read_file(&d->instance, &file, err);
    if (s == DS_OK) {
        s = part10_read(&meta, file.data, file.len, err);
    }
    const bool same = strcmp(meta.transfer_syntax, syntax) == 0;
    if (s == DS_OK && !same) {
        s = dicom_dataset_read(&set, file.data, file.len, NULL, err);
    }
    if (s == DS_OK && !same) {
        s = dicom_dataset_write(set, syntax, &rewritten, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct scu_object object = {
        .sop_class_uid = d->instance.sop_class_uid,
        .sop_instance_uid = d->instance.sop_uid,
        .transfer_syntax = syntax,
        .data = same ? file.data + meta.dataset_offset : rewritten.data,
        .len = same ? file.len - meta.dataset_offset : rewritten.len,
    };
    *outcome = send_object(w, &object);
    return DS_OK;
}

static void note_made(struct parcel *p, const struct carrier_made *made)
{
    struct db_delivery_result *r = &p->result;
    (void)snprintf(p->sent_uid, sizeof(p->sent_uid), "%s", made->sop_instance_uid);
    memcpy(r->sent_pixel_hash, made->hashes.pixel, DS_SHA256_BYTES);
    memcpy(r->sent_dataset_hash, made->hashes.dataset, DS_SHA256_BYTES);
    memcpy(r->sent_file_hash, made->hashes.file, DS_SHA256_BYTES);
    r->hidden_bits = made->hidden_bits;
    r->psnr_format_db = made->distortion.psnr_format_db;
    r->psnr_dynamic_db = made->distortion.psnr_dynamic_db;
    r->max_difference = made->distortion.max_difference;
}

static enum ds_status send_carrier(struct round *r, struct parcel *p, const char *syntax,
                                   struct scu_outcome *outcome, struct ds_error *err)
{
    struct worker *w = r->worker;
    struct carrier_made made = {0};
    const enum ds_status s =
        protector_make(&w->cache, r->db, w->settings, p->delivery,
                       dicom_transfer_syntax_is_native(syntax) ? syntax : NULL, &made, err);
    if (s == DS_OK) {
        note_made(p, &made);
        const struct scu_object object = {.sop_class_uid = made.sop_class_uid,
                                          .sop_instance_uid = made.sop_instance_uid,
                                          .transfer_syntax = made.transfer_syntax,
                                          .data = made.dataset.data,
                                          .len = made.dataset.len};
        *outcome = send_object(w, &object);
    }
    carrier_made_free(&made);
    return s;
}

static void send_parcel(struct round *r, struct parcel *p)
{
    const struct db_delivery *d = p->delivery;
    const char *syntax = agreed_syntax(r->worker, d);
    if (syntax == NULL) {
        const struct scu_outcome refused = {
            .verdict = SCU_PERMANENT,
            .cause = "the peer accepts no presentation context for the SOP class in a transfer "
                     "syntax that can be sent"};
        decide_by_outcome(r, p, &refused);
        return;
    }
    const int64_t begun_us = ds_clock_monotonic_ms() * 1000;
    struct scu_outcome outcome = {0};
    struct ds_error err = {0};
    const enum ds_status s = d->action == DB_SEND_AS_IS
                                 ? send_as_is(r->worker, d, syntax, &outcome, &err)
                                 : send_carrier(r, p, syntax, &outcome, &err);
    p->result.duration_us = ds_clock_monotonic_ms() * 1000 - begun_us;
    if (s == DS_OK) {
        decide_by_outcome(r, p, &outcome);
    } else {
        decide_by_error(r, p, &err);
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
            decide(&r->parcels[i], o->verdict == SCU_TRANSIENT ? DB_READY : DB_FAILED, o->cause,
                   pause);
        }
    }
    ds_log(DS_LOG_WARNING, "node", "peer=%s cannot be served, %s: %s", r->worker->peer->name,
           o->verdict == SCU_TRANSIENT ? "paused" : "the deliveries failed", o->cause);
}

static bool is_usable(const struct scu_outcome *o)
{
    return o->verdict == SCU_DELIVERED || o->verdict == SCU_WARNING;
}

static void give_back_rest(struct round *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (!r->parcels[i].decided) {
            decide(&r->parcels[i], DB_READY, "the node was stopped or reloaded", 0);
        }
    }
}

static void send_round(struct round *r)
{
    struct dicom_context contexts[CONTEXTS_MAX];
    const size_t context_count = list_contexts(r, contexts);
    for (size_t i = 0; i < r->count && !must_stop(r->worker); i++) {
        /* Also opens the association again after it broke. */
        const struct scu_outcome o = scu_link_prepare(r->worker->link, contexts, context_count);
        if (!is_usable(&o)) {
            decide_rest_by_link(r, &o);
            return;
        }
        atomic_store(&r->worker->state->failures, 0);
        renew_lease(r);
        send_parcel(r, &r->parcels[i]);
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
