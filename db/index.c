/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of received instances becomes rows: four statements and their events, whatever its size.
 */
#include "db/notes.h"

#include <stddef.h>

/* Of a batch's instances the one that knows most; "" stands for none. */
#define FULLEST                                                                                    \
    "COALESCE(NULLIF((array_agg(b.attributes ORDER BY length(b.attributes) DESC))[1], "            \
    "'')::jsonb, "                                                                                 \
    "'{}')"

/* A later instance may know what the first one left empty. Nothing is written when nothing is new,
 * and rows are taken in one order everywhere, so that two nodes cannot wait for each other. */
static const char sql_studies[] =
    "INSERT INTO studies AS st (study_uid, accession, patient_id, patient_name, study_date, "
    "description, attributes, name_key, name_words) "
    "SELECT study_uid, max(accession), max(patient_id), max(patient_name), max(study_date), "
    "max(description), " FULLEST ", max(name_key), max(name_words) "
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], "
    "$7::text[], $8::text[], $9::text[]) "
    "AS b(study_uid, accession, patient_id, patient_name, study_date, description, attributes, "
    "name_key, name_words) "
    "GROUP BY study_uid ORDER BY study_uid "
    "ON CONFLICT (study_uid) DO UPDATE SET "
    "accession = COALESCE(NULLIF(st.accession, ''), excluded.accession), "
    "patient_id = COALESCE(NULLIF(st.patient_id, ''), excluded.patient_id), "
    "patient_name = COALESCE(NULLIF(st.patient_name, ''), excluded.patient_name), "
    "study_date = COALESCE(NULLIF(st.study_date, ''), excluded.study_date), "
    "description = COALESCE(NULLIF(st.description, ''), excluded.description), "
    "attributes = excluded.attributes || st.attributes, "
    "name_key = COALESCE(NULLIF(st.name_key, ''), excluded.name_key), "
    "name_words = COALESCE(NULLIF(st.name_words, ''), excluded.name_words) "
    "WHERE (st.accession = '' AND excluded.accession <> '') "
    "OR (st.patient_id = '' AND excluded.patient_id <> '') "
    "OR (st.patient_name = '' AND excluded.patient_name <> '') "
    "OR (st.study_date = '' AND excluded.study_date <> '') "
    "OR (st.description = '' AND excluded.description <> '') "
    "OR (st.name_key = '' AND excluded.name_key <> '') "
    "OR excluded.attributes || st.attributes <> st.attributes";

/* From here to the end of the transaction nobody else adds to these studies or plans them. */
static const char sql_lock[] =
    "SELECT id FROM studies WHERE study_uid = ANY($1) ORDER BY id FOR NO KEY UPDATE";

static const char sql_series[] =
    "INSERT INTO series AS se (study_id, series_uid, modality, attributes) "
    "SELECT st.id, b.series_uid, max(b.modality), " FULLEST " "
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) "
    "AS b(study_uid, series_uid, modality, attributes) "
    "JOIN studies st ON st.study_uid = b.study_uid GROUP BY st.id, b.series_uid "
    "ORDER BY st.id, b.series_uid "
    "ON CONFLICT (study_id, series_uid) DO UPDATE SET "
    "modality = COALESCE(NULLIF(se.modality, ''), excluded.modality), "
    "attributes = excluded.attributes || se.attributes "
    "WHERE (se.modality = '' AND excluded.modality <> '') "
    "OR excluded.attributes || se.attributes <> se.attributes";

/* "here" does not see what "added" adds, as both see the state before the statement. Columns: id,
 * study, whether it was added by this row, path, conflict, the file hash of the carrier, and
 * whether an earlier one has the same data set in other bytes, and the generation. */
