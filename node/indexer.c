/* SPDX-License-Identifier: Apache-2.0 */
#include "node/indexer.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "node/backoff.h"
#include "node/description.h"
#include "node/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH       64U
#define GATHER_MS   50
#define THREADS_MAX 4U

_Static_assert(THREADS_MAX <= ARRIVAL_TAKERS_MAX, "each thread is a taker of its own");

struct indexer {
    struct services *services;
    struct thread threads[THREADS_MAX];
    unsigned thread_count;
    atomic_uint numbers; /* given to the threads as they begin */
};

/* One instance of a batch. */
struct item {
    struct arrival arrival;
    char spool_path[ARCHIVE_PATH_BYTES];
    struct description description;
    struct ds_bytes report; /* the file, kept for a report's row only */
    bool ready;             /* described, waits for its row */
};

struct batch {
    struct item items[BATCH];
    size_t count;
};

static enum ds_status spool_path(const struct services *s, const char *id,
                                 char out[ARCHIVE_PATH_BYTES], struct ds_error *err)
{
    const int n =
        snprintf(out, ARCHIVE_PATH_BYTES, "%s/spool/new/%s.dcm", s->archive.state_dir, id);
    if (n < 0 || (size_t)n >= ARCHIVE_PATH_BYTES) {
        return ds_fail(err, DS_EINVAL, "no spool path for this ID");
    }
    return DS_OK;
}

/* The time of arrival is when the spool finished the file: the same before and after a restart. */
static int64_t arrival_us(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return ds_clock_utc_us();
    }
    return (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
}

