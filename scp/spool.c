/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/spool.h"

#include "base/clock.h"
#include "base/file.h"
#include "scp/destager.h"
#include "scp/part10.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* How much may be written between two looks at the free space. */
#define WATERMARK_STEP_BYTES (8U * 1024U * 1024U)
/* The journal gets the bytes in pieces of this size while more come. */
#define PIECE_BYTES (256U * 1024U)

_Static_assert(SPOOL_ID_BYTES == ENTRY_ID_BYTES, "one kind of ID");
_Static_assert(SPOOL_JOURNAL_MIN_BYTES == JOURNAL_MIN_BYTES, "one limit");
_Static_assert(RECORD_FILE_MAX_BYTES / PIECE_BYTES + 1 < RECORD_EXTENTS_MAX,
               "each piece may be an extent");

struct spool {
    struct inbox inbox;
    struct room room;
    struct journal *journal; /* NULL: none, everything goes into files */
    struct buffers *buffers;
    struct destager *destager;
    enum ds_digest_kind hash;
    void (*arrived)(void *context, const struct spool_entry *entry);
    void *context;
    pthread_mutex_t mutex;
    int64_t last_us; /* of the youngest id */
};

/* Either the item has a buffer, and what is written goes to the journal, or the file is open. */
struct spool_writer {
    struct spool *spool;
    char id[SPOOL_ID_BYTES];
    struct ds_digest *hash;
    struct destage_item *item;
    struct inbox_file file;
    uint64_t head_bytes, dataset_bytes;
    uint64_t unchecked_bytes; /* written since the last look at the free space */
    void *map;                /* of spool_peek */
    size_t map_len;
};

bool spool_has_room(struct spool *s)
{
    return room_is_enough(&s->room);
}

/* ---- open and close ---- */

/* Ids go on rising even when the clock was set back while we were down. */
static enum ds_status resume_ids(struct spool *s, struct ds_error *err)
{
    DS_AUTO(entry_id_list_free) struct entry_id_list list = {NULL, 0, 0};
    const enum ds_status st = inbox_list(&s->inbox, &list, err);
    for (size_t i = 0; i < list.count; i++) {
        const int64_t us = entry_id_us(list.ids[i]);
        s->last_us = us > s->last_us ? us : s->last_us;
    }
    return st;
}

/* What a former run had accepted and not yet, or not durably, written to a file. */
struct found_items {
    struct spool *spool;
    struct destage_item *first, **end;
};