static const char sql_instances[] =
    "WITH placed AS (SELECT b.n, st.id AS study_id, se.id AS series_id, b.kind::smallint AS kind, "
    "b.sop_uid, b.sop_class_uid, b.transfer_syntax, b.calling_ae, b.called_ae, b.path, "
    "b.file_bytes, b.pixel_hash, b.dataset_hash, b.file_hash, b.received_us, b.restored_from, "
    "b.has_pixel_data, b.priority, b.attributes FROM unnest($1::bigint[], $2::text[], $3::text[], "
    "$4::text[], "
    "$5::text[], "
    "$6::text[], "
    "$7::text[], $8::text[], $9::text[], $10::bigint[], $11::bytea[], $12::bytea[], "
    "$13::bytea[], $14::bigint[], $15::bigint[], $16::bool[], $17::bigint[], $18::text[]) "
    "WITH ORDINALITY AS "
    "b(kind, "
    "study_uid, "
    "series_uid, sop_uid, sop_class_uid, transfer_syntax, calling_ae, called_ae, path, "
    "file_bytes, pixel_hash, dataset_hash, file_hash, received_us, restored_from, "
    "has_pixel_data, priority, attributes, n) "
    "JOIN studies st ON st.study_uid = b.study_uid "
    "JOIN series se ON se.study_id = st.id AND se.series_uid = b.series_uid), "
    "firsts AS (SELECT DISTINCT ON (sop_uid, kind, file_hash) * FROM placed "
    "ORDER BY sop_uid, kind, file_hash, n), "
    "added AS (INSERT INTO instances (study_id, series_id, kind, sop_uid, sop_class_uid, "
    "transfer_syntax, calling_ae, called_ae, path, file_bytes, pixel_hash, dataset_hash, "
    "file_hash, received_at, restored_from, has_pixel_data, priority, attributes, archive) "
    "SELECT study_id, series_id, kind, sop_uid, sop_class_uid, transfer_syntax, calling_ae, "
    "called_ae, path, file_bytes, pixel_hash, dataset_hash, file_hash, "
    "'epoch'::timestamptz + received_us * interval '1 microsecond', NULLIF(restored_from, 0), "
    "has_pixel_data, priority, NULLIF(attributes, '')::jsonb, $19 FROM firsts ORDER BY n ON "
    "CONFLICT (sop_uid, kind, file_hash, discarded) DO NOTHING "
    "RETURNING id, sop_uid, kind, file_hash) "
    "SELECT COALESCE(a.id, here.id), COALESCE(here.study_id, p.study_id), "
    "a.id IS NOT NULL AND f.n = p.n, COALESCE(here.path, f.path), "
    "EXISTS (SELECT 1 FROM instances o WHERE o.sop_uid = p.sop_uid AND o.kind = p.kind "
    "AND o.file_hash <> p.file_hash AND (o.dataset_hash = p.dataset_hash) IS NOT TRUE) "
    "OR EXISTS (SELECT 1 FROM placed o WHERE o.sop_uid = p.sop_uid AND o.kind = p.kind "
    "AND o.file_hash <> p.file_hash AND (o.dataset_hash = p.dataset_hash) IS NOT TRUE "
    "AND o.n < p.n), "
    "(SELECT c.file_hash FROM instances c WHERE c.id = NULLIF(p.restored_from, 0)), "
    "EXISTS (SELECT 1 FROM instances o WHERE o.sop_uid = p.sop_uid AND o.kind = p.kind "
    "AND o.file_hash <> p.file_hash AND o.dataset_hash = p.dataset_hash) "
    "OR EXISTS (SELECT 1 FROM placed o WHERE o.sop_uid = p.sop_uid AND o.kind = p.kind "
    "AND o.file_hash <> p.file_hash AND o.dataset_hash = p.dataset_hash AND o.n < p.n), "
    "COALESCE(here.generation, 0)::bigint, COALESCE(here.archive NOT IN ('', $19) "
    "OR here.deleted_at IS NOT NULL, false) "
    "FROM placed p JOIN firsts f USING (sop_uid, kind, file_hash) "
    "LEFT JOIN added a USING (sop_uid, kind, file_hash) "
    "LEFT JOIN instances here ON here.sop_uid = p.sop_uid AND here.kind = p.kind "
    "AND here.file_hash = p.file_hash AND here.discarded = 0 ORDER BY p.n";

static void bind_text(struct db_args *a, const struct db_received *rows, size_t count,
                      size_t offset)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        const char *text;
        memcpy(&text, (const char *)&rows[i] + offset, sizeof(text));
        db_item_text(a, text);
    }
    db_array_end(a);
}

static void bind_texts(struct db_args *a, const struct db_received *rows, size_t count,
                       const size_t *offsets, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        bind_text(a, rows, count, offsets[i]);
    }
}

#define COLUMN(member) offsetof(struct db_received, member)

