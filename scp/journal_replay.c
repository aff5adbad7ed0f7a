/* SPDX-License-Identifier: Apache-2.0 */
/* What a former run had accepted: every block of every segment may be a record. */
#include "scp/journal_set.h"

#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (1024U * 1024U)

_Static_assert(SEGMENT_FIRST_BYTE == RECORD_BLOCK_BYTES, "windows begin at the first block");

struct replay {
    struct journal *journal;
    struct journal_found *found;
    uint8_t *window; /* WINDOW_BYTES */
    uint8_t *file;   /* the largest file, in whole blocks */
};

void journal_found_free(struct journal_found *f)
{
    free(f->entries);
    f->entries = NULL;
    f->count = 0;
}

static struct segment *living(const struct journal *j, uint64_t life)
{
    for (size_t i = 0; i < j->count; i++) {
        if (life != 0 && j->segments[i]->life == life) {
            return j->segments[i];
        }
    }
    return NULL;
}

/* Where are the extents? One in a segment that has begun another life belonged to an entry that
 * was destaged: else the segment could not have been recycled. */
static bool locate(const struct journal *j, struct journal_entry *e)
{
    for (uint32_t i = 0; i < e->record.extent_count; i++) {
        const struct record_extent *x = &e->record.extents[i];
        struct segment *s = living(j, x->life);
        if (s == NULL || x->offset < SEGMENT_FIRST_BYTE || x->offset > s->bytes ||
            record_round_up(x->bytes) > s->bytes - x->offset) {
            return false;
        }
        e->segments[i] = s;
    }
    return true;
}

static enum ds_status keep(struct journal_found *f, const struct journal_entry *e,
                           struct ds_error *err)
{
    if (f->count == f->capacity) {
        const size_t capacity = f->capacity == 0 ? 64 : 2 * f->capacity;
        struct journal_entry *entries = reallocarray(f->entries, capacity, sizeof(*entries));
        if (entries == NULL) {
            return ds_fail(err, DS_ENOMEM, "journal: out of memory for %zu entries", capacity);
        }
        f->entries = entries;
        f->capacity = capacity;
    }
    f->entries[f->count++] = *e;
    for (uint32_t i = 0; i < e->record.extent_count; i++) {
        e->segments[i]->pins++;
    }
    return DS_OK;
}

static enum ds_status judge(struct replay *r, const struct segment *s, const uint8_t *block,
                            struct ds_error *err)
{
    struct journal_entry e = {0};
    if (!record_get(block, s->life, &e.record)) {
        return DS_OK;
    }
    if (!locate(r->journal, &e) || journal_read(&e, r->file, NULL) != DS_OK ||
        !record_is_whole(block, &e.record, r->file)) {
        r->found->torn++;
        return DS_OK;
    }
    return keep(r->found, &e, err);
}

static enum ds_status scan(struct replay *r, const struct segment *s, struct ds_error *err)
{
    size_t len = 0;
    for (uint64_t at = SEGMENT_FIRST_BYTE; s->bytes - at >= RECORD_BLOCK_BYTES; at += len) {
        const uint64_t left = (s->bytes - at) / RECORD_BLOCK_BYTES * RECORD_BLOCK_BYTES;
        len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        enum ds_status st = segment_read(s, at, r->window, len, err);
        for (size_t i = 0; i < len && st == DS_OK; i += RECORD_BLOCK_BYTES) {
            st = judge(r, s, r->window + i, err);
        }
        if (st != DS_OK) {
            return st;
        }
    }
    return DS_OK;
}

/* What could not be read may have been accepted: it is kept for whoever can still read the disk. */
static void keep_aside(struct segment *s, const struct ds_error *why)
{
    char aside[4096];
    const int n = snprintf(aside, sizeof(aside), "%s.damaged", s->path);
    ds_log(DS_LOG_ERROR, "spool", "a segment cannot be read whole and is kept as .damaged: %s",
           why->text);
    if (n < 0 || (size_t)n >= sizeof(aside) || rename(s->path, aside) != 0) {
        ds_log(DS_LOG_ERROR, "spool", "a damaged segment cannot be renamed");
    }
    s->state = SEGMENT_FAILED;
}

static int compare_entries(const void *a, const void *b)
{
    const struct journal_entry *x = a;
    const struct journal_entry *y = b;
    return strcmp(x->record.id, y->record.id);
}

static enum ds_status scan_all(struct replay *r, struct ds_error *err)
{
    for (size_t i = 0; i < r->journal->count; i++) {
        struct segment *s = r->journal->segments[i];
        s->state = SEGMENT_CLOSED;
        if (s->life == 0) {
            continue;
        }
        const enum ds_status st = scan(r, s, err);
        if (st == DS_EIO) {
            keep_aside(s, err);
        } else if (st != DS_OK) {
            return st;
        }
    }
    return DS_OK;
}

enum ds_status journal_replay(struct journal *j, struct journal_found *out, struct ds_error *err)
{
    *out = (struct journal_found){NULL, 0, 0, 0};
    struct replay r = {.journal = j, .found = out};
    r.window = aligned_alloc(RECORD_BLOCK_BYTES, WINDOW_BYTES);
    r.file = aligned_alloc(RECORD_BLOCK_BYTES,
                           (size_t)record_round_up(RECORD_FILE_MAX_BYTES) + RECORD_BLOCK_BYTES);
    struct ds_error why = {0};
    const enum ds_status st = r.window == NULL || r.file == NULL
                                  ? ds_fail(&why, DS_ENOMEM, "journal: out of memory")
                                  : scan_all(&r, &why);
    free(r.window);
    free(r.file);
    if (st != DS_OK) {
        journal_found_free(out);
        return ds_fail(err, st, "%s", why.text);
    }
    if (out->count > 0) {
        qsort(out->entries, out->count, sizeof(out->entries[0]), compare_entries);
    }
    return DS_OK;
}
