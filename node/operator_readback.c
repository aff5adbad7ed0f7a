/* SPDX-License-Identifier: Apache-2.0 */
#include "node/operator.h"

#include "base/clock.h"
#include "base/secret.h"
#include "db/readback.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 250
#define SPEAK_MS      10000 /* who asks gives up on a node that says nothing */

/* ---- rows ---- */

static json_t *run_row(const struct db_back_run *run, const struct db_peer_profile *profile)
{
    json_t *counts = json_object();
    for (unsigned i = 0; i < DB_BACK_OUTCOMES; i++) {
        (void)json_object_set_new(counts, db_back_outcome_name((enum db_back_outcome)i),
                                  json_integer((json_int_t)run->counts[i]));
    }
    return json_pack("{s:I, s:s, s:s, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:s}",
                     "run", (json_int_t)run->id, "peer", run->peer, "state", run->state, "cause",
                     run->cause[0] != '\0' ? control_text(run->cause) : json_null(), "actor",
                     run->actor, "scheduled", (int)run->scheduled, "begun",
                     operator_time(run->created_us), "ended", operator_time(run->finished_us),
                     "sample", run->is_sampled ? json_integer(run->sample) : json_null(), "seed",
                     run->is_sampled ? json_integer(run->seed) : json_null(), "instances",
                     (json_int_t)run->total, "open", (json_int_t)run->open, "outcomes", counts,
                     "profile",
                     db_back_profile_name(profile != NULL ? profile->profile : DB_PROFILE_UNKNOWN));
}

static json_t *finding_row(const struct db_back_row *f)
{
    static const char *const parts[] = {[DB_BACK_SENT] = "instance",
                                        [DB_BACK_SIDECAR] = "sidecar",
                                        [DB_BACK_BESIDE] = "beside a sidecar",
                                        [DB_BACK_EXTRA] = "extra"};
    json_t *detail = f->detail[0] != '\0' ? json_loads(f->detail, 0, NULL) : NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "outcome",
                     db_back_outcome_name(f->outcome), "part", parts[f->part], "study",
                     f->study_uid, "sop_uid", f->sop_uid, "delivery",
                     f->delivery_id != 0 ? json_integer(f->delivery_id) : json_null(), "instance",
                     f->instance_id != 0 ? json_integer(f->instance_id) : json_null(), "checked",
                     operator_time(f->checked_us), "detail", detail != NULL ? detail : json_null());
}

static enum ds_status send_findings(struct db *db, int64_t run, struct control_answer *answer,
                                    struct ds_error *err)
{
    int64_t after = 0;
    size_t count = 0;
    enum ds_status s = DS_OK;
    do {
        struct db_back_row *rows = NULL;
        s = db_back_rows(db, run, after, true, &rows, &count, err);
        for (size_t i = 0; s == DS_OK && i < count; i++) {
            after = rows[i].id;
            s = control_row(answer, finding_row(&rows[i]), err);
        }
        free(rows);
    } while (s == DS_OK && count == DB_BACK_ROWS_MAX);
    return s;
}

static enum ds_status send_run(struct db *db, const struct db_back_run *run,
                               struct control_answer *answer, struct ds_error *err)
{
    struct db_peer_profile *profile = NULL;
    size_t count = 0;
    enum ds_status s = send_findings(db, run->id, answer, err);
    if (s == DS_OK) {
        s = db_peer_profiles(db, run->peer, &profile, &count, err);
    }
    if (s == DS_OK) {
        s = control_row(answer, run_row(run, count == 1 ? profile : NULL), err);
    }
    free(profile);
    return s;
}

/* ---- waiting ---- */

static bool is_over(const struct db_back_run *run)
{
    return strcmp(run->state, "done") == 0 || strcmp(run->state, "incomplete") == 0;
}

