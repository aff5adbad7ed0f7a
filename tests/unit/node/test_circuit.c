/* SPDX-License-Identifier: Apache-2.0 */
#include "node/circuit.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIRST_MS 1000
#define CAP_MS   8000

static struct config_peer peer = {
    .name = (char[]){"PEER"},
    .retry = {.first_ms = FIRST_MS, .cap_ms = CAP_MS, .factor = 2, .jitter_percent = 0},
    .circuit_after = 3,
};

/* Opens it by link failures; answers the time at which it is asked next. */
static int64_t opened(struct circuit *c)
{
    int64_t now = 100000;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(circuit_ask(c, now), CIRCUIT_GO);
        circuit_link_failed(c, false, "refused", now);
        assert_int_equal(circuit_ask(c, now), CIRCUIT_WAIT);
        now += FIRST_MS << i;
    }
    return now;
}

static void a_few_failures_only_pause(void **state)
{
    (void)state;
    struct circuit c;
    circuit_init(&c, &peer);
    circuit_link_failed(&c, false, "refused", 5000);
    circuit_link_failed(&c, false, "refused", 5001); /* another worker met the same */
    assert_int_equal(c.failures, 1);
    assert_int_equal(c.state, DB_CIRCUIT_CLOSED);
    assert_int_equal(circuit_ask(&c, 5999), CIRCUIT_WAIT);
    assert_int_equal(circuit_ask(&c, 6000), CIRCUIT_GO);
    circuit_answered(&c);
    assert_int_equal(c.failures, 0);
    circuit_finish(&c);
}

static void an_operator_ends_a_pause_and_once_for_each_time_that_he_says_so(void **state)
{
    (void)state;
    struct circuit c;
    circuit_init(&c, &peer);
    const int64_t now = opened(&c);
    circuit_hurry(&c, 1);
    assert_int_equal(circuit_ask(&c, now - FIRST_MS), CIRCUIT_PROBE);
    circuit_link_failed(&c, false, "refused", now - FIRST_MS);
    circuit_hurry(&c, 1); /* the other workers hear it, too */
    assert_int_equal(circuit_ask(&c, now - FIRST_MS), CIRCUIT_WAIT);
    circuit_hurry(&c, 2);
    assert_int_equal(circuit_ask(&c, now - FIRST_MS), CIRCUIT_PROBE);
    circuit_finish(&c);
}

static void after_enough_failures_one_worker_asks_first(void **state)
{
    (void)state;
    struct circuit c;
    circuit_init(&c, &peer);
    int64_t now = opened(&c);
    assert_int_equal(c.state, DB_CIRCUIT_OPEN);
    assert_int_equal(circuit_ask(&c, now - 1), CIRCUIT_WAIT);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_PROBE);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_WAIT); /* it is being asked already */
    circuit_link_failed(&c, false, "still away", now);
    assert_int_equal(circuit_ask(&c, now + CAP_MS - 1), CIRCUIT_WAIT); /* longer than before */
    now += CAP_MS;
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_PROBE);
    circuit_probed(&c);
    assert_int_equal(c.state, DB_CIRCUIT_HALF_OPEN);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_TRY);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_WAIT);
    circuit_tried(&c); /* nothing was there to try */
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_TRY);
    circuit_answered(&c);
    circuit_tried(&c);
    assert_int_equal(c.state, DB_CIRCUIT_CLOSED);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_GO);
    circuit_finish(&c);
}

static void a_peer_that_echoes_and_stores_nothing_waits_longer_each_time(void **state)
{
    (void)state;
    struct circuit c;
    circuit_init(&c, &peer);
    int64_t now = opened(&c);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_PROBE);
    circuit_probed(&c);
    assert_int_equal(circuit_ask(&c, now), CIRCUIT_TRY);
    assert_true(circuit_broke(&c, 1, 0, "reset", now));
    assert_true(circuit_broke(&c, 2, 0, "reset", now));
    assert_false(circuit_broke(&c, 3, 0, "reset", now));
    circuit_tried(&c);
    assert_int_equal(c.failures, 4); /* an echo forgets nothing */
    assert_int_equal(circuit_ask(&c, now + CAP_MS - 1), CIRCUIT_WAIT);
    circuit_finish(&c);
}

static void a_refusal_for_good_waits_the_longest_at_once(void **state)
{
    (void)state;
    struct circuit c;
    circuit_init(&c, &peer);
    circuit_link_failed(&c, true, "calling AE title not recognised", 1000);
    assert_int_equal(c.state, DB_CIRCUIT_OPEN);
    assert_int_equal(circuit_ask(&c, 1000 + CAP_MS - 1), CIRCUIT_WAIT);
    assert_int_equal(circuit_ask(&c, 1000 + CAP_MS), CIRCUIT_PROBE);
    circuit_finish(&c);
}

static void one_poisoned_delivery_never_opens_it(void **state)
{
    (void)state;
    struct circuit c;
    circuit_init(&c, &peer);
    for (unsigned attempts = 0; attempts < 50; attempts++) {
        assert_true(circuit_broke(&c, 7, attempts, "reset", 1000 + attempts));
    }
    for (int64_t id = 100; id < 200; id++) { /* each of them has broken it before */
        assert_true(circuit_broke(&c, id, 2, "reset", 2000));
    }
    assert_true(circuit_broke(&c, 8, 0, "reset", 2000));
    circuit_answered(&c); /* a good one in between */
    assert_true(circuit_broke(&c, 9, 0, "reset", 2000));
    assert_true(circuit_broke(&c, 10, 0, "reset", 2000));
    assert_int_equal(circuit_ask(&c, 2000), CIRCUIT_GO);
    assert_false(circuit_broke(&c, 11, 0, "reset", 2000));
    assert_int_equal(circuit_ask(&c, 2000), CIRCUIT_WAIT);
    circuit_finish(&c);
}

static void what_changes_is_reported_once(void **state)
{
    (void)state;
    struct circuit c;
    struct db_circuit now;
    char cause[DS_ERROR_TEXT_BYTES];
    circuit_init(&c, &peer);
    assert_true(
        circuit_report(&c, 0, &now, cause)); /* what stood there may be of another process */
    assert_int_equal(now.state, DB_CIRCUIT_CLOSED);
    assert_false(circuit_report(&c, 0, &now, cause));
    const int64_t at = opened(&c);
    assert_true(circuit_report(&c, at - 1500, &now, cause));
    assert_int_equal(now.state, DB_CIRCUIT_OPEN);
    assert_int_equal(now.failures, 3);
    assert_int_equal(now.next_try_in_ms, 1500);
    assert_string_equal(now.cause, "refused");
    circuit_unreported(&c);
    assert_true(circuit_report(&c, at, &now, cause));
    circuit_answered(&c);
    assert_true(circuit_report(&c, at, &now, cause));
    assert_int_equal(now.state, DB_CIRCUIT_CLOSED);
    circuit_answered(&c);
    assert_false(circuit_report(&c, at, &now, cause));
    circuit_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_failures_only_pause),
        cmocka_unit_test(an_operator_ends_a_pause_and_once_for_each_time_that_he_says_so),
        cmocka_unit_test(after_enough_failures_one_worker_asks_first),
        cmocka_unit_test(a_peer_that_echoes_and_stores_nothing_waits_longer_each_time),
        cmocka_unit_test(a_refusal_for_good_waits_the_longest_at_once),
        cmocka_unit_test(one_poisoned_delivery_never_opens_it),
        cmocka_unit_test(what_changes_is_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
