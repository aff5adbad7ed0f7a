/* SPDX-License-Identifier: Apache-2.0 */
/* What a run looks at, and what it found. */
#include "db/readback.h"
#include "db/query.h"

#include <stdio.h>
#include <string.h>

#define STUDY_ITEMS_MAX 2000U

static const char sql_study[] =
    "SELECT b.id, b.part::bigint, b.sop_uid, d.id, COALESCE(d.capsule, 0), d.action::bigint, "
    "COALESCE(d.share_index, -1), d.with_key_block, d.with_certificate, d.rule, "
    "EXISTS (SELECT 1 FROM deliveries o WHERE o.instance_id = d.instance_id AND o.peer = d.peer "
    "AND o.id < d.id), d.sent_pixel_hash, d.sent_dataset_hash, "
    "d.sent_file_hash, " DB_INSTANCE_COLUMNS
    " FROM read_back_results b JOIN deliveries d ON d.id = b.delivery_id "
    "JOIN instances i ON i.id = d.instance_id" DB_INSTANCE_JOINS
    "WHERE b.run_id = $1 AND b.outcome IS NULL AND b.study_uid = (SELECT min(study_uid) "
    "FROM read_back_results WHERE run_id = $1 AND outcome IS NULL) ORDER BY b.id LIMIT $2";
#define FIRST_INSTANCE_COLUMN 14

static const char sql_known[] =
    "SELECT DISTINCT k.sop_uid, k.may_be_renamed FROM deliveries d "
    "JOIN instances i ON i.id = d.instance_id JOIN studies st ON st.id = i.study_id "
    "CROSS JOIN LATERAL (SELECT COALESCE(d.sent_sop_uid, i.sop_uid), false "
    "UNION ALL SELECT i.sop_uid, true WHERE d.action = 2 "
    "OR (d.action = 1 AND d.sent_sop_uid IS NULL)) AS k(sop_uid, may_be_renamed) "
    "WHERE d.peer = $1 AND st.study_uid = $2";

/* $1 run, $2 peer, then an array for each column; the rows that were open, or are new, come back by
 * their number. */
static const char sql_write[] =
    "WITH w AS (SELECT * FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], "
    "$8::bytea[], $9::bytea[]) WITH ORDINALITY AS w(item, sop_uid, study_uid, outcome, detail, "
    "before_hash, after_hash, n)), "
    "old AS (UPDATE read_back_results b SET outcome = w.outcome, detail = w.detail::jsonb, "
    "before_hash = w.before_hash, after_hash = w.after_hash, checked_at = clock_timestamp() "
    "FROM w WHERE b.id = w.item AND b.run_id = $1 AND b.outcome IS NULL RETURNING w.n), "
    "new AS (INSERT INTO read_back_results (run_id, peer, part, study_uid, sop_uid, outcome, "
    "detail, after_hash, checked_at) SELECT $1, $2, 3, w.study_uid, w.sop_uid, w.outcome, "
    "w.detail::jsonb, w.after_hash, clock_timestamp() FROM w WHERE w.item = 0 ORDER BY w.n "
    "ON CONFLICT DO NOTHING RETURNING sop_uid) "
    "SELECT n FROM old UNION ALL SELECT w.n FROM w JOIN new USING (sop_uid) WHERE w.item = 0";

static const char sql_rows[] =
    "SELECT id, part::bigint, study_uid, sop_uid, COALESCE(delivery_id, 0), "
    "COALESCE(instance_id, 0), outcome IS NULL, COALESCE(outcome, ''), " DB_US(
        "checked_at") ", CASE WHEN octet_length(detail::text) < 4096 THEN detail::text ELSE '' END "
                      "FROM read_back_results WHERE run_id = $1 AND id > $2 "
                      "AND (NOT $3 OR outcome <> 'intact') ORDER BY id LIMIT $4";

static const char sql_profiles[] =
    "WITH p AS (SELECT DISTINCT peer FROM read_back_runs WHERE $1::text IS NULL OR peer = $1), "
    "newest AS (SELECT DISTINCT ON (n.peer, n.part, n.sop_uid) n.* FROM p CROSS JOIN LATERAL "
    "(SELECT r.peer, r.part, r.sop_uid, r.outcome, r.checked_at, r.id FROM read_back_results r "
    "WHERE r.peer = p.peer AND r.outcome IS NOT NULL ORDER BY r.checked_at DESC LIMIT 1000) AS n "
    "ORDER BY n.peer, n.part, n.sop_uid, n.checked_at DESC, n.id DESC) "
    "SELECT peer, outcome, count(*), " DB_US("max(checked_at)") " FROM newest GROUP BY 1, 2 "
                                                                "ORDER BY peer";

/* ---- names ---- */

