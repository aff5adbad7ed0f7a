/* SPDX-License-Identifier: Apache-2.0 */
/* A plan becomes a generation, its capsules and its deliveries: all of it or nothing. */
#include "db/notes.h"

/* Holds off db_index for this study and every other plan for it. */
static const char sql_lock[] =
    "SELECT generation::bigint FROM studies WHERE id = $1 FOR NO KEY UPDATE";

static const char sql_take[] =
    "UPDATE instances SET generation = $2 WHERE study_id = $1 AND id = ANY($3) "
    "AND generation IS NULL AND quarantined_at IS NULL";

/* What was said of a study is spent once nothing of it is left to plan. */
static const char sql_generation[] =
    "WITH newest AS (UPDATE studies SET generation = $2 WHERE id = $1 RETURNING study_uid), "
    "spent AS (DELETE FROM study_hints h USING newest WHERE h.study_uid = newest.study_uid "
    " AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.study_id = $1 "
    " AND i.generation IS NULL AND i.quarantined_at IS NULL)) "
    "INSERT INTO generations (study_id, generation, rule) VALUES ($1, $2, $3) RETURNING id";

static const char sql_reports[] =
    "UPDATE reports SET generation = $2 WHERE study_id = $1 AND id = ANY($3) "
    "AND generation IS NULL AND NOT sent_already";

static const char sql_capsules[] =
    "INSERT INTO capsules (generation_id, capsule_id, saved, shares_total, shares_needed) "
    "SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])";

static const char sql_deliveries[] =
    "INSERT INTO deliveries (generation_id, instance_id, peer, rule, action, capsule, "
    "share_index, with_key_block, with_certificate, state, note, priority, archive) "
    "SELECT $1, b.instance_id, b.peer, $2, b.action, c.id, NULLIF(b.share_index, -1), "
    "b.with_key_block, b.with_certificate, "
    "(CASE WHEN b.held THEN 'waiting' ELSE 'ready' END)::delivery_state, b.note, "
    "GREATEST($13, max(i.priority) OVER ()), i.archive "
    "FROM unnest($4::bigint[], $5::text[], $6::bigint[], $7::bytea[], $8::bigint[], $9::bool[], "
    "$10::bool[], $11::bool[], $12::text[]) WITH ORDINALITY AS b(instance_id, peer, action, "
    "capsule_id, share_index, with_key_block, with_certificate, held, note, n) "
    "JOIN instances i ON i.id = b.instance_id AND i.study_id = $3 "
    "LEFT JOIN capsules c ON c.capsule_id = b.capsule_id ORDER BY b.n";

static const char sql_events[] =
    "SELECT i.id, i.study_id, i.file_hash, CASE WHEN d.id IS NULL "
    "THEN COALESCE(b.event, 'not-sent') WHEN d.state = 'waiting' THEN 'held' ELSE 'planned' END, "
    "i.sop_uid, st.study_uid, d.id, d.peer, d.action::bigint, COALESCE(d.note, b.note) "
    "FROM instances i JOIN studies st ON st.id = i.study_id "
    "LEFT JOIN deliveries d ON d.instance_id = i.id AND d.generation_id = $1 "
    "LEFT JOIN unnest($3::bigint[], $4::text[], $5::text[]) AS b(instance_id, event, note) "
    "ON b.instance_id = i.id WHERE i.id = ANY($2) "
    "OR i.id IN (SELECT instance_id FROM deliveries WHERE generation_id = $1) ORDER BY i.id, d.id";

/* What is leased is being sent at this moment: it is taken back only when that fails. The share of
 * a report is not taken back at all: the report may need it, and the newer instance follows in any
 * case. */
static const char sql_recall[] =
    "WITH r AS (SELECT * FROM unnest($1::bigint[], $2::bool[], $3::text[]) "
    "AS r(instance_id, hold, note)), "
    "back AS (UPDATE deliveries d SET "
    "state = CASE WHEN d.state = 'leased' THEN d.state WHEN r.hold THEN 'waiting' "
    "ELSE 'cancelled' END, "
    "recalled = CASE WHEN d.state <> 'leased' THEN NULL WHEN r.hold THEN 'waiting' "
    "ELSE 'cancelled' END::delivery_state, "
    "note = r.note, finished_at = CASE WHEN r.hold OR d.state = 'leased' THEN NULL "
    "ELSE clock_timestamp() END "
    "FROM r WHERE d.instance_id = r.instance_id "
    "AND d.state IN ('ready', 'leased', 'waiting', 'failed') "
    "AND (r.hold OR d.share_index IS NULL) RETURNING d.id, d.instance_id, d.peer, r.hold, r.note) "
    "SELECT i.id, i.study_id, i.file_hash, "
    "CASE WHEN back.hold THEN 'held' ELSE 'superseded' END, i.sop_uid, st.study_uid, back.id, "
    "back.peer, NULL::bigint, back.note FROM back JOIN instances i ON i.id = back.instance_id "
    "JOIN studies st ON st.id = i.study_id ORDER BY back.id";

