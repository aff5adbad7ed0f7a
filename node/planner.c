/* SPDX-License-Identifier: Apache-2.0 */
#include "node/planner.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "carrier/carrier.h"
#include "db/quarantine.h"
#include "node/protector.h"
#include "node/transparency.h"
#include "node/witness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ds_status add_as_is(const struct due_study *due, int64_t instance_id, bool held,
                                const char *note, struct draft *draft, struct ds_error *err)
{
    for (size_t i = 0; i < due->rule->send_to.count; i++) {
        const struct db_planned_delivery delivery = {.instance_id = instance_id,
                                                     .peer = due->rule->send_to.items[i],
                                                     .action = DB_SEND_AS_IS,
                                                     .capsule = DRAFT_NO_CAPSULE,
                                                     .share_index = -1,
                                                     .held = held,
                                                     .note = note};
        const enum ds_status s = draft_add_delivery(draft, &delivery, err);
        if (s != DS_OK) {
            return s;
        }
    }
    return DS_OK;
}

enum ds_status planner_send_as_is(const struct due_study *due, int64_t instance_id,
                                  const char *note, struct draft *draft, struct ds_error *err)
{
    return add_as_is(due, instance_id, false, note, draft, err);
}

enum ds_status planner_hold(const struct due_study *due, int64_t instance_id, const char *note,
                            struct draft *draft, struct ds_error *err)
{
    return add_as_is(due, instance_id, true, note, draft, err);
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
    return s;
}

/* ---- protecting ---- */

/* What one sealing needs; its arrays are as long as the study's instances. */
struct sealing {
    const struct due_study *due;
    bool again; /* the instances belong to an earlier generation */
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
    struct transparency transparency;
};

