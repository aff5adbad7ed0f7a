/* SPDX-License-Identifier: Apache-2.0 */
#include "node/planner.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "carrier/carrier.h"
#include "node/protector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ds_status planner_send_as_is(const struct due_study *due, int64_t instance_id,
                                  const char *note, struct draft *draft, struct ds_error *err)
{
    for (size_t i = 0; i < due->rule->send_to.count; i++) {
        const struct db_planned_delivery delivery = {.instance_id = instance_id,
                                                     .peer = due->rule->send_to.items[i],
                                                     .action = DB_SEND_AS_IS,
                                                     .capsule = DRAFT_NO_CAPSULE,
                                                     .share_index = -1,
                                                     .note = note};
        const enum ds_status s = draft_add_delivery(draft, &delivery, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

static enum ds_status mark_reports_sent(const struct due_study *due, struct draft *draft,
                                        struct ds_error *err)
{
    struct db_report *reports = NULL;
    size_t count = 0;
    enum ds_status s = db_reports_unsent(due->db, due->study->study_id, &reports, &count, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        /* A report that came by DICOM goes as the instance that it is. A dropped one has no
         * instance: it waits for a rule that takes it along. */
        if (strcmp(reports[i].media_type, "application/dicom") == 0) {
            s = draft_add_report(draft, reports[i].id, err);
        }
    }
    db_reports_free(reports, count);
    return s;
}

enum ds_status planner_forward(const struct due_study *due, struct draft *draft,
                               struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < due->count; i++) {
        s = draft_add_instance(draft, due->instances[i].id, err);
        if (s == DS_OK && due->rule != NULL) {
            s = planner_send_as_is(due, due->instances[i].id, "", draft, err);
        }
    }
    return s == DS_OK && due->rule != NULL ? mark_reports_sent(due, draft, err) : s;
}

/* ---- protecting ---- */

/* What one sealing needs; its arrays are as long as the study's instances. */
struct sealing {
    const struct due_study *due;
    struct carrier_plan *plan;
    size_t *planned; /* positions in due->instances, in the order of the plan */
    size_t planned_count;
    struct carrier_slot *slots;
    struct db_report *reports;
    size_t report_count;
    struct stego_document *documents;
    const struct stego_certificate **recipients;
    size_t recipient_count;
    struct stego_capsule *capsule;
};

static void sealing_free(struct sealing *s)
{
    carrier_plan_free(s->plan);
    free(s->planned);
    free(s->slots);
    db_reports_free(s->reports, s->report_count);
    free(s->documents);
    free(s->recipients);
    stego_capsule_free(s->capsule);
}

static enum carrier_placement unsuitable_placement(const struct config_protect *p)
{
    switch (p->unsuitable) {
    case CONFIG_UNSUITABLE_SIDECAR:
        return CARRIER_SIDECAR;
    case CONFIG_UNSUITABLE_HOLD:
        return CARRIER_HOLD;
    case CONFIG_UNSUITABLE_PASS:
        break;
    }
    return CARRIER_PASS;
}

/* An integrity token has no key: nothing but what the carrier itself changes may be in it. */
static enum carrier_attributes wanted_attributes(const struct config_protect *p)
{
    if (p->payload == CONFIG_PAYLOAD_INTEGRITY || p->attributes == CONFIG_ATTRIBUTES_CHANGED) {
        return CARRIER_ATTRIBUTES_CHANGED;
    }
    return p->attributes == CONFIG_ATTRIBUTES_ALL ? CARRIER_ATTRIBUTES_ALL
                                                  : CARRIER_ATTRIBUTES_AUTO;
}

static enum ds_status find_recipients(struct sealing *s, struct ds_error *err)
{
    const struct config_protect *p = &s->due->rule->protect;
    s->recipients = calloc(p->recipients.count + 1, sizeof(*s->recipients));
    if (s->recipients == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    if (p->payload == CONFIG_PAYLOAD_INTEGRITY) {
        return DS_OK;
    }
    for (size_t i = 0; i < p->recipients.count; i++) {
        const struct stego_certificate *c =
            settings_certificate(s->due->settings, p->recipients.items[i]);
        if (c == NULL) {
            return ds_fail(err, DS_ECONFIG, "recipient %s has no certificate",
                           p->recipients.items[i]);
        }
        s->recipients[s->recipient_count++] = c;
    }
    return DS_OK;
}

static enum ds_status find_documents(struct sealing *s, struct ds_error *err)
{
    if (s->due->rule->protect.payload == CONFIG_PAYLOAD_INTEGRITY) {
        return DS_OK;
    }
    const enum ds_status status =
        db_reports_unsent(s->due->db, s->due->study->study_id, &s->reports, &s->report_count, err);
    if (status != DS_OK) {
        return status;
    }
    s->documents = calloc(s->report_count + 1, sizeof(*s->documents));
    if (s->documents == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < s->report_count; i++) {
        s->documents[i] = (struct stego_document){.name = s->reports[i].name,
                                                  .media_type = s->reports[i].media_type,
                                                  .data = s->reports[i].data.data,
                                                  .len = s->reports[i].data.len};
    }
    return DS_OK;
}

/* Adds one original to the plan. One that is damaged on our own disk is taken out of the flow; the
 * others go on. */
static enum ds_status plan_original(struct sealing *s, size_t position, struct ds_error *err)
{
    const struct db_instance *instance = &s->due->instances[position];
    DS_AUTO(carrier_original_auto) struct carrier_original *original = NULL;
    enum ds_status status = protector_load_original(instance, &original, err);
    if (status == DS_EFORMAT || status == DS_EAUTH) {
        ds_log(DS_LOG_ERROR, "node", "instance=%lld quarantined: %s", (long long)instance->id,
               err->text);
        return db_instance_quarantine(s->due->db, instance->id, err->text, err);
    }
    if (status == DS_OK) {
        status = carrier_plan_add(s->plan, original, err);
    }
    if (status == DS_OK) {
        s->planned[s->planned_count++] = position;
    }
    return status;
}

static enum ds_status plan_originals(struct sealing *s, struct draft *draft, struct ds_error *err)
{
    enum ds_status status = DS_OK;
    for (size_t i = 0; status == DS_OK && i < s->due->count; i++) {
        const struct db_instance *instance = &s->due->instances[i];
        switch (instance->kind) {
        case DB_ORIGINAL:
            status = plan_original(s, i, err);
            break;
        case DB_CARRIER:
        case DB_RESTORED:
            status = draft_add_instance(draft, instance->id, err);
            if (status == DS_OK) {
                status = planner_send_as_is(s->due, instance->id,
                                            "it is a carrier already, or was one", draft, err);
            }
            break;
        case DB_REPORT: /* travels sealed inside the others, never in clear */
            status = draft_add_instance(draft, instance->id, err);
            break;
        }
    }
    return status;
}

static enum ds_status seal(struct sealing *s, struct ds_error *err)
{
    const struct config_protect *p = &s->due->rule->protect;
    const struct stego_seal_request request = {
        .origin = settings_config(s->due->settings)->ae_title,
        .created_utc_us = ds_clock_utc_us(),
        .documents = s->documents,
        .document_count = s->report_count,
        .recipients = s->recipients,
        .recipient_count = s->recipient_count,
        .signer = settings_identity(s->due->settings),
        .share_total = 1,
        .redundancy_percent = p->redundancy_percent,
    };
    return carrier_plan_seal(s->plan, &request, s->slots, s->planned_count, &s->capsule, err);
}

/* The reports cannot travel in this study's images. The images do as the rule says; the reports
 * stay unsent, and both are said aloud. */
static void give_up_reports(struct sealing *s, const char *why)
{
    const enum carrier_placement placement = unsuitable_placement(&s->due->rule->protect);
    for (size_t i = 0; i < s->planned_count; i++) {
        memset(&s->slots[i], 0, sizeof(s->slots[i]));
        s->slots[i].placement = placement == CARRIER_HOLD ? CARRIER_HOLD : CARRIER_PASS;
        s->slots[i].share_index = STEGO_NO_SHARE;
        (void)snprintf(s->slots[i].reason, sizeof(s->slots[i].reason), "%.159s", why);
    }
    db_reports_free(s->reports, s->report_count);
    s->reports = NULL;
    s->report_count = 0;
    ds_log(DS_LOG_WARNING, "node", "study=%lld rule=\"%s\" the reports are not sent: %s",
           (long long)s->due->study->study_id, s->due->rule->name, why);
    const struct db_event event = {.kind = "report-not-sent",
                                   .study_id = s->due->study->study_id,
                                   .actor = "node",
                                   .detail = "{\"cause\": \"the images cannot carry it\"}"};
    if (db_event_add(s->due->db, &event, 1, NULL) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "study=%lld the provenance lacks report-not-sent",
               (long long)s->due->study->study_id);
    }
}

static struct db_planned_delivery delivery_of(const struct carrier_slot *slot, bool has_capsule)
{
    struct db_planned_delivery d = {.action = DB_SEND_AS_IS,
                                    .capsule = DRAFT_NO_CAPSULE,
                                    .share_index = -1,
                                    .held = slot->placement == CARRIER_HOLD,
                                    .note = slot->reason};
    const bool hides = slot->placement == CARRIER_IN_PIXELS || slot->placement == CARRIER_SIDECAR;
    if (hides && has_capsule) {
        d.action = slot->placement == CARRIER_SIDECAR ? DB_SEND_SIDECAR : DB_SEND_CARRIER;
        d.capsule = 0;
        d.share_index = slot->share_index == STEGO_NO_SHARE ? -1 : (int64_t)slot->share_index;
        d.with_key_block = slot->with_key_block;
        d.with_certificate = slot->with_certificate;
    }
    return d;
}

static enum ds_status write_deliveries(const struct sealing *s, struct draft *draft,
                                       struct ds_error *err)
{
    const struct config_list *peers = &s->due->rule->send_to;
    enum ds_status status = DS_OK;
    for (size_t i = 0; status == DS_OK && i < s->planned_count; i++) {
        struct db_planned_delivery d = delivery_of(&s->slots[i], draft->has_capsule);
        d.instance_id = s->due->instances[s->planned[i]].id;
        status = draft_add_instance(draft, d.instance_id, err);
        for (size_t p = 0; status == DS_OK && p < peers->count; p++) {
            d.peer = peers->items[p];
            status = draft_add_delivery(draft, &d, err);
        }
    }
    for (size_t i = 0; status == DS_OK && i < s->report_count; i++) {
        status = draft_add_report(draft, s->reports[i].id, err);
    }
    return status;
}

static enum ds_status keep_capsule(const struct sealing *s, struct draft *draft,
                                   struct ds_error *err)
{
    if (s->capsule == NULL) {
        return DS_OK;
    }
    memcpy(draft->capsule_id, stego_capsule_id(s->capsule), sizeof(draft->capsule_id));
    draft->shares_needed = stego_capsule_shares_needed(s->capsule);
    draft->shares_total = stego_capsule_shares_total(s->capsule);
    draft->has_capsule = true;
    return stego_capsule_save(s->capsule,
                              stego_identity_certificate(settings_identity(s->due->settings)),
                              &draft->saved, err);
}

static enum ds_status prepare_sealing(struct sealing *s, struct ds_error *err)
{
    if (settings_identity(s->due->settings) == NULL) {
        return ds_fail(err, DS_ECONFIG, "protecting needs node.key and node.certificate");
    }
    const struct carrier_plan_options options = {
        .unsuitable = unsuitable_placement(&s->due->rule->protect),
        .attributes = wanted_attributes(&s->due->rule->protect),
        .hiding = protector_hiding(&s->due->rule->protect),
        .instances = s->due->count,
    };
    s->planned = calloc(s->due->count + 1, sizeof(*s->planned));
    s->slots = calloc(s->due->count + 1, sizeof(*s->slots));
    if (s->planned == NULL || s->slots == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    enum ds_status status = carrier_plan_new(&s->plan, &options, err);
    if (status == DS_OK) {
        status = find_recipients(s, err);
    }
    return status == DS_OK ? find_documents(s, err) : status;
}

static enum ds_status protect(struct sealing *s, struct draft *draft, struct ds_error *err)
{
    enum ds_status status = prepare_sealing(s, err);
    if (status == DS_OK) {
        status = plan_originals(s, draft, err);
    }
    if (status != DS_OK || s->planned_count == 0) {
        return status;
    }
    struct ds_error why = {0};
    status = seal(s, &why);
    if (status == DS_ECAPACITY) {
        give_up_reports(s, why.text);
    } else if (status != DS_OK) {
        return ds_fail(err, status, "%s", why.text);
    }
    status = keep_capsule(s, draft, err);
    return status == DS_OK ? write_deliveries(s, draft, err) : status;
}

enum ds_status planner_protect(const struct due_study *due, struct draft *draft,
                               struct ds_error *err)
{
    struct sealing s = {.due = due};
    const enum ds_status status = protect(&s, draft, err);
    sealing_free(&s);
    return status;
}
