/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recoverer.h"

#include "base/log.h"
#include "base/metrics.h"
#include "node/protector.h"
#include "node/quarantine.h"
#include "node/recovery.h"
#include "node/witness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a carrier that cannot be restored alone waits for the others. */
#define SHARES_WAIT_US (24LL * 3600 * 1000000)

static void recovery_free(struct recovery *r)
{
    for (size_t i = 0; i < r->group_count; i++) {
        stego_collector_free(r->groups[i].collector);
    }
    free(r->groups);
    free(r->again);
    beside_free(&r->beside);
    ds_bytes_free(&r->reference);
}

/* The group of a capsule, made when it is new. */
static enum ds_status group_of(struct recovery *r, const uint8_t *capsule_id,
                               struct capsule_group **out, struct ds_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < r->group_count; i++) {
        if (memcmp(r->groups[i].id, capsule_id, STEGO_CAPSULE_ID_BYTES) == 0) {
            *out = &r->groups[i];
            return DS_OK;
        }
    }
    /* At most one group for each carrier, and that many there is room for. */
    if (r->group_count == r->group_room) {
        return ds_fail(err, DS_EINVAL, "more capsules than carriers");
    }
    struct capsule_group *group = &r->groups[r->group_count];
    memcpy(group->id, capsule_id, STEGO_CAPSULE_ID_BYTES);
    const enum ds_status s = stego_collector_new(&group->collector, err);
    if (s == DS_OK) {
        r->group_count++;
        *out = group;
    }
    return s;
}

static bool has_all_shares(const struct capsule_group *group)
{
    uint32_t have = 0;
    uint32_t need = 0;
    stego_collector_progress(group->collector, &have, &need);
    return have >= need;
}

static bool is_transient(enum ds_status s)
{
    return s == DS_EIO || s == DS_ENOMEM || s == DS_ENOTFOUND || s == DS_EINVAL;
}

static enum ds_status refuse_one(struct recovery *r, const struct db_instance *carrier,
                                 enum ds_status why, const char *reason, struct ds_error *err)
{
    ds_log(DS_LOG_WARNING, "node", "study=%lld instance=%lld status=%s carrier refused: %s",
           (long long)carrier->study_id, (long long)carrier->id, ds_status_name(why), reason);
    r->refused_count++;
    ds_metric_add(DS_METRIC_REFUSED, NULL, NULL, 1);
    const enum db_quarantine_class class_ = quarantine_class_of(why);
    ds_metric_add(DS_METRIC_QUARANTINED, db_quarantine_class_name(class_), NULL, 1);
    const struct db_event event = {.kind = "refused",
                                   .instance_id = carrier->id,
                                   .study_id = carrier->study_id,
                                   .actor = "node",
                                   .has_before = true};
    struct db_event filled = event;
    memcpy(filled.before, carrier->file_hash, DS_SHA256_BYTES);
    const enum ds_status s = db_event_add(r->due->db, &filled, 1, err);
    return s == DS_OK ? db_instance_quarantine(r->due->db, carrier->id, class_, reason, err) : s;
}

/* Takes a carrier out of the flow, and with a sidecar what nobody vouches for now. The others go
 * on. */
static enum ds_status refuse(struct recovery *r, const struct db_instance *carrier,
                             enum ds_status why, const char *reason, struct ds_error *err)
{
    char text[DS_ERROR_TEXT_BYTES]; /* reason may lie in *err */
    (void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, reason);
    const enum ds_status s = refuse_one(r, carrier, why, text, err);
    const struct beside_pair *pair = beside_pair_of(&r->beside, carrier->id);
    if (s != DS_OK || pair == NULL || !beside_is_pending(pair)) {
        return s;
    }
    char with[DS_ERROR_TEXT_BYTES];
    (void)snprintf(with, sizeof(with), "refused with its sidecar: %.150s", text);
    return refuse_one(r, &pair->instance, why, with, err);
}

