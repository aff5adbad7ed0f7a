/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/identity.h"

#include "dicom/transfer_syntax.h"
#include "samples.h"

#include <zlib.h>

/* (0008,0005) CS, (0008,0016) "1.2", (0008,0018) "1.2.34", then half an element. */
static const uint8_t little[] = {8,   0, 5,   0,   'C', 'S', 0,   0,   8, 0,    0x16, 0,   'U',
                                 'I', 4, 0,   '1', '.', '2', 0,   8,   0, 0x18, 0,    'U', 'I',
                                 6,   0, '1', '.', '2', '.', '3', '4', 8, 0,    0x20, 0};
static const uint8_t big[] = {0, 8, 0,    0x16, 'U', 'I', 0, 4,   '1', '.', '2', 0,   0,
                              8, 0, 0x18, 'U',  'I', 0,   6, '1', '.', '2', '.', '3', '4'};
static const uint8_t implicit[] = {8, 0,    0x16, 0, 4, 0, 0, 0,   '1', '.', '2', ' ', 8,
                                   0, 0x18, 0,    6, 0, 0, 0, '1', '.', '2', '.', '3', '4'};

static void must_be(const uint8_t *data, size_t len, const char *syntax)
{
    struct dicom_identity id;
    struct ds_error err = {DS_OK, ""};
    assert_ok(dicom_identity_read(data, len, syntax, &id, &err), &err);
    assert_string_equal(id.sop_class_uid, "1.2");
    assert_string_equal(id.sop_instance_uid, "1.2.34");
}

static void the_beginning_is_enough(void **state)
{
    (void)state;
    must_be(little, sizeof little, DICOM_EXPLICIT_LE);
    must_be(little, sizeof little, "1.2.840.10008.1.2.4.110");
    must_be(big, sizeof big, DICOM_EXPLICIT_BE);
    must_be(implicit, sizeof implicit, DICOM_IMPLICIT_LE);
}

static size_t deflated(uint8_t out[1024])
{
    z_stream z = {0};
    uint8_t in[sizeof little];
    memcpy(in, little, sizeof little);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = in;
    z.avail_in = sizeof in;
    z.next_out = out;
    z.avail_out = 1024;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t len = 1024 - z.avail_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
    return len;
}

static void a_deflated_one_is_inflated(void **state)
{
    (void)state;
    uint8_t stream[1024] = {0};
    const size_t len = deflated(stream);
    must_be(stream, len, DICOM_DEFLATED_LE);
    must_be(stream, len + 1, DICOM_DEFLATED_LE); /* padded */
    struct dicom_identity id;
    memset(stream, 0xff, len);
    assert_int_equal(dicom_identity_read(stream, len, DICOM_DEFLATED_LE, &id, NULL), DS_EFORMAT);
    assert_string_equal(id.sop_class_uid, "");
}

static void what_does_not_say_is_empty_and_what_lies_is_refused(void **state)
{
    (void)state;
    struct dicom_identity id;
    static const uint8_t later[] = {0x10, 0, 0x10, 0, 'P', 'N', 0, 0};
    assert_int_equal(dicom_identity_read(later, sizeof later, DICOM_EXPLICIT_LE, &id, NULL), DS_OK);
    assert_string_equal(id.sop_class_uid, "");
    assert_string_equal(id.sop_instance_uid, "");
    for (size_t len = 1; len < 34; len++) {
        uint8_t *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, little, len);
        const enum ds_status s = dicom_identity_read(copy, len, DICOM_EXPLICIT_LE, &id, NULL);
        assert_int_equal(s, len == 8 || len == 20 ? DS_OK : DS_EFORMAT);
        free(copy);
    }
    assert_int_equal(dicom_identity_read(little, 8, "1.2.3", &id, NULL), DS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_beginning_is_enough),
        cmocka_unit_test(a_deflated_one_is_inflated),
        cmocka_unit_test(what_does_not_say_is_empty_and_what_lies_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
