/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/journal.h"

#include "base/file.h"
#include "base/log.h"
#include "scp/journal_set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fewer free ones, and another is made ahead. Making one writes all of it, which competes with the
 * instances that are coming: the open one is time enough. */
#define FREE_WANTED 1U

size_t journal_file_max_bytes(const struct journal *j)
{
    const uint64_t half = j->segment_bytes / 2;
    return half < RECORD_FILE_MAX_BYTES ? (size_t)half : RECORD_FILE_MAX_BYTES;
}

/* ---- taking room ---- */

/* Under the lock. */
static struct segment *free_segment(struct journal *j)
{
    for (size_t i = 0; i < j->count; i++) {
        if (j->segments[i]->state == SEGMENT_FREE) {
            return j->segments[i];
        }
    }
    return NULL;
}

/* Under the lock. */
static struct segment *segment_with_room(struct journal *j, size_t len)
{
    struct segment *s = j->open;
    if (s != NULL && s->bytes - s->tail >= len) {
        return s;
    }
    struct segment *next = free_segment(j);
    if (next == NULL) {
        return NULL; /* the open one may still have room for a smaller piece */
    }
    if (s != NULL) {
        s->state = SEGMENT_CLOSED;
    }
    next->state = SEGMENT_OPEN;
    j->open = next;
    return next;
}

/* Under the lock: len bytes at the end of s become the entry's, of which so many are the file's. */
static enum ds_status give_room(struct segment *s, struct journal_entry *e, size_t len,
                                uint64_t file_bytes, uint64_t *at, struct ds_error *err)
{
    struct record *r = &e->record;
    struct record_extent *last = r->extent_count == 0 ? NULL : &r->extents[r->extent_count - 1];
    if (last != NULL && e->segments[r->extent_count - 1] == s &&
        last->offset + last->bytes == s->tail) {
        last->bytes += file_bytes;
    } else if (r->extent_count == RECORD_EXTENTS_MAX) {
        return ds_fail(err, DS_ECAPACITY, "journal: an instance in too many pieces");
    } else {
        r->extents[r->extent_count] = (struct record_extent){s->life, s->tail, file_bytes};
        e->segments[r->extent_count++] = s;
        s->pins++;
    }
    *at = s->tail;
    s->tail += len;
    return DS_OK;
}

static enum ds_status take_room(struct journal *j, struct journal_entry *e, size_t len,
                                uint64_t file_bytes, struct segment **out, uint64_t *at,
                                struct ds_error *err)
{
    (void)pthread_mutex_lock(&j->lock);
    *out = segment_with_room(j, len);
    const enum ds_status st = *out == NULL
                                  ? ds_fail(err, DS_ECAPACITY, "journal: no segment is free")
                                  : give_room(*out, e, len, file_bytes, at, err);
    (void)pthread_mutex_unlock(&j->lock);
    return st;
}

static void set_aside(struct journal *j, struct segment *s)
{
    (void)pthread_mutex_lock(&j->lock);
    if (s->state != SEGMENT_FAILED) {
        ds_log(DS_LOG_ERROR, "spool", "the disk has refused a segment of the journal: set aside");
        s->state = SEGMENT_FAILED;
        j->open = j->open == s ? NULL : j->open;
    }
    (void)pthread_mutex_unlock(&j->lock);
}

static enum ds_status write_piece(struct journal *j, struct journal_entry *e, const uint8_t *data,
                                  size_t len, struct ds_error *err)
{
    struct segment *s = NULL;
    uint64_t at = 0;
    enum ds_status st = take_room(j, e, len, len, &s, &at, err);
    if (st != DS_OK) {
        return st;
    }
    st = segment_write(s, at, data, len, err);
    if (st != DS_OK) {
        set_aside(j, s);
        return DS_EIO;
    }
    e->written += len;
    return DS_OK;
}

enum ds_status journal_append(struct journal *j, struct journal_entry *e, const uint8_t *data,
                              size_t len, struct ds_error *err)
{
    return write_piece(j, e, data, len, err);
}

/* ---- accepting ---- */

static enum ds_status flush_all(struct journal *j, struct journal_entry *e, struct ds_error *err)
{
    for (uint32_t i = 0; i < e->record.extent_count; i++) {
        if (i > 0 && e->segments[i] == e->segments[i - 1]) {
            continue;
        }
        const enum ds_status st = segment_flush(e->segments[i], err);
        if (st != DS_OK) {
            set_aside(j, e->segments[i]);
            return st;
        }
    }
    return DS_OK;
}

