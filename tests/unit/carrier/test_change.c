/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ds_bytes element(const char *header, size_t header_len, const void *value, size_t len)
{
    struct ds_bytes b = DS_BYTES_INIT(1U << 20);
    assert_int_equal(ds_bytes_append(&b, header, header_len, NULL), DS_OK);
    assert_int_equal(ds_bytes_put_le(&b, len, header_len == 6 ? 2 : 4, NULL), DS_OK);
    assert_int_equal(len == 0 ? DS_OK : ds_bytes_append(&b, value, len, NULL), DS_OK);
    return b;
}

#define SHORT(tag_vr, value) element(tag_vr, 6, value, sizeof(value) - 1)

/* Describes, applies, compares; returns the description's length. */
static size_t round_trip(struct ds_bytes was, struct ds_bytes is)
{
    struct ds_bytes change = DS_BYTES_INIT(1U << 20);
    struct ds_bytes back = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_change_describe(&was, &is, &change, NULL), DS_OK);
    struct ds_cursor c = ds_cursor_over(change.data, change.len);
    assert_int_equal(carrier_change_apply(&c, &is, &back, NULL), DS_OK);
    assert_int_equal(ds_cursor_left(&c), 0);
    assert_int_equal(back.len, was.len);
    assert_true(was.len == 0 || memcmp(back.data, was.data, was.len) == 0);
    /* Every truncation is refused and leads nowhere else. */
    for (size_t n = 0; n < change.len; n++) {
        struct ds_bytes cut = DS_BYTES_INIT(1U << 20);
        struct ds_cursor short_one = ds_cursor_over(change.data, n);
        assert_int_not_equal(carrier_change_apply(&short_one, &is, &cut, NULL), DS_OK);
        ds_bytes_free(&cut);
    }
    const size_t len = change.len;
    ds_bytes_free(&was);
    ds_bytes_free(&is);
    ds_bytes_free(&change);
    ds_bytes_free(&back);
    return len;
}

static void an_element_that_was_absent_is_removed_again(void **state)
{
    (void)state;
    const struct ds_bytes none = DS_BYTES_INIT(16);
    assert_int_equal(round_trip(none, SHORT("\x08\0\x11\x21ST", "text")), 1);
}

static void a_uid_takes_half_a_byte_a_character(void **state)
{
    (void)state;
    assert_int_equal(round_trip(SHORT("\x08\0\x18\0UI", "1.2.840.113619.2.1\0"
                                                        "\0"),
                                SHORT("\x08\0\x18\0UI", "2.25.1234567890")) > 0,
                     1);
    const size_t len = round_trip(SHORT("\x08\0\x18\0UI", "1.2.826.0.1.3680043.9.4245.37962871\0"),
                                  SHORT("\x08\0\x18\0UI", "2.25.1234567890\0"));
    assert_int_equal(len, 2 + 18);
}

static void a_uid_with_a_wrong_pad_comes_back_with_it(void **state)
{
    (void)state;
    (void)round_trip(SHORT("\x08\0\x18\0UI", "1.2.3 "), SHORT("\x08\0\x18\0UI", "2.25.1\0"));
    (void)round_trip(SHORT("\x08\0\x18\0UI", ""), SHORT("\x08\0\x18\0UI", "2.25.1\0"));
}

static void a_replaced_first_value_costs_little_more_than_itself(void **state)
{
    (void)state;
    const size_t len = round_trip(SHORT("\x08\0\x08\0CS", "ORIGINAL\\PRIMARY\\AXIAL "),
                                  SHORT("\x08\0\x08\0CS", "DERIVED\\PRIMARY\\AXIAL"));
    assert_true(len < 18);
    (void)round_trip(SHORT("\x08\0\x08\0CS", "DERIVED\\PRIMARY"),
                     SHORT("\x08\0\x08\0CS", "DERIVED\\PRIMARY "));
    (void)round_trip(SHORT("\x08\0\x08\0CS", ""), SHORT("\x08\0\x08\0CS", "DERIVED\\SECONDARY"));
}

static void an_appended_sequence_item_costs_a_few_bytes_however_long_the_sequence(void **state)
{
    (void)state;
    enum { before = 4000, after = 4600 };
    uint8_t *value = malloc(after);
    assert_non_null(value);
    for (size_t i = 0; i < after; i++) {
        value[i] = (uint8_t)(i * 37 + i / 256);
    }
    const size_t len = round_trip(element("\x08\0\x12\x21SQ\0\0", 8, value, before),
                                  element("\x08\0\x12\x21SQ\0\0", 8, value, after));
    assert_true(len < 12);
    free(value);
}

static void an_element_of_another_vr_is_carried_whole(void **state)
{
    (void)state;
    (void)round_trip(SHORT("\x08\0\x11\x21LO", "was"), SHORT("\x08\0\x11\x21ST", "is now"));
}

static void a_change_against_a_missing_element_says_that_it_was_altered(void **state)
{
    (void)state;
    struct ds_bytes was = SHORT("\x08\0\x08\0CS", "ORIGINAL\\PRIMARY");
    struct ds_bytes is = SHORT("\x08\0\x08\0CS", "DERIVED\\PRIMARY");
    struct ds_bytes none = DS_BYTES_INIT(16);
    struct ds_bytes change = DS_BYTES_INIT(1024);
    struct ds_bytes back = DS_BYTES_INIT(1024);
    assert_int_equal(carrier_change_describe(&was, &is, &change, NULL), DS_OK);
    struct ds_cursor c = ds_cursor_over(change.data, change.len);
    assert_int_equal(carrier_change_apply(&c, &none, &back, NULL), DS_EAUTH);
    ds_bytes_free(&was);
    ds_bytes_free(&is);
    ds_bytes_free(&change);
    ds_bytes_free(&back);
}

static void numbers_take_the_bytes_they_need_and_no_more_than_32_bits(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX};
    for (size_t i = 0; i < DS_ARRAY_SIZE(numbers); i++) {
        struct ds_bytes b = DS_BYTES_INIT(16);
        assert_int_equal(carrier_put_number(&b, numbers[i], NULL), DS_OK);
        struct ds_cursor c = ds_cursor_over(b.data, b.len);
        assert_int_equal(carrier_get_number(&c), numbers[i]);
        assert_int_equal(ds_cursor_left(&c), 0);
        ds_bytes_free(&b);
    }
    static const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    struct ds_cursor c = ds_cursor_over(too_large, sizeof(too_large));
    (void)carrier_get_number(&c);
    assert_true(c.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_element_that_was_absent_is_removed_again),
        cmocka_unit_test(a_uid_takes_half_a_byte_a_character),
        cmocka_unit_test(a_uid_with_a_wrong_pad_comes_back_with_it),
        cmocka_unit_test(a_replaced_first_value_costs_little_more_than_itself),
        cmocka_unit_test(an_appended_sequence_item_costs_a_few_bytes_however_long_the_sequence),
        cmocka_unit_test(an_element_of_another_vr_is_carried_whole),
        cmocka_unit_test(a_change_against_a_missing_element_says_that_it_was_altered),
        cmocka_unit_test(numbers_take_the_bytes_they_need_and_no_more_than_32_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
