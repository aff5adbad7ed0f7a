/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience - studies that could not be planned: when to try again, and what was said about them.
 *
 * A fixed table: a study that does not fit is tried and talked about more often than it should,
 * which is no harm. One thread at a time.
 */
#ifndef DICOMSTEGO_NODE_PATIENCE_H
#define DICOMSTEGO_NODE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define PATIENCE_ROOM 512U

struct patience {
    struct {
        int64_t study_id; /* 0: free */
        int64_t not_before_ms;
        unsigned failures;
        unsigned pending; /* instances and reports it had: another number is worth another try */
        uint32_t said;    /* bits */
        uint64_t used;    /* for replacing the one that was not asked for longest */
    } rows[PATIENCE_ROOM];
    uint64_t clock;
};

bool patience_may_try(const struct patience *p, int64_t study_id, unsigned pending, int64_t now_ms);
/* Not again before the backoff is over, unless their number changes. Returns how often it has
 * failed. */
unsigned patience_failed(struct patience *p, int64_t study_id, unsigned pending, int64_t now_ms);
/* Planned: forget the study. */
void patience_done(struct patience *p, int64_t study_id);
/* True the first time for this study and bit. */
bool patience_say_once(struct patience *p, int64_t study_id, uint32_t bit);

#endif
