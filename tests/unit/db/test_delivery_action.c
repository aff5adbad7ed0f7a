/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator sees of deliveries, and what he does about them. */
#include "tests/unit/db/fixture.h"

static int64_t planned(unsigned study, unsigned count, const char *peer, int64_t *ids)
{
    int generation;
    const int64_t row = index_study(study, count, ids);
    OK(plan_study(row, ids, count, peer, &generation));
    return row;
}

static struct db_delivery_row *list(const struct db_delivery_filter *f, size_t *count)
{
    struct db_delivery_row *rows;
    OK(db_delivery_list(db, f, 100, 0, &rows, count, &err));
    return rows;
}

/* Claims one and lets it fail for good. */
static int64_t fail_one(const char *peer)
{
    struct db_delivery *got;
    assert_int_equal(claim(peer, 1, 60000, &got), 1);
    const struct db_delivery_result r = {.id = got[0].id,
                                         .state = DB_FAILED,
                                         .answered = true,
                                         .dimse_status = 0xc123,
                                         .cause = "cannot understand",
                                         .duration_us = 77};
    const int64_t id = got[0].id;
    free(got);
    OK(db_delivery_finish(db, &r, 1, &err));
    return id;
}

static void a_list_has_what_the_filter_names(void **state)
{
    (void)state;
    int64_t ids[3], others[1];
    const int64_t study = planned(400, 3, "PEER400", ids);
    (void)planned(401, 1, "PEER401", others);
    const int64_t failed = fail_one("PEER400");

    struct db_delivery_filter f = DB_DELIVERY_FILTER_ALL;
    f.study_uid = "1.2.3.400";
    size_t count;
    struct db_delivery_row *rows = list(&f, &count);
    assert_int_equal(count, 3);
    assert_int_equal(rows[0].id, failed);
    assert_int_equal(rows[0].instance_id, ids[0]);
    assert_int_equal(rows[0].study_id, study);
    assert_string_equal(rows[0].peer, "PEER400");
    assert_string_equal(rows[0].rule, "a rule");
    assert_int_equal(rows[0].state, DB_FAILED);
    assert_int_equal(rows[0].action, DB_SEND_CARRIER);
    assert_int_equal(rows[0].priority, DB_PRIORITY_ROUTINE);
    assert_int_equal(rows[0].generation, 1);
    assert_int_equal(rows[0].attempts, 1);
    assert_string_equal(rows[0].study_uid, "1.2.3.400");
    assert_string_equal(rows[0].sop_uid, "1.2.3.400.1.0");
    assert_true(rows[0].answered);
    assert_int_equal(rows[0].dimse_status, 0xc123);
    assert_string_equal(rows[0].cause, "cannot understand");
    assert_true(rows[0].created_us > 0 && rows[0].finished_us >= rows[0].created_us);
    assert_int_equal(rows[1].state, DB_READY);
    assert_int_equal(rows[1].finished_us, 0);
    const int64_t second = rows[1].id;
    free(rows);

    f.state = DB_FAILED;
    rows = list(&f, &count);
    assert_int_equal(count, 1);
    free(rows);
    f = DB_DELIVERY_FILTER_ALL;
    f.peer = "PEER401";
    rows = list(&f, &count);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].study_uid, "1.2.3.401");
    free(rows);
    f = DB_DELIVERY_FILTER_ALL;
    f.ids = &second;
    f.id_count = 1;
    rows = list(&f, &count);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].id, second);
    free(rows);
    f = DB_DELIVERY_FILTER_ALL;
    f.study_uid = "1.2.3.400";
    OK(db_delivery_list(db, &f, 1, failed, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].id, second);
    free(rows);
    f.state = 7;
    assert_int_equal(db_delivery_list(db, &f, 1, 0, &rows, &count, &err), DS_EINVAL);
}

static void the_attempts_of_one_are_told(void **state)
{
    (void)state;
    int64_t ids[1];
    (void)planned(402, 1, "PEER402", ids);
    const int64_t id = fail_one("PEER402");
    struct db_attempt *tries;
    size_t count;
    OK(db_delivery_attempts(db, id, &tries, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(tries[0].attempt, 1);
    assert_int_equal(tries[0].outcome, DB_FAILED);
    assert_int_equal(tries[0].dimse_status, 0xc123);
    assert_int_equal(tries[0].duration_us, 77);
    assert_string_equal(tries[0].node, "TESTNODE");
    assert_string_equal(tries[0].cause, "cannot understand");
    free(tries);
    OK(db_delivery_attempts(db, 987654321, &tries, &count, &err));
    assert_int_equal(count, 0);
    assert_null(tries);
}

static void one_many_and_paused_ones_come_back_in_the_name_of_who_asked(void **state)
{
    (void)state;
    int64_t ids[3];
    (void)planned(403, 3, "PEER403", ids);
    const int64_t first = fail_one("PEER403");
    (void)fail_one("PEER403");
    struct db_delivery *got;
    assert_int_equal(claim("PEER403", 1, 60000, &got), 1);
    const struct db_delivery_result away = {
        .id = got[0].id, .state = DB_READY, .retry_after_ms = 600000, .cause = "away"};
    free(got);
    OK(db_delivery_finish(db, &away, 1, &err));

    struct db_delivery_filter f = DB_DELIVERY_FILTER_ALL;
    f.ids = &first;
    f.id_count = 1;
    uint64_t count;
    OK(db_delivery_requeue(db, &f, "operator anna", &count, &err));
    assert_int_equal(count, 1);
    OK(db_delivery_requeue(db, &f, "operator anna", &count, &err));
    assert_int_equal(count, 0); /* it is due already */
    f = DB_DELIVERY_FILTER_ALL;
    f.study_uid = "1.2.3.403";
    OK(db_delivery_requeue(db, &f, "operator anna", &count, &err));
    assert_int_equal(count, 2); /* the failed one, and the one in its pause */
    assert_int_equal(claim("PEER403", 9, 60000, &got), 3);
    assert_int_equal(got[0].attempts, 0);
    free(got);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'requeued' AND "
                         "actor = 'operator anna' AND detail->>'peer' = 'PEER403'"),
                     3);
}

