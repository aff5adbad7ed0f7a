/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal - what makes an answer true: accepted instances in preallocated segments; private to
 * scp/.
 *
 *   FOLDER/NNNNNN.segment
 *
 * A writer takes room at the end of the open segment, piece by piece while the instance comes in,
 * and writes there. Last comes its record (record.h), then one flush, which all who wait at that
 * moment share; only then is the instance accepted.
 *
 * Why a crash leaves every accepted instance whole, and no half one:
 *  - accepted means that a flush which began after its last write has succeeded for each of its
 *    segments, so its bytes and its record are on the disk;
 *  - a record is believed when it names the present life of its segment and of all its extents',
 *    and digests over the record, the file meta information and the data set agree: whatever of
 *    them did not get to the disk, it is not believed;
 *  - room is given out once within a life, so nobody overwrites what was accepted; a segment gets
 *    a new life only when no entry in it is pinned, and an entry is pinned until its file is on
 *    stable storage (destager.h).
 * What was written and not yet acknowledged may be found, whole, as after any crash between a
 * commit and its answer.
 *
 * Any thread, but for journal_open, journal_close, journal_recycle and journal_prepare, which are
 * for one at a time.
 */
#ifndef DICOMSTEGO_SCP_JOURNAL_H
#define DICOMSTEGO_SCP_JOURNAL_H

#include "scp/room.h"
#include "scp/segment.h"

struct journal;

/* One instance in the journal, being written or accepted. Zeroed: nothing. */
struct journal_entry {
    struct record record;
    struct segment *segments[RECORD_EXTENTS_MAX]; /* of each extent; each pinned once */
    uint64_t written; /* of the file, in whole blocks, until it is committed */
};

struct journal_options {
    const char *folder;
    uint64_t max_bytes;      /* all segments together, at least JOURNAL_MIN_BYTES */
    const struct room *room; /* borrowed: segments are made above its watermark only */
};

#define JOURNAL_MIN_BYTES (4ULL * SEGMENT_MIN_BYTES)

/* Opens or makes the folder, and calls found for what a former run had accepted and may not have
 * destaged: the entry is the receiver's, to be released. When found is done with all, segments
 * without an entry are as new, and the first ones are made. */
DS_CHECKED enum ds_status journal_open(struct journal **out, const struct journal_options *options,
                                       enum ds_status (*found)(void *context,
                                                               const struct journal_entry *e,
                                                               struct ds_error *err),
                                       void *context, struct ds_error *err);
void journal_close(struct journal *j); /* NULL is fine */

/* The largest Part 10 file that it takes. */
size_t journal_file_max_bytes(const struct journal *j);

/* Writes the next len bytes of the file, whole blocks from an aligned address. DS_ECAPACITY: no
 * segment is free; DS_EIO: the disk. The entry can then only be released. */
DS_CHECKED enum ds_status journal_append(struct journal *j, struct journal_entry *e,
                                         const uint8_t *data, size_t len, struct ds_error *err);
/* Writes the rest and the record, and flushes. file: the whole file of record.file_bytes, aligned,
 * with room behind it for record_round_up(file_bytes) + RECORD_BLOCK_BYTES in all, which is
 * overwritten. e->record has its id, arrival, head_bytes, file_bytes and hash. After DS_OK the
 * entry is accepted and stays pinned until journal_release. */
DS_CHECKED enum ds_status journal_commit(struct journal *j, struct journal_entry *e, uint8_t *file,
                                         struct ds_error *err);
/* file: aligned, room for record_round_up(file_bytes). */
DS_CHECKED enum ds_status journal_read(const struct journal_entry *e, uint8_t *file,
                                       struct ds_error *err);
void journal_release(struct journal *j, struct journal_entry *e);

/* Segments that nothing is pinned in begin a new life; failed ones are removed. */
void journal_recycle(struct journal *j);
/* Makes a segment when there are few free ones. True: it is worth asking again. */
bool journal_prepare(struct journal *j);

#endif
