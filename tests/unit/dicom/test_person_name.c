/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/person_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef enum ds_status make_fn(const char *name, struct ds_bytes *out, struct ds_error *err);

static void expect(make_fn *make, const char *name, const char *expected)
{
    struct ds_bytes out = DS_BYTES_INIT(4096);
    struct ds_error err = {DS_OK, ""};
    assert_int_equal(make(name, &out, &err), DS_OK);
    assert_int_equal(ds_bytes_put_u8(&out, 0, &err), DS_OK);
    assert_string_equal((const char *)out.data, expected);
    ds_bytes_free(&out);
}

static void case_and_empty_ends_do_not_matter(void **state)
{
    (void)state;
    expect(dicom_person_name_key, "M\xc3\x9cLLER^Anna^^^", "m\xc3\xbcller^anna");
    expect(dicom_person_name_key, "Adams^John^^Dr^", "adams^john^^dr");
    expect(dicom_person_name_key, "", "");
    expect(dicom_person_name_key, "^^^^", "");
    expect(dicom_person_name_key, "^^=^^=", "");
    expect(dicom_person_name_key, "A^^=B^=", "a=b");
    expect(dicom_person_name_key, "=B^", "=b");
    /* Cyrillic, Greek with accent, Vietnamese, a capital with its small letter far away */
    expect(dicom_person_name_key, "\xd0\x9b\xd0\xae\xd0\x9a", "\xd0\xbb\xd1\x8e\xd0\xba");
    expect(dicom_person_name_key, "\xce\x86\xce\xa3", "\xce\xac\xcf\x83");
    expect(dicom_person_name_key, "\xe1\xba\xa4", "\xe1\xba\xa5");
    expect(dicom_person_name_key, "\xc5\xb8", "\xc3\xbf");
    expect(dicom_person_name_key, "\xc3\x97", "\xc3\x97"); /* the sign of multiplication */
}

static void words_lose_accents_and_gain_a_sound(void **state)
{
    (void)state;
    expect(dicom_person_name_words, "M\xc3\xbcller^Anna", " muller ~M460 anna ~A500 ");
    expect(dicom_person_name_words, "Mueller", " mueller ~M460 ");
    expect(dicom_person_name_words, "Ashcraft Tymczak Pfister",
           " ashcraft ~A261 tymczak ~T522 pfister ~P236 ");
    expect(dicom_person_name_words, "Lee=\xe6\x9d\x8e^A", " lee ~L000 \xe6\x9d\x8e a ~A000 ");
    expect(dicom_person_name_words, "^ ^", "");
    expect(dicom_person_name_words, "", "");
}

static void bytes_that_are_no_utf8_end_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = {"\xff",         "a\xc3",    "\xe4\xb8",
                                         "\xf0\x9f\x98", "\xc0\x80", "\x80^\x80"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(broken); i++) {
        struct ds_bytes out = DS_BYTES_INIT(256);
        assert_int_equal(dicom_person_name_key(broken[i], &out, NULL), DS_OK);
        assert_int_equal(dicom_person_name_words(broken[i], &out, NULL), DS_OK);
        ds_bytes_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_and_empty_ends_do_not_matter),
        cmocka_unit_test(words_lose_accents_and_gain_a_sound),
        cmocka_unit_test(bytes_that_are_no_utf8_end_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
