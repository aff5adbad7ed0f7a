/* SPDX-License-Identifier: Apache-2.0 */
#include "node/triage.h"

#include "carrier/carrier.h"
#include "node/protector.h"

enum triage_class triage_class_of(const struct db_instance *instance)
{
    switch (instance->kind) {
    case DB_CARRIER:
    case DB_RESTORED:
        return TRIAGE_MARKED;
    case DB_REPORT:
        return TRIAGE_REPORT;
    case DB_ORIGINAL:
        break;
    }
    return instance->has_pixel_data ? TRIAGE_IMAGE : TRIAGE_OBJECT;
}

static const struct triage by_rule = {TRIAGE_RULE, ""};

static struct triage of_object(const struct config_rule *rule)
{
    /* Beside a sidecar it goes untouched, too, is proven, and can bear a report; who recovers has
     * to join the two. */
    const bool beside = rule->has_protect && rule->protect.unsuitable == CONFIG_UNSUITABLE_SIDECAR;
    if (rule->objects == CONFIG_OBJECTS_SEND && (beside || rule->has_recover)) {
        return by_rule;
    }
    static const struct triage ways[] = {
        [CONFIG_OBJECTS_SEND] = {TRIAGE_SEND, "it has no pixels"},
        [CONFIG_OBJECTS_HOLD] = {TRIAGE_HOLD, "it has no pixels: the rule holds objects"},
        [CONFIG_OBJECTS_DROP] = {TRIAGE_DROP, "it has no pixels: the rule drops objects"},
    };
    return ways[rule->objects];
}

static struct triage of_report(const struct config_rule *rule)
{
    static const struct triage ways[] = {
        [CONFIG_REPORTS_LEFT_OUT] = {TRIAGE_HOLD, ""}, /* never once loaded */
        [CONFIG_REPORTS_SEAL] = {TRIAGE_SEAL, ""},
        [CONFIG_REPORTS_SEND] = {TRIAGE_SEND, "it is a report: the rule sends reports as they are"},
        [CONFIG_REPORTS_HOLD] = {TRIAGE_HOLD, "it is a report: the rule holds reports"},
        [CONFIG_REPORTS_DROP] = {TRIAGE_DROP, "it is a report: the rule drops reports"},
    };
    return ways[rule->reports];
}

struct triage triage_of(enum triage_class class, const struct config_rule *rule)
{
    switch (class) {
    case TRIAGE_IMAGE:
        return by_rule;
    case TRIAGE_OBJECT:
        return of_object(rule);
    case TRIAGE_REPORT:
        /* What a recovery that was cut short left behind looks like one that came by itself. */
        return rule->has_recover ? by_rule : of_report(rule);
    case TRIAGE_MARKED:
        return rule->has_protect
                   ? (struct triage){TRIAGE_SEND, "it is a carrier already, or was one"}
                   : by_rule;
    }
    return by_rule;
}

/* ---- settling ---- */

/* Key objects, presentation states, reports and RT objects of protected images go the rule's way
 * rather than untouched: what they refer to has another UID there, and is rewritten. */
static enum ds_status refers_to_carriers(const struct due_study *due,
                                         const struct db_instance *instance, bool *refers,
                                         struct ds_error *err)
{
    *refers = false;
    if (due->renamed == NULL || instance->has_pixel_data) {
        return DS_OK;
    }
    DS_AUTO(carrier_original_auto) struct carrier_original *original = NULL;
    struct originals *kept = &due->services->originals;
    enum ds_status s = protector_load_original(kept, instance, &original, err);
    if (s == DS_EFORMAT || s == DS_EAUTH) {
        return DS_OK; /* as it is, it goes as it is */
    }
    if (s == DS_OK) {
        s = carrier_original_refers(original, due->renamed, refers, err);
    }
    if (s == DS_OK) {
        originals_put(kept, instance->id, &original);
    }
    return s;
}

static enum ds_status settle_one(const struct due_study *due, int64_t instance_id,
                                 const struct triage *t, struct draft *draft, struct ds_error *err)
{
    if (t->way == TRIAGE_DROP) {
        const struct db_planned_absence absence = {instance_id, "dropped", t->note};
        return draft_add_absence(draft, &absence, err);
    }
    const enum ds_status s = draft_add_instance(draft, instance_id, err);
    if (s != DS_OK || t->way == TRIAGE_SEAL) {
        return s;
    }
    return t->way == TRIAGE_HOLD ? planner_hold(due, instance_id, t->note, draft, err)
                                 : planner_send_as_is(due, instance_id, t->note, draft, err);
}

/* What goes, waits or is dropped as an instance is not to travel as a document, too. A report from
 * the drop folder has no instance: it waits for a rule that seals. */
static enum ds_status settle_documents(const struct due_study *due, struct draft *draft,
                                       struct ds_error *err)
{
    struct db_report *reports = NULL;
    size_t count = 0;
    enum ds_status s = db_reports_unsent(due->db, due->study->study_id, &reports, &count, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        if (reports[i].is_instance) {
            s = draft_add_report(draft, reports[i].id, err);
        }
    }
    db_reports_free(reports, count);
    return s;
}

enum ds_status triage_settle(struct due_study *due, struct draft *draft, struct ds_error *err)
{
    size_t left = 0;
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < due->count; i++) {
        const enum triage_class class = triage_class_of(&due->instances[i]);
        const struct triage t = triage_of(class, due->rule);
        bool refers = false;
        if (t.way == TRIAGE_SEND && class != TRIAGE_MARKED) {
            s = refers_to_carriers(due, &due->instances[i], &refers, err);
        }
        if (s == DS_OK && (t.way == TRIAGE_RULE || refers)) {
            due->instances[left++] = due->instances[i];
        } else if (s == DS_OK) {
            s = settle_one(due, due->instances[i].id, &t, draft, err);
        }
    }
    due->count = left;
    const bool apart = due->rule->reports != CONFIG_REPORTS_SEAL && !due->rule->has_recover;
    return s == DS_OK && apart && due->study->reports > 0 ? settle_documents(due, draft, err) : s;
}
