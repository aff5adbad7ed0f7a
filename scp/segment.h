/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment - one preallocated file of the journal, written ahead; private to scp/.
 *
 * The first block says which life of the file this is: a number drawn by chance whenever the file
 * is made or used again. What was written in an earlier life names another number and is never
 * believed. The header of a new life is on stable storage before anything of it is written, and
 * nothing is written twice within one life.
 *
 * All of it has been written once before it is used: a write then finds its blocks where they are,
 * and a flush has no metadata to write. Bytes go past the page cache (O_DIRECT) where the file
 * system can do that.
 *
 * Writing and flushing: from any thread, at different places. Renewing and closing: by one, with
 * nobody else inside.
 */
#ifndef DICOMSTEGO_SCP_SEGMENT_H
#define DICOMSTEGO_SCP_SEGMENT_H

#include "scp/record.h"

#include <pthread.h>

enum segment_state {
    SEGMENT_FREE,   /* of a new life, empty */
    SEGMENT_OPEN,   /* written to */
    SEGMENT_CLOSED, /* full, or not to be written to any more */
    SEGMENT_FAILED, /* the disk refused a write or a flush: never believed again */
};

struct segment {
    char *path;
    int fd;
    uint64_t bytes; /* of the file */
    uint64_t life;  /* 0: its header says nothing */
    /* Kept by the journal, under its lock. */
    enum segment_state state;
    uint64_t tail; /* where the next bytes go */
    unsigned pins; /* entries, and writers, with bytes in it */
    /* One flush for all who wait: tickets are drawn after writing, and a flush that began after a
     * ticket was drawn covers it. */
    pthread_mutex_t lock;
    pthread_cond_t flushed;
    uint64_t drawn, covered;
    bool flushing, failed;
};

#define SEGMENT_MIN_BYTES  (1024U * 1024U)
#define SEGMENT_FIRST_BYTE ((uint64_t)RECORD_BLOCK_BYTES)

/* A new file of so many bytes (a multiple of RECORD_BLOCK_BYTES), allocated and written, with a
 * life. The name in the folder is not flushed. DS_ECAPACITY: no room. On failure there is none. */
DS_CHECKED enum ds_status segment_create(struct segment **out, const char *path, uint64_t bytes,
                                         struct ds_error *err);
/* A file of a former run; life is 0 when it has no sound header. */
DS_CHECKED enum ds_status segment_open(struct segment **out, const char *path,
                                       struct ds_error *err);
void segment_close(struct segment *s); /* NULL is fine */

/* A new life, on stable storage. What was in it is gone. */
DS_CHECKED enum ds_status segment_renew(struct segment *s, struct ds_error *err);

/* offset, len and data's address are multiples of RECORD_BLOCK_BYTES. A failure is for good. */
DS_CHECKED enum ds_status segment_write(struct segment *s, uint64_t offset, const uint8_t *data,
                                        size_t len, struct ds_error *err);
DS_CHECKED enum ds_status segment_read(const struct segment *s, uint64_t offset, uint8_t *data,
                                       size_t len, struct ds_error *err);

/* All that this thread wrote is on stable storage. After a flush has failed nobody can know which
 * of the bytes before it arrived, and asking again proves nothing, because the kernel then takes
 * them for written: the segment has failed for good. */
DS_CHECKED enum ds_status segment_flush(struct segment *s, struct ds_error *err);
bool segment_has_failed(struct segment *s);

#endif
