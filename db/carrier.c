/* SPDX-License-Identifier: Apache-2.0 */
/* What a study has had of carriers: a late one may need their shares, a late sidecar the instance
 * that it belongs to, and a late report an original that went as one. */
#include "db/query.h"

static const char sql_planned_carriers[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM instances i" DB_INSTANCE_JOINS
    "WHERE i.study_id = $1 AND i.kind = 1 AND i.archive IN ('', $2) AND i.deleted_at IS NULL "
    "AND (i.generation IS NOT NULL OR i.quarantined_at IS NOT NULL) ORDER BY i.id";

/* Quarantined ones are damaged; what failed never arrived, and would come back with the wrong part.
 */
static const char sql_sent_originals[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM instances i" DB_INSTANCE_JOINS
    "JOIN LATERAL (SELECT max(d.generation_id) AS generation FROM deliveries d "
    "WHERE d.instance_id = i.id AND d.rule = $2 AND d.action IN (1, 2) "
    "AND d.state NOT IN ('cancelled', 'failed', 'waiting')) d ON d.generation IS NOT NULL "
    "WHERE i.study_id = $1 AND i.kind = 0 AND i.quarantined_at IS NULL AND i.deleted_at IS NULL "
    "AND i.archive IN ('', $4) ORDER BY d.generation DESC, i.id LIMIT $3";

static const char sql_planned_named[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM instances i" DB_INSTANCE_JOINS
    "WHERE i.study_id = $1 AND i.sop_uid = $2 AND i.generation IS NOT NULL "
    "AND i.quarantined_at IS NULL AND i.deleted_at IS NULL AND i.archive IN ('', $3) ORDER BY i.id";

static const char sql_carriers_to[] =
    "SELECT i.id, i.sop_uid, s.series_uid, i.dataset_hash, "
    "row_number() OVER (PARTITION BY i.sop_uid ORDER BY i.id) > 1 "
    "FROM instances i JOIN series s ON s.id = i.series_id "
    "WHERE i.study_id = $1 AND i.kind = 0 AND ($3 = '' OR i.sop_uid = $3) "
    "AND EXISTS (SELECT 1 FROM deliveries d WHERE d.instance_id = i.id AND d.peer = $2 "
    "AND d.action = 1) ORDER BY i.id";

static const char sql_is_owed[] = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE instance_id = $1)";

static enum ds_status ask(struct db *d, const char *sql, struct db_args *a, PGresult **r,
                          struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql, a, r, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

static enum ds_status ask_instances(struct db *d, const char *sql, struct db_args *a,
                                    struct db_instance **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = ask(d, sql, a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        db_instance_from(r, i, 0, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_study_planned_carriers(struct db *d, int64_t study_id, struct db_instance **out,
                                         size_t *count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, study_id);
    db_arg_text(&a, db_archive(d));
    return ask_instances(d, sql_planned_carriers, &a, out, count, err);
}

enum ds_status db_study_planned_named(struct db *d, int64_t study_id, const char *sop_uid,
                                      struct db_instance **out, size_t *count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, study_id);
    db_arg_text(&a, sop_uid);
    db_arg_text(&a, db_archive(d));
    return ask_instances(d, sql_planned_named, &a, out, count, err);
}

enum ds_status db_instance_is_owed(struct db *d, int64_t id, bool *owed, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    *owed = false;
    const enum ds_status s = ask(d, sql_is_owed, &a, &r, err);
    if (s == DS_OK) {
        *owed = db_rows(r) == 1 && db_bool(r, 0, 0);
    }
    return s;
}

enum ds_status db_study_sent_originals(struct db *d, int64_t study_id, const char *rule,
                                       unsigned max, struct db_instance **out, size_t *count,
                                       struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, study_id);
    db_arg_text(&a, rule);
    db_arg_int(&a, max);
    db_arg_text(&a, db_archive(d));
    return ask_instances(d, sql_sent_originals, &a, out, count, err);
}

enum ds_status db_study_carriers_to(struct db *d, int64_t study_id, const char *peer,
                                    const char *sop_uid, struct db_sent_carrier **out,
                                    size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, study_id);
    db_arg_text(&a, peer);
    db_arg_text(&a, sop_uid);
    const enum ds_status s = ask(d, sql_carriers_to, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu carriers", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        struct db_sent_carrier *c = &(*out)[i];
        c->instance_id = db_int(r, i, 0);
        db_text(r, i, 1, c->sop_uid, sizeof(c->sop_uid));
        db_text(r, i, 2, c->series_uid, sizeof(c->series_uid));
        (void)db_hash(r, i, 3, c->dataset_hash);
        c->is_second = db_bool(r, i, 4);
    }
    return DS_OK;
}
