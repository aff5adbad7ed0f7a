/* SPDX-License-Identifier: Apache-2.0 */
#include "node/describer.h"

#include "base/log.h"
#include "base/map.h"
#include "node/description.h"
#include "node/thread.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#define STEP     64U
#define PAUSE_MS 50   /* between steps */
#define AWAY_MS  1000 /* the database is */
#define NICENESS 10

struct describer {
    struct services *services;
    struct thread thread;
    bool started;
    int64_t after; /* the last one that was looked at */
    uint64_t described, failed;
};

/* What the file says now; false: nothing. */
static bool describe_one(struct describer *d, const struct db_undescribed *one,
                         struct description *out)
{
    struct ds_error err = {DS_OK, ""};
    struct ds_map map = {NULL, 0};
    struct dicom_dataset *set = NULL;
    enum ds_status s = ds_map_open(&map, one->path, DICOM_FILE_MAX_BYTES, &err);
    s = s == DS_OK ? dicom_dataset_view(&set, map.data, map.len, NULL, &err) : s;
    s = s == DS_OK ? description_of_dataset(out, set, &err) : s;
    dicom_dataset_free(set);
    ds_map_close(&map);
    if (s != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "instance=%" PRId64 " is not described for queries: %s",
               one->instance_id, err.text);
        d->failed++;
    }
    return s == DS_OK;
}

/* Those that could be read, one after another in the arrays. */
static size_t describe_all(struct describer *d, const struct db_undescribed *found, size_t count,
                           struct description *descriptions, int64_t *ids, struct db_received *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < count && !services_stopping(d->services); i++) {
        if (describe_one(d, &found[i], &descriptions[n])) {
            ids[n] = found[i].instance_id;
            rows[n] = descriptions[n].row;
            n++;
        } else {
            description_free(&descriptions[n]);
        }
    }
    return n;
}

static enum ds_status describe_found(struct describer *d, struct db *db,
                                     const struct db_undescribed *found, size_t count,
                                     struct ds_error *err)
{
    int64_t ids[STEP] = {0};
    struct db_received rows[STEP] = {{0}};
    struct description *descriptions = calloc(count, sizeof(*descriptions));
    if (descriptions == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const size_t n = describe_all(d, found, count, descriptions, ids, rows);
    const enum ds_status s = db_describe(db, ids, rows, n, err);
    for (size_t i = 0; i < n; i++) {
        description_free(&descriptions[i]);
    }
    free(descriptions);
    d->described += s == DS_OK ? n : 0;
    return s;
}

/* False: that was all. */
static bool step(struct describer *d, struct db *db)
{
    struct ds_error err = {DS_OK, ""};
    struct db_undescribed *found = NULL;
    size_t count = 0;
    enum ds_status s = db_undescribed(db, d->after, STEP, &found, &count, &err);
    if (s == DS_OK && count > 0) {
        s = describe_found(d, db, found, count, &err);
    }
    if (s == DS_OK && count > 0) {
        d->after = found[count - 1].instance_id;
    }
    free(found);
    if (s != DS_OK) {
        ds_log(DS_LOG_INFO, "node", "describing for queries waits: %s", err.text);
    }
    services_sleep(d->services, s == DS_OK ? PAUSE_MS : AWAY_MS);
    return s != DS_OK || count == STEP;
}

static void run(void *context)
{
    struct describer *d = context;
    (void)setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux: of this thread */
    for (bool more = true; more && !services_stopping(d->services);) {
        struct db *db = services_db(d->services);
        if (db == NULL) {
            services_sleep(d->services, AWAY_MS);
        } else {
            more = step(d, db);
        }
    }
    if (d->described > 0 || d->failed > 0) {
        ds_log(DS_LOG_INFO, "node",
               "described for queries: %" PRIu64 " instances from before, %" PRIu64 " unreadable",
               d->described, d->failed);
    }
}

enum ds_status describer_start(struct describer **out, struct services *services,
                               struct ds_error *err)
{
    *out = NULL;
    struct describer *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    d->services = services;
    *out = d; /* also on failure: the caller stops what has started */
    const enum ds_status s = thread_start(&d->thread, run, d, err);
    d->started = s == DS_OK;
    return s;
}

bool describer_stop(struct describer *d, int64_t until_ms)
{
    if (d == NULL) {
        return true;
    }
    if (d->started && !thread_join(&d->thread, until_ms)) {
        return false;
    }
    free(d);
    return true;
}
