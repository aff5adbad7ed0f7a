/* SPDX-License-Identifier: Apache-2.0 */
#include "node/indexer.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "node/backoff.h"
#include "node/description.h"
#include "node/quarantine.h"
#include "node/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH       64U
#define GATHER_MS   50
#define THREADS_MAX 4U
/* The wait before an entry is tried again doubles so often. */
#define TRIES_DOUBLING 5U
/* Behind who talks to a sender: what was accepted can wait a moment, a modality should not. */
#define NICENESS 5
/* Of originals in one batch. */
#define KEPT_MAX_BYTES ((size_t)4 << 20)

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
    struct carrier_original *original; /* for who comes next; or NULL */
    bool placed;                       /* its name in the archive is new: no row has it */
};

struct batch {
    bool streams; /* a rule protects instances as they come */
    size_t kept_bytes;
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
    s = description_open(d, item->spool_path,
                         item->arrival.has_file_hash ? item->arrival.file_hash : NULL,
                         &item->original, err);
    if (s != DS_OK) {
        return s;
    }
    if (d->meta.sop_instance_uid[0] != '\0' && strcmp(d->meta.sop_instance_uid, d->sop_uid) != 0) {
        ds_log(DS_LOG_WARNING, "node",
               "entry=%s the SOP Instance UID of the request is not that of the data set",
               item->arrival.id);
    }
    d->row.received_us = received_us;
    return archive_path(&x->services->archive, received_us, item->arrival.id, d->path, err);
}

/* It stays in the spool for now. Said once for each. */
static void try_later(struct services *s, const struct item *item, enum ds_status why,
                      const struct ds_error *err)
{
    const unsigned tries = item->arrival.tries;
    ds_log(tries == 0 ? DS_LOG_ERROR : DS_LOG_DEBUG, "node",
           "entry=%s status=%s stays in the spool and will be tried again: %s", item->arrival.id,
           ds_status_name(why), err->text);
    arrivals_put_back(s->arrivals, &item->arrival,
                      backoff_drawn_ms(tries < TRIES_DOUBLING ? tries + 1 : TRIES_DOUBLING));
}

/* What was accepted and is not an instance is kept, with the reason, where a person can look at it.
 */
static void set_aside(struct indexer *x, const struct item *item, const char *reason)
{
    struct ds_error err = {0};
    const enum ds_status s =
        quarantine_set_aside(x->services, item->spool_path, item->arrival.id, reason, &err);
    if (s != DS_OK) {
        try_later(x->services, item, s, &err);
    } else if (item->placed) {
        (void)unlink(item->description.path);
    }
}

/* Kept are reports, whose bytes are asked for, and the first instances of a batch where planning
 * follows at once: studies are planned when they are complete, long after. */
static void keep_or_free(struct batch *batch, struct item *item)
{
    const size_t bytes = carrier_original_bytes(item->original);
    const bool fits = batch->streams && bytes <= KEPT_MAX_BYTES - batch->kept_bytes;
    if (fits && item->description.row.kind == DB_ORIGINAL) {
        batch->kept_bytes += bytes;
    } else if (item->description.row.kind != DB_REPORT) {
        carrier_original_free(item->original);
        item->original = NULL;
    }
}

