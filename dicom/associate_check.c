/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/associate_check.h"

#include "base/bytes.h"

#include <stdbool.h>

#define UID_MAX_BYTES 64U
#define TITLE_BYTES   16U
#define CALLED_TITLE  4U /* behind version and two reserved bytes */
#define CALLING_TITLE 20U
#define FIXED_BYTES   68U /* with 32 more reserved ones */

enum item_type {
    APPLICATION_CONTEXT = 0x10,
    PRESENTATION_CONTEXT = 0x20,
    ANSWERED_CONTEXT = 0x21, /* of an A-ASSOCIATE-AC; DCMTK would read it here, too */
    ABSTRACT_SYNTAX = 0x30,
    TRANSFER_SYNTAX = 0x40,
    USER_INFORMATION = 0x50,
    MAXIMUM_LENGTH = 0x51,
    IMPLEMENTATION_CLASS = 0x52,
    ASYNCHRONOUS_WINDOW = 0x53,
    ROLE_SELECTION = 0x54,
    IMPLEMENTATION_VERSION = 0x55,
    EXTENDED_NEGOTIATION = 0x56,
    USER_IDENTITY = 0x58,
    ANSWERED_IDENTITY = 0x59,
};

struct item {
    unsigned type;
    struct ds_cursor value;
};

struct contexts {
    bool seen[256];
    size_t count;
};

/* Type, reserved byte, two bytes of length, value. */
static enum ds_status next_item(struct ds_cursor *c, struct item *out, struct ds_error *err)
{
    out->type = (unsigned)ds_cursor_be(c, 1);
    (void)ds_cursor_be(c, 1);
    const size_t len = (size_t)ds_cursor_be(c, 2);
    const uint8_t *value = c->failed ? NULL : ds_cursor_bytes(c, len);
    if (value == NULL) {
        return ds_fail(err, DS_EFORMAT, "an item is longer than what surrounds it");
    }
    out->value = ds_cursor_over(value, len);
    return DS_OK;
}

static enum ds_status check_uid(const struct item *item, struct ds_error *err)
{
    return item->value.len > 0 && item->value.len <= UID_MAX_BYTES
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "a UID of %zu characters", item->value.len);
}

static enum ds_status check_syntaxes(struct ds_cursor *c, struct ds_error *err)
{
    size_t abstract = 0;
    size_t transfer = 0;
    while (ds_cursor_left(c) > 0) {
        struct item item;
        enum ds_status s = next_item(c, &item, err);
        const bool is_uid = item.type == ABSTRACT_SYNTAX || item.type == TRANSFER_SYNTAX;
        s = s == DS_OK && is_uid ? check_uid(&item, err) : s;
        if (s != DS_OK) {
            return s;
        }
        abstract += item.type == ABSTRACT_SYNTAX ? 1 : 0;
        transfer += item.type == TRANSFER_SYNTAX ? 1 : 0;
    }
    if (abstract != 1 || transfer == 0 || transfer > DICOM_CONTEXT_SYNTAXES) {
        return ds_fail(err, DS_EFORMAT,
                       "a presentation context with %zu abstract and %zu transfer syntaxes",
                       abstract, transfer);
    }
    return DS_OK;
}

static enum ds_status check_context(struct item *item, struct contexts *all, struct ds_error *err)
{
    const unsigned number = (unsigned)ds_cursor_be(&item->value, 1) & 0xffU;
    (void)ds_cursor_be(&item->value, 3);
    if (item->value.failed || number % 2 == 0 || all->seen[number]) {
        return ds_fail(err, DS_EFORMAT, "presentation context %u is even or stands twice", number);
    }
    all->seen[number] = true;
    all->count++;
    return check_syntaxes(&item->value, err);
}

/* A length of two bytes and as much behind it. */
static void skip_counted(struct ds_cursor *c, size_t max)
{
    const size_t len = (size_t)ds_cursor_be(c, 2);
    if (len > max || ds_cursor_bytes(c, len) == NULL) {
        c->failed = true;
    }
}

