/* SPDX-License-Identifier: Apache-2.0 */
#include "db/retention.h"

#include "db/notes.h"

/* Instances of our archive that a policy might let go, and the step's last one. */
static const char sql_candidates[] =
    "SELECT i.id, i.study_id FROM instances i WHERE i.deleted_at IS NULL "
    "AND i.generation IS NOT NULL AND i.quarantined_at IS NULL AND i.archive IN ('', $1) "
    "AND i.id > $2 ORDER BY i.id LIMIT $3";

/* Nobody plans these studies, or adds to them, until we are done. */
static const char sql_lock[] =
    "SELECT id FROM studies WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

/* $1 candidates; $2, $3, $4 rules, times, whether sent is enough (the default's name is NULL); $5
 * at once. finished_at of a committed delivery is when that was said. */
static const char sql_delete[] =
    "WITH p AS MATERIALIZED (SELECT * FROM unnest($2::text[], $3::bigint[], $4::bool[]) "
    "AS p(rule, keep_ms, after_sent)), "
    "i AS (SELECT * FROM instances WHERE id = ANY($1) AND deleted_at IS NULL "
    "AND generation IS NOT NULL AND quarantined_at IS NULL), "
    "owed AS (SELECT i.id, d.id AS delivery FROM i JOIN deliveries d ON d.instance_id = i.id "
    "UNION SELECT i.id, d.id FROM i JOIN instances c ON c.restored_from = i.id "
    "JOIN deliveries d ON d.instance_id = c.id WHERE i.kind = 1 "
    "UNION SELECT i.id, d.id FROM i JOIN generations g ON g.study_id = i.study_id "
    "AND g.generation = i.generation JOIN deliveries d ON d.generation_id = g.id "
    "WHERE i.kind = 3 AND NOT EXISTS (SELECT 1 FROM deliveries o WHERE o.instance_id = i.id)), "
    "judged AS (SELECT owed.id, COALESCE((d.state = 'committed' "
    "OR (d.state = 'sent' AND p.after_sent)) AND ($5 OR d.finished_at "
    "<= statement_timestamp() - p.keep_ms * interval '1 millisecond'), false) AS done "
    "FROM owed JOIN deliveries d ON d.id = owed.delivery LEFT JOIN LATERAL (SELECT * FROM p "
    "WHERE p.rule = d.rule OR p.rule IS NULL ORDER BY p.rule NULLS LAST LIMIT 1) p ON true "
    "WHERE d.state <> 'cancelled'), "
    "due AS (SELECT id FROM judged GROUP BY id HAVING bool_and(done)), "
    "gone AS (UPDATE instances x SET deleted_at = clock_timestamp() FROM due, i "
    "WHERE x.id = due.id AND i.id = due.id AND NOT EXISTS (SELECT 1 FROM instances o "
    "WHERE o.study_id = i.study_id AND o.generation IS NULL AND o.quarantined_at IS NULL) "
    "RETURNING x.id, x.study_id, x.file_hash, x.pixel_hash, x.dataset_hash, x.sop_uid) "
    "SELECT gone.*, st.study_uid FROM gone JOIN studies st ON st.id = gone.study_id "
    "ORDER BY gone.id";

static const char sql_left[] =
    "SELECT id, path FROM instances WHERE deleted_at IS NOT NULL AND removed_at IS NULL "
    "AND archive IN ('', $1) ORDER BY id LIMIT $2";

static const char sql_removed[] =
    "UPDATE instances SET removed_at = clock_timestamp() WHERE id = ANY($1) "
    "AND deleted_at IS NOT NULL AND removed_at IS NULL";

static enum ds_status find_candidates(struct db_tx *t, const struct db_retention_pass *pass,
                                      PGresult **r, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_text(&a, db_archive(t->d));
    db_arg_int(&a, pass->after_id);
    db_arg_int(&a, pass->max);
    return db_run(t, sql_candidates, &a, r, err);
}

