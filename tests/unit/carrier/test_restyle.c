/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Two groups; a sequence of two items, the second empty; words that byte order applies to. */
static const uint8_t canonical[] = "\x08\0\x08\0CS\x08\0ORIGINAL"
                                   "\x08\0\x12\x21SQ\0\0\x20\0\0\0"
                                   "\xfe\xff\x00\xe0\x10\0\0\0"
                                   "\x08\0\x50\x11UI\x08\0"
                                   "1.2.840\0"
                                   "\xfe\xff\x00\xe0\0\0\0\0"
                                   "\x28\0\x10\0US\x02\0\x02\x01"
                                   "\xe0\x7f\x10\0OW\0\0\x04\0\0\0\x01\x02\x03\x04";
enum { canonical_len = sizeof(canonical) - 1 };

static void the_plain_style_changes_nothing(void **state)
{
    (void)state;
    struct ds_bytes out = DS_BYTES_INIT(4096);
    assert_int_equal(carrier_restyle(canonical, canonical_len, 0, &out, NULL), DS_OK);
    assert_int_equal(out.len, canonical_len);
    assert_memory_equal(out.data, canonical, canonical_len);
    ds_bytes_free(&out);
}

static void every_style_is_recognised_from_its_bytes(void **state)
{
    (void)state;
    for (unsigned style = 0; style < CARRIER_STYLE_COUNT; style++) {
        struct ds_bytes out = DS_BYTES_INIT(4096);
        unsigned found = 0;
        assert_int_equal(carrier_restyle(canonical, canonical_len, style, &out, NULL), DS_OK);
        assert_int_equal(carrier_style_of(canonical, canonical_len, out.data, out.len,
                                          (style & CARRIER_STYLE_IMPLICIT) != 0,
                                          (style & CARRIER_STYLE_BIG_ENDIAN) != 0, &found, NULL),
                         DS_OK);
        assert_int_equal(found, style);
        ds_bytes_free(&out);
    }
}

static void styled_bytes_are_what_the_standard_says(void **state)
{
    (void)state;
    static const uint8_t expected[] = "\0\x08\0\0UL\0\x04\0\0\0\x44"
                                      "\0\x08\0\x08"
                                      "CS\0\x08ORIGINAL"
                                      "\0\x08\x21\x12SQ\0\0\xff\xff\xff\xff"
                                      "\xff\xfe\xe0\0\0\0\0\x10"
                                      "\0\x08\x11\x50UI\0\x08"
                                      "1.2.840\0"
                                      "\xff\xfe\xe0\0\0\0\0\0"
                                      "\xff\xfe\xe0\xdd\0\0\0\0"
                                      "\0\x28\0\0UL\0\x04\0\0\0\x0a"
                                      "\0\x28\0\x10US\0\x02\x01\x02"
                                      "\x7f\xe0\0\0UL\0\x04\0\0\0\x10"
                                      "\x7f\xe0\0\x10OW\0\0\0\0\0\x04\x02\x01\x04\x03";
    struct ds_bytes out = DS_BYTES_INIT(4096);
    assert_int_equal(carrier_restyle(canonical, canonical_len,
                                     CARRIER_STYLE_BIG_ENDIAN | CARRIER_STYLE_GROUP_LENGTHS |
                                         CARRIER_STYLE_UNDEFINED_SEQUENCES,
                                     &out, NULL),
                     DS_OK);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data, expected, out.len);
    ds_bytes_free(&out);
}

static void a_truncated_data_set_is_refused_or_ends_between_elements(void **state)
{
    (void)state;
    size_t whole = 0;
    for (size_t n = 0; n < canonical_len; n++) {
        struct ds_bytes out = DS_BYTES_INIT(4096);
        whole += carrier_restyle(canonical, n, 31, &out, NULL) == DS_OK ? 1 : 0;
        ds_bytes_free(&out);
    }
    assert_int_equal(whole, 4); /* behind nothing, and behind each element but the last */
}

static void bytes_of_no_known_style_are_said_to_be_of_none(void **state)
{
    (void)state;
    uint8_t other[canonical_len];
    memcpy(other, canonical, canonical_len);
    other[canonical_len - 1] ^= 1;
    unsigned found = 0;
    assert_int_equal(carrier_style_of(canonical, canonical_len, other, canonical_len, false, false,
                                      &found, NULL),
                     DS_OK);
    assert_int_equal(found, CARRIER_STYLE_NONE);
}

static void nesting_without_end_is_refused(void **state)
{
    (void)state;
    /* Each level: a sequence with one item around what is there. */
    struct ds_bytes inner = DS_BYTES_INIT(1U << 16);
    for (unsigned i = 0; i < 100; i++) {
        struct ds_bytes outer = DS_BYTES_INIT(1U << 16);
        assert_int_equal(ds_bytes_append(&outer, "\x08\0\x12\x21SQ\0\0", 8, NULL), DS_OK);
        assert_int_equal(ds_bytes_put_le(&outer, inner.len + 8, 4, NULL), DS_OK);
        assert_int_equal(ds_bytes_append(&outer, "\xfe\xff\0\xe0", 4, NULL), DS_OK);
        assert_int_equal(ds_bytes_put_le(&outer, inner.len, 4, NULL), DS_OK);
        assert_int_equal(
            inner.len == 0 ? DS_OK : ds_bytes_append(&outer, inner.data, inner.len, NULL), DS_OK);
        ds_bytes_free(&inner);
        inner = outer;
    }
    struct ds_bytes out = DS_BYTES_INIT(1U << 16);
    assert_int_equal(carrier_restyle(inner.data, inner.len, 0, &out, NULL), DS_EFORMAT);
    ds_bytes_free(&inner);
    ds_bytes_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_style_changes_nothing),
        cmocka_unit_test(every_style_is_recognised_from_its_bytes),
        cmocka_unit_test(styled_bytes_are_what_the_standard_says),
        cmocka_unit_test(a_truncated_data_set_is_refused_or_ends_between_elements),
        cmocka_unit_test(bytes_of_no_known_style_are_said_to_be_of_none),
        cmocka_unit_test(nesting_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