const char *db_back_outcome_name(enum db_back_outcome outcome)
{
    static const char *const names[DB_BACK_OUTCOMES] = {
        "intact", "attributes-changed", "pixels-changed", "lossy", "missing", "extra", "unread"};
    return (unsigned)outcome < DB_BACK_OUTCOMES ? names[outcome] : "";
}

static bool outcome_from(const char *name, enum db_back_outcome *out)
{
    for (unsigned i = 0; i < DB_BACK_OUTCOMES; i++) {
        if (strcmp(name, db_back_outcome_name((enum db_back_outcome)i)) == 0) {
            *out = (enum db_back_outcome)i;
            return true;
        }
    }
    return false;
}

const char *db_back_profile_name(enum db_back_profile profile)
{
    static const char *const names[DB_BACK_PROFILES] = {"unknown", "transparent", "coerces",
                                                        "drops", "lossy"};
    return (unsigned)profile < DB_BACK_PROFILES ? names[profile] : "";
}

/* ---- what a run looks at ---- */

static void item_from(const PGresult *r, size_t i, struct db_back_item *out)
{
    struct db_delivery *d = &out->delivery;
    out->id = db_int(r, i, 0);
    out->part = (enum db_back_part)db_int(r, i, 1);
    db_text(r, i, 2, out->sop_uid, sizeof(out->sop_uid));
    d->id = db_int(r, i, 3);
    d->capsule_row = db_int(r, i, 4);
    d->action = (enum db_action)db_int(r, i, 5);
    d->share_index = db_int(r, i, 6);
    d->with_key_block = db_bool(r, i, 7);
    d->with_certificate = db_bool(r, i, 8);
    db_text(r, i, 9, d->rule, sizeof(d->rule));
    d->again = db_bool(r, i, 10);
    (void)db_hash(r, i, 11, out->sent_pixel_hash);
    out->has_sent = db_hash(r, i, 12, out->sent_dataset_hash);
    (void)db_hash(r, i, 13, out->sent_file_hash);
    db_instance_from(r, i, FIRST_INSTANCE_COLUMN, &d->instance);
    d->instance_id = d->instance.id;
}

enum ds_status db_back_study(struct db *d, int64_t run, struct db_back_item **out, size_t *count,
                             struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run);
    db_arg_int(&a, STUDY_ITEMS_MAX);
    const enum ds_status s = db_ask(d, sql_study, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        item_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_back_known_uids(struct db *d, const char *peer, const char *study_uid,
                                  struct db_back_known **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text(&a, peer);
    db_arg_text(&a, study_uid);
    const enum ds_status s = db_ask(d, sql_known, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        db_text(r, i, 0, (*out)[i].sop_uid, sizeof((*out)[i].sop_uid));
        (*out)[i].may_be_renamed = db_bool(r, i, 1);
    }
    return DS_OK;
}

/* ---- outcomes ---- */

static void bind_results(struct db_args *a, const struct db_back_result *r, size_t count)
{
    db_array_begin(a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(a, r[i].item);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, r[i].sop_uid);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, r[i].study_uid);
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, db_back_outcome_name(r[i].outcome));
    }
    db_array_end(a);
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        if (r[i].detail != NULL) {
            db_item_text(a, r[i].detail);
        } else {
            db_item_null(a);
        }
    }
    db_array_end(a);
}

static void item_hash(struct db_args *a, bool has, const uint8_t *hash)
{
    if (has) {
        db_item_bytes(a, hash, DS_SHA256_BYTES);
    } else {
        db_item_null(a);
    }
}

static void bind_hashes(struct db_args *a, const struct db_back_result *r, size_t count)
{
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        item_hash(a, r[i].has_before, r[i].before);
    }
    db_array_end(a);
    db_array_begin(a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        item_hash(a, r[i].has_after, r[i].after);
    }
    db_array_end(a);
}

#define DETAIL_BYTES (DB_UID_BYTES + 64U)

static void event_of(const struct db_back_run *run, const struct db_back_result *r,
                     char detail[DETAIL_BYTES], struct db_event_at *out)
{
    (void)snprintf(detail, DETAIL_BYTES, "{\"run\": %lld, \"sop_uid\": \"%.64s\"}",
                   (long long)run->id, r->sop_uid);
    *out = (struct db_event_at){.event = {.kind = "read-back",
                                          .actor = run->actor,
                                          .instance_id = r->instance_id,
                                          .study_id = r->study_id,
                                          .has_before = r->has_file_before,
                                          .has_after = r->has_file_after,
                                          .detail = detail,
                                          .peer = run->peer,
                                          .outcome = db_back_outcome_name(r->outcome)}};
    memcpy(out->event.before, r->file_before, DS_SHA256_BYTES);
    memcpy(out->event.after, r->file_after, DS_SHA256_BYTES);
}