static void bind_column(struct db_args *a, const PGresult *r, int column)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < db_rows(r); i++) {
        db_item_int(a, db_int(r, i, column));
    }
    db_array_end(a);
}

static void bind_policy(struct db_args *a, const struct db_retention_pass *pass)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < pass->count; i++) {
        if (pass->rules[i].rule == NULL) {
            db_item_null(a);
        } else {
            db_item_text(a, pass->rules[i].rule);
        }
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < pass->count; i++) {
        db_item_int(a, pass->rules[i].keep_ms);
    }
    db_array_end(a);
    db_array_begin(a, DB_BOOL);
    for (size_t i = 0; i < pass->count; i++) {
        db_item_bool(a, pass->rules[i].after_sent);
    }
    db_array_end(a);
    db_arg_bool(a, pass->at_once);
}

static enum ds_status lock_studies(struct db_tx *t, const PGresult *candidates,
                                   struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_column(&a, candidates, 1);
    return db_run(t, sql_lock, &a, NULL, err);
}

static enum ds_status note_deleted(struct db_tx *t, const PGresult *gone, bool at_once,
                                   struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    for (size_t i = 0; i < db_rows(gone); i++) {
        uint8_t pixels[DS_SHA256_BYTES], dataset[DS_SHA256_BYTES];
        const bool has_pixels = db_hash(gone, i, 3, pixels);
        const bool has_dataset = db_hash(gone, i, 4, dataset);
        struct db_event *e = db_note(&notes, "deleted", "node");
        e->instance_id = db_int(gone, i, 0);
        e->study_id = db_int(gone, i, 1);
        e->has_before = db_hash(gone, i, 2, e->before);
        e->sop_uid = db_string(gone, i, 5);
        e->study_uid = db_string(gone, i, 6);
        db_note_hash(&notes, "pixel_hash", has_pixels, pixels);
        db_note_hash(&notes, "dataset_hash", has_dataset, dataset);
        db_note_text(&notes, "cause", at_once ? "the disk is full" : "its time is over");
    }
    return db_notes_put(t, &notes, err);
}

static enum ds_status delete_due(struct db_tx *t, const PGresult *candidates,
                                 const struct db_retention_pass *pass, uint64_t *deleted,
                                 struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    bind_column(&a, candidates, 0);
    bind_policy(&a, pass);
    const enum ds_status s = db_run(t, sql_delete, &a, &r, err);
    *deleted = s == DS_OK ? db_rows(r) : 0;
    return s == DS_OK ? note_deleted(t, r, pass->at_once, err) : s;
}

enum ds_status db_retention_delete(struct db *d, struct db_retention_pass *pass, uint64_t *deleted,
                                   struct ds_error *err)
{
    *deleted = 0;
    DS_AUTO(db_clear) PGresult *candidates = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = find_candidates(&t, pass, &candidates, err);
    }
    const size_t count = s == DS_OK ? db_rows(candidates) : 0;
    if (count > 0) {
        s = lock_studies(&t, candidates, err);
        s = s == DS_OK ? delete_due(&t, candidates, pass, deleted, err) : s;
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    if (s == DS_OK) {
        pass->after_id = count == pass->max ? db_int(candidates, count - 1, 0) : 0;
    }
    return s;
}

enum ds_status db_retention_left(struct db *d, unsigned max, struct db_left **out, size_t *count,
                                 struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, db_archive(d));
    db_arg_int(&a, max);
    const enum ds_status s = db_ask(d, sql_left, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu files", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i].instance_id = db_int(r, i, 0);
        db_text(r, i, 1, (*out)[i].path, sizeof((*out)[i].path));
    }
    return DS_OK;
}

enum ds_status db_retention_removed(struct db *d, const int64_t *ids, size_t count,
                                    struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_ids(&a, ids, count);
    return db_ask(d, sql_removed, &a, NULL, err);
}
