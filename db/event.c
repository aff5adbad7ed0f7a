/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provenance: rows are added and never touched again.
 *
 * A row is whole and hashed here, before the database has it: what the log proves is what the node
 * meant to write. The hashes go into the book with the commit (book.c).
 */
#include "base/clock.h"
#include "db/book.h"
#include "db/event_ids.h"
#include "db/query.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_MAX_BYTES (1024U * 1024U)

static const char sql_insert[] =
    "INSERT INTO events (log, node, id, instance_id, study_id, at, kind, actor, sop_uid, "
    "study_uid, peer, outcome, detail, before_hash, after_hash, tag) "
    "SELECT (SELECT id FROM logs WHERE log_id = $1), $2, e.id, NULLIF(e.instance_id, 0), "
    "NULLIF(e.study_id, 0), 'epoch'::timestamptz + e.at_us * interval '1 microsecond', e.kind, "
    "e.actor, e.sop_uid, e.study_uid, e.peer, e.outcome, e.detail::json, e.before_hash, "
    "e.after_hash, e.tag FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], "
    "$7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], "
    "$14::bytea[], $15::bytea[], $16::bytea[]) AS e(id, instance_id, study_id, at_us, kind, actor, "
    "sop_uid, study_uid, peer, outcome, detail, before_hash, after_hash, tag)";

static const char sql_subjects[] =
    "SELECT i.id, i.study_id, i.sop_uid, st.study_uid FROM instances i "
    "JOIN studies st ON st.id = i.study_id WHERE i.id = ANY($1) "
    "UNION ALL SELECT 0, id, '', study_uid FROM studies WHERE id = ANY($2)";

/* ---- what a caller left out ---- */

static bool lacks_subject(const struct db_event *e)
{
    return (e->instance_id != 0 &&
            (e->sop_uid == NULL || e->study_uid == NULL || e->study_id == 0)) ||
           (e->study_id != 0 && e->study_uid == NULL);
}

static void bind_lacking(struct db_args *a, const struct db_event_at *events, size_t count,
                         bool studies)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        const struct db_event *e = &events[i].event;
        if (lacks_subject(e)) {
            db_item_int(a, studies ? e->study_id : e->instance_id);
        }
    }
    db_array_end(a);
}

/* What the row at hand says of an event's instance or, failing that, of its study. */
static void take_subject(struct db_event *e, const PGresult *r, size_t row)
{
    const int64_t instance_id = db_int(r, row, 0);
    const bool is_mine =
        instance_id != 0 ? instance_id == e->instance_id : db_int(r, row, 1) == e->study_id;
    if (!is_mine) {
        return;
    }
    if (instance_id != 0 && e->sop_uid == NULL) {
        e->sop_uid = db_string(r, row, 2);
    }
    if (e->study_uid == NULL && (e->study_id == 0 || e->study_id == db_int(r, row, 1))) {
        e->study_uid = db_string(r, row, 3);
    }
    e->study_id = e->study_id == 0 ? db_int(r, row, 1) : e->study_id;
}

/* Borrowed from *r. */
static enum ds_status find_subjects(struct db_tx *t, struct db_event_at *events, size_t count,
                                    PGresult **r, struct ds_error *err)
{
    size_t lacking = 0;
    for (size_t i = 0; i < count; i++) {
        lacking += lacks_subject(&events[i].event);
    }
    if (lacking == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_lacking(&a, events, count, false);
    bind_lacking(&a, events, count, true);
    const enum ds_status s = db_run(t, sql_subjects, &a, r, err);
    for (size_t row = 0; s == DS_OK && row < db_rows(*r); row++) {
        for (size_t i = 0; i < count; i++) {
            if (lacks_subject(&events[i].event)) {
                take_subject(&events[i].event, *r, row);
            }
        }
    }
    return s;
}

/* ---- rows, as they will be stored ---- */

#define TEXTS 7U

struct row {
    struct provenance_event event;
    const char *texts[TEXTS]; /* kind, actor, sop_uid, study_uid, peer, outcome, detail; or NULL */
    char *owned[TEXTS];
    uint8_t tag[PROVENANCE_TAG_BYTES];
};

struct rows {
    struct row *items;
    size_t count;
};

static void rows_free(struct rows *rows)
{
    for (size_t i = 0; rows->items != NULL && i < rows->count; i++) {
        for (size_t j = 0; j < TEXTS; j++) {
            free(rows->items[i].owned[j]);
        }
    }
    free(rows->items);
}

/* kind and actor are never NULL in a row; of the others "" is no value. */
static enum ds_status set_texts(struct row *row, const struct db_event *e)
{
    const char *const given[TEXTS] = {e->kind, e->actor,   e->sop_uid, e->study_uid,
                                      e->peer, e->outcome, e->detail};
    struct provenance_text *const to[TEXTS] = {
        &row->event.kind, &row->event.actor,   &row->event.sop_uid, &row->event.study_uid,
        &row->event.peer, &row->event.outcome, &row->event.detail};
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < TEXTS; i++) {
        const bool none = given[i] == NULL || given[i][0] == '\0';
        if (none && i >= 2) {
            continue;
        }
        row->owned[i] = none ? NULL : db_mended_text(given[i], &s);
        row->texts[i] = none ? "" : row->owned[i] != NULL ? row->owned[i] : given[i];
        *to[i] = (struct provenance_text){row->texts[i], strlen(row->texts[i])};
    }
    return s;
}

