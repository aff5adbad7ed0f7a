/* SPDX-License-Identifier: Apache-2.0 */
#include "node/parcel.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dicom/transfer_syntax.h"
#include "node/backoff.h"
#include "node/outgoing.h"
#include "node/syntax.h"

#include <stdio.h>
#include <string.h>

/* In which a sidecar is sent, best first. */
#define SIDECAR_SYNTAXES 2U
static const char *const sidecar_syntaxes[SIDECAR_SYNTAXES] = {DICOM_EXPLICIT_LE,
                                                               DICOM_IMPLICIT_LE};

/* ---- outcomes ---- */

static void decide(struct parcel *p, enum db_delivery_state state, const char *cause,
                   int64_t retry_after_ms)
{
    if (cause != p->cause) {
        (void)snprintf(p->cause, sizeof(p->cause), "%s", cause);
    }
    p->result.id = p->delivery->id;
    p->result.state = state;
    p->result.cause = p->cause;
    p->result.retry_after_ms = retry_after_ms;
    p->result.sent_sop_uid = state == DB_SENT ? p->sent_uid : "";
    p->result.sent_beside_uid = state == DB_SENT ? p->beside_uid : "";
    p->decided = true;
}

/* After its own pause, which grows with its attempts; a dead letter when it had all of them. */
static void decide_to_retry(const struct worker *w, struct parcel *p, const char *cause)
{
    const struct config_retry *retry = &w->peer->retry;
    const unsigned attempts = p->delivery->attempts + 1;
    if (retry->attempts > 0 && attempts >= retry->attempts) {
        (void)snprintf(p->cause, sizeof(p->cause), "given up after %u attempts: %.150s", attempts,
                       cause);
        decide(p, DB_FAILED, p->cause, 0);
        return;
    }
    decide(p, DB_READY, cause, backoff_for(retry, attempts));
}

static void say(const struct worker *w, enum ds_log_level level, const struct parcel *p,
                const char *status)
{
    ds_log(level, "node", "peer=%s delivery=%lld attempt=%u status=%s %s: %s", w->peer->name,
           (long long)p->delivery->id, p->delivery->attempts + 1, status,
           p->result.state == DB_READY ? "will be tried again" : "failed", p->cause);
}

static void decide_by_outcome(const struct worker *w, struct parcel *p, const struct scu_outcome *o)
{
    char status[8] = "none";
    p->result.answered = o->answered;
    p->result.dimse_status = o->dimse_status;
    if (o->answered) {
        (void)snprintf(status, sizeof(status), "%04x", o->dimse_status);
    }
    switch (o->verdict) {
    case SCU_DELIVERED:
    case SCU_WARNING:
        decide(p, DB_SENT, o->cause, 0);
        return;
    case SCU_TRANSIENT:
        decide_to_retry(w, p, o->cause);
        break;
    case SCU_PERMANENT:
        decide(p, DB_FAILED, o->cause, 0);
        break;
    }
    say(w, DS_LOG_WARNING, p, status);
}

/* A file that is not there, or not the one that was indexed, may be put right behind our back: the
 * journal writes again what a power cut took, an archive is mounted. So it gets a few tries. */
#define ARCHIVE_TRIES 4U

static bool may_pass(const struct parcel *p, enum ds_status status)
{
    return status == DS_EIO || status == DS_ENOMEM ||
           ((status == DS_ENOTFOUND || status == DS_EAUTH) &&
            p->delivery->attempts + 1 < ARCHIVE_TRIES);
}

/* What our own side could not do: disk and database pass, the rest does not. */
static void decide_by_error(const struct worker *w, struct parcel *p, const struct ds_error *err)
{
    if (may_pass(p, err->status)) {
        decide_to_retry(w, p, err->text);
    } else {
        decide(p, DB_FAILED, err->text, 0);
    }
    say(w, DS_LOG_ERROR, p, ds_status_name(err->status));
}

/* ---- what is sent ---- */

