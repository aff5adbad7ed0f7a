/* SPDX-License-Identifier: Apache-2.0 */
#include "db/audit.h"

#include "db/event_row.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS DB_EVENT_COLUMNS ", f.leaf IS NOT NULL, COALESCE(f.leaf, 0) "
#define TABLES  "FROM events e LEFT JOIN log_leaves f ON f.event_id = e.id "
#define CONDITIONS                                                                                 \
    "WHERE ($1::text IS NULL OR e.study_uid = $1) "                                                \
    "AND ($2::text IS NULL OR e.study_id IN (SELECT id FROM studies WHERE patient_id = $2)) "      \
    "AND ($3::text IS NULL OR e.peer = $3) AND ($4::text IS NULL OR e.kind = $4) "                 \
    "AND ($5::text IS NULL OR e.sop_uid = $5) "                                                    \
    "AND ($6 = 0 OR e.at >= 'epoch'::timestamptz + $6 * interval '1 microsecond') "                \
    "AND ($7 = 0 OR e.at < 'epoch'::timestamptz + $7 * interval '1 microsecond') "

/* Pages would be planned, and may be sorted, one by one. */
static const char sql_open[] =
    "DECLARE audit NO SCROLL CURSOR FOR SELECT " COLUMNS TABLES CONDITIONS "ORDER BY e.id";
static const char sql_fetch[] = "FETCH FORWARD 500 FROM audit";
static const char sql_newest[] = "SELECT * FROM (SELECT " COLUMNS TABLES CONDITIONS
                                 "ORDER BY e.id DESC LIMIT $8) AS newest ORDER BY 1";

/* An original has its carriers' UIDs in its deliveries; a carrier is what another was restored
 * from. */
static const char sql_uids[] =
    "WITH named AS (SELECT id FROM instances WHERE sop_uid = $1 "
    "UNION SELECT instance_id FROM deliveries WHERE sent_sop_uid = $1), "
    "kin AS (SELECT id FROM named "
    "UNION SELECT i.restored_from FROM instances i JOIN named n ON n.id = i.id "
    "WHERE i.restored_from IS NOT NULL "
    "UNION SELECT i.id FROM instances i JOIN named n ON i.restored_from = n.id) "
    "SELECT sop_uid FROM instances WHERE id IN (SELECT id FROM kin) AND sop_uid <> $1 "
    "UNION SELECT sent_sop_uid FROM deliveries WHERE instance_id IN (SELECT id FROM kin) "
    "AND sent_sop_uid IS NOT NULL AND sent_sop_uid <> '' AND sent_sop_uid <> $1";
static const char sql_logs[] =
    "SELECT DISTINCT l.log_id FROM events e JOIN logs l ON l.id = e.log "
    "JOIN log_leaves f ON f.event_id = e.id WHERE e.sop_uid = ANY($1) ORDER BY l.log_id";
static const char sql_of[] =
    "SELECT " COLUMNS "FROM events e JOIN logs l ON l.id = e.log "
    "JOIN log_leaves f ON f.event_id = e.id "
    "WHERE l.log_id = $1 AND e.sop_uid = ANY($2) AND f.leaf < $3 ORDER BY f.leaf";

/* ---- rows ---- */

static enum ds_status hand_out(const PGresult *r, db_audit_take *take, void *context,
                               struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < db_rows(r) && s == DS_OK; i++) {
        struct db_audit_row row = {.has_leaf = db_bool(r, i, DB_EVENT_COLUMN_COUNT),
                                   .leaf = (uint64_t)db_int(r, i, DB_EVENT_COLUMN_COUNT + 1)};
        (void)db_event_from(r, i, 0, &row.event); /* one without a log shows itself by zeros */
        s = take(context, &row, err);
    }
    return s;
}

static void bind_filter(struct db_args *a, const struct db_audit_filter *f)
{
    db_arg_text_or_null(a, f->study_uid);
    db_arg_text_or_null(a, f->patient_id);
    db_arg_text_or_null(a, f->peer);
    db_arg_text_or_null(a, f->kind);
    db_arg_text_or_null(a, f->sop_uid);
    db_arg_int(a, f->since_us);
    db_arg_int(a, f->until_us);
}

enum ds_status db_audit_all(struct db *d, const struct db_audit_filter *filter, db_audit_take *take,
                            void *context, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    bind_filter(&a, filter);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_open, &a, NULL, err);
    }
    for (bool more = true; s == DS_OK && more;) {
        DS_AUTO(db_clear) PGresult *r = NULL;
        s = db_run(&t, sql_fetch, NULL, &r, err);
        more = s == DS_OK && db_rows(r) > 0;
        if (more) {
            s = hand_out(r, take, context, err);
        }
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_audit_newest(struct db *d, const struct db_audit_filter *filter, unsigned limit,
                               db_audit_take *take, void *context, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    bind_filter(&a, filter);
    db_arg_int(&a, limit);
    const enum ds_status s = db_ask(d, sql_newest, &a, &r, err);
    return s == DS_OK ? hand_out(r, take, context, err) : s;
}

/* ---- one instance ---- */

enum ds_status db_audit_uids(struct db *d, const char *sop_uid, char (**out)[DB_UID_BYTES],
                             size_t *count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    *out = NULL;
    *count = 0;
    if (strlen(sop_uid) >= DB_UID_BYTES) {
        return ds_fail(err, DS_EINVAL, "a UID has at most 64 characters");
    }
    db_arg_text(&a, sop_uid);
    const enum ds_status s = db_ask(d, sql_uids, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    *out = calloc(db_rows(r) + 1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu UIDs", db_rows(r));
    }
    memcpy((*out)[0], sop_uid, strlen(sop_uid));
    for (size_t i = 0; i < db_rows(r); i++) {
        db_text(r, i, 0, (*out)[i + 1], DB_UID_BYTES);
    }
    *count = db_rows(r) + 1;
    return DS_OK;
}

static void bind_uids(struct db_args *a, const char (*uids)[DB_UID_BYTES], size_t count)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < count; i++) {
        db_item_text(a, uids[i]);
    }
    db_array_end(a);
}

enum ds_status db_audit_logs(struct db *d, const char (*uids)[DB_UID_BYTES], size_t count,
                             uint8_t (**out)[DS_SHA256_BYTES], size_t *log_count,
                             struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    *out = NULL;
    *log_count = 0;
    bind_uids(&a, uids, count);
    const enum ds_status s = db_ask(d, sql_logs, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    *out = calloc(db_rows(r) + 1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu logs", db_rows(r));
    }
    for (size_t i = 0; i < db_rows(r); i++) {
        (void)db_hash(r, i, 0, (*out)[i]);
    }
    *log_count = db_rows(r);
    return DS_OK;
}

enum ds_status db_audit_of(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t size,
                           const char (*uids)[DB_UID_BYTES], size_t count, db_audit_take *take,
                           void *context, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    bind_uids(&a, uids, count);
    db_arg_int(&a, (int64_t)size);
    const enum ds_status s = db_ask(d, sql_of, &a, &r, err);
    return s == DS_OK ? hand_out(r, take, context, err) : s;
}
