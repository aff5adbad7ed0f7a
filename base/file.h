/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file - whole files in, whole files out, and nothing half in between.
 */
#ifndef DICOMSTEGO_BASE_FILE_H
#define DICOMSTEGO_BASE_FILE_H

#include "base/base.h"
#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Appends the whole file to *out, at most out->max bytes. DS_ENOTFOUND when there is none. */
DS_CHECKED enum ds_status ds_file_read(const char *path, struct ds_bytes *out,
                                       struct ds_error *err);

enum ds_file_mode {
    DS_FILE_NEW,    /* DS_EEXIST when the path exists */
    DS_FILE_REPLACE /* whoever reads sees the old file or the new one, never a mixture */
};

/* Writes through a temporary name in the same folder, fsyncs file and folder. On failure nothing is
 * left behind. permissions as for open(2). */
DS_CHECKED enum ds_status ds_file_write(const char *path, const void *data, size_t len,
                                        enum ds_file_mode mode, mode_t permissions,
                                        struct ds_error *err);

/* mkdir -p. */
DS_CHECKED enum ds_status ds_file_make_folders(const char *path, mode_t permissions,
                                               struct ds_error *err);

/* fsync of a folder, so that the names in it survive a crash. */
DS_CHECKED enum ds_status ds_file_sync_folder(const char *path, struct ds_error *err);

/* "folder/name" as a new string, NULL when out of memory; free(). */
char *ds_file_join(const char *folder, const char *name);

bool ds_file_exists(const char *path);

/* Removes a folder and all that is in it, without following symbolic links. Missing is fine. */
DS_CHECKED enum ds_status ds_file_remove_tree(const char *path, struct ds_error *err);

/* For DS_AUTO. */
void ds_file_close(int *fd); /* ignores -1 */
void ds_string_free(char **text);

#endif
