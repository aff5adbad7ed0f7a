/* SPDX-License-Identifier: Apache-2.0 */
#include "db/find.h"

#include "db/find_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Few matches come with their attributes in one way to the server and back; of many the ids come
 * first, and then the attributes of so many at a time. */
#define PAGE      256U
#define PAGE_TEXT "256"

static const struct {
    const char *id; /* by which matches are told apart */
    const char *from;
} levels[] = {
    [DB_LEVEL_PATIENT] = {"st.id", "studies st"},
    [DB_LEVEL_STUDY] = {"st.id", "studies st"},
    [DB_LEVEL_SERIES] = {"se.id", "series se JOIN studies st ON st.id = se.study_id"},
    [DB_LEVEL_IMAGE] = {"i.id", "instances i JOIN series se ON se.id = i.series_id "
                                "JOIN studies st ON st.id = i.study_id"},
};

/* There is something to show of it. A patient is what his newest study says of him. */
static void put_presence(struct db_text *t, enum db_level level)
{
    switch (level) {
    case DB_LEVEL_PATIENT:
        db_text_put(t, "EXISTS (SELECT 1 FROM instances x WHERE x.study_id = st.id AND @) AND NOT "
                       "EXISTS (SELECT 1 FROM studies o WHERE o.patient_id = st.patient_id AND "
                       "(st.patient_id <> '' OR o.patient_name = st.patient_name) AND o.id > st.id "
                       "AND EXISTS (SELECT 1 FROM instances x WHERE x.study_id = o.id AND @))");
        break;
    case DB_LEVEL_STUDY:
        db_text_put(t, "EXISTS (SELECT 1 FROM instances x WHERE x.study_id = st.id AND @)");
        break;
    case DB_LEVEL_SERIES:
        db_text_put(t, "EXISTS (SELECT 1 FROM instances x WHERE x.series_id = se.id AND @)");
        break;
    case DB_LEVEL_IMAGE:
        db_text_shown(t, "i");
        db_text_put(t, " AND NOT EXISTS (SELECT 1 FROM instances x WHERE x.sop_uid = i.sop_uid "
                       "AND x.id > i.id AND @)");
        break;
    }
}

/* The ids of what matches, limit of them at most. */
static void put_ids(struct db_text *t, const struct db_query *q, uint64_t limit)
{
    char text[48];
    db_text_put(t, "SELECT ");
    db_text_put(t, levels[q->level].id);
    db_text_put(t, " AS id FROM ");
    db_text_put(t, levels[q->level].from);
    db_text_put(t, " WHERE ");
    put_presence(t, q->level);
    db_text_conditions(t, q->conditions, q->condition_count);
    (void)snprintf(text, sizeof(text), " LIMIT %llu", (unsigned long long)limit);
    db_text_put(t, text);
}

static void put_wanted(struct db_text *t, const struct db_query *q)
{
    db_text_put(t, "SELECT ");
    for (size_t i = 0; i < q->wanted_count; i++) {
        db_text_value(t, &q->wanted[i]);
        db_text_put(t, ", ");
    }
    db_text_put(t, "''::text"); /* somebody may want nothing */
}

static void begin_text(struct db_text *t, const struct db *d, const struct db_query *q)
{
    t->kinds = q->kinds;
    db_arg_text(&t->args, db_archive(d));
}

static enum ds_status ask(struct db *d, struct db_text *t, PGresult **result, struct ds_error *err)
{
    if (t->status == DS_OK) {
        t->status = ds_bytes_put_u8(&t->sql, '\0', NULL);
    }
    if (t->status != DS_OK) {
        return ds_fail(err, t->status == DS_EFORMAT ? DS_ECAPACITY : t->status,
                       "the query has more conditions than fit into a statement");
    }
    return db_ask_question(d, (const char *)t->sql.data, &t->args, result, err);
}

/* All matches and their attributes if there are no more than a page; else nothing. */
static enum ds_status ask_few(struct db *d, const struct db_query *q, PGresult **result,
                              struct ds_error *err)
{
    DS_AUTO(db_text_free) struct db_text t = DB_TEXT_INIT;
    begin_text(&t, d, q);
    db_text_put(&t, "WITH found AS MATERIALIZED (");
    put_ids(&t, q, PAGE + 1);
    db_text_put(&t, ") ");
    put_wanted(&t, q);
    db_text_put(&t, " FROM found, ");
    db_text_put(&t, levels[q->level].from);
    db_text_put(&t, " WHERE ");
    db_text_put(&t, levels[q->level].id);
    db_text_put(&t,
                " = found.id AND (SELECT count(*) FROM found) <= " PAGE_TEXT " ORDER BY found.id");
    return ask(d, &t, result, err);
}