static struct budget_share take_memory(const struct recovery *r, const struct db_instance *carrier)
{
    const bool is_native = dicom_transfer_syntax_is_native(carrier->transfer_syntax);
    return budget_take(&r->due->services->budget, budget_for_carrier(carrier->path, is_native));
}

/* What is found borrows from the file. */
static enum ds_status open_carrier(struct recovery *r, const struct db_instance *carrier,
                                   struct ds_map *file, struct carrier_found **found,
                                   struct ds_error *err)
{
    const enum ds_status s = protector_map_file(carrier, file, err);
    return s == DS_OK ? carrier_found_load(found, file->data, file->len, &r->keyring, NULL, err)
                      : s;
}

/* A carrier whose key or attributes travel in the shares stays pending while shares may still come:
 * a slow sender must not lose its first half to the quarantine. */
static bool waits_for_shares(const struct recovery *r, const struct carrier_found *found,
                             const struct capsule_group *group, enum ds_status answer)
{
    const struct stego_manifest *m = stego_part_manifest(carrier_found_part(found));
    const bool would_help =
        answer == DS_EAUTH || answer == DS_ECAPACITY || (answer == DS_ENOKEY && !m->has_key_block);
    return would_help && !has_all_shares(group) && r->due->study->age_us < SHARES_WAIT_US;
}

/* What carrier_restore answered, in this pass. */
static enum ds_status judge(struct recovery *r, size_t position, const struct carrier_found *found,
                            const struct capsule_group *group, enum ds_status answer,
                            const struct carrier_restored *restored, bool last,
                            struct ds_error *err)
{
    const struct db_instance *carrier = &r->due->instances[position];
    const bool could_be_better = !last && !has_all_shares(group);
    if (answer == DS_OK && (restored->file_proven || !could_be_better)) {
        return recovered_keep_instance(r, carrier, found, restored, err);
    }
    if (answer != DS_OK && is_transient(answer)) {
        return answer;
    }
    if (could_be_better) {
        r->again[r->again_count++] = position;
        return DS_OK;
    }
    if (waits_for_shares(r, found, group, answer)) {
        r->draft->waiting++;
        return DS_OK;
    }
    return refuse(r, carrier, answer, err == NULL ? "" : err->text, err);
}

/* A sidecar is given the instance that it belongs to. DS_ENOTFOUND: that has not come. */
static enum ds_status join(const struct recovery *r, const struct db_instance *carrier,
                           struct carrier_found *found, struct ds_error *err)
{
    const struct beside_pair *pair = beside_pair_of(&r->beside, carrier->id);
    if (pair == NULL || !pair->has_instance) {
        return ds_fail(err, DS_ENOTFOUND, "the instance that the sidecar belongs to did not come");
    }
    DS_AUTO(ds_map_close) struct ds_map map = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    enum ds_status s = protector_map_file(&pair->instance, &map, err);
    if (s == DS_OK) {
        s = ds_bytes_append(&file, map.data, map.len, err);
    }
    return s == DS_OK ? carrier_found_join(found, &file, err) : s;
}

/* The instance may be on its way, as missing shares may be. */
static enum ds_status wait_for_instance(struct recovery *r, const struct db_instance *carrier,
                                        struct ds_error *err)
{
    if (r->due->study->age_us >= SHARES_WAIT_US) {
        return refuse(r, carrier, DS_ENOTFOUND, err->text, err);
    }
    r->draft->waiting++;
    return DS_OK;
}

/* A capsule is sealed with one head. */
static enum ds_status witness_once(const struct recovery *r, struct capsule_group *group,
                                   const struct stego_manifest *manifest, struct ds_error *err)
{
    if (group->witnessed) {
        return DS_OK;
    }
    const enum ds_status s = witness_manifest(r->due->services, r->due->db, r->due->settings, manifest, err);
    group->witnessed = s == DS_OK;
    return s;
}

