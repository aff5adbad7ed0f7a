/* SPDX-License-Identifier: Apache-2.0 */
#include "node/collision.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define NOTE_DUPLICATE  "the same data set in another encoding came before"
#define NOTE_SUPERSEDED "another instance with its SOP Instance UID is sent: the rule's collision"
#define NOTE_HELD       "other contents came under its SOP Instance UID: the rule holds them"

/* ---- judging ---- */

static bool is_alive(const struct db_rival *r)
{
    return r->is_pending || r->is_planned;
}

static bool is_duplicate(const struct db_rival *rivals, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (is_alive(&rivals[k]) && rivals[k].has_dataset_hash && rivals[i].has_dataset_hash &&
            memcmp(rivals[k].dataset_hash, rivals[i].dataset_hash, DS_SHA256_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* The one that is sent: the last of the pending, or the first that is or was to be sent. */
static size_t winner_of(enum config_collision policy, const struct db_rival *rivals, size_t count,
                        const enum collision_verdict *verdicts)
{
    size_t winner = count;
    for (size_t i = 0; i < count; i++) {
        const bool takes_part = policy == CONFIG_COLLISION_FIRST
                                    ? is_alive(&rivals[i])
                                    : rivals[i].is_pending && verdicts[i] == COLLISION_GOES;
        if (takes_part && (winner == count || policy != CONFIG_COLLISION_FIRST)) {
            winner = i;
        }
    }
    return winner;
}

/* Everybody but the winner. One of an earlier generation that the rule `first` would not have sent
 * was sent under another rule: it stays. */
static enum collision_verdict loses(enum config_collision policy, const struct db_rival *r)
{
    if (r->is_pending) {
        return policy == CONFIG_COLLISION_HOLD ? COLLISION_HELD : COLLISION_SUPERSEDED;
    }
    return r->is_unsent && policy != CONFIG_COLLISION_FIRST ? COLLISION_RECALLED : COLLISION_STAYS;
}

void collision_judge(enum config_collision policy, const struct db_rival *rivals, size_t count,
                     enum collision_verdict *verdicts)
{
    size_t contents = 0; /* different ones that are, or were to be, sent */
    size_t going = 0;
    for (size_t i = 0; i < count; i++) {
        const bool counts = is_alive(&rivals[i]) && !is_duplicate(rivals, i);
        verdicts[i] = !rivals[i].is_pending ? COLLISION_STAYS
                      : counts              ? COLLISION_GOES
                                            : COLLISION_DUPLICATE;
        contents += counts ? 1 : 0;
        going += counts && rivals[i].is_pending ? 1 : 0;
    }
    if (contents < 2 || going == 0 || policy == CONFIG_COLLISION_BOTH) {
        return;
    }
    const size_t winner =
        policy == CONFIG_COLLISION_HOLD ? count : winner_of(policy, rivals, count, verdicts);
    for (size_t i = 0; i < count; i++) {
        if (i != winner && verdicts[i] != COLLISION_DUPLICATE) {
            verdicts[i] = loses(policy, &rivals[i]);
        }
    }
}

/* ---- settling ---- */

static enum ds_status hold(const struct config_rule *rule, int64_t instance_id, struct draft *draft,
                           struct ds_error *err)
{
    enum ds_status s = draft_add_instance(draft, instance_id, err);
    if (s == DS_OK) {
        s = draft_add_collided(draft, instance_id, err);
    }
    for (size_t i = 0; s == DS_OK && i < rule->send_to.count; i++) {
        const struct db_planned_delivery delivery = {.instance_id = instance_id,
                                                     .peer = rule->send_to.items[i],
                                                     .action = DB_SEND_AS_IS,
                                                     .capsule = DRAFT_NO_CAPSULE,
                                                     .share_index = -1,
                                                     .held = true,
                                                     .note = NOTE_HELD};
        s = draft_add_delivery(draft, &delivery, err);
    }
    return s;
}

static enum ds_status take_back(struct draft *draft, const struct db_planned_recall *recall,
                                struct ds_error *err)
{
    const enum ds_status s = draft_add_recall(draft, recall, err);
    return s == DS_OK && recall->hold ? draft_add_collided(draft, recall->instance_id, err) : s;
}

static enum ds_status settle_one(const struct config_rule *rule, const struct db_rival *rival,
                                 enum collision_verdict verdict, struct draft *draft,
                                 struct ds_error *err)
{
    const bool holds = rule->collision == CONFIG_COLLISION_HOLD;
    const struct db_planned_absence duplicate = {rival->instance_id, "duplicate", NOTE_DUPLICATE};
    const struct db_planned_absence superseded = {rival->instance_id, "superseded",
                                                  NOTE_SUPERSEDED};
    const struct db_planned_recall recall = {rival->instance_id, holds,
                                             holds ? NOTE_HELD : NOTE_SUPERSEDED};
    switch (verdict) {
    case COLLISION_DUPLICATE:
        return draft_add_absence(draft, &duplicate, err);
    case COLLISION_SUPERSEDED:
        return draft_add_absence(draft, &superseded, err);
    case COLLISION_HELD:
        return hold(rule, rival->instance_id, draft, err);
    case COLLISION_RECALLED:
        return take_back(draft, &recall, err);
    case COLLISION_GOES:
    case COLLISION_STAYS:
        break;
    }
    return DS_OK;
}

static size_t length_of_group(const struct db_rival *rivals, size_t count)
{
    size_t n = 1;
    while (n < count && rivals[n].kind == rivals[0].kind &&
           strcmp(rivals[n].sop_uid, rivals[0].sop_uid) == 0) {
        n++;
    }
    return n;
}

static enum ds_status settle_group(const struct config_rule *rule, const struct db_rival *rivals,
                                   size_t count, struct draft *draft, struct ds_error *err)
{
    enum collision_verdict *verdicts = calloc(count, sizeof(*verdicts));
    if (verdicts == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    collision_judge(rule->collision, rivals, count, verdicts);
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = settle_one(rule, &rivals[i], verdicts[i], draft, err);
        if (s == DS_OK && verdicts[i] != COLLISION_GOES && verdicts[i] != COLLISION_STAYS) {
            ds_log(DS_LOG_INFO, "node", "instance=%lld rule=\"%s\" %s",
                   (long long)rivals[i].instance_id, rule->name,
                   verdicts[i] == COLLISION_DUPLICATE         ? NOTE_DUPLICATE
                   : rule->collision == CONFIG_COLLISION_HOLD ? NOTE_HELD
                                                              : NOTE_SUPERSEDED);
        }
    }
    free(verdicts);
    return s;
}

enum ds_status collision_settle(struct db *db, const struct config_rule *rule, struct draft *draft,
                                struct db_instance *instances, size_t *count, struct ds_error *err)
{
    struct db_rival *rivals = NULL;
    size_t rival_count = 0;
    enum ds_status s = db_study_rivals(db, draft->study_id, &rivals, &rival_count, err);
    for (size_t i = 0; s == DS_OK && i < rival_count;) {
        const size_t n = length_of_group(rivals + i, rival_count - i);
        s = settle_group(rule, rivals + i, n, draft, err);
        i += n;
    }
    free(rivals);
    size_t left = 0;
    for (size_t i = 0; s == DS_OK && i < *count; i++) {
        if (!draft_has_instance(draft, instances[i].id)) {
            instances[left++] = instances[i];
        }
    }
    *count = s == DS_OK ? left : *count;
    return s;
}
