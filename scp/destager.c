/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/destager.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Files that wait in memory; what comes while there are more is read back from its segment. */
#define HELD_MAX       8U
#define HELD_MAX_BYTES BUFFERS_KEEP_BYTES
/* Synced when so much was written, or when nothing has come for a moment. */
#define SYNC_BYTES (64ULL * 1024 * 1024)
#define IDLE_MS    200
#define RETRY_MS   1000
#define STOP_MS    1000
/* Behind who talks to a sender: it has the journal to catch up with. */
#define NICENESS 5

struct item_list {
    struct destage_item *first, **end;
};

struct destager {
    struct destager_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct item_list waiting; /* under lock, with the two below */
    unsigned held;
    bool stopping;
    /* The thread's own. */
    struct item_list unsynced;
    uint64_t unsynced_bytes;
    uint8_t *file;
    bool troubled; /* the last write or sync failed: said once */
    int64_t stop_until_ms;
};

static void list_init(struct item_list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void list_add(struct item_list *l, struct destage_item *item)
{
    item->next = NULL;
    *l->end = item;
    l->end = &item->next;
}

static struct destage_item *list_take(struct item_list *l)
{
    struct destage_item *item = l->first;
    if (item != NULL) {
        l->first = item->next;
        l->end = l->first == NULL ? &l->first : l->end;
    }
    return item;
}

/* All of more come before what l has. */
static void list_prepend(struct item_list *l, struct item_list *more)
{
    if (more->first == NULL) {
        return;
    }
    *more->end = l->first;
    l->end = l->first == NULL ? more->end : l->end;
    l->first = more->first;
    list_init(more);
}

static void give_buffer(struct destager *d, struct destage_item *item)
{
    if (item->buffer != NULL) {
        buffers_give(d->options.buffers, item->buffer, (size_t)item->entry.record.file_bytes);
        item->buffer = NULL;
    }
}

void destager_add(struct destager *d, struct destage_item *item)
{
    (void)pthread_mutex_lock(&d->lock);
    if (d->held >= HELD_MAX || item->entry.record.file_bytes > HELD_MAX_BYTES) {
        give_buffer(d, item);
    }
    d->held += item->buffer != NULL ? 1 : 0;
    list_add(&d->waiting, item);
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
}

/* ---- the thread ---- */

static void wait_until(struct destager *d, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&d->changed, &d->lock, &until);
}

/* NULL when nothing came for a moment. */
static struct destage_item *next_item(struct destager *d)
{
    (void)pthread_mutex_lock(&d->lock);
    if (d->waiting.first == NULL && !d->stopping) {
        wait_until(d, IDLE_MS);
    }
    struct destage_item *item = list_take(&d->waiting);
    (void)pthread_mutex_unlock(&d->lock);
    return item;
}

static void done_with_buffer(struct destager *d, struct destage_item *item)
{
    if (item->buffer == NULL) {
        return;
    }
    give_buffer(d, item);
    (void)pthread_mutex_lock(&d->lock);
    d->held--;
    (void)pthread_mutex_unlock(&d->lock);
}

static void put_back(struct destager *d, struct item_list *items)
{
    (void)pthread_mutex_lock(&d->lock);
    list_prepend(&d->waiting, items);
    (void)pthread_mutex_unlock(&d->lock);
}

/* Said once, not for each entry. */
static void note_trouble(struct destager *d, const struct ds_error *why)
{
    if (why != NULL && !d->troubled) {
        ds_log(DS_LOG_ERROR, "spool", "accepted instances stay in the journal for now: %s",
               why->text);
    } else if (why == NULL && d->troubled) {
        ds_log(DS_LOG_INFO, "spool", "instances leave the journal again");
    }
    d->troubled = why != NULL;
}

static enum ds_status write_file(struct destager *d, struct destage_item *item,
                                 struct ds_error *err)
{
    const struct record *r = &item->entry.record;
    const uint8_t *file = item->buffer;
    if (file == NULL) {
        const enum ds_status st = journal_read(&item->entry, d->file, err);
        if (st != DS_OK) {
            return st;
        }
        file = d->file;
    }
    return inbox_put(d->options.inbox, r->id, file, (size_t)r->file_bytes, r->arrival_us, err);
}

