/* SPDX-License-Identifier: Apache-2.0 */
/* What the value of a key asks for. */
#include "node/query_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "COMPARISON value value|COMPARISON ..." or the verdict. */
static void expect(dicom_tag tag, const char *value, bool fuzzy, const char *expected)
{
    static const char *const hows[] = {"equal", "like",     "number", "date",
                                       "time",  "datetime", "name",   "words"};
    static const char *const verdicts[] = {"universal", "", "bad", "too many", "no memory"};
    struct db_condition conditions[DB_CONDITIONS_MAX];
    size_t count = 0;
    struct query_text *texts = NULL;
    char text[1024] = "";
    const enum query_verdict verdict =
        query_value_read(dicom_query_key_of(0, tag), value, fuzzy, conditions, &count, &texts);
    for (size_t i = 0; verdict == QUERY_VALUE_OK && i < count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%s%s%s", i == 0 ? "" : "|",
                       hows[conditions[i].how], conditions[i].is_folded ? " folded" : "");
        for (size_t k = 0; k < conditions[i].count; k++) {
            len = strlen(text);
            (void)snprintf(text + len, sizeof(text) - len, " [%s]", conditions[i].values[k]);
        }
    }
    assert_string_equal(verdict == QUERY_VALUE_OK ? text : verdicts[verdict], expected);
    query_texts_free(texts);
}

static void nothing_and_a_star_ask_for_everything(void **state)
{
    (void)state;
    expect(DICOM_TAG_PATIENT_ID, "", false, "universal");
    expect(DICOM_TAG_PATIENT_ID, "*", false, "universal");
    expect(DICOM_TAG_PATIENT_NAME, "**", false, "universal");
    expect(DICOM_TAG_STUDY_DATE, "*", false, "universal");
    expect(DICOM_TAG_PATIENT_ID, "\\", false, "universal");
}

static void text_is_exact_or_has_wildcards(void **state)
{
    (void)state;
    expect(DICOM_TAG_PATIENT_ID, " 4711 ", false, "equal [4711]");
    expect(DICOM_TAG_PATIENT_ID, "47*", false, "like [47*]");
    expect(DICOM_TAG_MODALITIES_IN_STUDY, "CT\\MR", false, "equal [CT] [MR]");
    expect(DICOM_TAG_MODALITY, "M?", false, "like [M?]");
}

static void uids_come_in_lists(void **state)
{
    (void)state;
    expect(DICOM_TAG_STUDY_INSTANCE_UID, "1.2\\3.4", false, "equal [1.2] [3.4]");
    expect(DICOM_TAG_STUDY_INSTANCE_UID, "1.2*", false, "bad");
    expect(DICOM_TAG_STUDY_INSTANCE_UID,
           "1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3", false, "bad");
}

static void numbers_are_numbers(void **state)
{
    (void)state;
    expect(DICOM_TAG_INSTANCE_NUMBER, "+7", false, "number [+7]");
    expect(DICOM_TAG(0x0020, 0x1041), "-1.5e+1", false, "number [-1.5e+1]");
    static const char *const bad[] = {"x",  "1x", "e5", "1e", "1e999", "12345678901234567",
                                      "1*", "-"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        expect(DICOM_TAG_INSTANCE_NUMBER, bad[i], false, "bad");
    }
}

static void dates_and_times_are_ranges(void **state)
{
    (void)state;
    expect(DICOM_TAG_STUDY_DATE, "20200131", false, "date [20200131] [20200131]");
    expect(DICOM_TAG_STUDY_DATE, "20200131-", false, "date [20200131] []");
    expect(DICOM_TAG_STUDY_DATE, "-20200131", false, "date [] [20200131]");
    expect(DICOM_TAG_STUDY_DATE, "20200101 - 20200131", false, "bad");
    expect(DICOM_TAG_STUDY_DATE, "2020.01.01-20200131", false, "date [20200101] [20200131]");
    static const char *const bad[] = {"2020",
                                      "202001311",
                                      "-",
                                      "20200101-2020",
                                      "2020010x",
                                      "20200101-20200102-20200103",
                                      "20200101\\20200102"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(bad); i++) {
        expect(DICOM_TAG_STUDY_DATE, bad[i], false, "bad");
    }
    expect(DICOM_TAG_STUDY_TIME, "1015", false, "time [101500000000] [101500000000]");
    expect(DICOM_TAG_STUDY_TIME, "10-11", false, "time [100000000000] [119999999999]");
    expect(DICOM_TAG_STUDY_TIME, "101500.5-", false, "time [101500500000] []");
    expect(DICOM_TAG_STUDY_TIME, "101", false, "bad");
    const dicom_tag acquired = DICOM_TAG(0x0008, 0x002a);
    expect(acquired, "20200131101500-0500", false,
           "datetime [20200131101500000000] [20200131101500000000]");
    expect(acquired, "2020-2021", false, "datetime [20200000000000000000] [20219999999999999999]");
    expect(acquired, "20200131+0100-20200201+0100", false,
           "datetime [20200131000000000000] [20200201999999999999]");
}

static void names_are_compared_folded(void **state)
{
    (void)state;
    expect(DICOM_TAG_PATIENT_NAME, "M\xc3\x9cLL*^^", false, "name [m\xc3\xbcll*]");
    expect(DICOM_TAG(0x0008, 0x0090), "Doc^Tor", false, "like folded [doc^tor]");
}

static void fuzzy_names_are_words(void **state)
{
    (void)state;
    expect(DICOM_TAG_PATIENT_NAME, "Anna^M\xc3\xbcller", true,
           "words [ anna ] [~A500]|words [ muller ] [~M460]");
    expect(DICOM_TAG_PATIENT_NAME, "M\xc3\xbcl*", true, "words [ mul]");
    expect(DICOM_TAG_PATIENT_NAME, "M?ller", true, "name [m?ller]");
    expect(DICOM_TAG_PATIENT_NAME, "*ller", true, "name [*ller]");
    expect(DICOM_TAG_PATIENT_NAME, "^", true, "universal");
    expect(DICOM_TAG_PATIENT_NAME, "a b c d e f g h i j k l m n o p q r s t u v w x y", true,
           "too many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_and_a_star_ask_for_everything),
        cmocka_unit_test(text_is_exact_or_has_wildcards),
        cmocka_unit_test(uids_come_in_lists),
        cmocka_unit_test(numbers_are_numbers),
        cmocka_unit_test(dates_and_times_are_ranges),
        cmocka_unit_test(names_are_compared_folded),
        cmocka_unit_test(fuzzy_names_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
