/* SPDX-License-Identifier: Apache-2.0 */
/* What is held, why, and since when; quarantine_decision.c has what becomes of it. */
#include "db/quarantine.h"

#include "db/operate.h"
#include "db/query.h"

#include <stdio.h>
#include <string.h>

/* One that was released and is held again: the old decision is in the events. */
#define AGAIN                                                                                      \
    "DO UPDATE SET class = excluded.class, reason = excluded.reason, state = 'held', "             \
    "held_at = clock_timestamp(), decided_at = NULL, decided_by = '', decision = ''"

static const char sql_put[] =
    "WITH i AS (UPDATE instances SET released_at = NULL WHERE id = $1 RETURNING *) "
    "INSERT INTO quarantine (instance_id, archive, class, reason, calling_ae, file_bytes) "
    "SELECT i.id, i.archive, $2, $3, i.calling_ae, i.file_bytes FROM i "
    "ON CONFLICT (instance_id) " AGAIN;

static const char sql_collisions[] =
    "INSERT INTO quarantine (instance_id, archive, class, reason, calling_ae, file_bytes) "
    "SELECT i.id, i.archive, 'collision', max(d.note), i.calling_ae, i.file_bytes "
    "FROM instances i JOIN deliveries d ON d.instance_id = i.id "
    "AND (d.state = 'waiting' OR d.recalled = 'waiting') WHERE i.id = ANY($1) "
    "GROUP BY i.id ORDER BY i.id ON CONFLICT (instance_id) " AGAIN;

static const char sql_entry[] =
    "INSERT INTO quarantine AS q (entry, archive, class, reason, calling_ae, file_bytes, "
    "file_hash) "
    "VALUES ($1, $2, 'unreadable', $3, $4, $5, $6) ON CONFLICT (entry, archive) " AGAIN
    " WHERE q.state <> 'held' RETURNING "
    "json_build_object('quarantine', id, 'class', class, 'entry', entry, 'reason', reason)::text";

static const char sql_entry_state[] =
    "SELECT state FROM quarantine WHERE entry = $1 AND archive = $2";

static const char sql_counts[] =
    "SELECT q.class, count(*) FROM quarantine q WHERE q.state = 'held' AND " DB_QUARANTINE_IS_OPEN
    " AND q.archive IN ('', $1) GROUP BY q.class";

static const char sql_list[] =
    "SELECT " DB_QUARANTINE_COLUMNS DB_QUARANTINE_FROM
    "WHERE ($1::text IS NULL OR q.state = $1) AND (q.state <> 'held' OR " DB_QUARANTINE_IS_OPEN ") "
    "AND ($2::text IS NULL OR q.class = $2) AND ($3::text IS NULL OR q.calling_ae = $3) "
    "AND ($4::text IS NULL OR st.study_uid = $4) AND ($5::bigint = 0 OR q.id = $5) "
    "AND q.id > $6 ORDER BY q.id LIMIT $7";

static const char *const class_names[DB_QUARANTINE_CLASSES] = {
    [DB_UNREADABLE] = "unreadable", [DB_UNVERIFIED] = "unverified", [DB_NO_KEY] = "no-key",
    [DB_INCOMPLETE] = "incomplete", [DB_DAMAGED] = "damaged",       [DB_COLLISION] = "collision"};
static const char *const state_names[] = {
    [DB_HELD] = "held", [DB_RELEASED] = "released", [DB_DISCARDED] = "discarded"};

static bool name_in(const char *const *names, size_t count, const char *name, unsigned *out)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

const char *db_quarantine_class_name(enum db_quarantine_class c)
{
    return (unsigned)c < DB_QUARANTINE_CLASSES ? class_names[c] : "";
}

bool db_quarantine_class_from(const char *name, enum db_quarantine_class *out)
{
    unsigned n = 0;
    const bool known = name_in(class_names, DB_QUARANTINE_CLASSES, name, &n);
    *out = (enum db_quarantine_class)n;
    return known;
}

const char *db_quarantine_state_name(enum db_quarantine_state state)
{
    return (unsigned)state < DS_ARRAY_SIZE(state_names) ? state_names[state] : "";
}

bool db_quarantine_state_from(const char *name, enum db_quarantine_state *out)
{
    unsigned n = 0;
    const bool known = name_in(state_names, DS_ARRAY_SIZE(state_names), name, &n);
    *out = (enum db_quarantine_state)n;
    return known;
}

/* ---- into quarantine ---- */

enum ds_status db_quarantine_put(struct db_tx *t, int64_t instance_id,
                                 enum db_quarantine_class class_, const char *reason,
                                 struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, instance_id);
    db_arg_text(&a, db_quarantine_class_name(class_));
    db_arg_text(&a, reason);
    return db_run(t, sql_put, &a, NULL, err);
}

