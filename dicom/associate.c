/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/associate.h"

#include "dicom/associate_items.h"

#include <string.h>

#define UID_MAX_BYTES     64U
#define CALLED_TITLE      4U /* behind version and two reserved bytes */
#define CALLING_TITLE     20U
#define FIXED_BYTES       68U
#define DEFAULT_PDU_BYTES 16384U /* of who does not say; every implementation takes that much */

struct item {
    unsigned type;
    struct ds_cursor value;
};

/* What both PDUs have in common. */
struct seen {
    bool contexts[256];
    unsigned users, applications;
    struct ds_cursor user;
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

/* Padding, which does not belong here but is sent (PS3.8 9.3.2.2: without), is left out. */
static enum ds_status take_uid(const struct item *item, char out[DICOM_UID_BYTES],
                               struct ds_error *err)
{
    const uint8_t *value = item->value.data;
    size_t len = item->value.len;
    if (len > UID_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a UID of %zu characters", len);
    }
    while (len > 0 && (value[len - 1] == '\0' || value[len - 1] == ' ')) {
        len--;
    }
    if (len == 0 || memchr(value, '\0', len) != NULL) {
        return ds_fail(err, DS_EFORMAT, "a UID of nothing");
    }
    memcpy(out, value, len);
    out[len] = '\0';
    return DS_OK;
}

/* Some peers fill up with NULs instead of spaces: text ends at the first. */
static enum ds_status take_title(const uint8_t title[TITLE_BYTES], char out[DICOM_AE_BYTES],
                                 struct ds_error *err)
{
    size_t end = strnlen((const char *)title, TITLE_BYTES);
    size_t begin = 0;
    while (begin < end && title[begin] <= ' ') {
        begin++;
    }
    while (end > begin && title[end - 1] <= ' ') {
        end--;
    }
    if (begin == end) {
        return ds_fail(err, DS_EFORMAT, "an AE title without characters");
    }
    memcpy(out, title + begin, end - begin);
    out[end - begin] = '\0';
    return DS_OK;
}

static enum ds_status take_number(struct item *item, struct seen *seen, uint8_t *id,
                                  struct ds_error *err)
{
    const unsigned number = (unsigned)ds_cursor_be(&item->value, 1) & 0xffU;
    if (item->value.failed || number % 2 == 0 || seen->contexts[number]) {
        return ds_fail(err, DS_EFORMAT, "presentation context %u is even or stands twice", number);
    }
    seen->contexts[number] = true;
    *id = (uint8_t)number;
    return DS_OK;
}

static enum ds_status take_syntaxes(struct ds_cursor c, struct dicom_presentation *out,
                                    struct ds_error *err)
{
    size_t abstract = 0;
    size_t transfer = 0;
    while (ds_cursor_left(&c) > 0) {
        struct item item;
        char unused[DICOM_UID_BYTES];
        enum ds_status s = next_item(&c, &item, err);
        if (s == DS_OK && item.type == ABSTRACT_SYNTAX) {
            abstract++;
            s = take_uid(&item, out->abstract_syntax, err);
        } else if (s == DS_OK && item.type == TRANSFER_SYNTAX) {
            transfer++;
            s = take_uid(&item, unused, err);
        }
        if (s != DS_OK) {
            return s;
        }
    }
    if (abstract != 1 || transfer == 0 || transfer > DICOM_CONTEXT_SYNTAXES) {
        return ds_fail(err, DS_EFORMAT,
                       "a presentation context with %zu abstract and %zu transfer syntaxes",
                       abstract, transfer);
    }
    return DS_OK;
}

static enum ds_status take_proposed(struct item *item, struct seen *seen,
                                    struct dicom_associate_request *out, struct ds_error *err)
{
    struct dicom_presentation *context = &out->contexts[out->count];
    const enum ds_status s = take_number(item, seen, &context->id, err);
    (void)ds_cursor_be(&item->value, 3);
    if (s != DS_OK || item->value.failed) {
        return s != DS_OK ? s : ds_fail(err, DS_EFORMAT, "a presentation context cut off");
    }
    out->count++; /* odd numbers that stand once: never more than there is room for */
    context->syntaxes = item->value;
    return take_syntaxes(item->value, context, err);
}

bool dicom_presentation_next(struct ds_cursor *syntaxes, char out[DICOM_UID_BYTES])
{
    while (ds_cursor_left(syntaxes) > 0) {
        struct item item;
        if (next_item(syntaxes, &item, NULL) != DS_OK) {
            return false;
        }
        if (item.type == TRANSFER_SYNTAX) {
            return take_uid(&item, out, NULL) == DS_OK;
        }
    }
    return false;
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

static struct ds_cursor extended_of(struct ds_cursor user, const char *abstract_syntax)
{
    const size_t wanted = strlen(abstract_syntax);
    struct item item;
    while (ds_cursor_left(&user) > 0 && next_item(&user, &item, NULL) == DS_OK) {
        if (item.type != EXTENDED_NEGOTIATION) {
            continue;
        }
        struct ds_cursor *c = &item.value;
        const size_t len = (size_t)ds_cursor_be(c, 2);
        const uint8_t *uid = ds_cursor_bytes(c, len);
        const size_t left = ds_cursor_left(c);
        if (uid != NULL && len == wanted && memcmp(uid, abstract_syntax, len) == 0) {
            return ds_cursor_over(ds_cursor_bytes(c, left), left);
        }
    }
    return ds_cursor_over(NULL, 0);
}

static void take_roles(struct dicom_associate_request *out, struct ds_cursor user)
{
    for (size_t i = 0; i < out->count; i++) {
        struct dicom_presentation *c = &out->contexts[i];
        c->has_roles = dicom_associate_roles(user, c->abstract_syntax, &c->roles);
        c->extended = extended_of(user, c->abstract_syntax);
    }
}

bool dicom_associate_roles(struct ds_cursor user, const char *abstract_syntax, unsigned *roles)
{
    const size_t wanted = strlen(abstract_syntax);
    struct item item;
    while (ds_cursor_left(&user) > 0 && next_item(&user, &item, NULL) == DS_OK) {
        if (item.type != ROLE_SELECTION) {
            continue;
        }
        struct ds_cursor *c = &item.value;
        const size_t len = (size_t)ds_cursor_be(c, 2);
        const uint8_t *uid = ds_cursor_bytes(c, len);
        const bool scu = ds_cursor_be(c, 1) == 1;
        const bool scp = ds_cursor_be(c, 1) == 1;
        if (uid != NULL && !c->failed && len == wanted && memcmp(uid, abstract_syntax, len) == 0) {
            *roles = (scu ? DICOM_ROLE_SCU : 0) | (scp ? DICOM_ROLE_SCP : 0);
            return true;
        }
    }
    return false;
}

static uint32_t max_pdu_of(struct ds_cursor user)
{
    struct item item;
    while (ds_cursor_left(&user) > 0 && next_item(&user, &item, NULL) == DS_OK) {
        if (item.type == MAXIMUM_LENGTH) {
            return (uint32_t)ds_cursor_be(&item.value, 4);
        }
    }
    return DEFAULT_PDU_BYTES;
}

static enum ds_status take_user(struct item *item, struct seen *seen, struct ds_error *err)
{
    seen->users++;
    seen->user = item->value;
    return check_user(item, err);
}

static enum ds_status take_request_item(struct item *item, struct seen *seen,
                                        struct dicom_associate_request *out, struct ds_error *err)
{
    switch (item->type) {
    case APPLICATION_CONTEXT:
        seen->applications++;
        return take_uid(item, out->application_context, err);
    case PRESENTATION_CONTEXT:
        return take_proposed(item, seen, out, err);
    case USER_INFORMATION:
        return take_user(item, seen, err);
    case ANSWERED_CONTEXT:
        return ds_fail(err, DS_EFORMAT, "the answer to a presentation context in a request");
    default:
        return DS_OK;
    }
}

enum ds_status dicom_associate_request_parse(const uint8_t *body, size_t len,
                                             struct dicom_associate_request *out,
                                             struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_cursor c = ds_cursor_over(body, len);
    struct seen seen = {.users = 0};
    if (len > DICOM_ASSOCIATE_MAX_BYTES || ds_cursor_bytes(&c, FIXED_BYTES) == NULL) {
        return ds_fail(err, DS_EFORMAT, "an A-ASSOCIATE-RQ of %zu bytes", len);
    }
    out->version_1 = (body[1] & 1U) != 0;
    enum ds_status s = take_title(body + CALLED_TITLE, out->called_ae, err);
    s = s == DS_OK ? take_title(body + CALLING_TITLE, out->calling_ae, err) : s;
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        struct item item;
        s = next_item(&c, &item, err);
        s = s == DS_OK ? take_request_item(&item, &seen, out, err) : s;
    }
    if (s != DS_OK) {
        return s;
    }
    if (seen.applications != 1 || seen.users != 1 || out->count == 0) {
        return ds_fail(err, DS_EFORMAT,
                       "%u application contexts, %zu presentation contexts, %u user information",
                       seen.applications, out->count, seen.users);
    }
    out->max_pdu_bytes = max_pdu_of(seen.user);
    take_roles(out, seen.user);
    return DS_OK;
}

/* PS3.8 9.3.3.2: a syntax means something only where the context was accepted. */
static enum ds_status take_answered(struct item *item, struct seen *seen,
                                    struct dicom_associate_accept *out, struct ds_error *err)
{
    struct dicom_context_answer *answer = &out->answers[out->count];
    const enum ds_status s = take_number(item, seen, &answer->id, err);
    if (s != DS_OK) {
        return s;
    }
    (void)ds_cursor_be(&item->value, 1);
    answer->result = (uint8_t)ds_cursor_be(&item->value, 1);
    (void)ds_cursor_be(&item->value, 1);
    if (item->value.failed) {
        return ds_fail(err, DS_EFORMAT, "a presentation context cut off");
    }
    out->count++;
    if (answer->result == DICOM_CONTEXT_ACCEPTED &&
        !dicom_presentation_next(&item->value, answer->transfer_syntax)) {
        return ds_fail(err, DS_EFORMAT, "a context accepted without a transfer syntax");
    }
    return DS_OK;
}

static enum ds_status take_accept_item(struct item *item, struct seen *seen,
                                       struct dicom_associate_accept *out, struct ds_error *err)
{
    switch (item->type) {
    case ANSWERED_CONTEXT:
        return take_answered(item, seen, out, err);
    case USER_INFORMATION:
        return take_user(item, seen, err);
    default:
        return DS_OK;
    }
}

enum ds_status dicom_associate_accept_parse(const uint8_t *body, size_t len,
                                            struct dicom_associate_accept *out,
                                            struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_cursor c = ds_cursor_over(body, len);
    struct seen seen = {.users = 0};
    if (len > DICOM_ASSOCIATE_MAX_BYTES || ds_cursor_bytes(&c, FIXED_BYTES) == NULL) {
        return ds_fail(err, DS_EFORMAT, "an A-ASSOCIATE-AC of %zu bytes", len);
    }
    enum ds_status s = DS_OK;
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        struct item item;
        s = next_item(&c, &item, err);
        s = s == DS_OK ? take_accept_item(&item, &seen, out, err) : s;
    }
    if (s == DS_OK && seen.users > 1) {
        s = ds_fail(err, DS_EFORMAT, "user information stands %u times", seen.users);
    }
    out->user = seen.user;
    out->max_pdu_bytes = max_pdu_of(seen.user);
    return s;
}
