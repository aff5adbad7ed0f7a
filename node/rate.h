/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate - so many bytes a second over all workers of a peer, on average.
 *
 * An instance goes at the speed of the line and is paid for afterwards: the next one waits until
 * the debt is gone. Any thread.
 */
#ifndef DICOMSTEGO_NODE_RATE_H
#define DICOMSTEGO_NODE_RATE_H

#include <pthread.h>
#include <stdint.h>

struct rate {
    pthread_mutex_t lock;
    uint64_t bytes_per_s; /* 0: no limit */
    int64_t paid_at_us;   /* monotonic */
};

void rate_init(struct rate *r, uint64_t bytes_per_s);
void rate_finish(struct rate *r);
/* Until the next instance may go; now_ms: monotonic. */
int64_t rate_wait_ms(struct rate *r, int64_t now_ms);
void rate_spend(struct rate *r, uint64_t bytes, int64_t now_ms);

#endif
