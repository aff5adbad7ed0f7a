/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions of storage commitment that we ask for, and what becomes of their deliveries. */
#include "db/commitment.h"

#include "db/notes.h"

#include <stdlib.h>
#include <string.h>

/* What waits to be asked for, study by study: 10 seconds are no limit for a large one, a minute is.
 * A sidecar is asked for under its own class, Raw Data, and the instance beside it, too. */
static const char sql_begin[] =
    "WITH g AS (SELECT generation_id FROM deliveries WHERE peer = $1 AND state = 'sent' "
    "AND commitment IS NULL AND COALESCE(commitment_after, '-infinity') <= statement_timestamp() "
    "GROUP BY generation_id HAVING count(*) >= $3 "
    "OR max(finished_at) <= statement_timestamp() - $4 * interval '1 millisecond' "
    "OR min(finished_at) <= statement_timestamp() - interval '1 minute' "
    "ORDER BY generation_id LIMIT 1), "
    "picked AS (SELECT d.id FROM deliveries d JOIN g USING (generation_id) WHERE d.peer = $1 "
    "AND d.state = 'sent' AND d.commitment IS NULL "
    "AND COALESCE(d.commitment_after, '-infinity') <= statement_timestamp() "
    "ORDER BY d.id LIMIT $3 FOR UPDATE OF d SKIP LOCKED), "
    "made AS (INSERT INTO commitments (transaction_uid, peer) SELECT $2, $1 "
    "WHERE EXISTS (SELECT 1 FROM picked) RETURNING id), "
    "marked AS (UPDATE deliveries d SET commitment = made.id, "
    "commitment_asks = d.commitment_asks + 1 FROM picked, made WHERE d.id = picked.id "
    "RETURNING d.id, d.instance_id, d.sent_sop_uid, d.sent_beside_uid, d.action) "
    "INSERT INTO commitment_items (commitment_id, delivery_id, sop_class_uid, sop_uid) "
    "SELECT made.id, m.id, CASE WHEN m.action = 2 THEN '1.2.840.10008.5.1.4.1.1.66' "
    "ELSE i.sop_class_uid END, COALESCE(m.sent_sop_uid, i.sop_uid) "
    "FROM made, marked m JOIN instances i ON i.id = m.instance_id UNION ALL "
    "SELECT made.id, m.id, i.sop_class_uid, COALESCE(m.sent_beside_uid, i.sop_uid) "
    "FROM made, marked m JOIN instances i ON i.id = m.instance_id WHERE m.action = 2 ORDER BY 2";

static const char sql_claim[] =
    "UPDATE commitments SET next_at = clock_timestamp() + $2 * interval '1 millisecond', "
    "asks = asks + 1 WHERE id = (SELECT id FROM commitments WHERE peer = $1 AND state = 'asking' "
    "AND next_at <= statement_timestamp() ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
    "RETURNING id, transaction_uid, asks::bigint, "
    "(extract(epoch FROM clock_timestamp() - created_at) * 1000000)::bigint";

static const char sql_items[] = "SELECT sop_class_uid, sop_uid, -1::bigint FROM commitment_items "
                                "WHERE commitment_id = $1 ORDER BY delivery_id";

/* The report may have been quicker than we: then it is answered already. */
static const char sql_asked[] =
    "UPDATE commitments SET state = 'asked', asked_at = clock_timestamp(), cause = '', "
    "next_at = clock_timestamp() + $2 * interval '1 millisecond' WHERE id = $1 "
    "AND state = 'asking'";

static const char sql_put_off[] =
    "UPDATE commitments SET next_at = clock_timestamp() + $2 * interval '1 millisecond', "
    "cause = $3 WHERE id = $1 AND state = 'asking'";

/* $1: peer, or NULL with $2 the transaction; $3 required, $4 how often a delivery is asked for, $5
 * cause. A transaction that ended without a delivery is a row too. */
static const char sql_end[] =
    "WITH over AS (UPDATE commitments SET state = 'given-up', cause = $5 "
    "WHERE ($1::text IS NULL AND id = $2 AND state IN ('asking', 'asked')) "
    "OR (peer = $1 AND state = 'asked' AND next_at <= statement_timestamp()) "
    "RETURNING id, peer, transaction_uid), "
    "back AS (UPDATE deliveries d SET "
    "commitment = CASE WHEN d.commitment_asks < $4 THEN NULL ELSE d.commitment END, "
    "state = CASE WHEN d.commitment_asks < $4 OR NOT $3 THEN d.state ELSE 'failed' END, "
    "cause = $5 FROM over WHERE d.commitment = over.id AND d.state = 'sent' "
    "RETURNING d.id, d.instance_id, d.peer, d.state, d.commitment, over.id AS over_id) "
    "SELECT back.id, i.id, i.study_id, i.file_hash, i.sop_uid, st.study_uid, over.peer, "
    "over.transaction_uid, back.commitment IS NULL, back.state::text, "
    "(SELECT count(*) FROM over) "
    "FROM over LEFT JOIN back ON back.over_id = over.id "
    "LEFT JOIN instances i ON i.id = back.instance_id LEFT JOIN studies st ON st.id = i.study_id "
    "ORDER BY over.id, back.id";

