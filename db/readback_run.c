/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: made with all that they are to look at, claimed, put off, ended. */
#include "db/query.h"
#include "db/readback.h"

#include <stdio.h>

/* One maker at a time for each peer, so that no schedule is met twice. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 8))";

static const char sql_due[] =
    "SELECT NOT EXISTS (SELECT 1 FROM read_back_runs WHERE peer = $1 AND archive = $2 "
    "AND scheduled AND (state IN ('waiting', 'running') "
    "OR created_at > clock_timestamp() - $3 * interval '1 millisecond'))";

static const char sql_run[] =
    "INSERT INTO read_back_runs (peer, archive, scheduled, actor, sample, seed, study_uid, since) "
    "VALUES ($1, $2, $3, $4, NULLIF($5, 0), CASE WHEN $5 = 0 THEN NULL ELSE $6 END, $7, "
    "CASE WHEN $8 = 0 THEN NULL ELSE 'epoch'::timestamptz + $8 * interval '1 microsecond' END) "
    "RETURNING id";

/* Of what was sent twice, the newest counts: the peer has one instance of a UID. */
static const char sql_items[] =
    "WITH sent AS (SELECT DISTINCT ON (COALESCE(d.sent_sop_uid, i.sop_uid)) d.id, d.instance_id, "
    "d.action, st.study_uid, COALESCE(d.sent_sop_uid, i.sop_uid) AS sop_uid, "
    "i.sop_uid AS old_uid FROM deliveries d JOIN instances i ON i.id = d.instance_id "
    "JOIN studies st ON st.id = i.study_id WHERE d.peer = $2 AND d.archive IN ('', $3) "
    "AND d.state IN ('sent', 'committed') AND ($4::text IS NULL OR st.study_uid = $4) "
    "AND ($5 = 0 OR d.finished_at >= 'epoch'::timestamptz + $5 * interval '1 microsecond') "
    "ORDER BY COALESCE(d.sent_sop_uid, i.sop_uid), d.id DESC), "
    "drawn AS (SELECT * FROM sent ORDER BY hashint8extended(id, $7), id "
    "LIMIT CASE WHEN $6 = 0 THEN NULL ELSE $6 END) "
    "INSERT INTO read_back_results (run_id, peer, part, delivery_id, instance_id, study_uid, "
    "sop_uid) SELECT $1, $2, p.part, drawn.id, drawn.instance_id, drawn.study_uid, "
    "CASE WHEN p.part = 2 THEN drawn.old_uid ELSE drawn.sop_uid END FROM drawn "
    "JOIN (VALUES (0, 0), (1, 0), (2, 1), (2, 2)) AS p(action, part) USING (action) "
    "ORDER BY drawn.study_uid, drawn.id, p.part ON CONFLICT DO NOTHING";

#define RUN_COLUMNS                                                                                \
    "r.id, r.peer, r.scheduled, r.actor, r.state, r.cause, " DB_US("r.created_at") ", " DB_US(     \
        "r.finished_at") ", r.sample IS NOT NULL, COALESCE(r.sample, 0), COALESCE(r.seed, 0) "

static const char sql_get[] = "SELECT " RUN_COLUMNS "FROM read_back_runs r WHERE r.id = $1";

static const char sql_counts[] =
    "SELECT COALESCE(outcome, ''), count(*) FROM read_back_results WHERE run_id = $1 GROUP BY 1";

static const char sql_newest[] =
    "SELECT id FROM read_back_runs WHERE peer = $1 ORDER BY id DESC LIMIT 1";

/* $1 lease, $2 owner, $3 archive, $4 home. */
static const char sql_claim[] =
    "UPDATE read_back_runs r SET state = 'running', leased_by = $2, "
    "leased_until = clock_timestamp() + $1 * interval '1 millisecond' "
    "WHERE id = (SELECT c.id FROM read_back_runs c WHERE c.archive IN ('', $3) AND "
    "((c.state = 'waiting' AND c.next_at <= statement_timestamp()) OR (c.state = 'running' AND "
    "(c.leased_until < statement_timestamp() OR ($4 <> '' AND c.leased_by LIKE '%:' || $4 || '-%' "
    "AND c.leased_by <> $2)))) AND NOT EXISTS (SELECT 1 FROM read_back_runs o "
    "WHERE o.peer = c.peer AND o.id <> c.id AND o.state = 'running' "
    "AND o.leased_until >= statement_timestamp()) "
    "ORDER BY c.scheduled, c.id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " RUN_COLUMNS;