/* Who hung up is not waited for; the run goes on all the same. */
static enum ds_status watch_run(struct services *services, struct db *db, int64_t id,
                                struct control_answer *answer, struct db_back_run *run,
                                struct ds_error *err)
{
    uint64_t shown = UINT64_MAX;
    int64_t spoken_ms = 0;
    for (;;) {
        enum ds_status s = db_back_run_get(db, id, run, err);
        if (s != DS_OK || is_over(run)) {
            return s;
        }
        if (services_stopping(services)) {
            return ds_fail(err, DS_EIO, "the node stops; read-back %lld goes on when it is back",
                           (long long)id);
        }
        const int64_t now = ds_clock_monotonic_ms();
        if (run->open != shown || now - spoken_ms > SPEAK_MS) {
            s = control_progress(answer, run->total - run->open, run->total, err);
            shown = run->open;
            spoken_ms = now;
        }
        if (s != DS_OK) {
            return s;
        }
        services_sleep(services, LOOK_EVERY_MS);
    }
}

/* ---- the verbs ---- */

static enum ds_status find_peer(struct services *services, const char *name, struct ds_error *err)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(services);
    const struct config_peer *peer = config_peer_named(settings_config(settings), name);
    if (peer == NULL) {
        return ds_fail(err, DS_ENOTFOUND, "the configuration has no such peer");
    }
    return peer->host != NULL ? DS_OK
                              : ds_fail(err, DS_EINVAL,
                                        "peer %s has no host: it calls us, we never call it", name);
}

static enum ds_status draw_seed(int64_t *seed, struct ds_error *err)
{
    uint64_t drawn = 0;
    const enum ds_status s = ds_random((uint8_t *)&drawn, sizeof(drawn), err);
    *seed = (int64_t)(drawn >> 1);
    return s;
}

enum ds_status operator_read_back(void *services, const struct control_request *request,
                                  struct control_answer *answer, struct ds_error *err)
{
    const char *name = NULL;
    const char *study = NULL;
    json_int_t sample = 0;
    json_int_t since_us = 0;
    struct db *db = NULL;
    struct db_back_run run;
    int64_t id = 0;
    enum ds_status s = operator_arguments(request, err, "{s:s, s?I, s?s, s?I}", "peer", &name,
                                          "sample", &sample, "study", &study, "since", &since_us);
    struct db_back_request q = {.peer = name, .actor = request->actor, .study_uid = study};
    if (s == DS_OK && (sample < 0 || sample > (json_int_t)DB_BACK_SAMPLE_MAX || since_us < 0)) {
        s = ds_fail(err, DS_EINVAL, "a sample has 1 to %u instances", DB_BACK_SAMPLE_MAX);
    }
    q.sample = (unsigned)sample;
    q.since_us = since_us;
    s = s == DS_OK ? find_peer(services, name, err) : s;
    s = s == DS_OK ? operator_db(services, &db, err) : s;
    s = s == DS_OK ? draw_seed(&q.seed, err) : s;
    s = s == DS_OK ? db_back_begin(db, &q, &id, err) : s;
    s = s == DS_OK ? watch_run(services, db, id, answer, &run, err) : s;
    return s == DS_OK ? send_run(db, &run, answer, err) : s;
}

/* The newest run of a peer, or one by its number. */
enum ds_status operator_read_back_show(void *services, const struct control_request *request,
                                       struct control_answer *answer, struct ds_error *err)
{
    const char *name = NULL;
    json_int_t id = 0;
    int64_t newest = 0;
    struct db *db = NULL;
    struct db_back_run run;
    enum ds_status s = operator_arguments(request, err, "{s:s, s?I}", "peer", &name, "run", &id);
    s = s == DS_OK ? operator_db(services, &db, err) : s;
    if (s == DS_OK && id == 0) {
        s = db_back_newest(db, name, &newest, err);
    }
    s = s == DS_OK ? db_back_run_get(db, id != 0 ? id : newest, &run, err) : s;
    if (s == DS_OK && strcmp(run.peer, name) != 0) {
        s = ds_fail(err, DS_ENOTFOUND, "read-back %lld is of another peer", (long long)run.id);
    }
    return s == DS_OK ? send_run(db, &run, answer, err) : s;
}
