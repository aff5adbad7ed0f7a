/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator decides about what is held: the row, the flow and the event change together. */
#include "db/quarantine.h"
#include "db/query.h"

#include <string.h>

/* $2 the node's archive, $3 what is done, $4 why: the event's detail comes back with the row. */
static const char sql_take[] =
    "SELECT " DB_QUARANTINE_COLUMNS ", json_build_object('quarantine', q.id, 'class', q.class, "
    "'held_for', q.reason, 'how', $3::text, 'reason', $4::text)::text, "
    "COALESCE(i.study_id, 0) " DB_QUARANTINE_FROM
    "WHERE q.id = $1 AND q.state = 'held' AND q.archive IN ('', $2) AND " DB_QUARANTINE_IS_OPEN
    " FOR UPDATE OF q";
#define DETAIL_AT (DB_QUARANTINE_COLUMN_COUNT)
#define STUDY_AT  (DB_QUARANTINE_COLUMN_COUNT + 1)

static const char sql_decide[] =
    "UPDATE quarantine SET state = $2, decided_at = clock_timestamp(), decided_by = $3, "
    "decision = $4 WHERE id = $1";

/* Without a generation again, it is pending: planned like whatever comes late. */
static const char sql_let_go[] =
    "UPDATE instances SET quarantined_at = NULL, quarantine_reason = NULL, "
    "released_at = CASE WHEN $2 THEN NULL ELSE clock_timestamp() END WHERE id = $1";

static const char sql_send[] =
    "UPDATE deliveries SET recalled = NULL, attempts = CASE WHEN state = 'leased' THEN attempts "
    "ELSE 0 END, state = CASE WHEN state = 'leased' THEN state ELSE 'ready' END, "
    "ready_at = clock_timestamp() WHERE instance_id = $1 "
    "AND (state = 'waiting' OR recalled = 'waiting')";

static const char sql_is_busy[] =
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE instance_id = $1 AND state = 'leased')";

static const char sql_cancel[] =
    "UPDATE deliveries SET state = 'cancelled', finished_at = clock_timestamp(), "
    "cause = 'the instance was discarded' "
    "WHERE instance_id = $1 AND state IN ('waiting', 'ready', 'failed')";

static const char sql_discard[] =
    "UPDATE instances SET quarantined_at = COALESCE(quarantined_at, clock_timestamp()), "
    "deleted_at = COALESCE(deleted_at, clock_timestamp()), discarded = $2 WHERE id = $1";

static const char sql_exported[] =
    "SELECT json_build_object('quarantine', q.id, 'class', q.class)::text, "
    "COALESCE(i.study_id, 0) " DB_QUARANTINE_FROM "WHERE q.id = $1";

static const char sql_notify[] = "NOTIFY dicomstego";

/* A decision on its way. */
struct ruling {
    struct db_tx *t;
    const struct db_quarantine_decision *decision;
    struct db_quarantine_row *row;
    PGresult *taken;
};

static enum ds_status take(struct ruling *g, const char *how, struct ds_error *err)
{
    const struct db_quarantine_decision *c = g->decision;
    if (c->reason == NULL || c->reason[0] == '\0') {
        return ds_fail(err, DS_EINVAL, "a decision has a reason");
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, c->id);
    db_arg_text(&a, db_archive(g->t->d));
    db_arg_text(&a, how);
    db_arg_text(&a, c->reason);
    const enum ds_status s = db_run(g->t, sql_take, &a, &g->taken, err);
    if (s == DS_OK && db_rows(g->taken) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "nothing with number %lld is held here",
                       (long long)c->id);
    }
    if (s == DS_OK) {
        db_quarantine_row_from(g->t->d, g->taken, 0, g->row);
    }
    return s;
}

static struct db_event_at event_of(const struct db_quarantine_row *row, const char *kind,
                                   const char *actor, const char *detail, int64_t study_id)
{
    struct db_event_at e = {.event = {.kind = kind,
                                      .instance_id = row->instance_id,
                                      .study_id = study_id,
                                      .actor = actor,
                                      .has_before = row->has_file_hash,
                                      .detail = detail}};
    memcpy(e.event.before, row->file_hash, DS_SHA256_BYTES);
    return e;
}

/* A text of the result, as long as it is; the caller frees it. */
static char *text_of(const PGresult *r, int column)
{
    size_t len = 0;
    const uint8_t *bytes = db_bytes(r, 0, column, &len);
    return bytes == NULL ? NULL : strndup((const char *)bytes, len);
}

static void free_text(char **text)
{
    free(*text);
}

