/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dicom/transfer_syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void native_ones_are_told_from_compressed_ones(void **state)
{
    (void)state;
    assert_true(dicom_transfer_syntax_is_native(DICOM_EXPLICIT_LE));
    assert_true(dicom_transfer_syntax_is_native(DICOM_IMPLICIT_LE));
    assert_true(dicom_transfer_syntax_is_native(DICOM_EXPLICIT_BE));
    assert_true(dicom_transfer_syntax_is_native(DICOM_DEFLATED_LE));
    assert_false(dicom_transfer_syntax_is_native("1.2.840.10008.1.2.5"));
    assert_false(dicom_transfer_syntax_is_native("1.2.3"));
    assert_false(dicom_transfer_syntax_is_native(""));
}

static void those_that_may_lose_are_known(void **state)
{
    (void)state;
    static const char *const lossy[] = {"50",  "51",  "81",  "91",    "93", "203",
                                        "111", "112", "100", "102.1", "107"};
    static const char *const lossless[] = {"57", "70", "80", "90", "92", "110", "201", "202"};
    char uid[65] = "1.2.840.10008.1.2.4.";
    for (size_t i = 0; i < DS_ARRAY_SIZE(lossy); i++) {
        memcpy(uid + 20, lossy[i], strlen(lossy[i]) + 1);
        assert_true(dicom_transfer_syntax_may_lose(uid));
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(lossless); i++) {
        memcpy(uid + 20, lossless[i], strlen(lossless[i]) + 1);
        assert_false(dicom_transfer_syntax_may_lose(uid));
    }
    assert_false(dicom_transfer_syntax_may_lose("1.2.3"));
}

/* Each syntax has a UID and a keyword of its own, and is found by both. */
static void the_table_has_no_double(void **state)
{
    (void)state;
    size_t count = 0;
    const struct dicom_transfer_syntax *t = dicom_transfer_syntaxes(&count);
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(t[i].uid) <= 64);
        assert_ptr_equal(dicom_transfer_syntax_of(t[i].uid), &t[i]);
        assert_ptr_equal(dicom_transfer_syntax_named(t[i].keyword), &t[i]);
        assert_ptr_equal(dicom_transfer_syntax_named(t[i].uid), &t[i]);
    }
    assert_null(dicom_transfer_syntax_of("1.2.840.10008.1.2.999"));
    assert_null(dicom_transfer_syntax_named("jpeg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_ones_are_told_from_compressed_ones),
        cmocka_unit_test(those_that_may_lose_are_known),
        cmocka_unit_test(the_table_has_no_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