static void what_is_cancelled_comes_back_only_by_its_id(void **state)
{
    (void)state;
    int64_t ids[2];
    (void)planned(404, 2, "PEER404", ids);
    struct db_delivery *got;
    assert_int_equal(claim("PEER404", 1, 60000, &got), 1);
    const int64_t leased = got[0].id;
    free(got);
    struct db_delivery_filter f = DB_DELIVERY_FILTER_ALL;
    f.peer = "PEER404";
    uint64_t count;
    OK(db_delivery_cancel(db, &f, "wrong patient", "operator anna", &count, &err));
    assert_int_equal(count, 2);
    size_t n;
    struct db_delivery_row *rows = list(&f, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].state, DB_LEASED); /* on its way: what it becomes is not known yet */
    assert_int_equal(rows[1].state, DB_CANCELLED);
    assert_string_equal(rows[1].cause, "wrong patient");
    const int64_t cancelled = rows[1].id;
    free(rows);
    const struct db_delivery_result away = {.id = leased, .state = DB_READY, .cause = "away"};
    OK(db_delivery_finish(db, &away, 1, &err));
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER404' AND state = "
                         "'cancelled'"),
                     2);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'cancelled' AND actor = "
                         "'operator anna' AND detail->>'reason' = 'wrong patient'"),
                     2);
    assert_int_equal(requeue("PEER404"), 0);
    f.ids = &cancelled;
    f.id_count = 1;
    OK(db_delivery_requeue(db, &f, "operator anna", &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(claim("PEER404", 9, 60000, &got), 1);
    free(got);
}

static void what_was_sent_is_neither_cancelled_nor_sent_again(void **state)
{
    (void)state;
    int64_t ids[1];
    (void)planned(405, 1, "PEER405", ids);
    struct db_delivery *got;
    assert_int_equal(claim("PEER405", 1, 60000, &got), 1);
    const struct db_delivery_result r = sent_result(got[0].id);
    const int64_t id = got[0].id;
    free(got);
    OK(db_delivery_finish(db, &r, 1, &err));
    struct db_delivery_filter f = DB_DELIVERY_FILTER_ALL;
    f.ids = &id;
    f.id_count = 1;
    uint64_t count;
    OK(db_delivery_cancel(db, &f, "too late", "operator anna", &count, &err));
    assert_int_equal(count, 0);
    OK(db_delivery_requeue(db, &f, "operator anna", &count, &err));
    assert_int_equal(count, 0);
}

static void what_is_quarantined_stays_out(void **state)
{
    (void)state;
    int64_t ids[1];
    (void)planned(406, 1, "PEER406", ids);
    const int64_t id = fail_one("PEER406");
    OK(db_instance_quarantine(db, ids[0], DB_UNVERIFIED, "proof failed", &err));
    struct db_delivery_filter f = DB_DELIVERY_FILTER_ALL;
    f.ids = &id;
    f.id_count = 1;
    uint64_t count;
    OK(db_delivery_requeue(db, &f, "operator anna", &count, &err));
    assert_int_equal(count, 0);
}

static void states_have_their_names(void **state)
{
    (void)state;
    enum db_delivery_state s;
    for (unsigned i = 0; i < DB_DELIVERY_STATES; i++) {
        assert_true(db_delivery_state_from(db_delivery_state_name((enum db_delivery_state)i), &s));
        assert_int_equal(s, i);
    }
    assert_false(db_delivery_state_from("lost", &s));
    assert_int_equal(ask("SELECT array_length(enum_range(NULL::delivery_state), 1)"),
                     DB_DELIVERY_STATES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_what_the_filter_names),
        cmocka_unit_test(the_attempts_of_one_are_told),
        cmocka_unit_test(one_many_and_paused_ones_come_back_in_the_name_of_who_asked),
        cmocka_unit_test(what_is_cancelled_comes_back_only_by_its_id),
        cmocka_unit_test(what_was_sent_is_neither_cancelled_nor_sent_again),
        cmocka_unit_test(what_is_quarantined_stays_out),
        cmocka_unit_test(states_have_their_names),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
