/* SPDX-License-Identifier: Apache-2.0 */
#include "scp/inbox.h"

#include "base/file.h"
#include "base/log.h"
#include "scp/part10.h"
#include "scp/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES (SPOOL_ID_BYTES + 8U)

enum ds_status inbox_io_fail(struct ds_error *err, const char *what, int why)
{
    const enum ds_status s = why == ENOSPC || why == EDQUOT ? DS_ECAPACITY : DS_EIO;
    return ds_fail(err, s, "spool: %s: %s", what, strerror(why));
}

static void part_name(const char *id, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s.part", id);
}

static void file_name(const char *id, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s.dcm", id);
}

/* ---- the folders ---- */

static void close_folder(DIR **d)
{
    if (*d != NULL) {
        (void)closedir(*d);
        *d = NULL;
    }
}

static DIR *read_folder(int fd)
{
    const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (d == NULL && copy >= 0) {
        (void)close(copy);
    }
    return d;
}

static enum ds_status remove_leftovers(int tmp_fd, struct ds_error *err)
{
    DS_AUTO(close_folder) DIR *d = read_folder(tmp_fd);
    if (d == NULL) {
        return inbox_io_fail(err, "tmp", errno);
    }
    unsigned removed = 0;
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        const size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".part") != 0) {
            continue;
        }
        if (unlinkat(tmp_fd, e->d_name, 0) != 0) {
            return inbox_io_fail(err, "removing what was left half-received", errno);
        }
        removed++;
    }
    if (removed > 0) {
        ds_log(DS_LOG_INFO, "spool", "removed=%u half-written files of the last run", removed);
    }
    return DS_OK;
}

