/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bell - wakes threads that have nothing to do.
 *
 * Read the count, look for work, and when there is none wait with the count that was read: a ring
 * in between is never missed. Waiting threads also wake when their time is over, so a lost
 * notification of the database costs a moment and never a delivery.
 */
#ifndef DICOMSTEGO_NODE_BELL_H
#define DICOMSTEGO_NODE_BELL_H

#include <pthread.h>
#include <stdint.h>

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    uint64_t count;
};

void bell_init(struct bell *b);
void bell_finish(struct bell *b);
void bell_ring(struct bell *b);
uint64_t bell_count(struct bell *b);
/* Returns when the count is no longer seen, or after timeout_ms. */
void bell_wait(struct bell *b, uint64_t seen, int64_t timeout_ms);

#endif
