/* SPDX-License-Identifier: Apache-2.0 */
#include "node/clerk.h"
#include "tests/unit/db/fixture.h"

#define LEASE_MS 2400U

static struct services services;

/* The clerk asks for nothing else of the services. */
static void start(struct clerk **clerk, unsigned lease_ms)
{
    services_init(&services);
    atomic_store(&services.db, db);
    OK(clerk_start(clerk, &services, lease_ms, &err));
}

static void stop(struct clerk *clerk)
{
    assert_true(clerk_stop(clerk, ds_clock_monotonic_ms() + 20000));
    services_finish(&services);
}

/* Plans count instances for the peer and holds them. */
static void hold(struct clerk *clerk, unsigned study, unsigned count, const char *peer,
                 struct lease **leases, int64_t *ids)
{
    int64_t instances[STUDY_MAX];
    int generation;
    const int64_t row = index_study(study, count, instances);
    OK(plan_study(row, instances, count, peer, &generation));
    struct db_delivery *got;
    const int64_t now = ds_clock_monotonic_ms();
    assert_int_equal(claim(peer, count, clerk_lease_ms(clerk), &got), count);
    OK(clerk_hold(clerk, got, count, now, leases, &err));
    for (unsigned i = 0; i < count; i++) {
        ids[i] = got[i].id;
    }
    free(got);
}

static size_t claimed_by_another(const char *peer)
{
    struct db *other;
    OK(db_open(&other, url, 1, "OTHERNODE", &err));
    const struct db_claim c = {.peer = peer, .max = 9, .lease_ms = 60000};
    struct db_delivery *got;
    size_t count;
    OK(db_delivery_claim(other, &c, &got, &count, &err));
    free(got);
    db_close(other);
    return count;
}

static void leases_are_renewed_for_as_long_as_it_takes(void **state)
{
    (void)state;
    struct clerk *clerk;
    start(&clerk, LEASE_MS);
    struct lease *leases[2];
    int64_t ids[2];
    hold(clerk, 700, 2, "PEER700", leases, ids);
    for (unsigned i = 0; i < 8; i++) { /* a send that takes two leases */
        (void)usleep(600000);
        assert_true(clerk_holds(clerk, leases[0]));
        assert_int_equal(claimed_by_another("PEER700"), 0);
    }
    stop(clerk); /* as a node that dies, but for the time */
    (void)usleep(LEASE_MS * 1000 + 100000);
    assert_int_equal(claimed_by_another("PEER700"), 2);
}

static void nothing_is_sent_under_a_lease_that_could_not_be_renewed(void **state)
{
    (void)state;
    struct clerk *clerk;
    start(&clerk, LEASE_MS);
    struct lease *leases[1];
    int64_t ids[1];
    hold(clerk, 701, 1, "PEER701", leases, ids);
    atomic_store(&services.db, NULL); /* the database goes */
    (void)usleep(LEASE_MS * 1000 + 100000);
    assert_false(clerk_holds(clerk, leases[0]));
    assert_int_equal(claimed_by_another("PEER701"), 1);
    atomic_store(&services.db, db); /* and comes back: the lease does not */
    (void)usleep(LEASE_MS * 1000);
    assert_false(clerk_holds(clerk, leases[0]));
    clerk_return(clerk, leases[0]);
    stop(clerk);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER701' AND "
                         "leased_by LIKE 'OTHERNODE:%'"),
                     1);
}

static void outcomes_wait_for_the_database_and_are_not_claimed_meanwhile(void **state)
{
    (void)state;
    struct clerk *clerk;
    start(&clerk, 60000);
    struct lease *leases[2];
    int64_t ids[2];
    hold(clerk, 702, 2, "PEER702", leases, ids);
    atomic_store(&services.db, NULL);
    char cause[] = "away";
    struct db_delivery_result sent = sent_result(ids[0]);
    struct db_delivery_result failed = {.id = ids[1], .state = DB_FAILED, .cause = cause};
    clerk_settle(clerk, leases[0], "PEER702", &sent);
    clerk_settle(clerk, leases[1], "PEER702", &failed);
    cause[0] = 'X'; /* ours again */
    (void)usleep(200000);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER702' AND state = "
                         "'leased'"),
                     2);
    atomic_store(&services.db, db);
    stop(clerk);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER702' AND state = "
                         "'sent' AND sent_sop_uid = '2.25.42'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER702' AND state = "
                         "'failed' AND cause = 'away'"),
                     1);
}

static void what_is_returned_is_ready_at_once(void **state)
{
    (void)state;
    struct clerk *clerk;
    start(&clerk, 60000);
    struct lease *leases[3];
    int64_t ids[3];
    hold(clerk, 703, 3, "PEER703", leases, ids);
    struct db_delivery_result sent = sent_result(ids[1]);
    clerk_return(clerk, leases[0]);
    clerk_settle(clerk, leases[1], "PEER703", &sent);
    clerk_return(clerk, leases[2]);
    stop(clerk);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER703' AND state = "
                         "'ready' AND attempts = 0"),
                     2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_are_renewed_for_as_long_as_it_takes),
        cmocka_unit_test(nothing_is_sent_under_a_lease_that_could_not_be_renewed),
        cmocka_unit_test(outcomes_wait_for_the_database_and_are_not_claimed_meanwhile),
        cmocka_unit_test(what_is_returned_is_ready_at_once),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