/* $2, $3, $4: UIDs, reasons, verdicts; $5 failures_max, $6 retry_ms. A delivery of two
 * items is committed when both are, and has failed when one has. One that failed only
 * for want of an answer is healed by a late one. What is deleted here cannot be sent again. */
static const char sql_report[] =
    "WITH c AS (SELECT id, peer FROM commitments WHERE id = $1), "
    "r AS (SELECT DISTINCT ON (sop_uid) * FROM unnest($2::text[], $3::bigint[], $4::bigint[]) "
    "AS r(sop_uid, failure, verdict) ORDER BY sop_uid, failure DESC), "
    "items AS (SELECT ci.delivery_id, ci.sop_uid, ci.answer, r.failure, r.verdict, "
    "r.sop_uid IS NOT NULL AND ci.answer IS DISTINCT FROM 0 "
    "AND ci.answer IS DISTINCT FROM r.failure::integer AS fresh "
    "FROM commitment_items ci JOIN c ON ci.commitment_id = c.id LEFT JOIN r USING (sop_uid)), "
    "written AS (UPDATE commitment_items ci SET answer = n.failure::integer FROM c, items n "
    "WHERE ci.commitment_id = c.id AND ci.delivery_id = n.delivery_id AND ci.sop_uid = n.sop_uid "
    "AND n.fresh), "
    "answered AS (SELECT delivery_id, max(failure) FILTER (WHERE fresh) AS failure, "
    "(array_agg(verdict ORDER BY failure DESC) FILTER (WHERE fresh))[1] AS verdict FROM items "
    "GROUP BY delivery_id HAVING bool_or(fresh) AND (COALESCE(bool_or(fresh AND failure <> 0), "
    "false) OR bool_and(COALESCE(CASE WHEN fresh THEN failure ELSE answer END, -1) = 0))), "
    "judged AS (SELECT a.*, i.file_hash, i.study_id, CASE WHEN a.verdict = 0 THEN 'committed' "
    "WHEN a.verdict = 1 AND i.quarantined_at IS NOT NULL THEN 'cancelled' "
    "WHEN a.verdict = 1 AND d.commitment_failures < $5 AND i.deleted_at IS NULL THEN 'ready' "
    "WHEN a.verdict = 2 THEN 'sent' ELSE 'failed' END::delivery_state AS state "
    "FROM answered a JOIN deliveries d ON d.id = a.delivery_id "
    "JOIN instances i ON i.id = d.instance_id), "
    "done AS (UPDATE deliveries d SET state = j.state, "
    "commitment = CASE WHEN j.state IN ('ready', 'sent') THEN NULL ELSE d.commitment END, "
    "commitment_after = CASE WHEN j.state = 'sent' THEN clock_timestamp() "
    "+ $6 * power(4, least(d.commitment_asks, 8)) * interval '1 millisecond' END, "
    "commitment_failures = d.commitment_failures + (j.verdict = 1)::integer, "
    "attempts = CASE WHEN j.state = 'ready' THEN 0 ELSE d.attempts END, "
    "ready_at = CASE WHEN j.state = 'ready' THEN clock_timestamp() "
    "+ $6 * power(4, least(d.commitment_failures, 8)) * interval '1 millisecond' "
    "ELSE d.ready_at END, "
    "finished_at = CASE WHEN j.state = 'ready' THEN NULL WHEN j.state = 'committed' "
    "THEN clock_timestamp() ELSE d.finished_at END, "
    "cause = CASE WHEN j.failure = 0 THEN '' "
    "ELSE 'storage commitment: reason ' || upper(lpad(to_hex(j.failure), 4, '0')) || 'H' END "
    "FROM judged j, c WHERE d.id = j.delivery_id AND (d.state = 'sent' "
    "OR (d.state = 'failed' AND d.commitment = c.id AND j.verdict = 0)) "
    "RETURNING d.id, d.instance_id, d.peer, j.state, j.failure, j.file_hash, j.study_id, "
    "d.sent_file_hash) "
    "SELECT done.id, done.instance_id, done.study_id, done.peer, done.state::text, done.failure, "
    "done.file_hash, done.sent_file_hash, i.sop_uid, st.study_uid FROM done "
    "JOIN instances i ON i.id = done.instance_id JOIN studies st ON st.id = done.study_id "
    "ORDER BY done.id";

