/* SPDX-License-Identifier: Apache-2.0 */
#include "node/asking.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "db/commitment.h"
#include "node/backoff.h"
#include "node/calling.h"
#include "scu/commitment.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX    500U
#define SETTLE_MS    3000U
#define LEASE_MS     120000U /* longer than connecting, asking and waiting can take */
#define WAIT_S       5U      /* for a report on the same association */
#define ASKS_MAX     3U
#define FAILURES_MAX 3U

static bool log_failure(const char *peer, const struct ds_error *err)
{
    ds_log(DS_LOG_WARNING, "node", "peer=%s storage commitment: %s", peer, err->text);
    return false;
}

static enum ds_status fresh_uid(char out[DICOM_UID_BYTES], struct ds_error *err)
{
    uint8_t random[DS_SHA256_BYTES];
    const enum ds_status s = ds_random(random, sizeof(random), err);
    dicom_uid_from_digest(random, out);
    return s;
}

/* ---- what came back ---- */

enum ds_status asking_take_report(struct services *s, const struct config_peer *peer,
                                  const struct dicom_commitment *report, bool *known,
                                  struct ds_error *err)
{
    static const enum db_commitment_verdict verdicts[] = {
        [SCU_COMMITTED] = DB_COMMITMENT_DONE,
        [SCU_COMMITMENT_SEND_AGAIN] = DB_COMMITMENT_SEND_AGAIN,
        [SCU_COMMITMENT_ASK_AGAIN] = DB_COMMITMENT_ASK_AGAIN,
        [SCU_COMMITMENT_FAILED] = DB_COMMITMENT_FAILED};
    *known = false;
    struct db *db = services_db(s);
    if (db == NULL) {
        return ds_fail(err, DS_EIO, "the database is away");
    }
    struct db_commitment_answer *answers = calloc(report->count, sizeof(*answers));
    if (answers == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    size_t failed = 0;
    for (size_t i = 0; i < report->count; i++) {
        const uint16_t failure = report->items[i].failure;
        failed += failure != 0 ? 1 : 0;
        answers[i] = (struct db_commitment_answer){report->items[i].sop_instance_uid, failure,
                                                   verdicts[scu_commitment_verdict_of(failure)]};
    }
    const struct db_commitment_policy policy = {FAILURES_MAX, peer->retry.first_ms};
    const enum ds_status status = db_commitment_report(db, peer->name, report->transaction_uid,
                                                       answers, report->count, &policy, known, err);
    free(answers);
    if (status == DS_OK && *known) {
        ds_metric_add(DS_METRIC_COMMITMENTS, peer->name, "committed", report->count - failed);
        ds_metric_add(DS_METRIC_COMMITMENTS, peer->name, "failed", failed);
        ds_log(failed == 0 ? DS_LOG_INFO : DS_LOG_WARNING, "node",
               "peer=%s has committed itself to %zu instances, and not to %zu", peer->name,
               report->count - failed, failed);
    }
    return status;
}

struct expected {
    struct services *services;
    const struct config_peer *peer;
};

static uint16_t take(void *context, const struct dicom_commitment *report)
{
    const struct expected *e = context;
    struct ds_error err = {0};
    bool known = false;
    if (asking_take_report(e->services, e->peer, report, &known, &err) != DS_OK) {
        (void)log_failure(e->peer->name, &err);
        return DICOM_STATUS_PROCESSING_FAILURE;
    }
    return known ? DICOM_STATUS_SUCCESS : DICOM_STATUS_NO_SUCH_INSTANCE;
}

/* ---- asking ---- */

static struct scu_outcome ask(struct services *s, const struct settings *settings,
                              const struct config_peer *peer, const struct db_commitment *c)
{
    struct scu_outcome none = {.verdict = SCU_TRANSIENT, .cause = "out of memory"};
    struct dicom_commitment request = {.items = calloc(c->count + 1, sizeof(*request.items)),
                                       .count = c->count};
    if (request.items == NULL) {
        return none;
    }
    _Static_assert(sizeof(request.transaction_uid) == sizeof(c->transaction_uid), "one UID");
    memcpy(request.transaction_uid, c->transaction_uid, sizeof(request.transaction_uid));
    for (size_t i = 0; i < c->count; i++) {
        memcpy(request.items[i].sop_class_uid, c->items[i].sop_class_uid, DICOM_UID_BYTES);
        memcpy(request.items[i].sop_instance_uid, c->items[i].sop_uid, DICOM_UID_BYTES);
    }
    struct calling calling;
    calling_init(&calling, settings, peer);
    struct expected expected = {s, peer};
    const struct scu_outcome o =
        scu_commitment_ask(&calling.options, &request, WAIT_S, take, &expected);
    dicom_commitment_free(&request);
    return o;
}

/* A peer that is required to commit itself is asked until it does, or for as long as its report
 * would be waited for. */
static bool never_will(const struct config_peer *peer, const struct db_commitment *c,
                       const struct scu_outcome *o)
{
    return o->verdict == SCU_PERMANENT && (peer->commitment != CONFIG_COMMITMENT_REQUIRED ||
                                           c->age_us / 1000 > peer->commitment_timeout_ms);
}

static enum ds_status write_down(struct db *db, const struct config_peer *peer,
                                 const struct db_commitment *c, const struct scu_outcome *o,
                                 struct ds_error *err)
{
    if (o->verdict == SCU_DELIVERED) {
        ds_log(DS_LOG_INFO, "node", "peer=%s was asked to commit itself to %zu instances",
               peer->name, c->count);
        return db_commitment_asked(db, c->id, peer->commitment_timeout_ms, err);
    }
    const bool over = never_will(peer, c, o);
    ds_log(DS_LOG_WARNING, "node", "peer=%s does not take a request for storage commitment, %s: %s",
           peer->name, over ? "given up" : "later again", o->cause);
    if (over) {
        return db_commitment_give_up(db, c->id, peer->commitment == CONFIG_COMMITMENT_REQUIRED,
                                     o->cause, err);
    }
    return db_commitment_put_off(db, c->id, backoff_drawn_ms(c->asks + 2), o->cause, err);
}

static void say_expired(const char *peer, uint64_t count)
{
    if (count > 0) {
        ds_log(DS_LOG_WARNING, "node",
               "peer=%s has not reported on %llu requests for storage commitment in time", peer,
               (unsigned long long)count);
    }
}

/* The next transaction: one that was left, or a new one. */
static enum ds_status next(struct db *db, const struct config_peer *peer, struct db_commitment *out,
                           bool *found, struct ds_error *err)
{
    char uid[DICOM_UID_BYTES];
    uint64_t expired = 0;
    bool made = false;
    enum ds_status s = fresh_uid(uid, err);
    if (s == DS_OK) {
        s = db_commitment_expire(db, peer->name, peer->commitment == CONFIG_COMMITMENT_REQUIRED,
                                 ASKS_MAX, &expired, err);
        say_expired(peer->name, expired);
    }
    if (s == DS_OK) {
        s = db_commitment_begin(db, peer->name, uid, ITEMS_MAX, SETTLE_MS, &made, err);
    }
    return s == DS_OK ? db_commitment_claim(db, peer->name, LEASE_MS, out, found, err) : s;
}

bool asking_serve(struct services *s, struct db *db, const struct settings *settings,
                  const struct config_peer *peer)
{
    struct db_commitment c = {0};
    struct ds_error err = {0};
    bool found = false;
    if (next(db, peer, &c, &found, &err) != DS_OK) {
        return log_failure(peer->name, &err);
    }
    if (!found) {
        return false;
    }
    const struct scu_outcome o = ask(s, settings, peer, &c);
    if (write_down(db, peer, &c, &o, &err) != DS_OK) {
        (void)log_failure(peer->name, &err); /* its lease runs out, and it is asked again */
    }
    db_commitment_free(&c);
    return true;
}
