/* SPDX-License-Identifier: Apache-2.0 */
#include "node/backoff.h"
#include "node/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void waits_grow_by_the_factor_up_to_the_cap(void **state)
{
    (void)state;
    const struct config_retry steady = {
        .first_ms = 1000, .cap_ms = 600000, .factor = 3, .jitter_percent = 0};
    assert_int_equal(backoff_ms(&steady, 1, 7), 1000);
    assert_int_equal(backoff_ms(&steady, 2, 7), 3000);
    assert_int_equal(backoff_ms(&steady, 3, 7), 9000);
    assert_int_equal(backoff_ms(&steady, 10, 7), 600000);
    assert_int_equal(backoff_ms(&steady, 4000000000U, 7), 600000);
    const struct config_retry level = {
        .first_ms = 5000, .cap_ms = 600000, .factor = 1, .jitter_percent = 0};
    assert_int_equal(backoff_ms(&level, 4000000000U, 7), 5000);
}

static void the_spread_stays_within_the_jitter(void **state)
{
    (void)state;
    const struct config_retry own = {
        .first_ms = 1000, .cap_ms = BACKOFF_CAP_MS, .factor = 2, .jitter_percent = 20};
    int64_t least = INT64_MAX, most = 0;
    for (unsigned failures = 0; failures < 20; failures++) {
        for (uint32_t chance = 0; chance < 5000; chance += 7) {
            const int64_t wait = backoff_ms(&own, failures, chance * 2654435761U);
            assert_in_range(wait, 800, BACKOFF_CAP_MS + BACKOFF_CAP_MS / 5);
            least = wait < least ? wait : least;
            most = wait > most ? wait : most;
        }
    }
    assert_true(least < 820 && most > BACKOFF_CAP_MS);
    for (unsigned i = 0; i < 100; i++) {
        assert_in_range(backoff_drawn_ms(1), 800, 1200);
    }
}

static void a_failed_study_is_left_alone_until_its_time(void **state)
{
    (void)state;
    struct patience *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_true(patience_may_try(p, 7, 10, 1000));
    assert_int_equal(patience_failed(p, 7, 10, 1000), 1);
    assert_false(patience_may_try(p, 7, 10, 1001));
    assert_true(patience_may_try(p, 7, 10, 1000 + 1200));
    assert_true(patience_may_try(p, 8, 10, 1001));
    free(p);
}

static void a_failed_study_is_tried_when_more_has_come(void **state)
{
    (void)state;
    struct patience *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_int_equal(patience_failed(p, 7, 10, 1000), 1);
    assert_true(patience_may_try(p, 7, 11, 1001));
    patience_done(p, 7);
    assert_true(patience_may_try(p, 7, 10, 1001));
    assert_int_equal(patience_failed(p, 7, 10, 1000), 1);
    assert_int_equal(patience_failed(p, 7, 10, 1000), 2);
    free(p);
}

static void a_thing_is_said_once_for_each_study(void **state)
{
    (void)state;
    struct patience *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_true(patience_say_once(p, 7, 1));
    assert_false(patience_say_once(p, 7, 1));
    assert_true(patience_say_once(p, 7, 2));
    assert_true(patience_say_once(p, 8, 1));
    free(p);
}

static void a_full_table_forgets_the_oldest_study(void **state)
{
    (void)state;
    struct patience *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    for (int64_t id = 1; id <= PATIENCE_ROOM + 1; id++) {
        assert_true(patience_say_once(p, id, 1));
    }
    assert_false(patience_say_once(p, PATIENCE_ROOM + 1, 1));
    assert_true(patience_say_once(p, 1, 1));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_by_the_factor_up_to_the_cap),
        cmocka_unit_test(the_spread_stays_within_the_jitter),
        cmocka_unit_test(a_failed_study_is_left_alone_until_its_time),
        cmocka_unit_test(a_failed_study_is_tried_when_more_has_come),
        cmocka_unit_test(a_thing_is_said_once_for_each_study),
        cmocka_unit_test(a_full_table_forgets_the_oldest_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