static enum ds_status restore(struct recovery *r, size_t position, struct carrier_found *found,
                              bool last, struct ds_error *err)
{
    const struct db_instance *carrier = &r->due->instances[position];
    struct capsule_group *group = NULL;
    const struct stego_part *part = carrier_found_part(found);
    enum ds_status s = group_of(r, stego_part_manifest(part)->capsule_id, &group, err);
    if (s == DS_OK) {
        s = stego_collector_add(group->collector, part, err);
    }
    if (s == DS_OK) {
        s = witness_once(r, group, stego_part_manifest(part), err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (carrier_found_placement(found) == CARRIER_SIDECAR) {
        s = join(r, carrier, found, err);
        if (s == DS_ENOTFOUND) {
            return wait_for_instance(r, carrier, err);
        }
        if (s != DS_OK) {
            return is_transient(s) ? s : refuse(r, carrier, s, err->text, err);
        }
    }
    struct carrier_restored restored = {0};
    s = carrier_restore(found, group->collector, &r->keyring, &restored, err);
    s = judge(r, position, found, group, s, &restored, last, err);
    carrier_restored_free(&restored);
    return s;
}

/* Somebody let it go: whatever it carries, it is forwarded as it is. */
static enum ds_status forward_released(struct recovery *r, const struct db_instance *instance,
                                       struct ds_error *err)
{
    const enum ds_status s = draft_add_instance(r->draft, instance->id, err);
    return s == DS_OK
               ? planner_send_as_is(r->due, instance->id, "released from quarantine", r->draft, err)
               : s;
}

/* A plain image with a mark by chance, or one that the sender let pass: forwarded as it is. What
 * has a sidecar waits for the sidecar's turn. */
static enum ds_status forward_plain(struct recovery *r, const struct db_instance *instance,
                                    struct ds_error *err)
{
    if (draft_has_instance(r->draft, instance->id) || beside_holds(&r->beside, instance->id)) {
        return DS_OK; /* its carrier brought it again before its own turn came */
    }
    const enum ds_status s = draft_add_instance(r->draft, instance->id, err);
    return s == DS_OK ? planner_send_as_is(r->due, instance->id, "", r->draft, err) : s;
}

static enum ds_status recover_carrier(struct recovery *r, size_t position, bool last,
                                      struct ds_error *err)
{
    const struct db_instance *carrier = &r->due->instances[position];
    DS_AUTO(budget_give) struct budget_share share = take_memory(r, carrier);
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    DS_AUTO(carrier_found_auto) struct carrier_found *found = NULL;
    const enum ds_status s = open_carrier(r, carrier, &file, &found, err);
    if (s == DS_OK) {
        return restore(r, position, found, last, err);
    }
    if (s == DS_ENOTHING) {
        return forward_plain(r, carrier, err);
    }
    return is_transient(s) ? s : refuse(r, carrier, s, err->text, err);
}

static enum ds_status first_pass(struct recovery *r, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < r->due->count; i++) {
        const struct db_instance *instance = &r->due->instances[i];
        if (instance->is_released) {
            s = forward_released(r, instance, err);
            continue;
        }
        switch (instance->kind) {
        case DB_CARRIER:
            s = recover_carrier(r, i, false, err);
            break;
        case DB_ORIGINAL:
            s = forward_plain(r, instance, err);
            break;
        case DB_REPORT:
        case DB_RESTORED:
            /* Of an attempt that a crash cut short: the carriers bring them again. A report object
             * that came by itself is forwarded. */
            s = forward_plain(r, instance, err);
            break;
        }
    }
    return s;
}

static enum ds_status second_pass(struct recovery *r, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < r->again_count; i++) {
        s = recover_carrier(r, r->again[i], true, err);
    }
    return s;
}

