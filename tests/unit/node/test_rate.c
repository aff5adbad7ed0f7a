/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_was_sent_is_paid_for_before_the_next(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, 1000000);
    assert_int_equal(rate_wait_ms(&r, 50000), 0);
    rate_spend(&r, 500000, 50000);
    assert_int_equal(rate_wait_ms(&r, 50000), 500);
    rate_spend(&r, 250000, 50100); /* another worker, meanwhile */
    assert_int_equal(rate_wait_ms(&r, 50100), 650);
    assert_int_equal(rate_wait_ms(&r, 50750), 0);
    rate_spend(&r, UINT64_MAX, 60000);
    assert_int_equal(rate_wait_ms(&r, 60000), INT64_C(24) * 3600 * 1000);
    rate_finish(&r);
    rate_init(&r, 0);
    rate_spend(&r, UINT64_MAX, 60000);
    assert_int_equal(rate_wait_ms(&r, 60000), 0);
    rate_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sent_is_paid_for_before_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
