/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/command.h"

#include <stddef.h>
#include <string.h>

#define HEAD_BYTES 8U /* tag and length in Implicit VR */

enum kind { NUMBER, UID, TEXT, TAGS }; /* US of two bytes; UI; AE or LO; AT */

struct element {
    uint16_t number;
    enum kind kind;
    size_t size; /* of a UID or a text with its terminator */
    enum dicom_command_element bit;
    size_t offset;
};

#define AT(member) offsetof(struct dicom_command, member)

/* Ascending, as they are written (PS3.5 7.1). */
static const struct element elements[] = {
    {0x0002, UID, DICOM_UID_BYTES, DICOM_HAS_SOP_CLASS, AT(sop_class_uid)},
    {0x0003, UID, DICOM_UID_BYTES, DICOM_HAS_REQUESTED_CLASS, AT(requested_class_uid)},
    {0x0100, NUMBER, 2, DICOM_HAS_FIELD, AT(field)},
    {0x0110, NUMBER, 2, DICOM_HAS_MESSAGE_ID, AT(message_id)},
    {0x0120, NUMBER, 2, DICOM_HAS_RESPONDED_TO, AT(responded_to)},
    {0x0600, TEXT, DICOM_AE_BYTES, DICOM_HAS_DESTINATION, AT(destination)},
    {0x0700, NUMBER, 2, DICOM_HAS_PRIORITY, AT(priority)},
    {0x0800, NUMBER, 2, DICOM_HAS_DATA_SET_TYPE, AT(data_set_type)},
    {0x0900, NUMBER, 2, DICOM_HAS_STATUS, AT(status)},
    {0x0901, TAGS, 4, DICOM_HAS_OFFENDING_ELEMENT, AT(offending_element)},
    {0x0902, TEXT, DICOM_COMMENT_BYTES, DICOM_HAS_ERROR_COMMENT, AT(error_comment)},
    {0x1000, UID, DICOM_UID_BYTES, DICOM_HAS_SOP_INSTANCE, AT(sop_instance_uid)},
    {0x1001, UID, DICOM_UID_BYTES, DICOM_HAS_REQUESTED_INSTANCE, AT(requested_instance_uid)},
    {0x1002, NUMBER, 2, DICOM_HAS_EVENT_TYPE, AT(event_type)},
    {0x1008, NUMBER, 2, DICOM_HAS_ACTION_TYPE, AT(action_type)},
    {0x1020, NUMBER, 2, DICOM_HAS_REMAINING, AT(remaining)},
    {0x1021, NUMBER, 2, DICOM_HAS_COMPLETED, AT(completed)},
    {0x1022, NUMBER, 2, DICOM_HAS_FAILED, AT(failed)},
    {0x1023, NUMBER, 2, DICOM_HAS_WARNING, AT(warning)},
    {0x1030, TEXT, DICOM_AE_BYTES, DICOM_HAS_ORIGINATOR, AT(originator)},
    {0x1031, NUMBER, 2, DICOM_HAS_ORIGINATOR_ID, AT(originator_id)},
};

/* What has to be there before anything can be answered, or an answer be understood. What a service
 * misses beyond that is its own to refuse, with a status. */
static unsigned required(uint16_t field)
{
    const unsigned always = DICOM_HAS_FIELD | DICOM_HAS_DATA_SET_TYPE;
    if ((field & DICOM_RESPONSE) != 0) {
        return always | DICOM_HAS_RESPONDED_TO | DICOM_HAS_STATUS;
    }
    return field == DICOM_C_CANCEL_RQ ? always | DICOM_HAS_RESPONDED_TO
                                      : always | DICOM_HAS_MESSAGE_ID;
}

static const struct element *element_of(uint64_t number)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(elements); i++) {
        if (elements[i].number == number) {
            return &elements[i];
        }
    }
    return NULL;
}

/* A UID is padded with a NUL, by some with a space (PS3.5 9.1); spaces before an AE title or a LO
 * mean nothing either (PS3.5 6.2). */