/* A late carrier may need the shares that came in earlier generations. */
static enum ds_status gather_earlier(struct recovery *r, struct ds_error *err)
{
    bool wanted = false;
    for (size_t i = 0; i < r->group_count; i++) {
        wanted = wanted || !has_all_shares(&r->groups[i]);
    }
    if (!wanted) {
        return DS_OK;
    }
    struct db_instance *earlier = NULL;
    size_t count = 0;
    enum ds_status s =
        db_study_planned_carriers(r->due->db, r->due->study->study_id, &earlier, &count, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        DS_AUTO(budget_give) struct budget_share share = take_memory(r, &earlier[i]);
        DS_AUTO(ds_map_close) struct ds_map file = {0};
        DS_AUTO(carrier_found_auto) struct carrier_found *found = NULL;
        if (open_carrier(r, &earlier[i], &file, &found, NULL) != DS_OK) {
            continue; /* it was judged in its own generation */
        }
        const struct stego_part *part = carrier_found_part(found);
        for (size_t g = 0; s == DS_OK && g < r->group_count; g++) {
            if (memcmp(r->groups[g].id, stego_part_manifest(part)->capsule_id,
                       STEGO_CAPSULE_ID_BYTES) == 0) {
                s = stego_collector_add(r->groups[g].collector, part, err);
            }
        }
    }
    free(earlier);
    return s;
}

static enum ds_status say_incomplete(struct recovery *r, const struct capsule_group *group,
                                     struct ds_error *err)
{
    uint32_t have = 0;
    uint32_t need = 0;
    stego_collector_progress(group->collector, &have, &need);
    ds_log(DS_LOG_WARNING, "node",
           "study=%lld the report is incomplete: %u of %u shares came; the images are delivered",
           (long long)r->due->study->study_id, have, need);
    const struct db_event event = {.kind = "report-incomplete",
                                   .study_id = r->due->study->study_id,
                                   .actor = "node",
                                   .detail = "{\"cause\": \"too few shares\"}"};
    return db_event_add(r->due->db, &event, 1, err);
}

static enum ds_status keep_reports(struct recovery *r, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < r->group_count; i++) {
        s = has_all_shares(&r->groups[i]) ? recovered_keep_reports(r, &r->groups[i], err)
                                          : say_incomplete(r, &r->groups[i], err);
    }
    return s;
}

static enum ds_status recover_all(struct recovery *r, struct ds_error *err)
{
    r->groups = calloc(r->due->count + 1, sizeof(*r->groups));
    r->again = calloc(r->due->count + 1, sizeof(*r->again));
    if (r->groups == NULL || r->again == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    r->group_room = r->due->count;
    enum ds_status s = beside_find(&r->beside, r->due, &r->keyring, err);
    if (s == DS_OK) {
        s = first_pass(r, err);
    }
    if (s == DS_OK) {
        s = gather_earlier(r, err);
    }
    if (s == DS_OK) {
        s = second_pass(r, err);
    }
    return s == DS_OK ? keep_reports(r, err) : s;
}

enum ds_status recoverer_plan(const struct due_study *due, struct draft *draft,
                              struct ds_error *err)
{
    struct recovery r = {.due = due,
                         .draft = draft,
                         .identity = settings_identity(due->settings),
                         .reference = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES)};
    /* Always with a trust: without one, what nobody vouches for would pass. */
    r.keyring = (struct stego_keyring){.identities = &r.identity,
                                       .identity_count = r.identity == NULL ? 0 : 1,
                                       .trust = settings_trust(due->settings)};
    const enum ds_status s = recover_all(&r, err);
    if (s == DS_OK) {
        ds_metric_add(DS_METRIC_RECOVERED, NULL, NULL, r.restored_count);
        ds_log(DS_LOG_INFO, "node", "study=%lld recovered %zu of %u instances, refused %zu",
               (long long)due->study->study_id, r.restored_count, due->study->pending,
               r.refused_count);
    }
    recovery_free(&r);
    return s;
}
