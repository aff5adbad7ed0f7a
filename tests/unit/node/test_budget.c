/* SPDX-License-Identifier: Apache-2.0 */
#include "node/budget.h"

#include "base/base.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#define TOTAL   100U
#define THREADS 8U
#define ROUNDS  200U

static void what_is_given_back_can_be_taken_again(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, TOTAL);
    for (unsigned i = 0; i < 3; i++) {
        struct budget_share share = budget_take(&b, 1000);
        assert_int_equal(share.bytes, TOTAL); /* all there is, not for ever */
        assert_int_equal(b.left, 0);
        budget_give(&share);
        budget_give(&share); /* once */
        assert_int_equal(b.left, TOTAL);
    }
    budget_finish(&b);
}

struct crowd {
    struct budget budget;
    atomic_uint in_use, most, taken;
};

static void *take_turns(void *context)
{
    struct crowd *c = context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const unsigned wanted = 1 + (i * 37U) % TOTAL;
        struct budget_share share = budget_take(&c->budget, wanted);
        const unsigned now = atomic_fetch_add(&c->in_use, wanted) + wanted;
        unsigned most = atomic_load(&c->most);
        while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {
        }
        (void)atomic_fetch_add(&c->taken, 1);
        (void)atomic_fetch_sub(&c->in_use, wanted);
        budget_give(&share);
    }
    return NULL;
}

static void never_more_is_in_use_than_there_is(void **state)
{
    (void)state;
    static struct crowd c;
    pthread_t threads[THREADS];
    budget_init(&c.budget, TOTAL);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &c), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&c.taken), THREADS * ROUNDS);
    assert_in_range(atomic_load(&c.most), 1, TOTAL);
    assert_int_equal(c.budget.left, TOTAL);
    budget_finish(&c.budget);
}

static void a_large_file_needs_no_more_than_its_first_frames(void **state)
{
    (void)state;
    char path[] = "/tmp/test_budget.XXXXXX";
    DS_AUTO(ds_file_close) int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 512 * 1024), 0);
    const size_t small = budget_for_carrier(path, true);
    assert_in_range(small, 1, BUDGET_TOTAL_BYTES / 16);
    assert_true(budget_for_carrier(path, false) > small);
    assert_true(budget_for_index(path) < small);
    assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
    const size_t large = budget_for_carrier(path, true);
    assert_int_equal(ftruncate(fd, (off_t)1 << 32), 0);
    assert_int_equal(budget_for_carrier(path, true), large);
    assert_true(large <= BUDGET_TOTAL_BYTES);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(budget_for_carrier(path, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_can_be_taken_again),
        cmocka_unit_test(never_more_is_in_use_than_there_is),
        cmocka_unit_test(a_large_file_needs_no_more_than_its_first_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
