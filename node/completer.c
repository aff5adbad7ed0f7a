/* SPDX-License-Identifier: Apache-2.0 */
#include "node/completer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "node/census.h"
#include "node/collision.h"
#include "node/patience.h"
#include "node/planner.h"
#include "node/recoverer.h"
#include "node/renaming.h"
#include "node/thread.h"
#include "node/triage.h"

#include <stdlib.h>
#include <string.h>

/* A long study on one thread does not stop the others. */
#define THREADS             2U
#define LOOK_EVERY_MS       500
#define STREAM_BATCH        16U
#define NO_RULE_COMPLETE_US (60LL * 1000000)
/* A third of the rule's silence, but no more than this, is when a source is asked. */
#define FIRST_SILENCE_MAX_US (5LL * 1000000)
#define MODALITIES_MAX       64U

/* Bits of patience_say_once. */
#define SAID_WAITS 1U
#define SAID_HELD  2U

struct completer {
    struct services *services;
    struct census *census;
    pthread_mutex_t lock; /* of what follows */
    struct patience patience;
    int64_t busy[THREADS]; /* the study that each thread plans; 0: none */
    int64_t last_taken;
    struct thread threads[THREADS];
    size_t started;
    atomic_size_t numbers; /* given to the threads as they begin */
};

static bool seals_reports(const struct config_rule *rule)
{
    return rule != NULL && rule->has_protect && rule->protect.payload == CONFIG_PAYLOAD_REPORT;
}

static bool is_said(const struct config_rule *rule, const struct db_pending_study *study)
{
    const bool committed = study->hint_us[DB_HINT_COMMITMENT] != 0;
    const bool reported = study->hint_us[DB_HINT_REPORT] != 0;
    return study->hint_us[DB_HINT_OPERATOR] != 0 ||
           ((rule->complete_on & CONFIG_ON_COMMITMENT) != 0 && committed) ||
           ((rule->complete_on & CONFIG_ON_REPORT) != 0 && reported);
}

static bool is_complete(const struct config_rule *rule, const struct db_pending_study *study,
                        bool has_all)
{
    return rule->complete_after_ms == 0 || study->idle_us >= rule->complete_after_ms * 1000 ||
           study->age_us >= rule->complete_at_most_ms * 1000 || has_all || is_said(rule, study);
}

enum completer_verdict completer_judge(const struct config_rule *rule,
                                       const struct db_pending_study *study, bool has_all)
{
    const bool ordered = study->hint_us[DB_HINT_OPERATOR] != 0;
    if (study->pending == 0 && !seals_reports(rule)) {
        return COMPLETER_NOT_YET; /* a report that no rule takes along */
    }
    if (rule == NULL) {
        return ordered || study->idle_us >= NO_RULE_COMPLETE_US ? COMPLETER_DUE : COMPLETER_NOT_YET;
    }
    if (!is_complete(rule, study, has_all)) {
        return COMPLETER_NOT_YET;
    }
    const bool has_report = study->reports > 0 || study->had_report || study->has_carrier;
    if (!rule->waits_for_report || has_report || ordered) {
        return COMPLETER_DUE;
    }
    if (study->age_us < rule->report_wait_ms * 1000) {
        return COMPLETER_WAITS_FOR_REPORT;
    }
    return rule->report_send_without ? COMPLETER_DUE : COMPLETER_HELD;
}

/* ---- the number of instances that the source reports ---- */

/* The peer that is asked: the rule's, or the one that sent, where it can be called. */
static const struct config_peer *source_of(const struct config *c, const struct config_rule *rule,
                                           const struct db_pending_study *study)
{
    if (rule->count_from != NULL) {
        return config_peer_named(c, rule->count_from);
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].host != NULL && strcmp(c->peers[i].ae_title, study->calling_ae) == 0) {
            return &c->peers[i];
        }
    }
    return NULL;
}

static int64_t first_silence_us(const struct config_rule *rule)
{
    const int64_t third = rule->complete_after_ms * 1000 / 3;
    return third < FIRST_SILENCE_MAX_US ? third : FIRST_SILENCE_MAX_US;
}

