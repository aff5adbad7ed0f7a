/* SPDX-License-Identifier: Apache-2.0 */
/* Studies and instances as they are asked for; index.c puts them in. */
#include "db/notes.h"

#include <limits.h>

/* A report that came alone may have come from elsewhere: the images say which rule is theirs. */
static const char sql_pending[] =
    "SELECT st.id, st.study_uid, st.accession, st.description, "
    "(array_agg(i.calling_ae ORDER BY i.id DESC))[1], "
    "(array_agg(i.called_ae ORDER BY i.id DESC))[1], "
    "(SELECT COALESCE(string_agg(DISTINCT se.modality, '\\'), '') FROM series se "
    " WHERE se.study_id = st.id AND se.modality <> ''), "
    "bool_or(i.kind = 1), count(*), "
    "(SELECT count(*) FROM reports r WHERE r.study_id = st.id AND r.generation IS NULL "
    " AND NOT r.sent_already), "
    "(extract(epoch FROM clock_timestamp() - max(i.indexed_at)) * 1000000)::bigint, "
    "(extract(epoch FROM clock_timestamp() - min(i.indexed_at)) * 1000000)::bigint, "
    "(SELECT (extract(epoch FROM h.made_at) * 1000000)::bigint FROM study_hints h "
    " WHERE h.study_uid = st.study_uid AND h.kind = 'operator' "
    " AND h.made_at >= max(i.received_at)), "
    "(SELECT (extract(epoch FROM h.made_at) * 1000000)::bigint FROM study_hints h "
    " WHERE h.study_uid = st.study_uid AND h.kind = 'commitment' "
    " AND h.made_at >= max(i.received_at)), "
    "(SELECT (extract(epoch FROM max(r.received_at)) * 1000000)::bigint FROM reports r "
    " WHERE r.study_id = st.id AND r.generation IS NULL AND NOT r.sent_already "
    " HAVING max(r.received_at) >= max(i.received_at)), "
    "EXISTS (SELECT 1 FROM reports r WHERE r.study_id = st.id "
    " AND (r.generation IS NOT NULL OR r.sent_already)) "
    "FROM instances i JOIN studies st ON st.id = i.study_id "
    "WHERE i.generation IS NULL AND i.quarantined_at IS NULL AND i.archive IN ('', $1) "
    "GROUP BY st.id UNION ALL SELECT st.id, st.study_uid, st.accession, st.description, "
    "(SELECT i.calling_ae FROM instances i WHERE i.study_id = st.id "
    " ORDER BY i.has_pixel_data DESC, i.id DESC LIMIT 1), "
    "(SELECT i.called_ae FROM instances i WHERE i.study_id = st.id "
    " ORDER BY i.has_pixel_data DESC, i.id DESC LIMIT 1), "
    "(SELECT COALESCE(string_agg(DISTINCT se.modality, '\\'), '') FROM series se "
    " WHERE se.study_id = st.id AND se.modality <> ''), "
    "EXISTS (SELECT 1 FROM instances i WHERE i.study_id = st.id AND i.kind = 1), 0, count(*), "
    "(extract(epoch FROM clock_timestamp() - max(r.received_at)) * 1000000)::bigint, "
    "(extract(epoch FROM clock_timestamp() - min(r.received_at)) * 1000000)::bigint, "
    "NULL, NULL, NULL, false "
    "FROM reports r JOIN studies st ON st.id = r.study_id "
    "WHERE r.generation IS NULL AND NOT r.sent_already AND st.generation > 0 "
    "AND EXISTS (SELECT 1 FROM instances i WHERE i.study_id = st.id AND i.archive IN ('', $1)) "
    "AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.study_id = st.id "
    " AND i.generation IS NULL AND i.quarantined_at IS NULL) GROUP BY st.id ORDER BY 1";

