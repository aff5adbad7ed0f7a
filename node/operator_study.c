/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "db/operate.h"

#include <limits.h>
#include <stdlib.h>

/* {"waiting": 0, "ready": 3, ...} */
static json_t *counts_of(const uint64_t counts[DB_DELIVERY_STATES])
{
    json_t *out = json_object();
    for (unsigned i = 0; i < DB_DELIVERY_STATES; i++) {
        (void)json_object_set_new(out, db_delivery_state_name((enum db_delivery_state)i),
                                  json_integer((json_int_t)counts[i]));
    }
    return out;
}

static json_t *row_of(const struct db_study_row *r)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o, s:s, s:i, s:I, s:I, s:I, s:o, s:o}", "id",
                     (json_int_t)r->id, "study", r->study_uid, "state",
                     db_study_state_name(r->state), "accession", r->accession, "description",
                     control_text(r->description), "deliveries", counts_of(r->counts), "date",
                     r->study_date, "generation", r->generation, "instances",
                     (json_int_t)r->instances, "unplanned", (json_int_t)r->unplanned, "quarantined",
                     (json_int_t)r->quarantined, "first", operator_time(r->first_us), "last",
                     operator_time(r->last_us));
}

enum ds_status operator_study_list(void *services, const struct control_request *request,
                                   struct control_answer *answer, struct ds_error *err)
{
    json_int_t limit = 0;
    json_int_t before = 0;
    struct db *db = NULL;
    unsigned max = 0;
    enum ds_status s =
        operator_arguments(request, err, "{s?I, s?I}", "limit", &limit, "before", &before);
    if (s == DS_OK) {
        s = operator_limit(limit, &max, err);
    }
    if (s == DS_OK) {
        s = operator_db(services, &db, err);
    }
    struct db_study_row *rows = NULL;
    size_t count = 0;
    if (s == DS_OK) {
        s = db_study_list(db, NULL, max, before, &rows, &count, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = control_row(answer, row_of(&rows[i]), err);
    }
    free(rows);
    return s;
}

/* The study with this number; the list before the next number begins with it. */
static enum ds_status study_numbered(struct db *db, const char *text, struct db_study_row *out,
                                     struct ds_error *err)
{
    char *end = NULL;
    const long long id = strtoll(text, &end, 10);
    struct db_study_row *row = NULL;
    size_t count = 0;
    if (end == text || *end != '\0' || id <= 0 || id == LLONG_MAX) {
        return ds_fail(err, DS_ENOTFOUND, "no study has this UID, accession number or number");
    }
    enum ds_status s = db_study_list(db, NULL, 1, id + 1, &row, &count, err);
    if (s == DS_OK && (count == 0 || row->id != id)) {
        s = ds_fail(err, DS_ENOTFOUND, "no study has this UID, accession number or number");
    }
    if (s == DS_OK) {
        *out = *row;
    }
    free(row);
    return s;
}

/* The study that the request names by UID, accession number, or the number that the log gives it.
 */
static enum ds_status read_study(struct services *services, const struct control_request *request,
                                 struct db **db, struct db_study_row *out, struct ds_error *err)
{
    const char *study = NULL;
    enum ds_status s = operator_arguments(request, err, "{s:s}", "study", &study);
    if (s == DS_OK) {
        s = operator_db(services, db, err);
    }
    if (s == DS_OK) {
        s = db_study_show(*db, study, out, err);
    }
    return s == DS_ENOTFOUND ? study_numbered(*db, study, out, err) : s;
}

enum ds_status operator_study_show(void *services, const struct control_request *request,
                                   struct control_answer *answer, struct ds_error *err)
{
    struct db *db = NULL;
    struct db_study_row row;
    struct db_study_peer *peers = NULL;
    size_t count = 0;
    enum ds_status s = read_study(services, request, &db, &row, err);
    if (s == DS_OK) {
        s = db_study_peers(db, row.id, &peers, &count, err);
    }
    if (s != DS_OK) {
        return s;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "peer", peers[i].peer,
                                                    "state", db_study_state_name(peers[i].state),
                                                    "deliveries", counts_of(peers[i].counts)));
    }
    free(peers);
    json_t *shown = row_of(&row);
    (void)json_object_set_new(shown, "peers", list);
    return control_row(answer, shown, err);
}

enum ds_status operator_study_complete(void *services, const struct control_request *request,
                                       struct control_answer *answer, struct ds_error *err)
{
    struct services *node = services;
    struct db *db = NULL;
    struct db_study_row row;
    enum ds_status s = read_study(node, request, &db, &row, err);
    if (s == DS_OK) {
        s = db_study_hint_add(db, row.study_uid, DB_HINT_OPERATOR, 0, err);
    }
    if (s == DS_OK) {
        const struct db_event event = {
            .kind = "complete-asked", .study_id = row.id, .actor = request->actor};
        s = db_event_add(db, &event, 1, err);
    }
    if (s != DS_OK) {
        return s;
    }
    bell_ring(&node->planning);
    return control_row(
        answer,
        json_pack("{s:s, s:I}", "study", row.study_uid, "unplanned", (json_int_t)row.unplanned),
        err);
}
