/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TASKS 1000U

/* Each task counts itself, without a lock: no two run with the same number. */
struct counts {
    unsigned of[TASKS];
};

static void count_task(void *object, size_t i)
{
    struct counts *c = object;
    c->of[i]++;
}

static void every_task_runs_once_with_any_number_of_threads(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads <= 5; threads++) {
        struct stego_pool *pool = NULL;
        if (threads != 0) { /* else none is lent */
            assert_int_equal(stego_pool_new(&pool, threads, NULL), DS_OK);
        }
        for (size_t count = 0; count <= TASKS; count = count * 3 + 1) {
            struct counts c = {{0}};
            stego_pool_run(pool, count_task, &c, count);
            for (size_t i = 0; i < TASKS; i++) {
                assert_int_equal(c.of[i], i < count ? 1 : 0);
            }
        }
        stego_pool_free(pool);
    }
}

/* Tasks that end only when both have begun: impossible for one thread. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t all_here;
    unsigned here;
};

static void meet(void *object, size_t i)
{
    struct meeting *m = object;
    (void)i;
    (void)pthread_mutex_lock(&m->lock);
    m->here++;
    (void)pthread_cond_broadcast(&m->all_here);
    while (m->here < 2) {
        (void)pthread_cond_wait(&m->all_here, &m->lock);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

static void two_threads_run_two_tasks_at_once(void **state)
{
    (void)state;
    struct stego_pool *pool = NULL;
    struct meeting m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    assert_int_equal(stego_pool_new(&pool, 2, NULL), DS_OK);
    stego_pool_run(pool, meet, &m, 2);
    assert_int_equal(m.here, 2);
    stego_pool_free(pool);
}

struct caller {
    struct stego_pool *pool;
    struct counts counts;
};

static void *run_batches(void *object)
{
    struct caller *c = object;
    for (unsigned i = 0; i < 50; i++) {
        stego_pool_run(c->pool, count_task, &c->counts, TASKS);
    }
    return NULL;
}

static void callers_share_the_threads_and_get_their_own_tasks_done(void **state)
{
    (void)state;
    struct stego_pool *pool = NULL;
    struct caller callers[4];
    pthread_t threads[4];
    memset(callers, 0, sizeof callers);
    assert_int_equal(stego_pool_new(&pool, 3, NULL), DS_OK);
    for (size_t i = 0; i < 4; i++) {
        callers[i].pool = pool;
        assert_int_equal(pthread_create(&threads[i], NULL, run_batches, &callers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (size_t k = 0; k < TASKS; k++) {
            assert_int_equal(callers[i].counts.of[k], 50);
        }
    }
    stego_pool_free(pool);
}

static void a_pool_without_threads_is_refused_and_none_is_freed(void **state)
{
    (void)state;
    struct stego_pool *pool = NULL;
    assert_int_equal(stego_pool_new(&pool, 0, NULL), DS_EINVAL);
    assert_null(pool);
    stego_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once_with_any_number_of_threads),
        cmocka_unit_test(two_threads_run_two_tasks_at_once),
        cmocka_unit_test(callers_share_the_threads_and_get_their_own_tasks_done),
        cmocka_unit_test(a_pool_without_threads_is_refused_and_none_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
