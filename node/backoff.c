/* SPDX-License-Identifier: Apache-2.0 */
#include "node/backoff.h"

#include "base/secret.h"

static const struct config_retry own = {
    .first_ms = BACKOFF_FIRST_MS, .cap_ms = BACKOFF_CAP_MS, .factor = 2, .jitter_percent = 20};

int64_t backoff_ms(const struct config_retry *retry, unsigned failures, uint32_t chance)
{
    /* first and cap are at most a day and factor at most 10: no product overflows. */
    int64_t wait = retry->first_ms;
    for (unsigned i = 1; i < failures && wait < retry->cap_ms && retry->factor > 1; i++) {
        wait *= retry->factor;
    }
    if (wait > retry->cap_ms) {
        wait = retry->cap_ms;
    }
    const int64_t spread = wait * retry->jitter_percent / 100;
    return wait - spread + (int64_t)(chance % (uint64_t)(2 * spread + 1));
}

int64_t backoff_for(const struct config_retry *retry, unsigned failures)
{
    uint32_t chance = 0;
    if (ds_random(&chance, sizeof(chance), NULL) != DS_OK) {
        chance = failures; /* no spread is no harm */
    }
    return backoff_ms(retry, failures, chance);
}

int64_t backoff_drawn_ms(unsigned failures)
{
    return backoff_for(&own, failures);
}
