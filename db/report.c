/* SPDX-License-Identifier: Apache-2.0 */
#include "db/notes.h"

static const char sql_add[] =
    "INSERT INTO reports (study_id, name, media_type, source, data, data_hash, sent_already) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (study_id, data_hash) DO NOTHING "
    "RETURNING id";

/* Runs only when sql_add found the report there, perhaps put in by another node meanwhile. */
static const char sql_same[] = "SELECT id FROM reports WHERE study_id = $1 AND data_hash = $2";

static const char sql_unsent[] = "SELECT id, name, media_type, data, source = 'dicom' FROM reports "
                                 "WHERE study_id = $1 AND generation IS NULL "
                                 "AND NOT sent_already ORDER BY id";

#define REPORT_MAX_BYTES (256U * 1024U * 1024U)

static enum ds_status find_same(struct db_tx *t, int64_t study_id, const uint8_t *hash, int64_t *id,
                                struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, study_id);
    db_arg_bytes(&a, hash, DS_SHA256_BYTES);
    const enum ds_status s = db_run(t, sql_same, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_EIO, "a report was removed while it was added again");
    }
    *id = s == DS_OK ? db_int(r, 0, 0) : 0;
    return s;
}

static enum ds_status note_received(struct db_tx *t, int64_t id, const struct db_event *event,
                                    const char *media_type, size_t len, struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    *db_note(&notes, event->kind, event->actor) = *event;
    db_note_int(&notes, "report", id);
    db_note_text(&notes, "media_type", media_type);
    db_note_int(&notes, "bytes", (int64_t)len);
    return db_notes_put(t, &notes, err);
}

static enum ds_status add(struct db_tx *t, int64_t study_id, struct db_args *a, const uint8_t *hash,
                          int64_t *id, bool *added, struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = db_run(t, sql_add, a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    if (db_rows(r) == 0) {
        return find_same(t, study_id, hash, id, err);
    }
    *id = db_int(r, 0, 0);
    *added = true;
    return DS_OK;
}

enum ds_status db_report_add(struct db *d, int64_t study_id, const char *name,
                             const char *media_type, const char *source, const uint8_t *data,
                             size_t len, bool sent_already, int64_t *id, struct ds_error *err)
{
    *id = 0;
    if (len > REPORT_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a report of %zu bytes; expected at most %u", len,
                       REPORT_MAX_BYTES);
    }
    uint8_t hash[DS_SHA256_BYTES];
    enum ds_status s = ds_sha256_of(data, len, hash, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, study_id);
    db_arg_text(&a, name);
    db_arg_text(&a, media_type);
    db_arg_text(&a, source);
    db_arg_bytes(&a, data, len);
    db_arg_bytes(&a, hash, sizeof(hash));
    db_arg_bool(&a, sent_already);
    bool added = false;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = add(&t, study_id, &a, hash, id, &added, err);
    }
    if (s == DS_OK && added) {
        struct db_event event = {
            .kind = "report-received", .actor = source, .study_id = study_id, .has_after = true};
        memcpy(event.after, hash, sizeof(event.after));
        s = note_received(&t, *id, &event, media_type, len, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

static enum ds_status reports_from(const PGresult *r, struct db_report *out, size_t count,
                                   struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        size_t len;
        const uint8_t *data = db_bytes(r, i, 3, &len);
        out[i].id = db_int(r, i, 0);
        db_text(r, i, 1, out[i].name, sizeof(out[i].name));
        db_text(r, i, 2, out[i].media_type, sizeof(out[i].media_type));
        out[i].is_instance = db_bool(r, i, 4);
        out[i].data = DS_BYTES_INIT(REPORT_MAX_BYTES);
        s = ds_bytes_append(&out[i].data, data, len, err);
    }
    return s;
}

enum ds_status db_reports_unsent(struct db *d, int64_t study_id, struct db_report **out,
                                 size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, study_id);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_unsent, &a, &r, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    const size_t rows = s == DS_OK ? db_rows(r) : 0;
    if (rows == 0) {
        return s;
    }
    struct db_report *reports = calloc(rows, sizeof(*reports));
    if (reports == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu reports", rows);
    }
    s = reports_from(r, reports, rows, err);
    if (s != DS_OK) {
        db_reports_free(reports, rows);
        return s;
    }
    *out = reports;
    *count = rows;
    return DS_OK;
}

void db_reports_free(struct db_report *r, size_t count)
{
    for (size_t i = 0; r != NULL && i < count; i++) {
        ds_bytes_free(&r[i].data);
    }
    free(r);
}