static const char sql_notify[] = "NOTIFY dicomstego";

struct plan_run {
    struct db_tx *t;
    const struct db_plan *plan;
    int64_t generation;
    int64_t generation_row;
};

static enum ds_status check_plan(const struct db_plan *p, struct ds_error *err)
{
    for (size_t i = 0; i < p->delivery_count; i++) {
        const struct db_planned_delivery *d = &p->deliveries[i];
        if (d->capsule != SIZE_MAX && d->capsule >= p->capsule_count) {
            return ds_fail(err, DS_EINVAL, "delivery %zu of a plan names capsule %zu of %zu", i,
                           d->capsule, p->capsule_count);
        }
    }
    return p->instance_count > 0 || p->report_count > 0
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "a plan without any instance or report");
}

static enum ds_status lock_study(struct plan_run *run, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run->plan->study_id);
    const enum ds_status s = db_run(run->t, sql_lock, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "there is no study %lld", (long long)run->plan->study_id);
    }
    run->generation = s == DS_OK ? db_int(r, 0, 0) + 1 : 0;
    return s;
}

/* Gives rows the new generation; each of them must still be without one. */
static enum ds_status take(struct plan_run *run, const char *sql, const int64_t *ids, size_t count,
                           const char *what, struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run->plan->study_id);
    db_arg_int(&a, run->generation);
    db_arg_ids(&a, ids, count);
    const enum ds_status s = db_run(run->t, sql, &a, &r, err);
    if (s == DS_OK && db_affected(r) != count) {
        return ds_fail(err, DS_EEXIST, "%zu %s of study %lld, of which %llu are still to plan",
                       count, what, (long long)run->plan->study_id,
                       (unsigned long long)db_affected(r));
    }
    return s;
}

static enum ds_status add_generation(struct plan_run *run, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run->plan->study_id);
    db_arg_int(&a, run->generation);
    db_arg_text(&a, run->plan->rule);
    const enum ds_status s = db_run(run->t, sql_generation, &a, &r, err);
    run->generation_row = s == DS_OK ? db_int(r, 0, 0) : 0;
    return s;
}

static void bind_capsules(struct db_args *a, const struct db_planned_capsule *c, size_t count)
{
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_bytes(a, c[i].capsule_id, 16);
    }
    db_array_end(a);
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_bytes(a, c[i].saved, c[i].saved_len);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, c[i].shares_total);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, c[i].shares_needed);
    }
    db_array_end(a);
}

static enum ds_status add_capsules(struct plan_run *run, struct ds_error *err)
{
    if (run->plan->capsule_count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, run->generation_row);
    bind_capsules(&a, run->plan->capsules, run->plan->capsule_count);
    return db_run(run->t, sql_capsules, &a, NULL, err);
}

static void bind_targets(struct db_args *a, const struct db_plan *p)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_int(a, p->deliveries[i].instance_id);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_text(a, p->deliveries[i].peer);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_int(a, p->deliveries[i].action);
    }
    db_array_end(a);
}

static void bind_shares(struct db_args *a, const struct db_plan *p)
{
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < p->delivery_count; i++) {
        const size_t capsule = p->deliveries[i].capsule;
        if (capsule == SIZE_MAX) {
            db_item_null(a);
        } else {
            db_item_bytes(a, p->capsules[capsule].capsule_id, 16);
        }
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_int(a, p->deliveries[i].share_index);
    }
    db_array_end(a);
}

static void bind_flags(struct db_args *a, const struct db_plan *p)
{
    db_array_begin(a, DB_BOOL);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_bool(a, p->deliveries[i].with_key_block);
    }
    db_array_end(a);
    db_array_begin(a, DB_BOOL);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_bool(a, p->deliveries[i].with_certificate);
    }
    db_array_end(a);
    db_array_begin(a, DB_BOOL);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_bool(a, p->deliveries[i].held);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < p->delivery_count; i++) {
        db_item_text(a, p->deliveries[i].note);
    }
    db_array_end(a);
}

static enum ds_status add_deliveries(struct plan_run *run, struct ds_error *err)
{
    if (run->plan->delivery_count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run->generation_row);
    db_arg_text(&a, run->plan->rule);
    db_arg_int(&a, run->plan->study_id);
    bind_targets(&a, run->plan);
    bind_shares(&a, run->plan);
    bind_flags(&a, run->plan);
    db_arg_int(&a, run->plan->priority);
    const enum ds_status s = db_run(run->t, sql_deliveries, &a, &r, err);
    if (s == DS_OK && db_affected(r) != run->plan->delivery_count) {
        return ds_fail(err, DS_EINVAL, "a plan delivers instances of another study");
    }
    return s;
}

