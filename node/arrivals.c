/* SPDX-License-Identifier: Apache-2.0 */
#include "node/arrivals.h"

#include "base/clock.h"
#include "node/bell.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct later {
    struct arrival arrival;
    int64_t not_before_ms;
};

struct arrivals {
    pthread_mutex_t lock;
    struct bell bell;
    struct arrival *ring;
    size_t capacity, head, count;
    struct later later[ARRIVALS_LATER_MAX];
    size_t later_count;
    bool overflowed, closed;
    int64_t read_not_before_ms;
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

/* Under the lock. */
static void add(struct arrivals *a, const struct arrival *arrival)
{
    if (a->count == a->capacity) {
        a->overflowed = true;
        return;
    }
    a->ring[(a->head + a->count) % a->capacity] = *arrival;
    a->count++;
}

void arrivals_add(struct arrivals *a, const char *id, const uint8_t *file_hash)
{
    struct arrival new = {.added_ms = ds_clock_monotonic_ms(), .has_file_hash = file_hash != NULL};
    (void)snprintf(new.id, sizeof(new.id), "%s", id);
    if (file_hash != NULL) {
        memcpy(new.file_hash, file_hash, sizeof(new.file_hash));
    }
    (void)pthread_mutex_lock(&a->lock);
    add(a, &new);
    (void)pthread_mutex_unlock(&a->lock);
    bell_ring(&a->bell);
}

/* ---- what could not be dealt with ---- */

/* Under the lock. */
static void read_again(struct arrivals *a, int64_t delay_ms)
{
    a->overflowed = true;
    a->read_not_before_ms = ds_clock_monotonic_ms() + delay_ms;
}

void arrivals_read_again(struct arrivals *a, int64_t delay_ms)
{
    (void)pthread_mutex_lock(&a->lock);
    read_again(a, delay_ms);
    (void)pthread_mutex_unlock(&a->lock);
}

void arrivals_put_back(struct arrivals *a, const struct arrival *arrival, int64_t delay_ms)
{
    (void)pthread_mutex_lock(&a->lock);
    if (a->later_count == ARRIVALS_LATER_MAX) {
        read_again(a, delay_ms);
    } else {
        struct later *l = &a->later[a->later_count++];
        l->arrival = *arrival;
        l->arrival.tries++;
        l->not_before_ms = ds_clock_monotonic_ms() + delay_ms;
    }
    (void)pthread_mutex_unlock(&a->lock);
}

/* Under the lock. */
static void bring_back(struct arrivals *a)
{
    const int64_t now = ds_clock_monotonic_ms();
    for (size_t i = 0; i < a->later_count && a->count < a->capacity;) {
        if (a->later[i].not_before_ms > now) {
            i++;
            continue;
        }
        add(a, &a->later[i].arrival);
        a->later[i] = a->later[--a->later_count];
    }
}

/* ---- taking ---- */

static bool counts(const struct arrival *arrival)
{
    return arrival->tries == 0 || ds_clock_monotonic_ms() - arrival->added_ms < ARRIVAL_COUNTS_MS;
}

/* The older of the two times; 0: none. */
static int64_t older(int64_t ms, const struct arrival *arrival)
{
    return counts(arrival) && (ms == 0 || arrival->added_ms < ms) ? arrival->added_ms : ms;
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
    bring_back(a);
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
        out[taken] = a->ring[a->head];
        a->working_since_ms[taker] = older(a->working_since_ms[taker], &out[taken++]);
        a->head = (a->head + 1) % a->capacity;
        a->count--;
    }
    (void)pthread_mutex_unlock(&a->lock);
    return taken;
}

int64_t arrivals_lag_ms(struct arrivals *a)
{
    (void)pthread_mutex_lock(&a->lock);
    int64_t oldest = 0;
    for (size_t i = 0; i < a->count && oldest == 0; i++) { /* in the order of their coming */
        oldest = older(0, &a->ring[(a->head + i) % a->capacity]);
    }
    for (size_t i = 0; i < a->later_count; i++) {
        oldest = older(oldest, &a->later[i].arrival);
    }
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
    const bool was = a->overflowed && a->count == 0 && a->later_count < ARRIVALS_LATER_MAX &&
                     ds_clock_monotonic_ms() >= a->read_not_before_ms;
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