/* The inner lengths of what has some (PS3.8 annex D, PS3.7 annex D.3.3). */
static bool user_item_fits(struct item *item)
{
    struct ds_cursor *c = &item->value;
    switch (item->type) {
    case MAXIMUM_LENGTH:
    case ASYNCHRONOUS_WINDOW:
        return c->len == 4;
    case IMPLEMENTATION_CLASS:
        return c->len > 0 && c->len <= UID_MAX_BYTES;
    case IMPLEMENTATION_VERSION:
        return c->len <= 16;
    case ROLE_SELECTION:
        skip_counted(c, UID_MAX_BYTES);
        (void)ds_cursor_be(c, 2);
        return !c->failed && ds_cursor_left(c) == 0;
    case EXTENDED_NEGOTIATION:
        skip_counted(c, UID_MAX_BYTES);
        return !c->failed;
    case USER_IDENTITY:
        (void)ds_cursor_be(c, 2);
        skip_counted(c, UINT16_MAX);
        skip_counted(c, UINT16_MAX);
        return !c->failed && ds_cursor_left(c) == 0;
    case ANSWERED_IDENTITY:
        return false;
    default:
        return true;
    }
}

static enum ds_status check_user(struct item *item, struct ds_error *err)
{
    while (ds_cursor_left(&item->value) > 0) {
        struct item inner;
        const enum ds_status s = next_item(&item->value, &inner, err);
        if (s != DS_OK) {
            return s;
        }
        if (!user_item_fits(&inner)) {
            return ds_fail(err, DS_EFORMAT, "user information item %02XH does not add up",
                           inner.type);
        }
    }
    return DS_OK;
}

static enum ds_status check_item(struct item *item, struct contexts *all, unsigned *users,
                                 unsigned *applications, struct ds_error *err)
{
    switch (item->type) {
    case APPLICATION_CONTEXT:
        *applications += 1;
        return check_uid(item, err);
    case PRESENTATION_CONTEXT:
        return check_context(item, all, err);
    case USER_INFORMATION:
        *users += 1;
        return check_user(item, err);
    case ANSWERED_CONTEXT:
        return ds_fail(err, DS_EFORMAT, "the answer to a presentation context in a request");
    default:
        return DS_OK;
    }
}

/* Some peers fill up with NULs instead of spaces: text ends at the first. */
static bool is_title(const uint8_t title[TITLE_BYTES])
{
    for (size_t i = 0; i < TITLE_BYTES && title[i] != '\0'; i++) {
        if (title[i] > ' ') {
            return true;
        }
    }
    return false;
}

enum ds_status dicom_associate_check(const uint8_t *body, size_t len, struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(body, len);
    struct contexts all = {.count = 0};
    unsigned users = 0;
    unsigned applications = 0;
    if (len > DICOM_ASSOCIATE_MAX_BYTES || ds_cursor_bytes(&c, FIXED_BYTES) == NULL) {
        return ds_fail(err, DS_EFORMAT, "an A-ASSOCIATE-RQ of %zu bytes", len);
    }
    if (!is_title(body + CALLED_TITLE) || !is_title(body + CALLING_TITLE)) {
        return ds_fail(err, DS_EFORMAT, "an AE title without characters");
    }
    while (ds_cursor_left(&c) > 0) {
        struct item item;
        enum ds_status s = next_item(&c, &item, err);
        s = s == DS_OK ? check_item(&item, &all, &users, &applications, err) : s;
        if (s != DS_OK) {
            return s;
        }
    }
    if (applications != 1 || users != 1 || all.count == 0) {
        return ds_fail(err, DS_EFORMAT,
                       "%u application contexts, %zu presentation contexts, %u user information",
                       applications, all.count, users);
    }
    return DS_OK;
}
