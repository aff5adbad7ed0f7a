/* SPDX-License-Identifier: Apache-2.0 */
#include "node/arrivals.h"

#include "base/clock.h"
#include "node/bell.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct arrivals {
    pthread_mutex_t lock;
    struct bell bell;
    struct arrival *ring;
    size_t capacity, head, count;
    bool overflowed, closed;
    int64_t working_since_ms[ARRIVAL_TAKERS_MAX]; /* the oldest that each has taken; 0: none */
};

enum ds_status arrivals_new(struct arrivals **out, size_t capacity, struct ds_error *err)
{
    *out = NULL;
    struct arrivals *a = calloc(1, sizeof(*a));
    struct arrival *ring = calloc(capacity, sizeof(*ring));
    if (a == NULL || ring == NULL) {
        free(a);
        free(ring);
        return ds_fail(err, DS_ENOMEM, "a queue of %zu instances", capacity);
    }
    (void)pthread_mutex_init(&a->lock, NULL);
    bell_init(&a->bell);
    a->ring = ring;
    a->capacity = capacity;
    *out = a;
    return DS_OK;
}

void arrivals_free(struct arrivals *a)
{
    if (a == NULL) {
        return;
    }
    bell_finish(&a->bell);
    (void)pthread_mutex_destroy(&a->lock);
    free(a->ring);
    free(a);
}

void arrivals_add(struct arrivals *a, const char *id)
{
    (void)pthread_mutex_lock(&a->lock);
    if (a->count == a->capacity) {
        a->overflowed = true;
    } else {
        struct arrival *slot = &a->ring[(a->head + a->count) % a->capacity];
        (void)snprintf(slot->id, sizeof(slot->id), "%s", id);
        slot->added_ms = ds_clock_monotonic_ms();
        a->count++;
    }
    (void)pthread_mutex_unlock(&a->lock);
    bell_ring(&a->bell);
}

/* Waits until there are at least `least`, the queue is closed, or the time is over. */
static void wait_for(struct arrivals *a, size_t least, int64_t wait_ms)
{
    const int64_t until = ds_clock_monotonic_ms() + wait_ms;
    for (;;) {
        const uint64_t seen = bell_count(&a->bell);
        (void)pthread_mutex_lock(&a->lock);
        const bool enough = a->count >= least || a->closed;
        (void)pthread_mutex_unlock(&a->lock);
        const int64_t left = until - ds_clock_monotonic_ms();
        if (enough || left <= 0) {
            return;
        }
        bell_wait(&a->bell, seen, left);
    }
}

size_t arrivals_take(struct arrivals *a, unsigned taker, struct arrival *out, size_t max,
                     int64_t wait_ms, int64_t gather_ms)
{
    (void)pthread_mutex_lock(&a->lock);
    a->working_since_ms[taker] = 0;
    (void)pthread_mutex_unlock(&a->lock);
    wait_for(a, 1, wait_ms);
    (void)pthread_mutex_lock(&a->lock);
    const bool any = a->count > 0;
    (void)pthread_mutex_unlock(&a->lock);
    if (any) {
        wait_for(a, max < a->capacity ? max : a->capacity, gather_ms);
    }
    (void)pthread_mutex_lock(&a->lock);
    size_t taken = 0;
    while (taken < max && a->count > 0) {
        out[taken++] = a->ring[a->head];
        a->head = (a->head + 1) % a->capacity;
        a->count--;
    }
    a->working_since_ms[taker] = taken > 0 ? out[0].added_ms : 0;
    (void)pthread_mutex_unlock(&a->lock);
    return taken;
}

int64_t arrivals_lag_ms(struct arrivals *a)
{
    (void)pthread_mutex_lock(&a->lock);
    int64_t oldest = a->count > 0 ? a->ring[a->head].added_ms : 0;
    for (size_t i = 0; i < ARRIVAL_TAKERS_MAX; i++) {
        const int64_t since = a->working_since_ms[i];
        if (since != 0 && (oldest == 0 || since < oldest)) {
            oldest = since;
        }
    }
    (void)pthread_mutex_unlock(&a->lock);
    return oldest == 0 ? 0 : ds_clock_monotonic_ms() - oldest;
}

bool arrivals_overflowed(struct arrivals *a)
{
    (void)pthread_mutex_lock(&a->lock);
    const bool was = a->overflowed && a->count == 0;
    if (was) {
        a->overflowed = false;
    }
    (void)pthread_mutex_unlock(&a->lock);
    return was;
}

void arrivals_close(struct arrivals *a)
{
    (void)pthread_mutex_lock(&a->lock);
    a->closed = true;
    (void)pthread_mutex_unlock(&a->lock);
    bell_ring(&a->bell);
}
