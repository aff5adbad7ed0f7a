/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are paused, given up for a while, or have something waiting for them. */
#include "tests/unit/db/fixture.h"

static struct db_peer_state state_in(const char *peer, bool with_past)
{
    struct db_peer_state *all, found = {.peer = ""};
    size_t count;
    OK(db_peer_states(db, with_past, &all, &count, &err));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].peer, peer) == 0) {
            found = all[i];
        }
    }
    free(all);
    return found;
}

static struct db_peer_state state_of(const char *peer)
{
    return state_in(peer, true);
}

static void a_paused_peer_gets_nothing_until_it_is_resumed(void **state)
{
    (void)state;
    int64_t ids[2];
    int generation;
    const int64_t study = index_study(500, 2, ids);
    OK(plan_study(study, ids, 2, "PEER500", &generation));
    bool changed, yield;
    OK(db_delivery_should_yield(db, "PEER500", DB_PRIORITY_ROUTINE, &yield, &err));
    assert_false(yield);
    OK(db_peer_pause(db, "PEER500", true, "maintenance", "operator anna", &changed, &err));
    assert_true(changed);
    OK(db_peer_pause(db, "PEER500", true, "again", "operator bert", &changed, &err));
    assert_false(changed);
    struct db_delivery *got;
    assert_int_equal(claim("PEER500", 9, 60000, &got), 0);
    OK(db_delivery_should_yield(db, "PEER500", DB_PRIORITY_STAT, &yield, &err));
    assert_true(yield);
    struct db_peer_state s = state_of("PEER500");
    assert_true(s.paused);
    assert_string_equal(s.pause_reason, "maintenance");
    assert_string_equal(s.pause_actor, "operator anna");
    assert_true(s.paused_us > 0);
    assert_int_equal(s.counts[DB_READY], 2);
    assert_true(s.oldest_undelivered_us > 0);
    OK(db_peer_pause(db, "PEER500", false, "done", "operator anna", &changed, &err));
    assert_true(changed);
    OK(db_peer_pause(db, "PEER500", false, "done", "operator anna", &changed, &err));
    assert_false(changed);
    assert_int_equal(claim("PEER500", 9, 60000, &got), 2);
    s = state_of("PEER500");
    assert_false(s.paused);
    assert_int_equal(s.counts[DB_LEASED], 2);
    const struct db_delivery_result r[2] = {
        sent_result(got[0].id),
        {.id = got[1].id, .state = DB_READY, .retry_after_ms = 600000, .cause = "away"}};
    free(got);
    OK(db_delivery_finish(db, r, 2, &err));
    s = state_of("PEER500");
    assert_int_equal(s.counts[DB_SENT], 1);
    assert_int_equal(s.counts[DB_READY], 1);
    assert_int_equal(s.in_pause, 1);
    s = state_in("PEER500", false);
    assert_int_equal(s.counts[DB_SENT], 0);
    assert_int_equal(s.counts[DB_READY], 1);
    assert_int_equal(s.in_pause, 1);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind IN ('peer-paused', "
                         "'peer-resumed') AND actor = 'operator anna' AND "
                         "detail->>'peer' = 'PEER500'"),
                     2);
}

static void the_worst_circuit_of_all_nodes_is_shown(void **state)
{
    (void)state;
    struct db *other;
    OK(db_open(&other, url, 1, "OTHERNODE", &err));
    const struct db_circuit closed = {DB_CIRCUIT_CLOSED, 0, "", 0};
    const struct db_circuit half = {DB_CIRCUIT_HALF_OPEN, 4, "half", 0};
    const struct db_circuit open = {DB_CIRCUIT_OPEN, 3, "refused", 5000};
    OK(db_peer_circuit(db, "PEER501", &half, &err));
    OK(db_peer_circuit(other, "PEER501", &open, &err));
    struct db_peer_state s = state_of("PEER501");
    assert_int_equal(s.circuit, DB_CIRCUIT_OPEN);
    assert_string_equal(s.circuit_node, "OTHERNODE");
    assert_string_equal(s.circuit_cause, "refused");
    assert_int_equal(s.circuit_failures, 3);
    assert_true(s.next_try_us > ds_clock_utc_us() - 60000000);
    OK(db_peer_circuit(other, "PEER501", &closed, &err));
    assert_int_equal(state_of("PEER501").circuit, DB_CIRCUIT_HALF_OPEN);
    OK(db_peer_circuit(db, "PEER501", &closed, &err));
    s = state_of("PEER501");
    assert_int_equal(s.circuit, DB_CIRCUIT_CLOSED);
    assert_string_equal(s.circuit_node, "");
    db_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_peer_gets_nothing_until_it_is_resumed),
        cmocka_unit_test(the_worst_circuit_of_all_nodes_is_shown),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
