/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine - what is held for an operator: the files of it, and the way back.
 *
 * An instance stays in the archive. An entry of the spool that became no instance lies as
 * quarantine/ENTRY.dcm with ENTRY.reason beside it, and its row (db/quarantine.h) is written after
 * the file is there. A decision is the other way around: first the row and its event, then the
 * file. Whatever a crash or an absent database has left between the two, quarantine_settle ends:
 *
 *   file without a row            listed
 *   file whose row is held        as it should be
 *   file whose row is released    back to the spool, to be read again
 *   file whose row is discarded   removed
 */
#ifndef DICOMSTEGO_NODE_QUARANTINE_H
#define DICOMSTEGO_NODE_QUARANTINE_H

#include "db/quarantine.h"
#include "node/services.h"

/* Moves an entry's file from spool/new to quarantine/ and lists it; while the database is away the
 * row waits for quarantine_settle. The entry is the spool's again (*err) when it cannot be moved.
 */
DS_CHECKED enum ds_status quarantine_set_aside(struct services *s, const char *spool_path,
                                               const char *entry, const char *reason,
                                               struct ds_error *err);

/* When there may be something to settle: after a start, and after a row could not be written. */
void quarantine_settle(struct services *s, struct db *db);

/* After db_quarantine_release and db_quarantine_discard: the file of an entry follows its row. */
void quarantine_follow(struct services *s, const struct db_quarantine_row *row);

/* Where the bytes are. DS_ENOTFOUND: not on this node. */
DS_CHECKED enum ds_status quarantine_path(const struct services *s,
                                          const struct db_quarantine_row *row,
                                          char out[ARCHIVE_PATH_BYTES], struct ds_error *err);

/* Why a carrier or an object was refused, as a class. */
enum db_quarantine_class quarantine_class_of(enum ds_status why);

#endif
