/* SPDX-License-Identifier: Apache-2.0 */
#include "node/backoff.h"
#include "node/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void waits_double_up_to_the_cap(void **state)
{
    (void)state;
    /* chance 200 of the first wait's spread of 401 is its middle: no spread. */
    assert_int_equal(backoff_ms(1, 200), 1000);
    assert_int_equal(backoff_ms(2, 400), 2000);
    assert_int_equal(backoff_ms(3, 800), 4000);
    assert_int_equal(backoff_ms(10, 60000), BACKOFF_CAP_MS);
    assert_int_equal(backoff_ms(4000000000U, 60000), BACKOFF_CAP_MS);
}

static void the_spread_stays_within_a_fifth(void **state)
{
    (void)state;
    for (unsigned failures = 0; failures < 20; failures++) {
        for (uint32_t chance = 0; chance < 5000; chance += 7) {
            const int64_t wait = backoff_ms(failures, chance * 2654435761U);
            assert_in_range(wait, 800, BACKOFF_CAP_MS + BACKOFF_CAP_MS / 5);
        }
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
        cmocka_unit_test(waits_double_up_to_the_cap),
        cmocka_unit_test(the_spread_stays_within_a_fifth),
        cmocka_unit_test(a_failed_study_is_left_alone_until_its_time),
        cmocka_unit_test(a_failed_study_is_tried_when_more_has_come),
        cmocka_unit_test(a_thing_is_said_once_for_each_study),
        cmocka_unit_test(a_full_table_forgets_the_oldest_study),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
