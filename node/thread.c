/* SPDX-License-Identifier: Apache-2.0 */
#include "node/thread.h"

#include <string.h>
#include <time.h>

static void *body(void *context)
{
    struct thread *t = context;
    t->run(t->context);
    (void)pthread_mutex_lock(&t->lock);
    t->done = true;
    (void)pthread_cond_signal(&t->ended);
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void finish(struct thread *t)
{
    (void)pthread_cond_destroy(&t->ended);
    (void)pthread_mutex_destroy(&t->lock);
}

enum ds_status thread_start(struct thread *t, void (*run)(void *context), void *context,
                            struct ds_error *err)
{
    t->run = run;
    t->context = context;
    t->done = false;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&t->lock, NULL);
    const int failed = pthread_create(&t->id, NULL, body, t);
    if (failed != 0) {
        finish(t);
        return ds_fail(err, DS_ENOMEM, "no thread: %s", strerror(failed));
    }
    return DS_OK;
}

bool thread_join(struct thread *t, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    (void)pthread_mutex_lock(&t->lock);
    while (!t->done) {
        if (pthread_cond_timedwait(&t->ended, &t->lock, &until) != 0) {
            break;
        }
    }
    const bool done = t->done;
    (void)pthread_mutex_unlock(&t->lock);
    if (done) {
        (void)pthread_join(t->id, NULL); /* it has nothing left to do but to end */
        finish(t);
    }
    return done;
}