static const char sql_known[] =
    "SELECT id FROM commitments WHERE transaction_uid = $1 AND peer = $2 FOR UPDATE";

static const char sql_answered[] =
    "UPDATE commitments SET state = 'answered', answered_at = clock_timestamp() WHERE id = $1 "
    "AND NOT EXISTS (SELECT 1 FROM commitment_items WHERE commitment_id = $1 AND answer IS NULL)";

static const char sql_notify[] = "NOTIFY dicomstego";

enum ds_status db_commitment_begin(struct db *d, const char *peer, const char *transaction_uid,
                                   unsigned max, unsigned settle_ms, bool *made,
                                   struct ds_error *err)
{
    *made = false;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, peer);
    db_arg_text(&a, transaction_uid);
    db_arg_int(&a, max < DB_COMMITMENT_ITEMS_MAX ? max : DB_COMMITMENT_ITEMS_MAX);
    db_arg_int(&a, settle_ms);
    const enum ds_status s = db_ask(d, sql_begin, &a, &r, err);
    *made = s == DS_OK && db_affected(r) > 0;
    return s;
}

enum ds_status db_commitment_items(struct db_tx *t, const char *sql, int64_t id,
                                   struct db_commitment_item **items, size_t *count,
                                   struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    const enum ds_status s = db_run(t, sql, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    *items = calloc(db_rows(r) + 1, sizeof(**items));
    if (*items == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        struct db_commitment_item *item = &(*items)[i];
        db_text(r, i, 0, item->sop_class_uid, sizeof(item->sop_class_uid));
        db_text(r, i, 1, item->sop_uid, sizeof(item->sop_uid));
        item->answer = (int)db_int(r, i, 2);
    }
    return DS_OK;
}

static enum ds_status claim(struct db_tx *t, const char *peer, unsigned lease_ms,
                            struct db_commitment *out, bool *found, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, peer);
    db_arg_int(&a, lease_ms);
    const enum ds_status s = db_run(t, sql_claim, &a, &r, err);
    *found = s == DS_OK && db_rows(r) == 1;
    if (!*found) {
        return s;
    }
    out->id = db_int(r, 0, 0);
    db_text(r, 0, 1, out->transaction_uid, sizeof(out->transaction_uid));
    out->asks = (unsigned)db_int(r, 0, 2);
    out->age_us = db_int(r, 0, 3);
    return db_commitment_items(t, sql_items, out->id, &out->items, &out->count, err);
}

enum ds_status db_commitment_claim(struct db *d, const char *peer, unsigned lease_ms,
                                   struct db_commitment *out, bool *found, struct ds_error *err)
{
    *found = false;
    memset(out, 0, sizeof(*out));
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = claim(&t, peer, lease_ms, out, found, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    if (s != DS_OK) {
        db_commitment_free(out);
        *found = false;
    }
    return s;
}

void db_commitment_free(struct db_commitment *c)
{
    free(c->items);
    c->items = NULL;
    c->count = 0;
}

enum ds_status db_commitment_asked(struct db *d, int64_t id, int64_t timeout_ms,
                                   struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, id);
    db_arg_int(&a, timeout_ms);
    return db_ask(d, sql_asked, &a, NULL, err);
}

enum ds_status db_commitment_put_off(struct db *d, int64_t id, int64_t retry_ms, const char *cause,
                                     struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, id);
    db_arg_int(&a, retry_ms);
    db_arg_text(&a, cause);
    return db_ask(d, sql_put_off, &a, NULL, err);
}

static enum ds_status note_end(struct db_tx *t, const PGresult *r, const char *cause,
                               struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    for (size_t i = 0; i < db_rows(r); i++) {
        if (db_int(r, i, 0) == 0) {
            continue; /* a transaction whose deliveries went elsewhere */
        }
        const char *peer = db_string(r, i, 6);
        struct db_event *e = db_note(&notes, "commit-failed", peer);
        e->instance_id = db_int(r, i, 1);
        e->study_id = db_int(r, i, 2);
        e->has_before = db_hash(r, i, 3, e->before);
        e->sop_uid = db_string(r, i, 4);
        e->study_uid = db_string(r, i, 5);
        e->peer = peer;
        e->outcome = db_string(r, i, 9);
        db_note_int(&notes, "delivery", db_int(r, i, 0));
        db_note_text(&notes, "peer", peer);
        db_note_text(&notes, "transaction", db_string(r, i, 7));
        db_note_text(&notes, "cause", cause);
        db_note_bool(&notes, "asked_again", db_bool(r, i, 8));
        db_note_text(&notes, "state", db_string(r, i, 9));
    }
    return db_notes_put(t, &notes, err);
}

