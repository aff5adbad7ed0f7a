/* SPDX-License-Identifier: Apache-2.0 */
/* The database's clock is set: back, and what waits must not wait as much longer; forwards, and no
 * lease is lost. */
#include "db/clock.h"

#include "tests/unit/db/fixture.h"

#define HOUR_US 3600000000LL

static void run(const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, sql);
    assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
    PQclear(r);
    PQfinish(c);
}

static void a_clock_that_runs_on_is_left_alone(void **state)
{
    (void)state;
    struct db_clock c = {0};
    int64_t step_us = 1;
    OK(db_clock_look(db, &c, &step_us, &err));
    assert_int_equal(step_us, 0);
    OK(db_clock_look(db, &c, &step_us, &err));
    assert_int_equal(step_us, 0);
}

static void a_step_back_is_seen_once_and_by_its_size(void **state)
{
    (void)state;
    struct db_clock c = {0};
    int64_t step_us = 0;
    OK(db_clock_look(db, &c, &step_us, &err));
    c.ahead_us += HOUR_US; /* as if the clock had been an hour ahead */
    OK(db_clock_look(db, &c, &step_us, &err));
    assert_in_range(-step_us, HOUR_US - 10000000LL, HOUR_US);
    OK(db_clock_look(db, &c, &step_us, &err));
    assert_int_equal(step_us, 0);
}

static void a_step_forwards_is_seen_once_and_by_its_size(void **state)
{
    (void)state;
    struct db_clock c = {0};
    int64_t step_us = 0;
    OK(db_clock_look(db, &c, &step_us, &err));
    c.ahead_us -= HOUR_US;
    c.ahead_most_us -= HOUR_US;
    OK(db_clock_look(db, &c, &step_us, &err));
    assert_in_range(step_us, HOUR_US - 10000000LL, HOUR_US);
    OK(db_clock_look(db, &c, &step_us, &err));
    assert_int_equal(step_us, 0);
}

static void what_came_in_a_future_that_never_was_counts_as_come_now(void **state)
{
    (void)state;
    struct sample sample;
    struct db_received row = sample_row(&sample, 900, 0, 1);
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    struct db_pending_study p = {0};
    run("UPDATE instances SET indexed_at = clock_timestamp() + interval '1 hour'");
    assert_true(find_pending("1.2.3.900", &p));
    assert_true(p.idle_us < -HOUR_US / 2);
    OK(db_clock_mend(db, -HOUR_US, &err));
    assert_true(find_pending("1.2.3.900", &p));
    assert_in_range(p.idle_us, 0, HOUR_US / 2);
}

static void a_try_that_waits_for_such_a_future_is_due(void **state)
{
    (void)state;
    int64_t ids[2];
    int generation;
    const int64_t study = index_study(901, 2, ids);
    OK(plan_study(study, ids, 2, "PEER901", &generation));
    run("UPDATE deliveries SET ready_at = clock_timestamp() + interval '1 hour' "
        "WHERE peer = 'PEER901'");
    struct db_delivery *got;
    assert_int_equal(claim("PEER901", 2, 60000, &got), 0);
    free(got);
    OK(db_clock_mend(db, -HOUR_US, &err));
    assert_int_equal(claim("PEER901", 2, 60000, &got), 2);
    free(got);
}

#define LEASE_S(peer)                                                                              \
    ask("SELECT max(extract(epoch FROM leased_until - clock_timestamp()))::bigint "                \
        "FROM deliveries WHERE peer = '" peer "'")

static void a_lease_ends_as_much_earlier_but_not_before_its_holder_can_renew_it(void **state)
{
    (void)state;
    int64_t ids[1];
    int generation;
    const int64_t study = index_study(902, 1, ids);
    OK(plan_study(study, ids, 1, "PEER902", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER902", 1, 60000, &got), 1);
    free(got);
    OK(db_clock_mend(db, -HOUR_US, &err)); /* renewed after the step: it stays */
    assert_in_range(LEASE_S("PEER902"), 30, 60);
    run("UPDATE deliveries SET leased_until = leased_until + interval '1 hour' "
        "WHERE peer = 'PEER902'");
    OK(db_clock_mend(db, -HOUR_US, &err));
    assert_in_range(LEASE_S("PEER902"), 60, 120);
}

/* The clock goes forwards by an hour: every lease ends an hour too early. */
static void a_step_forwards_takes_no_lease_from_its_holder(void **state)
{
    (void)state;
    int64_t ids[2];
    int generation;
    const int64_t study = index_study(903, 2, ids);
    OK(plan_study(study, ids, 2, "PEER903", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER903", 1, 60000, &got), 1);
    free(got);
    struct db_clock c = {0};
    int64_t step_us = 0;
    OK(db_clock_look(db, &c, &step_us, &err));
    c.ahead_most_us -= HOUR_US; /* as we knew it before */
    db_clock_believe(db, &c);
    run("UPDATE deliveries SET leased_until = leased_until - interval '1 hour' "
        "WHERE peer = 'PEER903'");
    assert_int_equal(claim("PEER903", 2, 60000, &got), 1); /* the one that nobody holds */
    free(got);
    OK(db_clock_mend(db, HOUR_US, &err));
    assert_in_range(ask("SELECT min(extract(epoch FROM leased_until - clock_timestamp()))::bigint "
                        "FROM deliveries WHERE peer = 'PEER903'"),
                    30, 120);
    OK(db_clock_look(db, &c, &step_us, &err));
    db_clock_believe(db, &c);
    assert_int_equal(claim("PEER903", 2, 60000, &got), 0);
    free(got);
    run("UPDATE deliveries SET leased_until = leased_until - interval '1 hour' "
        "WHERE peer = 'PEER903'");
    assert_int_equal(claim("PEER903", 2, 60000, &got), 2); /* these have expired */
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_runs_on_is_left_alone),
        cmocka_unit_test(a_step_back_is_seen_once_and_by_its_size),
        cmocka_unit_test(a_step_forwards_is_seen_once_and_by_its_size),
        cmocka_unit_test(what_came_in_a_future_that_never_was_counts_as_come_now),
        cmocka_unit_test(a_try_that_waits_for_such_a_future_is_due),
        cmocka_unit_test(a_lease_ends_as_much_earlier_but_not_before_its_holder_can_renew_it),
        cmocka_unit_test(a_step_forwards_takes_no_lease_from_its_holder),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
