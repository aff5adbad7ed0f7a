/* SPDX-License-Identifier: Apache-2.0 */
#include "node/answering.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "db/commitment.h"
#include "dicom/envelope.h"
#include "node/backoff.h"
#include "node/calling.h"
#include "scu/commitment.h"

#include <stdlib.h>
#include <string.h>

#define LEASE_MS     45000U            /* a report that two of us send is a report */
#define SETTLE_US    (5LL * 1000000)   /* what is not indexed by then, maybe never came */
#define INDEX_US     (600LL * 1000000) /* while the indexer is behind */
#define LOOK_MS      1000
#define THERE_MS     4000 /* for an association of a peer that was there a moment ago */
#define CALLS_US     (7LL * 24 * 3600 * 1000000) /* how long we try to report */
#define REFUSALS_MAX 10U

static bool log_failure(const struct ds_error *err)
{
    ds_log(DS_LOG_WARNING, "node", "storage commitment: %s", err->text);
    return true; /* its lease runs out, and somebody tries again */
}

/* ---- a request comes ---- */

enum ds_status answering_take_request(struct services *s, const char *peer,
                                      const struct dicom_peer *from,
                                      const struct dicom_commitment *request, struct ds_error *err)
{
    struct db *db = services_db(s);
    if (db == NULL) {
        return ds_fail(err, DS_EIO, "the database is away");
    }
    struct db_commitment_request row = {.items = calloc(request->count, sizeof(*row.items)),
                                        .count = request->count};
    if (row.items == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    memcpy(row.transaction_uid, request->transaction_uid, sizeof(row.transaction_uid));
    memcpy(row.calling_ae, from->calling_ae, sizeof(row.calling_ae));
    memcpy(row.called_ae, from->called_ae, sizeof(row.called_ae));
    memcpy(row.peer, peer, strnlen(peer, sizeof(row.peer) - 1));
    for (size_t i = 0; i < row.count; i++) {
        memcpy(row.items[i].sop_class_uid, request->items[i].sop_class_uid, DB_UID_BYTES);
        memcpy(row.items[i].sop_uid, request->items[i].sop_instance_uid, DB_UID_BYTES);
    }
    offers_heard(s->offers, from->calling_ae);
    const enum ds_status status = db_commitment_request_add(db, &row, err);
    db_commitment_request_free(&row);
    return status;
}

/* ---- checking ---- */

static int reason_for(enum ds_status s)
{
    return s == DS_ENOTFOUND ? DICOM_FAILURE_NO_SUCH_INSTANCE : DICOM_FAILURE_PROCESSING;
}

/* Reads the whole file again. */
static int check_file(const struct db_held *held)
{
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    struct ds_error err = {0};
    uint8_t hash[DS_SHA256_BYTES];
    enum ds_status s = ds_map_open(&file, held->path, DICOM_FILE_MAX_BYTES, &err);
    if (s == DS_OK) {
        s = dicom_file_hash(file.data, file.len, hash, &err);
    }
    if (s == DS_OK && memcmp(hash, held->file_hash, sizeof(hash)) != 0) {
        s = ds_fail(&err, DS_EAUTH, "it is not what was received");
    }
    if (s != DS_OK && s != DS_ENOTFOUND) {
        ds_log(DS_LOG_ERROR, "node", "instance=%lld cannot be committed to: %s",
               (long long)held->instance_id, err.text);
    }
    return s == DS_OK ? 0 : reason_for(s);
}

/* One that is right is enough; else the best that can be said. */
static void check_item(struct db_commitment_item *item, const struct db_held *held, size_t count)
{
    item->answer = DICOM_FAILURE_NO_SUCH_INSTANCE;
    for (size_t i = 0; i < count && item->answer != 0; i++) {
        item->answer = strcmp(held[i].sop_class_uid, item->sop_class_uid) != 0
                           ? (int)DICOM_FAILURE_CLASS_CONFLICT
                           : check_file(&held[i]);
    }
}

/* held is in the order of the items. */
static size_t check_items(struct services *s, struct db_commitment_request *r,
                          const struct db_held *held, size_t count)
{
    size_t missing = 0;
    size_t at = 0;
    for (size_t i = 0; i < r->count && !services_stopping(s); i++) {
        size_t end = at;
        while (end < count && held[end].item == i) {
            end++;
        }
        check_item(&r->items[i], held + at, end - at);
        missing += r->items[i].answer == DICOM_FAILURE_NO_SUCH_INSTANCE ? 1 : 0;
        at = end;
    }
    return missing;
}

/* Whoever asks for the safe keeping of a study has sent it whole. */
static void hint_studies(struct db *db, const struct db_commitment_request *r,
                         const struct db_held *held, size_t count)
{
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(last, held[i].study_uid) == 0) {
            continue;
        }
        last = held[i].study_uid;
        struct ds_error err = {0};
        if (db_study_hint_add(db, last, DB_HINT_COMMITMENT, ds_clock_utc_us() - r->age_us, &err) !=
            DS_OK) {
            (void)log_failure(&err);
        }
    }
}