/* The syntaxes in which the delivery could be sent, best first. */
static size_t choices_of(const struct worker *w, const struct db_delivery *d,
                         const char *out[SYNTAX_CHOICES_MAX])
{
    const struct config_protect *protect = protector_rule(w->settings, d);
    return syntax_choices(d, protect != NULL ? &protect->carrier_syntax : NULL, out);
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

/* Adds what is missing, all of it or nothing. */
static bool add_contexts(struct dicom_context *contexts, size_t *count, const char *class_uid,
                         const char *const *syntaxes, size_t n)
{
    size_t now = *count;
    for (size_t i = 0; i < n; i++) {
        if (is_listed(contexts, now, class_uid, syntaxes[i])) {
            continue;
        }
        if (now == PARCEL_CONTEXTS_MAX) {
            return false;
        }
        contexts[now++] = (struct dicom_context){class_uid, syntaxes[i]};
    }
    *count = now;
    return true;
}

size_t parcel_contexts(const struct worker *w, const struct parcel *parcels, size_t count,
                       size_t first, struct dicom_context contexts[PARCEL_CONTEXTS_MAX],
                       size_t *context_count)
{
    *context_count = 0;
    for (size_t i = first; i < count; i++) {
        const struct db_delivery *d = parcels[i].delivery;
        const char *syntaxes[SYNTAX_CHOICES_MAX];
        const size_t n = parcels[i].decided ? 0 : choices_of(w, d, syntaxes);
        const size_t before = *context_count;
        bool fits = add_contexts(contexts, context_count, d->instance.sop_class_uid, syntaxes, n);
        if (n > 0 && d->action == DB_SEND_SIDECAR) {
            fits = fits && add_contexts(contexts, context_count, CARRIER_SIDECAR_CLASS,
                                        sidecar_syntaxes, SIDECAR_SYNTAXES);
        }
        if (!fits) {
            *context_count = before;
            return i;
        }
    }
    return count;
}

/* Those of the choices that the peer accepted. */
static size_t agreed_syntaxes(const struct worker *w, const struct db_delivery *d,
                              const char *out[SYNTAX_CHOICES_MAX])
{
    const char *syntaxes[SYNTAX_CHOICES_MAX];
    const size_t n = choices_of(w, d, syntaxes);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (scu_link_accepts(w->link, d->instance.sop_class_uid, syntaxes[i])) {
            out[count++] = syntaxes[i];
        }
    }
    return count;
}

static struct scu_outcome send_object(struct worker *w, const struct scu_object *object)
{
    const int64_t begun_us = ds_clock_monotonic_us();
    const struct scu_outcome outcome = scu_link_send(w->link, object);
    ds_metric_observe(DS_METRIC_SEND_SECONDS, w->peer->name, ds_clock_monotonic_us() - begun_us);
    if (scu_was_delivered(&outcome)) {
        ds_metric_add(DS_METRIC_SENT_BYTES, w->peer->name, NULL, object->len);
    }
    w->last_sent_ms = ds_clock_monotonic_ms();
    rate_spend(&w->state->rate, object->len, w->last_sent_ms);
    return outcome;
}

static enum ds_status send_as_is(struct worker *w, const struct db_delivery *d, const char *syntax,
                                 struct scu_outcome *outcome, struct ds_error *err)
{
    DS_AUTO(outgoing_free) struct outgoing out = {0};
    const enum ds_status s = outgoing_load(&d->instance, syntax, &out, err);
    if (s != DS_OK) {
        return s;
    }
    const struct scu_object object = {
        .sop_class_uid = d->instance.sop_class_uid,
        .sop_instance_uid = d->instance.sop_uid,
        .transfer_syntax = syntax,
        .data = out.data,
        .len = out.len,
    };
    *outcome = send_object(w, &object);
    if (outcome->verdict == SCU_DELIVERED) {
        outgoing_note(out.stored_in, syntax, outcome->cause, sizeof(outcome->cause));
    }
    return DS_OK;
}

