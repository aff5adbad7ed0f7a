/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbox - the spool's folders tmp/ and new/, and the files in them; private to scp/.
 *
 * A file is written as tmp/ID.part and gets its name new/ID.dcm when it is whole. Files of
 * different IDs: from any thread.
 */
#ifndef DICOMSTEGO_SCP_INBOX_H
#define DICOMSTEGO_SCP_INBOX_H

#include "scp/spool.h"

struct inbox {
    char *folder, *new_folder;
    int lock_fd, tmp_fd, new_fd;
};

/* Makes the folders, takes the lock, removes what is in tmp/: it was never accepted, or is in the
 * journal. */
DS_CHECKED enum ds_status inbox_open(struct inbox *in, const char *folder, struct ds_error *err);
void inbox_close(struct inbox *in); /* also after inbox_open has failed */

/* DS_ECAPACITY for a full disk, else DS_EIO. */
enum ds_status inbox_io_fail(struct ds_error *err, const char *what, int why);

/* One file being received. fd -1: none. */
struct inbox_file {
    int fd; /* read and write */
    char id[SPOOL_ID_BYTES];
};
DS_CHECKED enum ds_status inbox_create(const struct inbox *in, const char *id,
                                       struct inbox_file *out, struct ds_error *err);
DS_CHECKED enum ds_status inbox_write(const struct inbox_file *f, const uint8_t *data, size_t len,
                                      struct ds_error *err);
/* Bytes and name on stable storage, in this order; ends f, also on failure (nothing is left). */
DS_CHECKED enum ds_status inbox_accept(const struct inbox *in, struct inbox_file *f,
                                       int64_t arrival_us, struct ds_error *err);
void inbox_discard(const struct inbox *in, struct inbox_file *f);

/* A whole file from memory at once, past the page cache where that is possible. Not on stable
 * storage before inbox_sync. file: page aligned, with room to the next RECORD_BLOCK_BYTES. One that
 * is there already is replaced. */
DS_CHECKED enum ds_status inbox_put(const struct inbox *in, const char *id, const uint8_t *file,
                                    size_t len, int64_t arrival_us, struct ds_error *err);
/* Everything that was put, and its name, wherever it has been moved on this file system. */
DS_CHECKED enum ds_status inbox_sync(const struct inbox *in, struct ds_error *err);
/* Missing is fine. */
void inbox_remove(const struct inbox *in, const char *id);

/* IDs in new/, in no order. */
struct entry_id_list;
DS_CHECKED enum ds_status inbox_list(const struct inbox *in, struct entry_id_list *out,
                                     struct ds_error *err);
/* false: the path does not fit. */
DS_CHECKED bool inbox_path(const struct inbox *in, const char *id, char *out, size_t size);
/* false: gone meanwhile, or not a spool file. */
DS_CHECKED bool inbox_look(const struct inbox *in, const char *id, struct spool_entry *out);

#endif