static enum ds_status ask_ids(struct db *d, const struct db_query *q, PGresult **result,
                              struct ds_error *err)
{
    DS_AUTO(db_text_free) struct db_text t = DB_TEXT_INIT;
    begin_text(&t, d, q);
    put_ids(&t, q, q->max + 1);
    return ask(d, &t, result, err);
}

static enum ds_status ask_page(struct db *d, const struct db_query *q, const int64_t *ids,
                               size_t count, PGresult **result, struct ds_error *err)
{
    DS_AUTO(db_text_free) struct db_text t = DB_TEXT_INIT;
    begin_text(&t, d, q);
    put_wanted(&t, q);
    db_arg_ids(&t.args, ids, count);
    db_text_put(&t, " FROM ");
    db_text_put(&t, levels[q->level].from);
    db_text_put(&t, " WHERE $1 IS NOT NULL AND ");
    db_text_put(&t, levels[q->level].id);
    db_text_put(&t, " = ANY ($2) ORDER BY ");
    db_text_put(&t, levels[q->level].id);
    return ask(d, &t, result, err);
}

/* How many were visited; less than there are: the caller has seen enough. */
static size_t visit_rows(const PGresult *r, size_t rows, size_t columns, db_match_visit visit,
                         void *context)
{
    const char *values[DB_WANTED_MAX];
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            values[j] = PQgetvalue(r, (int)i, (int)j); /* libpq puts a terminator behind each */
        }
        if (!visit(context, values)) {
            return i;
        }
    }
    return rows;
}

static int by_value(const void *a, const void *b)
{
    int64_t x;
    int64_t y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static void free_ids(int64_t **ids)
{
    free(*ids);
}

static enum ds_status collect_ids(struct db *d, const struct db_query *q, int64_t **out,
                                  size_t *count, struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    *count = 0;
    const enum ds_status s = ask_ids(d, q, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu matches", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = db_int(r, i, 0);
    }
    qsort(*out, *count, sizeof(**out), by_value);
    return DS_OK;
}

static enum ds_status find_many(struct db *d, const struct db_query *q, db_match_visit visit,
                                void *context, bool *more, struct ds_error *err)
{
    DS_AUTO(free_ids) int64_t *ids = NULL;
    size_t count = 0;
    enum ds_status s = collect_ids(d, q, &ids, &count, err);
    *more = count > q->max;
    count = *more ? (size_t)q->max : count;
    for (size_t at = 0; s == DS_OK && at < count; at += PAGE) {
        DS_AUTO(db_clear) PGresult *r = NULL;
        s = ask_page(d, q, ids + at, count - at < PAGE ? count - at : PAGE, &r, err);
        const size_t rows = s == DS_OK ? db_rows(r) : 0;
        if (visit_rows(r, rows, q->wanted_count, visit, context) < rows) {
            break;
        }
    }
    return s;
}

static bool is_sound(const struct db_query *q)
{
    bool sound = q->condition_count <= DB_CONDITIONS_MAX && q->wanted_count <= DB_WANTED_MAX;
    for (size_t i = 0; sound && i < q->condition_count; i++) {
        sound = q->conditions[i].level <= q->level && q->conditions[i].count > 0;
    }
    for (size_t i = 0; sound && i < q->wanted_count; i++) {
        sound = q->wanted[i].level <= q->level;
    }
    return sound;
}

enum ds_status db_find(struct db *d, const struct db_query *q, db_match_visit visit, void *context,
                       bool *more, struct ds_error *err)
{
    *more = false;
    if (!is_sound(q)) {
        return ds_fail(err, DS_ECAPACITY, "the query has %zu conditions and %zu attributes",
                       q->condition_count, q->wanted_count);
    }
    DS_AUTO(db_clear) PGresult *few = NULL;
    const enum ds_status s = ask_few(d, q, &few, err);
    if (s != DS_OK) {
        return s;
    }
    const size_t rows = db_rows(few);
    if (rows == 0) { /* none, or many */
        return find_many(d, q, visit, context, more, err);
    }
    const size_t shown = rows > q->max ? (size_t)q->max : rows;
    *more = visit_rows(few, shown, q->wanted_count, visit, context) == shown && rows > q->max;
    return DS_OK;
}
