/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rate.h"

#define DEBT_MAX_US (INT64_C(24) * 3600 * 1000000)

void rate_init(struct rate *r, uint64_t bytes_per_s)
{
    (void)pthread_mutex_init(&r->lock, NULL);
    r->bytes_per_s = bytes_per_s;
    r->paid_at_us = 0;
}

void rate_finish(struct rate *r)
{
    (void)pthread_mutex_destroy(&r->lock);
}

int64_t rate_wait_ms(struct rate *r, int64_t now_ms)
{
    (void)pthread_mutex_lock(&r->lock);
    const int64_t debt_us = r->paid_at_us - now_ms * 1000;
    (void)pthread_mutex_unlock(&r->lock);
    return debt_us > 0 ? (debt_us + 999) / 1000 : 0;
}

void rate_spend(struct rate *r, uint64_t bytes, int64_t now_ms)
{
    if (r->bytes_per_s == 0) {
        return;
    }
    /* In double: exact enough, and no product overflows. */
    const double cost_us = (double)bytes / (double)r->bytes_per_s * 1e6;
    (void)pthread_mutex_lock(&r->lock);
    const int64_t from = r->paid_at_us > now_ms * 1000 ? r->paid_at_us : now_ms * 1000;
    r->paid_at_us = from + (cost_us < (double)DEBT_MAX_US ? (int64_t)cost_us : DEBT_MAX_US);
    (void)pthread_mutex_unlock(&r->lock);
}