static bool may_still_come(struct services *s, const struct db_commitment_request *r)
{
    return r->age_us < SETTLE_US || (arrivals_lag_ms(s->arrivals) > 0 && r->age_us < INDEX_US);
}

static void check(struct services *s, struct db *db, struct db_commitment_request *r)
{
    struct db_held *held = NULL;
    size_t count = 0;
    struct ds_error err = {0};
    enum ds_status status = db_commitment_held(db, r, &held, &count, &err);
    if (status == DS_OK) {
        const size_t missing = check_items(s, r, held, count);
        hint_studies(db, r, held, count);
        const bool waits = services_stopping(s) || (missing > 0 && may_still_come(s, r));
        status = waits ? db_commitment_request_put_off(db, r->id, LOOK_MS, false,
                                                       "instances are still to be indexed", &err)
                       : db_commitment_request_checked(db, r, &err);
        r->is_checked = status == DS_OK && !waits;
    }
    free(held);
    if (status != DS_OK) {
        (void)log_failure(&err);
    }
}

/* ---- reporting ---- */

static bool report_of(const struct db_commitment_request *r, struct dicom_commitment *out)
{
    out->count = r->count;
    out->items = calloc(r->count + 1, sizeof(*out->items));
    if (out->items == NULL) {
        return false;
    }
    memcpy(out->transaction_uid, r->transaction_uid, sizeof(out->transaction_uid));
    for (size_t i = 0; i < r->count; i++) {
        memcpy(out->items[i].sop_class_uid, r->items[i].sop_class_uid, DICOM_UID_BYTES);
        memcpy(out->items[i].sop_instance_uid, r->items[i].sop_uid, DICOM_UID_BYTES);
        out->items[i].failure = (uint16_t)r->items[i].answer;
    }
    return true;
}

static struct scu_outcome outcome(enum scu_verdict verdict, const char *cause)
{
    struct scu_outcome o = {.verdict = verdict};
    memcpy(o.cause, cause, strnlen(cause, sizeof(o.cause) - 1));
    return o;
}

/* On the peer's own association while it is there, else on one of ours. */
static struct scu_outcome deliver(struct services *s, const struct settings *settings,
                                  const struct db_commitment_request *r,
                                  const struct dicom_commitment *report)
{
    if (offers_is_there(s->offers, r->calling_ae)) {
        switch (offers_put(s->offers, r->calling_ae, report, THERE_MS)) {
        case OFFERS_TAKEN:
            return outcome(SCU_DELIVERED, "");
        case OFFERS_REFUSED:
            return outcome(SCU_TRANSIENT, "the peer has not taken the report on its association");
        case OFFERS_NOT_TAKEN:
            break;
        }
    }
    const struct config_peer *peer = config_peer_named(settings_config(settings), r->peer);
    if (peer == NULL || peer->host == NULL) {
        return outcome(SCU_TRANSIENT,
                       "the configuration has no host for the peer: it must call to be told");
    }
    struct calling calling;
    calling_init(&calling, settings, peer);
    return scu_commitment_report(&calling.options, report);
}

static enum ds_status conclude(struct db *db, const struct db_commitment_request *r,
                               const struct scu_outcome *o, struct ds_error *err)
{
    if (o->verdict == SCU_DELIVERED) {
        ds_log(DS_LOG_INFO, "node", "peer=%s was told what we commit ourselves to: %zu instances",
               r->peer, r->count);
        return db_commitment_request_finish(db, r->id, "", err);
    }
    const bool over = r->age_us > CALLS_US || (o->answered && r->attempts >= REFUSALS_MAX);
    ds_log(r->attempts == 0 || over ? DS_LOG_WARNING : DS_LOG_DEBUG, "node",
           "peer=%s cannot be told what we commit ourselves to, %s: %s", r->peer,
           over ? "given up" : "later again", o->cause);
    return over ? db_commitment_request_finish(db, r->id, o->cause, err)
                : db_commitment_request_put_off(db, r->id, backoff_drawn_ms(r->attempts + 2), true,
                                                o->cause, err);
}

static void tell(struct services *s, struct db *db, const struct db_commitment_request *r)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(s);
    struct dicom_commitment report = {0};
    struct ds_error err = {0};
    if (report_of(r, &report)) {
        const struct scu_outcome o = deliver(s, settings, r, &report);
        if (conclude(db, r, &o, &err) != DS_OK) {
            (void)log_failure(&err);
        }
    }
    dicom_commitment_free(&report);
}

bool answering_serve(struct services *s, struct db *db)
{
    struct db_commitment_request r = {0};
    struct ds_error err = {0};
    bool found = false;
    if (db_commitment_request_claim(db, LEASE_MS, &r, &found, &err) != DS_OK) {
        return !log_failure(&err);
    }
    if (found && !r.is_checked) {
        check(s, db, &r);
    }
    if (found && r.is_checked && !services_stopping(s)) {
        tell(s, db, &r);
    }
    db_commitment_request_free(&r);
    return found;
}
