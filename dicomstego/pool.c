/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* A caller's tasks. It lives on the caller's stack: the caller leaves only when all are done, and
 * then the batch is in the list no more. */
struct batch {
    stego_task *task;
    void *object;
    size_t count;
    size_t begun, done;
    struct batch *next; /* whose tasks are not all begun */
};

struct stego_pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is a batch, or the end has come */
    pthread_cond_t idle; /* a batch is done */
    struct batch *first;
    bool is_closing;
    unsigned count;
    pthread_t threads[];
};

/* With the lock held on entry and exit: one task of the batch, which has one not begun. */
static void run_one(struct stego_pool *pool, struct batch *b)
{
    const size_t i = b->begun++;
    if (b->begun == b->count) {
        struct batch **link = &pool->first;
        while (*link != b) {
            link = &(*link)->next;
        }
        *link = b->next;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    b->task(b->object, i);
    (void)pthread_mutex_lock(&pool->lock);
    b->done++;
    if (b->done == b->count) {
        (void)pthread_cond_broadcast(&pool->idle);
    }
}

static void *serve(void *object)
{
    struct stego_pool *pool = object;
    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->is_closing) {
        if (pool->first != NULL) {
            run_one(pool, pool->first);
        } else {
            (void)pthread_cond_wait(&pool->work, &pool->lock);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

enum ds_status stego_pool_new(struct stego_pool **out, unsigned threads, struct ds_error *err)
{
    *out = NULL;
    if (threads == 0) {
        return ds_fail(err, DS_EINVAL, "a pool without threads");
    }
    const size_t others = threads - 1U;
    struct stego_pool *pool = calloc(1, sizeof(*pool) + others * sizeof(pool->threads[0]));
    if (pool == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %u threads", threads);
    }
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->idle, NULL);
    while (pool->count < others) {
        if (pthread_create(&pool->threads[pool->count], NULL, serve, pool) != 0) {
            stego_pool_free(pool);
            return ds_fail(err, DS_ENOMEM, "no more threads than %u can be started", pool->count);
        }
        pool->count++;
    }
    *out = pool;
    return DS_OK;
}

void stego_pool_free(struct stego_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_closing = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&pool->idle);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void run_here(stego_task *task, void *object, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        task(object, i);
    }
}

void stego_pool_run(struct stego_pool *pool, stego_task *task, void *object, size_t count)
{
    if (pool == NULL || pool->count == 0 || count < 2) {
        run_here(task, object, count);
        return;
    }
    struct batch b = {.task = task, .object = object, .count = count};
    (void)pthread_mutex_lock(&pool->lock);
    struct batch **link = &pool->first;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = &b;
    (void)pthread_cond_broadcast(&pool->work);
    while (b.begun < b.count) {
        run_one(pool, &b);
    }
    while (b.done < b.count) {
        (void)pthread_cond_wait(&pool->idle, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}
