/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/spool.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/size.h"
#include "scp/part10.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* "0001790000000000-1f2e3d4c": microseconds of arrival, then chance, so that a clock set back does
 * not meet an old name. */
#define TIME_DIGITS  16U
#define CHANCE_BYTES 4U
#define ID_LEN       (TIME_DIGITS + 1U + 2U * CHANCE_BYTES)
/* How much may be written between two looks at the free space. */
#define WATERMARK_STEP_BYTES (8U * 1024U * 1024U)
#define HEADER_MAX_BYTES     4096U

struct spool {
    char *folder, *tmp, *new_folder;
    int lock_fd, new_fd;
    uint64_t min_free_bytes;
    pthread_mutex_t mutex;
    int64_t last_us; /* of the youngest id */
};

struct spool_writer {
    struct spool *spool;
    int fd;
    char id[SPOOL_ID_BYTES];
    char *path; /* in tmp/ */
    struct ds_sha256 *hash;
    uint64_t header_bytes, dataset_bytes;
    uint64_t unchecked_bytes; /* written since the last look at the free space */
    void *map;                /* of spool_peek */
    size_t map_len;
};

static enum ds_status io_fail(struct ds_error *err, const char *what, int why)
{
    const enum ds_status s = why == ENOSPC || why == EDQUOT ? DS_ECAPACITY : DS_EIO;
    return ds_fail(err, s, "spool: %s: %s", what, strerror(why));
}

static bool room_in(int fd, uint64_t min_free_bytes)
{
    struct statvfs fs;
    size_t free_bytes = 0;
    if (fstatvfs(fd, &fs) != 0) {
        return false;
    }
    return !ds_size_mul(fs.f_bavail, fs.f_frsize, &free_bytes) || free_bytes >= min_free_bytes;
}

bool spool_has_room(const struct spool *s)
{
    return room_in(s->new_fd, s->min_free_bytes);
}

static void close_folder(DIR **d)
{
    if (*d != NULL) {
        (void)closedir(*d);
        *d = NULL;
    }
}

/* Whatever is in tmp/ was never acknowledged. */
static enum ds_status remove_leftovers(const char *tmp, struct ds_error *err)
{
    DS_AUTO(close_folder) DIR *d = opendir(tmp);
    if (d == NULL) {
        return io_fail(err, "tmp", errno);
    }
    unsigned removed = 0;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        const size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".part") != 0) {
            continue;
        }
        if (unlinkat(dirfd(d), e->d_name, 0) != 0) {
            return io_fail(err, "removing what was left half-received", errno);
        }
        removed++;
    }
    if (removed > 0) {
        ds_log(DS_LOG_INFO, "spool", "removed=%u half-received files of the last run", removed);
    }
    return DS_OK;
}

static bool id_from_name(const char *name, char id[SPOOL_ID_BYTES])
{
    if (strlen(name) != ID_LEN + 4 || strcmp(name + ID_LEN, ".dcm") != 0 ||
        strspn(name, "0123456789") != TIME_DIGITS || name[TIME_DIGITS] != '-') {
        return false;
    }
    memcpy(id, name, ID_LEN);
    id[ID_LEN] = '\0';
    return true;
}

struct id_list {
    char (*ids)[SPOOL_ID_BYTES];
    size_t count, capacity;
};

static void id_list_free(struct id_list *l)
{
    free(l->ids);
    l->ids = NULL;
}

static enum ds_status id_list_add(struct id_list *l, const char id[SPOOL_ID_BYTES],
                                  struct ds_error *err)
{
    if (l->count == l->capacity) {
        const size_t capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
        char(*ids)[SPOOL_ID_BYTES] = reallocarray(l->ids, capacity, sizeof(*ids));
        if (ids == NULL) {
            return ds_fail(err, DS_ENOMEM, "spool: out of memory for %zu names", capacity);
        }
        l->ids = ids;
        l->capacity = capacity;
    }
    memcpy(l->ids[l->count++], id, SPOOL_ID_BYTES);
    return DS_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, ID_LEN);
}

static enum ds_status list_ids(const struct spool *s, struct id_list *out, struct ds_error *err)
{
    DS_AUTO(close_folder) DIR *d = opendir(s->new_folder);
    if (d == NULL) {
        return io_fail(err, "new", errno);
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char id[SPOOL_ID_BYTES];
        if (id_from_name(e->d_name, id)) {
            const enum ds_status st = id_list_add(out, id, err);
            if (st != DS_OK) {
                return st;
            }
        }
    }
    if (out->count > 0) {
        qsort(out->ids, out->count, sizeof(out->ids[0]), compare_ids);
    }
    return DS_OK;
}

