/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dropfolder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check_study(const char *name, const char *expected)
{
    char study[DROP_NAME_BYTES];
    assert_true(dropfolder_study_of(name, study));
    assert_string_equal(study, expected);
}

static void the_name_without_extension_is_the_study(void **state)
{
    (void)state;
    check_study("A12345.txt", "A12345");
    check_study("A12345.pdf", "A12345");
    check_study("A12345", "A12345");
    check_study("2024-0815.pdf", "2024-0815");
    check_study("1.2.840.10008.99.txt", "1.2.840.10008.99");
}

static void a_uid_without_extension_keeps_its_last_component(void **state)
{
    (void)state;
    check_study("1.2.840.10008.99", "1.2.840.10008.99");
    check_study("1.2.826.0.1.3680043.9.4245.1760717064491086528325869788156915668",
                "1.2.826.0.1.3680043.9.4245.1760717064491086528325869788156915668");
}

static void a_suffix_tells_several_reports_apart(void **state)
{
    (void)state;
    check_study("A12345--addendum.pdf", "A12345");
    check_study("A12345__2.txt", "A12345");
    check_study("1.2.840--lab--2.txt", "1.2.840");
    check_study("A_1-2.txt", "A_1-2");
}

static void hidden_unfinished_and_nameless_files_are_no_reports(void **state)
{
    (void)state;
    char study[DROP_NAME_BYTES];
    assert_false(dropfolder_study_of(".A1.txt", study));
    assert_false(dropfolder_study_of("A1.txt.part", study));
    assert_false(dropfolder_study_of("A1.TMP", study));
    assert_false(dropfolder_study_of("A1.txt~", study));
    assert_false(dropfolder_study_of("--x.txt", study));
    assert_false(dropfolder_study_of("", study));
}

static const char *type_of(const char *name, const char *content)
{
    return dropfolder_media_type(name, (const uint8_t *)content, strlen(content));
}

static void content_decides_the_media_type_before_the_extension(void **state)
{
    (void)state;
    assert_string_equal(type_of("a.txt", "%PDF-1.7 ..."), "application/pdf");
    assert_string_equal(type_of("a.TXT", "Findings"), "text/plain; charset=utf-8");
    assert_string_equal(type_of("a.pdf", "no PDF at all"), "application/octet-stream");
    assert_string_equal(type_of("a", ""), "application/octet-stream");
    char dicom[132];
    memset(dicom, ' ', 128);
    memcpy(dicom + 128, "DICM", 4);
    assert_string_equal(dropfolder_media_type("a.bin", (const uint8_t *)dicom, sizeof(dicom)),
                        "application/dicom");
    assert_string_equal(dropfolder_media_type("a.bin", (const uint8_t *)dicom, 131),
                        "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_without_extension_is_the_study),
        cmocka_unit_test(a_uid_without_extension_keeps_its_last_component),
        cmocka_unit_test(a_suffix_tells_several_reports_apart),
        cmocka_unit_test(hidden_unfinished_and_nameless_files_are_no_reports),
        cmocka_unit_test(content_decides_the_media_type_before_the_extension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
