/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does about deliveries: send them again, or not at all. */
#include "db/operate.h"
#include "db/query.h"

/* What is ready and due needs nothing. A filter by id is a person who means this very delivery. */
static const char sql_requeue[] =
    "WITH wanted AS (SELECT d.id, i.study_id FROM " DB_FILTER_FROM "WHERE " DB_FILTER_WHERE
    "AND i.quarantined_at IS NULL AND i.deleted_at IS NULL AND (d.state IN ('failed', 'waiting') "
    "OR (d.state = 'ready' AND d.ready_at > clock_timestamp()) "
    "OR (d.state = 'cancelled' AND $4::bigint[] IS NOT NULL)) ORDER BY d.id FOR UPDATE OF d), "
    "back AS (UPDATE deliveries d SET state = 'ready', attempts = 0, "
    "ready_at = clock_timestamp(), finished_at = NULL, commitment = NULL, commitment_asks = 0, "
    "commitment_failures = 0, commitment_after = NULL FROM wanted w WHERE w.id = d.id "
    "RETURNING d.id, d.instance_id, w.study_id, d.peer), "
    "noted AS (INSERT INTO events (node, kind, actor, instance_id, study_id, detail) "
    "SELECT $5, 'requeued', $6, instance_id, study_id, "
    "jsonb_build_object('delivery', id, 'peer', peer) FROM back ORDER BY id) "
    "SELECT count(*) FROM back";

static const char sql_cancel[] =
    "WITH wanted AS (SELECT d.id, i.study_id FROM " DB_FILTER_FROM "WHERE " DB_FILTER_WHERE
    "AND d.state IN ('waiting', 'ready', 'leased', 'failed') ORDER BY d.id FOR UPDATE OF d), "
    "gone AS (UPDATE deliveries d SET "
    "state = CASE WHEN d.state = 'leased' THEN d.state ELSE 'cancelled' END, "
    "recalled = CASE WHEN d.state = 'leased' THEN 'cancelled'::delivery_state END, "
    "finished_at = CASE WHEN d.state = 'leased' THEN NULL ELSE clock_timestamp() END, cause = $7 "
    "FROM wanted w WHERE w.id = d.id RETURNING d.id, d.instance_id, w.study_id, d.peer), "
    "noted AS (INSERT INTO events (node, kind, actor, instance_id, study_id, detail) "
    "SELECT $5, 'cancelled', $6, instance_id, study_id, "
    "jsonb_build_object('delivery', id, 'peer', peer, 'reason', $7::text) FROM gone ORDER BY id) "
    "SELECT count(*) FROM gone";

static const char sql_notify[] = "NOTIFY dicomstego";

static enum ds_status act(struct db *d, const char *sql, struct db_args *a, uint64_t *count,
                          struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql, a, &r, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_notify, NULL, NULL, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    *count = s == DS_OK ? (uint64_t)db_int(r, 0, 0) : 0;
    return s;
}

enum ds_status db_delivery_requeue(struct db *d, const struct db_delivery_filter *filter,
                                   const char *actor, uint64_t *count, struct ds_error *err)
{
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    const enum ds_status s = db_args_filter(&a, filter, err);
    db_arg_text(&a, db_node(d));
    db_arg_text(&a, actor);
    return s == DS_OK ? act(d, sql_requeue, &a, count, err) : s;
}

enum ds_status db_delivery_cancel(struct db *d, const struct db_delivery_filter *filter,
                                  const char *reason, const char *actor, uint64_t *count,
                                  struct ds_error *err)
{
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    const enum ds_status s = db_args_filter(&a, filter, err);
    db_arg_text(&a, db_node(d));
    db_arg_text(&a, actor);
    db_arg_text(&a, reason);
    return s == DS_OK ? act(d, sql_cancel, &a, count, err) : s;
}