static void bind_absences(struct db_args *a, const struct db_plan *p)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < p->absence_count; i++) {
        db_item_int(a, p->absences[i].instance_id);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < p->absence_count; i++) {
        db_item_text(a, p->absences[i].event);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < p->absence_count; i++) {
        db_item_text(a, p->absences[i].note);
    }
    db_array_end(a);
}

static const char *text_or_null(const PGresult *r, size_t row, int column)
{
    size_t len;
    return db_bytes(r, row, column, &len) == NULL ? NULL : db_string(r, row, column);
}

/* The rows of sql_events and sql_recall. */
static enum ds_status note_rows(struct db_tx *t, const PGresult *r, const char *rule,
                                struct ds_error *err)
{
    static const char *const actions[] = {"as-is", "carrier", "sidecar"};
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    for (size_t i = 0; i < db_rows(r); i++) {
        size_t len;
        const bool has_action = db_bytes(r, i, 8, &len) != NULL;
        const size_t action = (size_t)db_int(r, i, 8);
        struct db_event *e = db_note(&notes, db_string(r, i, 3), "node");
        e->instance_id = db_int(r, i, 0);
        e->study_id = db_int(r, i, 1);
        e->has_before = db_hash(r, i, 2, e->before);
        e->sop_uid = db_string(r, i, 4);
        e->study_uid = db_string(r, i, 5);
        e->peer = text_or_null(r, i, 7);
        e->outcome = has_action && action < DS_ARRAY_SIZE(actions) ? actions[action] : NULL;
        if (rule != NULL) {
            db_note_text(&notes, "rule", rule);
        }
        if (db_int(r, i, 6) != 0) {
            db_note_int(&notes, "delivery", db_int(r, i, 6));
        }
        db_note_text(&notes, "peer", e->peer);
        db_note_text(&notes, "note", text_or_null(r, i, 9));
    }
    return db_notes_put(t, &notes, err);
}

static enum ds_status recall(struct plan_run *run, struct ds_error *err)
{
    const struct db_plan *p = run->plan;
    if (p->recall_count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_array_begin(&a, DB_INT8);
    for (size_t i = 0; i < p->recall_count; i++) {
        db_item_int(&a, p->recalls[i].instance_id);
    }
    db_array_end(&a);
    db_array_begin(&a, DB_BOOL);
    for (size_t i = 0; i < p->recall_count; i++) {
        db_item_bool(&a, p->recalls[i].hold);
    }
    db_array_end(&a);
    db_array_begin(&a, DB_TEXT);
    for (size_t i = 0; i < p->recall_count; i++) {
        db_item_text(&a, p->recalls[i].note);
    }
    db_array_end(&a);
    const enum ds_status s = db_run(run->t, sql_recall, &a, &r, err);
    return s == DS_OK ? note_rows(run->t, r, NULL, err) : s;
}

static enum ds_status announce(struct plan_run *run, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run->generation_row);
    db_arg_ids(&a, run->plan->instance_ids, run->plan->instance_count);
    bind_absences(&a, run->plan);
    enum ds_status s = db_run(run->t, sql_events, &a, &r, err);
    s = s == DS_OK ? note_rows(run->t, r, run->plan->rule, err) : s;
    return s == DS_OK ? db_run(run->t, sql_notify, NULL, NULL, err) : s;
}

static enum ds_status carry_out(struct plan_run *run, struct ds_error *err)
{
    const struct db_plan *p = run->plan;
    enum ds_status s = lock_study(run, err);
    if (s == DS_OK) {
        s = take(run, sql_take, p->instance_ids, p->instance_count, "instances", err);
    }
    if (s == DS_OK) {
        s = take(run, sql_reports, p->report_ids, p->report_count, "reports", err);
    }
    if (s == DS_OK) {
        s = add_generation(run, err);
    }
    if (s == DS_OK) {
        s = add_capsules(run, err);
    }
    if (s == DS_OK) {
        s = add_deliveries(run, err);
    }
    if (s == DS_OK) {
        s = recall(run, err);
    }
    if (s == DS_OK) {
        s = db_quarantine_collisions(run->t, p, err);
    }
    return s == DS_OK ? announce(run, err) : s;
}

enum ds_status db_plan_commit(struct db *d, const struct db_plan *plan, int *generation,
                              struct ds_error *err)
{
    *generation = 0;
    enum ds_status s = check_plan(plan, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    struct plan_run run = {&t, plan, 0, 0};
    s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = carry_out(&run, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    *generation = s == DS_OK ? (int)run.generation : 0;
    return s;
}