static enum ds_status put_studies(struct db_tx *t, const struct db_received *rows, size_t count,
                                  struct ds_error *err)
{
    static const size_t columns[] = {
        COLUMN(study_uid),        COLUMN(accession),           COLUMN(patient_id),
        COLUMN(patient_name),     COLUMN(study_date),          COLUMN(study_description),
        COLUMN(attributes.study), COLUMN(attributes.name_key), COLUMN(attributes.name_words)};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_texts(&a, rows, count, columns, DS_ARRAY_SIZE(columns));
    const enum ds_status s = db_run(t, sql_studies, &a, NULL, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(db_args_free) struct db_args lock = DB_ARGS_INIT;
    bind_text(&lock, rows, count, COLUMN(study_uid));
    return db_run(t, sql_lock, &lock, NULL, err);
}

static enum ds_status put_series(struct db_tx *t, const struct db_received *rows, size_t count,
                                 struct ds_error *err)
{
    static const size_t columns[] = {COLUMN(study_uid), COLUMN(series_uid), COLUMN(modality),
                                     COLUMN(attributes.series)};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_texts(&a, rows, count, columns, DS_ARRAY_SIZE(columns));
    return db_run(t, sql_series, &a, NULL, err);
}

enum number { NUMBER_KIND, NUMBER_BYTES, NUMBER_RECEIVED, NUMBER_RESTORED_FROM, NUMBER_PRIORITY };

static int64_t number_of(const struct db_received *r, enum number which)
{
    switch (which) {
    case NUMBER_KIND:
        return r->kind;
    case NUMBER_BYTES:
        return (int64_t)r->file_bytes;
    case NUMBER_RECEIVED:
        return r->received_us;
    case NUMBER_RESTORED_FROM:
        return r->restored_from;
    case NUMBER_PRIORITY:
        return r->priority;
    }
    return 0;
}

static void bind_number(struct db_args *a, const struct db_received *rows, size_t count,
                        enum number which)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, number_of(&rows[i], which));
    }
    db_array_end(a);
}

/* A hash that is not there is bound as NULL. has_offset SIZE_MAX: always there. */
static void bind_hash(struct db_args *a, const struct db_received *rows, size_t count,
                      size_t hash_offset, size_t has_offset)
{
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *row = (const uint8_t *)&rows[i];
        bool has = true;
        if (has_offset != SIZE_MAX) {
            memcpy(&has, row + has_offset, sizeof(has));
        }
        if (has) {
            db_item_bytes(a, row + hash_offset, DS_SHA256_BYTES);
        } else {
            db_item_null(a);
        }
    }
    db_array_end(a);
}

static void bind_has_pixel_data(struct db_args *a, const struct db_received *rows, size_t count)
{
    db_array_begin(a, DB_BOOL);
    for (size_t i = 0; i < count; i++) {
        db_item_bool(a, rows[i].has_pixel_data);
    }
    db_array_end(a);
}

static enum ds_status put_instances(struct db_tx *t, const struct db_received *rows, size_t count,
                                    PGresult **result, struct ds_error *err)
{
    static const size_t columns[] = {
        COLUMN(study_uid),       COLUMN(series_uid), COLUMN(sop_uid),   COLUMN(sop_class_uid),
        COLUMN(transfer_syntax), COLUMN(calling_ae), COLUMN(called_ae), COLUMN(path)};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_number(&a, rows, count, NUMBER_KIND);
    bind_texts(&a, rows, count, columns, DS_ARRAY_SIZE(columns));
    bind_number(&a, rows, count, NUMBER_BYTES);
    bind_hash(&a, rows, count, COLUMN(pixel_hash), COLUMN(has_pixel_hash));
    bind_hash(&a, rows, count, COLUMN(dataset_hash), COLUMN(has_dataset_hash));
    bind_hash(&a, rows, count, COLUMN(file_hash), SIZE_MAX);
    bind_number(&a, rows, count, NUMBER_RECEIVED);
    bind_number(&a, rows, count, NUMBER_RESTORED_FROM);
    bind_has_pixel_data(&a, rows, count);
    bind_number(&a, rows, count, NUMBER_PRIORITY);
    bind_text(&a, rows, count, COLUMN(attributes.instance));
    db_arg_text(&a, db_archive(t->d));
    const enum ds_status s = db_run(t, sql_instances, &a, result, err);
    if (s == DS_OK && db_rows(*result) != count) {
        return ds_fail(err, DS_EINVAL, "indexing %zu instances gave %zu rows", count,
                       db_rows(*result));
    }
    return s;
}

static struct db_event *note_of(struct db_notes *notes, const struct db_received *row,
                                const struct db_indexed *done, const char *kind)
{
    struct db_event *e = db_note(notes, kind, "node");
    e->instance_id = done->instance_id;
    e->study_id = done->study_id;
    e->sop_uid = row->sop_uid;
    e->study_uid = row->study_uid;
    e->peer = row->calling_ae;
    e->has_after = true;
    memcpy(e->after, row->file_hash, DS_SHA256_BYTES);
    return e;
}

