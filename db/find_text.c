/* SPDX-License-Identifier: Apache-2.0 */
#include "db/find_text.h"

#include <stdio.h>
#include <string.h>

#define TAG(group, element) ((uint32_t)(group) << 16 | (uint32_t)(element))

/* Attributes with a column. */
static const struct {
    uint32_t tag;
    const char *sql;
} columns[] = {
    {TAG(0x0008, 0x0016), "i.sop_class_uid"},   {TAG(0x0008, 0x0018), "i.sop_uid"},
    {TAG(0x0008, 0x0020), "st.study_date"},     {TAG(0x0008, 0x0050), "st.accession"},
    {TAG(0x0008, 0x0060), "se.modality"},       {TAG(0x0008, 0x1030), "st.description"},
    {TAG(0x0008, 0x3002), "i.transfer_syntax"}, {TAG(0x0010, 0x0010), "st.patient_name"},
    {TAG(0x0010, 0x0020), "st.patient_id"},     {TAG(0x0020, 0x000d), "st.study_uid"},
    {TAG(0x0020, 0x000e), "se.series_uid"},
};

#define OF_PATIENT                                                                                 \
    "FROM studies o JOIN instances x ON x.study_id = o.id AND @ WHERE o.patient_id = "             \
    "st.patient_id AND (st.patient_id <> '' OR o.patient_name = st.patient_name)"
#define OF_STUDY  "FROM instances x WHERE x.study_id = st.id AND @"
#define OF_SERIES "FROM instances x WHERE x.series_id = se.id AND @"
#define MODALITIES                                                                                 \
    "FROM series m WHERE m.study_id = st.id AND m.modality <> '' AND EXISTS (SELECT 1 FROM "       \
    "instances x WHERE x.series_id = m.id AND @)"

/* Attributes that sum up what is below (PS3.4 C.3.4): the sum, over whom, and one of those. */
static const struct {
    uint32_t tag;
    const char *sum, *over, *one;
} sums[] = {
    {TAG(0x0008, 0x0061), "string_agg(DISTINCT m.modality, '\\')", MODALITIES, "m.modality"},
    {TAG(0x0008, 0x0062), "string_agg(DISTINCT x.sop_class_uid, '\\')", OF_STUDY,
     "x.sop_class_uid"},
    {TAG(0x0020, 0x1200), "count(DISTINCT o.id)", OF_PATIENT, NULL},
    {TAG(0x0020, 0x1202), "count(DISTINCT x.series_id)", OF_PATIENT, NULL},
    {TAG(0x0020, 0x1204), "count(DISTINCT x.sop_uid)", OF_PATIENT, NULL},
    {TAG(0x0020, 0x1206), "count(DISTINCT x.series_id)", OF_STUDY, NULL},
    {TAG(0x0020, 0x1208), "count(DISTINCT x.sop_uid)", OF_STUDY, NULL},
    {TAG(0x0020, 0x1209), "count(DISTINCT x.sop_uid)", OF_SERIES, NULL},
};

void db_text_free(struct db_text *t)
{
    ds_bytes_free(&t->sql);
    db_args_free(&t->args);
}

static void put_raw(struct db_text *t, const char *text, size_t len)
{
    if (t->status == DS_OK) {
        t->status = ds_bytes_append(&t->sql, text, len, NULL);
    }
}

void db_text_shown(struct db_text *t, const char *alias)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "%s.kind = ANY ('{%s%s%s%s}'::smallint[]) AND %s.quarantined_at IS NULL AND "
                   "%s.deleted_at IS NULL AND %s.archive IN ('', $1)",
                   alias, (t->kinds & DB_KINDS(DB_ORIGINAL)) != 0 ? "0," : "",
                   (t->kinds & DB_KINDS(DB_CARRIER)) != 0 ? "1," : "",
                   (t->kinds & DB_KINDS(DB_RESTORED)) != 0 ? "2," : "",
                   (t->kinds & DB_KINDS(DB_REPORT)) != 0 ? "3" : "-1", alias, alias, alias);
    put_raw(t, text, strlen(text));
}

void db_text_put(struct db_text *t, const char *words)
{
    for (const char *at = strchr(words, '@'); at != NULL; at = strchr(words, '@')) {
        put_raw(t, words, (size_t)(at - words));
        db_text_shown(t, "x");
        words = at + 1;
    }
    put_raw(t, words, strlen(words));
}

static void put_argument(struct db_text *t, const char *value)
{
    char text[16];
    if (t->args.count >= DB_ARGS_MAX) {
        t->status = t->status == DS_OK ? DS_ECAPACITY : t->status;
        return;
    }
    db_arg_text(&t->args, value);
    (void)snprintf(text, sizeof(text), "$%u", t->args.count);
    db_text_put(t, text);
}

/* ---- attributes ---- */

static const char *column_of(uint32_t tag)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(columns); i++) {
        if (columns[i].tag == tag) {
            return columns[i].sql;
        }
    }
    return NULL;
}

static size_t sum_of(uint32_t tag)
{
    size_t i = 0;
    while (i < DS_ARRAY_SIZE(sums) && sums[i].tag != tag) {
        i++;
    }
    return i;
}

