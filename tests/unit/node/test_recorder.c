/* SPDX-License-Identifier: Apache-2.0 */
/* Events behind answers: kept while the database is away, and dropped at the end, not leaked. */
#include "node/recorder.h"

#include "base/clock.h"
#include "node/services.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct services services;
static struct ds_error err;

static void without_a_database_nobody_waits_and_the_end_comes_in_time(void **state)
{
    (void)state;
    struct recorder *r = NULL;
    services_init(&services);
    assert_int_equal(recorder_start(&r, &services, &err), DS_OK);
    for (unsigned i = 0; i < 1000; i++) {
        const struct db_event event = {.kind = "queried", .actor = "A", .detail = NULL};
        recorder_add(r, &event); /* a copy: the event is gone after this line */
    }
    assert_true(recorder_stop(r, ds_clock_monotonic_ms() + 60000));
    services_finish(&services);
}

static void without_a_recorder_it_is_said(void **state)
{
    (void)state;
    const struct db_event event = {.kind = "queried", .actor = "A"};
    recorder_add(NULL, &event);
    assert_true(recorder_stop(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_database_nobody_waits_and_the_end_comes_in_time),
        cmocka_unit_test(without_a_recorder_it_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
