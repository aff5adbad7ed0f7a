/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "db/operate.h"

#include <stdio.h>
#include <stdlib.h>

#define IDS_MAX 10000U

/* The conditions of a request; ids are the filter's, to be freed. */
struct conditions {
    struct db_delivery_filter filter;
    int64_t *ids;
};

static void conditions_free(struct conditions *c)
{
    free(c->ids);
}

static enum ds_status read_ids(struct conditions *c, json_t *ids, struct ds_error *err)
{
    const size_t count = json_array_size(ids); /* 0 of what is no array */
    if (ids == NULL) {
        return DS_OK;
    }
    if (!json_is_array(ids) || count == 0 || count > IDS_MAX) {
        return ds_fail(err, DS_EINVAL, "ids are a list of 1 to %u numbers", IDS_MAX);
    }
    c->ids = calloc(count, sizeof(*c->ids));
    if (c->ids == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id)) {
            return ds_fail(err, DS_EINVAL, "ids are a list of 1 to %u numbers", IDS_MAX);
        }
        c->ids[i] = json_integer_value(id);
    }
    c->filter.ids = c->ids;
    c->filter.id_count = count;
    return DS_OK;
}

static enum ds_status read_state(struct conditions *c, const char *name, struct ds_error *err)
{
    enum db_delivery_state state = DB_WAITING;
    if (name == NULL) {
        return DS_OK;
    }
    if (!db_delivery_state_from(name, &state)) {
        return ds_fail(err, DS_EINVAL,
                       "no such state; expected waiting, ready, leased, sent, committed, failed or "
                       "cancelled");
    }
    c->filter.state = (int)state;
    return DS_OK;
}

static enum ds_status read_conditions(struct conditions *c, const char *state, json_t *ids,
                                      struct ds_error *err)
{
    const enum ds_status s = read_state(c, state, err);
    return s == DS_OK ? read_ids(c, ids, err) : s;
}

/* ---- rows ---- */

static json_t *status_text(bool answered, uint16_t dimse_status)
{
    char text[8];
    (void)snprintf(text, sizeof(text), "%04x", (unsigned)dimse_status);
    return answered ? json_string(text) : json_null();
}

static const char *action_name(enum db_action action)
{
    static const char *const names[] = {
        [DB_SEND_AS_IS] = "as is", [DB_SEND_CARRIER] = "carrier", [DB_SEND_SIDECAR] = "sidecar"};
    return names[action];
}

static json_t *row_of(const struct db_delivery_row *d)
{
    return json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:s, s:s}",
        "id", (json_int_t)d->id, "peer", d->peer, "state", db_delivery_state_name(d->state),
        "study", d->study_uid, "instance", d->sop_uid, "rule", d->rule, "generation", d->generation,
        "action", action_name(d->action), "priority", db_priority_name(d->priority), "attempts",
        (int)d->attempts, "created", operator_time(d->created_us), "not_before",
        d->state == DB_READY ? operator_time(d->ready_us) : json_null(), "finished",
        operator_time(d->finished_us), "status", status_text(d->answered, d->dimse_status), "cause",
        control_text(d->cause), "note", control_text(d->note), "node", d->leased_by, "sent_as",
        d->sent_sop_uid);
}

enum ds_status operator_delivery_list(void *services, const struct control_request *request,
                                      struct control_answer *answer, struct ds_error *err)
{
    DS_AUTO(conditions_free) struct conditions c = {.filter = DB_DELIVERY_FILTER_ALL};
    const char *state = NULL;
    json_t *ids = NULL;
    json_int_t limit = 0;
    json_int_t after = 0;
    struct db *db = NULL;
    unsigned max = 0;
    enum ds_status s = operator_arguments(
        request, err, "{s?s, s?s, s?s, s?o, s?I, s?I}", "peer", &c.filter.peer, "state", &state,
        "study", &c.filter.study_uid, "ids", &ids, "limit", &limit, "after", &after);
    if (s == DS_OK) {
        s = read_conditions(&c, state, ids, err);
    }
    if (s == DS_OK) {
        s = operator_limit(limit, &max, err);
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    struct db_delivery_row *rows = NULL;
    size_t count = 0;
    if (s == DS_OK) {
        s = db_delivery_list(db, &c.filter, max, after, &rows, &count, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = control_row(answer, row_of(&rows[i]), err);
    }
    free(rows);
    return s;
}

/* ---- one delivery ---- */

static json_t *attempts_of(const struct db_attempt *attempts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct db_attempt *a = &attempts[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:i, s:o, s:f, s:s, s:s, s:o, s:o}", "attempt", (int)a->attempt, "finished",
                      operator_time(a->finished_us), "seconds", (double)a->duration_us / 1e6,
                      "node", a->node, "outcome", db_delivery_state_name(a->outcome), "status",
                      status_text(a->answered, a->dimse_status), "cause", control_text(a->cause)));
    }
    return list;
}

