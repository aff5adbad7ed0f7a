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
                                   "\xe0\x7f\x10\0OW\0\0\0\0\0\0";
enum { canonical_len = sizeof(canonical) - 1 };
static const uint8_t pixels[] = {1, 2, 3, 4}; /* the value that the canonical form leaves out */

static struct carrier_canonical canonical_of(const uint8_t *data, size_t len)
{
    struct carrier_canonical c = {.bytes = DS_BYTES_INIT(1U << 16), .pixel_bytes = sizeof(pixels)};
    assert_int_equal(ds_bytes_append(&c.bytes, data, len, NULL), DS_OK);
    return c;
}

/* The whole data set in a style, the value in its place. */
struct whole {
    struct ds_bytes bytes;
    size_t pixel_at, pixel_bytes;
};

static struct whole styled_as(unsigned style)
{
    struct carrier_canonical c = canonical_of(canonical, canonical_len);
    struct carrier_styled styled = {0};
    struct ds_bytes out = DS_BYTES_INIT(4096);
    assert_int_equal(carrier_restyle(&c, style, &styled, NULL), DS_OK);
    assert_int_equal(ds_bytes_append(&out, styled.bytes.data, styled.pixel_at, NULL), DS_OK);
    for (size_t i = 0; i < styled.pixel_bytes; i++) {
        const size_t swap = (style & CARRIER_STYLE_BIG_ENDIAN) != 0 ? 1 : 0;
        assert_int_equal(ds_bytes_put_u8(&out, pixels[i ^ swap], NULL), DS_OK);
    }
    assert_int_equal(ds_bytes_append(&out, styled.bytes.data + styled.pixel_at,
                                     styled.bytes.len - styled.pixel_at, NULL),
                     DS_OK);
    const struct whole w = {out, styled.pixel_at, styled.pixel_bytes};
    carrier_canonical_free(&c);
    carrier_styled_free(&styled);
    return w;
}

static struct carrier_style style_of(const struct whole *w, unsigned known)
{
    struct carrier_canonical c = canonical_of(canonical, canonical_len);
    struct carrier_style found = {0};
    assert_int_equal(carrier_style_of(&c, w->bytes.data, w->bytes.len, w->pixel_at, w->pixel_bytes,
                                      known, &found, NULL),
                     DS_OK);
    carrier_canonical_free(&c);
    return found;
}

static void the_plain_style_changes_nothing(void **state)
{
    (void)state;
    struct whole w = styled_as(0);
    assert_int_equal(w.bytes.len, canonical_len + sizeof(pixels));
    assert_memory_equal(w.bytes.data, canonical, canonical_len - 4);
    assert_memory_equal(w.bytes.data + canonical_len - 4, "\4\0\0\0\1\2\3\4", 8);
    ds_bytes_free(&w.bytes);
}

