/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget - working memory that all jobs of the node share.
 *
 * Files are mapped and passed over, but the frames that carry, and what the engine makes of them,
 * are in memory. Each job takes what it will need before it begins, and waits while others have it:
 * eight large objects at once then cost what one or two of them do. First come, first served, so
 * that a large job is not starved by small ones.
 */
#ifndef DICOMSTEGO_NODE_BUDGET_H
#define DICOMSTEGO_NODE_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_TOTAL_BYTES ((size_t)256 << 20)

struct budget {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t left, total;
    uint64_t next_ticket, served;
};

void budget_init(struct budget *b, size_t total_bytes);
void budget_finish(struct budget *b);

struct budget_share { /* zeroed: nothing taken */
    struct budget *of;
    size_t bytes;
};

/* Waits for bytes; never more than the whole is waited for. */
struct budget_share budget_take(struct budget *b, size_t bytes);
void budget_give(struct budget_share *share);

/* What a job with the file at path needs at most. A missing file needs nothing. */
size_t budget_for_index(const char *path);
size_t budget_for_carrier(const char *path, bool is_native); /* protect or recover */

#endif
