/* SPDX-License-Identifier: Apache-2.0 */
#include "node/patience.h"

#include "node/backoff.h"

#include <stddef.h>
#include <string.h>

static size_t row_of(struct patience *p, int64_t study_id)
{
    size_t oldest = 0;
    for (size_t i = 0; i < PATIENCE_ROOM; i++) {
        if (p->rows[i].study_id == study_id) {
            p->rows[i].used = ++p->clock;
            return i;
        }
        if (p->rows[i].used < p->rows[oldest].used) {
            oldest = i;
        }
    }
    memset(&p->rows[oldest], 0, sizeof(p->rows[oldest]));
    p->rows[oldest].study_id = study_id;
    p->rows[oldest].used = ++p->clock;
    return oldest;
}

bool patience_may_try(const struct patience *p, int64_t study_id, unsigned pending, int64_t now_ms)
{
    for (size_t i = 0; i < PATIENCE_ROOM; i++) {
        if (p->rows[i].study_id == study_id) {
            return now_ms >= p->rows[i].not_before_ms || pending != p->rows[i].pending;
        }
    }
    return true;
}

unsigned patience_failed(struct patience *p, int64_t study_id, unsigned pending, int64_t now_ms)
{
    const size_t row = row_of(p, study_id);
    p->rows[row].failures++;
    p->rows[row].pending = pending;
    p->rows[row].not_before_ms = now_ms + backoff_drawn_ms(p->rows[row].failures);
    return p->rows[row].failures;
}

void patience_done(struct patience *p, int64_t study_id)
{
    for (size_t i = 0; i < PATIENCE_ROOM; i++) {
        if (p->rows[i].study_id == study_id) {
            memset(&p->rows[i], 0, sizeof(p->rows[i]));
        }
    }
}

bool patience_say_once(struct patience *p, int64_t study_id, uint32_t bit)
{
    const size_t row = row_of(p, study_id);
    const bool first = (p->rows[row].said & bit) == 0;
    p->rows[row].said |= bit;
    return first;
}