/* The source is asked at the first silence: not for each instance, and early enough to be of use.
 * One that does not answer, or knows less than is here, changes nothing. */
static bool has_all(struct completer *c, struct db *db, const struct config *config,
                    const struct config_rule *rule, const struct db_pending_study *study)
{
    if (rule == NULL || (rule->complete_on & CONFIG_ON_COUNT) == 0 || study->pending == 0) {
        return false;
    }
    const struct config_peer *source = source_of(config, rule, study);
    if (source != NULL && study->idle_us >= first_silence_us(rule)) {
        const struct census_question question = {.study_id = study->study_id,
                                                 .study_uid = study->study_uid,
                                                 .peer = source->name,
                                                 .pending = study->pending};
        census_ask(c->census, &question);
    }
    uint64_t expected = 0;
    uint64_t here = 0;
    return census_answer(c->census, study->study_id, &expected) && expected > 0 &&
           db_study_count(db, study->study_id, &here, NULL) == DS_OK && here == expected;
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
        ds_metric_add(DS_METRIC_STUDIES_COMPLETED, NULL, NULL, 1);
        ds_log(DS_LOG_INFO, "node",
               "study=%lld generation=%d rule=\"%s\" instances=%zu deliveries=%zu reports=%zu",
               (long long)due->study->study_id, generation, draft->rule, draft->instance_count,
               draft->delivery_count, draft->report_count);
        bell_ring(&due->services->bell);
    }
    return s;
}

static enum db_priority priority_of(const struct config_rule *rule)
{
    static const enum db_priority of[] = {[CONFIG_PRIORITY_LOW] = DB_PRIORITY_LOW,
                                          [CONFIG_PRIORITY_ROUTINE] = DB_PRIORITY_ROUTINE,
                                          [CONFIG_PRIORITY_HIGH] = DB_PRIORITY_HIGH,
                                          [CONFIG_PRIORITY_STAT] = DB_PRIORITY_STAT};
    return rule == NULL ? DB_PRIORITY_ROUTINE : of[rule->priority];
}

static enum ds_status draft_study(struct due_study *due, struct draft *draft, struct ds_error *err)
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
    /* What streams is sent on while the rest is planned. */
    if (rule != NULL && rule->complete_after_ms == 0 && count > STREAM_BATCH) {
        count = STREAM_BATCH;
    }
    struct due_study due = {.services = c->services,
                            .db = db,
                            .settings = settings,
                            .rule = rule,
                            .study = study,
                            .instances = instances,
                            .count = count};
    struct draft draft;
    draft_init(&draft, study->study_id, rule == NULL ? "" : rule->name, priority_of(rule));
    s = draft_study(&due, &draft, err);
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
 * known, and only what was said before it came stands: a slow disk or an absent database must not
 * cut a study in two. */
static struct db_pending_study as_known(const struct completer *c,
                                        const struct db_pending_study *study)
{
    struct db_pending_study known = *study;
    const int64_t lag_us = arrivals_lag_ms(c->services->arrivals) * 1000;
    known.idle_us -= lag_us;
    for (int i = 0; i < DB_HINT_KINDS; i++) {
        if (lag_us != 0 && ds_clock_utc_us() - known.hint_us[i] <= lag_us) {
            known.hint_us[i] = 0;
        }
    }
    return known;
}

/* Under the lock. */
static bool is_busy(const struct completer *c, int64_t study_id)
{
    for (size_t i = 0; i < THREADS; i++) {
        if (c->busy[i] == study_id) {
            return true;
        }
    }
    return false;
}

/* Under the lock. */
static bool is_due(struct completer *c, struct db *db, const struct config *config,
                   const struct db_pending_study *study)
{
    const int64_t now = ds_clock_monotonic_ms();
    if (is_busy(c, study->study_id) ||
        !patience_may_try(&c->patience, study->study_id, study->pending + study->reports, now)) {
        return false;
    }
    const struct config_rule *rule = rule_for(config, study);
    const enum completer_verdict verdict =
        completer_judge(rule, study, has_all(c, db, config, rule, study));
    if (verdict != COMPLETER_DUE) {
        say_waiting(c, study->study_id, verdict);
    }
    return verdict == COMPLETER_DUE;
}

