/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_set - the segments of a journal as files of a folder: found, replayed, made and removed;
 * private to scp/journal*.c.
 */
#ifndef DICOMSTEGO_SCP_JOURNAL_SET_H
#define DICOMSTEGO_SCP_JOURNAL_SET_H

#include "scp/journal.h"

struct journal {
    char *folder;
    const struct room *room;
    uint64_t segment_bytes;
    size_t max_count;
    uint64_t next_number;       /* of a segment's name */
    int64_t grow_not_before_ms; /* monotonic; after a segment could not be made */
    pthread_mutex_t lock;
    struct segment **segments; /* under lock, with their state, tail and pins */
    size_t count;
    struct segment *open; /* where room is taken now; NULL: none yet */
};

/* One more segment. False: no room, or it cannot be made; the log says why. */
DS_CHECKED bool journal_grow(struct journal *j);
/* Closes it and removes its file. Nothing is pinned in it. */
void journal_remove(struct journal *j, struct segment *s);

/* Entries of a former run, oldest first. */
struct journal_found {
    struct journal_entry *entries;
    size_t count, capacity;
    size_t torn; /* records that are not whole */
};
/* Looks for records in all segments; each entry found pins its own. A segment that cannot be read
 * is set aside under another name. */
DS_CHECKED enum ds_status journal_replay(struct journal *j, struct journal_found *out,
                                         struct ds_error *err);
void journal_found_free(struct journal_found *f);

#endif