enum ds_status operator_delivery_show(void *services, const struct control_request *request,
                                      struct control_answer *answer, struct ds_error *err)
{
    json_int_t id = 0;
    struct db *db = NULL;
    enum ds_status s = operator_arguments(request, err, "{s:I}", "id", &id);
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    const int64_t wanted = id;
    struct db_delivery_filter filter = DB_DELIVERY_FILTER_ALL;
    filter.ids = &wanted;
    filter.id_count = 1;
    struct db_delivery_row *row = NULL;
    struct db_attempt *attempts = NULL;
    size_t count = 0;
    size_t attempt_count = 0;
    if (s == DS_OK) {
        s = db_delivery_list(db, &filter, 1, 0, &row, &count, err);
    }
    if (s == DS_OK && count == 0) {
        s = ds_fail(err, DS_ENOTFOUND, "no delivery %lld", (long long)id);
    }
    if (s == DS_OK) {
        s = db_delivery_attempts(db, id, &attempts, &attempt_count, err);
    }
    if (s == DS_OK) {
        json_t *shown = row_of(row);
        (void)json_object_set_new(shown, "history", attempts_of(attempts, attempt_count));
        s = control_row(answer, shown, err);
    }
    free(row);
    free(attempts);
    return s;
}

/* ---- retry and cancel ---- */

/* Everything at once is asked for, and does not come of forgetting a condition. */
static enum ds_status read_action(struct conditions *c, const struct control_request *request,
                                  const char **reason, struct ds_error *err)
{
    const char *state = NULL;
    json_t *ids = NULL;
    int all = 0;
    enum ds_status s = operator_arguments(
        request, err, "{s?s, s?s, s?s, s?o, s?b, s?s}", "peer", &c->filter.peer, "state", &state,
        "study", &c->filter.study_uid, "ids", &ids, "all", &all, "reason", reason);
    if (s == DS_OK) {
        s = read_conditions(c, state, ids, err);
    }
    const bool limited = c->filter.peer != NULL || c->filter.state >= 0 ||
                         c->filter.study_uid != NULL || c->filter.id_count > 0;
    if (s == DS_OK && limited == (all != 0)) {
        s = ds_fail(err, DS_EINVAL, "which deliveries? By peer, state, study or ids; or all");
    }
    return s;
}

/* Who names deliveries wants to know that it was for nothing. */
static enum ds_status answer_count(struct control_answer *answer, const struct conditions *c,
                                   uint64_t count, struct ds_error *err)
{
    if (c->filter.id_count > 0 && count == 0) {
        return ds_fail(err, DS_ENOTFOUND, "none of these deliveries is there and in such a state");
    }
    return control_row(answer, json_pack("{s:I}", "count", (json_int_t)count), err);
}

enum ds_status operator_delivery_retry(void *services, const struct control_request *request,
                                       struct control_answer *answer, struct ds_error *err)
{
    DS_AUTO(conditions_free) struct conditions c = {.filter = DB_DELIVERY_FILTER_ALL};
    const char *reason = NULL;
    struct db *db = NULL;
    uint64_t count = 0;
    enum ds_status s = read_action(&c, request, &reason, err);
    if (s == DS_OK && reason != NULL) {
        s = ds_fail(err, DS_EINVAL, "a retry needs no reason");
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    if (s == DS_OK) {
        s = db_delivery_requeue(db, &c.filter, request->actor, &count, err);
    }
    if (s == DS_OK) {
        services_hurry(services);
        s = answer_count(answer, &c, count, err);
    }
    return s;
}

enum ds_status operator_delivery_cancel(void *services, const struct control_request *request,
                                        struct control_answer *answer, struct ds_error *err)
{
    DS_AUTO(conditions_free) struct conditions c = {.filter = DB_DELIVERY_FILTER_ALL};
    const char *reason = NULL;
    struct db *db = NULL;
    uint64_t count = 0;
    enum ds_status s = read_action(&c, request, &reason, err);
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    if (s == DS_OK) {
        s = db_delivery_cancel(db, &c.filter, reason != NULL ? reason : "cancelled by an operator",
                               request->actor, &count, err);
    }
    return s == DS_OK ? answer_count(answer, &c, count, err) : s;
}
