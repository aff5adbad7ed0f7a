/* SPDX-License-Identifier: Apache-2.0 */
#include "db/retrieve.h"

#include "db/query.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN(x)                                                                                   \
    x ".kind = ANY ($2) AND " x ".archive IN ('', $1) AND " x ".quarantined_at IS NULL AND " x     \
      ".deleted_at IS NULL"

/* The lowest key that is given leads, by its index; those above it are looked at. */
#define IDS_WHERE(lead)                                                                            \
    "SELECT i.id FROM instances i" DB_INSTANCE_JOINS "WHERE " lead " AND " SHOWN(                  \
        "i") " AND (cardinality($3::text[]) = 0 OR st.patient_id = ANY ($3))"                      \
             " AND (cardinality($4::text[]) = 0 OR st.study_uid = ANY ($4))"                       \
             " AND (cardinality($5::text[]) = 0 OR se.series_uid = ANY ($5))"                      \
             " AND (cardinality($6::text[]) = 0 OR i.sop_uid = ANY ($6))"                          \
             " AND NOT EXISTS (SELECT 1 FROM instances x WHERE x.sop_uid = i.sop_uid AND x.id > "  \
             "i.id AND " SHOWN("x") ") ORDER BY i.study_id, i.series_id, i.id LIMIT $7"

static const char sql_by_patient[] = IDS_WHERE("st.patient_id = ANY ($3)");
static const char sql_by_study[] = IDS_WHERE("st.study_uid = ANY ($4)");
static const char sql_by_series[] = IDS_WHERE("se.series_uid = ANY ($5)");
static const char sql_by_instance[] = IDS_WHERE("i.sop_uid = ANY ($6)");

static const char sql_page[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM unnest($3::bigint[]) WITH ORDINALITY AS w(id, n) "
    "JOIN instances i ON i.id = w.id" DB_INSTANCE_JOINS "WHERE " SHOWN("i") " ORDER BY w.n";

static void bind_key(struct db_args *a, const struct db_retrieve_key *key)
{
    db_array_begin(a, DB_TEXT);
    for (size_t i = 0; i < key->count; i++) {
        db_item_text(a, key->values[i]);
    }
    db_array_end(a);
}

static void bind_shown(struct db_args *a, const struct db *d, unsigned kinds)
{
    db_arg_text(a, db_archive(d));
    db_array_begin(a, DB_INT8);
    for (int64_t kind = DB_ORIGINAL; kind <= DB_REPORT; kind++) {
        if ((kinds & DB_KINDS(kind)) != 0) {
            db_item_int(a, kind);
        }
    }
    db_array_end(a);
}

static const char *statement_for(const struct db_retrieve *what)
{
    if (what->instances.count > 0) {
        return sql_by_instance;
    }
    if (what->series.count > 0) {
        return sql_by_series;
    }
    if (what->studies.count > 0) {
        return sql_by_study;
    }
    return what->patients.count > 0 ? sql_by_patient : NULL;
}

enum ds_status db_retrieve_ids(struct db *d, const struct db_retrieve *what, int64_t **ids,
                               size_t *count, struct ds_error *err)
{
    *ids = NULL;
    *count = 0;
    const char *sql = statement_for(what);
    if (sql == NULL) {
        return ds_fail(err, DS_EINVAL, "a retrieval without a key");
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_shown(&a, d, what->kinds);
    bind_key(&a, &what->patients);
    bind_key(&a, &what->studies);
    bind_key(&a, &what->series);
    bind_key(&a, &what->instances);
    db_arg_int(&a, DB_RETRIEVE_MAX + 1);
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = db_ask(d, sql, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    *count = db_rows(r);
    if (*count == 0 || *count > DB_RETRIEVE_MAX) {
        return DS_OK;
    }
    *ids = calloc(*count, sizeof(**ids));
    if (*ids == NULL) {
        *count = 0;
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    for (size_t i = 0; i < *count; i++) {
        (*ids)[i] = db_int(r, i, 0);
    }
    return DS_OK;
}

enum ds_status db_retrieve_page(struct db *d, unsigned kinds, const int64_t *ids, size_t count,
                                struct db_instance *out, size_t *found, struct ds_error *err)
{
    *found = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    bind_shown(&a, d, kinds);
    db_arg_ids(&a, ids, count);
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = db_ask(d, sql_page, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    *found = db_rows(r) < count ? db_rows(r) : count;
    for (size_t i = 0; i < *found; i++) {
        db_instance_from(r, i, 0, &out[i]);
    }
    return DS_OK;
}