static enum ds_status found(void *context, const struct journal_entry *e, struct ds_error *err)
{
    struct found_items *f = context;
    struct destage_item *item = calloc(1, sizeof(*item));
    if (item == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    item->entry = *e;
    *f->end = item;
    f->end = &item->next;
    const int64_t us = entry_id_us(e->record.id);
    f->spool->last_us = us > f->spool->last_us ? us : f->spool->last_us;
    /* It may not be whole: the file is made again before anybody hears of it. */
    inbox_remove(&f->spool->inbox, e->record.id);
    return DS_OK;
}

static void free_items(struct destage_item *item)
{
    while (item != NULL) {
        struct destage_item *next = item->next;
        free(item);
        item = next;
    }
}

static enum ds_status start_destager(struct spool *s, struct destage_item *items,
                                     struct ds_error *err)
{
    const struct destager_options options = {.journal = s->journal,
                                             .buffers = s->buffers,
                                             .inbox = &s->inbox,
                                             .arrived = s->arrived,
                                             .context = s->context};
    const enum ds_status st = destager_start(&s->destager, &options, err);
    if (st != DS_OK) {
        free_items(items);
        return st;
    }
    while (items != NULL) {
        struct destage_item *next = items->next;
        destager_add(s->destager, items);
        items = next;
    }
    return DS_OK;
}

static enum ds_status open_journal(struct spool *s, uint64_t bytes, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *folder = ds_file_join(s->inbox.folder, "journal");
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    const struct journal_options options = {.folder = folder, .max_bytes = bytes, .room = &s->room};
    struct found_items f = {s, NULL, &f.first};
    enum ds_status st = buffers_new(&s->buffers, err);
    st = st == DS_OK ? journal_open(&s->journal, &options, found, &f, err) : st;
    if (st != DS_OK) {
        free_items(f.first);
        return st;
    }
    return start_destager(s, f.first, err);
}

static void spool_auto(struct spool **s)
{
    spool_close(*s);
}

enum ds_status spool_open(struct spool **out, const struct spool_options *options,
                          struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(spool_auto) struct spool *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    s->hash = options->hash;
    s->arrived = options->arrived;
    s->context = options->context;
    (void)pthread_mutex_init(&s->mutex, NULL); /* default attributes: never fails on Linux */
    enum ds_status st = inbox_open(&s->inbox, options->folder, err);
    room_init(&s->room, s->inbox.new_fd, options->min_free_bytes);
    st = st == DS_OK ? resume_ids(s, err) : st;
    if (st == DS_OK && options->journal_bytes > 0) {
        st = open_journal(s, options->journal_bytes, err);
    }
    if (st == DS_OK) {
        *out = s;
        s = NULL;
    }
    return st;
}

void spool_close(struct spool *s)
{
    if (s == NULL) {
        return;
    }
    destager_stop(s->destager);
    journal_close(s->journal);
    buffers_free(s->buffers);
    inbox_close(&s->inbox);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* ---- writing ---- */

static enum ds_status next_id(struct spool *s, char id[SPOOL_ID_BYTES], struct ds_error *err)
{
    const int64_t now = ds_clock_utc_us();
    (void)pthread_mutex_lock(&s->mutex);
    s->last_us = now > s->last_us ? now : s->last_us + 1;
    const int64_t mine = s->last_us;
    (void)pthread_mutex_unlock(&s->mutex);
    return entry_id_make(mine, id, err);
}

static void unmap(struct spool_writer *w)
{
    if (w->map != NULL) {
        (void)munmap(w->map, w->map_len);
        w->map = NULL;
    }
}

static uint64_t file_bytes(const struct spool_writer *w)
{
    return w->head_bytes + w->dataset_bytes;
}

/* Whatever of it is in the journal is never believed: its record is missing. */
static void leave_journal(struct spool_writer *w)
{
    if (w->item == NULL) {
        return;
    }
    journal_release(w->spool->journal, &w->item->entry);
    buffers_give(w->spool->buffers, w->item->buffer, (size_t)file_bytes(w));
    free(w->item);
    w->item = NULL;
}

void spool_abort(struct spool_writer *w)
{
    if (w == NULL) {
        return;
    }
    unmap(w);
    leave_journal(w);
    inbox_discard(&w->spool->inbox, &w->file);
    ds_digest_free(w->hash);
    free(w);
}

static void writer_auto(struct spool_writer **w)
{
    spool_abort(*w);
}

/* A full disk that the watermark did not foresee is one, too. */
static enum ds_status noted(struct spool *s, enum ds_status st)
{
    if (st == DS_ECAPACITY) {
        room_ran_out(&s->room);
    }
    return st;
}

static enum ds_status low_fail(const struct spool *s, struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "spool: less than %" PRIu64 " bytes free",
                   s->room.watermark_bytes);
}

/* Too long for the journal, or the journal is full or has failed: what came so far, and all that
 * comes, goes into the file. */
static enum ds_status go_to_file(struct spool_writer *w, struct ds_error *err)
{
    enum ds_status st = inbox_create(&w->spool->inbox, w->id, &w->file, err);
    if (st == DS_OK) {
        st = inbox_write(&w->file, w->item->buffer, (size_t)file_bytes(w), err);
    }
    leave_journal(w);
    return noted(w->spool, st);
}

static bool take_buffer(struct spool_writer *w)
{
    if (w->spool->journal == NULL) {
        return false;
    }
    w->item = calloc(1, sizeof(*w->item));
    if (w->item == NULL) {
        return false;
    }
    w->item->buffer = buffers_take(w->spool->buffers);
    if (w->item->buffer == NULL) { /* more senders than buffers: this one has its own file */
        free(w->item);
        w->item = NULL;
        return false;
    }
    return true;
}

static enum ds_status begin_file(struct spool_writer *w, const struct spool_meta *meta,
                                 struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes head = DS_BYTES_INIT(RECORD_HEAD_MAX_BYTES);
    enum ds_status st = part10_header(meta, &head, err);
    if (st != DS_OK) {
        return st;
    }
    w->head_bytes = head.len;
    if (take_buffer(w)) {
        memcpy(w->item->buffer, head.data, head.len);
        return DS_OK;
    }
    st = inbox_create(&w->spool->inbox, w->id, &w->file, err);
    st = st == DS_OK ? inbox_write(&w->file, head.data, head.len, err) : st;
    return noted(w->spool, st);
}

enum ds_status spool_begin(struct spool *s, const struct spool_meta *meta,
                           struct spool_writer **out, struct ds_error *err)
{
    *out = NULL;
    if (!spool_has_room(s)) {
        return low_fail(s, err);
    }
    DS_AUTO(writer_auto) struct spool_writer *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    w->spool = s;
    w->file.fd = -1;
    enum ds_status st = next_id(s, w->id, err);
    st = st == DS_OK ? ds_digest_new(&w->hash, s->hash, err) : st;
    st = st == DS_OK ? begin_file(w, meta, err) : st;
    if (st == DS_OK) {
        *out = w;
        w = NULL;
    }
    return st;
}

/* Pieces go to the disk while more comes; the last bytes wait for the record. */
static enum ds_status fill_buffer(struct spool_writer *w, const uint8_t *data, size_t len,
                                  struct ds_error *err)
{
    struct journal_entry *e = &w->item->entry;
    uint8_t *buffer = w->item->buffer;
    memcpy(buffer + file_bytes(w), data, len);
    w->dataset_bytes += len;
    while (file_bytes(w) - e->written > PIECE_BYTES) {
        if (journal_append(w->spool->journal, e, buffer + e->written, PIECE_BYTES, NULL) != DS_OK) {
            return go_to_file(w, err);
        }
    }
    return DS_OK;
}

static enum ds_status put(struct spool_writer *w, const uint8_t *data, size_t len,
                          struct ds_error *err)
{
    if (w->item != NULL && len <= journal_file_max_bytes(w->spool->journal) - file_bytes(w)) {
        return fill_buffer(w, data, len, err);
    }
    enum ds_status st = w->item != NULL ? go_to_file(w, err) : DS_OK;
    st = st == DS_OK ? noted(w->spool, inbox_write(&w->file, data, len, err)) : st;
    if (st == DS_OK) {
        w->dataset_bytes += len;
    }
    return st;
}

enum ds_status spool_write(struct spool_writer *w, const uint8_t *data, size_t len,
                           struct ds_error *err)
{
    unmap(w);
    w->unchecked_bytes += len;
    if (w->unchecked_bytes >= WATERMARK_STEP_BYTES) {
        w->unchecked_bytes = 0;
        if (!spool_has_room(w->spool)) {
            return low_fail(w->spool, err);
        }
    }
    const enum ds_status st = ds_digest_update(w->hash, data, len, err);
    return st == DS_OK ? put(w, data, len, err) : st;
}

enum ds_status spool_peek(struct spool_writer *w, const uint8_t **data, size_t *len,
                          struct ds_error *err)
{
    *data = NULL;
    *len = 0;
    unmap(w);
    const uint8_t *start = w->item != NULL ? w->item->buffer : NULL;
    if (start == NULL) {
        w->map_len = (size_t)file_bytes(w);
        void *map = mmap(NULL, w->map_len, PROT_READ, MAP_SHARED, w->file.fd, 0);
        if (map == MAP_FAILED) {
            return inbox_io_fail(err, "looking at a file", errno);
        }
        w->map = map;
        start = map;
    }
    *data = start + w->head_bytes;
    *len = (size_t)w->dataset_bytes;
    return DS_OK;
}

/* ---- accepting ---- */

static enum ds_status commit_to_journal(struct spool_writer *w, const uint8_t hash[DS_DIGEST_BYTES],
                                        int64_t arrival_us)
{
    struct journal_entry *e = &w->item->entry;
    memcpy(e->record.id, w->id, sizeof(e->record.id));
    e->record.kind = w->spool->hash;
    memcpy(e->record.hash, hash, sizeof(e->record.hash));
    e->record.arrival_us = arrival_us;
    e->record.head_bytes = (uint32_t)w->head_bytes;
    e->record.file_bytes = file_bytes(w);
    struct ds_error err = {0}; /* the way through the file is left */
    const enum ds_status st = journal_commit(w->spool->journal, e, w->item->buffer, &err);
    if (st == DS_OK) {
        destager_add(w->spool->destager, w->item);
        w->item = NULL;
    }
    return st;
}

static enum ds_status commit_to_file(struct spool_writer *w, const struct spool_entry *entry,
                                     int64_t arrival_us, struct ds_error *err)
{
    unmap(w);
    enum ds_status st = w->item != NULL ? go_to_file(w, err) : DS_OK;
    st = st == DS_OK ? noted(w->spool, inbox_accept(&w->spool->inbox, &w->file, arrival_us, err))
                     : st;
    if (st == DS_OK && w->spool->arrived != NULL) {
        w->spool->arrived(w->spool->context, entry);
    }
    return st;
}

static enum ds_status commit(struct spool_writer *w, struct spool_entry *out, struct ds_error *err)
{
    if (!inbox_path(&w->spool->inbox, w->id, out->path, sizeof(out->path))) {
        return ds_fail(err, DS_EINVAL, "spool: path too long");
    }
    const int64_t now = ds_clock_utc_us();
    memcpy(out->id, w->id, sizeof(out->id));
    out->dataset_bytes = w->dataset_bytes;
    out->has_file_hash = w->spool->hash == DS_DIGEST_SHA256;
    uint8_t hash[DS_DIGEST_BYTES];
    const enum ds_status st = ds_digest_final(w->hash, hash, err);
    if (st == DS_OK && out->has_file_hash) {
        memcpy(out->file_hash, hash, sizeof(out->file_hash));
    }
    if (st != DS_OK || (w->item != NULL && commit_to_journal(w, hash, now) == DS_OK)) {
        return st;
    }
    return commit_to_file(w, out, now, err);
}

enum ds_status spool_commit(struct spool_writer *w, struct spool_entry *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    const enum ds_status st = commit(w, out, err);
    if (st != DS_OK) {
        memset(out, 0, sizeof(*out));
    }
    spool_abort(w); /* of what was accepted nothing is left in it */
    return st;
}

enum ds_status spool_each(struct spool *s,
                          bool (*visit)(void *context, const struct spool_entry *entry),
                          void *context, struct ds_error *err)
{
    DS_AUTO(entry_id_list_free) struct entry_id_list list = {NULL, 0, 0};
    const enum ds_status st = inbox_list(&s->inbox, &list, err);
    bool more = st == DS_OK;
    entry_id_list_sort(&list);
    for (size_t i = 0; i < list.count && more; i++) {
        struct spool_entry entry;
        if (inbox_look(&s->inbox, list.ids[i], &entry)) {
            more = visit(context, &entry);
        }
    }
    return st;
}
