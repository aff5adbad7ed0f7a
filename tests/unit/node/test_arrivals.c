/* SPDX-License-Identifier: Apache-2.0 */
#include "node/arrivals.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PRODUCERS 4
#define EACH      500

static void arrivals_come_out_in_their_order(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[3];
    assert_int_equal(arrivals_new(&a, 8, NULL), DS_OK);
    const uint8_t hash[DS_SHA256_BYTES] = {1, 2, 3};
    arrivals_add(a, "1", NULL);
    arrivals_add(a, "2", hash);
    arrivals_add(a, "3", NULL);
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 2);
    assert_string_equal(out[0].id, "1");
    assert_false(out[0].has_file_hash);
    assert_string_equal(out[1].id, "2");
    assert_true(out[1].has_file_hash);
    assert_memory_equal(out[1].file_hash, hash, sizeof(hash));
    assert_int_equal(arrivals_take(a, 0, out, 3, 0, 0), 1);
    assert_string_equal(out[0].id, "3");
    assert_int_equal(arrivals_take(a, 0, out, 3, 10, 0), 0);
    arrivals_free(a);
}

static void a_full_queue_says_so_once_it_is_empty(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[4];
    assert_int_equal(arrivals_new(&a, 2, NULL), DS_OK);
    arrivals_add(a, "1", NULL);
    arrivals_add(a, "2", NULL);
    assert_false(arrivals_overflowed(a));
    arrivals_add(a, "3", NULL);
    assert_false(arrivals_overflowed(a)); /* not before the others are taken */
    assert_int_equal(arrivals_take(a, 0, out, 4, 0, 0), 2);
    assert_true(arrivals_overflowed(a));
    assert_false(arrivals_overflowed(a));
    arrivals_free(a);
}

static void what_was_put_back_comes_again_when_its_time_is_over(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[2];
    const uint8_t hash[DS_SHA256_BYTES] = {4, 5, 6};
    assert_int_equal(arrivals_new(&a, 2, NULL), DS_OK);
    arrivals_add(a, "1", hash);
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 1);
    assert_int_equal(out[0].tries, 0);
    arrivals_put_back(a, &out[0], 100);
    arrivals_add(a, "2", NULL);
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 1); /* the others need not wait for it */
    assert_string_equal(out[0].id, "2");
    assert_true(arrivals_lag_ms(a) >= 0);
    (void)usleep(120000);
    assert_true(arrivals_lag_ms(a) >= 100); /* it is not done */
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 1);
    assert_string_equal(out[0].id, "1");
    assert_memory_equal(out[0].file_hash, hash, sizeof(hash));
    assert_int_equal(out[0].tries, 1);
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 0);
    assert_int_equal(arrivals_lag_ms(a), 0);
    arrivals_free(a);
}

static void what_fails_for_long_holds_up_nobody(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[1];
    assert_int_equal(arrivals_new(&a, 2, NULL), DS_OK);
    arrivals_add(a, "1", NULL);
    assert_int_equal(arrivals_take(a, 0, out, 1, 0, 0), 1);
    out[0].added_ms -= ARRIVAL_COUNTS_MS;
    arrivals_put_back(a, &out[0], 60000);
    struct arrival none[1];
    assert_int_equal(arrivals_take(a, 0, none, 1, 0, 0),
                     0); /* what was taken before is done with */
    assert_int_equal(arrivals_lag_ms(a), 0);
    arrivals_put_back(a, &out[0], 0);
    assert_int_equal(arrivals_take(a, 0, out, 1, 0, 0), 1);
    assert_int_equal(arrivals_lag_ms(a), 0);
    arrivals_free(a);
}

static void more_than_can_be_put_back_is_found_in_the_spool(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[2] = {{.id = "1"}};
    assert_int_equal(arrivals_new(&a, 2, NULL), DS_OK);
    for (unsigned i = 0; i < ARRIVALS_LATER_MAX; i++) {
        arrivals_put_back(a, &out[0], 0);
    }
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 2);
    assert_false(arrivals_overflowed(a));
    for (unsigned i = 0; i < 3; i++) {
        arrivals_put_back(a, &out[0], 0);
    }
    assert_false(arrivals_overflowed(a)); /* they could not be put back again */
    assert_int_equal(arrivals_take(a, 0, out, 2, 0, 0), 2);
    assert_true(arrivals_overflowed(a));
    assert_false(arrivals_overflowed(a));
    arrivals_free(a);
}

static void the_spool_is_read_again_after_a_while(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    assert_int_equal(arrivals_new(&a, 2, NULL), DS_OK);
    arrivals_read_again(a, 100);
    assert_false(arrivals_overflowed(a));
    (void)usleep(120000);
    assert_true(arrivals_overflowed(a));
    assert_false(arrivals_overflowed(a));
    arrivals_free(a);
}

static void a_closed_queue_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[1];
    assert_int_equal(arrivals_new(&a, 2, NULL), DS_OK);
    arrivals_close(a);
    const int64_t begun = ds_clock_monotonic_ms();
    assert_int_equal(arrivals_take(a, 0, out, 1, 10000, 10000), 0);
    assert_true(ds_clock_monotonic_ms() - begun < 5000);
    arrivals_free(a);
}

static void the_lag_is_that_of_the_oldest_that_is_not_done(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[1];
    assert_int_equal(arrivals_new(&a, 4, NULL), DS_OK);
    assert_int_equal(arrivals_lag_ms(a), 0);
    arrivals_add(a, "1", NULL);
    assert_int_equal(arrivals_take(a, 3, out, 1, 0, 0), 1);
    (void)usleep(30000);
    arrivals_add(a, "2", NULL);
    assert_true(arrivals_lag_ms(a) >= 30); /* taken, not done */
    assert_int_equal(arrivals_take(a, 3, out, 1, 0, 0), 1);
    assert_true(arrivals_lag_ms(a) < 30);
    assert_int_equal(arrivals_take(a, 3, out, 1, 0, 0), 0);
    assert_int_equal(arrivals_lag_ms(a), 0);
    arrivals_free(a);
}

static void *produce(void *queue)
{
    for (int i = 0; i < EACH; i++) {
        arrivals_add(queue, "x", NULL);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    struct arrivals *a = NULL;
    struct arrival out[64];
    pthread_t threads[PRODUCERS];
    assert_int_equal(arrivals_new(&a, (size_t)PRODUCERS * EACH, NULL), DS_OK);
    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, produce, a), 0);
    }
    size_t taken = 0;
    while (taken < (size_t)PRODUCERS * EACH) {
        const size_t n = arrivals_take(a, 0, out, 64, 5000, 5);
        assert_true(n > 0);
        taken += n;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(arrivals_take(a, 0, out, 64, 0, 0), 0);
    arrivals_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrivals_come_out_in_their_order),
        cmocka_unit_test(a_full_queue_says_so_once_it_is_empty),
        cmocka_unit_test(what_was_put_back_comes_again_when_its_time_is_over),
        cmocka_unit_test(what_fails_for_long_holds_up_nobody),
        cmocka_unit_test(more_than_can_be_put_back_is_found_in_the_spool),
        cmocka_unit_test(the_spool_is_read_again_after_a_while),
        cmocka_unit_test(a_closed_queue_keeps_nobody_waiting),
        cmocka_unit_test(the_lag_is_that_of_the_oldest_that_is_not_done),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
