/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/fragments.h"

#include "samples.h"

/* A value of Pixel Data: items one after the other. */
static void put_item(struct ds_bytes *b, const void *data, size_t len)
{
    struct ds_error err;
    assert_ok(ds_bytes_put_le(b, 0xe000fffe, 4, &err), &err);
    assert_ok(ds_bytes_put_le(b, len, 4, &err), &err);
    assert_ok(len > 0 ? ds_bytes_append(b, data, len, &err) : DS_OK, &err);
}

static void put_table(struct ds_bytes *b, const uint32_t *offsets, size_t count)
{
    uint8_t table[64] = {0};
    for (size_t i = 0; i < 4 * count; i++) {
        table[i] = (uint8_t)(offsets[i / 4] >> (8 * (i % 4)));
    }
    put_item(b, table, 4 * count);
}

static const char first[] = "\xff\xd8\xff\xe0";
static const char second[] = "\xff\x4f\xff\x51";

/* Four fragments, two of which begin a codestream: each is four bytes, so 12 apart. */
static void put_four(struct ds_bytes *b)
{
    put_item(b, first, 4);
    put_item(b, "aaaa", 4);
    put_item(b, second, 4);
    put_item(b, "bbbb", 4);
}

static void assert_frame(const struct dicom_fragments *f, uint32_t frame, const char *want)
{
    struct ds_error err;
    struct ds_bytes joined = DS_BYTES_INIT(1024);
    const uint8_t *stream = NULL;
    size_t len = 0;
    assert_ok(dicom_fragments_frame(f, frame, &joined, &stream, &len, &err), &err);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(stream, want, len);
    ds_bytes_free(&joined);
}

static struct dicom_fragments *open_value(const struct ds_bytes *b,
                                          const struct dicom_extended_table *t, uint32_t frames)
{
    struct ds_error err;
    struct dicom_fragments *f = NULL;
    assert_ok(dicom_fragments_open(&f, b->data, b->len, t, frames, &err), &err);
    return f;
}

static void assert_refused(const struct ds_bytes *b, uint32_t frames)
{
    struct ds_error err;
    struct dicom_fragments *f = NULL;
    assert_int_equal(dicom_fragments_open(&f, b->data, b->len, NULL, frames, &err), DS_EFORMAT);
    assert_null(f);
}

static void without_a_table_the_count_or_the_streams_decide(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(1024);
    put_table(&b, NULL, 0);
    put_four(&b);
    struct dicom_fragments *f = open_value(&b, NULL, 1);
    assert_frame(f, 0,
                 "\xff\xd8\xff\xe0"
                 "aaaa\xff\x4f\xff\x51"
                 "bbbb");
    dicom_fragments_free(f);
    f = open_value(&b, NULL, 4);
    assert_frame(f, 3, "bbbb");
    dicom_fragments_free(f);
    f = open_value(&b, NULL, 2);
    assert_frame(f, 0,
                 "\xff\xd8\xff\xe0"
                 "aaaa");
    assert_frame(f, 1,
                 "\xff\x4f\xff\x51"
                 "bbbb");
    dicom_fragments_free(f);
    assert_refused(&b, 3);
    assert_refused(&b, 5);
    assert_refused(&b, UINT32_MAX);
    ds_bytes_free(&b);
}

static void the_basic_table_divides_what_the_streams_do_not(void **state)
{
    (void)state;
    static const uint32_t offsets[] = {0, 12};
    struct ds_bytes b = DS_BYTES_INIT(1024);
    put_table(&b, offsets, 2);
    put_four(&b);
    struct dicom_fragments *f = open_value(&b, NULL, 2);
    assert_frame(f, 0, "\xff\xd8\xff\xe0");
    dicom_fragments_free(f);
    ds_bytes_free(&b);
}

static void a_table_that_does_not_add_up_is_not_followed(void **state)
{
    (void)state;
    static const uint32_t wrong[][2] = {{0, 13}, {12, 24}, {0, 0}, {0, 48}, {24, 0}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        struct ds_bytes b = DS_BYTES_INIT(1024);
        put_table(&b, wrong[i], 2);
        put_four(&b);
        struct dicom_fragments *f = open_value(&b, NULL, 2);
        assert_frame(f, 1,
                     "\xff\x4f\xff\x51"
                     "bbbb");
        dicom_fragments_free(f);
        ds_bytes_free(&b);
    }
}

static void the_extended_table_cuts_the_padding_off(void **state)
{
    (void)state;
    static const uint8_t offsets[16] = {0, 0, 0, 0, 0, 0, 0, 0, 12};
    static const uint8_t lengths[16] = {3, 0, 0, 0, 0, 0, 0, 0, 4};
    static const uint8_t liar[16] = {5, 0, 0, 0, 0, 0, 0, 0, 1};
    struct ds_bytes b = DS_BYTES_INIT(1024);
    put_table(&b, NULL, 0);
    put_item(&b, "abc\0", 4);
    put_item(&b, "defg", 4);
    struct dicom_fragments *f =
        open_value(&b, &(struct dicom_extended_table){offsets, lengths, 16}, 2);
    assert_frame(f, 0, "abc");
    assert_frame(f, 1, "defg");
    dicom_fragments_free(f);
    f = open_value(&b, &(struct dicom_extended_table){offsets, liar, 16}, 2);
    assert_frame(f, 1, "defg");
    dicom_fragments_free(f);
    ds_bytes_free(&b);
}

static void items_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    struct ds_bytes b = DS_BYTES_INIT(1024);
    struct ds_error err;
    assert_refused(&b, 1);
    put_table(&b, NULL, 0);
    assert_refused(&b, 1);
    put_item(&b, "abcd", 4);
    const size_t whole = b.len;
    for (size_t cut = 9; cut < whole; cut++) {
        b.len = cut;
        assert_refused(&b, 1);
    }
    b.len = whole;
    assert_ok(ds_bytes_put_le(&b, 0xe0ddfffe, 8, &err), &err); /* the delimiter, then anything */
    assert_ok(ds_bytes_put_le(&b, 0x1234, 2, &err), &err);
    struct dicom_fragments *f = open_value(&b, NULL, 1);
    assert_frame(f, 0, "abcd");
    dicom_fragments_free(f);
    b.data[whole] = 0;
    assert_refused(&b, 1);
    ds_bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_table_the_count_or_the_streams_decide),
        cmocka_unit_test(the_basic_table_divides_what_the_streams_do_not),
        cmocka_unit_test(a_table_that_does_not_add_up_is_not_followed),
        cmocka_unit_test(the_extended_table_cuts_the_padding_off),
        cmocka_unit_test(items_that_do_not_add_up_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
