/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/associate.h"
#include "dicom/associate_items.h"
#include "dicom/implementation.h"

#include <string.h>

/* A head whose length is filled in when what it surrounds is there. */
static enum ds_status open_item(struct ds_bytes *out, enum item_type type, size_t *at,
                                struct ds_error *err)
{
    const enum ds_status s = ds_bytes_put_be(out, (uint64_t)type << 24, 4, err);
    *at = out->len;
    return s;
}

static enum ds_status close_item(struct ds_bytes *out, size_t at, struct ds_error *err)
{
    const size_t len = out->len - at;
    if (len > UINT16_MAX) {
        return ds_fail(err, DS_EINVAL, "an item of %zu bytes", len);
    }
    out->data[at - 2] = (uint8_t)(len >> 8);
    out->data[at - 1] = (uint8_t)len;
    return DS_OK;
}

static enum ds_status put_text(struct ds_bytes *out, enum item_type type, const char *text,
                               struct ds_error *err)
{
    size_t at = 0;
    enum ds_status s = open_item(out, type, &at, err);
    s = s == DS_OK ? ds_bytes_append(out, text, strlen(text), err) : s;
    return s == DS_OK ? close_item(out, at, err) : s;
}

static enum ds_status put_title(struct ds_bytes *out, const char *title, struct ds_error *err)
{
    uint8_t padded[TITLE_BYTES];
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, title, strnlen(title, sizeof(padded)));
    return ds_bytes_append(out, padded, sizeof(padded), err);
}

/* PDU head with a length to be filled in, and the protocol version. */
static enum ds_status open_pdu(struct ds_bytes *out, enum dicom_pdu_type type, size_t *at,
                               struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_be(out, (uint64_t)type << 8, 2, err);
    s = s == DS_OK ? ds_bytes_put_be(out, 0, 4, err) : s;
    *at = out->len;
    return s == DS_OK ? ds_bytes_put_be(out, 0x00010000, 4, err) : s;
}

static void close_pdu(struct ds_bytes *out, size_t at)
{
    const size_t len = out->len - at;
    for (unsigned i = 0; i < 4; i++) {
        out->data[at - 4 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
}

static enum ds_status put_roles(struct ds_bytes *out, const char *uid, unsigned roles,
                                struct ds_error *err)
{
    size_t at = 0;
    enum ds_status s = open_item(out, ROLE_SELECTION, &at, err);
    s = s == DS_OK ? ds_bytes_put_be(out, strlen(uid), 2, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, uid, strlen(uid), err) : s;
    s = s == DS_OK ? ds_bytes_put_u8(out, (roles & DICOM_ROLE_SCU) != 0, err) : s;
    s = s == DS_OK ? ds_bytes_put_u8(out, (roles & DICOM_ROLE_SCP) != 0, err) : s;
    return s == DS_OK ? close_item(out, at, err) : s;
}

static enum ds_status put_extended(struct ds_bytes *out, const struct dicom_context_answer *a,
                                   struct ds_error *err)
{
    const char *uid = a->abstract_syntax;
    size_t at = 0;
    enum ds_status s = open_item(out, EXTENDED_NEGOTIATION, &at, err);
    s = s == DS_OK ? ds_bytes_put_be(out, strlen(uid), 2, err) : s;
    s = s == DS_OK ? ds_bytes_append(out, uid, strlen(uid), err) : s;
    s = s == DS_OK ? ds_bytes_append(out, a->extended, a->extended_len, err) : s;
    return s == DS_OK ? close_item(out, at, err) : s;
}

/* One item for a class, however many contexts it has. */
static bool is_first_extended(const struct dicom_context_answer *answers, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (answers[k].extended_len > 0 &&
            strcmp(answers[k].abstract_syntax, answers[i].abstract_syntax) == 0) {
            return false;
        }
    }
    return true;
}

/* The items that every user information of ours begins with; close_item ends it. */
static enum ds_status open_user(struct ds_bytes *out, uint32_t max_pdu_bytes, size_t *at,
                                struct ds_error *err)
{
    size_t inner = 0;
    enum ds_status s = open_item(out, USER_INFORMATION, at, err);
    s = s == DS_OK ? open_item(out, MAXIMUM_LENGTH, &inner, err) : s;
    s = s == DS_OK ? ds_bytes_put_be(out, max_pdu_bytes, 4, err) : s;
    s = s == DS_OK ? close_item(out, inner, err) : s;
    s = s == DS_OK ? put_text(out, IMPLEMENTATION_CLASS, DICOM_IMPLEMENTATION_CLASS_UID, err) : s;
    return s == DS_OK
               ? put_text(out, IMPLEMENTATION_VERSION, DICOM_IMPLEMENTATION_VERSION_NAME, err)
               : s;
}

static enum ds_status put_proposal(struct ds_bytes *out, const struct dicom_proposal *p,
                                   struct ds_error *err)
{
    size_t at = 0;
    enum ds_status s = open_item(out, PRESENTATION_CONTEXT, &at, err);
    s = s == DS_OK ? ds_bytes_put_be(out, (uint64_t)p->id << 24, 4, err) : s;
    s = s == DS_OK ? put_text(out, ABSTRACT_SYNTAX, p->abstract_syntax, err) : s;
    s = s == DS_OK ? put_text(out, TRANSFER_SYNTAX, p->syntax, err) : s;
    if (s == DS_OK && p->other_syntax != NULL) {
        s = put_text(out, TRANSFER_SYNTAX, p->other_syntax, err);
    }
    return s == DS_OK ? close_item(out, at, err) : s;
}

/* A class has its roles once, however many contexts it has (PS3.7 D.3.3.4). */
static bool is_first_of_class(const struct dicom_proposal *proposals, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(proposals[i].abstract_syntax, proposals[at].abstract_syntax) == 0) {
            return false;
        }
    }
    return true;
}

