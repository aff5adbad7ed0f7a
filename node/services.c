/* SPDX-License-Identifier: Apache-2.0 */
#include "node/services.h"

#include "base/clock.h"

#include <string.h>

void services_init(struct services *s)
{
    memset(s, 0, sizeof(*s));
    bell_init(&s->bell);
    bell_init(&s->planning);
    originals_init(&s->originals);
    awaited_init(&s->awaited);
    refusals_init(&s->refusals);
    budget_init(&s->budget, BUDGET_TOTAL_BYTES);
    (void)pthread_mutex_init(&s->lock, NULL);
    atomic_init(&s->stopping, false);
    atomic_init(&s->hurries, 0);
    atomic_init(&s->is_announced, false);
    atomic_init(&s->quarantine_unsettled, true); /* a run before may have left something */
    atomic_init(&s->db, NULL);
}

void services_finish(struct services *s)
{
    settings_release(s->settings);
    spool_close(s->spool); /* until then it tells of arrivals */
    arrivals_free(s->arrivals);
    offers_free(s->offers);
    (void)pthread_mutex_destroy(&s->lock);
    awaited_finish(&s->awaited);
    refusals_finish(&s->refusals);
    originals_finish(&s->originals);
    budget_finish(&s->budget);
    bell_finish(&s->planning);
    bell_finish(&s->bell);
}

struct settings *services_settings(struct services *s)
{
    (void)pthread_mutex_lock(&s->lock);
    struct settings *held = settings_hold(s->settings);
    (void)pthread_mutex_unlock(&s->lock);
    return held;
}

void services_set_settings(struct services *s, struct settings *settings)
{
    (void)pthread_mutex_lock(&s->lock);
    struct settings *old = s->settings;
    s->settings = settings;
    (void)pthread_mutex_unlock(&s->lock);
    settings_release(old);
    bell_ring(&s->bell);
    bell_ring(&s->planning);
}

struct db *services_db(struct services *s)
{
    return atomic_load(&s->db);
}

bool services_stopping(struct services *s)
{
    return atomic_load(&s->stopping);
}

void services_stop(struct services *s)
{
    atomic_store(&s->stopping, true);
    bell_ring(&s->bell);
    bell_ring(&s->planning);
}

void services_hurry(struct services *s)
{
    (void)atomic_fetch_add(&s->hurries, 1);
    bell_ring(&s->bell);
}

void services_sleep(struct services *s, int64_t ms)
{
    const int64_t until = ds_clock_monotonic_ms() + ms;
    for (;;) {
        const uint64_t seen = bell_count(&s->bell);
        const int64_t left = until - ds_clock_monotonic_ms();
        if (services_stopping(s) || left <= 0) {
            return;
        }
        bell_wait(&s->bell, seen, left);
    }
}
