/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP_BYTES (256U * 1024U)

void ds_file_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void ds_string_free(char **text)
{
    free(*text);
    *text = NULL;
}

bool ds_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

char *ds_file_join(const char *folder, const char *name)
{
    const size_t folder_len = strlen(folder);
    const size_t name_len = strlen(name);
    char *joined = malloc(folder_len + name_len + 2);
    if (joined == NULL) {
        return NULL;
    }
    memcpy(joined, folder, folder_len);
    joined[folder_len] = '/';
    memcpy(joined + folder_len + 1, name, name_len + 1);
    return joined;
}

enum ds_status ds_file_read(const char *path, struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ds_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const enum ds_status s = errno == ENOENT ? DS_ENOTFOUND : DS_EIO;
        return ds_fail(err, s, "unable to open '%s': %s", path, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        return ds_fail(err, DS_EIO, "unable to read '%s': not a file", path);
    }
    size_t step = st.st_size > 0 ? (size_t)st.st_size + 1 : READ_STEP_BYTES;
    if (out->large && step > DS_MAP_STEP_BYTES) {
        step = DS_MAP_STEP_BYTES;
    }
    for (;;) {
        if (step > out->max - out->len) {
            step = out->max - out->len;
        }
        if (step == 0) {
            return ds_fail(err, DS_EFORMAT, "'%s' is larger than %zu bytes", path, out->max);
        }
        enum ds_status s = ds_bytes_reserve(out, step, err);
        if (s != DS_OK) {
            return s;
        }
        const ssize_t got = read(fd, out->data + out->len, step);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ds_fail(err, DS_EIO, "unable to read '%s': %s", path, strerror(errno));
        }
        if (got == 0) {
            return DS_OK;
        }
        ds_map_forget(out->data + out->len, (size_t)got);
        out->len += (size_t)got;
        step = out->large ? DS_MAP_STEP_BYTES : READ_STEP_BYTES;
    }
}

static enum ds_status write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        const size_t step = len < DS_MAP_STEP_BYTES ? len : DS_MAP_STEP_BYTES;
        const ssize_t put = write(fd, at, step);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return DS_EIO;
        }
        ds_map_forget(at, (size_t)put);
        at += put;
        len -= (size_t)put;
    }
    return DS_OK;
}

static enum ds_status sync_parent(const char *path, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *folder = strdup(path);
    if (folder == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a path");
    }
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return ds_file_sync_folder(".", err);
    }
    slash[slash == folder ? 1 : 0] = '\0';
    return ds_file_sync_folder(folder, err);
}

enum ds_status ds_file_write(const char *path, const void *data, size_t len, enum ds_file_mode mode,
                             mode_t permissions, struct ds_error *err)
{
    const size_t path_len = strlen(path);
    DS_AUTO(ds_string_free) char *temporary = malloc(path_len + sizeof(".XXXXXX"));
    if (temporary == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a path");
    }
    memcpy(temporary, path, path_len);
    memcpy(temporary + path_len, ".XXXXXX", sizeof(".XXXXXX"));

    DS_AUTO(ds_file_close) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return ds_fail(err, DS_EIO, "unable to create '%s': %s", path, strerror(errno));
    }
    if (fchmod(fd, permissions) != 0 || write_all(fd, data, len) != DS_OK || fsync(fd) != 0) {
        (void)ds_fail(err, DS_EIO, "unable to write '%s': %s", path, strerror(errno));
        (void)unlink(temporary);
        return DS_EIO;
    }
    /* link(2) refuses an existing name atomically; rename(2) replaces it atomically. */
    const int placed = mode == DS_FILE_NEW ? link(temporary, path) : rename(temporary, path);
    const int cause = errno;
    if (mode == DS_FILE_NEW || placed != 0) {
        (void)unlink(temporary);
    }
    if (placed != 0) {
        return cause == EEXIST
                   ? ds_fail(err, DS_EEXIST, "'%s' exists already", path)
                   : ds_fail(err, DS_EIO, "unable to create '%s': %s", path, strerror(cause));
    }
    return sync_parent(path, err);
}

enum ds_status ds_file_make_folders(const char *path, mode_t permissions, struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *copy = strdup(path);
    if (copy == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a path");
    }
    for (char *at = copy + 1;; at++) {
        const char c = *at;
        if (c != '/' && c != '\0') {
            continue;
        }
        *at = '\0';
        if (mkdir(copy, permissions) != 0 && errno != EEXIST) {
            return ds_fail(err, DS_EIO, "unable to make the folder '%s': %s", copy,
                           strerror(errno));
        }
        *at = c;
        if (c == '\0') {
            break;
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return ds_fail(err, DS_EIO, "'%s' is not a folder", path);
    }
    return DS_OK;
}

enum ds_status ds_file_sync_folder(const char *path, struct ds_error *err)
{
    DS_AUTO(ds_file_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return ds_fail(err, DS_EIO, "unable to sync the folder '%s': %s", path, strerror(errno));
    }
    return DS_OK;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

enum ds_status ds_file_remove_tree(const char *path, struct ds_error *err)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return ds_fail(err, DS_EIO, "unable to remove '%s': %s", path, strerror(errno));
    }
    return DS_OK;
}