enum ds_status dicom_associate_request_encode(const char *called_ae, const char *calling_ae,
                                              uint32_t max_pdu_bytes,
                                              const struct dicom_proposal *proposals, size_t count,
                                              struct ds_bytes *out, struct ds_error *err)
{
    size_t pdu = 0;
    size_t user = 0;
    enum ds_status s = open_pdu(out, DICOM_PDU_ASSOCIATE_RQ, &pdu, err);
    s = s == DS_OK ? put_title(out, called_ae, err) : s;
    s = s == DS_OK ? put_title(out, calling_ae, err) : s;
    s = s == DS_OK ? ds_bytes_resize(out, out->len + RESERVED_BYTES, err) : s;
    s = s == DS_OK ? put_text(out, APPLICATION_CONTEXT, DICOM_APPLICATION_CONTEXT, err) : s;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = put_proposal(out, &proposals[i], err);
    }
    s = s == DS_OK ? open_user(out, max_pdu_bytes, &user, err) : s;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        if (proposals[i].roles != 0 && is_first_of_class(proposals, i)) {
            s = put_roles(out, proposals[i].abstract_syntax, proposals[i].roles, err);
        }
    }
    s = s == DS_OK ? close_item(out, user, err) : s;
    if (s == DS_OK) {
        close_pdu(out, pdu);
    }
    return s;
}

/* Of a refused context the syntax is not significant, but it is there (PS3.8 9.3.3.2). */
static enum ds_status put_answer(struct ds_bytes *out, const struct dicom_context_answer *a,
                                 struct ds_error *err)
{
    const char *syntax = a->transfer_syntax[0] != '\0' ? a->transfer_syntax : DICOM_IMPLICIT_LE;
    size_t at = 0;
    enum ds_status s = open_item(out, ANSWERED_CONTEXT, &at, err);
    s = s == DS_OK ? ds_bytes_put_be(out, (uint64_t)a->id << 24 | (uint64_t)a->result << 8, 4, err)
                   : s;
    s = s == DS_OK ? put_text(out, TRANSFER_SYNTAX, syntax, err) : s;
    return s == DS_OK ? close_item(out, at, err) : s;
}

enum ds_status dicom_associate_accept_encode(const uint8_t title_bytes[64], uint32_t max_pdu_bytes,
                                             const struct dicom_context_answer *answers,
                                             size_t count, struct ds_bytes *out,
                                             struct ds_error *err)
{
    size_t pdu = 0;
    size_t user = 0;
    enum ds_status s = open_pdu(out, DICOM_PDU_ASSOCIATE_AC, &pdu, err);
    s = s == DS_OK ? ds_bytes_append(out, title_bytes, 64, err) : s;
    s = s == DS_OK ? put_text(out, APPLICATION_CONTEXT, DICOM_APPLICATION_CONTEXT, err) : s;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = put_answer(out, &answers[i], err);
    }
    s = s == DS_OK ? open_user(out, max_pdu_bytes, &user, err) : s;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        if (answers[i].has_roles) {
            s = put_roles(out, answers[i].abstract_syntax, answers[i].roles, err);
        }
        if (s == DS_OK && answers[i].extended_len > 0 && is_first_extended(answers, i)) {
            s = put_extended(out, &answers[i], err);
        }
    }
    s = s == DS_OK ? close_item(out, user, err) : s;
    if (s == DS_OK) {
        close_pdu(out, pdu);
    }
    return s;
}

const char *dicom_rejection_text(struct dicom_rejection r)
{
    static const struct {
        uint8_t source, reason;
        const char *text;
    } rows[] = {
        {1, 2, "application context not supported"},
        {1, 3, "calling AE title not recognised"},
        {1, 7, "called AE title not recognised"},
        {2, 2, "protocol version not supported"},
        {3, 1, "temporary congestion"},
        {3, 2, "local limit exceeded"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(rows); i++) {
        if (rows[i].source == r.source && rows[i].reason == r.reason) {
            return rows[i].text;
        }
    }
    return "no reason given";
}
