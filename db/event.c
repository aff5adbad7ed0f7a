/* SPDX-License-Identifier: Apache-2.0 */
/* Provenance: rows are added and never touched again; a trigger of the database refuses it. */
#include "db/query.h"

static const char sql_insert[] =
    "INSERT INTO events (node, kind, actor, instance_id, study_id, before_hash, after_hash, "
    "detail, at) "
    "SELECT $1, e.kind, e.actor, NULLIF(e.instance_id, 0), "
    "COALESCE(NULLIF(e.study_id, 0), i.study_id), e.before_hash, e.after_hash, e.detail::jsonb, "
    "CASE WHEN e.at_us = 0 THEN clock_timestamp() "
    "ELSE 'epoch'::timestamptz + e.at_us * interval '1 microsecond' END "
    "FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[], "
    "$8::text[], $9::bigint[]) WITH ORDINALITY "
    "AS e(kind, actor, instance_id, study_id, before_hash, after_hash, detail, at_us, n) "
    "LEFT JOIN instances i ON i.id = e.instance_id ORDER BY e.n";

static void item_hash(struct db_args *a, bool has, const uint8_t *hash)
{
    if (has) {
        db_item_bytes(a, hash, DS_SHA256_BYTES);
    } else {
        db_item_null(a);
    }
}

static void bind_texts(struct db_args *a, const struct db_event_at *events, size_t count)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, events[i].event.kind);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, events[i].event.actor);
    }
    db_array_end(a);
}

static void bind_subjects(struct db_args *a, const struct db_event_at *events, size_t count)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, events[i].event.instance_id);
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, events[i].event.study_id);
    }
    db_array_end(a);
}

static void bind_facts(struct db_args *a, const struct db_event_at *events, size_t count)
{
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        item_hash(a, events[i].event.has_before, events[i].event.before);
    }
    db_array_end(a);
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        item_hash(a, events[i].event.has_after, events[i].event.after);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        if (events[i].event.detail == NULL) {
            db_item_null(a);
        } else {
            db_item_text(a, events[i].event.detail);
        }
    }
    db_array_end(a);
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, events[i].at_us);
    }
    db_array_end(a);
}

enum ds_status db_events_put(struct db_tx *t, const struct db_event_at *events, size_t count,
                             struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_text(&a, db_node(t->d));
    bind_texts(&a, events, count);
    bind_subjects(&a, events, count);
    bind_facts(&a, events, count);
    return db_run(t, sql_insert, &a, NULL, err);
}

static void free_events(struct db_event_at **events)
{
    free(*events);
}

enum ds_status db_event_add(struct db *d, const struct db_event *events, size_t count,
                            struct ds_error *err)
{
    DS_AUTO(free_events) struct db_event_at *rows = calloc(count + 1, sizeof(*rows));
    if (rows == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu events", count);
    }
    for (size_t i = 0; i < count; i++) {
        rows[i].event = events[i];
    }
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_events_put(&t, rows, count, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
