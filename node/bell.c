/* SPDX-License-Identifier: Apache-2.0 */
#include "node/bell.h"

#include <time.h>

void bell_init(struct bell *b)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->rung, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    b->count = 0;
}

void bell_finish(struct bell *b)
{
    (void)pthread_cond_destroy(&b->rung);
    (void)pthread_mutex_destroy(&b->lock);
}

void bell_ring(struct bell *b)
{
    (void)pthread_mutex_lock(&b->lock);
    b->count++;
    (void)pthread_cond_broadcast(&b->rung);
    (void)pthread_mutex_unlock(&b->lock);
}

uint64_t bell_count(struct bell *b)
{
    (void)pthread_mutex_lock(&b->lock);
    const uint64_t count = b->count;
    (void)pthread_mutex_unlock(&b->lock);
    return count;
}

void bell_wait(struct bell *b, uint64_t seen, int64_t timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_mutex_lock(&b->lock);
    while (b->count == seen) {
        if (pthread_cond_timedwait(&b->rung, &b->lock, &until) != 0) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&b->lock);
}