static const char sql_renew[] =
    "UPDATE read_back_runs SET leased_until = clock_timestamp() + $3 * interval '1 millisecond' "
    "WHERE id = $1 AND state = 'running' AND leased_by = $2";

static const char sql_put_off[] =
    "UPDATE read_back_runs SET state = 'waiting', leased_by = NULL, leased_until = NULL, "
    "next_at = clock_timestamp() + $3 * interval '1 millisecond' "
    "WHERE id = $1 AND state = 'running' AND leased_by = $2";

static const char sql_finish[] =
    "UPDATE read_back_runs r SET state = CASE WHEN EXISTS (SELECT 1 FROM read_back_results "
    "WHERE run_id = r.id AND outcome IS NULL) THEN 'incomplete' ELSE 'done' END, cause = $3, "
    "leased_by = NULL, leased_until = NULL, finished_at = clock_timestamp() "
    "WHERE id = $1 AND state = 'running' AND leased_by = $2 RETURNING peer, state";

/* ---- making ---- */

static enum ds_status lock_peer(struct db_tx *t, const char *peer, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_text(&a, peer);
    return db_run(t, sql_lock, &a, NULL, err);
}

static enum ds_status is_due(struct db_tx *t, const struct db_back_request *q, bool *due,
                             struct ds_error *err)
{
    *due = true;
    if (q->every_ms == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, q->peer);
    db_arg_text(&a, db_archive(t->d));
    db_arg_int(&a, q->every_ms);
    const enum ds_status s = db_run(t, sql_due, &a, &r, err);
    *due = s == DS_OK && db_bool(r, 0, 0);
    return s;
}

static enum ds_status put_run(struct db_tx *t, const struct db_back_request *q, int64_t *id,
                              struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, q->peer);
    db_arg_text(&a, db_archive(t->d));
    db_arg_bool(&a, q->every_ms != 0);
    db_arg_text(&a, q->actor);
    db_arg_int(&a, q->sample);
    db_arg_int(&a, q->seed);
    db_arg_text_or_null(&a, q->study_uid);
    db_arg_int(&a, q->since_us);
    const enum ds_status s = db_run(t, sql_run, &a, &r, err);
    *id = s == DS_OK ? db_int(r, 0, 0) : 0;
    return s;
}

static enum ds_status put_items(struct db_tx *t, const struct db_back_request *q, int64_t id,
                                uint64_t *count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    db_arg_text(&a, q->peer);
    db_arg_text(&a, db_archive(t->d));
    db_arg_text_or_null(&a, q->study_uid);
    db_arg_int(&a, q->since_us);
    db_arg_int(&a, q->sample);
    db_arg_int(&a, q->seed);
    const enum ds_status s = db_run(t, sql_items, &a, &r, err);
    *count = s == DS_OK ? db_affected(r) : 0;
    return s;
}

static enum ds_status say(struct db_tx *t, const struct db_event *e, struct ds_error *err)
{
    const struct db_event_at event = {.event = *e};
    return db_events_put(t, &event, 1, err);
}

static enum ds_status say_begun(struct db_tx *t, const struct db_back_request *q, int64_t id,
                                uint64_t count, struct ds_error *err)
{
    char detail[128];
    (void)snprintf(detail, sizeof(detail), "{\"run\": %lld, \"instances\": %llu, \"seed\": %lld}",
                   (long long)id, (unsigned long long)count,
                   (long long)(q->sample == 0 ? 0 : q->seed));
    const struct db_event e = {
        .kind = "read-back-begun", .actor = q->actor, .detail = detail, .peer = q->peer};
    return say(t, &e, err);
}

