/* SPDX-License-Identifier: Apache-2.0 */
#include "node/completer.h"

#include "base/clock.h"
#include "base/log.h"
#include "node/collision.h"
#include "node/patience.h"
#include "node/planner.h"
#include "node/recoverer.h"
#include "node/renaming.h"
#include "node/thread.h"
#include "node/triage.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS       500
#define NO_RULE_COMPLETE_US (60LL * 1000000)
#define MODALITIES_MAX      64U

/* Bits of patience_say_once. */
#define SAID_WAITS 1U
#define SAID_HELD  2U

struct completer {
    struct services *services;
    struct patience patience;
    struct thread thread;
};

static bool seals_reports(const struct config_rule *rule)
{
    return rule != NULL && rule->has_protect && rule->protect.payload == CONFIG_PAYLOAD_REPORT;
}

enum completer_verdict completer_judge(const struct config_rule *rule,
                                       const struct db_pending_study *study)
{
    if (study->pending == 0 && !seals_reports(rule)) {
        return COMPLETER_NOT_YET; /* a report that no rule takes along */
    }
    if (rule == NULL) {
        return study->idle_us >= NO_RULE_COMPLETE_US ? COMPLETER_DUE : COMPLETER_NOT_YET;
    }
    if (study->idle_us < rule->complete_after_ms * 1000) {
        return COMPLETER_NOT_YET;
    }
    if (!rule->waits_for_report || study->reports > 0 || study->has_carrier) {
        return COMPLETER_DUE;
    }
    if (study->age_us < rule->report_wait_ms * 1000) {
        return COMPLETER_WAITS_FOR_REPORT;
    }
    return rule->report_send_without ? COMPLETER_DUE : COMPLETER_HELD;
}

/* "CT\SR" as a list whose items lie in buffer. */
static void split_modalities(const char *text, char *buffer, size_t size, char **items,
                             struct config_list *out)
{
    *out = (struct config_list){.items = items, .count = 0};
    const size_t len = strnlen(text, size - 1);
    memcpy(buffer, text, len);
    buffer[len] = '\0';
    char *rest = buffer;
    while (rest != NULL && *rest != '\0' && out->count < MODALITIES_MAX) {
        items[out->count++] = rest;
        rest = strchr(rest, '\\');
        if (rest != NULL) {
            *rest++ = '\0';
        }
    }
}

static const struct config_rule *rule_for(const struct config *c,
                                          const struct db_pending_study *study)
{
    char buffer[DB_TEXT_BYTES];
    char *items[MODALITIES_MAX];
    struct config_list modalities;
    split_modalities(study->modalities, buffer, sizeof(buffer), items, &modalities);
    const struct config_subject subject = {.calling_ae = study->calling_ae,
                                           .called_ae = study->called_ae,
                                           .modalities = &modalities,
                                           .study_description = study->description,
                                           .is_carrier = study->has_carrier};
    return config_rule_for(c, &subject);
}

static enum ds_status say_no_rule(struct db *db, const struct db_pending_study *study,
                                  struct ds_error *err)
{
    ds_log(DS_LOG_WARNING, "node", "study=%lld no rule matches: kept, not sent",
           (long long)study->study_id);
    const struct db_event event = {.kind = "no-rule", .study_id = study->study_id, .actor = "node"};
    return db_event_add(db, &event, 1, err);
}

