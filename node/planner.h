/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner - what a complete study's instances are owed, by the rule that matches.
 *
 * A protecting rule seals one capsule for the generation and gives each original its slot; other
 * rules send as it is. What is written down is a draft: nothing is in force before it is committed.
 */
#ifndef DICOMSTEGO_NODE_PLANNER_H
#define DICOMSTEGO_NODE_PLANNER_H

#include "node/draft.h"
#include "node/services.h"

struct carrier_uid_map; /* carrier/references.h */

/* One study whose time has come. Borrowed. */
struct due_study {
    struct services *services;
    struct db *db;
    const struct settings *settings;
    const struct config_rule *rule; /* NULL: none matches */
    const struct db_pending_study *study;
    struct db_instance *instances; /* those without a generation that are still to settle */
    size_t count;
    /* Of a rule that protects: what may go, or went, as carriers under new UIDs. NULL: nothing. */
    const struct carrier_uid_map *renamed;
};

/* One delivery of the instance, as it is, to every destination of the rule. */
DS_CHECKED enum ds_status planner_send_as_is(const struct due_study *due, int64_t instance_id,
                                             const char *note, struct draft *draft,
                                             struct ds_error *err);

/* The same, but they wait until they are requeued. */
DS_CHECKED enum ds_status planner_hold(const struct due_study *due, int64_t instance_id,
                                       const char *note, struct draft *draft, struct ds_error *err);

/* Rules that neither protect nor recover, and no rule at all. */
DS_CHECKED enum ds_status planner_forward(const struct due_study *due, struct draft *draft,
                                          struct ds_error *err);

/* Rules with protect. A study with nothing pending has reports that came after it was sent: one of
 * its images goes again to carry them. DS_ECAPACITY: none can. */
DS_CHECKED enum ds_status planner_protect(const struct due_study *due, struct draft *draft,
                                          struct ds_error *err);

#endif
