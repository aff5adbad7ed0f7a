/* SPDX-License-Identifier: Apache-2.0 */
#include "node/part10.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put(struct ds_bytes *b, uint16_t element, const char *vr, const char *value)
{
    const size_t len = strlen(value) + strlen(value) % 2;
    assert_int_equal(ds_bytes_put_le(b, 0x0002, 2, NULL), DS_OK);
    assert_int_equal(ds_bytes_put_le(b, element, 2, NULL), DS_OK);
    assert_int_equal(ds_bytes_append(b, vr, 2, NULL), DS_OK);
    if (strcmp(vr, "OB") == 0) {
        assert_int_equal(ds_bytes_put_le(b, 0, 2, NULL), DS_OK);
        assert_int_equal(ds_bytes_put_le(b, len, 4, NULL), DS_OK);
    } else {
        assert_int_equal(ds_bytes_put_le(b, len, 2, NULL), DS_OK);
    }
    assert_int_equal(ds_bytes_append(b, value, strlen(value), NULL), DS_OK);
    if (strlen(value) % 2 != 0) {
        assert_int_equal(ds_bytes_put_u8(b, strcmp(vr, "UI") == 0 ? 0 : ' ', NULL), DS_OK);
    }
}

static struct ds_bytes make_file(const char *syntax)
{
    struct ds_bytes b = DS_BYTES_INIT(10000);
    assert_int_equal(ds_bytes_resize(&b, 128, NULL), DS_OK);
    assert_int_equal(ds_bytes_append(&b, "DICM", 4, NULL), DS_OK);
    put(&b, 0x0001, "OB", "\1\2");
    put(&b, 0x0003, "UI", "1.2.3");
    if (syntax != NULL) {
        put(&b, 0x0010, "UI", syntax);
    }
    put(&b, 0x0016, "AE", "CT1");
    put(&b, 0x0018, "AE", "CLINIC_A");
    return b;
}

static void callers_syntax_and_offset_are_read(void **state)
{
    (void)state;
    struct ds_bytes b = make_file("1.2.840.10008.1.2.1");
    const size_t header = b.len;
    assert_int_equal(ds_bytes_append(&b,
                                     "\x08\0\x16\0UI\4\0"
                                     "1.2\0",
                                     12, NULL),
                     DS_OK);
    struct part10 p;
    assert_int_equal(part10_read(&p, b.data, b.len, NULL), DS_OK);
    assert_int_equal(p.dataset_offset, header);
    assert_string_equal(p.transfer_syntax, "1.2.840.10008.1.2.1");
    assert_string_equal(p.sop_instance_uid, "1.2.3");
    assert_string_equal(p.source_ae, "CT1");
    assert_string_equal(p.receiving_ae, "CLINIC_A");
    ds_bytes_free(&b);
}

static void every_truncated_header_is_refused(void **state)
{
    (void)state;
    struct ds_bytes b = make_file("1.2.840.10008.1.2.1");
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = malloc(len + 1); /* exact, so that a sanitizer sees a read past it */
        assert_non_null(copy);
        memcpy(copy, b.data, len);
        struct part10 p;
        const enum ds_status s = part10_read(&p, copy, len, NULL);
        /* Whole elements may be missing at the end; the data set is then what follows, nothing. */
        assert_true(s == DS_EFORMAT || (s == DS_OK && p.dataset_offset <= len));
        free(copy);
    }
    ds_bytes_free(&b);
}

static void a_file_without_transfer_syntax_is_refused(void **state)
{
    (void)state;
    struct ds_bytes b = make_file(NULL);
    struct part10 p;
    assert_int_equal(part10_read(&p, b.data, b.len, NULL), DS_EFORMAT);
    ds_bytes_free(&b);
}

static void a_length_beyond_the_end_is_refused(void **state)
{
    (void)state;
    struct ds_bytes b = make_file("1.2.840.10008.1.2.1");
    /* The length of the first element, OB with 32 bits. */
    memset(b.data + 128 + 4 + 8, 0xff, 4);
    struct part10 p;
    assert_int_equal(part10_read(&p, b.data, b.len, NULL), DS_EFORMAT);
    ds_bytes_free(&b);

    b = make_file("1.2.840.10008.1.2.1");
    b.data[b.len - strlen("CLINIC_A") - 1] = 0x10; /* the last element's length, 16 bits */
    assert_int_equal(part10_read(&p, b.data, b.len, NULL), DS_EFORMAT);
    ds_bytes_free(&b);
}

static void a_bare_data_set_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[200] = {8, 0, 0x16, 0, 'U', 'I'};
    struct part10 p;
    assert_int_equal(part10_read(&p, bytes, sizeof(bytes), NULL), DS_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_syntax_and_offset_are_read),
        cmocka_unit_test(every_truncated_header_is_refused),
        cmocka_unit_test(a_file_without_transfer_syntax_is_refused),
        cmocka_unit_test(a_length_beyond_the_end_is_refused),
        cmocka_unit_test(a_bare_data_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
