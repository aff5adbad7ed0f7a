/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - the command set of a DIMSE message (PS3.7 6.3, 9.3, 10.3, annex E): bytes to struct and
 * back.
 *
 * A command set is group 0000 in Implicit VR Little Endian, whatever syntax the context has. One
 * table says which elements are read and written, a second one which of them a command cannot do
 * without: a further service is a line in each.
 *
 * Pure; any thread.
 */
#ifndef DICOMSTEGO_DICOM_COMMAND_H
#define DICOMSTEGO_DICOM_COMMAND_H

#include "base/bytes.h"
#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A real one has a few hundred bytes; whoever sends more means harm. */
#define DICOM_COMMAND_MAX_BYTES (64U * 1024U)

/* Command Field (PS3.7 E.1-1). The answer to a request is its number with the top bit set. */
#define DICOM_C_STORE_RQ  0x0001U
#define DICOM_C_GET_RQ    0x0010U
#define DICOM_C_FIND_RQ   0x0020U
#define DICOM_C_MOVE_RQ   0x0021U
#define DICOM_C_ECHO_RQ   0x0030U
#define DICOM_C_CANCEL_RQ 0x0fffU
#define DICOM_N_EVENT_RQ  0x0100U /* N-EVENT-REPORT */
#define DICOM_N_ACTION_RQ 0x0130U
#define DICOM_RESPONSE    0x8000U

/* Which elements there are: bits of dicom_command.present. */
enum dicom_command_element {
    DICOM_HAS_SOP_CLASS = 1,
    DICOM_HAS_FIELD = 2,
    DICOM_HAS_MESSAGE_ID = 4,
    DICOM_HAS_RESPONDED_TO = 8,
    DICOM_HAS_PRIORITY = 16,
    DICOM_HAS_DATA_SET_TYPE = 32,
    DICOM_HAS_STATUS = 64,
    DICOM_HAS_SOP_INSTANCE = 128,
    DICOM_HAS_REQUESTED_CLASS = 256,
    DICOM_HAS_REQUESTED_INSTANCE = 512,
    DICOM_HAS_EVENT_TYPE = 1024,
    DICOM_HAS_ACTION_TYPE = 2048,
    DICOM_HAS_DESTINATION = 1U << 12,
    DICOM_HAS_OFFENDING_ELEMENT = 1U << 13,
    DICOM_HAS_ERROR_COMMENT = 1U << 14,
    DICOM_HAS_REMAINING = 1U << 15,
    DICOM_HAS_COMPLETED = 1U << 16,
    DICOM_HAS_FAILED = 1U << 17,
    DICOM_HAS_WARNING = 1U << 18,
    DICOM_HAS_ORIGINATOR = 1U << 19,
    DICOM_HAS_ORIGINATOR_ID = 1U << 20,
};

#define DICOM_COMMENT_BYTES 65U /* of an LO and a terminator */

/* Members that are not present are zero. A UID or a text is as it was sent, padding left out; one
 * that is too long for its VR or has a NUL inside is present and empty: whoever needs it refuses
 * it, and the association goes on. */
struct dicom_command {
    unsigned present;
    uint16_t field;
    uint16_t message_id;   /* of a request */
    uint16_t responded_to; /* of a response: the request's message_id */
    uint16_t priority;     /* 0 medium, 1 high, 2 low */
    uint16_t data_set_type;
    uint16_t status;
    char sop_class_uid[DICOM_UID_BYTES];       /* affected */
    char sop_instance_uid[DICOM_UID_BYTES];    /* affected */
    char requested_class_uid[DICOM_UID_BYTES]; /* of an N-ACTION-RQ, which affects nothing yet */
    char requested_instance_uid[DICOM_UID_BYTES];
    uint16_t event_type;
    uint16_t action_type;
    char destination[DICOM_AE_BYTES];        /* of a C-MOVE */
    dicom_tag offending_element;             /* the first, where there are several */
    char error_comment[DICOM_COMMENT_BYTES]; /* may name what the identifier says: never logged */
    /* Sub-operations of a C-MOVE or C-GET. */
    uint16_t remaining, completed, failed, warning;
    /* Of a C-STORE that a C-MOVE caused: who asked for that, and in which message. */
    char originator[DICOM_AE_BYTES];
    uint16_t originator_id;
};

#define DICOM_NO_DATA_SET   0x0101U /* the one data_set_type that means: none follows */
#define DICOM_WITH_DATA_SET 0x0001U

/* Reads a whole command set. Elements that are not known, their order and the group length do not
 * matter. DS_EFORMAT: lengths that do not add up, another group, an element twice, a number of
 * another width, above DICOM_COMMAND_MAX_BYTES, or one missing without which it cannot be answered;
 * *out is then zeroed. */
DS_CHECKED enum ds_status dicom_command_parse(const uint8_t *bytes, size_t len,
                                              struct dicom_command *out, struct ds_error *err);

/* Appends the elements that are present, group length first. */
DS_CHECKED enum ds_status dicom_command_encode(const struct dicom_command *c, struct ds_bytes *out,
                                               struct ds_error *err);

static inline bool dicom_command_is_response(const struct dicom_command *c)
{
    return (c->field & DICOM_RESPONSE) != 0;
}

static inline bool dicom_command_has_data_set(const struct dicom_command *c)
{
    return c->data_set_type != DICOM_NO_DATA_SET;
}

/* The response to request with this status, no data set behind it
 * (PS3.7 9.3.1.2, 9.3.5.2, 10.3.1.2, 10.3.5.2): what was requested is named as affected. */
struct dicom_command dicom_command_response(const struct dicom_command *request, uint16_t status);

#ifdef __cplusplus
}
#endif
#endif