static struct scu_outcome send_made(struct worker *w, const struct carrier_made *made)
{
    const struct scu_object object = {.sop_class_uid = made->sop_class_uid,
                                      .sop_instance_uid = made->sop_instance_uid,
                                      .transfer_syntax = made->transfer_syntax,
                                      .data = made->dataset.data,
                                      .len = made->dataset.len};
    return send_object(w, &object);
}

static void note_made(struct parcel *p, const struct carrier_made *made)
{
    struct db_delivery_result *r = &p->result;
    (void)snprintf(p->sent_uid, sizeof(p->sent_uid), "%s", made->sop_instance_uid);
    (void)snprintf(p->beside_uid, sizeof(p->beside_uid), "%s",
                   made->beside.len > 0 ? made->beside_sop_instance_uid : "");
    memcpy(r->sent_pixel_hash, made->hashes.pixel, DS_SHA256_BYTES);
    memcpy(r->sent_dataset_hash, made->hashes.dataset, DS_SHA256_BYTES);
    memcpy(r->sent_file_hash, made->hashes.file, DS_SHA256_BYTES);
    r->hidden_bits = made->hidden_bits;
    r->psnr_format_db = made->distortion.psnr_format_db;
    r->psnr_dynamic_db = made->distortion.psnr_dynamic_db;
    r->max_difference = made->distortion.max_difference;
}

/* Memory is held while it is made; what was made lies on the disk where it is large. beside: the
 * syntax of the instance beside a sidecar, or NULL. */
static enum ds_status make_carrier(struct worker *w, struct db *db, const struct db_delivery *d,
                                   const char *syntax, const char *beside,
                                   struct carrier_made *made, struct ds_error *err)
{
    const struct db_instance *i = &d->instance;
    const bool is_native = dicom_transfer_syntax_is_native(i->transfer_syntax);
    DS_AUTO(budget_give)
    struct budget_share share =
        budget_take(&w->services->budget, budget_for_carrier(i->path, is_native));
    const int64_t begun_us = ds_clock_monotonic_us();
    const enum ds_status s = protector_make(&w->services->originals, &w->cache, db, w->settings,
                                            w->peer, d, syntax, beside, made, err);
    ds_metric_observe(DS_METRIC_PROTECT_SECONDS, NULL, ds_clock_monotonic_us() - begun_us);
    return s;
}

static enum ds_status send_carrier(struct worker *w, struct db *db, struct parcel *p,
                                   const char *syntax, struct scu_outcome *outcome,
                                   struct ds_error *err)
{
    struct carrier_made made = {0};
    const enum ds_status s = make_carrier(w, db, p->delivery, syntax, NULL, &made, err);
    if (s == DS_OK) {
        note_made(p, &made);
        *outcome = send_made(w, &made);
    }
    carrier_made_free(&made);
    return s;
}

static const char *agreed_sidecar_syntax(const struct worker *w)
{
    for (size_t i = 0; i < SIDECAR_SYNTAXES; i++) {
        if (scu_link_accepts(w->link, CARRIER_SIDECAR_CLASS, sidecar_syntaxes[i])) {
            return sidecar_syntaxes[i];
        }
    }
    return NULL;
}

/* The original as it is; or, where it refers to instances that go as carriers, what refers to these
 * in its place. */
static enum ds_status send_beside(struct worker *w, const struct db_delivery *d, const char *syntax,
                                  const struct carrier_made *made, struct scu_outcome *outcome,
                                  struct ds_error *err)
{
    if (made->beside.len == 0) {
        return send_as_is(w, d, syntax, outcome, err);
    }
    const struct scu_object object = {.sop_class_uid = d->instance.sop_class_uid,
                                      .sop_instance_uid = made->beside_sop_instance_uid,
                                      .transfer_syntax = made->beside_syntax,
                                      .data = made->beside.data,
                                      .len = made->beside.len};
    *outcome = send_object(w, &object);
    return DS_OK;
}