static enum ds_status take_folder(struct spool *s, struct ds_error *err)
{
    enum ds_status st = ds_file_make_folders(s->tmp, 0700, err);
    st = st == DS_OK ? ds_file_make_folders(s->new_folder, 0700, err) : st;
    if (st != DS_OK) {
        return st;
    }
    s->lock_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock_fd < 0) {
        return io_fail(err, "folder", errno);
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return ds_fail(err, DS_EIO, "spool: %s is in use by another process", s->folder);
    }
    s->new_fd = open(s->new_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->new_fd < 0) {
        return io_fail(err, "new", errno);
    }
    st = remove_leftovers(s->tmp, err);
    /* The names of the two folders must survive as well. */
    return st == DS_OK ? ds_file_sync_folder(s->folder, err) : st;
}

/* Ids go on rising even when the clock was set back while we were down. */
static enum ds_status resume_ids(struct spool *s, struct ds_error *err)
{
    DS_AUTO(id_list_free) struct id_list list = {NULL, 0, 0};
    const enum ds_status st = list_ids(s, &list, err);
    if (st == DS_OK && list.count > 0) {
        s->last_us = strtoll(list.ids[list.count - 1], NULL, 10);
    }
    return st;
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
    s->lock_fd = -1;
    s->new_fd = -1;
    s->min_free_bytes = options->min_free_bytes;
    (void)pthread_mutex_init(&s->mutex, NULL); /* default attributes: never fails on Linux */
    s->folder = strdup(options->folder);
    s->tmp = ds_file_join(options->folder, "tmp");
    s->new_folder = ds_file_join(options->folder, "new");
    if (s->folder == NULL || s->tmp == NULL || s->new_folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    enum ds_status st = take_folder(s, err);
    st = st == DS_OK ? resume_ids(s, err) : st;
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
    ds_file_close(&s->new_fd);
    ds_file_close(&s->lock_fd);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s->folder);
    free(s->tmp);
    free(s->new_folder);
    free(s);
}

static enum ds_status next_id(struct spool *s, char id[SPOOL_ID_BYTES], struct ds_error *err)
{
    uint8_t chance[CHANCE_BYTES];
    char text[2 * CHANCE_BYTES + 1];
    const enum ds_status st = ds_random(chance, sizeof(chance), err);
    if (st != DS_OK) {
        return st;
    }
    ds_hex(chance, sizeof(chance), text);
    const int64_t now = ds_clock_utc_us();
    (void)pthread_mutex_lock(&s->mutex);
    s->last_us = now > s->last_us ? now : s->last_us + 1;
    const int64_t mine = s->last_us;
    (void)pthread_mutex_unlock(&s->mutex);
    (void)snprintf(id, SPOOL_ID_BYTES, "%016" PRId64 "-%s", mine, text);
    return DS_OK;
}

static char *path_of(const char *folder, const char *id, const char *ending)
{
    char name[SPOOL_ID_BYTES + 8];
    (void)snprintf(name, sizeof(name), "%s%s", id, ending);
    return ds_file_join(folder, name);
}

static void unmap(struct spool_writer *w)
{
    if (w->map != NULL) {
        (void)munmap(w->map, w->map_len);
        w->map = NULL;
    }
}

static void writer_free(struct spool_writer *w)
{
    unmap(w);
    ds_file_close(&w->fd);
    ds_sha256_free(w->hash);
    free(w->path);
    free(w);
}

void spool_abort(struct spool_writer *w)
{
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        (void)unlink(w->path);
    }
    writer_free(w);
}

static void writer_auto(struct spool_writer **w)
{
    spool_abort(*w);
}

static enum ds_status write_whole(int fd, const uint8_t *data, size_t len, struct ds_error *err)
{
    while (len > 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR) {
            return io_fail(err, "writing", errno);
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return DS_OK;
}

static enum ds_status create_part(struct spool_writer *w, const struct spool_meta *meta,
                                  struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes header = DS_BYTES_INIT(HEADER_MAX_BYTES);
    const enum ds_status st = part10_header(meta, &header, err);
    if (st != DS_OK) {
        return st;
    }
    w->header_bytes = header.len;
    w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        return io_fail(err, "creating a file", errno);
    }
    return write_whole(w->fd, header.data, header.len, err);
}

