/* SPDX-License-Identifier: Apache-2.0 */
#include "node/budget.h"

#include "carrier/carrier.h"

#include <sys/stat.h>

void budget_init(struct budget *b, size_t total_bytes)
{
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->changed, NULL);
    b->left = total_bytes;
    b->total = total_bytes;
    b->next_ticket = 0;
    b->served = 0;
}

void budget_finish(struct budget *b)
{
    (void)pthread_cond_destroy(&b->changed);
    (void)pthread_mutex_destroy(&b->lock);
}

struct budget_share budget_take(struct budget *b, size_t bytes)
{
    const size_t wanted = bytes < b->total ? bytes : b->total;
    (void)pthread_mutex_lock(&b->lock);
    const uint64_t ticket = b->next_ticket++;
    while (b->served != ticket || b->left < wanted) {
        (void)pthread_cond_wait(&b->changed, &b->lock);
    }
    b->left -= wanted;
    b->served++;
    (void)pthread_cond_broadcast(&b->changed); /* the next one may fit beside us */
    (void)pthread_mutex_unlock(&b->lock);
    return (struct budget_share){b, wanted};
}

void budget_give(struct budget_share *share)
{
    if (share->of == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&share->of->lock);
    share->of->left += share->bytes;
    (void)pthread_cond_broadcast(&share->of->changed);
    (void)pthread_mutex_unlock(&share->of->lock);
    share->of = NULL;
}

/* ---- estimates ---- */

/* Besides the samples: attributes as the toolkit holds them, hundreds of bytes for each element. */
#define ATTRIBUTES_BYTES ((size_t)48 << 20)

/* Measured over images of all sizes: cells, samples, their copies, and what the engine holds. */
#define INDEX_BYTES_PER_SAMPLE   8U
#define CARRIER_BYTES_PER_SAMPLE 20U

static size_t file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
}

/* Of many frames only the first are looked at, but one frame may be larger than those together, and
 * the length does not tell: large files have the whole budget, one at a time. */
size_t budget_for_carrier(const char *path, bool is_native)
{
    const size_t bytes = file_bytes(path);
    /* Samples are no more than the bytes, or than a good compression makes of them. */
    const size_t each = CARRIER_BYTES_PER_SAMPLE * (is_native ? 1U : 16U) + 1U;
    return bytes < BUDGET_TOTAL_BYTES / each ? bytes * each : BUDGET_TOTAL_BYTES;
}

size_t budget_for_index(const char *path)
{
    const size_t bytes = file_bytes(path);
    const size_t samples = bytes < CARRIER_WINDOW_SAMPLES ? bytes : CARRIER_WINDOW_SAMPLES;
    const size_t attributes = bytes < ATTRIBUTES_BYTES ? bytes : ATTRIBUTES_BYTES;
    return samples * INDEX_BYTES_PER_SAMPLE + attributes;
}
