/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool - where an instance is on stable storage before its C-STORE is answered.
 *
 *   FOLDER/journal/   what makes an answer true: preallocated segments (journal.h)
 *   FOLDER/tmp/ID.part   being written; removed when the spool is opened
 *   FOLDER/new/ID.dcm    accepted: a Part 10 file, the data set's bytes as they came over the wire
 *
 * An instance is written to the journal while it comes in; one flush, shared by all that wait at
 * that moment, makes it accepted. Its file is written after that (destager.h). What is too long for
 * the journal, or finds it full, goes straight into its file, with a flush of its own. After
 * spool_commit the instance survives a crash whole either way, and before it there is nothing.
 *
 * Group 0002 is ours and is the record of the acceptance: Source AE (0002,0016) the calling title,
 * Receiving AE (0002,0018) the called one. IDs sort by time of arrival. Whoever has indexed an
 * entry moves the file away.
 */
#ifndef DICOMSTEGO_SCP_SPOOL_H
#define DICOMSTEGO_SCP_SPOOL_H

#include "base/bytes.h"
#include "base/digest.h"
#include "base/sha256.h"

#include <stdbool.h>

struct spool;
struct spool_writer;

#define SPOOL_ID_BYTES 40U

struct spool_entry {
    char id[SPOOL_ID_BYTES];
    char path[4096];
    uint64_t dataset_bytes;
    uint8_t file_hash[DS_SHA256_BYTES]; /* of the data set's bytes as received */
    bool has_file_hash; /* false for entries found by spool_each, and with another hash */
};

struct spool_options {
    const char *folder;
    uint64_t min_free_bytes;  /* below: DS_ECAPACITY from spool_begin and spool_write; so is a full
                                 disk */
    enum ds_digest_kind hash; /* by which the journal knows a data set: SHA-256 is the file hash */
    uint64_t journal_bytes;   /* at most, at least SPOOL_JOURNAL_MIN_BYTES; 0: no journal */
    /* The file of an accepted entry is in new/. From any thread; must be quick. May be NULL. After
     * a restart also for entries that spool_each shows. */
    void (*arrived)(void *context, const struct spool_entry *entry);
    void *context;
};

#define SPOOL_JOURNAL_MIN_BYTES (4ULL * 1024 * 1024)

/* Makes the folders, removes what was left half-received, and goes on with what the journal holds.
 * Several processes may not share one: DS_EIO while another holds it. */
DS_CHECKED enum ds_status spool_open(struct spool **out, const struct spool_options *options,
                                     struct ds_error *err);
/* No writer is left. */
void spool_close(struct spool *s);

struct spool_meta {
    const char *calling_ae, *called_ae;
    const char *sop_class_uid, *sop_instance_uid, *transfer_syntax;
};

DS_CHECKED enum ds_status spool_begin(struct spool *s, const struct spool_meta *meta,
                                      struct spool_writer **out, struct ds_error *err);
DS_CHECKED enum ds_status spool_write(struct spool_writer *w, const uint8_t *data, size_t len,
                                      struct ds_error *err);

/* A borrowed view of the data set's bytes written so far, valid until the next call with this
 * writer: for a look at them before they are accepted. */
DS_CHECKED enum ds_status spool_peek(struct spool_writer *w, const uint8_t **data, size_t *len,
                                     struct ds_error *err);

/* Accepted: on stable storage. out->path is where its file is, or will be in a moment. Ends the
 * writer, also on failure (nothing is then left). */
DS_CHECKED enum ds_status spool_commit(struct spool_writer *w, struct spool_entry *out,
                                       struct ds_error *err);
void spool_abort(struct spool_writer *w);

/* Every accepted entry that is still in new/, oldest first, until visit returns false. An entry
 * that is moved away meanwhile is passed over. */
DS_CHECKED enum ds_status spool_each(struct spool *s,
                                     bool (*visit)(void *context, const struct spool_entry *entry),
                                     void *context, struct ds_error *err);

/* Is there more than the watermark? Said once when that changes. */
bool spool_has_room(struct spool *s);

#endif