static void take_text(const struct element *e, const uint8_t *value, size_t len, char *out)
{
    while (len > 0 && (value[len - 1] == '\0' || value[len - 1] == ' ')) {
        len--;
    }
    while (e->kind == TEXT && len > 0 && value[0] == ' ') {
        value++;
        len--;
    }
    if (len < e->size && memchr(value, '\0', len) == NULL) {
        memcpy(out, value, len);
    }
}

/* One AT is its group and its element, two bytes each (PS3.5 7.3). It only explains a refusal: one
 * that is cut off costs nothing else. */
static void take_tag(const uint8_t *value, size_t len, uint8_t *target)
{
    struct ds_cursor c = ds_cursor_over(value, len);
    const uint64_t group = ds_cursor_le(&c, 2);
    const uint64_t number = ds_cursor_le(&c, 2);
    const dicom_tag tag = c.failed ? 0 : DICOM_TAG(group, number);
    memcpy(target, &tag, sizeof(tag));
}

static enum ds_status take_value(const struct element *e, const uint8_t *value, size_t len,
                                 struct dicom_command *out, struct ds_error *err)
{
    if ((out->present & e->bit) != 0) {
        return ds_fail(err, DS_EFORMAT, "command element (0000,%04X) stands twice", e->number);
    }
    out->present |= e->bit;
    uint8_t *target = (uint8_t *)out + e->offset;
    if (e->kind == UID || e->kind == TEXT) {
        take_text(e, value, len, (char *)target);
        return DS_OK;
    }
    if (e->kind == TAGS) {
        take_tag(value, len, target);
        return DS_OK;
    }
    if (len != 2) {
        return ds_fail(err, DS_EFORMAT, "command element (0000,%04X) has %zu bytes, not 2",
                       e->number, len);
    }
    struct ds_cursor c = ds_cursor_over(value, len);
    const uint16_t number = (uint16_t)ds_cursor_le(&c, 2);
    memcpy(target, &number, sizeof(number));
    return DS_OK;
}

static enum ds_status take_element(struct ds_cursor *c, struct dicom_command *out,
                                   struct ds_error *err)
{
    const uint64_t group = ds_cursor_le(c, 2);
    const uint64_t number = ds_cursor_le(c, 2);
    const size_t len = (size_t)ds_cursor_le(c, 4);
    const uint8_t *value = c->failed ? NULL : ds_cursor_bytes(c, len);
    if (value == NULL) {
        return ds_fail(err, DS_EFORMAT, "the command set is cut off");
    }
    if (group != 0) {
        return ds_fail(err, DS_EFORMAT, "group %04X in a command set", (unsigned)group);
    }
    const struct element *e = element_of(number);
    return e == NULL ? DS_OK : take_value(e, value, len, out, err);
}

enum ds_status dicom_command_parse(const uint8_t *bytes, size_t len, struct dicom_command *out,
                                   struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    if (len > DICOM_COMMAND_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a command set of %zu bytes", len);
    }
    struct dicom_command found = {0};
    struct ds_cursor c = ds_cursor_over(bytes, len);
    while (ds_cursor_left(&c) > 0) {
        const enum ds_status s = take_element(&c, &found, err);
        if (s != DS_OK) {
            return s;
        }
    }
    const unsigned missing = required(found.field) & ~found.present;
    if (missing != 0) {
        return ds_fail(err, DS_EFORMAT, "command %04X lacks elements (set %02X)", found.field,
                       missing);
    }
    *out = found;
    return DS_OK;
}

static enum ds_status put_head(struct ds_bytes *out, uint16_t number, size_t len,
                               struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_le(out, 0x0000, 2, err);
    s = s == DS_OK ? ds_bytes_put_le(out, number, 2, err) : s;
    return s == DS_OK ? ds_bytes_put_le(out, len, 4, err) : s;
}

static enum ds_status put_text(struct ds_bytes *out, const struct element *e, const char *text,
                               struct ds_error *err)
{
    const size_t len = strnlen(text, e->size - 1);
    const uint8_t padding = e->kind == UID ? 0 : ' ';
    enum ds_status s = put_head(out, e->number, len + len % 2, err);
    s = s == DS_OK ? ds_bytes_append(out, text, len, err) : s;
    return s == DS_OK && len % 2 != 0 ? ds_bytes_put_u8(out, padding, err) : s;
}

