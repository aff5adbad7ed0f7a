/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - files as memory: read where they lie, and given back page by page.
 *
 * An image of a gigabyte is passed over a few times and never held: whoever has read or written a
 * piece of it calls ds_map_forget, and its pages no longer count as memory of the process. They
 * come back from the file by themselves when they are read again. Any pointer may be given:
 * on memory that is no mapped file nothing happens.
 *
 * A mapped file must not become shorter meanwhile (the process would get SIGBUS): map only files
 * that nobody else writes to, as those below the node's own folder.
 */
#ifndef DICOMSTEGO_BASE_MAP_H
#define DICOMSTEGO_BASE_MAP_H

#include "base/base.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Long data are passed over in steps of this size, each forgotten before the next. */
#define DS_MAP_STEP_BYTES (4U * 1024U * 1024U)

struct ds_map { /* zeroed: nothing mapped */
    const uint8_t *data;
    size_t len;
};

/* The whole file, read-only. An empty file has data NULL. DS_ENOTFOUND; DS_EIO: no file, or it
 * cannot be read; DS_EFORMAT: more than max_bytes. */
DS_CHECKED enum ds_status ds_map_open(struct ds_map *out, const char *path, size_t max_bytes,
                                      struct ds_error *err);
void ds_map_close(struct ds_map *m);

/* The whole pages between data and data + len leave memory when they are of a mapped file. */
void ds_map_forget(const void *data, size_t len);

/* ---- scratch: memory that grows on a disk ---- */

/* A file of our own without a name, mapped for reading and writing. Its room is reserved on the
 * disk before it is given: a full disk is DS_EIO, not a signal. */
struct ds_scratch {
    int fd; /* -1: none */
    uint8_t *data;
    size_t capacity;
};

#define DS_SCRATCH_INIT ((struct ds_scratch){-1, NULL, 0})

/* At least capacity bytes, what is new is zero; data may move. On failure nothing changes. */
DS_CHECKED enum ds_status ds_scratch_reserve(struct ds_scratch *s, size_t capacity,
                                             struct ds_error *err);
void ds_scratch_free(struct ds_scratch *s);

/* Where scratch files are made: borrowed for good, before threads start. Else $TMPDIR, else
 * /var/tmp, which unlike /tmp is a disk everywhere. */
void ds_scratch_set_folder(const char *folder);

#endif