/* written: the numbers, from 1, of the results that were not there before. */
static enum ds_status put_events(struct db_tx *t, const struct db_back_run *run,
                                 const struct db_back_result *results, size_t count,
                                 const PGresult *written, struct ds_error *err)
{
    const size_t n = db_rows(written);
    struct db_event_at *events = calloc(n + 1, sizeof(*events));
    char(*details)[DETAIL_BYTES] = calloc(n + 1, sizeof(*details));
    enum ds_status s = events != NULL && details != NULL
                           ? DS_OK
                           : ds_fail(err, DS_ENOMEM, "no memory for %zu events", n);
    size_t filled = 0;
    for (size_t i = 0; s == DS_OK && i < n; i++) {
        const int64_t at = db_int(written, i, 0) - 1;
        if (at >= 0 && (uint64_t)at < count) {
            event_of(run, &results[at], details[filled], &events[filled]);
            filled++;
        }
    }
    s = s == DS_OK ? db_events_put(t, events, filled, err) : s;
    free(events);
    free(details);
    return s;
}

enum ds_status db_back_write(struct db *d, const struct db_back_run *run,
                             const struct db_back_result *results, size_t count,
                             struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, run->id);
    db_arg_text(&a, run->peer);
    bind_results(&a, results, count);
    bind_hashes(&a, results, count);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_write, &a, &r, err);
    }
    if (s == DS_OK) {
        s = put_events(&t, run, results, count, r, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

/* ---- showing ---- */

static void row_from(const PGresult *r, size_t i, struct db_back_row *out)
{
    char outcome[32];
    out->id = db_int(r, i, 0);
    out->part = (enum db_back_part)db_int(r, i, 1);
    db_text(r, i, 2, out->study_uid, sizeof(out->study_uid));
    db_text(r, i, 3, out->sop_uid, sizeof(out->sop_uid));
    out->delivery_id = db_int(r, i, 4);
    out->instance_id = db_int(r, i, 5);
    out->is_open = db_bool(r, i, 6);
    db_text(r, i, 7, outcome, sizeof(outcome));
    out->is_open = !outcome_from(outcome, &out->outcome) || out->is_open;
    out->checked_us = db_int(r, i, 8);
    db_text(r, i, 9, out->detail, sizeof(out->detail));
}

enum ds_status db_back_rows(struct db *d, int64_t run, int64_t after, bool only_findings,
                            struct db_back_row **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, run);
    db_arg_int(&a, after);
    db_arg_bool(&a, only_findings);
    db_arg_int(&a, DB_BACK_ROWS_MAX);
    const enum ds_status s = db_ask(d, sql_rows, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu results", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        row_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

/* ---- profiles ---- */

static enum db_back_profile profile_of(const uint64_t counts[DB_BACK_OUTCOMES])
{
    if (counts[DB_BACK_LOSSY] + counts[DB_BACK_PIXELS_CHANGED] > 0) {
        return DB_PROFILE_LOSSY;
    }
    if (counts[DB_BACK_MISSING] > 0) {
        return DB_PROFILE_DROPS;
    }
    if (counts[DB_BACK_ATTRIBUTES_CHANGED] > 0) {
        return DB_PROFILE_COERCES;
    }
    return counts[DB_BACK_INTACT] > 0 ? DB_PROFILE_TRANSPARENT : DB_PROFILE_UNKNOWN;
}

/* The rows of one peer follow each other. */
static void add_counts(const PGresult *r, struct db_peer_profile *out, size_t *count)
{
    for (size_t i = 0; i < db_rows(r); i++) {
        char peer[DB_TEXT_BYTES];
        char name[32];
        enum db_back_outcome outcome = DB_BACK_INTACT;
        db_text(r, i, 0, peer, sizeof(peer));
        db_text(r, i, 1, name, sizeof(name));
        if (*count == 0 || strcmp(out[*count - 1].peer, peer) != 0) {
            memcpy(out[*count].peer, peer, sizeof(peer));
            (*count)++;
        }
        struct db_peer_profile *p = &out[*count - 1];
        if (outcome_from(name, &outcome)) {
            p->counts[outcome] = (uint64_t)db_int(r, i, 2);
        }
        const int64_t newest = db_int(r, i, 3);
        p->newest_us = newest > p->newest_us ? newest : p->newest_us;
        p->profile = profile_of(p->counts);
    }
}

enum ds_status db_peer_profiles(struct db *d, const char *peer, struct db_peer_profile **out,
                                size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text_or_null(&a, peer);
    const enum ds_status s = db_ask(d, sql_profiles, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu peers", db_rows(r));
    }
    add_counts(r, *out, count);
    return DS_OK;
}