/* true when the item waits for its row; false when it is done with, or left in the spool. */
static bool prepare(struct indexer *x, struct item *item)
{
    struct ds_error err = {0};
    enum ds_status s = describe(x, item, &err);
    if (s == DS_OK) {
        bool taken = false;
        s = archive_place(item->spool_path, item->description.path, &taken, &err);
        item->placed = s == DS_OK && !taken;
    }
    switch (s) {
    case DS_OK:
        return true;
    case DS_ENOTFOUND: /* indexed a moment ago: it was in the queue twice */
        return false;
    case DS_ENOMEM:
    case DS_EIO:
        try_later(x->services, item, s, &err);
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
    size_t len = 0;
    const uint8_t *file = carrier_original_file(item->original, &len);
    return db_report_add(db, study_id, name, "application/dicom", "dicom", file, len, false, &id,
                         err);
}

static enum ds_status remove_name(const char *path, struct ds_error *err)
{
    return unlink(path) == 0 || errno == ENOENT
               ? DS_OK
               : ds_fail(err, DS_EIO, "cannot remove a duplicate: %s", strerror(errno));
}

/* The row was there before, with a file somewhere. The name in the spool goes last: what is not
 * done by then is done again. */
static enum ds_status settle_duplicate(const struct item *item, const struct db_indexed *row,
                                       struct ds_error *err)
{
    const char *ours = item->description.path;
    const enum ds_status s = row->elsewhere || ds_file_exists(row->path)
                                 ? remove_name(ours, err)
                                 : archive_move_in(ours, row->path, err);
    return s == DS_OK ? remove_name(item->spool_path, err) : s;
}

static enum ds_status settle_one(const struct item *item, const struct db_indexed *row,
                                 struct ds_error *err)
{
    return row->duplicate ? settle_duplicate(item, row, err)
                          : archive_settle(item->spool_path, item->description.path, err);
}

/* After the rows are there: reports, then the names in the spool. What fails is tried again, with
 * the row that it has. */
static void settle(struct services *services, struct db *db, struct item *const *items,
                   const struct db_indexed *rows, size_t count)
{
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
            try_later(services, items[i], s, &err);
            continue;
        }
        if (!rows[i].duplicate && items[i]->description.row.kind == DB_ORIGINAL &&
            items[i]->original != NULL) {
            originals_put(&services->originals, rows[i].instance_id, &items[i]->original);
        }
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
}

static bool are_in_one_folder(const char *one, const char *other)
{
    const size_t len = (size_t)(strrchr(one, '/') - one); /* archive_path puts one in */
    return strncmp(one, other, len + 1) == 0 && strchr(other + len + 1, '/') == NULL;
}

/* A row on the disk says that the file's name is there, too. A batch is of one day, or of two. */
static void sync_folders(struct item *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *path = items[i]->description.path;
        const bool last =
            i + 1 == count || !are_in_one_folder(path, items[i + 1]->description.path);
        if (last && archive_sync_folder_of(path, NULL) != DS_OK) {
            ds_log(DS_LOG_WARNING, "node", "the archive's folder cannot be flushed");
        }
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
        ds_metric_add(DS_METRIC_INDEXED, NULL, NULL, count);
        settle(s, db, items, indexed, count);
        bell_ring(&s->planning);
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
            keep_or_free(batch, &batch->items[i]);
            ready[count++] = &batch->items[i];
        }
    }
    if (count > 0) {
        sync_folders(ready, count);
        index_items(x, ready, count);
    }
    for (size_t i = 0; i < batch->count; i++) {
        carrier_original_free(batch->items[i].original);
        description_free(&batch->items[i].description);
    }
}

static bool visit_entry(void *context, const struct spool_entry *entry)
{
    struct indexer *x = context;
    arrivals_add(x->services->arrivals, entry->id, NULL);
    return !services_stopping(x->services);
}

/* Where a rule lets instances through as they come, a batch is what has come meanwhile. */
static int64_t begin_batch(struct batch *batch, struct services *s)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(s);
    const struct config *config = settings_config(settings);
    bool at_once = false;
    batch->streams = false;
    batch->kept_bytes = 0;
    for (size_t i = 0; i < config->rule_count; i++) {
        if (config->rules[i].complete_after_ms == 0) {
            at_once = true;
            batch->streams = batch->streams || config->rules[i].has_protect;
        }
    }
    return at_once ? 0 : GATHER_MS;
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
    (void)setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux: of this thread */
    while (!services_stopping(x->services)) {
        struct arrival taken[BATCH];
        batch->count = arrivals_take(x->services->arrivals, taker, taken, BATCH, 1000,
                                     begin_batch(batch, x->services));
        for (size_t i = 0; i < batch->count; i++) {
            batch->items[i].arrival = taken[i];
            batch->items[i].original = NULL;
            batch->items[i].placed = false;
        }
        index_batch(x, batch);
        if (arrivals_overflowed(x->services->arrivals) &&
            spool_each(x->services->spool, visit_entry, x, NULL) != DS_OK) {
            ds_log(DS_LOG_ERROR, "node", "the spool cannot be read again now");
            arrivals_read_again(x->services->arrivals, BACKOFF_FIRST_MS);
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
