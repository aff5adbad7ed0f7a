/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries on their way: claimed under a lease, renewed, finished.
 *
 * An attempt is counted when it begins, so that a delivery that kills its worker is counted too. A
 * lease belongs to a pool (the node's name and a random number of this process).
 */
#include "db/notes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* $1 the peer, $2 our archive, $3 the least priority, $4 what the clock shows at most (clock.h). A
 * lease that has expired is due. */
#define DUE                                                                                        \
    "FROM deliveries WHERE peer = $1 AND archive IN ('', $2) AND priority >= $3 "                  \
    "AND state IN ('ready', 'leased') "                                                            \
    "AND ((state = 'ready' AND ready_at <= statement_timestamp()) "                                \
    "OR (state = 'leased' AND leased_until < LEAST(statement_timestamp(), "                        \
    "'epoch'::timestamptz + $4 * interval '1 microsecond'))) "                                     \
    "AND NOT EXISTS (SELECT 1 FROM peer_pauses WHERE peer = $1) "

/* A locked row is being claimed by somebody else at this moment and is stepped over. An array and
 * not a join: the planner cannot know how few they are, and would read the whole table. $5 to $8:
 * at most, workers, owner, lease. */
static const char sql_claim[] =
    "WITH due AS (SELECT id " DUE "ORDER BY priority DESC, generation_id, id "
    "LIMIT LEAST($5, (SELECT (count(*) + $6 - 1) / $6 FROM (SELECT 1 " DUE "LIMIT $5 * $6) AS n)) "
    "FOR UPDATE SKIP LOCKED), "
    "taken AS (UPDATE deliveries d SET state = 'leased', leased_by = $7, attempts = attempts + 1, "
    "leased_until = clock_timestamp() + $8 * interval '1 millisecond' "
    "WHERE d.id = ANY(ARRAY(SELECT id FROM due)) RETURNING d.*) "
    "SELECT t.id, COALESCE(t.capsule, 0), t.action::bigint, COALESCE(t.share_index, -1), "
    "t.with_key_block, t.with_certificate, (t.attempts - 1)::bigint, t.rule, "
    "EXISTS (SELECT 1 FROM deliveries o WHERE o.instance_id = t.instance_id AND o.peer = t.peer "
    "AND o.id < t.id), t.priority::bigint, " DB_INSTANCE_COLUMNS
    " FROM taken t JOIN instances i ON i.id = t.instance_id" DB_INSTANCE_JOINS
    "ORDER BY t.priority DESC, t.generation_id, t.id";

static const char sql_yield[] =
    "SELECT EXISTS (SELECT 1 FROM peer_pauses WHERE peer = $1) OR EXISTS (SELECT 1 " DUE ")";

static const char sql_renew[] =
    "WITH held AS (UPDATE deliveries SET "
    "leased_until = clock_timestamp() + $3 * interval '1 millisecond' "
    "WHERE id = ANY($1) AND state = 'leased' AND leased_by = $2 RETURNING id) "
    "SELECT n FROM unnest($1) WITH ORDINALITY AS a(id, n) JOIN held USING (id)";

static const char sql_take_back[] =
    "UPDATE deliveries SET state = COALESCE(recalled, 'ready'), recalled = NULL, leased_by = NULL, "
    "leased_until = NULL, ready_at = clock_timestamp() + "
    "LEAST(attempts - 1, 60) * interval '1 minute' WHERE state = 'leased' "
    "AND leased_by LIKE '%:' || $1 || '-%' AND leased_by <> $2";

/* What was taken back meanwhile goes where it was to go. */
static const char sql_give_back[] =
    "UPDATE deliveries d SET state = CASE WHEN i.quarantined_at IS NOT NULL THEN 'cancelled' "
    "ELSE COALESCE(recalled, 'ready') END, recalled = NULL, leased_by = NULL, leased_until = NULL, "
    "attempts = attempts - 1 FROM instances i WHERE i.id = d.instance_id AND d.id = ANY($1) "
    "AND d.state = 'leased' AND d.leased_by = $2";

/* What was quarantined or taken back while it was being sent is not tried again. */
static const char sql_finish[] =
    "WITH r AS (SELECT * FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::bigint[], "
    "$7::text[], $8::bigint[], $9::text[], $10::bytea[], $11::bytea[], $12::bytea[], "
    "$13::bigint[], $14::float8[], $15::float8[], $16::bigint[], $17::text[]) AS r(id, state, "
    "retry_ms, "
    "dimse_status, cause, duration_us, sop_uid, pixel_hash, dataset_hash, file_hash, hidden_bits, "
    "psnr_format, psnr_dynamic, max_difference, beside_uid)), "
    "done AS (UPDATE deliveries d SET "
    "state = CASE WHEN r.state = 'ready' AND i.quarantined_at IS NOT NULL "
    "THEN 'cancelled' WHEN r.state IN ('ready', 'failed') "
    "THEN COALESCE(d.recalled, r.state::delivery_state) ELSE r.state::delivery_state END, "
    "recalled = NULL, "
    "ready_at = clock_timestamp() + r.retry_ms * interval '1 millisecond', "
    "leased_by = NULL, leased_until = NULL, "
    "finished_at = CASE WHEN r.state = 'ready' THEN NULL ELSE clock_timestamp() END, "
    "dimse_status = r.dimse_status, cause = r.cause, "
    "sent_sop_uid = COALESCE(r.sop_uid, d.sent_sop_uid), "
    "sent_beside_uid = COALESCE(r.beside_uid, d.sent_beside_uid), "
    "sent_pixel_hash = COALESCE(r.pixel_hash, d.sent_pixel_hash), "
    "sent_dataset_hash = COALESCE(r.dataset_hash, d.sent_dataset_hash), "
    "sent_file_hash = COALESCE(r.file_hash, d.sent_file_hash), "
    "hidden_bits = COALESCE(r.hidden_bits, d.hidden_bits), "
    "psnr_format_db = COALESCE(r.psnr_format, d.psnr_format_db), "
    "psnr_dynamic_db = COALESCE(r.psnr_dynamic, d.psnr_dynamic_db), "
    "max_difference = COALESCE(r.max_difference, d.max_difference) "
    "FROM r, instances i WHERE d.id = r.id AND i.id = d.instance_id AND d.state = 'leased' "
    "AND d.leased_by = $2 RETURNING d.id, d.instance_id, i.study_id, d.peer, d.attempts, "
    "i.file_hash, i.pixel_hash, i.dataset_hash, i.sop_uid), "
    "tried AS (INSERT INTO delivery_attempts (delivery_id, attempt, duration_us, node, outcome, "
    "dimse_status, cause) SELECT r.id, done.attempts, r.duration_us, $1, "
    "r.state::delivery_state, r.dimse_status, r.cause FROM done JOIN r USING (id)) "
    "SELECT done.id, done.instance_id, done.study_id, done.peer, done.attempts::bigint, "
    "done.file_hash, done.pixel_hash, done.dataset_hash, done.sop_uid, st.study_uid "
    "FROM done JOIN studies st ON st.id = done.study_id ORDER BY done.id";

/* ---- claim ---- */

static void delivery_from(const PGresult *r, size_t row, struct db_delivery *out)
{
    out->id = db_int(r, row, 0);
    out->capsule_row = db_int(r, row, 1);
    out->action = (enum db_action)db_int(r, row, 2);
    out->share_index = db_int(r, row, 3);
    out->with_key_block = db_bool(r, row, 4);
    out->with_certificate = db_bool(r, row, 5);
    out->attempts = (unsigned)db_int(r, row, 6);
    db_text(r, row, 7, out->rule, sizeof(out->rule));
    out->again = db_bool(r, row, 8);
    out->priority = (enum db_priority)db_int(r, row, 9);
    db_instance_from(r, row, 10, &out->instance);
    out->instance_id = out->instance.id;
}

static void bind_due(struct db_args *a, struct db *d, const char *peer, int64_t at_least)
{
    db_arg_text(a, peer);
    db_arg_text(a, db_archive(d));
    db_arg_int(a, at_least);
    db_arg_int(a, db_clock_latest_us(d));
}

static void free_deliveries(struct db_delivery **d)
{
    free(*d);
}

enum ds_status db_delivery_claim(struct db *d, const struct db_claim *claim,
                                 struct db_delivery **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    if (claim->max == 0 || claim->max > 65536) {
        return ds_fail(err, DS_EINVAL, "%u deliveries to claim; expected 1 to 65536", claim->max);
    }
    /* Memory first: what was claimed must not be lost for want of it. */
    DS_AUTO(free_deliveries) struct db_delivery *claimed = calloc(claim->max, sizeof(*claimed));
    if (claimed == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %u deliveries", claim->max);
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    bind_due(&a, d, claim->peer, claim->at_least);
    db_arg_int(&a, claim->max);
    db_arg_int(&a, claim->workers == 0 ? 1 : claim->workers);
    db_arg_text(&a, db_owner(d));
    db_arg_int(&a, claim->lease_ms);
    const enum ds_status s = db_ask(d, sql_claim, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    for (size_t i = 0; i < db_rows(r); i++) {
        delivery_from(r, i, &claimed[i]); /* at most max rows, by LIMIT */
    }
    *count = db_rows(r);
    *out = claimed;
    claimed = NULL;
    return DS_OK;
}

enum ds_status db_delivery_should_yield(struct db *d, const char *peer, enum db_priority now,
                                        bool *yield, struct ds_error *err)
{
    *yield = false;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    bind_due(&a, d, peer, (int64_t)now + 1);
    const enum ds_status s = db_ask(d, sql_yield, &a, &r, err);
    *yield = s == DS_OK && db_rows(r) == 1 && db_bool(r, 0, 0);
    return s;
}

enum ds_status db_delivery_renew(struct db *d, const int64_t *ids, size_t count, unsigned lease_ms,
                                 bool *held, struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    memset(held, 0, count * sizeof(*held));
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_ids(&a, ids, count);
    db_arg_text(&a, db_owner(d));
    db_arg_int(&a, lease_ms);
    const enum ds_status s = db_ask(d, sql_renew, &a, &r, err);
    for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
        const int64_t at = db_int(r, i, 0) - 1;
        if (at >= 0 && (uint64_t)at < count) {
            held[at] = true;
        }
    }
    return s;
}

enum ds_status db_delivery_take_back(struct db *d, uint64_t *count, struct ds_error *err)
{
    *count = 0;
    if (db_home(d)[0] == '\0') {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, db_home(d));
    db_arg_text(&a, db_owner(d));
    const enum ds_status s = db_ask(d, sql_take_back, &a, &r, err);
    *count = s == DS_OK ? db_affected(r) : 0;
    return s;
}

enum ds_status db_delivery_give_back(struct db *d, const int64_t *ids, size_t count,
                                     struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_ids(&a, ids, count);
    db_arg_text(&a, db_owner(d));
    return db_ask(d, sql_give_back, &a, NULL, err);
}

/* ---- finish ---- */

static const char *state_name(enum db_delivery_state state)
{
    return state == DB_SENT ? "sent" : state == DB_FAILED ? "failed" : "ready";
}

static bool is_carrier(const struct db_delivery_result *r)
{
    return r->sent_sop_uid != NULL && r->sent_sop_uid[0] != '\0';
}

static void bind_outcomes(struct db_args *a, const struct db_delivery_result *r, size_t count)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, r[i].id);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, state_name(r[i].state));
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, r[i].state == DB_READY ? r[i].retry_after_ms : 0);
    }
    db_array_end(a);
}