/* The original as it is, then its sidecar, which is made and proven before anything leaves. Sent is
 * what the peer has both of; a retry sends both again, and they are the same. */
static enum ds_status send_with_sidecar(struct worker *w, struct db *db, struct parcel *p,
                                        const char *syntax, struct scu_outcome *outcome,
                                        struct ds_error *err)
{
    struct carrier_made made = {0};
    const char *beside = agreed_sidecar_syntax(w);
    if (beside == NULL) {
        *outcome = (struct scu_outcome){
            .verdict = SCU_PERMANENT,
            .cause = "the peer accepts no presentation context for Raw Data, as which a sidecar "
                     "travels"};
        return DS_OK;
    }
    enum ds_status s = make_carrier(w, db, p->delivery, beside, syntax, &made, err);
    if (s == DS_OK) {
        s = send_beside(w, p->delivery, syntax, &made, outcome, err);
    }
    if (s == DS_OK && scu_was_delivered(outcome)) {
        const struct scu_outcome first = *outcome;
        note_made(p, &made);
        *outcome = send_made(w, &made);
        if (outcome->verdict == SCU_DELIVERED) {
            *outcome = first; /* its warning, when it had one */
        }
    }
    carrier_made_free(&made);
    return s;
}

static enum ds_status send_one(struct worker *w, struct db *db, struct parcel *p,
                               const char *syntax, struct scu_outcome *outcome,
                               struct ds_error *err)
{
    switch (p->delivery->action) {
    case DB_SEND_CARRIER:
        return send_carrier(w, db, p, syntax, outcome, err);
    case DB_SEND_SIDECAR:
        return send_with_sidecar(w, db, p, syntax, outcome, err);
    case DB_SEND_AS_IS:
        break;
    }
    return send_as_is(w, p->delivery, syntax, outcome, err);
}

/* In the best syntax that the peer accepted and that has a form for this image. */
static enum ds_status send_in_one_of(struct worker *w, struct db *db, struct parcel *p,
                                     const char *const *syntaxes, size_t n,
                                     struct scu_outcome *outcome, struct ds_error *err)
{
    enum ds_status s = DS_EUNSUPPORTED;
    for (size_t i = 0; i < n && s == DS_EUNSUPPORTED; i++) {
        s = send_one(w, db, p, syntaxes[i], outcome, err);
    }
    return s;
}

static enum parcel_fate fate_of(struct worker *w, struct parcel *p, const struct scu_outcome *o,
                                bool *for_good)
{
    if (o->of_link) {
        (void)snprintf(p->cause, sizeof(p->cause), "%s", o->cause);
        *for_good = o->verdict == SCU_PERMANENT;
        return PARCEL_UNREACHED;
    }
    decide_by_outcome(w, p, o);
    if (o->answered) {
        return PARCEL_ANSWERED;
    }
    return o->verdict == SCU_TRANSIENT ? PARCEL_BROKE : PARCEL_KEPT;
}

enum parcel_fate parcel_send(struct worker *w, struct db *db, struct parcel *p, bool *for_good)
{
    const char *syntaxes[SYNTAX_CHOICES_MAX];
    const size_t n = agreed_syntaxes(w, p->delivery, syntaxes);
    struct scu_outcome outcome = {0};
    if (n == 0) {
        outcome = (struct scu_outcome){
            .verdict = SCU_PERMANENT,
            .cause = "the peer accepts no presentation context for the SOP class in a transfer "
                     "syntax that can be sent"};
        return fate_of(w, p, &outcome, for_good);
    }
    const int64_t begun_us = ds_clock_monotonic_ms() * 1000;
    struct ds_error err = {0};
    const enum ds_status s = send_in_one_of(w, db, p, syntaxes, n, &outcome, &err);
    p->result.duration_us = ds_clock_monotonic_ms() * 1000 - begun_us;
    if (s != DS_OK) {
        decide_by_error(w, p, &err);
        return PARCEL_KEPT;
    }
    return fate_of(w, p, &outcome, for_good);
}
