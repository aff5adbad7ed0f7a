/* SPDX-License-Identifier: Apache-2.0 */
#include "node/backoff.h"

#include "base/secret.h"

int64_t backoff_ms(unsigned failures, uint32_t chance)
{
    int64_t wait = BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < failures && wait < BACKOFF_CAP_MS; i++) {
        wait *= 2;
    }
    if (wait > BACKOFF_CAP_MS) {
        wait = BACKOFF_CAP_MS;
    }
    const int64_t fifth = wait / 5;
    return wait - fifth + (int64_t)(chance % (uint32_t)(2 * fifth + 1));
}

int64_t backoff_drawn_ms(unsigned failures)
{
    uint32_t chance = 0;
    if (ds_random(&chance, sizeof(chance), NULL) != DS_OK) {
        chance = failures; /* no spread is no harm */
    }
    return backoff_ms(failures, chance);
}