static void bind_answers(struct db_args *a, const struct db_delivery_result *r, size_t count)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        if (r[i].answered) {
            db_item_int(a, r[i].dimse_status);
        } else {
            db_item_null(a);
        }
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, r[i].cause);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, r[i].duration_us);
    }
    db_array_end(a);
}

static void bind_sent(struct db_args *a, const struct db_delivery_result *r, size_t count)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        if (is_carrier(&r[i])) {
            db_item_text(a, r[i].sent_sop_uid);
        } else {
            db_item_null(a);
        }
    }
    db_array_end(a);
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_hash(a, is_carrier(&r[i]), r[i].sent_pixel_hash);
    }
    db_array_end(a);
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_hash(a, is_carrier(&r[i]), r[i].sent_dataset_hash);
    }
    db_array_end(a);
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_hash(a, is_carrier(&r[i]), r[i].sent_file_hash);
    }
    db_array_end(a);
}

static void bind_beside(struct db_args *a, const struct db_delivery_result *r, size_t count)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        if (is_carrier(&r[i]) && r[i].sent_beside_uid != NULL && r[i].sent_beside_uid[0] != '\0') {
            db_item_text(a, r[i].sent_beside_uid);
        } else {
            db_item_null(a);
        }
    }
    db_array_end(a);
}

