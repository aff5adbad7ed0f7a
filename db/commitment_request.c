/* SPDX-License-Identifier: Apache-2.0 */
/* Storage commitment that peers ask of us: checked, then reported. */
#include "db/commitment.h"

#include "db/notes.h"

static const char sql_add[] =
    "INSERT INTO commitment_requests AS q (transaction_uid, calling_ae, called_ae, peer, archive) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (calling_ae, transaction_uid) DO UPDATE SET "
    "called_ae = excluded.called_ae, peer = excluded.peer, archive = excluded.archive, state = "
    "'checking', attempts = 0, "
    "next_at = clock_timestamp(), requested_at = clock_timestamp(), reported_at = NULL, cause = '' "
    "RETURNING id";

static const char sql_clear[] = "DELETE FROM commitment_request_items WHERE request_id = $1";

static const char sql_add_items[] =
    "INSERT INTO commitment_request_items (request_id, n, sop_class_uid, sop_uid) "
    "SELECT $1, n, sop_class_uid, sop_uid FROM unnest($2::text[], $3::text[]) WITH ORDINALITY "
    "AS b(sop_class_uid, sop_uid, n)";

static const char sql_claim[] =
    "UPDATE commitment_requests SET next_at = clock_timestamp() + $1 * interval '1 millisecond' "
    "WHERE id = (SELECT id FROM commitment_requests WHERE state IN ('checking', 'reporting') "
    "AND archive = $2 AND next_at <= statement_timestamp() ORDER BY next_at LIMIT 1 FOR UPDATE "
    "SKIP LOCKED) "
    "RETURNING id, transaction_uid, calling_ae, called_ae, peer, state = 'reporting', "
    "attempts::bigint, (extract(epoch FROM clock_timestamp() - requested_at) * 1000000)::bigint";

static const char sql_items[] =
    "SELECT sop_class_uid, sop_uid, COALESCE(answer, -1)::bigint FROM commitment_request_items "
    "WHERE request_id = $1 ORDER BY n";

static const char sql_answers[] =
    "UPDATE commitment_request_items q SET answer = b.answer::integer "
    "FROM unnest($2::bigint[]) WITH ORDINALITY AS b(answer, n) "
    "WHERE q.request_id = $1 AND q.n = b.n";

static const char sql_checked[] =
    "UPDATE commitment_requests SET state = 'reporting', attempts = 0, cause = '' WHERE id = $1 "
    "AND state = 'checking'";

static const char sql_put_off[] =
    "UPDATE commitment_requests SET next_at = clock_timestamp() + $2 * interval '1 millisecond', "
    "attempts = attempts + $3::boolean::integer, cause = $4 WHERE id = $1 "
    "AND state IN ('checking', 'reporting')";

static const char sql_finish[] =
    "UPDATE commitment_requests SET state = CASE WHEN $2 = '' THEN 'reported' "
    "ELSE 'given-up' END, reported_at = CASE WHEN $2 = '' THEN clock_timestamp() END, cause = $2 "
    "WHERE id = $1 AND state IN ('checking', 'reporting') "
    "RETURNING calling_ae, transaction_uid, state, peer, "
    "(SELECT count(*) FROM commitment_request_items WHERE request_id = $1), "
    "(SELECT count(*) FROM commitment_request_items WHERE request_id = $1 AND answer <> 0)";

/* What was received and is in our archive. What we restored or made ourselves, nobody has handed to
 * us. */
static const char sql_held[] =
    "SELECT b.n - 1, i.id, i.sop_class_uid, i.path, i.file_hash, st.study_uid FROM "
    "unnest($1::text[]) "
    "WITH ORDINALITY AS b(sop_uid, n) JOIN instances i ON i.sop_uid = b.sop_uid "
    "JOIN studies st ON st.id = i.study_id "
    "WHERE i.deleted_at IS NULL AND i.restored_from IS NULL "
    "AND i.archive IN ('', $2) ORDER BY b.n, i.id DESC";

static void bind_classes(struct db_args *a, const struct db_commitment_request *r)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < r->count; i++) {
        db_item_text(a, r->items[i].sop_class_uid);
    }
    db_array_end(a);
}

static void bind_uids(struct db_args *a, const struct db_commitment_request *r)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < r->count; i++) {
        db_item_text(a, r->items[i].sop_uid);
    }
    db_array_end(a);
}

static enum ds_status put_request(struct db_tx *t, const struct db_commitment_request *r,
                                  int64_t *id, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *result = NULL;
    db_arg_text(&a, r->transaction_uid);
    db_arg_text(&a, r->calling_ae);
    db_arg_text(&a, r->called_ae);
    db_arg_text(&a, r->peer);
    db_arg_text(&a, db_archive(t->d));
    const enum ds_status s = db_run(t, sql_add, &a, &result, err);
    *id = s == DS_OK ? db_int(result, 0, 0) : 0;
    return s;
}