#define EXPRESSION_BYTES 64U

static const char *alias_of(enum db_level level)
{
    return level == DB_LEVEL_IMAGE ? "i" : level == DB_LEVEL_SERIES ? "se" : "st";
}

/* NULL where there is no such attribute. */
static void expression_of(enum db_level level, uint32_t tag, bool folded,
                          char out[EXPRESSION_BYTES])
{
    const char *column = column_of(tag);
    if (column != NULL) {
        (void)snprintf(out, EXPRESSION_BYTES, "%s", column);
    } else {
        (void)snprintf(out, EXPRESSION_BYTES, "(%s.attributes->>'%08X%s')", alias_of(level),
                       (unsigned)tag, folded ? "k" : "");
    }
}

void db_text_value(struct db_text *t, const struct db_wanted *w)
{
    const size_t sum = sum_of(w->tag);
    char expression[EXPRESSION_BYTES];
    db_text_put(t, "COALESCE((");
    if (sum < DS_ARRAY_SIZE(sums)) {
        db_text_put(t, "SELECT ");
        db_text_put(t, sums[sum].sum);
        db_text_put(t, " ");
        db_text_put(t, sums[sum].over);
    } else {
        expression_of(w->level, w->tag, false, expression);
        db_text_put(t, expression);
    }
    db_text_put(t, ")::text, '')");
}

/* ---- comparisons ---- */

/* The pattern of PS3.4 C.2.2.2.4 as one of LIKE. */
static void put_pattern(struct db_text *t, const char *before, const char *pattern,
                        const char *after)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes like = DS_BYTES_INIT(DB_STATEMENT_MAX_BYTES);
    enum ds_status s = ds_bytes_append(&like, before, strlen(before), NULL);
    for (const char *c = pattern; s == DS_OK && *c != '\0'; c++) {
        const bool is_special = *c == '%' || *c == '_' || *c == '\\';
        const char put = *c == '*' ? '%' : *c == '?' ? '_' : *c;
        s = is_special ? ds_bytes_put_u8(&like, '\\', NULL) : DS_OK;
        s = s == DS_OK ? ds_bytes_append(&like, &put, 1, NULL) : s;
    }
    s = s == DS_OK ? ds_bytes_append(&like, after, strlen(after) + 1, NULL) : s;
    t->status = t->status == DS_OK ? s : t->status;
    if (s == DS_OK) {
        put_argument(t, (const char *)like.data);
    }
}

static void put_equal(struct db_text *t, const char *x, const struct db_condition *c)
{
    db_text_put(t, x);
    if (c->count == 1) {
        db_text_put(t, " = ");
        put_argument(t, c->values[0]);
        return;
    }
    if (t->args.count >= DB_ARGS_MAX) {
        t->status = t->status == DS_OK ? DS_ECAPACITY : t->status;
        return;
    }
    db_array_begin(&t->args, DB_TEXT);
    for (size_t i = 0; i < c->count; i++) {
        db_item_text(&t->args, c->values[i]);
    }
    db_array_end(&t->args);
    char text[32];
    (void)snprintf(text, sizeof(text), " = ANY ($%u)", t->args.count);
    db_text_put(t, text);
}

static void put_likes(struct db_text *t, const char *x, const struct db_condition *c)
{
    for (size_t i = 0; i < c->count; i++) {
        db_text_put(t, i == 0 ? "" : " OR ");
        db_text_put(t, x);
        db_text_put(t, " LIKE ");
        put_pattern(t, "", c->values[i], "");
    }
}

/* What is no number equals none. */
static void put_numbers(struct db_text *t, const char *x, const struct db_condition *c)
{
    for (size_t i = 0; i < c->count; i++) {
        db_text_put(t, i == 0 ? "CASE WHEN " : " OR CASE WHEN ");
        db_text_put(t, x);
        db_text_put(t, " ~ '^ *[+-]?[0-9]{1,16}([.][0-9]{0,16})?([eE][+-]?[0-9]{1,2})? *$' THEN ");
        db_text_put(t, x);
        db_text_put(t, "::numeric = ");
        put_argument(t, c->values[i]);
        db_text_put(t, "::numeric ELSE false END");
    }
}

/* form: how the stored text becomes one that is ordered as text. An open beginning still asks for a
 * digit: what is empty is in no range. */
static void put_range(struct db_text *t, const char *before, const char *x, const char *after,
                      const struct db_condition *c)
{
    const bool has_low = c->count > 0 && c->values[0][0] != '\0';
    db_text_put(t, before);
    db_text_put(t, x);
    db_text_put(t, after);
    db_text_put(t, " >= ");
    put_argument(t, has_low ? c->values[0] : "0");
    if (c->count > 1 && c->values[1][0] != '\0') {
        db_text_put(t, " AND ");
        db_text_put(t, before);
        db_text_put(t, x);
        db_text_put(t, after);
        db_text_put(t, " <= ");
        put_argument(t, c->values[1]);
    }
}