/* The rest of the file and, right behind it, the record: one write. */
static enum ds_status write_record(struct journal *j, struct journal_entry *e, uint8_t *file,
                                   struct ds_error *err)
{
    const uint64_t rest = e->record.file_bytes - e->written;
    const size_t padded = (size_t)record_round_up(rest);
    uint8_t *end = file + e->record.file_bytes;
    memset(end, 0, padded - (size_t)rest);
    struct segment *s = NULL;
    uint64_t at = 0;
    enum ds_status st = take_room(j, e, padded + RECORD_BLOCK_BYTES, rest, &s, &at, err);
    if (st == DS_OK) {
        st = record_put(file + e->written + padded, s->life, &e->record, file, err);
    }
    if (st != DS_OK) {
        return st;
    }
    st = segment_write(s, at, file + e->written, padded + RECORD_BLOCK_BYTES, err);
    if (st != DS_OK) {
        set_aside(j, s);
    }
    return st;
}

enum ds_status journal_commit(struct journal *j, struct journal_entry *e, uint8_t *file,
                              struct ds_error *err)
{
    /* Something is always left, so that the record is in a segment that the entry has pinned. */
    if (e->written >= e->record.file_bytes || e->record.file_bytes > journal_file_max_bytes(j)) {
        return ds_fail(err, DS_EINVAL, "journal: nothing is left to write, or too much");
    }
    const enum ds_status st = write_record(j, e, file, err);
    return st == DS_OK ? flush_all(j, e, err) : st;
}

enum ds_status journal_read(const struct journal_entry *e, uint8_t *file, struct ds_error *err)
{
    for (uint32_t i = 0; i < e->record.extent_count; i++) {
        const struct record_extent *x = &e->record.extents[i];
        const enum ds_status st =
            segment_read(e->segments[i], x->offset, file, (size_t)record_round_up(x->bytes), err);
        if (st != DS_OK) {
            return st;
        }
        file += x->bytes;
    }
    return DS_OK;
}

void journal_release(struct journal *j, struct journal_entry *e)
{
    (void)pthread_mutex_lock(&j->lock);
    for (uint32_t i = 0; i < e->record.extent_count; i++) {
        e->segments[i]->pins--;
    }
    (void)pthread_mutex_unlock(&j->lock);
    memset(e, 0, sizeof(*e));
}

/* ---- the next life ---- */

/* One that nobody has anything in; it is then out of everybody's reach. */
static struct segment *take_unpinned(struct journal *j)
{
    struct segment *found = NULL;
    (void)pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->count && found == NULL; i++) {
        struct segment *s = j->segments[i];
        const bool used = s->state == SEGMENT_CLOSED || s->state == SEGMENT_FAILED ||
                          (s->state == SEGMENT_OPEN && s->tail > SEGMENT_FIRST_BYTE);
        if (used && s->pins == 0) {
            found = s;
            j->open = j->open == s ? NULL : j->open;
            s->state = s->state == SEGMENT_OPEN ? SEGMENT_CLOSED : s->state;
        }
    }
    (void)pthread_mutex_unlock(&j->lock);
    return found;
}

static void recycle_one(struct journal *j, struct segment *s)
{
    struct ds_error err = {0};
    const bool sound = s->state != SEGMENT_FAILED && s->bytes == j->segment_bytes &&
                       j->count <= j->max_count; /* the configuration may have become smaller */
    if (sound && segment_renew(s, &err) == DS_OK) {
        (void)pthread_mutex_lock(&j->lock);
        s->state = SEGMENT_FREE;
        (void)pthread_mutex_unlock(&j->lock);
        return;
    }
    if (sound) {
        ds_log(DS_LOG_ERROR, "spool", "a segment cannot be used again: %s", err.text);
    }
    journal_remove(j, s);
}

void journal_recycle(struct journal *j)
{
    for (struct segment *s = take_unpinned(j); s != NULL; s = take_unpinned(j)) {
        recycle_one(j, s);
    }
}

bool journal_prepare(struct journal *j)
{
    unsigned free_count = 0;
    (void)pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->count; i++) {
        free_count += j->segments[i]->state == SEGMENT_FREE ? 1 : 0;
    }
    const bool wanted = free_count < FREE_WANTED && j->count < j->max_count;
    (void)pthread_mutex_unlock(&j->lock);
    return wanted && journal_grow(j);
}