static enum ds_status put_tag(struct ds_bytes *out, const struct element *e, const uint8_t *value,
                              struct ds_error *err)
{
    dicom_tag tag = 0;
    memcpy(&tag, value, sizeof(tag));
    enum ds_status s = put_head(out, e->number, sizeof(tag), err);
    s = s == DS_OK ? ds_bytes_put_le(out, tag >> 16, 2, err) : s;
    return s == DS_OK ? ds_bytes_put_le(out, tag & 0xffffU, 2, err) : s;
}

static enum ds_status put_number(struct ds_bytes *out, const struct element *e,
                                 const uint8_t *value, struct ds_error *err)
{
    uint16_t number = 0;
    memcpy(&number, value, sizeof(number));
    const enum ds_status s = put_head(out, e->number, sizeof(number), err);
    return s == DS_OK ? ds_bytes_put_le(out, number, 2, err) : s;
}

static size_t encoded_bytes(const struct dicom_command *c)
{
    size_t sum = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(elements); i++) {
        const struct element *e = &elements[i];
        if ((c->present & e->bit) != 0) {
            const char *text = (const char *)c + e->offset;
            const bool counted = e->kind == UID || e->kind == TEXT;
            const size_t len = counted ? strnlen(text, e->size - 1) : e->size;
            sum += HEAD_BYTES + len + len % 2;
        }
    }
    return sum;
}

static enum ds_status put_element(struct ds_bytes *out, const struct element *e,
                                  const uint8_t *value, struct ds_error *err)
{
    switch (e->kind) {
    case NUMBER:
        return put_number(out, e, value, err);
    case TAGS:
        return put_tag(out, e, value, err);
    default:
        return put_text(out, e, (const char *)value, err);
    }
}

enum ds_status dicom_command_encode(const struct dicom_command *c, struct ds_bytes *out,
                                    struct ds_error *err)
{
    enum ds_status s = put_head(out, 0x0000, 4, err);
    s = s == DS_OK ? ds_bytes_put_le(out, encoded_bytes(c), 4, err) : s;
    for (size_t i = 0; i < DS_ARRAY_SIZE(elements) && s == DS_OK; i++) {
        const struct element *e = &elements[i];
        const uint8_t *value = (const uint8_t *)c + e->offset;
        if ((c->present & e->bit) != 0) {
            s = put_element(out, e, value, err);
        }
    }
    return s;
}

/* PS3.7 10.3.5.2: the response calls affected what the request called requested. */
static void name_affected(struct dicom_command *c)
{
    if ((c->present & DICOM_HAS_REQUESTED_CLASS) != 0) {
        memcpy(c->sop_class_uid, c->requested_class_uid, sizeof(c->sop_class_uid));
        c->present |= DICOM_HAS_SOP_CLASS;
    }
    if ((c->present & DICOM_HAS_REQUESTED_INSTANCE) != 0) {
        memcpy(c->sop_instance_uid, c->requested_instance_uid, sizeof(c->sop_instance_uid));
        c->present |= DICOM_HAS_SOP_INSTANCE;
    }
}

struct dicom_command dicom_command_response(const struct dicom_command *request, uint16_t status)
{
    struct dicom_command c = *request;
    name_affected(&c);
    c.present &=
        DICOM_HAS_SOP_CLASS | DICOM_HAS_SOP_INSTANCE | DICOM_HAS_EVENT_TYPE | DICOM_HAS_ACTION_TYPE;
    c.present |=
        DICOM_HAS_FIELD | DICOM_HAS_RESPONDED_TO | DICOM_HAS_DATA_SET_TYPE | DICOM_HAS_STATUS;
    c.field = (uint16_t)(request->field | DICOM_RESPONSE);
    c.responded_to = request->message_id;
    c.data_set_type = DICOM_NO_DATA_SET;
    c.status = status;
    return c;
}