static enum ds_status end(struct db *d, const char *peer, int64_t id, bool required,
                          unsigned asks_max, const char *cause, uint64_t *count,
                          struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_text_or_null(&a, peer);
    db_arg_int(&a, id);
    db_arg_bool(&a, required);
    db_arg_int(&a, asks_max);
    db_arg_text(&a, cause);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_end, &a, &r, err);
    }
    if (s == DS_OK) {
        s = note_end(&t, r, cause, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    *count = s == DS_OK && db_rows(r) > 0 ? (uint64_t)db_int(r, 0, 10) : 0;
    return s;
}

enum ds_status db_commitment_give_up(struct db *d, int64_t id, bool required, const char *cause,
                                     struct ds_error *err)
{
    uint64_t count = 0;
    return end(d, NULL, id, required, 0, cause, &count, err);
}

enum ds_status db_commitment_expire(struct db *d, const char *peer, bool required,
                                    unsigned asks_max, uint64_t *count, struct ds_error *err)
{
    return end(d, peer, 0, required, asks_max, "storage commitment: no report in time", count, err);
}

static void bind_answers(struct db_args *a, const struct db_commitment_answer *answers,
                         size_t count)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, answers[i].sop_uid);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, answers[i].failure);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, answers[i].verdict);
    }
    db_array_end(a);
}

static enum ds_status find_transaction(struct db_tx *t, const char *peer,
                                       const char *transaction_uid, int64_t *id,
                                       struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, transaction_uid);
    db_arg_text(&a, peer);
    const enum ds_status s = db_run(t, sql_known, &a, &r, err);
    *id = s == DS_OK && db_rows(r) == 1 ? db_int(r, 0, 0) : 0;
    return s;
}

static enum ds_status note_report(struct db_tx *t, const PGresult *r, int64_t commitment,
                                  struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    for (size_t i = 0; i < db_rows(r); i++) {
        const char *peer = db_string(r, i, 3);
        const char *state = db_string(r, i, 4);
        struct db_event *e =
            db_note(&notes, strcmp(state, "committed") == 0 ? "committed" : "commit-failed", peer);
        e->instance_id = db_int(r, i, 1);
        e->study_id = db_int(r, i, 2);
        e->has_before = db_hash(r, i, 6, e->before);
        e->has_after = db_hash(r, i, 7, e->after);
        e->sop_uid = db_string(r, i, 8);
        e->study_uid = db_string(r, i, 9);
        e->peer = peer;
        e->outcome = state;
        db_note_int(&notes, "delivery", db_int(r, i, 0));
        db_note_text(&notes, "peer", peer);
        db_note_int(&notes, "commitment", commitment);
        db_note_int(&notes, "reason", db_int(r, i, 5));
        db_note_text(&notes, "state", state);
    }
    return db_notes_put(t, &notes, err);
}

static enum ds_status take_report(struct db_tx *t, int64_t id,
                                  const struct db_commitment_answer *answers, size_t count,
                                  const struct db_commitment_policy *policy, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_args_free) struct db_args end = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    bind_answers(&a, answers, count);
    db_arg_int(&a, policy->failures_max);
    db_arg_int(&a, policy->retry_ms);
    db_arg_int(&end, id);
    enum ds_status s = db_run(t, sql_report, &a, &r, err);
    if (s == DS_OK) {
        s = note_report(t, r, id, err);
    }
    if (s == DS_OK) {
        s = db_run(t, sql_answered, &end, NULL, err);
    }
    return s == DS_OK ? db_run(t, sql_notify, NULL, NULL, err) : s;
}

enum ds_status db_commitment_report(struct db *d, const char *peer, const char *transaction_uid,
                                    const struct db_commitment_answer *answers, size_t count,
                                    const struct db_commitment_policy *policy, bool *known,
                                    struct ds_error *err)
{
    *known = false;
    int64_t id = 0;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = find_transaction(&t, peer, transaction_uid, &id, err);
    }
    if (s != DS_OK || id == 0) {
        return s;
    }
    *known = true;
    s = take_report(&t, id, answers, count, policy, err);
    return s == DS_OK ? db_commit(&t, err) : s;
}
