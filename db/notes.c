/* SPDX-License-Identifier: Apache-2.0 */
#include "db/notes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the caller writes when there is no memory; it is never put. */
static _Thread_local struct db_event nowhere;

void db_notes_free(struct db_notes *n)
{
    free(n->rows);
    free(n->detail_at);
    ds_bytes_free(&n->details);
}

static bool make_room(struct db_notes *n)
{
    if (n->count < n->room) {
        return true;
    }
    const size_t room = n->room == 0 ? 16 : 2 * n->room;
    struct db_event_at *rows = realloc(n->rows, room * sizeof(*rows));
    n->rows = rows != NULL ? rows : n->rows;
    size_t *detail_at = realloc(n->detail_at, room * sizeof(*detail_at));
    n->detail_at = detail_at != NULL ? detail_at : n->detail_at;
    if (rows == NULL || detail_at == NULL) {
        n->status = DS_ENOMEM;
        return false;
    }
    n->room = room;
    return true;
}

static void put(struct db_notes *n, const char *text, size_t len)
{
    if (n->status == DS_OK && len > 0) {
        n->status = ds_bytes_append(&n->details, text, len, NULL);
    }
}

static void end_detail(struct db_notes *n)
{
    if (n->count > 0 && n->detail_at[n->count - 1] != SIZE_MAX) {
        put(n, "}", 2); /* with its terminator */
    }
}

struct db_event *db_note(struct db_notes *n, const char *kind, const char *actor)
{
    end_detail(n);
    if (n->status != DS_OK || !make_room(n)) {
        nowhere = (struct db_event){.kind = kind};
        return &nowhere;
    }
    n->detail_at[n->count] = SIZE_MAX;
    n->rows[n->count] = (struct db_event_at){.event = {.kind = kind, .actor = actor}};
    return &n->rows[n->count++].event;
}

void db_note_at(struct db_notes *n, int64_t at_us)
{
    if (n->status == DS_OK) {
        n->rows[n->count - 1].at_us = at_us;
    }
}

/* member is a word of ours: nothing in it to escape. */
static void begin_member(struct db_notes *n, const char *member)
{
    if (n->status != DS_OK) {
        return;
    }
    const bool first = n->detail_at[n->count - 1] == SIZE_MAX;
    if (first) {
        n->detail_at[n->count - 1] = n->details.len;
    }
    put(n, first ? "{\"" : ",\"", 2);
    put(n, member, strlen(member));
    put(n, "\":", 2);
}

static void put_escaped(struct db_notes *n, char c)
{
    char text[8];
    if ((unsigned char)c < 0x20) {
        (void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)(unsigned char)c);
    } else {
        (void)snprintf(text, sizeof(text), "\\%c", c);
    }
    put(n, text, strlen(text));
}

void db_note_text(struct db_notes *n, const char *member, const char *text)
{
    if (text == NULL) {
        db_note_null(n, member);
        return;
    }
    begin_member(n, member);
    put(n, "\"", 1);
    while (*text != '\0') {
        size_t run = 0;
        while ((unsigned char)text[run] >= 0x20 && text[run] != '"' && text[run] != '\\') {
            run++;
        }
        put(n, text, run);
        text += run;
        if (*text != '\0') {
            put_escaped(n, *text++);
        }
    }
    put(n, "\"", 1);
}

static void put_word(struct db_notes *n, const char *member, const char *word)
{
    begin_member(n, member);
    put(n, word, strlen(word));
}

void db_note_int(struct db_notes *n, const char *member, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    put_word(n, member, text);
}

void db_note_bool(struct db_notes *n, const char *member, bool value)
{
    put_word(n, member, value ? "true" : "false");
}

void db_note_null(struct db_notes *n, const char *member)
{
    put_word(n, member, "null");
}

void db_note_hash(struct db_notes *n, const char *member, bool has,
                  const uint8_t hash[DS_SHA256_BYTES])
{
    char text[DS_SHA256_HEX_BYTES];
    ds_hex(hash, DS_SHA256_BYTES, text);
    db_note_text(n, member, has ? text : NULL);
}

enum ds_status db_notes_put(struct db_tx *t, struct db_notes *n, struct ds_error *err)
{
    end_detail(n);
    if (n->status != DS_OK) {
        return ds_fail(err, n->status, "no memory for the events of a transaction");
    }
    for (size_t i = 0; i < n->count; i++) {
        if (n->detail_at[i] != SIZE_MAX) {
            n->rows[i].event.detail = (const char *)n->details.data + n->detail_at[i];
        }
    }
    return db_events_put(t, n->rows, n->count, err);
}