static enum ds_status put_items(struct db_tx *t, const struct db_commitment_request *r, int64_t id,
                                struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args old = DB_ARGS_INIT;
    db_arg_int(&old, id);
    const enum ds_status s = db_run(t, sql_clear, &old, NULL, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, id);
    bind_classes(&a, r);
    bind_uids(&a, r);
    return db_run(t, sql_add_items, &a, NULL, err);
}

enum ds_status db_commitment_request_add(struct db *d, const struct db_commitment_request *request,
                                         struct ds_error *err)
{
    int64_t id = 0;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = put_request(&t, request, &id, err);
    }
    if (s == DS_OK) {
        s = put_items(&t, request, id, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

static enum ds_status claim(struct db_tx *t, unsigned lease_ms, struct db_commitment_request *out,
                            bool *found, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, lease_ms);
    db_arg_text(&a, db_archive(t->d));
    const enum ds_status s = db_run(t, sql_claim, &a, &r, err);
    *found = s == DS_OK && db_rows(r) == 1;
    if (!*found) {
        return s;
    }
    out->id = db_int(r, 0, 0);
    db_text(r, 0, 1, out->transaction_uid, sizeof(out->transaction_uid));
    db_text(r, 0, 2, out->calling_ae, sizeof(out->calling_ae));
    db_text(r, 0, 3, out->called_ae, sizeof(out->called_ae));
    db_text(r, 0, 4, out->peer, sizeof(out->peer));
    out->is_checked = db_bool(r, 0, 5);
    out->attempts = (unsigned)db_int(r, 0, 6);
    out->age_us = db_int(r, 0, 7);
    return db_commitment_items(t, sql_items, out->id, &out->items, &out->count, err);
}

enum ds_status db_commitment_request_claim(struct db *d, unsigned lease_ms,
                                           struct db_commitment_request *out, bool *found,
                                           struct ds_error *err)
{
    *found = false;
    memset(out, 0, sizeof(*out));
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = claim(&t, lease_ms, out, found, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    if (s != DS_OK) {
        db_commitment_request_free(out);
        *found = false;
    }
    return s;
}

void db_commitment_request_free(struct db_commitment_request *r)
{
    free(r->items);
    r->items = NULL;
    r->count = 0;
}

enum ds_status db_commitment_request_checked(struct db *d, const struct db_commitment_request *r,
                                             struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_args_free) struct db_args done = DB_ARGS_INIT;
    db_arg_int(&a, r->id);
    db_array_begin(&a, DB_INT8);
    for (size_t i = 0; i < r->count; i++) {
        db_item_int(&a, r->items[i].answer);
    }
    db_array_end(&a);
    db_arg_int(&done, r->id);
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_answers, &a, NULL, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_checked, &done, NULL, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_commitment_request_put_off(struct db *d, int64_t id, int64_t retry_ms,
                                             bool failed, const char *cause, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, id);
    db_arg_int(&a, retry_ms);
    db_arg_bool(&a, failed);
    db_arg_text(&a, cause);
    return db_ask(d, sql_put_off, &a, NULL, err);
}

static enum ds_status note_finished(struct db_tx *t, const PGresult *r, const char *cause,
                                    struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    const char *state = db_string(r, 0, 2);
    struct db_event *e = db_note(
        &notes, strcmp(state, "reported") == 0 ? "commitment-reported" : "commitment-given-up",
        db_string(r, 0, 0));
    e->peer = db_string(r, 0, 3);
    e->outcome = state;
    db_note_text(&notes, "transaction", db_string(r, 0, 1));
    db_note_text(&notes, "cause", cause);
    db_note_int(&notes, "instances", db_int(r, 0, 4));
    db_note_int(&notes, "refused", db_int(r, 0, 5));
    return db_notes_put(t, &notes, err);
}

enum ds_status db_commitment_request_finish(struct db *d, int64_t id, const char *cause,
                                            struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, id);
    db_arg_text(&a, cause);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_finish, &a, &r, err);
    }
    if (s == DS_OK && db_rows(r) > 0) {
        s = note_finished(&t, r, cause, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

static void held_from(const PGresult *r, size_t row, struct db_held *out)
{
    out->item = (size_t)db_int(r, row, 0);
    out->instance_id = db_int(r, row, 1);
    db_text(r, row, 2, out->sop_class_uid, sizeof(out->sop_class_uid));
    db_text(r, row, 3, out->path, sizeof(out->path));
    (void)db_hash(r, row, 4, out->file_hash);
    db_text(r, row, 5, out->study_uid, sizeof(out->study_uid));
}

enum ds_status db_commitment_held(struct db *d, const struct db_commitment_request *request,
                                  struct db_held **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    bind_uids(&a, request);
    db_arg_text(&a, db_archive(d));
    const enum ds_status s = db_ask(d, sql_held, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        held_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}