static enum ds_status describe(struct indexer *x, struct item *item, struct ds_error *err)
{
    struct description *d = &item->description;
    enum ds_status s = spool_path(x->services, item->arrival.id, item->spool_path, err);
    if (s != DS_OK) {
        return s;
    }
    const int64_t received_us = arrival_us(item->spool_path);
    DS_AUTO(budget_give)
    struct budget_share share =
        budget_take(&x->services->budget, budget_for_index(item->spool_path));
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    s = ds_map_open(&file, item->spool_path, DICOM_FILE_MAX_BYTES, err);
    if (s == DS_OK) {
        s = description_make(d, file.data, file.len, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (d->meta.sop_instance_uid[0] != '\0' && strcmp(d->meta.sop_instance_uid, d->sop_uid) != 0) {
        ds_log(DS_LOG_WARNING, "node",
               "entry=%s the SOP Instance UID of the request is not that of the data set",
               item->arrival.id);
    }
    d->row.received_us = received_us;
    if (d->row.kind == DB_REPORT) {
        s = ds_bytes_append(&item->report, file.data, file.len, err);
    }
    return s != DS_OK
               ? s
               : archive_path(&x->services->archive, received_us, item->arrival.id, d->path, err);
}

/* What was accepted and is not an instance is kept, with the reason, where a person can look at it.
 */
static void set_aside(struct indexer *x, const struct item *item, const char *reason)
{
    struct ds_error err = {0};
    ds_log(DS_LOG_WARNING, "node", "entry=%s quarantined: %s", item->arrival.id, reason);
    if (archive_quarantine(&x->services->archive, item->spool_path, item->arrival.id, reason,
                           &err) != DS_OK) {
        ds_log(DS_LOG_ERROR, "node", "entry=%s stays in the spool: %s", item->arrival.id, err.text);
        return;
    }
    char detail[160];
    (void)snprintf(detail, sizeof(detail), "{\"entry\": \"%s\", \"cause\": \"not an instance\"}",
                   item->arrival.id);
    const struct db_event event = {.kind = "quarantined", .actor = "node", .detail = detail};
    struct db *db = services_db(x->services);
    if (db == NULL || db_event_add(db, &event, 1, &err) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "entry=%s its quarantine is not in the provenance",
               item->arrival.id);
    }
}

/* true when the item waits for its row; false when it is done with, or left in the spool. */
static bool prepare(struct indexer *x, struct item *item)
{
    struct ds_error err = {0};
    const enum ds_status s = describe(x, item, &err);
    switch (s) {
    case DS_OK:
        return true;
    case DS_ENOTFOUND: /* indexed a moment ago: it was in the queue twice */
        return false;
    case DS_ENOMEM:
    case DS_EIO:
        ds_log(DS_LOG_ERROR, "node", "entry=%s status=%s cannot be read now: %s", item->arrival.id,
               ds_status_name(s), err.text);
        services_sleep(x->services, BACKOFF_FIRST_MS);
        arrivals_add(x->services->arrivals, item->arrival.id);
        return false;
    default:
        set_aside(x, item, err.text);
        return false;
    }
}

/* A report that came by DICOM is also a document of its study, to be sealed and hidden. */
static enum ds_status add_report(struct db *db, struct item *item, int64_t study_id,
                                 struct ds_error *err)
{
    char name[DICOM_UID_BYTES + 4];
    (void)snprintf(name, sizeof(name), "%s.dcm", item->description.sop_uid);
    int64_t id = 0;
    return db_report_add(db, study_id, name, "application/dicom", "dicom", item->report.data,
                         item->report.len, false, &id, err);
}

static enum ds_status settle_one(struct item *item, const struct db_indexed *row,
                                 struct ds_error *err)
{
    const char *place = row->duplicate ? row->path : item->description.path;
    if (row->duplicate && ds_file_exists(place)) {
        return unlink(item->spool_path) == 0 ? DS_OK
                                             : ds_fail(err, DS_EIO, "cannot remove a duplicate");
    }
    return archive_move_in(item->spool_path, place, err);
}

/* After the rows are there: reports, then the files to their places. A failure leaves the entry in
 * the spool, where the next start finds it. */
static void settle(struct db *db, struct item *const *items, const struct db_indexed *rows,
                   size_t count)
{
    const char *last = NULL;
    for (size_t i = 0; i < count; i++) {
        struct ds_error err = {0};
        enum ds_status s = DS_OK;
        if (items[i]->description.row.kind == DB_REPORT) {
            s = add_report(db, items[i], rows[i].study_id, &err);
        }
        if (s == DS_OK) {
            s = settle_one(items[i], &rows[i], &err);
        }
        if (s != DS_OK) {
            ds_log(DS_LOG_ERROR, "node", "entry=%s status=%s stays in the spool: %s",
                   items[i]->arrival.id, ds_status_name(s), err.text);
            continue;
        }
        last = items[i]->description.path;
        if (rows[i].duplicate || rows[i].reencoded) {
            ds_log(DS_LOG_INFO, "node", "instance=%lld came again%s: it is not sent twice",
                   (long long)rows[i].instance_id,
                   rows[i].duplicate ? "" : ", in another encoding that is kept");
        }
        if (rows[i].conflict && !rows[i].duplicate) {
            ds_log(DS_LOG_WARNING, "node",
                   "instance=%lld has the SOP Instance UID of another one: both are kept",
                   (long long)rows[i].instance_id);
        }
    }
    if (last != NULL && archive_sync_folder_of(last, NULL) != DS_OK) {
        ds_log(DS_LOG_WARNING, "node", "the archive's folder cannot be flushed");
    }
}

static enum ds_status write_rows(struct services *s, struct item *const *items, size_t count,
                                 struct ds_error *err)
{
    struct db *db = services_db(s);
    if (db == NULL) {
        return ds_fail(err, DS_EIO, "the database is not there yet");
    }
    struct db_received rows[BATCH];
    struct db_indexed *indexed = calloc(count, sizeof(*indexed));
    if (indexed == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        rows[i] = items[i]->description.row;
    }
    const enum ds_status status = db_index(db, rows, count, indexed, err);
    if (status == DS_OK) {
        settle(db, items, indexed, count);
    }
    free(indexed);
    return status;
}

/* Until the rows are written or the node stops: then the entries wait in the spool. */
static enum ds_status write_rows_patiently(struct services *s, struct item *const *items,
                                           size_t count, struct ds_error *err)
{
    for (unsigned failures = 1;; failures++) {
        const enum ds_status status = write_rows(s, items, count, err);
        if ((status != DS_EIO && status != DS_ENOMEM) || services_stopping(s)) {
            return status;
        }
        ds_log(failures == 1 ? DS_LOG_INFO : DS_LOG_DEBUG, "node",
               "%zu instances wait in the spool: %s", count, err->text);
        const int64_t wait = backoff_drawn_ms(failures < 4 ? failures : 4);
        services_sleep(s, services_db(s) == NULL ? 200 : wait);
    }
}

static void index_items(struct indexer *x, struct item *const *items, size_t count)
{
    struct ds_error err = {0};
    const enum ds_status s = write_rows_patiently(x->services, items, count, &err);
    if (s == DS_OK || services_stopping(x->services)) {
        return;
    }
    if (count == 1) {
        set_aside(x, items[0], err.text);
        return;
    }
    /* One of them cannot be indexed: the others must not suffer. */
    index_items(x, items, count / 2);
    index_items(x, items + count / 2, count - count / 2);
}

static void index_batch(struct indexer *x, struct batch *batch)
{
    struct item *ready[BATCH];
    size_t count = 0;
    for (size_t i = 0; i < batch->count && !services_stopping(x->services); i++) {
        if (prepare(x, &batch->items[i])) {
            ready[count++] = &batch->items[i];
        }
    }
    if (count > 0) {
        index_items(x, ready, count);
    }
    for (size_t i = 0; i < batch->count; i++) {
        ds_bytes_free(&batch->items[i].report);
    }
}

static bool visit_entry(void *context, const struct spool_entry *entry)
{
    struct indexer *x = context;
    arrivals_add(x->services->arrivals, entry->id);
    return !services_stopping(x->services);
}

static void run(void *context)
{
    struct indexer *x = context;
    const unsigned taker = atomic_fetch_add(&x->numbers, 1);
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        ds_log(DS_LOG_ERROR, "node", "no memory for an indexer");
        return;
    }
    while (!services_stopping(x->services)) {
        struct arrival taken[BATCH];
        batch->count = arrivals_take(x->services->arrivals, taker, taken, BATCH, 1000, GATHER_MS);
        for (size_t i = 0; i < batch->count; i++) {
            batch->items[i].arrival = taken[i];
            batch->items[i].report = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
        }
        index_batch(x, batch);
        if (arrivals_overflowed(x->services->arrivals) &&
            spool_each(x->services->spool, visit_entry, x, NULL) != DS_OK) {
            ds_log(DS_LOG_ERROR, "node", "the spool cannot be read again");
        }
    }
    free(batch);
}

