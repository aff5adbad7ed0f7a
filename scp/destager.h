/* SPDX-License-Identifier: Apache-2.0 */
/*
 * destager - from the journal into files, off the way of the answer; private to scp/.
 *
 * One thread writes each accepted entry to new/ID.dcm and tells of it. An entry stays pinned in the
 * journal until a sync after that has put its file and name on stable storage, so what a crash
 * takes is written again from the journal: the same ID, bytes and time of arrival, hence the same
 * path in the archive and the same row. A file that cannot be written is tried again; meanwhile
 * the entry is safe where it is.
 */
#ifndef DICOMSTEGO_SCP_DESTAGER_H
#define DICOMSTEGO_SCP_DESTAGER_H

#include "scp/buffers.h"
#include "scp/inbox.h"
#include "scp/journal.h"

struct destager;

struct destager_options {
    struct journal *journal;
    struct buffers *buffers;
    const struct inbox *inbox;
    /* A file is in new/. From the destager's thread. */
    void (*arrived)(void *context, const struct spool_entry *entry);
    void *context;
};

/* One entry on its way; heap, so that nothing can fail once it is accepted. */
struct destage_item {
    struct journal_entry entry;
    uint8_t *buffer; /* its file, while that is still in memory; else NULL */
    struct destage_item *next;
};

DS_CHECKED enum ds_status
destager_start(struct destager **out, const struct destager_options *options, struct ds_error *err);
/* Writes what is left, for a moment; the rest is found again at the next start. NULL is fine. */
void destager_stop(struct destager *d);

/* Takes an accepted entry and its buffer. Any thread; never waits for the disk, never fails. */
void destager_add(struct destager *d, struct destage_item *item);

#endif
