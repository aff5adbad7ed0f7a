/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft - a study's next generation while it is being decided, committed whole or not at all.
 */
#ifndef DICOMSTEGO_NODE_DRAFT_H
#define DICOMSTEGO_NODE_DRAFT_H

#include "db/db.h"

#define DRAFT_NO_CAPSULE SIZE_MAX

struct draft {
    int64_t study_id;
    const char *rule; /* borrowed */
    enum db_priority priority;
    int64_t *instance_ids;
    size_t instance_count, instance_room;
    struct db_planned_delivery *deliveries; /* each owns its note */
    size_t delivery_count, delivery_room;
    int64_t *report_ids;
    size_t report_count, report_room;
    struct db_planned_absence *absences; /* text borrowed, for good */
    size_t absence_count, absence_room;
    struct db_planned_recall *recalls;
    size_t recall_count, recall_room;
    int64_t *collided_ids;
    size_t collided_count, collided_room;
    struct ds_bytes saved; /* the capsule, sealed to ourselves */
    uint8_t capsule_id[16];
    uint32_t shares_total, shares_needed;
    bool has_capsule;
    size_t waiting; /* instances left out until more have come */
};

void draft_init(struct draft *d, int64_t study_id, const char *rule, enum db_priority priority);
void draft_free(struct draft *d);

bool draft_has_instance(const struct draft *d, int64_t id);
DS_CHECKED enum ds_status draft_add_instance(struct draft *d, int64_t id, struct ds_error *err);
DS_CHECKED enum ds_status draft_add_report(struct draft *d, int64_t id, struct ds_error *err);
/* Copies the note; the peer's name is borrowed. */
DS_CHECKED enum ds_status draft_add_delivery(struct draft *d,
                                             const struct db_planned_delivery *delivery,
                                             struct ds_error *err);
/* The instance belongs to the generation, and an event instead of a delivery says why. */
DS_CHECKED enum ds_status
draft_add_absence(struct draft *d, const struct db_planned_absence *absence, struct ds_error *err);
DS_CHECKED enum ds_status draft_add_recall(struct draft *d, const struct db_planned_recall *recall,
                                           struct ds_error *err);
/* Held because of its UID: listed in quarantine. */
DS_CHECKED enum ds_status draft_add_collided(struct draft *d, int64_t id, struct ds_error *err);
/* Whether there is anything to commit. */
bool draft_is_empty(const struct draft *d);
/* DS_EEXIST: another node planned one of the instances meanwhile. */
DS_CHECKED enum ds_status draft_commit(const struct draft *d, struct db *db, int *generation,
                                       struct ds_error *err);

#endif