static void sealing_free(struct sealing *s)
{
    transparency_free(&s->transparency);
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

static unsigned named_measurement(const struct config_protect *p)
{
    static const struct {
        enum config_measurement named;
        enum carrier_measurement kind;
    } kinds[] = {
        {CONFIG_MEASURES_RT_DOSE, CARRIER_MEASURES_RT_DOSE},
        {CONFIG_MEASURES_SEGMENTATION, CARRIER_MEASURES_SEGMENTATION},
        {CONFIG_MEASURES_PARAMETRIC_MAP, CARRIER_MEASURES_PARAMETRIC_MAP},
        {CONFIG_MEASURES_PET, CARRIER_MEASURES_PET},
    };
    unsigned set = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(kinds); i++) {
        set |= (p->measurement & (unsigned)kinds[i].named) != 0 ? (unsigned)kinds[i].kind : 0;
    }
    return set;
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

/* Reports that came by DICOM are settled as the instances that they are. */
static void leave_instances(struct sealing *s)
{
    size_t left = 0;
    for (size_t i = 0; i < s->report_count; i++) {
        if (s->reports[i].is_instance) {
            ds_bytes_free(&s->reports[i].data);
        } else {
            s->reports[left++] = s->reports[i];
        }
    }
    s->report_count = left;
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
    if (s->due->rule->reports != CONFIG_REPORTS_SEAL) {
        leave_instances(s);
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
    DS_AUTO(budget_give)
    struct budget_share share =
        budget_take(&s->due->services->budget,
                    budget_for_carrier(instance->path,
                                       dicom_transfer_syntax_is_native(instance->transfer_syntax)));
    DS_AUTO(carrier_original_auto) struct carrier_original *original = NULL;
    enum ds_status status =
        protector_load_original(&s->due->services->originals, instance, &original, err);
    if (status == DS_EFORMAT || status == DS_EAUTH ||
        (status == DS_ENOTFOUND && archive_has_lost(&s->due->services->archive, instance->path))) {
        ds_log(DS_LOG_ERROR, "node", "instance=%lld quarantined: %s", (long long)instance->id,
               err->text);
        ds_metric_add(DS_METRIC_QUARANTINED, db_quarantine_class_name(DB_DAMAGED), NULL, 1);
        return db_instance_quarantine(s->due->db, instance->id, DB_DAMAGED, err->text, err);
    }
    if (status == DS_OK) {
        status = carrier_plan_add(s->plan, original, err);
    }
    if (status == DS_OK) {
        s->planned[s->planned_count++] = position;
        originals_put(&s->due->services->originals, instance->id, &original);
    }
    return status;
}

static enum ds_status plan_originals(struct sealing *s, struct ds_error *err)
{
    enum ds_status status = DS_OK;
    for (size_t i = 0; status == DS_OK && i < s->due->count; i++) {
        status = plan_original(s, i, err);
    }
    return status;
}

static enum ds_status seal(struct sealing *s, struct ds_error *err)
{
    const struct config_protect *p = &s->due->rule->protect;
    struct stego_tree_head head;
    const enum ds_status named =
        witness_name_head(s->due->services, settings_identity(s->due->settings), &head, err);
    if (named != DS_OK) {
        return named;
    }
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
        .head = head,
    };
    return carrier_plan_seal(s->plan, &request, s->slots, s->planned_count, &s->capsule, err);
}

/* No image carries anything: all do as the rule says. */
static void place_without_capsule(struct sealing *s, const char *why)
{
    const enum carrier_placement placement = unsuitable_placement(&s->due->rule->protect);
    for (size_t i = 0; i < s->planned_count; i++) {
        memset(&s->slots[i], 0, sizeof(s->slots[i]));
        s->slots[i].placement = placement == CARRIER_HOLD ? CARRIER_HOLD : CARRIER_PASS;
        s->slots[i].share_index = STEGO_NO_SHARE;
        (void)snprintf(s->slots[i].reason, sizeof(s->slots[i].reason), "%.159s", why);
    }
}

/* The reports cannot travel in this study's images: they stay unsent, which is said aloud. */
static void give_up_reports(struct sealing *s, const char *why)
{
    place_without_capsule(s, why);
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

/* One for each destination. */
static enum ds_status write_delivery(const struct sealing *s, const struct db_planned_delivery *to,
                                     struct draft *draft, struct ds_error *err)
{
    const struct config_rule *rule = s->due->rule;
    enum ds_status status = DS_OK;
    for (size_t p = 0; status == DS_OK && p < rule->send_to.count; p++) {
        char note[TRANSPARENCY_NOTE_BYTES];
        struct db_planned_delivery d = *to;
        d.peer = rule->send_to.items[p];
        transparency_note(&s->transparency, d.peer, note);
        if (note[0] != '\0' && d.action == DB_SEND_CARRIER) {
            transparency_replace(&d, rule->protect.unsuitable, s->again, note);
        }
        status = draft_add_delivery(draft, &d, err);
    }
    return status;
}

static enum ds_status write_deliveries(const struct sealing *s, struct draft *draft,
                                       struct ds_error *err)
{
    enum ds_status status = DS_OK;
    for (size_t i = 0; status == DS_OK && i < s->planned_count; i++) {
        struct db_planned_delivery d = delivery_of(&s->slots[i], draft->has_capsule);
        d.instance_id = s->due->instances[s->planned[i]].id;
        status = s->again ? DS_OK : draft_add_instance(draft, d.instance_id, err);
        status = status == DS_OK ? write_delivery(s, &d, draft, err) : status;
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

/* A manifest with its signature: 256 bytes at most, with an RSA key of 4096 bits 768. For each
 * recipient the study key, with RSA of 4096 bits 600. */
#define TOKEN_MAX_BYTES     768U
#define RECIPIENT_MAX_BYTES 640U

/* What one image will have to hold besides its record and the headers: an integrity token needs its
 * manifest and our certificate, whatever the image; reports are divided among those that are left
 * when as many as the rule allows are lost. Compressed or not, with room for the sealing. */
static size_t expected_bytes(const struct sealing *s)
{
    const struct config_protect *protect = &s->due->rule->protect;
    const struct stego_identity *own = settings_identity(s->due->settings);
    const size_t left = s->due->count - s->due->count * protect->redundancy_percent / 100;
    size_t documents = 0;
    for (size_t i = 0; i < s->report_count; i++) {
        documents += s->documents[i].len;
    }
    return TOKEN_MAX_BYTES + stego_certificate_bytes(stego_identity_certificate(own)) +
           s->recipient_count * RECIPIENT_MAX_BYTES + documents / (left == 0 ? 1 : left);
}

static enum ds_status prepare_sealing(struct sealing *s, struct ds_error *err)
{
    if (settings_identity(s->due->settings) == NULL) {
        return ds_fail(err, DS_ECONFIG, "protecting needs node.key and node.certificate");
    }
    s->planned = calloc(s->due->count + 1, sizeof(*s->planned));
    s->slots = calloc(s->due->count + 1, sizeof(*s->slots));
    if (s->planned == NULL || s->slots == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    enum ds_status status = find_recipients(s, err);
    if (status == DS_OK) {
        status = transparency_find(s->due, &s->transparency, err);
    }
    return status == DS_OK ? find_documents(s, err) : status;
}

static enum ds_status new_plan(struct sealing *s, size_t expected, struct ds_error *err)
{
    const struct carrier_plan_options options = {
        .unsuitable = unsuitable_placement(&s->due->rule->protect),
        .attributes = wanted_attributes(&s->due->rule->protect),
        .keep_bitstream = s->due->rule->protect.keep_bitstream,
        .hiding = protector_hiding(&s->due->rule->protect),
        .measurement = named_measurement(&s->due->rule->protect),
        .references = s->due->renamed,
        .instances = s->due->count,
        .expected_bytes = expected,
    };
    carrier_plan_free(s->plan);
    s->plan = NULL;
    s->planned_count = 0;
    stego_capsule_free(s->capsule);
    s->capsule = NULL;
    return carrier_plan_new(&s->plan, &options, err);
}

static enum ds_status plan_with(struct sealing *s, size_t expected, struct ds_error *err)
{
    enum ds_status status = new_plan(s, expected, err);
    if (status == DS_OK) {
        status = plan_originals(s, err);
    }
    return status == DS_OK && s->planned_count > 0 ? seal(s, err) : status;
}

/* One trial for each image, and only where that leaves somebody out are all measured. With nothing
 * to carry them, the reports wait: see late_reports. */
static enum ds_status plan_and_seal(struct sealing *s, struct ds_error *err)
{
    enum ds_status status = prepare_sealing(s, err);
    if (status == DS_OK) {
        status = plan_with(s, expected_bytes(s), err);
    }
    return s->plan != NULL && carrier_plan_is_short(s->plan) ? plan_with(s, 0, err) : status;
}

/* Is there nobody who may have a carrier, nor a sidecar in its place? */
static bool nobody_gets_it(const struct sealing *s)
{
    return s->transparency.all && s->due->rule->protect.unsuitable != CONFIG_UNSUITABLE_SIDECAR;
}

static void give_up_capsule(struct sealing *s)
{
    char note[TRANSPARENCY_NOTE_BYTES];
    transparency_note(&s->transparency, s->due->rule->send_to.items[0], note);
    stego_capsule_free(s->capsule);
    s->capsule = NULL;
    if (s->report_count > 0) {
        give_up_reports(s, note);
    } else {
        place_without_capsule(s, note);
    }
}

static enum ds_status write_plan(const struct sealing *s, struct draft *draft, struct ds_error *err)
{
    const enum ds_status status = keep_capsule(s, draft, err);
    return status == DS_OK ? write_deliveries(s, draft, err) : status;
}

static enum ds_status protect(const struct due_study *due, struct draft *draft,
                              struct ds_error *err)
{
    struct sealing s = {.due = due};
    struct ds_error why = {0};
    enum ds_status status = plan_and_seal(&s, &why);
    if (status == DS_ECAPACITY && s.planned_count > 0) {
        give_up_reports(&s, why.text);
        status = DS_OK;
    }
    if (status == DS_OK && nobody_gets_it(&s)) {
        give_up_capsule(&s);
    }
    if (status == DS_OK) {
        status = transparency_say(&s.transparency, due, &why);
    }
    status = status == DS_OK && s.planned_count > 0 ? write_plan(&s, draft, err)
             : status == DS_OK                      ? DS_OK
                                                    : ds_fail(err, status, "%s", why.text);
    sealing_free(&s);
    return status;
}

/* ---- reports that came after their study ---- */

#define LATE_CARRIERS_MAX 8U

static enum ds_status protect_again(const struct due_study *due, struct db_instance *original,
                                    struct draft *draft, bool *done, struct ds_error *err)
{
    struct due_study again = *due;
    again.instances = original;
    again.count = 1;
    struct sealing s = {.due = &again, .again = true};
    enum ds_status status = plan_and_seal(&s, err);
    *done = status == DS_OK && s.planned_count == 1 && s.report_count > 0 && !nobody_gets_it(&s);
    if (*done) {
        status = write_plan(&s, draft, err);
    }
    sealing_free(&s);
    return status;
}

/* One image that went as a carrier goes once more, with a capsule of its own that holds the
 * reports: the receiver finds it to be an instance that it has, and the reports to be new. */
static enum ds_status late_reports(const struct due_study *due, struct draft *draft,
                                   struct ds_error *err)
{
    struct db_instance *sent = NULL;
    size_t count = 0;
    bool done = false;
    enum ds_status s = db_study_sent_originals(due->db, due->study->study_id, due->rule->name,
                                               LATE_CARRIERS_MAX, &sent, &count, err);
    for (size_t i = 0; s == DS_OK && !done && i < count; i++) {
        s = protect_again(due, &sent[i], draft, &done, err);
        s = s == DS_ECAPACITY ? DS_OK : s; /* the next one may hold it */
    }
    free(sent);
    if (s == DS_OK && !done) {
        return ds_fail(err, DS_ECAPACITY,
                       "a report came after its study was sent, and none of %zu images that went "
                       "as carriers can take it",
                       count);
    }
    return s;
}

enum ds_status planner_protect(const struct due_study *due, struct draft *draft,
                               struct ds_error *err)
{
    return due->study->pending == 0 ? late_reports(due, draft, err) : protect(due, draft, err);
}
