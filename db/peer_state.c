/* SPDX-License-Identifier: Apache-2.0 */
/* Peers: paused by an operator, given up for a while by a node, and how much waits for them. */
#include "db/notes.h"
#include "db/operate.h"

#define COUNTS_AT 10

static const char sql_pause[] = "INSERT INTO peer_pauses (peer, reason, actor) VALUES ($1, $2, $3) "
                                "ON CONFLICT (peer) DO NOTHING";

static const char sql_resume[] = "DELETE FROM peer_pauses WHERE peer = $1";

static const char sql_notify[] = "NOTIFY dicomstego";

static const char sql_circuit[] =
    "INSERT INTO peer_circuits (peer, node, state, failures, cause, next_try_at) "
    "VALUES ($1, $2, $3, $4, $5, "
    "CASE WHEN $3 = 1 THEN clock_timestamp() + $6 * interval '1 millisecond' END) "
    "ON CONFLICT (peer, node) DO UPDATE SET state = excluded.state, failures = excluded.failures, "
    "cause = excluded.cause, changed_at = excluded.changed_at, next_try_at = excluded.next_try_at";

#define COUNT(state) "count(*) FILTER (WHERE state = '" state "') AS n_" state
/* over: where the deliveries come from. */
#define STATES_OVER(over)                                                                                                                                                                                                                                \
    "WITH owed AS (SELECT peer, " COUNT("waiting") ", " COUNT("ready") ", " COUNT(                                                                                                                                                                       \
        "leased") ", " COUNT("sent") ", " COUNT("committed") ", " COUNT("failed") ", " COUNT("can"                                                                                                                                                       \
                                                                                             "cel"                                                                                                                                                       \
                                                                                             "le"                                                                                                                                                        \
                                                                                             "d") ", "                                                                                                                                                   \
                                                                                                  "count(*) FILTER (WHERE state = 'ready' AND ready_at > statement_timestamp()) AS later, "                                                              \
                                                                                                  "min(created_at) FILTER (WHERE state IN ('ready', 'leased')) AS oldest "                                                                               \
                                                                                                  "FROM " over                                                                                                                                           \
                                                                                                  " GROUP BY peer), "                                                                                                                                    \
                                                                                                  "worst AS (SELECT DISTINCT ON (peer) * FROM peer_circuits "                                                                                            \
                                                                                                  "ORDER BY peer, (state = 1) DESC, state DESC, changed_at DESC), "                                                                                      \
                                                                                                  "names AS (SELECT peer FROM owed UNION SELECT peer FROM worst "                                                                                        \
                                                                                                  "UNION SELECT peer FROM peer_pauses) "                                                                                                                 \
                                                                                                  "SELECT peer, p.peer IS NOT NULL, COALESCE(p.reason, ''), COALESCE(p.actor, ''), " DB_US(                                                              \
                                                                                                      "p.paused_at") ", COALESCE(w.state, 0)::bigint, "                                                                                                  \
                                                                                                                     "CASE WHEN w.state > 0 THEN w.node ELSE '' END, COALESCE(w.cause, ''), "                                                            \
                                                                                                                     "COALESCE(w.failures, 0)::bigint, " DB_US(                                                                                          \
                                                                                                                         "w.next_try_at") ", COALESCE(n_waiting, 0), "                                                                                   \
                                                                                                                                          "COALESCE(n_ready, 0), COALESCE(n_leased, 0), COALESCE(n_sent, 0), "                                           \
                                                                                                                                          "COALESCE(n_committed, 0), COALESCE(n_failed, 0), COALESCE(n_cancelled, 0), "                                  \
                                                                                                                                          "COALESCE(o.later, 0), GREATEST(" DB_US(                                                                       \
                                                                                                                                              "clock_timestamp() - o.oldest") ", 0) "                                                                    \
                                                                                                                                                                              "FROM names LEFT JOIN owed o USING (peer) LEFT JOIN worst w USING (peer) " \
                                                                                                                                                                              "LEFT JOIN peer_pauses p USING (peer) ORDER BY peer"

static const char sql_states[] = STATES_OVER("deliveries");
/* Each half has a partial index of its own: the past is not read. */
static const char sql_queues[] =
    STATES_OVER("(SELECT peer, state, ready_at, created_at FROM deliveries "
                "WHERE state IN ('ready', 'leased') UNION ALL "
                "SELECT peer, state, ready_at, created_at FROM deliveries "
                "WHERE state IN ('waiting', 'failed')) AS q");

const char *db_circuit_state_name(enum db_circuit_state state)
{
    static const char *const names[] = {"closed", "open", "half-open"};
    return (unsigned)state < DS_ARRAY_SIZE(names) ? names[state] : "";
}

enum ds_status db_peer_circuit(struct db *d, const char *peer, const struct db_circuit *circuit,
                               struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_text(&a, peer);
    db_arg_text(&a, db_node(d));
    db_arg_int(&a, circuit->state);
    db_arg_int(&a, circuit->failures);
    db_arg_text(&a, circuit->cause);
    db_arg_int(&a, circuit->next_try_in_ms);
    return db_ask(d, sql_circuit, &a, NULL, err);
}

static enum ds_status note_pause(struct db_tx *t, const char *peer, bool paused, const char *reason,
                                 const char *actor, struct ds_error *err)
{
    DS_AUTO(db_notes_free) struct db_notes notes = DB_NOTES_INIT;
    db_note(&notes, paused ? "peer-paused" : "peer-resumed", actor)->peer = peer;
    db_note_text(&notes, "peer", peer);
    db_note_text(&notes, "reason", reason);
    return db_notes_put(t, &notes, err);
}

enum ds_status db_peer_pause(struct db *d, const char *peer, bool paused, const char *reason,
                             const char *actor, bool *changed, struct ds_error *err)
{
    *changed = false;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_text(&a, peer);
    if (paused) {
        db_arg_text(&a, reason);
        db_arg_text(&a, actor);
    }
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, paused ? sql_pause : sql_resume, &a, &r, err);
    }
    if (s == DS_OK && db_affected(r) > 0) {
        s = note_pause(&t, peer, paused, reason, actor, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_notify, NULL, NULL, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    *changed = s == DS_OK && db_affected(r) > 0;
    return s;
}

static void state_from(const PGresult *r, size_t at, struct db_peer_state *out)
{
    db_text(r, at, 0, out->peer, sizeof(out->peer));
    out->paused = db_bool(r, at, 1);
    db_text(r, at, 2, out->pause_reason, sizeof(out->pause_reason));
    db_text(r, at, 3, out->pause_actor, sizeof(out->pause_actor));
    out->paused_us = db_int(r, at, 4);
    out->circuit = (enum db_circuit_state)db_int(r, at, 5);
    db_text(r, at, 6, out->circuit_node, sizeof(out->circuit_node));
    db_text(r, at, 7, out->circuit_cause, sizeof(out->circuit_cause));
    out->circuit_failures = (unsigned)db_int(r, at, 8);
    out->next_try_us = db_int(r, at, 9);
    for (unsigned i = 0; i < DB_DELIVERY_STATES; i++) {
        out->counts[i] = (uint64_t)db_int(r, at, COUNTS_AT + (int)i);
    }
    out->in_pause = (uint64_t)db_int(r, at, COUNTS_AT + (int)DB_DELIVERY_STATES);
    out->oldest_undelivered_us = db_int(r, at, COUNTS_AT + (int)DB_DELIVERY_STATES + 1);
}

enum ds_status db_peer_states(struct db *d, bool with_past, struct db_peer_state **out,
                              size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = db_ask(d, with_past ? sql_states : sql_queues, NULL, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu peers", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        state_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}
