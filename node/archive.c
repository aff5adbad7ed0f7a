/* SPDX-License-Identifier: Apache-2.0 */
#include "node/archive.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "/quarantine/" or "/archive/YYYY/MM/DD/", an ID and an extension. */
#define TAIL_BYTES 80U

static enum ds_status make_below(const char *state_dir, const char *name, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *path = ds_file_join(state_dir, name);
    if (path == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    return ds_file_make_folders(path, 0700, err);
}

enum ds_status archive_open(struct archive *a, const char *state_dir, struct ds_error *err)
{
    a->state_dir[0] = '\0';
    if (strlen(state_dir) + TAIL_BYTES >= sizeof(a->state_dir)) {
        return ds_fail(err, DS_ECONFIG, "state_dir is longer than %zu characters",
                       sizeof(a->state_dir) - TAIL_BYTES);
    }
    memcpy(a->state_dir, state_dir, strlen(state_dir) + 1);
    const enum ds_status s = make_below(state_dir, "archive", err);
    return s != DS_OK ? s : make_below(state_dir, "quarantine", err);
}

enum ds_status archive_path(const struct archive *a, int64_t utc_us, const char *id,
                            char out[ARCHIVE_PATH_BYTES], struct ds_error *err)
{
    char when[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(utc_us, when);
    const int n = snprintf(out, ARCHIVE_PATH_BYTES, "%s/archive/%.4s/%.2s/%.2s/%s.dcm",
                           a->state_dir, when, when + 5, when + 8, id);
    if (n < 0 || (size_t)n >= ARCHIVE_PATH_BYTES || strchr(id, '/') != NULL) {
        out[0] = '\0';
        return ds_fail(err, DS_EINVAL, "no archive path for this ID");
    }
    return DS_OK;
}

void archive_id_of(char prefix, const uint8_t digest[DS_SHA256_BYTES], char out[ARCHIVE_ID_BYTES])
{
    out[0] = prefix;
    out[1] = '-';
    ds_hex(digest, 16, out + 2); /* 2 + 32 + 1 <= ARCHIVE_ID_BYTES */
}

static bool holds_anything(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *entry = d == NULL ? NULL : readdir(d);
    while (entry != NULL && entry->d_name[0] == '.') {
        entry = readdir(d);
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return entry != NULL;
}

bool archive_has_lost(const struct archive *a, const char *path)
{
    DS_AUTO(ds_string_free) char *folder = ds_file_join(a->state_dir, "archive");
    return access(path, F_OK) != 0 && errno == ENOENT && folder != NULL && holds_anything(folder);
}

/* The folder part of path as a new string. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path));
}

enum ds_status archive_make_folder_of(const char *path, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *folder = folder_of(path);
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    return ds_file_make_folders(folder, 0700, err);
}

enum ds_status archive_sync_folder_of(const char *path, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *folder = folder_of(path);
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    return ds_file_sync_folder(folder, err);
}

/* The archive is another file system (a shared one), or one without links. */
static enum ds_status copy(const char *from, const char *path, struct ds_error *err)
{
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    const enum ds_status s = ds_map_open(&file, from, SIZE_MAX, err);
    return s == DS_OK ? ds_file_write(path, file.data, file.len, DS_FILE_REPLACE, 0600, err) : s;
}

enum ds_status archive_place(const char *from, const char *path, bool *taken, struct ds_error *err)
{
    *taken = false;
    const enum ds_status s = archive_make_folder_of(path, err);
    if (s != DS_OK || link(from, path) == 0) {
        return s;
    }
    const int cause = errno;
    if (cause == EEXIST) {
        *taken = true;
        return DS_OK;
    }
    if (cause == EXDEV || cause == EPERM || cause == EOPNOTSUPP) {
        return copy(from, path, err);
    }
    return ds_fail(err, cause == ENOENT ? DS_ENOTFOUND : DS_EIO,
                   "cannot name an instance in the archive: %s", strerror(cause));
}

/* Two names of one file, of which rename(2) would leave both, or its copy on another file system,
 * which is on the disk since archive_place. */
static bool is_placed(const char *from, const char *path)
{
    struct stat a, b;
    return stat(from, &a) == 0 && stat(path, &b) == 0 &&
           (a.st_dev != b.st_dev || a.st_ino == b.st_ino);
}

static enum ds_status rename_in(const char *from, const char *path, struct ds_error *err)
{
    if (rename(from, path) == 0) {
        return DS_OK;
    }
    const int cause = errno;
    if (cause == ENOENT && ds_file_exists(path)) {
        return DS_OK;
    }
    return ds_fail(err, DS_EIO, "cannot move an instance into the archive: %s", strerror(cause));
}

enum ds_status archive_settle(const char *from, const char *path, struct ds_error *err)
{
    if (!is_placed(from, path)) {
        return rename_in(from, path, err);
    }
    return unlink(from) == 0 || errno == ENOENT
               ? DS_OK
               : ds_fail(err, DS_EIO, "cannot take an instance out of the spool: %s",
                         strerror(errno));
}

enum ds_status archive_move_in(const char *from, const char *path, struct ds_error *err)
{
    const enum ds_status s = archive_make_folder_of(path, err);
    return s == DS_OK ? rename_in(from, path, err) : s;
}

enum ds_status archive_quarantine(const struct archive *a, const char *from, const char *id,
                                  const char *reason, struct ds_error *err)
{
    char path[ARCHIVE_PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/quarantine/%s.reason", a->state_dir, id);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return ds_fail(err, DS_EINVAL, "no quarantine path for this ID");
    }
    const enum ds_status s =
        ds_file_write(path, reason, strlen(reason), DS_FILE_REPLACE, 0600, err);
    if (s != DS_OK) {
        return s;
    }
    n = snprintf(path, sizeof(path), "%s/quarantine/%s.dcm", a->state_dir, id);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return ds_fail(err, DS_EINVAL, "no quarantine path for this ID");
    }
    return archive_move_in(from, path, err);
}
