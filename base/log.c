/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024U
#define LINE_BYTES                                                                                 \
    4096U /* a message of which every character is escaped, and what is around it                  \
           */
#define FIELDS_MAX 12U
#define KEY_MAX    24U

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static atomic_int current_level = DS_LOG_INFO;
static atomic_int current_format = DS_LOG_TEXT;

void ds_log_set_level(enum ds_log_level level)
{
    atomic_store(&current_level, (int)level);
}

void ds_log_set_format(enum ds_log_format format)
{
    atomic_store(&current_format, (int)format);
}

bool ds_log_level_from_name(const char *name, enum ds_log_level *out)
{
    for (unsigned i = 0; i < DS_ARRAY_SIZE(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum ds_log_level)i;
            return true;
        }
    }
    return false;
}

/* ---- a line that grows; what does not fit is left out ---- */

struct line {
    char text[LINE_BYTES];
    size_t len;
};

static void put(struct line *l, const char *text, size_t len)
{
    const size_t room = sizeof(l->text) - 1 - l->len; /* the line feed always fits */
    const size_t n = len < room ? len : room;
    memcpy(l->text + l->len, text, n);
    l->len += n;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* ---- JSON ---- */

/* Bytes of the UTF-8 sequence at text (RFC 3629), 0 when there is none. */
static size_t sequence_at(const char *text, size_t len)
{
    const unsigned char *u = (const unsigned char *)text;
    const size_t n = u[0] < 0x80                    ? 1
                     : u[0] >= 0xc2 && u[0] <= 0xdf ? 2
                     : (u[0] & 0xf0U) == 0xe0       ? 3
                     : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4
                                                    : 0;
    if (n == 0 || n > len) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0U) != 0x80) {
            return 0;
        }
    }
    const bool is_long = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    const bool is_beyond = (u[0] == 0xed && u[1] > 0x9f) || (u[0] == 0xf4 && u[1] > 0x8f);
    return is_long || is_beyond ? 0 : n;
}

static void put_json(struct line *l, const char *text, size_t len)
{
    put_text(l, "\"");
    for (size_t i = 0; i < len;) {
        const size_t n = sequence_at(text + i, len - i);
        if (text[i] == '"' || text[i] == '\\') {
            put_text(l, "\\");
        }
        put(l, n == 0 ? "?" : text + i, n == 0 ? 1 : n);
        i += n == 0 ? 1 : n;
    }
    put_text(l, "\"");
}

static void put_member(struct line *l, const char *key, size_t key_len, const char *value,
                       size_t len)
{
    put_text(l, l->len == 0 ? "{" : ",");
    put_json(l, key, key_len);
    put_text(l, ":");
    put_json(l, value, len);
}

struct field {
    const char *key, *value;
    size_t key_len, value_len;
};

/* The field at *text, which moves behind it; false when prose begins. */
static bool next_field(const char **text, struct field *out)
{
    const char *at = *text;
    const size_t key_len = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    if (key_len == 0 || key_len > KEY_MAX || at[key_len] != '=') {
        return false;
    }
    const char *value = at + key_len + 1;
    const bool quoted = *value == '"';
    value += quoted ? 1 : 0;
    const size_t value_len = strcspn(value, quoted ? "\"" : " ");
    const char *end = value + value_len;
    if (quoted && *end != '"') {
        return false;
    }
    end += quoted ? 1 : 0;
    if (*end != ' ' && *end != '\0') {
        return false;
    }
    *out = (struct field){at, value, key_len, value_len};
    *text = end + (*end == ' ' ? 1 : 0);
    return true;
}

/* Names that the line has already: members of an object are told apart by name. */
static bool is_taken(const struct field *fields, size_t count, const struct field *f)
{
    static const char *const ours[] = {"time", "level", "area", "message"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(ours); i++) {
        if (strlen(ours[i]) == f->key_len && memcmp(ours[i], f->key, f->key_len) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].key_len == f->key_len && memcmp(fields[i].key, f->key, f->key_len) == 0) {
            return true;
        }
    }
    return false;
}

static void make_json(struct line *l, const char *when, const char *level, const char *room,
                      const char *message)
{
    struct field fields[FIELDS_MAX];
    put_member(l, "time", 4, when, strlen(when));
    put_member(l, "level", 5, level, strlen(level));
    put_member(l, "area", 4, room, strlen(room));
    for (size_t count = 0; count < FIELDS_MAX; count++) {
        const char *behind = message;
        if (!next_field(&behind, &fields[count]) || is_taken(fields, count, &fields[count])) {
            break;
        }
        put_member(l, fields[count].key, fields[count].key_len, fields[count].value,
                   fields[count].value_len);
        message = behind;
    }
    put_member(l, "message", 7, message, strlen(message));
    put_text(l, "}");
}

/* ---- a line ---- */

static void make_text(struct line *l, const char *when, const char *level, const char *room,
                      const char *message)
{
    const char *const parts[] = {when, " ", level, " ", room, " ", message};
    for (size_t i = 0; i < DS_ARRAY_SIZE(parts); i++) {
        put_text(l, parts[i]);
    }
}

void ds_log(enum ds_log_level level, const char *room, const char *fmt, ...)
{
    if ((int)level > atomic_load(&current_level)) {
        return;
    }
    char when[DS_CLOCK_TEXT_BYTES];
    char message[MESSAGE_BYTES] = "";
    struct line l = {.len = 0};
    ds_clock_format_utc(ds_clock_utc_us(), when);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    /* A peer's AE title or a parser's message must not forge a line of its own. */
    for (char *c = message; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    }
    if (atomic_load(&current_format) == DS_LOG_JSON) {
        make_json(&l, when, level_names[level], room, message);
    } else {
        make_text(&l, when, level_names[level], room, message);
    }
    l.text[l.len++] = '\n';
    const ssize_t written = write(STDERR_FILENO, l.text, l.len);
    (void)written; /* nobody is left to tell */
}