static void put_time(struct db_text *t, const char *x, const struct db_condition *c)
{
    char tail[128];
    (void)snprintf(tail, sizeof(tail),
                   ", '.', 1), ':', ''), 6, '0') || split_part(%s, '.', 2), 12, '0') COLLATE \"C\"",
                   x);
    db_text_put(t, x);
    db_text_put(t, " <> '' AND ");
    put_range(t, "rpad(rpad(replace(split_part(", x, tail, c);
}

/* One component group of a name (PS3.5 6.2.1) or all of it. */
static void put_names(struct db_text *t, const struct db_condition *c)
{
    for (size_t i = 0; i < c->count; i++) {
        db_text_put(t, i == 0 ? "st.name_key LIKE " : " OR st.name_key LIKE ");
        put_pattern(t, "", c->values[i], "");
        if (strchr(c->values[i], '=') != NULL) {
            continue;
        }
        db_text_put(t, " OR (strpos(st.name_key, '=') > 0 AND (st.name_key LIKE ");
        put_pattern(t, "", c->values[i], "=%");
        db_text_put(t, " OR st.name_key LIKE ");
        put_pattern(t, "%=", c->values[i], "");
        db_text_put(t, " OR st.name_key LIKE ");
        put_pattern(t, "%=", c->values[i], "=%");
        db_text_put(t, "))");
    }
}

static void put_words(struct db_text *t, const struct db_condition *c)
{
    for (size_t i = 0; i < c->count; i++) {
        db_text_put(t, i == 0 ? "strpos(st.name_words, " : " OR strpos(st.name_words, ");
        put_argument(t, c->values[i]);
        db_text_put(t, ") > 0");
    }
}

static void put_comparison(struct db_text *t, const char *x, const struct db_condition *c)
{
    switch (c->how) {
    case DB_COMPARE_EQUAL:
        put_equal(t, x, c);
        break;
    case DB_COMPARE_LIKE:
        put_likes(t, x, c);
        break;
    case DB_COMPARE_NUMBER:
        put_numbers(t, x, c);
        break;
    case DB_COMPARE_DATE: /* the expression of the index studies_date */
        put_range(t, "left(replace(", x, ", '.', ''), 8) COLLATE \"C\"", c);
        break;
    case DB_COMPARE_TIME:
        put_time(t, x, c);
        break;
    case DB_COMPARE_DATETIME:
        put_range(t, "rpad(replace(substring(", x,
                  " from '^[0-9.]*'), '.', ''), 20, '0') COLLATE \"C\"", c);
        break;
    case DB_COMPARE_NAME:
        put_names(t, c);
        break;
    case DB_COMPARE_WORDS:
        put_words(t, c);
        break;
    }
}

/* ---- conditions ---- */

static void put_one(struct db_text *t, const struct db_condition *c)
{
    const size_t sum = sum_of(c->tag);
    char x[EXPRESSION_BYTES];
    expression_of(c->level, c->tag, c->is_folded, x);
    if (sum < DS_ARRAY_SIZE(sums) && sums[sum].one != NULL) {
        db_text_put(t, "EXISTS (SELECT 1 ");
        db_text_put(t, sums[sum].over);
        db_text_put(t, " AND (");
        put_comparison(t, sums[sum].one, c);
        db_text_put(t, "))");
    } else if (c->is_multiple) {
        db_text_put(t, "EXISTS (SELECT 1 FROM unnest(string_to_array(");
        db_text_put(t, x);
        db_text_put(t, ", '\\')) AS v WHERE ");
        put_comparison(t, "v", c);
        db_text_put(t, ")");
    } else {
        put_comparison(t, x, c);
    }
}

/* All conditions on the sequence of the one at first, of one item. */
static void put_item(struct db_text *t, const struct db_condition *all, size_t first, size_t count)
{
    char text[160];
    (void)snprintf(text, sizeof(text),
                   "EXISTS (SELECT 1 FROM jsonb_path_query(%s.attributes, '$.\"%08X\"[*]') "
                   "AS item WHERE true",
                   alias_of(all[first].level), (unsigned)all[first].sequence);
    db_text_put(t, text);
    for (size_t i = first; i < count; i++) {
        if (all[i].sequence == all[first].sequence) {
            (void)snprintf(text, sizeof(text), "(item->>'%08X%s')", (unsigned)all[i].tag,
                           all[i].is_folded ? "k" : "");
            db_text_put(t, " AND (");
            put_comparison(t, text, &all[i]);
            db_text_put(t, ")");
        }
    }
    db_text_put(t, ")");
}

static bool is_first_of_sequence(const struct db_condition *all, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (all[i].sequence == all[at].sequence) {
            return false;
        }
    }
    return true;
}

void db_text_conditions(struct db_text *t, const struct db_condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (conditions[i].sequence != 0 && !is_first_of_sequence(conditions, i)) {
            continue;
        }
        db_text_put(t, " AND (");
        if (conditions[i].sequence != 0) {
            put_item(t, conditions, i, count);
        } else {
            put_one(t, &conditions[i]);
        }
        db_text_put(t, ")");
    }
}
