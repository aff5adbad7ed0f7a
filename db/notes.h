/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notes - the events of one transaction while they are collected, with their details as JSON.
 *
 * db_note adds an event, whose members the caller fills; what is then told of it becomes a member
 * of its detail. Strings given to db_note_* are copied; those put into the event itself must live
 * until db_notes_put. The first failure sticks and is reported there.
 */
#ifndef DICOMSTEGO_DB_NOTES_H
#define DICOMSTEGO_DB_NOTES_H

#include "db/query.h"

struct db_notes {
    struct db_event_at *rows;
    size_t *detail_at; /* beside rows: where the detail begins; SIZE_MAX: none */
    size_t count, room;
    struct ds_bytes details; /* each with its terminator */
    enum ds_status status;
};

#define DB_NOTES_MAX_BYTES (256U * 1024U * 1024U)
#define DB_NOTES_INIT                                                                              \
    ((struct db_notes){NULL, NULL, 0, 0, DS_BYTES_INIT(DB_NOTES_MAX_BYTES), DS_OK})
void db_notes_free(struct db_notes *n);

/* Never NULL; valid until the next db_note. */
struct db_event *db_note(struct db_notes *n, const char *kind, const char *actor);
/* When the newest event happened, if not now. */
void db_note_at(struct db_notes *n, int64_t at_us);
/* Members of the newest event's detail. text NULL or value without: null. */
void db_note_text(struct db_notes *n, const char *member, const char *text);
void db_note_int(struct db_notes *n, const char *member, int64_t value);
void db_note_bool(struct db_notes *n, const char *member, bool value);
void db_note_hash(struct db_notes *n, const char *member, bool has,
                  const uint8_t hash[DS_SHA256_BYTES]);
void db_note_null(struct db_notes *n, const char *member);

DS_CHECKED enum ds_status db_notes_put(struct db_tx *t, struct db_notes *n, struct ds_error *err);

#endif
