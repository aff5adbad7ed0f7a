/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries and their attempts as an operator sees them. */
#include "db/operate.h"
#include "db/query.h"

#include <string.h>

static const char sql_list[] =
    "SELECT d.id, d.instance_id, i.study_id, d.peer, d.rule, " DB_STATE_NUMBER(
        "d.state") ", "
                   "d.action::bigint, d.priority::bigint, g.generation::bigint, "
                   "d.attempts::bigint, "
                   "st.study_uid, i.sop_uid, " DB_US("d.created_at") ", " DB_US(
                       "d.ready_at") ", " DB_US("d.finished_at") ", d.dimse_status IS NOT NULL, "
                                                                 "COALESCE(d.dimse_status, "
                                                                 "0)::bigint, "
                                                                 "d.cause, d.note, "
                                                                 "COALESCE(d.leased_by, ''), "
                                                                 "COALESCE(d.sent_sop_uid, '') "
                                                                 "FROM " DB_FILTER_FROM
                                                                 "JOIN generations g ON g.id = "
                                                                 "d.generation_id "
                                                                 "WHERE " DB_FILTER_WHERE
                                                                 "AND d.id > $6 ORDER BY d.id "
                                                                 "LIMIT $5";

static const char sql_attempts[] = "SELECT * FROM (SELECT a.attempt::bigint, " DB_US(
    "a.finished_at") " AS at, a.duration_us, "
                     "a.node, " DB_STATE_NUMBER(
                         "a.outcome") ", a.dimse_status IS NOT NULL, "
                                      "COALESCE(a.dimse_status, 0)::bigint, a.cause, a.id FROM "
                                      "delivery_attempts a "
                                      "WHERE a.delivery_id = $1 ORDER BY a.id DESC LIMIT $2) AS "
                                      "newest ORDER BY id";

static const char *const state_names[DB_DELIVERY_STATES] = {
    "waiting", "ready", "leased", "sent", "committed", "failed", "cancelled"};
static const char *const priority_names[] = {"low", "routine", "high", "stat"};

const char *db_delivery_state_name(enum db_delivery_state state)
{
    return (unsigned)state < DB_DELIVERY_STATES ? state_names[state] : "";
}

bool db_delivery_state_from(const char *name, enum db_delivery_state *out)
{
    for (unsigned i = 0; i < DB_DELIVERY_STATES; i++) {
        if (strcmp(state_names[i], name) == 0) {
            *out = (enum db_delivery_state)i;
            return true;
        }
    }
    return false;
}

const char *db_priority_name(enum db_priority priority)
{
    return (unsigned)priority < DS_ARRAY_SIZE(priority_names) ? priority_names[priority] : "";
}

enum ds_status db_args_filter(struct db_args *a, const struct db_delivery_filter *f,
                              struct ds_error *err)
{
    if (f->state < -1 || f->state >= (int)DB_DELIVERY_STATES) {
        return ds_fail(err, DS_EINVAL, "there is no delivery state %d", f->state);
    }
    db_arg_text_or_null(a, f->peer);
    db_arg_text_or_null(a, f->state < 0 ? NULL : state_names[f->state]);
    db_arg_text_or_null(a, f->study_uid);
    db_arg_ids(a, f->ids, f->id_count);
    if (f->id_count == 0) {
        a->length[a->count - 1] = -1;
    }
    return DS_OK;
}

static void row_from(const PGresult *r, size_t at, struct db_delivery_row *out)
{
    out->id = db_int(r, at, 0);
    out->instance_id = db_int(r, at, 1);
    out->study_id = db_int(r, at, 2);
    db_text(r, at, 3, out->peer, sizeof(out->peer));
    db_text(r, at, 4, out->rule, sizeof(out->rule));
    out->state = (enum db_delivery_state)db_int(r, at, 5);
    out->action = (enum db_action)db_int(r, at, 6);
    out->priority = (enum db_priority)db_int(r, at, 7);
    out->generation = (int)db_int(r, at, 8);
    out->attempts = (unsigned)db_int(r, at, 9);
    db_text(r, at, 10, out->study_uid, sizeof(out->study_uid));
    db_text(r, at, 11, out->sop_uid, sizeof(out->sop_uid));
    out->created_us = db_int(r, at, 12);
    out->ready_us = db_int(r, at, 13);
    out->finished_us = db_int(r, at, 14);
    out->answered = db_bool(r, at, 15);
    out->dimse_status = (uint16_t)db_int(r, at, 16);
    db_text(r, at, 17, out->cause, sizeof(out->cause));
    db_text(r, at, 18, out->note, sizeof(out->note));
    db_text(r, at, 19, out->leased_by, sizeof(out->leased_by));
    db_text(r, at, 20, out->sent_sop_uid, sizeof(out->sent_sop_uid));
}

enum ds_status db_delivery_list(struct db *d, const struct db_delivery_filter *filter,
                                unsigned limit, int64_t after_id, struct db_delivery_row **out,
                                size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    if (limit == 0 || limit > DB_LIST_MAX) {
        return ds_fail(err, DS_EINVAL, "a list of %u deliveries; expected 1 to %u", limit,
                       DB_LIST_MAX);
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    enum ds_status s = db_args_filter(&a, filter, err);
    db_arg_int(&a, limit);
    db_arg_int(&a, after_id);
    s = s == DS_OK ? db_ask(d, sql_list, &a, &r, err) : s;
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu deliveries", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        row_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_delivery_attempts(struct db *d, int64_t delivery_id, struct db_attempt **out,
                                    size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, delivery_id);
    db_arg_int(&a, DB_LIST_MAX);
    const enum ds_status s = db_ask(d, sql_attempts, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu attempts", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        struct db_attempt *t = &(*out)[i];
        t->attempt = (unsigned)db_int(r, i, 0);
        t->finished_us = db_int(r, i, 1);
        t->duration_us = db_int(r, i, 2);
        db_text(r, i, 3, t->node, sizeof(t->node));
        t->outcome = (enum db_delivery_state)db_int(r, i, 4);
        t->answered = db_bool(r, i, 5);
        t->dimse_status = (uint16_t)db_int(r, i, 6);
        db_text(r, i, 7, t->cause, sizeof(t->cause));
    }
    return DS_OK;
}