static enum ds_status settle(struct ruling *g, enum db_quarantine_state state, const char *kind,
                             struct ds_error *err)
{
    const struct db_quarantine_decision *c = g->decision;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(free_text) char *detail = text_of(g->taken, DETAIL_AT);
    db_arg_int(&a, c->id);
    db_arg_text(&a, db_quarantine_state_name(state));
    db_arg_text(&a, c->actor);
    db_arg_text(&a, c->reason);
    enum ds_status s = db_run(g->t, sql_decide, &a, NULL, err);
    if (s == DS_OK) {
        const struct db_event_at e =
            event_of(g->row, kind, c->actor, detail, db_int(g->taken, 0, STUDY_AT));
        s = db_events_put(g->t, &e, 1, err);
    }
    return s == DS_OK ? db_run(g->t, sql_notify, NULL, NULL, err) : s;
}

static enum ds_status may_go_as_it_is(const struct db_quarantine_row *row, struct ds_error *err)
{
    if (row->class_ == DB_UNREADABLE) {
        return ds_fail(err, DS_EINVAL, "what cannot be read cannot be sent: try to read it again");
    }
    return row->class_ == DB_DAMAGED
               ? ds_fail(err, DS_EINVAL,
                         "its file is not what was received, and is not sent as if it were: try "
                         "again when it is restored")
               : DS_OK;
}

static enum ds_status let_go(struct ruling *g, bool retry, struct ds_error *err)
{
    if (g->row->class_ == DB_UNREADABLE) {
        return DS_OK; /* its file goes back to the spool, after this */
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, g->row->instance_id);
    if (g->row->class_ == DB_COLLISION) {
        return db_run(g->t, sql_send, &a, NULL, err);
    }
    db_arg_bool(&a, retry);
    return db_run(g->t, sql_let_go, &a, NULL, err);
}

static void end_ruling(struct ruling *g)
{
    db_clear(&g->taken);
}

enum ds_status db_quarantine_release(struct db *d, const struct db_quarantine_decision *decision,
                                     bool retry, struct db_quarantine_row *out,
                                     struct ds_error *err)
{
    *out = (struct db_quarantine_row){0};
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(end_ruling) struct ruling g = {.t = &t, .decision = decision, .row = out};
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = take(&g, retry ? "judged again" : "as it is", err);
    }
    if (s == DS_OK && !retry) {
        s = may_go_as_it_is(out, err);
    }
    if (s == DS_OK) {
        s = let_go(&g, retry, err);
    }
    if (s == DS_OK) {
        s = settle(&g, DB_RELEASED, "released", err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

/* ---- discard ---- */

static enum ds_status check_is_still(struct ruling *g, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, g->row->instance_id);
    const enum ds_status s = db_run(g->t, sql_is_busy, &a, &r, err);
    return s == DS_OK && db_bool(r, 0, 0)
               ? ds_fail(err, DS_ENOTFOUND, "it is being sent at this moment; try again")
               : s;
}

static enum ds_status give_up(struct ruling *g, struct ds_error *err)
{
    enum ds_status s = check_is_still(g, err);
    DS_AUTO(db_args_free) struct db_args cancel = DB_ARGS_INIT;
    db_arg_int(&cancel, g->row->instance_id);
    s = s == DS_OK ? db_run(g->t, sql_cancel, &cancel, NULL, err) : s;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, g->row->instance_id);
    db_arg_int(&a, g->row->id);
    return s == DS_OK ? db_run(g->t, sql_discard, &a, NULL, err) : s;
}

enum ds_status db_quarantine_discard(struct db *d, const struct db_quarantine_decision *decision,
                                     struct db_quarantine_row *out, struct ds_error *err)
{
    *out = (struct db_quarantine_row){0};
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(end_ruling) struct ruling g = {.t = &t, .decision = decision, .row = out};
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = take(&g, "discarded", err);
    }
    if (s == DS_OK && out->instance_id != 0) {
        s = give_up(&g, err);
    }
    if (s == DS_OK) {
        s = settle(&g, DB_DISCARDED, "discarded", err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_quarantine_exported(struct db *d, const struct db_quarantine_row *row,
                                      const char *actor, struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(free_text) char *detail = NULL;
    db_arg_int(&a, row->id);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_exported, &a, &r, err);
    }
    if (s == DS_OK && db_rows(r) == 0) {
        s = ds_fail(err, DS_ENOTFOUND, "nothing has number %lld", (long long)row->id);
    }
    if (s == DS_OK) {
        detail = text_of(r, 0);
        const struct db_event_at e = event_of(row, "exported", actor, detail, db_int(r, 0, 1));
        s = db_events_put(&t, &e, 1, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
