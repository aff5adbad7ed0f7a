/* SPDX-License-Identifier: Apache-2.0 */
/*
 * originals - what was read a moment ago and is asked for again at once: an instance is parsed and
 * hashed when it is indexed, and its plan and its carrier need the same.
 *
 * Bounded and short-lived: what is not asked for within seconds leaves, what does not fit is not
 * kept. An original has one owner at a time: it is put in by one thread and taken out by another.
 * Any thread.
 */
#ifndef DICOMSTEGO_NODE_ORIGINALS_H
#define DICOMSTEGO_NODE_ORIGINALS_H

#include "carrier/carrier.h"

#include <pthread.h>

#define ORIGINALS_ROOM 24U

/* Of all together, as carrier_original_bytes tells; attributes come on top. */
#define ORIGINALS_MAX_BYTES ((size_t)8 << 20)

struct originals {
    pthread_mutex_t lock;
    size_t bytes; /* of all that are here */
    struct {
        int64_t instance_id; /* 0: free */
        int64_t put_ms;      /* monotonic */
        size_t bytes;
        struct carrier_original *original;
    } rows[ORIGINALS_ROOM];
};

void originals_init(struct originals *o);
void originals_finish(struct originals *o);

/* Takes *original, which is then NULL: keeps it, or frees it when there is no room. */
void originals_put(struct originals *o, int64_t instance_id, struct carrier_original **original);
/* The caller's from now on; NULL when it is not here. */
struct carrier_original *originals_take(struct originals *o, int64_t instance_id);

#endif
