/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/secret.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static void wiping_leaves_zeros(void **state)
{
    (void)state;
    char secret[] = "secret";
    const char zeros[sizeof(secret)] = {0};
    ds_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zeros, sizeof(secret));
    ds_wipe(NULL, 0);
}

static void equality_sees_every_byte(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    for (size_t i = 0; i < sizeof(a); i++) {
        uint8_t b[32] = {0};
        assert_true(ds_equal(a, b, sizeof(a)));
        b[i] = 0x80;
        assert_false(ds_equal(a, b, sizeof(a)));
    }
}

static void random_bytes_differ_from_call_to_call(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    assert_int_equal(ds_random(a, sizeof(a), NULL), DS_OK);
    assert_int_equal(ds_random(b, sizeof(b), NULL), DS_OK);
    assert_false(ds_equal(a, b, sizeof(a)));
}

/* FIPS 180-4, the example "abc". */
static void sha256_gives_the_standards_example_in_one_piece_and_in_two(void **state)
{
    (void)state;
    const char *expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    uint8_t digest[DS_SHA256_BYTES];
    char text[DS_SHA256_HEX_BYTES];
    assert_int_equal(ds_sha256_of("abc", 3, digest, NULL), DS_OK);
    ds_hex(digest, sizeof(digest), text);
    assert_string_equal(text, expected);

    struct ds_sha256 *h = NULL;
    assert_int_equal(ds_sha256_new(&h, NULL), DS_OK);
    assert_int_equal(ds_sha256_update(h, "a", 1, NULL), DS_OK);
    assert_int_equal(ds_sha256_update(h, "bc", 2, NULL), DS_OK);
    assert_int_equal(ds_sha256_final(h, digest, NULL), DS_OK);
    ds_sha256_free(h);
    ds_hex(digest, sizeof(digest), text);
    assert_string_equal(text, expected);
}

static void utc_is_written_as_iso_8601_with_microseconds(void **state)
{
    (void)state;
    char text[DS_CLOCK_TEXT_BYTES];
    ds_clock_format_utc(1000000000123456LL, text);
    assert_string_equal(text, "2001-09-09T01:46:40.123456Z");
    ds_clock_format_utc(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wiping_leaves_zeros),
        cmocka_unit_test(equality_sees_every_byte),
        cmocka_unit_test(random_bytes_differ_from_call_to_call),
        cmocka_unit_test(sha256_gives_the_standards_example_in_one_piece_and_in_two),
        cmocka_unit_test(utc_is_written_as_iso_8601_with_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
