/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct carrier_envelope envelope(const char key[4], uint8_t flags, const char *before,
                                        const char *behind)
{
    struct carrier_envelope e = {
        .flags = flags, .before = DS_BYTES_INIT(1024), .behind = DS_BYTES_INIT(1024)};
    memcpy(e.key, key, 4);
    assert_int_equal(ds_bytes_append(&e.before, before, strlen(before), NULL), DS_OK);
    assert_int_equal(behind[0] == '\0' ? DS_OK
                                       : ds_bytes_append(&e.behind, behind, strlen(behind), NULL),
                     DS_OK);
    return e;
}

static struct ds_bytes document_of_three(void)
{
    struct carrier_envelope items[] = {
        envelope("aaaa", CARRIER_ENVELOPE_OWN_BYTES, "first ", ""),
        envelope("bbbb", CARRIER_ENVELOPE_OWN_BYTES | CARRIER_ENVELOPE_SWAP_WORDS, "second ", "!"),
        envelope("aaaa", 0, "third ", "?"),
    };
    struct ds_bytes out = DS_BYTES_INIT(4096);
    assert_int_equal(carrier_envelopes_write(items, 3, &out, NULL), DS_OK);
    for (size_t i = 0; i < 3; i++) {
        carrier_envelope_free(&items[i]);
    }
    return out;
}

static void an_envelope_is_found_by_its_key_and_filled_with_cells(void **state)
{
    (void)state;
    struct ds_bytes document = document_of_three();
    static const struct {
        dicom_tag tag;
        const char *value;
    } geometry[] = {{DICOM_TAG(0x0028, 0x0010), "2"},
                    {DICOM_TAG(0x0028, 0x0011), "2"},
                    {DICOM_TAG(0x0028, 0x0100), "8"},
                    {DICOM_TAG(0x0028, 0x0101), "8"}};
    struct ds_bytes file = DS_BYTES_INIT(64);
    struct dicom_dataset *d = NULL;
    struct dicom_pixels pixels = {0};
    assert_int_equal(dicom_init(NULL), DS_OK);
    assert_int_equal(dicom_dataset_new(&d, NULL), DS_OK);
    for (size_t i = 0; i < DS_ARRAY_SIZE(geometry); i++) {
        assert_int_equal(dicom_dataset_set(d, geometry[i].tag, geometry[i].value, NULL), DS_OK);
    }
    assert_int_equal(
        dicom_dataset_set_bytes(d, DICOM_TAG_PIXEL_DATA, NULL, (const uint8_t *)"xxxx", 4, NULL),
        DS_OK);
    assert_int_equal(dicom_pixels_read(&pixels, d, NULL), DS_OK);
    memcpy(pixels.cells.data, "1234", 4);
    struct carrier_envelope_view e = {0};
    size_t at = 0;
    assert_int_equal(
        carrier_envelopes_find(document.data, document.len, (const uint8_t *)"bbbb", &at, &e, NULL),
        DS_OK);
    assert_int_equal(carrier_envelope_fill(&e, d, &pixels, &file, NULL), DS_OK);
    assert_int_equal(file.len, 12);
    assert_memory_equal(file.data, "second 2143!", 12);
    ds_bytes_free(&document);
    dicom_pixels_free(&pixels);
    dicom_dataset_free(d);
    ds_bytes_free(&file);
}

static void keys_that_meet_by_chance_are_all_offered(void **state)
{
    (void)state;
    struct ds_bytes document = document_of_three();
    struct carrier_envelope_view e = {0};
    size_t at = 0;
    const uint8_t *key = (const uint8_t *)"aaaa";
    assert_int_equal(carrier_envelopes_find(document.data, document.len, key, &at, &e, NULL),
                     DS_OK);
    assert_memory_equal(e.before, "first ", 6);
    assert_int_equal(carrier_envelopes_find(document.data, document.len, key, &at, &e, NULL),
                     DS_OK);
    assert_memory_equal(e.before, "third ", 6);
    assert_int_equal(carrier_envelopes_find(document.data, document.len, key, &at, &e, NULL),
                     DS_ENOTFOUND);
    ds_bytes_free(&document);
}

static void a_truncated_document_is_refused(void **state)
{
    (void)state;
    struct ds_bytes document = document_of_three();
    for (size_t n = 0; n < document.len; n++) {
        struct carrier_envelope_view e = {0};
        size_t at = 1; /* the last one is asked for, so all must be there */
        assert_int_equal(
            carrier_envelopes_find(document.data, n, (const uint8_t *)"aaaa", &at, &e, NULL),
            DS_EFORMAT);
    }
    ds_bytes_free(&document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_is_found_by_its_key_and_filled_with_cells),
        cmocka_unit_test(keys_that_meet_by_chance_are_all_offered),
        cmocka_unit_test(a_truncated_document_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