static void item_number(struct db_args *a, const struct db_delivery_result *r, uint64_t v)
{
    if (is_carrier(r)) {
        db_item_int(a, (int64_t)v);
    } else {
        db_item_null(a);
    }
}

static void item_db(struct db_args *a, const struct db_delivery_result *r, double v)
{
    if (is_carrier(r) && isfinite(v)) {
        db_item_float(a, v);
    } else {
        db_item_null(a);
    }
}

static void bind_measures(struct db_args *a, const struct db_delivery_result *r, size_t count)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        item_number(a, &r[i], r[i].hidden_bits);
    }
    db_array_end(a);
    db_array_begin(a, DB_FLOAT8);
    for (size_t i = 0; i < count; i++) {
        item_db(a, &r[i], r[i].psnr_format_db);
    }
    db_array_end(a);
    db_array_begin(a, DB_FLOAT8);
    for (size_t i = 0; i < count; i++) {
        item_db(a, &r[i], r[i].psnr_dynamic_db);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        item_number(a, &r[i], r[i].max_difference);
    }
    db_array_end(a);
}

static enum ds_status check_results(const struct db_delivery_result *results, size_t count,
                                    struct ds_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const enum db_delivery_state s = results[i].state;
        if (s != DB_SENT && s != DB_FAILED && s != DB_READY) {
            return ds_fail(err, DS_EINVAL, "delivery %lld cannot end in state %d",
                           (long long)results[i].id, (int)s);
        }
    }
    return DS_OK;
}

