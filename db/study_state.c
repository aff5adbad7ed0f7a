/* SPDX-License-Identifier: Apache-2.0 */
/* Studies as an operator sees them. Their state is not stored: it follows from the deliveries. */
#include "db/operate.h"
#include "db/query.h"

#define COUNTS_AT 12

#define COUNT(state) "count(*) FILTER (WHERE d.state = '" state "')"
#define COUNTS                                                                                     \
    COUNT("waiting")                                                                               \
    ", " COUNT("ready") ", " COUNT("leased") ", " COUNT("sent") ", " COUNT(                        \
        "committed") ", " COUNT("failed") ", " COUNT("cancelled")

/* A study without an instance is there only while its first is being indexed. */
#define STUDY_COLUMNS                                                                              \
    "SELECT st.id, st.study_uid, st.accession, st.description, st.study_date, st.patient_id, "     \
    "st.generation::bigint, i.total, i.unplanned, i.quarantined, i.first, i.last, owed.* "         \
    "FROM studies st CROSS JOIN LATERAL (SELECT count(*) AS total, "                               \
    "count(*) FILTER (WHERE generation IS NULL AND quarantined_at IS NULL) AS unplanned, "         \
    "count(*) FILTER (WHERE quarantined_at IS NOT NULL) AS quarantined, " DB_US(                   \
        "min(received_at)") " AS first, " DB_US("max(received_at)") " AS last "                    \
                                                                    "FROM instances WHERE "        \
                                                                    "study_id = st.id) AS i "      \
                                                                    "CROSS JOIN LATERAL "          \
                                                                    "(SELECT " COUNTS              \
                                                                    " FROM deliveries d "          \
                                                                    "JOIN generations g ON g.id "  \
                                                                    "= d.generation_id WHERE "     \
                                                                    "g.study_id = st.id) AS owed "

static const char sql_list[] =
    STUDY_COLUMNS "WHERE ($1::text IS NULL OR st.study_uid = $1) AND ($2 = 0 OR st.id < $2) "
                  "ORDER BY st.id DESC LIMIT $3";

static const char sql_show[] = STUDY_COLUMNS "WHERE st.id = $1";

static const char sql_peers[] = "SELECT d.peer, " COUNTS " FROM deliveries d "
                                "JOIN generations g ON g.id = d.generation_id "
                                "WHERE g.study_id = $1 GROUP BY d.peer ORDER BY d.peer";

const char *db_study_state_name(enum db_study_state state)
{
    static const char *const names[] = {"receiving", "kept",     "partly-failed", "failed",
                                        "sending",   "pending",  "held",          "delivered",
                                        "committed", "cancelled"};
    return (unsigned)state < DS_ARRAY_SIZE(names) ? names[state] : "";
}

enum db_study_state db_study_state_of(const uint64_t n[DB_DELIVERY_STATES], uint64_t unplanned)
{
    const uint64_t done = n[DB_SENT] + n[DB_COMMITTED];
    const uint64_t due = n[DB_READY] + n[DB_LEASED];
    if (n[DB_FAILED] > 0) {
        return done + due + n[DB_WAITING] > 0 ? DB_STUDY_PARTLY_FAILED : DB_STUDY_FAILED;
    }
    if (due > 0) {
        return n[DB_LEASED] + done > 0 ? DB_STUDY_SENDING : DB_STUDY_PENDING;
    }
    if (n[DB_WAITING] > 0) {
        return DB_STUDY_HELD;
    }
    if (done > 0) {
        return n[DB_SENT] > 0 ? DB_STUDY_DELIVERED : DB_STUDY_COMMITTED;
    }
    if (n[DB_CANCELLED] > 0) {
        return DB_STUDY_CANCELLED;
    }
    return unplanned > 0 ? DB_STUDY_RECEIVING : DB_STUDY_KEPT;
}

static void counts_from(const PGresult *r, size_t at, int first,
                        uint64_t counts[DB_DELIVERY_STATES])
{
    for (unsigned i = 0; i < DB_DELIVERY_STATES; i++) {
        counts[i] = (uint64_t)db_int(r, at, first + (int)i);
    }
}

static void study_from(const PGresult *r, size_t at, struct db_study_row *out)
{
    out->id = db_int(r, at, 0);
    db_text(r, at, 1, out->study_uid, sizeof(out->study_uid));
    db_text(r, at, 2, out->accession, sizeof(out->accession));
    db_text(r, at, 3, out->description, sizeof(out->description));
    db_text(r, at, 4, out->study_date, sizeof(out->study_date));
    db_text(r, at, 5, out->patient_id, sizeof(out->patient_id));
    out->generation = (int)db_int(r, at, 6);
    out->instances = (uint64_t)db_int(r, at, 7);
    out->unplanned = (uint64_t)db_int(r, at, 8);
    out->quarantined = (uint64_t)db_int(r, at, 9);
    out->first_us = db_int(r, at, 10);
    out->last_us = db_int(r, at, 11);
    counts_from(r, at, COUNTS_AT, out->counts);
    out->state = db_study_state_of(out->counts, out->unplanned);
}

enum ds_status db_study_list(struct db *d, const char *study_uid, unsigned limit, int64_t before_id,
                             struct db_study_row **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    if (limit == 0 || limit > DB_LIST_MAX) {
        return ds_fail(err, DS_EINVAL, "a list of %u studies; expected 1 to %u", limit,
                       DB_LIST_MAX);
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_text_or_null(&a, study_uid);
    db_arg_int(&a, before_id);
    db_arg_int(&a, limit);
    const enum ds_status s = db_ask(d, sql_list, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu studies", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        study_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_study_show(struct db *d, const char *uid_or_accession, struct db_study_row *out,
                             struct ds_error *err)
{
    *out = (struct db_study_row){0};
    int64_t id = 0;
    enum ds_status s = db_study_find(d, uid_or_accession, &id, err);
    if (s != DS_OK) {
        return s;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, id);
    s = db_ask(d, sql_show, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "no study has this UID or accession number");
    }
    if (s == DS_OK) {
        study_from(r, 0, out);
    }
    return s;
}

enum ds_status db_study_peers(struct db *d, int64_t study_id, struct db_study_peer **out,
                              size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_int(&a, study_id);
    const enum ds_status s = db_ask(d, sql_peers, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu peers", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        db_text(r, i, 0, (*out)[i].peer, sizeof((*out)[i].peer));
        counts_from(r, i, 1, (*out)[i].counts);
        (*out)[i].state = db_study_state_of((*out)[i].counts, 0);
    }
    return DS_OK;
}
