/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does about deliveries: send them again, or not at all. */
#include "db/notes.h"
#include "db/operate.h"

/* What is ready and due needs nothing. A filter by id is a person who means this very delivery. */
static const char sql_requeue[] =
    "WITH wanted AS (SELECT d.id, i.study_id, i.sop_uid, st.study_uid, i.file_hash "
    "FROM " DB_FILTER_FROM "WHERE " DB_FILTER_WHERE
    "AND i.quarantined_at IS NULL AND i.deleted_at IS NULL AND (d.state IN ('failed', 'waiting') "
    "OR (d.state = 'ready' AND d.ready_at > clock_timestamp()) "
    "OR (d.state = 'cancelled' AND $4::bigint[] IS NOT NULL)) ORDER BY d.id FOR UPDATE OF d), "
    "back AS (UPDATE deliveries d SET state = 'ready', attempts = 0, "
    "ready_at = clock_timestamp(), finished_at = NULL, commitment = NULL, commitment_asks = 0, "
    "commitment_failures = 0, commitment_after = NULL FROM wanted w WHERE w.id = d.id "
    "RETURNING d.id, d.instance_id, w.study_id, d.peer, w.sop_uid, w.study_uid, w.file_hash) "
    "SELECT * FROM back ORDER BY id";

static const char sql_cancel[] =
    "WITH wanted AS (SELECT d.id, i.study_id, i.sop_uid, st.study_uid, i.file_hash "
    "FROM " DB_FILTER_FROM "WHERE " DB_FILTER_WHERE
    "AND d.state IN ('waiting', 'ready', 'leased', 'failed') ORDER BY d.id FOR UPDATE OF d), "
    "gone AS (UPDATE deliveries d SET "
    "state = CASE WHEN d.state = 'leased' THEN d.state ELSE 'cancelled' END, "
    "recalled = CASE WHEN d.state = 'leased' THEN 'cancelled'::delivery_state END, "
    "finished_at = CASE WHEN d.state = 'leased' THEN NULL ELSE clock_timestamp() END, cause = $5 "
    "FROM wanted w WHERE w.id = d.id "
    "RETURNING d.id, d.instance_id, w.study_id, d.peer, w.sop_uid, w.study_uid, w.file_hash) "
    "SELECT * FROM gone ORDER BY id";

static const char sql_notify[] = "NOTIFY dicomstego";

/* What is noted of each delivery: kind, who did it, and why where a reason is given. */
struct act {
    const char *kind, *actor, *reason;
};

static enum ds_status note(struct db_tx *t, const PGresult *r, const struct act *act,
                           struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    for (size_t i = 0; i < db_rows(r); i++) {
        struct db_event *e = db_note(&notes, act->kind, act->actor);
        e->instance_id = db_int(r, i, 1);
        e->study_id = db_int(r, i, 2);
        e->peer = db_string(r, i, 3);
        e->sop_uid = db_string(r, i, 4);
        e->study_uid = db_string(r, i, 5);
        e->has_before = db_hash(r, i, 6, e->before);
        db_note_int(&notes, "delivery", db_int(r, i, 0));
        db_note_text(&notes, "peer", db_string(r, i, 3));
        if (act->reason != NULL) {
            db_note_text(&notes, "reason", act->reason);
        }
    }
    return db_notes_put(t, &notes, err);
}

static enum ds_status carry_out(struct db *d, const char *sql, struct db_args *a,
                                const struct act *act, uint64_t *count, struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql, a, &r, err);
    }
    if (s == DS_OK) {
        s = note(&t, r, act, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_notify, NULL, NULL, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    *count = s == DS_OK ? db_rows(r) : 0;
    return s;
}

enum ds_status db_delivery_requeue(struct db *d, const struct db_delivery_filter *filter,
                                   const char *actor, uint64_t *count, struct ds_error *err)
{
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    const enum ds_status s = db_args_filter(&a, filter, err);
    const struct act act = {"requeued", actor, NULL};
    return s == DS_OK ? carry_out(d, sql_requeue, &a, &act, count, err) : s;
}

enum ds_status db_delivery_cancel(struct db *d, const struct db_delivery_filter *filter,
                                  const char *reason, const char *actor, uint64_t *count,
                                  struct ds_error *err)
{
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    const enum ds_status s = db_args_filter(&a, filter, err);
    db_arg_text(&a, reason);
    const struct act act = {"cancelled", actor, reason};
    return s == DS_OK ? carry_out(d, sql_cancel, &a, &act, count, err) : s;
}
