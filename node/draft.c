/* SPDX-License-Identifier: Apache-2.0 */
#include "node/draft.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define SAVED_CAPSULE_MAX_BYTES (256U * 1024U * 1024U)

void draft_init(struct draft *d, int64_t study_id, const char *rule, enum db_priority priority)
{
    memset(d, 0, sizeof(*d));
    d->study_id = study_id;
    d->rule = rule;
    d->priority = priority;
    d->saved = DS_BYTES_INIT(SAVED_CAPSULE_MAX_BYTES);
}

void draft_free(struct draft *d)
{
    for (size_t i = 0; i < d->delivery_count; i++) {
        char *note = NULL;
        memcpy(&note, &d->deliveries[i].note,
               sizeof(note)); /* ours: draft_add_delivery copied it */
        free(note);
    }
    free(d->deliveries);
    free(d->instance_ids);
    free(d->report_ids);
    free(d->absences);
    free(d->recalls);
    free(d->collided_ids);
    ds_bytes_free(&d->saved);
}

/* Room for one more of size bytes each. */
static enum ds_status make_room(void **items, size_t *room, size_t count, size_t size,
                                struct ds_error *err)
{
    if (count < *room) {
        return DS_OK;
    }
    size_t wanted = 0;
    size_t bytes = 0;
    if (!ds_size_mul(*room, 2, &wanted) || !ds_size_add(wanted, 32, &wanted) ||
        !ds_size_mul(wanted, size, &bytes)) {
        return ds_fail(err, DS_ENOMEM, "the plan is too large");
    }
    void *grown = realloc(*items, bytes);
    if (grown == NULL) {
        return ds_fail(err, DS_ENOMEM, "a plan of %zu rows", wanted);
    }
    *items = grown;
    *room = wanted;
    return DS_OK;
}

static enum ds_status add_id(int64_t **ids, size_t *room, size_t *count, int64_t id,
                             struct ds_error *err)
{
    void *items = *ids;
    const enum ds_status s = make_room(&items, room, *count, sizeof(**ids), err);
    *ids = items;
    if (s == DS_OK) {
        (*ids)[(*count)++] = id;
    }
    return s;
}

bool draft_has_instance(const struct draft *d, int64_t id)
{
    for (size_t i = 0; i < d->instance_count; i++) {
        if (d->instance_ids[i] == id) {
            return true;
        }
    }
    return false;
}

enum ds_status draft_add_instance(struct draft *d, int64_t id, struct ds_error *err)
{
    return add_id(&d->instance_ids, &d->instance_room, &d->instance_count, id, err);
}

enum ds_status draft_add_report(struct draft *d, int64_t id, struct ds_error *err)
{
    return add_id(&d->report_ids, &d->report_room, &d->report_count, id, err);
}

enum ds_status draft_add_absence(struct draft *d, const struct db_planned_absence *absence,
                                 struct ds_error *err)
{
    void *items = d->absences;
    enum ds_status s =
        make_room(&items, &d->absence_room, d->absence_count, sizeof(*d->absences), err);
    d->absences = items;
    if (s == DS_OK) {
        d->absences[d->absence_count++] = *absence;
        s = draft_add_instance(d, absence->instance_id, err);
    }
    return s;
}

enum ds_status draft_add_recall(struct draft *d, const struct db_planned_recall *recall,
                                struct ds_error *err)
{
    void *items = d->recalls;
    const enum ds_status s =
        make_room(&items, &d->recall_room, d->recall_count, sizeof(*d->recalls), err);
    d->recalls = items;
    if (s == DS_OK) {
        d->recalls[d->recall_count++] = *recall;
    }
    return s;
}

enum ds_status draft_add_collided(struct draft *d, int64_t id, struct ds_error *err)
{
    return add_id(&d->collided_ids, &d->collided_room, &d->collided_count, id, err);
}

bool draft_is_empty(const struct draft *d)
{
    return d->instance_count == 0 && d->report_count == 0;
}

enum ds_status draft_add_delivery(struct draft *d, const struct db_planned_delivery *delivery,
                                  struct ds_error *err)
{
    char *note = strdup(delivery->note == NULL ? "" : delivery->note);
    if (note == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    void *items = d->deliveries;
    const enum ds_status s =
        make_room(&items, &d->delivery_room, d->delivery_count, sizeof(*d->deliveries), err);
    d->deliveries = items;
    if (s != DS_OK) {
        free(note);
        return s;
    }
    d->deliveries[d->delivery_count] = *delivery;
    d->deliveries[d->delivery_count].note = note;
    d->delivery_count++;
    return DS_OK;
}

enum ds_status draft_commit(const struct draft *d, struct db *db, int *generation,
                            struct ds_error *err)
{
    const struct db_planned_capsule capsule = {
        .capsule_id = d->capsule_id,
        .saved = d->saved.data,
        .saved_len = d->saved.len,
        .shares_total = d->shares_total,
        .shares_needed = d->shares_needed,
    };
    const struct db_plan plan = {
        .study_id = d->study_id,
        .rule = d->rule,
        .priority = d->priority,
        .instance_ids = d->instance_ids,
        .instance_count = d->instance_count,
        .capsules = &capsule,
        .capsule_count = d->has_capsule ? 1 : 0,
        .deliveries = d->deliveries,
        .delivery_count = d->delivery_count,
        .report_ids = d->report_ids,
        .report_count = d->report_count,
        .absences = d->absences,
        .absence_count = d->absence_count,
        .recalls = d->recalls,
        .recall_count = d->recall_count,
        .collided_ids = d->collided_ids,
        .collided_count = d->collided_count,
    };
    return db_plan_commit(db, &plan, generation, err);
}
