/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collision - instances that share a SOP Instance UID: which of them is sent.
 *
 * All of them are kept. The same data set again, in whatever encoding, is a duplicate and is not
 * sent twice; of different ones the rule's `collision` chooses.
 */
#ifndef DICOMSTEGO_NODE_COLLISION_H
#define DICOMSTEGO_NODE_COLLISION_H

#include "config/config.h"
#include "node/draft.h"

enum collision_verdict {
    COLLISION_GOES,
    COLLISION_DUPLICATE,  /* not sent: an earlier one has its data set */
    COLLISION_SUPERSEDED, /* not sent: another one is */
    COLLISION_HELD,       /* waits: the rule holds all of them */
    COLLISION_RECALLED,   /* of an earlier generation: what is unsent is taken back */
    COLLISION_STAYS,      /* of an earlier generation: as it is */
};

/* Pure. rivals: all that share one UID and kind, in the order in which they came; verdicts as many.
 */
void collision_judge(enum config_collision policy, const struct db_rival *rivals, size_t count,
                     enum collision_verdict *verdicts);

/* Settles in the draft the pending instances that are not to go now, and takes back what earlier
 * generations still owe of the others. instances and *count: the study's pending ones, of which
 * those that go are left, in their order. */
DS_CHECKED enum ds_status collision_settle(struct db *db, const struct config_rule *rule,
                                           struct draft *draft, struct db_instance *instances,
                                           size_t *count, struct ds_error *err);

#endif
