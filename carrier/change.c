/* SPDX-License-Identifier: Apache-2.0 */
/* How one element becomes again what it was. docs/restore-record.md, "changes". */
#include "carrier/carrier_private.h"
#include "carrier/element.h"

#include <string.h>

enum { CHANGE_ABSENT = 0, CHANGE_WHOLE = 1, CHANGE_UID = 2, CHANGE_SPLICE = 3 };

#define ELEMENT_MAX_BYTES (16U * 1024U * 1024U)

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t common_prefix(const struct carrier_element *a, const struct carrier_element *b)
{
    const uint32_t limit = smaller(a->len, b->len);
    uint32_t n = 0;
    while (n < limit && a->value[n] == b->value[n]) {
        n++;
    }
    return n;
}

/* Length without the one byte that pads a value to an even length (PS3.5 6.2). */
static uint32_t without_pad(const struct carrier_element *e)
{
    if (e->len == 0) {
        return 0;
    }
    const uint8_t last = e->value[e->len - 1];
    return last == ' ' || last == '\0' ? e->len - 1 : e->len;
}

static enum ds_status put_run(struct ds_bytes *out, const uint8_t *data, uint32_t len,
                              struct ds_error *err)
{
    const enum ds_status s = carrier_put_number(out, len, err);
    return s == DS_OK && len > 0 ? ds_bytes_append(out, data, len, err) : s;
}

/* The value as it was = prefix of the present one + inserted bytes + a later piece of the present
 * one + tail. Fits a replaced first value, appended text and an appended sequence item alike. */
static enum ds_status describe_splice(const struct carrier_element *was,
                                      const struct carrier_element *is, struct ds_bytes *out,
                                      struct ds_error *err)
{
    const uint32_t prefix = common_prefix(was, is);
    const uint32_t was_end = without_pad(was) < prefix ? prefix : without_pad(was);
    const uint32_t is_end = without_pad(is) < prefix ? prefix : without_pad(is);
    uint32_t piece = 0;
    while (piece < smaller(was_end, is_end) - prefix &&
           was->value[was_end - 1 - piece] == is->value[is_end - 1 - piece]) {
        piece++;
    }
    const uint32_t inserted = was_end - prefix - piece;
    const uint32_t dropped = piece == 0 ? 0 : is_end - prefix - piece;
    enum ds_status s = ds_bytes_put_u8(out, CHANGE_SPLICE, err);
    if (s == DS_OK) {
        s = carrier_put_number(out, prefix, err);
    }
    if (s == DS_OK) {
        s = put_run(out, was->value + prefix, inserted, err);
    }
    if (s == DS_OK) {
        s = carrier_put_number(out, dropped, err);
    }
    if (s == DS_OK) {
        s = carrier_put_number(out, piece, err);
    }
    return s == DS_OK ? put_run(out, was->value + was_end, was->len - was_end, err) : s;
}

