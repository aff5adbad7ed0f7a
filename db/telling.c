/* SPDX-License-Identifier: Apache-2.0 */
#include "db/telling.h"

#include "db/query.h"

#include <string.h>

#define TEXTS 10

/* What has a number in the log stays there: no other event ever comes before it. */
static const char sql_last[] = "SELECT COALESCE(max(l.leaf) + 1, 0) FROM log_leaves l "
                               "JOIN logs g ON g.id = l.log WHERE g.log_id = $1";

static const char sql_begin[] =
    "INSERT INTO audit_repositories (node, repository, told, sure) VALUES ($1, $2, $3, $3) "
    "ON CONFLICT (node, repository) DO NOTHING";
static const char sql_sure[] =
    "SELECT sure FROM audit_repositories WHERE node = $1 AND repository = $2";

static const char sql_read[] =
    "SELECT l.leaf + 1, e.id, (extract(epoch FROM e.at) * 1000000)::bigint, e.kind, e.actor, "
    "COALESCE(e.outcome, e.detail->>'outcome', ''), "
    "COALESCE(e.peer, e.detail->>'peer', e.detail->>'to', ''), "
    "COALESCE(i.sop_class_uid, ''), COALESCE(e.study_uid, ''), COALESCE(st.accession, ''), "
    "COALESCE(st.patient_id, ''), COALESCE(i.calling_ae, ''), COALESCE(e.detail::text, '') "
    "FROM logs g JOIN log_leaves l ON l.log = g.id JOIN events e ON e.id = l.event_id "
    "LEFT JOIN instances i ON i.id = e.instance_id "
    "LEFT JOIN studies st ON st.study_uid = e.study_uid "
    "WHERE g.log_id = $1 AND l.leaf >= $2 ORDER BY l.leaf LIMIT $3";

static const char sql_done[] =
    "UPDATE audit_repositories SET told = $3, sure = $4, told_at = clock_timestamp() "
    "WHERE node = $1 AND repository = $2";

static enum ds_status last_place(struct db *d, const uint8_t log[DS_SHA256_BYTES], int64_t *last,
                                 struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    const enum ds_status s = db_ask(d, sql_last, &a, &r, err);
    *last = s == DS_OK ? db_int(r, 0, 0) : 0;
    return s;
}

enum ds_status db_telling_begin(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                                const char *repository, int64_t *sure, struct ds_error *err)
{
    *sure = 0;
    int64_t last = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_args_free) struct db_args ask = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    enum ds_status s = last_place(d, log, &last, err);
    db_arg_text(&a, db_node(d));
    db_arg_text(&a, repository);
    db_arg_int(&a, last);
    if (s == DS_OK) {
        s = db_ask(d, sql_begin, &a, NULL, err);
    }
    db_arg_text(&ask, db_node(d));
    db_arg_text(&ask, repository);
    if (s == DS_OK) {
        s = db_ask(d, sql_sure, &ask, &r, err);
    }
    if (s == DS_OK && db_rows(r) == 1) {
        *sure = db_int(r, 0, 0);
    }
    return s;
}

/* ---- reading ---- */

static char *text_of(const PGresult *r, size_t row, int column)
{
    size_t len = 0;
    const uint8_t *bytes = db_bytes(r, row, column, &len);
    return bytes == NULL ? strdup("") : strndup((const char *)bytes, len);
}

/* The texts of a row in the order of the query's columns. */
static void texts_of(struct db_told *t, char **texts[TEXTS])
{
    char **const order[TEXTS] = {&t->kind,          &t->actor,     &t->outcome,   &t->peer,
                                 &t->sop_class_uid, &t->study_uid, &t->accession, &t->patient_id,
                                 &t->calling_ae,    &t->detail};
    memcpy(texts, order, sizeof(order));
}

static bool told_from(const PGresult *r, size_t row, struct db_told *out)
{
    char **texts[TEXTS];
    bool whole = true;
    out->place = db_int(r, row, 0);
    out->event_id = db_int(r, row, 1);
    out->at_us = db_int(r, row, 2);
    texts_of(out, texts);
    for (int i = 0; i < TEXTS; i++) {
        *texts[i] = text_of(r, row, 3 + i);
        whole = whole && *texts[i] != NULL;
    }
    return whole;
}

void db_told_free(struct db_told *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char **texts[TEXTS];
        texts_of(&rows[i], texts);
        for (int k = 0; k < TEXTS; k++) {
            free(*texts[k]);
        }
    }
    free(rows);
}

enum ds_status db_telling_read(struct db *d, const uint8_t log[DS_SHA256_BYTES], int64_t after,
                               size_t max, struct db_told **out, size_t *count,
                               struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    if (max == 0 || max > DB_TOLD_MAX) {
        return ds_fail(err, DS_EINVAL, "%zu events; expected 1 to %u", max, DB_TOLD_MAX);
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, after);
    db_arg_int(&a, (int64_t)max);
    const enum ds_status s = db_ask(d, sql_read, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    struct db_told *rows = calloc(db_rows(r), sizeof(*rows));
    bool whole = rows != NULL;
    for (size_t i = 0; whole && i < db_rows(r); i++) {
        whole = told_from(r, i, &rows[i]);
    }
    if (!whole) {
        db_told_free(rows, rows == NULL ? 0 : db_rows(r));
        return ds_fail(err, DS_ENOMEM, "no memory for %zu events", db_rows(r));
    }
    *out = rows;
    *count = db_rows(r);
    return DS_OK;
}

enum ds_status db_telling_done(struct db *d, const char *repository, int64_t told, int64_t sure,
                               struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_text(&a, db_node(d));
    db_arg_text(&a, repository);
    db_arg_int(&a, told);
    db_arg_int(&a, sure);
    return db_ask(d, sql_done, &a, NULL, err);
}
