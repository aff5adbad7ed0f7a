/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive - the folders under state_dir where instances rest.
 *
 *   archive/YYYY/MM/DD/ID.dcm     indexed instances, ordinary Part 10 files; the day is that of
 * arrival (UTC) quarantine/ID.dcm, ID.reason  what was accepted and then found not to be DICOM
 *
 * All folders are 0700. ID is the spool's, or derived from the bytes for instances that the node
 * made itself.
 */
#ifndef DICOMSTEGO_NODE_ARCHIVE_H
#define DICOMSTEGO_NODE_ARCHIVE_H

#include "base/bytes.h"
#include "base/sha256.h"

#define ARCHIVE_PATH_BYTES 1024U
#define ARCHIVE_ID_BYTES   40U

struct archive {
    char state_dir[ARCHIVE_PATH_BYTES];
};

/* Makes archive/ and quarantine/. DS_ECONFIG when state_dir is too long for paths below it. */
DS_CHECKED enum ds_status archive_open(struct archive *a, const char *state_dir,
                                       struct ds_error *err);

/* Pure: where an instance with this ID and time of arrival lies. */
DS_CHECKED enum ds_status archive_path(const struct archive *a, int64_t utc_us, const char *id,
                                       char out[ARCHIVE_PATH_BYTES], struct ds_error *err);

/* The ID of an instance that the node made: the same bytes have the same one. prefix: one letter.
 */
void archive_id_of(char prefix, const uint8_t digest[DS_SHA256_BYTES], char out[ARCHIVE_ID_BYTES]);

/* Makes the folder in which path lies. */
DS_CHECKED enum ds_status archive_make_folder_of(const char *path, struct ds_error *err);

/* Gives a file of the spool its place before its row is written, as a second name (link(2)), or as
 * a copy where the archive is another file system: whoever reads the row finds the file, and a
 * folder that has no room for the name is known while the spool still has the entry. A place that
 * is taken is fine, and said. DS_ENOTFOUND: there is no such file. The name reaches the disk with
 * archive_sync_folder_of. */
DS_CHECKED enum ds_status archive_place(const char *from, const char *path, bool *taken,
                                        struct ds_error *err);

/* After the row: the name in the spool goes. Where the place holds another file than that, of a run
 * before, the spool's replaces it. A missing source is fine when the place is taken. Needs no room.
 */
DS_CHECKED enum ds_status archive_settle(const char *from, const char *path, struct ds_error *err);

/* Is the file gone, while others are there? Not when the archive as a whole is away, as a file
 * system that is not mounted is. */
bool archive_has_lost(const struct archive *a, const char *path);

/* Moves a file to another place. A missing source is fine when the place is taken: it was moved
 * before a crash. */
DS_CHECKED enum ds_status archive_move_in(const char *from, const char *path, struct ds_error *err);
DS_CHECKED enum ds_status archive_sync_folder_of(const char *path, struct ds_error *err);

/* Moves a file to quarantine/ID.dcm with its reason beside it. */
DS_CHECKED enum ds_status archive_quarantine(const struct archive *a, const char *from,
                                             const char *id, const char *reason,
                                             struct ds_error *err);

#endif