static void tell(struct destager *d, const struct record *r)
{
    struct spool_entry entry = {.dataset_bytes = r->file_bytes - r->head_bytes,
                                .has_file_hash = r->kind == DS_DIGEST_SHA256};
    memcpy(entry.id, r->id, sizeof(entry.id));
    if (entry.has_file_hash) {
        memcpy(entry.file_hash, r->hash, sizeof(entry.file_hash));
    }
    if (d->options.arrived != NULL &&
        inbox_path(d->options.inbox, r->id, entry.path, sizeof(entry.path))) {
        d->options.arrived(d->options.context, &entry);
    }
}

/* false: it is in the queue again, and something must change first. */
static bool destage(struct destager *d, struct destage_item *item)
{
    struct ds_error err = {0};
    const enum ds_status st = write_file(d, item, &err);
    if (st == DS_OK) {
        done_with_buffer(d, item);
        d->unsynced_bytes += item->entry.record.file_bytes;
        tell(d, &item->entry.record);
        list_add(&d->unsynced, item);
        note_trouble(d, NULL);
        return true;
    }
    note_trouble(d, &err);
    struct item_list one;
    list_init(&one);
    list_add(&one, item);
    put_back(d, &one);
    return false;
}

/* What has reached the disk leaves the journal. When that is unknown, all of it is written again:
 * writing twice what is there already changes nothing. */
static bool sync_files(struct destager *d)
{
    struct ds_error err = {0};
    d->unsynced_bytes = 0;
    if (d->unsynced.first == NULL) {
        return true;
    }
    if (inbox_sync(d->options.inbox, &err) != DS_OK) {
        note_trouble(d, &err);
        put_back(d, &d->unsynced);
        return false;
    }
    for (struct destage_item *i = list_take(&d->unsynced); i != NULL; i = list_take(&d->unsynced)) {
        journal_release(d->options.journal, &i->entry);
        free(i);
    }
    journal_recycle(d->options.journal);
    return true;
}

static bool is_stopping(struct destager *d)
{
    (void)pthread_mutex_lock(&d->lock);
    const bool stopping = d->stopping;
    (void)pthread_mutex_unlock(&d->lock);
    return stopping;
}

static void pause_after_trouble(struct destager *d)
{
    (void)pthread_mutex_lock(&d->lock);
    if (!d->stopping) {
        wait_until(d, RETRY_MS);
    }
    (void)pthread_mutex_unlock(&d->lock);
}

static void *run(void *context)
{
    struct destager *d = context;
    (void)setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux: of this thread */
    for (;;) {
        const bool stopping = is_stopping(d);
        struct destage_item *item = next_item(d);
        bool well = item == NULL || destage(d, item);
        if (item == NULL || d->unsynced_bytes >= SYNC_BYTES) {
            well = sync_files(d) && well;
        }
        while (!stopping && journal_prepare(d->options.journal)) {
        }
        if (stopping && (item == NULL || !well || ds_clock_monotonic_ms() > d->stop_until_ms)) {
            return NULL;
        }
        if (!well) {
            pause_after_trouble(d);
        }
    }
}

/* ---- start and stop ---- */

static void destager_free(struct destager *d)
{
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d->file);
    free(d);
}

enum ds_status destager_start(struct destager **out, const struct destager_options *options,
                              struct ds_error *err)
{
    *out = NULL;
    struct destager *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    d->options = *options;
    list_init(&d->waiting);
    list_init(&d->unsynced);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&d->lock, NULL); /* none of these can fail on Linux */
    (void)pthread_cond_init(&d->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    d->file = aligned_alloc(RECORD_BLOCK_BYTES, BUFFERS_EACH_BYTES);
    if (d->file == NULL || pthread_create(&d->thread, NULL, run, d) != 0) {
        destager_free(d);
        return ds_fail(err, DS_ENOMEM, "spool: cannot start a thread");
    }
    *out = d;
    return DS_OK;
}

static void forget(struct destager *d, struct item_list *l)
{
    for (struct destage_item *i = list_take(l); i != NULL; i = list_take(l)) {
        give_buffer(d, i);
        journal_release(d->options.journal, &i->entry);
        free(i);
    }
}

void destager_stop(struct destager *d)
{
    if (d == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&d->lock);
    d->stopping = true;
    d->stop_until_ms = ds_clock_monotonic_ms() + STOP_MS;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    (void)pthread_join(d->thread, NULL);
    /* Nobody recycles any more: what is unpinned here is still in its segments. */
    forget(d, &d->waiting);
    forget(d, &d->unsynced);
    destager_free(d);
}