/* What came in over the network has an event with the time of its arrival. */
static void note_arrival(struct db_notes *notes, const struct db_received *row,
                         const struct db_indexed *done, const char *kind)
{
    struct db_event *e = note_of(notes, row, done, kind);
    e->actor = row->calling_ae;
    e->outcome = "0000H";
    db_note_at(notes, row->received_us);
}

static void note_indexed(struct db_notes *notes, const struct db_received *row,
                         const struct db_indexed *done, const PGresult *r, size_t at)
{
    struct db_event *e = note_of(notes, row, done, "indexed");
    e->has_before = db_hash(r, at, 5, e->before);
    db_note_hash(notes, "pixel_hash", row->has_pixel_hash, row->pixel_hash);
    db_note_hash(notes, "dataset_hash", row->has_dataset_hash, row->dataset_hash);
}

/* What was restored here came out of its carrier. A batch that is indexed again after a crash adds
 * no events. */
static void note_row(struct db_notes *notes, const struct db_received *row,
                     const struct db_indexed *done, bool added, const PGresult *r, size_t at)
{
    if (!added) {
        if (done->duplicate) {
            note_arrival(notes, row, done, "duplicate");
        }
        return;
    }
    if (row->restored_from == 0) {
        note_arrival(notes, row, done, "received");
    }
    note_indexed(notes, row, done, r, at);
    if (done->reencoded) {
        (void)note_of(notes, row, done, "duplicate");
        db_note_text(notes, "cause", "the same data set in another encoding");
    }
    if (done->conflict) {
        (void)note_of(notes, row, done, "conflict");
    }
}

static enum ds_status finish(struct db_tx *t, const struct db_received *rows, size_t count,
                             const PGresult *r, struct db_indexed *out, struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    for (size_t i = 0; i < count; i++) {
        const char *path = rows[i].path == NULL ? "" : rows[i].path;
        const bool added = db_bool(r, i, 2);
        out[i].instance_id = db_int(r, i, 0);
        out[i].study_id = db_int(r, i, 1);
        db_text(r, i, 3, out[i].path, sizeof(out[i].path));
        out[i].duplicate = !added && strcmp(out[i].path, path) != 0;
        out[i].generation = (int)db_int(r, i, 7);
        out[i].elsewhere = out[i].duplicate && db_bool(r, i, 8);
        out[i].conflict = db_bool(r, i, 4);
        out[i].reencoded = added && db_bool(r, i, 6);
        note_row(&notes, &rows[i], &out[i], added, r, i);
    }
    return db_notes_put(t, &notes, err);
}

enum ds_status db_index(struct db *d, const struct db_received *rows, size_t count,
                        struct db_indexed *out, struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    if (count > DB_INDEX_MAX) {
        return ds_fail(err, DS_EINVAL, "%zu instances in one batch; expected at most %u", count,
                       DB_INDEX_MAX);
    }
    memset(out, 0, count * sizeof(*out));
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = put_studies(&t, rows, count, err);
    }
    if (s == DS_OK) {
        s = put_series(&t, rows, count, err);
    }
    if (s == DS_OK) {
        s = put_instances(&t, rows, count, &r, err);
    }
    if (s == DS_OK) {
        s = finish(&t, rows, count, r, out, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

/* ---- instances from before there were queries ---- */

static const char sql_undescribed[] =
    "SELECT id, path FROM instances WHERE attributes IS NULL AND deleted_at IS NULL AND id > $1 "
    "AND archive IN ('', $2) ORDER BY id LIMIT $3";
static const char sql_describe[] =
    "UPDATE instances i SET attributes = COALESCE(NULLIF(b.attributes, '')::jsonb, '{}') "
    "FROM unnest($1::bigint[], $2::text[]) AS b(id, attributes) "
    "WHERE i.id = b.id AND i.attributes IS NULL";

enum ds_status db_undescribed(struct db *d, int64_t after, unsigned max,
                              struct db_undescribed **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, after);
    db_arg_text(&a, db_archive(d));
    db_arg_int(&a, max);
    const enum ds_status s = db_ask(d, sql_undescribed, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i].instance_id = db_int(r, i, 0);
        db_text(r, i, 1, (*out)[i].path, sizeof((*out)[i].path));
    }
    return DS_OK;
}

enum ds_status db_describe(struct db *d, const int64_t *ids, const struct db_received *rows,
                           size_t count, struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = put_studies(&t, rows, count, err);
    }
    if (s == DS_OK) {
        s = put_series(&t, rows, count, err);
    }
    db_arg_ids(&a, ids, count);
    bind_text(&a, rows, count, COLUMN(attributes.instance));
    if (s == DS_OK) {
        s = db_run(&t, sql_describe, &a, NULL, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
