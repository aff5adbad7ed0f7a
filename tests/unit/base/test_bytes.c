/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_buffer_refuses_to_grow_past_its_maximum(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(4);
    struct ds_error err;
    assert_int_equal(ds_bytes_append(&b, "abcd", 4, &err), DS_OK);
    assert_int_equal(ds_bytes_append(&b, "e", 1, &err), DS_EFORMAT);
    assert_int_equal(b.len, 4);
    assert_int_equal(ds_bytes_reserve(&b, SIZE_MAX, &err), DS_EFORMAT);
    ds_bytes_free(&b);
}

static void a_large_buffer_moves_to_a_disk_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_LARGE((size_t)1 << 30);
    uint8_t piece[4096];
    const size_t pieces = 2U * DS_BYTES_IN_MEMORY / sizeof(piece);
    for (size_t i = 0; i < pieces; i++) {
        memset(piece, (int)(i % 251), sizeof(piece));
        assert_int_equal(ds_bytes_append(&b, piece, sizeof(piece), NULL), DS_OK);
    }
    assert_non_null(b.scratch.data);
    for (size_t i = 0; i < pieces; i++) {
        assert_int_equal(b.data[i * sizeof(piece) + i % sizeof(piece)], i % 251);
    }
    assert_int_equal(ds_bytes_resize(&b, b.len + 1, NULL), DS_OK);
    assert_int_equal(b.data[b.len - 1], 0);
    assert_int_equal(ds_bytes_append(&b, b.data, (size_t)1 << 30, NULL), DS_EFORMAT);
    struct ds_bytes taken = ds_bytes_take(&b);
    assert_null(b.data);
    assert_int_equal(taken.data[sizeof(piece)], 1);
    ds_bytes_free(&taken);
    assert_null(taken.scratch.data);
    ds_bytes_free(&b);
}

static void numbers_come_back_in_their_byte_order(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(64);
    assert_int_equal(ds_bytes_put_be(&b, 0x0102030405ULL, 5, NULL), DS_OK);
    assert_int_equal(ds_bytes_put_le(&b, 0x0a0b0c, 3, NULL), DS_OK);
    const uint8_t wire[] = {1, 2, 3, 4, 5, 0x0c, 0x0b, 0x0a};
    assert_int_equal(b.len, sizeof(wire));
    assert_memory_equal(b.data, wire, sizeof(wire));
    struct ds_cursor c = ds_cursor_over(b.data, b.len);
    assert_int_equal(ds_cursor_be(&c, 5), 0x0102030405ULL);
    assert_int_equal(ds_cursor_le(&c, 3), 0x0a0b0c);
    assert_false(c.failed);
    ds_bytes_free(&b);
}

static void a_cursor_that_ran_past_the_end_stays_failed(void **state)
{
    (void)state;
    const uint8_t two[] = {1, 2};
    struct ds_cursor c = ds_cursor_over(two, sizeof(two));
    assert_int_equal(ds_cursor_be(&c, 4), 0);
    assert_true(c.failed);
    assert_int_equal(ds_cursor_be(&c, 1), 0);
    assert_null(ds_cursor_bytes(&c, 0));
}

static void hexadecimal_round_trips_and_refuses_anything_else(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x7f, 0xff};
    char text[7];
    ds_hex(bytes, sizeof(bytes), text);
    assert_string_equal(text, "007fff");
    uint8_t back[3];
    assert_true(ds_unhex("007FfF", back, 3));
    assert_memory_equal(back, bytes, 3);
    assert_false(ds_unhex("007f", back, 3));
    assert_false(ds_unhex("007fffa", back, 3));
    assert_false(ds_unhex("007fg0", back, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_refuses_to_grow_past_its_maximum),
        cmocka_unit_test(a_large_buffer_moves_to_a_disk_and_keeps_its_bytes),
        cmocka_unit_test(numbers_come_back_in_their_byte_order),
        cmocka_unit_test(a_cursor_that_ran_past_the_end_stays_failed),
        cmocka_unit_test(hexadecimal_round_trips_and_refuses_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