static int uid_digit(uint8_t c)
{
    if (c == '.') {
        return 10;
    }
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

/* A well-formed UI value: digits and dots, at most 64, one NUL when their number is odd. */
static bool is_plain_uid(const struct carrier_element *e, uint32_t *characters)
{
    if (!carrier_element_is_vr(e, "UI") || e->len == 0 || e->len > 64) {
        return false;
    }
    const uint32_t n = e->value[e->len - 1] == '\0' ? e->len - 1 : e->len;
    for (uint32_t i = 0; i < n; i++) {
        if (uid_digit(e->value[i]) < 0) {
            return false;
        }
    }
    *characters = n;
    return (n + (n & 1U)) == e->len;
}

static enum ds_status describe_uid(const struct carrier_element *was, uint32_t characters,
                                   struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_u8(out, CHANGE_UID, err);
    if (s == DS_OK) {
        s = carrier_put_number(out, characters, err);
    }
    for (uint32_t i = 0; i < characters && s == DS_OK; i += 2) {
        const int high = uid_digit(was->value[i]);
        const int low = i + 1 < characters ? uid_digit(was->value[i + 1]) : 0;
        s = ds_bytes_put_u8(out, (uint8_t)(high << 4 | low), err);
    }
    return s;
}

static enum ds_status describe_whole(const struct ds_bytes *was, struct ds_bytes *out,
                                     struct ds_error *err)
{
    const enum ds_status s = ds_bytes_put_u8(out, CHANGE_WHOLE, err);
    return s == DS_OK ? put_run(out, was->data, (uint32_t)was->len, err) : s;
}

static bool read_whole(const struct ds_bytes *bytes, struct carrier_element *e)
{
    struct ds_cursor c = ds_cursor_over(bytes->data, bytes->len);
    return carrier_element_read(&c, e) && e->value != NULL && ds_cursor_left(&c) == 0;
}

enum ds_status carrier_change_describe(const struct ds_bytes *was, const struct ds_bytes *is,
                                       struct ds_bytes *out, struct ds_error *err)
{
    if (was->len == 0) {
        return ds_bytes_put_u8(out, CHANGE_ABSENT, err);
    }
    if (was->len > ELEMENT_MAX_BYTES) {
        return ds_fail(err, DS_ECAPACITY, "an attribute of %zu bytes is too long to carry",
                       was->len);
    }
    struct carrier_element old = {0};
    struct carrier_element new = {0};
    if (!read_whole(was, &old) || !read_whole(is, &new) || memcmp(old.vr, new.vr, 2) != 0) {
        return describe_whole(was, out, err);
    }
    uint32_t characters = 0;
    if (is_plain_uid(&old, &characters)) {
        return describe_uid(&old, characters, out, err);
    }
    return describe_splice(&old, &new, out, err);
}

/* ---- reading ---- */

static enum ds_status damaged(struct ds_error *err)
{
    return ds_fail(err, DS_EFORMAT, "a change in a restore record is damaged");
}

static enum ds_status append_element(struct ds_bytes *out, const struct carrier_element *like,
                                     const struct ds_bytes *value, struct ds_error *err)
{
    const enum ds_status s = carrier_element_header(out, like, (uint32_t)value->len, err);
    return s == DS_OK && value->len > 0 ? ds_bytes_append(out, value->data, value->len, err) : s;
}

static enum ds_status apply_uid(struct ds_cursor *c, const struct carrier_element *is,
                                struct ds_bytes *was, struct ds_error *err)
{
    const uint32_t n = carrier_get_number(c);
    const uint8_t *packed = n > 64 ? NULL : ds_cursor_bytes(c, (n + 1) / 2);
    if (packed == NULL || !carrier_element_is_vr(is, "UI")) {
        return damaged(err);
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes value = DS_BYTES_INIT(64);
    enum ds_status s = DS_OK;
    for (uint32_t i = 0; i < n && s == DS_OK; i++) {
        const unsigned digit = (i & 1U) != 0 ? packed[i / 2] & 15U : packed[i / 2] >> 4;
        if (digit > 10) {
            return damaged(err);
        }
        s = ds_bytes_put_u8(&value, digit == 10 ? '.' : (uint8_t)('0' + digit), err);
    }
    if (s == DS_OK && (n & 1U) != 0) {
        s = ds_bytes_put_u8(&value, 0, err);
    }
    return s == DS_OK ? append_element(was, is, &value, err) : s;
}

static enum ds_status apply_splice(struct ds_cursor *c, const struct carrier_element *is,
                                   struct ds_bytes *was, struct ds_error *err)
{
    struct ds_cursor present = ds_cursor_over(is->value, is->len);
    DS_AUTO(ds_bytes_free) struct ds_bytes value = DS_BYTES_INIT(ELEMENT_MAX_BYTES);
    const uint32_t prefix = carrier_get_number(c);
    const uint8_t *kept = ds_cursor_bytes(&present, prefix);
    const uint32_t inserted_len = carrier_get_number(c);
    const uint8_t *inserted = ds_cursor_bytes(c, inserted_len);
    (void)ds_cursor_bytes(&present, carrier_get_number(c));
    const uint32_t piece_len = carrier_get_number(c);
    const uint8_t *piece = ds_cursor_bytes(&present, piece_len);
    const uint32_t tail_len = carrier_get_number(c);
    const uint8_t *tail = ds_cursor_bytes(c, tail_len);
    if (c->failed || present.failed) {
        return damaged(err);
    }
    enum ds_status s = ds_bytes_append(&value, kept, prefix, err);
    if (s == DS_OK) {
        s = ds_bytes_append(&value, inserted, inserted_len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(&value, piece, piece_len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(&value, tail, tail_len, err);
    }
    return s == DS_OK ? append_element(was, is, &value, err) : s;
}

enum ds_status carrier_change_apply(struct ds_cursor *change, const struct ds_bytes *is,
                                    struct ds_bytes *was, struct ds_error *err)
{
    const uint8_t kind = (uint8_t)ds_cursor_be(change, 1);
    if (change->failed || kind > CHANGE_SPLICE) {
        return damaged(err);
    }
    if (kind == CHANGE_ABSENT) {
        return DS_OK;
    }
    if (kind == CHANGE_WHOLE) {
        const uint32_t len = carrier_get_number(change);
        const uint8_t *whole = ds_cursor_bytes(change, len);
        return whole != NULL ? ds_bytes_append(was, whole, len, err) : damaged(err);
    }
    struct carrier_element present = {0};
    if (!read_whole(is, &present)) {
        /* The carrier's own element is gone or replaced: the caller learns it from the hash, or
         * here, and turns to the envelope. */
        return ds_fail(err, DS_EAUTH, "an attribute of the carrier was altered on the way");
    }
    return kind == CHANGE_UID ? apply_uid(change, &present, was, err)
                              : apply_splice(change, &present, was, err);
}
