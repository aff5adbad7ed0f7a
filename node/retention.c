/* SPDX-License-Identifier: Apache-2.0 */
#include "node/retention.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "db/retention.h"
#include "node/quarantine.h"
#include "node/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STEP_INSTANCES 1000U
#define FILES_MAX      1000U
#define LOOK_EVERY_MS  1000 /* at the disk */
#define PASS_MIN_MS    1000
#define PASS_MAX_MS    60000

struct retention {
    struct services *services;
    struct thread thread;
    bool started;
    int64_t next_pass_ms; /* monotonic */
    int64_t after_id;     /* where the pass goes on */
    bool is_full;         /* said once */
};

/* ---- policy ---- */

/* One for each rule that has a retention, and the node's own for deliveries of rules that are gone.
 * free(). */
static struct db_retention_rule *policy_of(const struct config *c, size_t *count)
{
    struct db_retention_rule *out = calloc(c->rule_count + 1, sizeof(*out));
    *count = 0;
    for (size_t i = 0; out != NULL && i < c->rule_count; i++) {
        const struct config_retention *r = &c->rules[i].retention;
        if (r->given) {
            out[(*count)++] =
                (struct db_retention_rule){c->rules[i].name, r->keep_ms, r->after_sent};
        }
    }
    if (out != NULL && c->retention.given) {
        out[(*count)++] =
            (struct db_retention_rule){NULL, c->retention.keep_ms, c->retention.after_sent};
    }
    return out;
}

/* Ten times within the shortest time is often enough. */
static int64_t pass_every_ms(const struct db_retention_rule *rules, size_t count)
{
    int64_t shortest = PASS_MAX_MS * 10;
    for (size_t i = 0; i < count; i++) {
        shortest = rules[i].keep_ms < shortest ? rules[i].keep_ms : shortest;
    }
    return shortest / 10 < PASS_MIN_MS ? PASS_MIN_MS : shortest / 10;
}

/* ---- files ---- */

/* Nothing outside of our archive is ever removed, whatever a row says. */
static bool is_ours(const struct archive *a, const char *path)
{
    const size_t len = strlen(a->state_dir);
    return strncmp(path, a->state_dir, len) == 0 && strncmp(path + len, "/archive/", 9) == 0 &&
           strstr(path, "/../") == NULL;
}

static bool remove_file(const struct archive *a, const struct db_left *file)
{
    if (!is_ours(a, file->path)) {
        ds_log(DS_LOG_ERROR, "node", "instance=%lld lies outside of the archive: not removed",
               (long long)file->instance_id);
        return false;
    }
    if (unlink(file->path) != 0 && errno != ENOENT) {
        ds_log(DS_LOG_ERROR, "node", "instance=%lld cannot be removed: %s",
               (long long)file->instance_id, strerror(errno));
        return false;
    }
    return true;
}

/* The files of deleted rows, also those that a crash has left. */
void retention_remove_left(struct services *s, struct db *db)
{
    struct db_left *left = NULL;
    size_t count = 0;
    struct ds_error err = {0};
    enum ds_status status = db_retention_left(db, FILES_MAX, &left, &count, &err);
    int64_t *gone = calloc(count + 1, sizeof(*gone));
    size_t removed = 0;
    for (size_t i = 0; status == DS_OK && gone != NULL && i < count; i++) {
        if (remove_file(&s->archive, &left[i])) {
            gone[removed++] = left[i].instance_id;
        }
    }
    if (status == DS_OK && removed > 0) {
        status = db_retention_removed(db, gone, removed, &err);
    }
    if (status != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "files that are to go: %s", err.text);
    }
    free(gone);
    free(left);
}

/* ---- passes ---- */

/* Answers how many rows it deleted; *after_id is then where to go on. */
static uint64_t step(struct retention *r, struct db *db, const struct db_retention_rule *rules,
                     size_t count, bool at_once, int64_t *after_id)
{
    struct db_retention_pass pass = {.rules = rules,
                                     .count = count,
                                     .at_once = at_once,
                                     .after_id = *after_id,
                                     .max = STEP_INSTANCES};
    struct ds_error err = {0};
    uint64_t deleted = 0;
    if (db_retention_delete(db, &pass, &deleted, &err) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "retention: %s", err.text);
        *after_id = 0;
        return 0;
    }
    *after_id = pass.after_id;
    if (deleted > 0) {
        ds_metric_add(DS_METRIC_DELETED, NULL, NULL, deleted);
        ds_log(DS_LOG_INFO, "node", "%llu instances deleted: %s", (unsigned long long)deleted,
               at_once ? "the disk is full" : "their time is over");
        retention_remove_left(r->services, db);
    }
    return deleted;
}

/* A quarter above the watermark, at which instances are refused: room is made before it is
 * needed. */
static bool is_nearly_full(const struct retention *r, const struct config *c)
{
    struct statvfs st;
    if (!c->delete_when_full || statvfs(r->services->archive.state_dir, &st) != 0) {
        return false;
    }
    const uint64_t free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return free_bytes < c->min_free_bytes + c->min_free_bytes / 4;
}

static void make_room(struct retention *r, struct db *db, const struct config *c,
                      const struct db_retention_rule *rules, size_t count)
{
    if (!is_nearly_full(r, c)) {
        r->is_full = false;
        return;
    }
    int64_t after_id = 0;
    uint64_t deleted = 0;
    do { /* oldest first, a step at a time, and no more than is needed */
        deleted += step(r, db, rules, count, true, &after_id);
    } while (after_id != 0 && is_nearly_full(r, c) && !services_stopping(r->services));
    if (deleted == 0 && !r->is_full) {
        ds_log(DS_LOG_WARNING, "node",
               "the disk is nearly full, and nothing on it may be deleted yet");
    }
    r->is_full = deleted == 0;
}

static void look(struct retention *r, struct db *db)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(r->services);
    const struct config *c = settings_config(settings);
    size_t count = 0;
    struct db_retention_rule *rules = policy_of(c, &count);
    if (rules != NULL && count > 0) {
        make_room(r, db, c, rules, count);
    }
    if (rules != NULL && count > 0 && ds_clock_monotonic_ms() >= r->next_pass_ms) {
        (void)step(r, db, rules, count, false, &r->after_id);
        r->next_pass_ms =
            r->after_id != 0 ? 0 : ds_clock_monotonic_ms() + pass_every_ms(rules, count);
    }
    free(rules);
}

static void run(void *context)
{
    struct retention *r = context;
    bool is_first = true;
    while (!services_stopping(r->services)) {
        struct db *db = services_db(r->services);
        if (db != NULL && is_first) {
            retention_remove_left(r->services, db);
            is_first = false;
        }
        if (db != NULL) {
            quarantine_settle(r->services, db);
            look(r, db);
        }
        services_sleep(r->services, LOOK_EVERY_MS);
    }
}

enum ds_status retention_start(struct retention **out, struct services *services,
                               struct ds_error *err)
{
    *out = NULL;
    struct retention *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    r->services = services;
    *out = r; /* also on failure: the caller stops what has started */
    const enum ds_status s = thread_start(&r->thread, run, r, err);
    r->started = s == DS_OK;
    return s;
}

bool retention_stop(struct retention *r, int64_t until_ms)
{
    if (r == NULL) {
        return true;
    }
    if (r->started && !thread_join(&r->thread, until_ms)) {
        return false;
    }
    free(r);
    return true;
}
