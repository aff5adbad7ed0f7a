/* SPDX-License-Identifier: Apache-2.0 */
#include "node/originals.h"

#include "base/clock.h"

#include <string.h>

#define KEPT_MS 3000

void originals_init(struct originals *o)
{
    memset(o, 0, sizeof(*o));
    (void)pthread_mutex_init(&o->lock, NULL);
}

void originals_finish(struct originals *o)
{
    for (size_t i = 0; i < ORIGINALS_ROOM; i++) {
        carrier_original_free(o->rows[i].original);
    }
    (void)pthread_mutex_destroy(&o->lock);
}

/* Its owner is the caller. */
static struct carrier_original *take_out(struct originals *o, size_t i)
{
    struct carrier_original *original = o->rows[i].original;
    o->bytes -= o->rows[i].bytes;
    o->rows[i].original = NULL;
    o->rows[i].instance_id = 0;
    o->rows[i].bytes = 0;
    return original;
}

/* Those that nobody has asked for in time. What is here and fresh stays: it will be asked for
 * before what comes later. */
static void take_stale(struct originals *o, int64_t now_ms,
                       struct carrier_original *stale[ORIGINALS_ROOM])
{
    for (size_t i = 0; i < ORIGINALS_ROOM; i++) {
        const bool is_stale = o->rows[i].instance_id != 0 && now_ms - o->rows[i].put_ms > KEPT_MS;
        stale[i] = is_stale ? take_out(o, i) : NULL;
    }
}

static bool put(struct originals *o, int64_t instance_id, struct carrier_original *original,
                int64_t now_ms)
{
    const size_t bytes = carrier_original_bytes(original);
    if (bytes > ORIGINALS_MAX_BYTES - o->bytes) {
        return false;
    }
    for (size_t i = 0; i < ORIGINALS_ROOM; i++) {
        if (o->rows[i].instance_id == 0) {
            o->rows[i].instance_id = instance_id;
            o->rows[i].put_ms = now_ms;
            o->rows[i].bytes = bytes;
            o->rows[i].original = original;
            o->bytes += bytes;
            return true;
        }
    }
    return false;
}

void originals_put(struct originals *o, int64_t instance_id, struct carrier_original **original)
{
    const int64_t now = ds_clock_monotonic_ms();
    struct carrier_original *stale[ORIGINALS_ROOM];
    (void)pthread_mutex_lock(&o->lock);
    take_stale(o, now, stale);
    const bool kept = put(o, instance_id, *original, now);
    (void)pthread_mutex_unlock(&o->lock);
    if (!kept) {
        carrier_original_free(*original);
    }
    *original = NULL;
    for (size_t i = 0; i < ORIGINALS_ROOM; i++) {
        carrier_original_free(stale[i]);
    }
}

struct carrier_original *originals_take(struct originals *o, int64_t instance_id)
{
    struct carrier_original *found = NULL;
    (void)pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < ORIGINALS_ROOM && found == NULL; i++) {
        if (o->rows[i].instance_id == instance_id) {
            found = take_out(o, i);
        }
    }
    (void)pthread_mutex_unlock(&o->lock);
    return found;
}
