/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrivals - the IDs of accepted instances on their way from the listeners to the indexer.
 *
 * The spool is the truth; this queue only saves looking for it. Its memory is bounded: when it is
 * full it forgets what comes, says so, and the indexer reads the spool again once it has caught up.
 * What the indexer could not deal with goes back in and comes out again after a while.
 */
#ifndef DICOMSTEGO_NODE_ARRIVALS_H
#define DICOMSTEGO_NODE_ARRIVALS_H

#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRIVAL_ID_BYTES 40U

struct arrivals;
struct arrival {
    char id[ARRIVAL_ID_BYTES];
    int64_t added_ms; /* monotonic */
    unsigned tries;   /* how often it was put back */
    bool has_file_hash;
    uint8_t file_hash[DS_SHA256_BYTES];
};

#define ARRIVAL_TAKERS_MAX 8U

DS_CHECKED enum ds_status arrivals_new(struct arrivals **out, size_t capacity,
                                       struct ds_error *err);
void arrivals_free(struct arrivals *a);

/* Never blocks. file_hash: of the data set as it came; NULL: not known. */
void arrivals_add(struct arrivals *a, const char *id, const uint8_t *file_hash);

/* Waits up to wait_ms for the first one, then up to gather_ms for the batch to fill. Returns how
 * many there are in out, 0 when the time is over. taker: the calling thread's number, below
 * ARRIVAL_TAKERS_MAX; what it took before counts as done with this call. */
size_t arrivals_take(struct arrivals *a, unsigned taker, struct arrival *out, size_t max,
                     int64_t wait_ms, int64_t gather_ms);

/* How long the oldest arrival that is not done has waited; 0 when there is none. What was put back
 * counts for ARRIVAL_COUNTS_MS: what can never be read must not hold up the rest. */
#define ARRIVAL_COUNTS_MS 60000
int64_t arrivals_lag_ms(struct arrivals *a);

/* What was taken and could not be dealt with now: taken again when delay_ms are over, or up to a
 * second later. Counts one more try. Of more than ARRIVALS_LATER_MAX the spool is read again. Never
 * blocks. */
#define ARRIVALS_LATER_MAX 1024U
void arrivals_put_back(struct arrivals *a, const struct arrival *arrival, int64_t delay_ms);

/* True once after the queue was full, and delay_ms after arrivals_read_again: read the spool again.
 */
bool arrivals_overflowed(struct arrivals *a);
void arrivals_read_again(struct arrivals *a, int64_t delay_ms);

/* Takers return at once from now on. */
void arrivals_close(struct arrivals *a);

#endif
