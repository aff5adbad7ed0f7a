/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sop_class.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define STORAGE "1.2.840.10008.5.1.4.1.1."

static void each_class_stands_once_and_is_found(void **state)
{
    (void)state;
    size_t count = 0;
    const struct dicom_sop_class *t = dicom_sop_classes(&count);
    assert_true(count > 190);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(t[i].uid) <= 64);
        assert_ptr_equal(dicom_sop_class_of(t[i].uid), &t[i]);
        assert_true(dicom_sop_class_may_be_storage(t[i].uid));
    }
    assert_null(dicom_sop_class_of("1.2.3"));
    assert_null(dicom_sop_class_of(DICOM_VERIFICATION));
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(dicom_sop_class_of(STORAGE "2")->kind, DICOM_SOP_IMAGE);
    assert_int_equal(dicom_sop_class_of(STORAGE "6.3")->kind, DICOM_SOP_IMAGE);
    assert_int_equal(dicom_sop_class_of(STORAGE "66.4")->kind, DICOM_SOP_MEASUREMENT);
    assert_int_equal(dicom_sop_class_of(STORAGE "66.7")->kind, DICOM_SOP_MEASUREMENT);
    assert_int_equal(dicom_sop_class_of(STORAGE "481.2")->kind, DICOM_SOP_MEASUREMENT);
    assert_int_equal(dicom_sop_class_of(STORAGE "128")->kind, DICOM_SOP_MEASUREMENT);
    assert_int_equal(dicom_sop_class_of(STORAGE "104.1")->kind, DICOM_SOP_REPORT);
    assert_int_equal(dicom_sop_class_of(STORAGE "88.75")->kind, DICOM_SOP_REPORT);
    assert_int_equal(dicom_sop_class_of(STORAGE "88.59")->kind, DICOM_SOP_OBJECT);
    assert_int_equal(dicom_sop_class_of(STORAGE "11.5")->kind, DICOM_SOP_OBJECT);
    assert_int_equal(dicom_sop_class_of(STORAGE "66")->kind, DICOM_SOP_OBJECT);
}

static void another_service_is_no_storage_and_a_stranger_may_be(void **state)
{
    (void)state;
    static const char *const others[] = {DICOM_VERIFICATION,
                                         "1.2.840.10008.1.20.1",
                                         "1.2.840.10008.3.1.2.3.3",
                                         "1.2.840.10008.5.1.1.9",
                                         "1.2.840.10008.5.1.4.1.2.2.1",
                                         "1.2.840.10008.5.1.4.31",
                                         "1.2.840.10008.5.1.4.34.6.1",
                                         STORAGE "200.4",
                                         STORAGE "201.2",
                                         "1.2.840.10008.5.1.4.38.2",
                                         "1.2.840.10008.10.1"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(others); i++) {
        assert_false(dicom_sop_class_may_be_storage(others[i]));
    }
    static const char *const strangers[] = {"1.3.12.2.1107.5.9.1", STORAGE "999.1",
                                            "1.2.840.10008.5.1.4.34.7", STORAGE "201.1"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(strangers); i++) {
        assert_true(dicom_sop_class_may_be_storage(strangers[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_stands_once_and_is_found),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(another_service_is_no_storage_and_a_stranger_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