enum ds_status db_quarantine_collisions(struct db_tx *t, const struct db_plan *p,
                                        struct ds_error *err)
{
    if (p->collided_count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_ids(&a, p->collided_ids, p->collided_count);
    return db_run(t, sql_collisions, &a, NULL, err);
}

static enum ds_status note_entry(struct db_tx *t, const struct db_quarantined_entry *e,
                                 const PGresult *r, struct ds_error *err)
{
    char detail[2 * DB_TEXT_BYTES + 128];
    struct db_event_at event = {
        .event = {.kind = "quarantined",
                  .actor = e->calling_ae[0] == '\0' ? "node" : e->calling_ae,
                  .has_before = true,
                  .detail = detail}};
    if (db_rows(r) == 0) {
        return DS_OK; /* it was held already */
    }
    db_text(r, 0, 0, detail, sizeof(detail));
    memcpy(event.event.before, e->file_hash, DS_SHA256_BYTES);
    return db_events_put(t, &event, 1, err);
}

enum ds_status db_quarantine_entry(struct db *d, const struct db_quarantined_entry *e,
                                   struct ds_error *err)
{
    char reason[DB_TEXT_BYTES]; /* so that the event's detail has its bound */
    (void)snprintf(reason, sizeof(reason), "%s", e->reason);
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, e->entry);
    db_arg_text(&a, db_archive(d));
    db_arg_text(&a, reason);
    db_arg_text(&a, e->calling_ae);
    db_arg_int(&a, (int64_t)e->file_bytes);
    db_arg_bytes(&a, e->file_hash, DS_SHA256_BYTES);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_entry, &a, &r, err);
    }
    if (s == DS_OK) {
        s = note_entry(&t, e, r, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_quarantine_entry_state(struct db *d, const char *entry,
                                         enum db_quarantine_state *out, struct ds_error *err)
{
    *out = DB_HELD;
    char name[16];
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, entry);
    db_arg_text(&a, db_archive(d));
    const enum ds_status s = db_ask(d, sql_entry_state, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "this entry is not listed");
    }
    if (s == DS_OK) {
        db_text(r, 0, 0, name, sizeof(name));
        return db_quarantine_state_from(name, out)
                   ? DS_OK
                   : ds_fail(err, DS_EFORMAT, "a state that this version does not know");
    }
    return s;
}

/* ---- looking ---- */

static void facts_from(const PGresult *r, size_t at, struct db_quarantine_row *out)
{
    db_text(r, at, 7, out->study_uid, sizeof(out->study_uid));
    db_text(r, at, 8, out->sop_uid, sizeof(out->sop_uid));
    db_text(r, at, 9, out->sop_class_uid, sizeof(out->sop_class_uid));
    db_text(r, at, 10, out->transfer_syntax, sizeof(out->transfer_syntax));
    db_text(r, at, 11, out->path, sizeof(out->path));
    out->file_bytes = (uint64_t)db_int(r, at, 12);
    out->has_file_hash = db_hash(r, at, 13, out->file_hash);
    out->has_pixel_hash = db_hash(r, at, 14, out->pixel_hash);
    out->has_dataset_hash = db_hash(r, at, 15, out->dataset_hash);
}

void db_quarantine_row_from(const struct db *d, const PGresult *r, size_t at,
                            struct db_quarantine_row *out)
{
    char name[16];
    char archive[DB_TEXT_BYTES];
    *out = (struct db_quarantine_row){.id = db_int(r, at, 0), .instance_id = db_int(r, at, 1)};
    db_text(r, at, 2, out->entry, sizeof(out->entry));
    db_text(r, at, 3, name, sizeof(name));
    (void)db_quarantine_class_from(name, &out->class_);
    db_text(r, at, 4, name, sizeof(name));
    (void)db_quarantine_state_from(name, &out->state);
    db_text(r, at, 5, out->reason, sizeof(out->reason));
    db_text(r, at, 6, out->calling_ae, sizeof(out->calling_ae));
    facts_from(r, at, out);
    out->held_us = db_int(r, at, 16);
    out->decided_us = db_int(r, at, 17);
    db_text(r, at, 18, out->decided_by, sizeof(out->decided_by));
    db_text(r, at, 19, out->decision, sizeof(out->decision));
    out->kind = (enum db_kind)db_int(r, at, 20);
    db_text(r, at, 21, archive, sizeof(archive));
    out->is_ours = strcmp(archive, db_archive(d)) == 0 || archive[0] == '\0';
}

enum ds_status db_quarantine_list(struct db *d, const struct db_quarantine_filter *f,
                                  unsigned limit, int64_t after_id, struct db_quarantine_row **out,
                                  size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    if (limit == 0 || limit > DB_LIST_MAX) {
        return ds_fail(err, DS_EINVAL, "a list of %u; expected 1 to %u", limit, DB_LIST_MAX);
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text_or_null(
        &a, f->state < 0 ? NULL : db_quarantine_state_name((enum db_quarantine_state)f->state));
    db_arg_text_or_null(
        &a, f->class_ < 0 ? NULL : db_quarantine_class_name((enum db_quarantine_class)f->class_));
    db_arg_text_or_null(&a, f->calling_ae);
    db_arg_text_or_null(&a, f->study_uid);
    db_arg_int(&a, f->id);
    db_arg_int(&a, after_id);
    db_arg_int(&a, limit);
    const enum ds_status s = db_ask(d, sql_list, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu rows", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        db_quarantine_row_from(d, r, i, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_quarantine_counts(struct db *d, uint64_t counts[DB_QUARANTINE_CLASSES],
                                    struct ds_error *err)
{
    memset(counts, 0, DB_QUARANTINE_CLASSES * sizeof(*counts));
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, db_archive(d));
    const enum ds_status s = db_ask(d, sql_counts, &a, &r, err);
    for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
        char name[16];
        enum db_quarantine_class c = DB_UNREADABLE;
        db_text(r, i, 0, name, sizeof(name));
        if (db_quarantine_class_from(name, &c)) {
            counts[c] = (uint64_t)db_int(r, i, 1);
        }
    }
    return s;
}
