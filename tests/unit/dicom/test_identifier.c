/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers of queries: read, written, and the character sets between. */
#include "dicom/identifier.h"

#include "dicom/query_key.h"
#include "dicom/transfer_syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REQUESTS DICOM_TAG(0x0040, 0x0275)
#define STEP_ID  DICOM_TAG(0x0040, 0x0009)

static struct ds_error err;

static int start(void **state)
{
    (void)state;
    return dicom_init(&err) == DS_OK ? 0 : 1;
}

/* What comes over the wire after it was written. */
static struct dicom_dataset *sent(const struct dicom_key *keys, size_t count, const char *charset)
{
    struct dicom_dataset *made = NULL;
    struct dicom_dataset *back = NULL;
    struct ds_bytes bytes = DS_BYTES_INIT(1U << 20);
    assert_int_equal(dicom_identifier_write(&made, keys, count, charset, &err), DS_OK);
    assert_int_equal(dicom_dataset_write(made, DICOM_IMPLICIT_LE, &bytes, &err), DS_OK);
    assert_int_equal(dicom_dataset_read(&back, bytes.data, bytes.len, DICOM_IMPLICIT_LE, &err),
                     DS_OK);
    dicom_dataset_free(made);
    ds_bytes_free(&bytes);
    return back;
}

static void keys_come_back_with_their_items(void **state)
{
    (void)state;
    const struct dicom_key keys[] = {
        {DICOM_TAG_QUERY_LEVEL, 0, 0, "CS", "SERIES"},
        {DICOM_TAG_MODALITY, 0, 0, "CS", ""},
        {DICOM_TAG_INSTANCE_NUMBER, 0, 0, "IS", "12"},
        {DICOM_TAG(0x0028, 0x0010), 0, 0, "US", "512"},
        {REQUESTS, 0, 0, "SQ", ""},
        {STEP_ID, REQUESTS, 0, "SH", "one"},
        {STEP_ID, REQUESTS, 1, "SH", "two"},
        {DICOM_TAG(0x0040, 0xa043), 0, 0, "SQ", ""},
    };
    struct dicom_dataset *d = sent(keys, DS_ARRAY_SIZE(keys), "");
    struct dicom_identifier i;
    assert_int_equal(dicom_identifier_read(&i, d, &err), DS_OK);
    assert_int_equal(i.count, 7); /* of a sequence the first item */
    assert_string_equal(i.charset, "");
    assert_string_equal(dicom_identifier_value(&i, DICOM_TAG_QUERY_LEVEL), "SERIES");
    assert_string_equal(dicom_identifier_value(&i, DICOM_TAG_MODALITY), "");
    assert_string_equal(dicom_identifier_value(&i, DICOM_TAG(0x0028, 0x0010)), "512");
    assert_null(dicom_identifier_value(&i, STEP_ID)); /* it is not at the top */
    assert_null(dicom_identifier_value(&i, DICOM_TAG_PATIENT_ID));
    dicom_identifier_free(&i);
    char text[16];
    assert_int_equal(dicom_dataset_item_utf8(d, REQUESTS, 1, STEP_ID, text, 16, &err), DS_OK);
    assert_string_equal(text, "two");
    assert_int_equal(dicom_dataset_item_utf8(d, REQUESTS, 2, STEP_ID, text, 16, &err),
                     DS_ENOTFOUND);
    assert_int_equal(dicom_dataset_item_utf8(d, REQUESTS, 1, STEP_ID, text, 3, &err), DS_EFORMAT);
    dicom_dataset_free(d);
}

/* As written, and as read again. */
static void expect_charset(const char *name, const char *asked, const char *named, const char *raw)
{
    const struct dicom_key keys[] = {{DICOM_TAG_PATIENT_NAME, 0, 0, "PN", name},
                                     {DICOM_TAG_MODALITY, 0, 0, "CS", "CT"}};
    struct dicom_dataset *d = sent(keys, 2, asked);
    char text[128];
    assert_int_equal(
        dicom_dataset_get(d, DICOM_TAG_SPECIFIC_CHARACTER_SET, text, sizeof(text), &err), DS_OK);
    assert_string_equal(text, named);
    assert_int_equal(dicom_dataset_get(d, DICOM_TAG_PATIENT_NAME, text, sizeof(text), &err), DS_OK);
    assert_string_equal(text, raw);
    assert_int_equal(dicom_dataset_get_utf8(d, DICOM_TAG_PATIENT_NAME, text, sizeof(text), &err),
                     DS_OK);
    assert_string_equal(text, name);
    dicom_dataset_free(d);
}

static void answers_are_in_the_set_that_was_asked_for_or_in_utf8(void **state)
{
    (void)state;
    expect_charset("Doe^Jane", "ISO_IR 100", "", "Doe^Jane");
    expect_charset("M\xc3\xbcller", "ISO_IR 100", "ISO_IR 100", "M\xfcller");
    expect_charset("M\xc3\xbcller", "", "ISO_IR 192", "M\xc3\xbcller");
    expect_charset("M\xc3\xbcller", "ISO_IR 144", "ISO_IR 192", "M\xc3\xbcller");
    expect_charset("\xd0\x9b\xd1\x8e\xd0\xba", "ISO_IR 144", "ISO_IR 144", "\xbb\xee\xda");
    expect_charset("\xe5\xb1\xb1", "GB18030", "GB18030", "\xc9\xbd");
    /* code extensions are read, not written */
    expect_charset("\xe5\xb1\xb1", "\\ISO 2022 IR 87", "ISO_IR 192", "\xe5\xb1\xb1");
    expect_charset("\xe5\xb1\xb1", "no such set", "ISO_IR 192", "\xe5\xb1\xb1");
}

static void too_many_keys_are_refused(void **state)
{
    (void)state;
    struct dicom_dataset *d = NULL;
    assert_int_equal(dicom_dataset_new(&d, &err), DS_OK);
    for (uint16_t i = 0; i <= DICOM_KEYS_MAX; i++) {
        const uint8_t b[2] = {0, 0};
        assert_int_equal(
            dicom_dataset_set_bytes(d, DICOM_TAG(0x0009, 0x1000 + i), NULL, b, 2, &err), DS_OK);
    }
    struct dicom_identifier i;
    assert_int_equal(dicom_identifier_read(&i, d, &err), DS_EFORMAT);
    dicom_identifier_free(&i);
    dicom_dataset_free(d);
}

static void the_table_of_keys_is_in_order_and_has_the_unique_ones(void **state)
{
    (void)state;
    size_t count = 0;
    const struct dicom_query_key *keys = dicom_query_keys(&count);
    for (size_t k = 0; k < count; k++) {
        assert_ptr_equal(dicom_query_key_of(keys[k].sequence, keys[k].tag), &keys[k]); /* once */
    }
    for (int level = DICOM_LEVEL_PATIENT; level <= DICOM_LEVEL_IMAGE; level++) {
        enum dicom_level named;
        assert_true(dicom_level_named(dicom_level_name((enum dicom_level)level), &named));
        assert_int_equal(named, level);
        const struct dicom_query_key *unique =
            dicom_query_key_of(0, dicom_level_key((enum dicom_level)level));
        assert_non_null(unique);
        assert_int_equal(unique->level, level);
    }
    enum dicom_level none;
    assert_false(dicom_level_named("", &none));
    assert_null(dicom_query_key_of(0, DICOM_TAG_PIXEL_DATA));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_back_with_their_items),
        cmocka_unit_test(answers_are_in_the_set_that_was_asked_for_or_in_utf8),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(the_table_of_keys_is_in_order_and_has_the_unique_ones),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