static int open_folder(const char *path)
{
    return path == NULL ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum ds_status take_folder(struct inbox *in, const char *tmp, struct ds_error *err)
{
    enum ds_status st = ds_file_make_folders(tmp, 0700, err);
    st = st == DS_OK ? ds_file_make_folders(in->new_folder, 0700, err) : st;
    if (st != DS_OK) {
        return st;
    }
    in->lock_fd = open_folder(in->folder);
    if (in->lock_fd < 0) {
        return inbox_io_fail(err, "folder", errno);
    }
    if (flock(in->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return ds_fail(err, DS_EIO, "spool: %s is in use by another process", in->folder);
    }
    in->tmp_fd = open_folder(tmp);
    in->new_fd = open_folder(in->new_folder);
    if (in->tmp_fd < 0 || in->new_fd < 0) {
        return inbox_io_fail(err, "tmp and new", errno);
    }
    st = remove_leftovers(in->tmp_fd, err);
    /* The names of the two folders must survive as well. */
    return st == DS_OK ? ds_file_sync_folder(in->folder, err) : st;
}

enum ds_status inbox_open(struct inbox *in, const char *folder, struct ds_error *err)
{
    *in = (struct inbox){NULL, NULL, -1, -1, -1};
    in->folder = strdup(folder);
    in->new_folder = ds_file_join(folder, "new");
    DS_AUTO(ds_string_free) char *tmp = ds_file_join(folder, "tmp");
    if (in->folder == NULL || in->new_folder == NULL || tmp == NULL) {
        return ds_fail(err, DS_ENOMEM, "spool: out of memory");
    }
    return take_folder(in, tmp, err);
}

void inbox_close(struct inbox *in)
{
    ds_file_close(&in->new_fd);
    ds_file_close(&in->tmp_fd);
    ds_file_close(&in->lock_fd);
    free(in->folder);
    free(in->new_folder);
    in->folder = NULL;
    in->new_folder = NULL;
}

/* ---- one file, piece by piece ---- */

enum ds_status inbox_create(const struct inbox *in, const char *id, struct inbox_file *out,
                            struct ds_error *err)
{
    char name[NAME_BYTES];
    part_name(id, name);
    (void)snprintf(out->id, sizeof(out->id), "%s", id);
    out->fd = openat(in->tmp_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return out->fd >= 0 ? DS_OK : inbox_io_fail(err, "creating a file", errno);
}

static enum ds_status write_whole(int fd, const uint8_t *data, size_t len, struct ds_error *err)
{
    while (len > 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR) {
            return inbox_io_fail(err, "writing", errno);
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return DS_OK;
}

enum ds_status inbox_write(const struct inbox_file *f, const uint8_t *data, size_t len,
                           struct ds_error *err)
{
    return write_whole(f->fd, data, len, err);
}

void inbox_discard(const struct inbox *in, struct inbox_file *f)
{
    if (f->fd < 0) {
        return;
    }
    char name[NAME_BYTES];
    part_name(f->id, name);
    ds_file_close(&f->fd);
    (void)unlinkat(in->tmp_fd, name, 0);
}

/* Whoever indexes the file takes the time of its last change for that of the arrival: it must be
 * the same when the file has to be made again after a crash. */
static void stamp(int fd, int64_t arrival_us)
{
    const struct timespec t = {.tv_sec = arrival_us / 1000000,
                               .tv_nsec = (long)(arrival_us % 1000000) * 1000};
    const struct timespec both[2] = {t, t};
    (void)!futimens(fd, both);
}

static enum ds_status place(const struct inbox *in, const char *id, struct ds_error *err)
{
    char from[NAME_BYTES], to[NAME_BYTES];
    part_name(id, from);
    file_name(id, to);
    if (renameat(in->tmp_fd, from, in->new_fd, to) != 0) {
        return inbox_io_fail(err, "rename", errno);
    }
    return DS_OK;
}

/* The order is the promise: the bytes are on the disk before the name is, and the name is before
 * anybody hears of it. */
enum ds_status inbox_accept(const struct inbox *in, struct inbox_file *f, int64_t arrival_us,
                            struct ds_error *err)
{
    stamp(f->fd, arrival_us);
    enum ds_status st = fdatasync(f->fd) == 0 ? DS_OK : inbox_io_fail(err, "fdatasync", errno);
    st = st == DS_OK ? place(in, f->id, err) : st;
    if (st != DS_OK) {
        inbox_discard(in, f);
        return st;
    }
    ds_file_close(&f->fd);
    if (fsync(in->new_fd) != 0) {
        /* Whether the name is on the disk is unknown: the answer will be "no", so it must not stay.
         */
        const int why = errno;
        inbox_remove(in, f->id);
        return inbox_io_fail(err, "fsync of the folder", why);
    }
    return DS_OK;
}

/* ---- one file at once ---- */

static enum ds_status write_direct(int fd, const uint8_t *file, size_t len, struct ds_error *err)
{
    const enum ds_status st = write_whole(fd, file, (size_t)record_round_up(len), err);
    if (st != DS_OK) {
        return st;
    }
    return ftruncate(fd, (off_t)len) == 0 ? DS_OK : inbox_io_fail(err, "ftruncate", errno);
}

enum ds_status inbox_put(const struct inbox *in, const char *id, const uint8_t *file, size_t len,
                         int64_t arrival_us, struct ds_error *err)
{
    char name[NAME_BYTES];
    part_name(id, name);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    bool direct = true;
    DS_AUTO(ds_file_close) int fd = openat(in->tmp_fd, name, flags | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL) {
        direct = false;
        fd = openat(in->tmp_fd, name, flags, 0600);
    }
    if (fd < 0) {
        return inbox_io_fail(err, "creating a file", errno);
    }
    enum ds_status st = direct ? write_direct(fd, file, len, err) : write_whole(fd, file, len, err);
    if (st == DS_OK) {
        stamp(fd, arrival_us);
        st = place(in, id, err);
    }
    if (st != DS_OK) {
        (void)unlinkat(in->tmp_fd, name, 0);
    }
    return st;
}

/* One call for all files since the last one, and for their names, in whatever folder they are by
 * now. A flush of each file and each folder would say no more, and cost a transaction of the file
 * system for each. Its failure is told to each open descriptor once (Linux 5.8 and later), so
 * nothing of before is missed. */
enum ds_status inbox_sync(const struct inbox *in, struct ds_error *err)
{
    return syncfs(in->new_fd) == 0 ? DS_OK : inbox_io_fail(err, "syncfs", errno);
}

void inbox_remove(const struct inbox *in, const char *id)
{
    char name[NAME_BYTES];
    file_name(id, name);
    (void)unlinkat(in->new_fd, name, 0);
}

/* ---- what is there ---- */

enum ds_status inbox_list(const struct inbox *in, struct entry_id_list *out, struct ds_error *err)
{
    DS_AUTO(close_folder) DIR *d = read_folder(in->new_fd);
    if (d == NULL) {
        return inbox_io_fail(err, "new", errno);
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char id[ENTRY_ID_LEN + 1];
        if (strlen(e->d_name) != ENTRY_ID_LEN + 4 ||
            strcmp(e->d_name + ENTRY_ID_LEN, ".dcm") != 0) {
            continue;
        }
        memcpy(id, e->d_name, ENTRY_ID_LEN);
        id[ENTRY_ID_LEN] = '\0';
        const enum ds_status st = entry_id_is_sound(id) ? entry_id_list_add(out, id, err) : DS_OK;
        if (st != DS_OK) {
            return st;
        }
    }
    return DS_OK;
}

bool inbox_path(const struct inbox *in, const char *id, char *out, size_t size)
{
    const int n = snprintf(out, size, "%s/%s.dcm", in->new_folder, id);
    return n >= 0 && (size_t)n < size;
}

bool inbox_look(const struct inbox *in, const char *id, struct spool_entry *out)
{
    memset(out, 0, sizeof(*out));
    if (!inbox_path(in, id, out->path, sizeof(out->path))) {
        return false;
    }
    DS_AUTO(ds_file_close) int fd = open(out->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
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
    (void)snprintf(out->id, sizeof(out->id), "%s", id);
    out->dataset_bytes = (uint64_t)st.st_size - at;
    return true;
}