static enum ds_status write_draft(struct due_study *due, struct draft *draft, struct ds_error *err)
{
    if (due->rule == NULL) {
        const enum ds_status s = say_no_rule(due->db, due->study, err);
        return s == DS_OK ? planner_forward(due, draft, err) : s;
    }
    enum ds_status s =
        collision_settle(due->db, due->rule, draft, due->instances, &due->count, err);
    if (s == DS_OK) {
        s = triage_settle(due, draft, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (due->rule->has_protect) {
        return planner_protect(due, draft, err);
    }
    return due->rule->has_recover ? recoverer_plan(due, draft, err)
                                  : planner_forward(due, draft, err);
}

static enum ds_status commit(const struct due_study *due, const struct draft *draft,
                             struct ds_error *err)
{
    if (draft_is_empty(draft)) {
        return DS_OK; /* every one of them went to quarantine */
    }
    int generation = 0;
    const enum ds_status s = draft_commit(draft, due->db, &generation, err);
    if (s == DS_EEXIST) {
        ds_log(DS_LOG_INFO, "node", "study=%lld was planned by another node",
               (long long)due->study->study_id);
        return DS_OK;
    }
    if (s == DS_OK) {
        ds_log(DS_LOG_INFO, "node",
               "study=%lld generation=%d rule=\"%s\" instances=%zu deliveries=%zu reports=%zu",
               (long long)due->study->study_id, generation, draft->rule, draft->instance_count,
               draft->delivery_count, draft->report_count);
        bell_ring(&due->services->bell);
    }
    return s;
}

static enum ds_status settle(struct due_study *due, struct draft *draft, struct ds_error *err)
{
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *renamed = NULL;
    enum ds_status s = DS_OK;
    if (due->rule != NULL && due->rule->has_protect) {
        s = renaming_candidates(due->db, settings_config(due->settings), due->rule,
                                due->study->study_id, due->instances, due->count, &renamed, err);
    }
    due->renamed = renamed;
    s = s == DS_OK ? write_draft(due, draft, err) : s;
    due->renamed = NULL;
    return s;
}

static enum ds_status plan(struct completer *c, struct db *db, const struct settings *settings,
                           const struct config_rule *rule, const struct db_pending_study *study,
                           struct ds_error *err)
{
    struct db_instance *instances = NULL;
    size_t count = 0;
    enum ds_status s = db_study_pending_instances(db, study->study_id, &instances, &count, err);
    if (s != DS_OK) {
        return s;
    }
    struct due_study due = {.services = c->services,
                            .db = db,
                            .settings = settings,
                            .rule = rule,
                            .study = study,
                            .instances = instances,
                            .count = count};
    struct draft draft;
    draft_init(&draft, study->study_id, rule == NULL ? "" : rule->name);
    s = settle(&due, &draft, err);
    if (s == DS_OK) {
        s = commit(&due, &draft, err);
    }
    if (s == DS_OK && draft.waiting > 0) {
        s = ds_fail(err, DS_ECAPACITY, "%zu carriers wait for more of the study", draft.waiting);
    }
    draft_free(&draft);
    free(instances);
    return s;
}

static void say_waiting(struct completer *c, int64_t study_id, enum completer_verdict verdict)
{
    if (verdict == COMPLETER_WAITS_FOR_REPORT &&
        patience_say_once(&c->patience, study_id, SAID_WAITS)) {
        ds_log(DS_LOG_INFO, "node", "study=%lld is complete and waits for its report",
               (long long)study_id);
    }
    if (verdict == COMPLETER_HELD && patience_say_once(&c->patience, study_id, SAID_HELD)) {
        ds_log(DS_LOG_WARNING, "node", "study=%lld is held: no report came in the rule's time",
               (long long)study_id);
    }
}

/* The database counts the silence from the last instance that was indexed. What was accepted and
 * waits for the indexer may belong to the study, so only the silence up to the oldest of those is
 * known: a slow disk or an absent database must not cut a study in two. */
static struct db_pending_study as_known(const struct completer *c,
                                        const struct db_pending_study *study)
{
    struct db_pending_study known = *study;
    known.idle_us -= arrivals_lag_ms(c->services->arrivals) * 1000;
    return known;
}

static void look_at(struct completer *c, struct db *db, const struct settings *settings,
                    const struct db_pending_study *study)
{
    const int64_t now = ds_clock_monotonic_ms();
    if (!patience_may_try(&c->patience, study->study_id, study->pending + study->reports, now)) {
        return;
    }
    const struct config_rule *rule = rule_for(settings_config(settings), study);
    const enum completer_verdict verdict = completer_judge(rule, study);
    if (verdict != COMPLETER_DUE) {
        say_waiting(c, study->study_id, verdict);
        return;
    }
    struct ds_error err = {0};
    const enum ds_status s = plan(c, db, settings, rule, study, &err);
    if (s == DS_OK) {
        patience_done(&c->patience, study->study_id);
        return;
    }
    const unsigned failures = patience_failed(
        &c->patience, study->study_id, study->pending + study->reports, ds_clock_monotonic_ms());
    ds_log(DS_LOG_WARNING, "node", "study=%lld status=%s try=%u could not be planned: %s",
           (long long)study->study_id, ds_status_name(s), failures, err.text);
}

static void look(struct completer *c, struct db *db)
{
    struct db_pending_study *studies = NULL;
    size_t count = 0;
    if (db_pending(db, &studies, &count, NULL) != DS_OK) {
        return; /* away: the pool says so */
    }
    DS_AUTO(settings_auto) struct settings *settings = services_settings(c->services);
    for (size_t i = 0; i < count && !services_stopping(c->services); i++) {
        const struct db_pending_study known = as_known(c, &studies[i]);
        look_at(c, db, settings, &known);
    }
    free(studies);
}

static void run(void *context)
{
    struct completer *c = context;
    while (!services_stopping(c->services)) {
        struct db *db = services_db(c->services);
        if (db != NULL) {
            look(c, db);
        }
        services_sleep(c->services, LOOK_EVERY_MS);
    }
}

enum ds_status completer_start(struct completer **out, struct services *services,
                               struct ds_error *err)
{
    *out = NULL;
    struct completer *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    c->services = services;
    const enum ds_status s = thread_start(&c->thread, run, c, err);
    if (s != DS_OK) {
        free(c);
        return s;
    }
    *out = c;
    return DS_OK;
}

bool completer_stop(struct completer *c, int64_t until_ms)
{
    if (c == NULL) {
        return true;
    }
    if (!thread_join(&c->thread, until_ms)) {
        return false;
    }
    free(c);
    return true;
}