static const char sql_pending_instances[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM instances i" DB_INSTANCE_JOINS
    "WHERE i.study_id = $1 AND i.generation IS NULL AND i.quarantined_at IS NULL "
    "AND i.archive IN ('', $2) ORDER BY i.series_id, i.id";

/* What was restored from carriers never came from the source. */
static const char sql_count[] = "SELECT count(DISTINCT sop_uid) FROM instances "
                                "WHERE study_id = $1 AND restored_from IS NULL";

static const char sql_get[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM instances i" DB_INSTANCE_JOINS "WHERE i.id = $1";

static const char sql_find[] =
    "SELECT id FROM studies WHERE study_uid = $1 OR (accession = $1 AND accession <> '') "
    "ORDER BY study_uid = $1 DESC, id DESC LIMIT 1";

static const char sql_quarantine[] =
    "UPDATE instances SET quarantined_at = clock_timestamp(), quarantine_reason = $2 "
    "WHERE id = $1 AND quarantined_at IS NULL RETURNING study_id, file_hash, sop_uid, calling_ae";

static const char sql_exists[] = "SELECT id FROM instances WHERE id = $1";

/* One that is being sent right now runs to its end; delivery.c does not try it again. */
static const char sql_cancel[] =
    "UPDATE deliveries SET state = 'cancelled', finished_at = clock_timestamp(), "
    "cause = 'the instance was quarantined' "
    "WHERE instance_id = $1 AND state IN ('waiting', 'ready', 'failed')";

static unsigned to_unsigned(int64_t v)
{
    return v < 0 ? 0 : v > UINT_MAX ? UINT_MAX : (unsigned)v;
}

/* One query in a transaction of its own. */
static enum ds_status ask(struct db *d, const char *sql, struct db_args *a, PGresult **result,
                          struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql, a, result, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

static void pending_from(const PGresult *r, size_t row, struct db_pending_study *out)
{
    out->study_id = db_int(r, row, 0);
    db_text(r, row, 1, out->study_uid, sizeof(out->study_uid));
    db_text(r, row, 2, out->accession, sizeof(out->accession));
    db_text(r, row, 3, out->description, sizeof(out->description));
    db_text(r, row, 4, out->calling_ae, sizeof(out->calling_ae));
    db_text(r, row, 5, out->called_ae, sizeof(out->called_ae));
    db_text(r, row, 6, out->modalities, sizeof(out->modalities));
    out->has_carrier = db_bool(r, row, 7);
    out->pending = to_unsigned(db_int(r, row, 8));
    out->reports = to_unsigned(db_int(r, row, 9));
    out->idle_us = db_int(r, row, 10);
    out->age_us = db_int(r, row, 11);
    for (int i = 0; i < DB_HINT_KINDS; i++) {
        out->hint_us[i] = db_int(r, row, 12 + i);
    }
    out->had_report = db_bool(r, row, 12 + DB_HINT_KINDS);
}

enum ds_status db_pending(struct db *d, struct db_pending_study **out, size_t *count,
                          struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, db_archive(d));
    const enum ds_status s = ask(d, sql_pending, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu studies", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        pending_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_study_count(struct db *d, int64_t study_id, uint64_t *count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, study_id);
    const enum ds_status s = ask(d, sql_count, &a, &r, err);
    *count = s == DS_OK ? (uint64_t)db_int(r, 0, 0) : 0;
    return s;
}

void db_instance_from(const PGresult *r, size_t row, int first, struct db_instance *out)
{
    out->id = db_int(r, row, first);
    out->study_id = db_int(r, row, first + 1);
    out->series_id = db_int(r, row, first + 2);
    out->kind = (enum db_kind)db_int(r, row, first + 3);
    db_text(r, row, first + 4, out->study_uid, sizeof(out->study_uid));
    db_text(r, row, first + 5, out->sop_uid, sizeof(out->sop_uid));
    db_text(r, row, first + 6, out->sop_class_uid, sizeof(out->sop_class_uid));
    db_text(r, row, first + 7, out->transfer_syntax, sizeof(out->transfer_syntax));
    db_text(r, row, first + 8, out->modality, sizeof(out->modality));
    db_text(r, row, first + 9, out->path, sizeof(out->path));
    out->generation = (int)db_int(r, row, first + 10);
    out->has_pixel_hash = db_hash(r, row, first + 11, out->pixel_hash);
    (void)db_hash(r, row, first + 12, out->dataset_hash);
    (void)db_hash(r, row, first + 13, out->file_hash);
    out->has_pixel_data = db_bool(r, row, first + 14);
    out->is_released = db_bool(r, row, first + 15);
}

enum ds_status db_study_pending_instances(struct db *d, int64_t study_id, struct db_instance **out,
                                          size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, study_id);
    db_arg_text(&a, db_archive(d));
    const enum ds_status s = ask(d, sql_pending_instances, &a, &r, err);
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

enum ds_status db_instance_get(struct db *d, int64_t id, struct db_instance *out,
                               struct ds_error *err)
{
    *out = (struct db_instance){0};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    const enum ds_status s = ask(d, sql_get, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "there is no instance %lld", (long long)id);
    }
    if (s == DS_OK) {
        db_instance_from(r, 0, 0, out);
    }
    return s;
}

enum ds_status db_study_find(struct db *d, const char *uid_or_accession, int64_t *id,
                             struct ds_error *err)
{
    *id = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, uid_or_accession);
    const enum ds_status s = ask(d, sql_find, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "no study has this UID or accession number");
    }
    if (s == DS_OK) {
        *id = db_int(r, 0, 0);
    }
    return s;
}

/* ---- quarantine ---- */

static enum ds_status record_quarantine(struct db_tx *t, int64_t id, const char *reason,
                                        const PGresult *row, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args cancel = DB_ARGS_INIT;
    db_arg_int(&cancel, id);
    const enum ds_status s = db_run(t, sql_cancel, &cancel, NULL, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    struct db_event *e = db_note(&notes, "quarantined", "node");
    e->instance_id = id;
    e->study_id = db_int(row, 0, 0);
    e->has_before = db_hash(row, 0, 1, e->before);
    e->sop_uid = db_string(row, 0, 2);
    e->peer = db_string(row, 0, 3);
    db_note_text(&notes, "reason", reason);
    return db_notes_put(t, &notes, err);
}

/* The first reason stays: a second call finds the instance quarantined and adds nothing. */
static enum ds_status check_exists(struct db_tx *t, int64_t id, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    const enum ds_status s = db_run(t, sql_exists, &a, &r, err);
    return s == DS_OK && db_rows(r) == 0
               ? ds_fail(err, DS_ENOTFOUND, "there is no instance %lld", (long long)id)
               : s;
}

enum ds_status db_instance_quarantine(struct db *d, int64_t id, enum db_quarantine_class class_,
                                      const char *reason, struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    db_arg_text(&a, reason);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_quarantine, &a, &r, err);
    }
    if (s == DS_OK) {
        s = db_rows(r) == 0 ? check_exists(&t, id, err) : record_quarantine(&t, id, reason, r, err);
    }
    if (s == DS_OK && db_rows(r) > 0) {
        s = db_quarantine_put(&t, id, class_, reason, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
