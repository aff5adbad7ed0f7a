/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/associate_check.h"

#include "raw_peer.h"
#include "samples.h"

/* A sound request's body; the caller frees it. */
static struct ds_bytes request(void)
{
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    raw_request(&pdu, "NODE            ", "RAWPEER         ", RAW_CT, RAW_EXPLICIT);
    struct ds_bytes body = DS_BYTES_INIT(65536);
    assert_int_equal(ds_bytes_append(&body, pdu.data + 6, pdu.len - 6, NULL), DS_OK);
    ds_bytes_free(&pdu);
    return body;
}

static enum ds_status with_item(uint8_t type, const void *data, size_t len)
{
    struct ds_bytes b = request();
    raw_item(&b, type, data, len);
    const enum ds_status s = dicom_associate_check(b.data, b.len, NULL);
    ds_bytes_free(&b);
    return s;
}

/* User information may stand once: the item goes into it. */
static enum ds_status with_user_item(uint8_t type, const void *data, size_t len)
{
    struct ds_bytes b = request();
    const size_t at = b.len - 19; /* the user information of raw_request */
    assert_int_equal(b.data[at], 0x50);
    b.data[at + 3] = (uint8_t)(15 + 4 + len);
    raw_item(&b, type, data, len);
    const enum ds_status s = dicom_associate_check(b.data, b.len, NULL);
    ds_bytes_free(&b);
    return s;
}

static void a_sound_request_passes_and_no_part_of_it_does(void **state)
{
    (void)state;
    struct ds_bytes b = request();
    struct ds_error err = {DS_OK, ""};
    assert_ok(dicom_associate_check(b.data, b.len, &err), &err);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, b.data, len);
        assert_int_equal(dicom_associate_check(copy, len, NULL), DS_EFORMAT);
        free(copy);
    }
    ds_bytes_free(&b);
}

static void a_title_has_characters(void **state)
{
    (void)state;
    for (size_t at = 4; at <= 20; at += 16) {
        struct ds_bytes b = request();
        memset(b.data + at + 1, 0, 15);
        assert_int_equal(dicom_associate_check(b.data, b.len, NULL), DS_OK);
        b.data[at] = ' ';
        assert_int_equal(dicom_associate_check(b.data, b.len, NULL), DS_EFORMAT);
        b.data[at] = '\0';
        b.data[at + 1] = 'A';
        assert_int_equal(dicom_associate_check(b.data, b.len, NULL), DS_EFORMAT);
        ds_bytes_free(&b);
    }
}

static void a_context_has_an_odd_number_once_and_syntaxes(void **state)
{
    (void)state;
    struct ds_bytes c = DS_BYTES_INIT(65536);
    assert_int_equal(ds_bytes_put_be(&c, 0x03000000, 4, NULL), DS_OK);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT); /* no syntaxes */
    raw_item(&c, 0x30, "1.2.3", 5);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT);
    raw_item(&c, 0x40, "1.2.4", 5);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_OK);
    c.data[0] = 1;
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT); /* raw_request's */
    c.data[0] = 4;
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT);
    c.data[0] = 3;
    for (unsigned i = 1; i < DICOM_CONTEXT_SYNTAXES; i++) {
        raw_item(&c, 0x40, "1.2.4", 5);
    }
    assert_int_equal(with_item(0x20, c.data, c.len), DS_OK);
    raw_item(&c, 0x40, "1.2.4", 5);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT);
    ds_bytes_free(&c);
}

static void inner_lengths_must_fit(void **state)
{
    (void)state;
    assert_int_equal(with_user_item(0x54,
                                    "\0\3"
                                    "1.2\1\0",
                                    7),
                     DS_OK);
    assert_int_equal(with_user_item(0x54,
                                    "\0\4"
                                    "1.2\1\0",
                                    7),
                     DS_EFORMAT);
    assert_int_equal(with_user_item(0x54,
                                    "\0\xff"
                                    "1.2\1\0",
                                    7),
                     DS_EFORMAT);
    assert_int_equal(with_user_item(0x56,
                                    "\0\3"
                                    "1.2\1\0",
                                    7),
                     DS_OK);
    assert_int_equal(with_user_item(0x56,
                                    "\0\x09"
                                    "1.2\1\0",
                                    7),
                     DS_EFORMAT);
    assert_int_equal(with_user_item(0x58, "\1\0\0\1u\0\0", 7), DS_OK);
    assert_int_equal(with_user_item(0x58, "\1\0\0\1u\0\1", 7), DS_EFORMAT);
    assert_int_equal(with_user_item(0x55, "0123456789abcdefg", 17), DS_EFORMAT);
    assert_int_equal(with_user_item(0x5f, "anything", 8), DS_OK);  /* unknown */
    assert_int_equal(with_user_item(0x59, "\0\0", 2), DS_EFORMAT); /* what only answers have */
    assert_int_equal(with_item(0x21, "\3\0\0\0", 4), DS_EFORMAT);
    assert_int_equal(with_item(0x77, "anything", 8), DS_OK);
    assert_int_equal(with_item(0x50, NULL, 0), DS_EFORMAT); /* user information twice */
    assert_int_equal(with_item(0x10, "1.2", 3), DS_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_request_passes_and_no_part_of_it_does),
        cmocka_unit_test(a_title_has_characters),
        cmocka_unit_test(a_context_has_an_odd_number_once_and_syntaxes),
        cmocka_unit_test(inner_lengths_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