static void every_style_is_recognised_from_its_bytes(void **state)
{
    (void)state;
    const unsigned told =
        CARRIER_STYLE_IMPLICIT | CARRIER_STYLE_BIG_ENDIAN | CARRIER_STYLE_BYTE_PIXELS;
    for (unsigned style = 0; style < CARRIER_STYLE_COUNT; style++) {
        if ((style & CARRIER_STYLE_IMPLICIT) != 0 && (style & CARRIER_STYLE_BYTE_PIXELS) != 0) {
            continue; /* there is no VR to say */
        }
        struct whole w = styled_as(style);
        struct carrier_style found = style_of(&w, style & told);
        assert_int_equal(found.style, style);
        assert_int_equal(found.patch.len, 0);
        ds_bytes_free(&found.patch);
        ds_bytes_free(&w.bytes);
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
    struct whole w = styled_as(CARRIER_STYLE_BIG_ENDIAN | CARRIER_STYLE_GROUP_LENGTHS |
                               CARRIER_STYLE_UNDEFINED_SEQUENCES);
    assert_int_equal(w.bytes.len, sizeof(expected) - 1);
    assert_memory_equal(w.bytes.data, expected, w.bytes.len);
    ds_bytes_free(&w.bytes);
}

static void a_truncated_data_set_is_refused_or_ends_between_elements(void **state)
{
    (void)state;
    size_t whole = 0;
    for (size_t n = 0; n < canonical_len; n++) {
        struct carrier_canonical c = canonical_of(canonical, n);
        struct carrier_styled out = {0};
        whole += carrier_restyle(&c, 31, &out, NULL) == DS_OK ? 1 : 0;
        carrier_canonical_free(&c);
        carrier_styled_free(&out);
    }
    assert_int_equal(whole, 4); /* behind nothing, and behind each element but the last */
}

static void bytes_of_no_known_style_are_said_to_be_of_none(void **state)
{
    (void)state;
    struct whole w = styled_as(0);
    memset(w.bytes.data, 3, w.pixel_at);
    struct carrier_style found = style_of(&w, 0);
    assert_int_equal(found.style, CARRIER_STYLE_NONE);
    ds_bytes_free(&found.patch);
    w.pixel_bytes -= 2; /* a value of another length is not explained by the bytes around it */
    found = style_of(&w, 0);
    assert_int_equal(found.style, CARRIER_STYLE_NONE);
    ds_bytes_free(&found.patch);
    ds_bytes_free(&w.bytes);
}

/* What some writers do: an odd value, a stale group length, a VR that is none. */
static void a_patch_tells_what_a_style_does_not(void **state)
{
    (void)state;
    const unsigned style = CARRIER_STYLE_GROUP_LENGTHS | CARRIER_STYLE_UNDEFINED_ITEMS;
    struct carrier_canonical c = canonical_of(canonical, canonical_len);
    struct carrier_styled styled = {0};
    struct ds_bytes back = DS_BYTES_INIT(4096);
    struct whole w = styled_as(style);
    w.bytes.data[8] ^= 0x55;                            /* the group length's value */
    memcpy(w.bytes.data + 16, "\0\0\x07\0ORIGINA", 11); /* VR 0, 7 bytes */
    memmove(w.bytes.data + 27, w.bytes.data + 28, --w.bytes.len - 27);
    w.pixel_at--;
    struct carrier_style found = style_of(&w, 0);
    assert_int_equal(found.style, style);
    assert_in_range(found.patch.len, 1, 24);
    assert_int_equal(carrier_restyle(&c, style, &styled, NULL), DS_OK);
    assert_int_equal(
        carrier_patch_apply(found.patch.data, found.patch.len, &styled.bytes, &back, NULL), DS_OK);
    assert_int_equal(back.len + w.pixel_bytes, w.bytes.len);
    assert_memory_equal(back.data, w.bytes.data, found.pixel_at);
    for (size_t n = 1; n < found.patch.len; n++) {
        struct ds_bytes cut = DS_BYTES_INIT(4096);
        const enum ds_status s =
            carrier_patch_apply(found.patch.data, n, &styled.bytes, &cut, NULL);
        assert_true(s == DS_EFORMAT || cut.len != back.len ||
                    memcmp(cut.data, back.data, back.len) != 0);
        ds_bytes_free(&cut);
    }
    ds_bytes_free(&found.patch);
    ds_bytes_free(&back);
    ds_bytes_free(&w.bytes);
    carrier_styled_free(&styled);
    carrier_canonical_free(&c);
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
    struct carrier_canonical c = {.bytes = inner};
    struct carrier_styled out = {0};
    assert_int_equal(carrier_restyle(&c, 0, &out, NULL), DS_EFORMAT);
    carrier_canonical_free(&c);
    carrier_styled_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_style_changes_nothing),
        cmocka_unit_test(every_style_is_recognised_from_its_bytes),
        cmocka_unit_test(styled_bytes_are_what_the_standard_says),
        cmocka_unit_test(a_truncated_data_set_is_refused_or_ends_between_elements),
        cmocka_unit_test(bytes_of_no_known_style_are_said_to_be_of_none),
        cmocka_unit_test(a_patch_tells_what_a_style_does_not),
        cmocka_unit_test(nesting_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
