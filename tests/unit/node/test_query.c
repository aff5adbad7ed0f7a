/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers of C-FIND requests: what the database is asked, and what is refused. */
#include "node/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

struct asked {
    struct query *query;
    struct query_refusal why;
    bool sound;
};

static struct asked ask(const char *class_uid, bool relational, const struct dicom_key *keys,
                        size_t count)
{
    struct asked a = {.query = calloc(1, sizeof(struct query))};
    struct dicom_dataset *identifier = NULL;
    assert_non_null(a.query);
    assert_int_equal(dicom_identifier_write(&identifier, keys, count, "ISO_IR 192", &err), DS_OK);
    const struct dicom_operation_request request = {.query_class = dicom_query_class_of(class_uid),
                                                    .identifier = identifier,
                                                    .relational = relational};
    a.sound = query_read(a.query, &request, false, &a.why);
    dicom_dataset_free(identifier);
    return a;
}

static void done(struct asked *a)
{
    query_free(a->query);
    free(a->query);
}

static void a_question_becomes_conditions_and_wanted_attributes(void **state)
{
    (void)state;
    const struct dicom_key keys[] = {
        {DICOM_TAG_QUERY_LEVEL, 0, 0, "CS", "SERIES"},
        {DICOM_TAG_MODALITY, 0, 0, "CS", "C?"},
        {DICOM_TAG_STUDY_INSTANCE_UID, 0, 0, "UI", "1.2.3"},
        {REQUESTS, 0, 0, "SQ", ""},
        {STEP_ID, REQUESTS, 0, "SH", "S1"},
        {DICOM_TAG_INSTANCE_NUMBER, 0, 0, "IS", "7"},        /* of a lower level */
        {DICOM_TAG(0x0040, 0x2016), 0, 0, "LO", "whatever"}, /* not known */
    };
    struct asked a = ask(DICOM_STUDY_ROOT_FIND, false, keys, DS_ARRAY_SIZE(keys));
    assert_true(a.sound);
    assert_int_equal(a.query->level, DICOM_LEVEL_SERIES);
    assert_true(a.query->has_unsupported);
    assert_int_equal(a.query->condition_count, 3);
    assert_int_equal(a.query->conditions[0].tag, DICOM_TAG_MODALITY);
    assert_int_equal(a.query->conditions[0].how, DB_COMPARE_LIKE);
    assert_int_equal(a.query->conditions[1].tag, DICOM_TAG_STUDY_INSTANCE_UID);
    assert_int_equal(a.query->conditions[1].level, DB_LEVEL_STUDY);
    assert_int_equal(a.query->conditions[2].sequence, REQUESTS);
    assert_string_equal(a.query->conditions[2].values[0], "S1");
    assert_int_equal(a.query->wanted_count, 3);
    done(&a);
}

static void refused(const char *class_uid, const struct dicom_key *keys, size_t count,
                    uint16_t status, dicom_tag element, const char *word)
{
    struct asked a = ask(class_uid, false, keys, count);
    assert_false(a.sound);
    assert_int_equal(a.why.status, status);
    assert_int_equal(a.why.element, element);
    assert_non_null(strstr(a.why.comment, word));
    done(&a);
}

static void the_way_down_has_one_unique_key_a_level(void **state)
{
    (void)state;
    struct dicom_key keys[] = {
        {DICOM_TAG_QUERY_LEVEL, 0, 0, "CS", "IMAGE"},
        {DICOM_TAG_PATIENT_ID, 0, 0, "LO", "P"},
        {DICOM_TAG_STUDY_INSTANCE_UID, 0, 0, "UI", "1.2"},
        {DICOM_TAG_SERIES_INSTANCE_UID, 0, 0, "UI", "1.2.3"},
    };
    struct asked a = ask(DICOM_PATIENT_ROOT_FIND, false, keys, 4);
    assert_true(a.sound);
    done(&a);
    refused(DICOM_PATIENT_ROOT_FIND, keys, 3, DICOM_STATUS_MISMATCH, DICOM_TAG_SERIES_INSTANCE_UID,
            "Series Instance UID");
    keys[2].value = "1.2\\1.3";
    refused(DICOM_STUDY_ROOT_FIND, keys, 4, DICOM_STATUS_MISMATCH, DICOM_TAG_STUDY_INSTANCE_UID,
            "Study Instance UID");
    keys[2].value = "";
    refused(DICOM_STUDY_ROOT_FIND, keys, 4, DICOM_STATUS_MISMATCH, DICOM_TAG_STUDY_INSTANCE_UID,
            "IMAGE");
    keys[1].value = "P*";
    refused(DICOM_PATIENT_ROOT_FIND, keys, 4, DICOM_STATUS_MISMATCH, DICOM_TAG_PATIENT_ID,
            "Patient ID");
    /* Who negotiated relational queries may leave them out. */
    a = ask(DICOM_PATIENT_ROOT_FIND, true, keys, 1);
    assert_true(a.sound);
    done(&a);
}

static void levels_and_values_that_are_none_are_named(void **state)
{
    (void)state;
    struct dicom_key keys[] = {{DICOM_TAG_QUERY_LEVEL, 0, 0, "CS", "PATIENT"},
                               {DICOM_TAG_STUDY_DATE, 0, 0, "DA", "2020-2021"}};
    refused(DICOM_STUDY_ROOT_FIND, keys, 1, DICOM_STATUS_MISMATCH, DICOM_TAG_QUERY_LEVEL,
            "PATIENT");
    refused(DICOM_STUDY_ROOT_FIND, keys + 1, 1, DICOM_STATUS_MISMATCH, DICOM_TAG_QUERY_LEVEL,
            "missing");
    keys[0].value = "STUDY";
    refused(DICOM_STUDY_ROOT_FIND, keys, 2, DICOM_STATUS_CANNOT_UNDERSTAND, DICOM_TAG_STUDY_DATE,
            "Study Date");
}

static void values_are_in_unicode_whatever_they_came_in(void **state)
{
    (void)state;
    static const uint8_t latin[] = {8,   0,   5,   0,   'C', 'S',  10,  0,   'I',  'S', 'O',  '_',
                                    'I', 'R', ' ', '1', '0', '0',  8,   0,   0x52, 0,   'C',  'S',
                                    6,   0,   'S', 'T', 'U', 'D',  'Y', ' ', 0x10, 0,   0x10, 0,
                                    'P', 'N', 6,   0,   'M', 0xdc, 'L', 'L', 'E',  'R'};
    struct dicom_dataset *identifier = NULL;
    assert_int_equal(
        dicom_dataset_read(&identifier, latin, sizeof(latin), "1.2.840.10008.1.2.1", &err), DS_OK);
    const struct dicom_operation_request request = {
        .query_class = dicom_query_class_of(DICOM_STUDY_ROOT_FIND), .identifier = identifier};
    struct query *q = calloc(1, sizeof(*q));
    struct query_refusal why;
    assert_non_null(q);
    assert_true(query_read(q, &request, false, &why));
    assert_int_equal(q->condition_count, 1);
    assert_string_equal(q->conditions[0].values[0], "m\xc3\xbcller");
    query_free(q);
    free(q);
    dicom_dataset_free(identifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_becomes_conditions_and_wanted_attributes),
        cmocka_unit_test(the_way_down_has_one_unique_key_a_level),
        cmocka_unit_test(levels_and_values_that_are_none_are_named),
        cmocka_unit_test(values_are_in_unicode_whatever_they_came_in),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
