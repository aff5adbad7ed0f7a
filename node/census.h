/* SPDX-License-Identifier: Apache-2.0 */
/*
 * census - asks the sources of studies how many instances each has, on a thread of its own.
 *
 * Nobody waits for an answer: whoever wants one asks again later, and until then decides without.
 * A fixed table; a study that falls out of it is asked for once more. Any thread.
 */
#ifndef DICOMSTEGO_NODE_CENSUS_H
#define DICOMSTEGO_NODE_CENSUS_H

#include "node/services.h"

struct census;

DS_CHECKED enum ds_status census_start(struct census **out, struct services *services,
                                       struct ds_error *err);
/* After services_stop. Returns false when the thread did not end in time: it is then left alone. */
DS_CHECKED bool census_stop(struct census *c, int64_t until_ms);

struct census_question {
    int64_t study_id;
    const char *study_uid;
    const char *peer; /* its name in the configuration */
    unsigned pending; /* instances that wait to be planned: asked once for each number */
};
/* Has it asked, unless it did already. Rings the bell when the answer is there. */
void census_ask(struct census *c, const struct census_question *q);
/* The last answer for the study; false when there is none. */
bool census_answer(struct census *c, int64_t study_id, uint64_t *instances);
void census_forget(struct census *c, int64_t study_id);

#endif