enum ds_status db_back_begin(struct db *d, const struct db_back_request *q, int64_t *id,
                             struct ds_error *err)
{
    *id = 0;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    bool due = false;
    int64_t made = 0;
    uint64_t count = 0;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = lock_peer(&t, q->peer, err);
    }
    if (s == DS_OK) {
        s = is_due(&t, q, &due, err);
    }
    if (s != DS_OK || !due) {
        return s;
    }
    s = put_run(&t, q, &made, err);
    if (s == DS_OK) {
        s = put_items(&t, q, made, &count, err);
    }
    if (s == DS_OK) {
        s = say_begun(&t, q, made, count, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    *id = s == DS_OK ? made : 0;
    return s;
}

/* ---- looking ---- */

static void run_from(const PGresult *r, struct db_back_run *out)
{
    *out = (struct db_back_run){.id = db_int(r, 0, 0)};
    db_text(r, 0, 1, out->peer, sizeof(out->peer));
    out->scheduled = db_bool(r, 0, 2);
    db_text(r, 0, 3, out->actor, sizeof(out->actor));
    db_text(r, 0, 4, out->state, sizeof(out->state));
    db_text(r, 0, 5, out->cause, sizeof(out->cause));
    out->created_us = db_int(r, 0, 6);
    out->finished_us = db_int(r, 0, 7);
    out->is_sampled = db_bool(r, 0, 8);
    out->sample = db_int(r, 0, 9);
    out->seed = db_int(r, 0, 10);
}

static enum ds_status count_results(struct db *d, struct db_back_run *run, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run->id);
    const enum ds_status s = db_ask(d, sql_counts, &a, &r, err);
    for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
        char outcome[32];
        const uint64_t n = (uint64_t)db_int(r, i, 1);
        db_text(r, i, 0, outcome, sizeof(outcome));
        run->total += n;
        run->open += outcome[0] == '\0' ? n : 0;
        for (unsigned o = 0; o < DB_BACK_OUTCOMES; o++) {
            run->counts[o] +=
                strcmp(outcome, db_back_outcome_name((enum db_back_outcome)o)) == 0 ? n : 0;
        }
    }
    return s;
}

enum ds_status db_back_run_get(struct db *d, int64_t id, struct db_back_run *out,
                               struct ds_error *err)
{
    *out = (struct db_back_run){0};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    const enum ds_status s = db_ask(d, sql_get, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s != DS_OK ? s
                          : ds_fail(err, DS_ENOTFOUND, "there is no read-back %lld", (long long)id);
    }
    run_from(r, out);
    return count_results(d, out, err);
}

enum ds_status db_back_newest(struct db *d, const char *peer, int64_t *id, struct ds_error *err)
{
    *id = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, peer);
    const enum ds_status s = db_ask(d, sql_newest, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "nothing was ever read back from this peer");
    }
    *id = s == DS_OK ? db_int(r, 0, 0) : 0;
    return s;
}

/* ---- claiming and ending ---- */

enum ds_status db_back_claim(struct db *d, unsigned lease_ms, struct db_back_run *out, bool *found,
                             struct ds_error *err)
{
    *found = false;
    *out = (struct db_back_run){0};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, lease_ms);
    db_arg_text(&a, db_owner(d));
    db_arg_text(&a, db_archive(d));
    db_arg_text(&a, db_home(d));
    const enum ds_status s = db_ask(d, sql_claim, &a, &r, err);
    *found = s == DS_OK && db_rows(r) == 1;
    if (*found) {
        run_from(r, out);
    }
    return s;
}

static enum ds_status change(struct db *d, const char *sql, int64_t run, int64_t ms, bool *held,
                             struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run);
    db_arg_text(&a, db_owner(d));
    db_arg_int(&a, ms);
    const enum ds_status s = db_ask(d, sql, &a, &r, err);
    *held = s == DS_OK && db_affected(r) == 1;
    return s;
}

enum ds_status db_back_renew(struct db *d, int64_t run, unsigned lease_ms, bool *held,
                             struct ds_error *err)
{
    return change(d, sql_renew, run, lease_ms, held, err);
}

enum ds_status db_back_put_off(struct db *d, int64_t run, int64_t after_ms, struct ds_error *err)
{
    bool held = false;
    return change(d, sql_put_off, run, after_ms, &held, err);
}

static enum ds_status finish(struct db_tx *t, int64_t run, const char *cause, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    char peer[DB_TEXT_BYTES], state[16], detail[64];
    db_arg_int(&a, run);
    db_arg_text(&a, db_owner(t->d));
    db_arg_text(&a, cause);
    const enum ds_status s = db_run(t, sql_finish, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    db_text(r, 0, 0, peer, sizeof(peer));
    db_text(r, 0, 1, state, sizeof(state));
    (void)snprintf(detail, sizeof(detail), "{\"run\": %lld}", (long long)run);
    const struct db_event e = {.kind = "read-back-ended",
                               .actor = "node",
                               .detail = detail,
                               .peer = peer,
                               .outcome = state};
    return say(t, &e, err);
}

enum ds_status db_back_finish(struct db *d, int64_t run, const char *cause, struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = finish(&t, run, cause, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