static enum ds_status set_row(struct row *row, const struct db_tx *t, const struct db_event_at *e)
{
    const struct db_event *from = &e->event;
    row->event.node = (struct provenance_text){db_node(t->d), strlen(db_node(t->d))};
    row->event.at_us = e->at_us != 0 ? e->at_us : ds_clock_utc_us();
    row->event.instance_id = from->instance_id;
    row->event.study_id = from->study_id;
    row->event.has_before = from->has_before;
    row->event.has_after = from->has_after;
    memcpy(row->event.before, from->before, DS_SHA256_BYTES);
    memcpy(row->event.after, from->after, DS_SHA256_BYTES);
    return set_texts(row, from);
}

/* Each gets its id and, where there is a book, its tag and its place among the leaves. */
static enum ds_status seal_row(struct db_tx *t, struct row *row, int64_t id, struct ds_bytes *bytes,
                               struct ds_error *err)
{
    const struct db_book *book = db_book(t->d);
    row->event.id = id;
    if (book == NULL) {
        return DS_OK;
    }
    struct db_leaf *leaf = &t->leaves[t->leaf_count];
    memcpy(row->event.log, db_book_log(book), DS_SHA256_BYTES);
    bytes->len = 0;
    enum ds_status s = provenance_event_bytes(&row->event, bytes, err);
    if (s == DS_OK) {
        s = provenance_event_tag(db_book_tag_key(book), bytes->data, bytes->len, row->tag, err);
    }
    if (s == DS_OK) {
        leaf->event_id = id;
        s = provenance_leaf_hash(bytes->data, bytes->len, leaf->hash, err);
    }
    t->leaf_count += s == DS_OK;
    return s;
}

static enum ds_status make_rows(struct db_tx *t, const struct db_event_at *events, size_t count,
                                struct rows *rows, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(EVENT_MAX_BYTES);
    int64_t *ids = calloc(count, sizeof(*ids));
    struct db_leaf *leaves = realloc(t->leaves, (t->leaf_count + count) * sizeof(*leaves));
    t->leaves = leaves != NULL ? leaves : t->leaves;
    rows->items = calloc(count, sizeof(*rows->items));
    rows->count = count;
    enum ds_status s = ids == NULL || leaves == NULL || rows->items == NULL
                           ? ds_fail(err, DS_ENOMEM, "no memory for %zu events", count)
                           : db_event_ids(t, ids, count, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = set_row(&rows->items[i], t, &events[i]);
        s = s == DS_OK ? seal_row(t, &rows->items[i], ids[i], &bytes, err) : s;
    }
    free(ids);
    return s;
}

/* ---- binding ---- */

static int64_t number_of(const struct provenance_event *e, unsigned which)
{
    return which == 0 ? e->id : which == 1 ? e->instance_id : which == 2 ? e->study_id : e->at_us;
}

static void bind_rows(struct db_args *a, const struct rows *rows, bool tagged)
{
    for (unsigned which = 0; which < 4; which++) {
        db_array_begin(a, DB_INT8);
        for (size_t i = 0; i < rows->count; i++) {
            db_item_int(a, number_of(&rows->items[i].event, which));
        }
        db_array_end(a);
    }
    for (size_t which = 0; which < TEXTS; which++) {
        db_array_begin(a, DB_TEXT);
        for (size_t i = 0; i < rows->count; i++) {
            db_item_text_or_null(a, rows->items[i].texts[which]);
        }
        db_array_end(a);
    }
    for (unsigned which = 0; which < 3; which++) {
        db_array_begin(a, DB_BYTEA);
        for (size_t i = 0; i < rows->count; i++) {
            const struct row *r = &rows->items[i];
            const bool has = which == 0   ? r->event.has_before
                             : which == 1 ? r->event.has_after
                                          : tagged;
            db_item_hash(a, has,
                         which == 0   ? r->event.before
                         : which == 1 ? r->event.after
                                      : r->tag);
        }
        db_array_end(a);
    }
}

/* ---- callers ---- */

static enum ds_status put(struct db_tx *t, const struct db_event_at *events, size_t count,
                          struct ds_error *err)
{
    DS_AUTO(rows_free) struct rows rows = {NULL, 0};
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    const enum ds_status s = make_rows(t, events, count, &rows, err);
    if (s != DS_OK) {
        return s;
    }
    const struct db_book *book = db_book(t->d);
    const uint8_t none[DS_SHA256_BYTES] = {0};
    db_arg_bytes(&a, book == NULL ? none : db_book_log(book), DS_SHA256_BYTES);
    db_arg_text(&a, db_node(t->d));
    bind_rows(&a, &rows, book != NULL);
    return db_run(t, sql_insert, &a, NULL, err);
}

static void free_events(struct db_event_at **events)
{
    free(*events);
}

enum ds_status db_events_put(struct db_tx *t, const struct db_event_at *events, size_t count,
                             struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(free_events) struct db_event_at *whole = calloc(count, sizeof(*whole));
    DS_AUTO(db_clear) PGresult *subjects = NULL;
    if (whole == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu events", count);
    }
    memcpy(whole, events, count * sizeof(*whole));
    const enum ds_status s = find_subjects(t, whole, count, &subjects, err);
    return s == DS_OK ? put(t, whole, count, err) : s;
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