/* One row of sql_finish, and the result that it answers. */
struct finished {
    const PGresult *r;
    size_t row;
    const struct db_delivery_result *result;
};

static struct db_event *note_of(struct db_notes *notes, const struct finished *f, const char *kind,
                                const char *actor)
{
    struct db_event *e = db_note(notes, kind, actor);
    e->instance_id = db_int(f->r, f->row, 1);
    e->study_id = db_int(f->r, f->row, 2);
    e->peer = db_string(f->r, f->row, 3);
    e->has_before = db_hash(f->r, f->row, 5, e->before);
    e->has_after = is_carrier(f->result);
    if (e->has_after) {
        memcpy(e->after, f->result->sent_file_hash, sizeof(e->after));
    }
    e->sop_uid = db_string(f->r, f->row, 8);
    e->study_uid = db_string(f->r, f->row, 9);
    db_note_int(notes, "delivery", f->result->id);
    db_note_text(notes, "peer", e->peer);
    db_note_int(notes, "attempt", db_int(f->r, f->row, 4));
    if (f->result->answered) {
        db_note_int(notes, "dimse_status", f->result->dimse_status);
    } else {
        db_note_null(notes, "dimse_status");
    }
    db_note_text(notes, "cause", f->result->cause);
    db_note_text(notes, "sop_uid", is_carrier(f->result) ? f->result->sent_sop_uid : NULL);
    return e;
}