enum ds_status spool_begin(struct spool *s, const struct spool_meta *meta,
                           struct spool_writer **out, struct ds_error *err)
{
    *out = NULL;
    if (!spool_has_room(s)) {
        return ds_fail(err, DS_ECAPACITY, "spool: less than %" PRIu64 " bytes free",
                       s->min_free_bytes);
    }
    DS_AUTO(writer_auto) struct spool_writer *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    w->spool = s;
    w->fd = -1;
    enum ds_status st = next_id(s, w->id, err);
    st = st == DS_OK ? ds_sha256_new(&w->hash, err) : st;
    if (st != DS_OK) {
        return st;
    }
    w->path = path_of(s->tmp, w->id, ".part");
    if (w->path == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    st = create_part(w, meta, err);
    if (st == DS_OK) {
        *out = w;
        w = NULL;
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
            return ds_fail(err, DS_ECAPACITY, "spool: less than %" PRIu64 " bytes free",
                           w->spool->min_free_bytes);
        }
    }
    enum ds_status st = ds_sha256_update(w->hash, data, len, err);
    st = st == DS_OK ? write_whole(w->fd, data, len, err) : st;
    if (st == DS_OK) {
        w->dataset_bytes += len;
    }
    return st;
}

enum ds_status spool_peek(struct spool_writer *w, const uint8_t **data, size_t *len,
                          struct ds_error *err)
{
    *data = NULL;
    *len = 0;
    unmap(w);
    w->map_len = (size_t)(w->header_bytes + w->dataset_bytes);
    void *map = mmap(NULL, w->map_len, PROT_READ, MAP_SHARED, w->fd, 0);
    if (map == MAP_FAILED) {
        return io_fail(err, "looking at a file", errno);
    }
    w->map = map;
    *data = (const uint8_t *)map + w->header_bytes;
    *len = (size_t)w->dataset_bytes;
    return DS_OK;
}

/* The order is the promise: the bytes are on the disk before the name is, and the name is before
 * anybody hears of it. */
static enum ds_status publish(struct spool_writer *w, const char *path, struct ds_error *err)
{
    unmap(w);
    if (fdatasync(w->fd) != 0) {
        return io_fail(err, "fdatasync", errno);
    }
    if (rename(w->path, path) != 0) {
        return io_fail(err, "rename", errno);
    }
    if (fsync(w->spool->new_fd) != 0) {
        /* Whether the name is on the disk is unknown: the answer will be "no", so it must not stay.
         */
        const int why = errno;
        (void)unlink(path);
        return io_fail(err, "fsync of the folder", why);
    }
    return DS_OK;
}

static enum ds_status commit(struct spool_writer *w, struct spool_entry *out, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = path_of(w->spool->new_folder, w->id, ".dcm");
    if (path == NULL || strlen(path) >= sizeof(out->path)) {
        return ds_fail(err, DS_EINVAL, "spool: path too long");
    }
    enum ds_status st = ds_sha256_final(w->hash, out->file_hash, err);
    st = st == DS_OK ? publish(w, path, err) : st;
    if (st != DS_OK) {
        return st;
    }
    memcpy(out->id, w->id, sizeof(out->id));
    memcpy(out->path, path, strlen(path) + 1);
    out->dataset_bytes = w->dataset_bytes;
    out->has_file_hash = true;
    return DS_OK;
}

enum ds_status spool_commit(struct spool_writer *w, struct spool_entry *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    const enum ds_status st = commit(w, out, err);
    if (st == DS_OK) {
        writer_free(w);
    } else {
        spool_abort(w);
    }
    return st;
}

/* false: gone meanwhile, or not a spool file. */
static bool entry_of(const struct spool *s, const char *id, struct spool_entry *out)
{
    memset(out, 0, sizeof(*out));
    DS_AUTO(ds_string_free) char *path = path_of(s->new_folder, id, ".dcm");
    if (path == NULL || strlen(path) >= sizeof(out->path)) {
        return false;
    }
    DS_AUTO(ds_file_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint8_t lead[PART10_LEAD_BYTES];
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 ||
        pread(fd, lead, sizeof(lead), 0) != (ssize_t)sizeof(lead)) {
        return false;
    }
    const uint64_t at = part10_dataset_offset(lead);
    if (at == 0 || at > (uint64_t)st.st_size) {
        ds_log(DS_LOG_ERROR, "spool", "id=%s is not a spool file and is left alone", id);
        return false;
    }
    memcpy(out->id, id, SPOOL_ID_BYTES);
    memcpy(out->path, path, strlen(path) + 1);
    out->dataset_bytes = (uint64_t)st.st_size - at;
    return true;
}

enum ds_status spool_each(struct spool *s,
                          bool (*visit)(void *context, const struct spool_entry *entry),
                          void *context, struct ds_error *err)
{
    DS_AUTO(id_list_free) struct id_list list = {NULL, 0, 0};
    const enum ds_status st = list_ids(s, &list, err);
    bool more = st == DS_OK;
    for (size_t i = 0; i < list.count && more; i++) {
        struct spool_entry entry;
        if (entry_of(s, list.ids[i], &entry)) {
            more = visit(context, &entry);
        }
    }
    return st;
}