/* Marks the next study that is due as this thread's. From the one that was last taken on, so that
 * studies whose instances keep coming do not stop those behind them. The list is asked for under
 * the lock: one from before would show what another thread has planned since. */
static bool take_due(struct completer *c, struct db *db, const struct settings *settings,
                     size_t thread, struct db_pending_study *out)
{
    struct db_pending_study *studies = NULL;
    size_t count = 0;
    bool found = false;
    (void)pthread_mutex_lock(&c->lock);
    if (db_pending(db, &studies, &count, NULL) != DS_OK) {
        count = 0; /* away: the pool says so */
    }
    size_t first = 0;
    while (first < count && studies[first].study_id <= c->last_taken) {
        first++;
    }
    for (size_t i = 0; i < count && !found && !services_stopping(c->services); i++) {
        *out = as_known(c, &studies[(first + i) % count]);
        found = is_due(c, db, settings_config(settings), out);
    }
    if (found) {
        c->busy[thread] = out->study_id;
        c->last_taken = out->study_id;
    }
    (void)pthread_mutex_unlock(&c->lock);
    free(studies);
    return found;
}

static void give_back(struct completer *c, size_t thread, const struct db_pending_study *study,
                      enum ds_status s, const struct ds_error *err)
{
    unsigned failures = 0;
    (void)pthread_mutex_lock(&c->lock);
    c->busy[thread] = 0;
    if (s == DS_OK) {
        patience_done(&c->patience, study->study_id);
        census_forget(c->census, study->study_id);
    } else {
        failures = patience_failed(&c->patience, study->study_id, study->pending + study->reports,
                                   ds_clock_monotonic_ms());
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (s != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "study=%lld status=%s try=%u could not be planned: %s",
               (long long)study->study_id, ds_status_name(s), failures, err->text);
    }
}

/* False when there is nothing to plan. */
static bool plan_next(struct completer *c, size_t thread, struct db *db)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(c->services);
    struct db_pending_study study;
    if (!take_due(c, db, settings, thread, &study)) {
        return false;
    }
    struct ds_error err = {0};
    const struct config_rule *rule = rule_for(settings_config(settings), &study);
    const enum ds_status s = plan(c, db, settings, rule, &study, &err);
    give_back(c, thread, &study, s, &err);
    return true;
}

/* A rule that lets instances through as they come is served at once. Else looking around is not
 * worth its queries more than twice a second. */
static void wait_for_work(struct completer *c, uint64_t seen)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(c->services);
    const struct config *config = settings_config(settings);
    for (size_t i = 0; i < config->rule_count; i++) {
        if (config->rules[i].complete_after_ms < LOOK_EVERY_MS) {
            bell_wait(&c->services->planning, seen, LOOK_EVERY_MS);
            return;
        }
    }
    services_sleep(c->services, LOOK_EVERY_MS);
}

static void run(void *context)
{
    struct completer *c = context;
    const size_t thread = atomic_fetch_add(&c->numbers, 1);
    while (!services_stopping(c->services)) {
        const uint64_t seen = bell_count(&c->services->planning);
        struct db *db = services_db(c->services);
        if (db == NULL || !plan_next(c, thread, db)) {
            wait_for_work(c, seen);
        }
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
    atomic_init(&c->numbers, 0);
    (void)pthread_mutex_init(&c->lock, NULL);
    *out = c; /* also on failure: the caller stops what has started */
    enum ds_status s = census_start(&c->census, services, err);
    while (s == DS_OK && c->started < THREADS) {
        s = thread_start(&c->threads[c->started], run, c, err);
        c->started += s == DS_OK ? 1 : 0;
    }
    return s;
}

bool completer_stop(struct completer *c, int64_t until_ms)
{
    if (c == NULL) {
        return true;
    }
    bool all = true;
    for (size_t i = 0; i < c->started; i++) {
        all = thread_join(&c->threads[i], until_ms) && all;
    }
    all = all && census_stop(c->census, until_ms);
    if (all) {
        (void)pthread_mutex_destroy(&c->lock);
        free(c);
    }
    return all;
}