static void note_proven(struct db_notes *notes, const struct finished *f)
{
    const struct db_delivery_result *sent = f->result;
    uint8_t pixels[DS_SHA256_BYTES], dataset[DS_SHA256_BYTES];
    const bool has_pixels = db_hash(f->r, f->row, 6, pixels);
    const bool has_dataset = db_hash(f->r, f->row, 7, dataset);
    note_of(notes, f, "proven", "node")->outcome = "restored";
    db_note_hash(notes, "pixel_hash", has_pixels, pixels);
    db_note_hash(notes, "dataset_hash", has_dataset, dataset);
    db_note_hash(notes, "sent_pixel_hash", true, sent->sent_pixel_hash);
    db_note_hash(notes, "sent_dataset_hash", true, sent->sent_dataset_hash);
}

#define STATUS_TEXT_BYTES 8U

/* What was proven, what became of the sending, and what the peer answered. */
static void note_finished(struct db_notes *notes, const struct finished *f,
                          char status[STATUS_TEXT_BYTES])
{
    if (is_carrier(f->result)) {
        note_proven(notes, f);
    }
    const bool sent = f->result->state == DB_SENT;
    note_of(notes, f, sent ? "sent" : "send-failed", "node")->outcome =
        sent                           ? "sent"
        : f->result->state == DB_READY ? "again"
                                       : "failed";
    if (f->result->answered) {
        (void)snprintf(status, STATUS_TEXT_BYTES, "%04XH", (unsigned)f->result->dimse_status);
        struct db_event *e = note_of(notes, f, "answered", "");
        e->actor = e->peer;
        e->outcome = status;
    }
}

static int by_id(const void *a, const void *b)
{
    const struct db_delivery_result *const *x = a;
    const struct db_delivery_result *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static void free_results(const struct db_delivery_result ***results)
{
    free(*results);
}

static void free_texts(char (**texts)[STATUS_TEXT_BYTES])
{
    free(*texts);
}

/* Both in the order of their ids; r has those that were still ours. */
static enum ds_status note_all(struct db_tx *t, const PGresult *r,
                               const struct db_delivery_result *results, size_t count,
                               struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    DS_AUTO(free_results)
    const struct db_delivery_result **sorted =
        calloc(count, sizeof(const struct db_delivery_result *));
    DS_AUTO(free_texts) char(*statuses)[STATUS_TEXT_BYTES] = calloc(count, sizeof(*statuses));
    if (sorted == NULL || statuses == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for the events of %zu deliveries", count);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &results[i];
    }
    qsort(sorted, count, sizeof(*sorted), by_id);
    size_t row = 0;
    for (size_t i = 0; i < count && row < db_rows(r); i++) {
        if (sorted[i]->id == db_int(r, row, 0)) {
            const struct finished f = {r, row++, sorted[i]};
            note_finished(&notes, &f, statuses[i]);
        }
    }
    return db_notes_put(t, &notes, err);
}

enum ds_status db_delivery_finish(struct db *d, const struct db_delivery_result *results,
                                  size_t count, struct ds_error *err)
{
    enum ds_status s = check_results(results, count, err);
    if (s != DS_OK || count == 0) {
        return s;
    }
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, db_node(d));
    db_arg_text(&a, db_owner(d));
    bind_outcomes(&a, results, count);
    bind_answers(&a, results, count);
    bind_sent(&a, results, count);
    bind_measures(&a, results, count);
    bind_beside(&a, results, count);
    s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_finish, &a, &r, err);
    }
    if (s == DS_OK) {
        s = note_all(&t, r, results, count, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
