/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/journal_set.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_MAX_BYTES (64ULL * 1024 * 1024)
/* Made before the first instance comes; the others when they are needed. */
#define FIRST_COUNT 4U
/* What could not be made is tried again: a disk that was full may have been emptied. */
#define GROW_AGAIN_MS 60000
#define NAME_DIGITS   6U
#define NAME_ENDING   ".segment"

static uint64_t segment_bytes_for(uint64_t max_bytes)
{
    const uint64_t quarter = max_bytes / FIRST_COUNT / SEGMENT_MIN_BYTES * SEGMENT_MIN_BYTES;
    return quarter < SEGMENT_MAX_BYTES ? quarter : SEGMENT_MAX_BYTES;
}

static enum ds_status add(struct journal *j, struct segment *s, struct ds_error *err)
{
    (void)pthread_mutex_lock(&j->lock);
    struct segment **larger = reallocarray(j->segments, j->count + 1, sizeof(*larger));
    if (larger != NULL) {
        j->segments = larger;
        j->segments[j->count++] = s;
    }
    (void)pthread_mutex_unlock(&j->lock);
    return larger != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "journal: out of memory");
}

void journal_remove(struct journal *j, struct segment *s)
{
    (void)pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->count; i++) {
        if (j->segments[i] == s) {
            j->segments[i] = j->segments[--j->count];
            break;
        }
    }
    (void)pthread_mutex_unlock(&j->lock);
    (void)unlink(s->path);
    segment_close(s);
}

static enum ds_status make_one(struct journal *j, struct ds_error *err)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%0*" PRIu64 NAME_ENDING, (int)NAME_DIGITS,
                   j->next_number++);
    DS_AUTO(ds_string_free) char *path = ds_file_join(j->folder, name);
    struct segment *s = NULL;
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    enum ds_status st = segment_create(&s, path, j->segment_bytes, err);
    if (st != DS_OK) {
        return st;
    }
    st = ds_file_sync_folder(j->folder, err);
    st = st == DS_OK ? add(j, s, err) : st;
    if (st != DS_OK) {
        (void)unlink(path);
        segment_close(s);
    }
    return st;
}

bool journal_grow(struct journal *j)
{
    struct ds_error err = {0};
    if (ds_clock_monotonic_ms() < j->grow_not_before_ms ||
        !room_is_enough_without(j->room, j->segment_bytes)) {
        return false;
    }
    if (make_one(j, &err) == DS_OK) {
        return true;
    }
    ds_log(DS_LOG_WARNING, "spool", "the journal cannot grow: %s", err.text);
    j->grow_not_before_ms = ds_clock_monotonic_ms() + GROW_AGAIN_MS;
    return false;
}

/* ---- opening ---- */

static bool number_of(const char *name, uint64_t *out)
{
    const size_t digits = strspn(name, "0123456789");
    if (digits < NAME_DIGITS || digits > 15 || strcmp(name + digits, NAME_ENDING) != 0) {
        return false;
    }
    *out = strtoull(name, NULL, 10);
    return true;
}

static enum ds_status open_one(struct journal *j, const char *name, struct ds_error *err)
{
    uint64_t number = 0;
    if (!number_of(name, &number)) {
        return DS_OK;
    }
    if (number >= j->next_number) {
        j->next_number = number + 1;
    }
    DS_AUTO(ds_string_free) char *path = ds_file_join(j->folder, name);
    struct segment *s = NULL;
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    enum ds_status st = segment_open(&s, path, err);
    st = st == DS_OK ? add(j, s, err) : st;
    if (st != DS_OK) {
        segment_close(s);
        return ds_fail_context(err, st, "%s", name);
    }
    return DS_OK;
}

static void close_folder(DIR **d)
{
    if (*d != NULL) {
        (void)closedir(*d);
        *d = NULL;
    }
}

static enum ds_status open_files(struct journal *j, struct ds_error *err)
{
    enum ds_status st = ds_file_make_folders(j->folder, 0700, err);
    DS_AUTO(close_folder) DIR *d = st == DS_OK ? opendir(j->folder) : NULL;
    if (st == DS_OK && d == NULL) {
        st = ds_fail(err, DS_EIO, "journal: %s", strerror(errno));
    }
    while (st == DS_OK) {
        const struct dirent *e = readdir(d);
        if (e == NULL) {
            break;
        }
        st = open_one(j, e->d_name, err);
    }
    return st;
}

static void first_segments(struct journal *j)
{
    for (size_t i = 0; i < FIRST_COUNT && j->count < FIRST_COUNT; i++) {
        if (!journal_grow(j)) {
            ds_log(DS_LOG_WARNING, "spool",
                   "the journal has %zu of its first %u segments: there is no room for more",
                   j->count, FIRST_COUNT);
            return;
        }
    }
}

typedef enum ds_status (*found_function)(void *context, const struct journal_entry *e,
                                         struct ds_error *err);

static enum ds_status replay_into(struct journal *j, found_function found, void *context,
                                  struct ds_error *err)
{
    struct journal_found f;
    enum ds_status st = journal_replay(j, &f, err);
    for (size_t i = 0; i < f.count && st == DS_OK; i++) {
        st = found(context, &f.entries[i], err);
    }
    if (st == DS_OK && f.count + f.torn > 0) {
        ds_log(DS_LOG_INFO, "spool",
               "the journal of the last run: accepted=%zu incomplete=%zu instances", f.count,
               f.torn);
    }
    journal_found_free(&f);
    return st;
}

static void journal_auto(struct journal **j)
{
    journal_close(*j);
}

enum ds_status journal_open(struct journal **out, const struct journal_options *options,
                            found_function found, void *context, struct ds_error *err)
{
    *out = NULL;
    if (options->max_bytes < JOURNAL_MIN_BYTES) {
        return ds_fail(err, DS_EINVAL, "journal: at least %llu bytes", JOURNAL_MIN_BYTES);
    }
    DS_AUTO(journal_auto) struct journal *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    (void)pthread_mutex_init(&j->lock, NULL); /* default attributes: never fails on Linux */
    j->room = options->room;
    j->segment_bytes = segment_bytes_for(options->max_bytes);
    j->max_count = (size_t)(options->max_bytes / j->segment_bytes);
    j->next_number = 1;
    j->folder = strdup(options->folder);
    if (j->folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "journal: out of memory");
    }
    enum ds_status st = open_files(j, err);
    st = st == DS_OK ? replay_into(j, found, context, err) : st;
    if (st != DS_OK) {
        return st;
    }
    journal_recycle(j);
    first_segments(j);
    *out = j;
    j = NULL;
    return DS_OK;
}

void journal_close(struct journal *j)
{
    if (j == NULL) {
        return;
    }
    for (size_t i = 0; i < j->count; i++) {
        segment_close(j->segments[i]);
    }
    free(j->segments);
    free(j->folder);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}