/* Reading and hashing is work for the processor: one thread for each, within reason. */
static unsigned threads_wanted(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > (long)THREADS_MAX ? THREADS_MAX : (unsigned)online;
}

enum ds_status indexer_start(struct indexer **out, struct services *services, struct ds_error *err)
{
    *out = NULL;
    struct indexer *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    x->services = services;
    atomic_init(&x->numbers, 0);
    enum ds_status s = spool_each(services->spool, visit_entry, x, err);
    const unsigned wanted = threads_wanted();
    while (s == DS_OK && x->thread_count < wanted) {
        if (thread_start(&x->threads[x->thread_count], run, x, err) != DS_OK) {
            break;
        }
        x->thread_count++;
    }
    if (s == DS_OK && x->thread_count > 0) {
        *out = x;
        return DS_OK;
    }
    free(x);
    return s != DS_OK ? s : ds_fail(err, DS_ENOMEM, "cannot start the indexer's threads");
}

void indexer_add(struct indexer *x, const char *spool_id)
{
    arrivals_add(x->services->arrivals, spool_id);
}

bool indexer_stop(struct indexer *x, int64_t until_ms)
{
    if (x == NULL) {
        return true;
    }
    arrivals_close(x->services->arrivals);
    bool all = true;
    for (unsigned i = 0; i < x->thread_count; i++) {
        all = thread_join(&x->threads[i], until_ms) && all;
    }
    if (all) {
        free(x);
    }
    return all;
}
