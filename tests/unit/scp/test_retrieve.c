/* SPDX-License-Identifier: Apache-2.0 */
/* Which instances an identifier of C-MOVE or C-GET means. */
#include "scp/retrieve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEVEL DICOM_TAG(0x0008, 0x0052)

static struct scp_retrieve out;
static struct dicom_response refusal;

static bool read_with(const char *class_uid, bool relational, const struct dicom_value *values,
                      size_t count)
{
    struct dicom_dataset *identifier = NULL;
    assert_int_equal(dicom_dataset_new(&identifier, NULL), DS_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(dicom_dataset_set(identifier, values[i].tag, values[i].value, NULL),
                         DS_OK);
    }
    const struct dicom_operation_request request = {.query_class = dicom_query_class_of(class_uid),
                                                    .identifier = identifier,
                                                    .relational = relational};
    const bool sound = scp_retrieve_read(&request, &out, &refusal);
    dicom_dataset_free(identifier);
    return sound;
}

#define READ(class_uid, relational, ...)                                                           \
    read_with(class_uid, relational, (const struct dicom_value[]){__VA_ARGS__},                    \
              sizeof((const struct dicom_value[]){__VA_ARGS__}) / sizeof(struct dicom_value))

static void assert_refused(bool sound, dicom_tag tag)
{
    assert_false(sound);
    assert_int_equal(refusal.status, DICOM_STATUS_MISMATCH);
    assert_int_equal(refusal.offending_element, tag);
    assert_true(strlen(refusal.error_comment) <= 64);
    scp_retrieve_free(&out);
}

#define STUDY                                                                                      \
    {                                                                                              \
        DICOM_TAG_STUDY_INSTANCE_UID, "1.2.3"                                                      \
    }
#define SERIES                                                                                     \
    {                                                                                              \
        DICOM_TAG_SERIES_INSTANCE_UID, "1.2.3.4"                                                   \
    }

static void a_level_and_its_keys_are_what_is_meant(void **state)
{
    (void)state;
    assert_true(READ(DICOM_STUDY_ROOT_MOVE, false, {LEVEL, "IMAGE "}, STUDY, SERIES,
                     {DICOM_TAG_SOP_INSTANCE_UID, "1.2.3.4.5\\1.2.3.4.6\\\\1.2.3.4.7"},
                     {DICOM_TAG_MODALITY, "CT"}));
    assert_int_equal(out.level, SCP_RETRIEVE_IMAGE);
    assert_int_equal(out.keys[SCP_RETRIEVE_PATIENT].count, 0);
    assert_int_equal(out.keys[SCP_RETRIEVE_STUDY].count, 1);
    assert_string_equal(out.keys[SCP_RETRIEVE_SERIES].values[0], "1.2.3.4");
    assert_int_equal(out.keys[SCP_RETRIEVE_IMAGE].count, 3);
    assert_string_equal(out.keys[SCP_RETRIEVE_IMAGE].values[2], "1.2.3.4.7");
    scp_retrieve_free(&out);
    assert_true(
        READ(DICOM_PATIENT_ROOT_GET, false, {LEVEL, "PATIENT"}, {DICOM_TAG_PATIENT_ID, " A 1 "}));
    assert_string_equal(out.keys[SCP_RETRIEVE_PATIENT].values[0], "A 1");
    scp_retrieve_free(&out);
    /* What stands below the level means nothing. */
    assert_true(READ(DICOM_STUDY_ROOT_GET, false, {LEVEL, "STUDY"}, STUDY, SERIES));
    assert_int_equal(out.keys[SCP_RETRIEVE_SERIES].count, 0);
    scp_retrieve_free(&out);
}

static void a_key_of_the_way_down_may_not_lack_nor_be_a_list(void **state)
{
    (void)state;
    const char *move = DICOM_STUDY_ROOT_MOVE;
    assert_refused(READ(move, false, STUDY), LEVEL);
    assert_refused(READ(move, false, {LEVEL, "PATIENT"}, {DICOM_TAG_PATIENT_ID, "A"}), LEVEL);
    assert_refused(READ(move, false, {LEVEL, "FRAME"}, STUDY), LEVEL);
    assert_refused(READ(move, false, {LEVEL, "STUDY"}), DICOM_TAG_STUDY_INSTANCE_UID);
    assert_refused(READ(move, false, {LEVEL, "STUDY"}, {DICOM_TAG_STUDY_INSTANCE_UID, ""}),
                   DICOM_TAG_STUDY_INSTANCE_UID);
    assert_refused(READ(move, false, {LEVEL, "SERIES"}, SERIES), DICOM_TAG_STUDY_INSTANCE_UID);
    assert_refused(
        READ(move, false, {LEVEL, "SERIES"}, {DICOM_TAG_STUDY_INSTANCE_UID, "1.2\\1.3"}, SERIES),
        DICOM_TAG_STUDY_INSTANCE_UID);
    assert_refused(READ(DICOM_PATIENT_ROOT_MOVE, false, {LEVEL, "STUDY"}, STUDY),
                   DICOM_TAG_PATIENT_ID);
    assert_refused(
        READ(DICOM_PATIENT_ROOT_MOVE, false, {LEVEL, "PATIENT"}, {DICOM_TAG_PATIENT_ID, "A\\B"}),
        DICOM_TAG_PATIENT_ID);
}

/* PS3.4 C.5.2.1: then only the level's own key is needed. */
static void relational_retrieval_needs_the_lowest_key_alone(void **state)
{
    (void)state;
    assert_true(READ(DICOM_PATIENT_ROOT_MOVE, true, {LEVEL, "SERIES"}, SERIES));
    assert_int_equal(out.keys[SCP_RETRIEVE_STUDY].count, 0);
    scp_retrieve_free(&out);
    assert_refused(READ(DICOM_PATIENT_ROOT_MOVE, true, {LEVEL, "IMAGE"}, SERIES),
                   DICOM_TAG_SOP_INSTANCE_UID);
}

static void what_is_no_uid_is_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"1.2.*", "1.2;DROP", "a", "1.2 3"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_refused(READ(DICOM_STUDY_ROOT_MOVE, false, {LEVEL, "STUDY"},
                            {DICOM_TAG_STUDY_INSTANCE_UID, wrong[i]}),
                       DICOM_TAG_STUDY_INSTANCE_UID);
    }
}

static int init(void **state)
{
    (void)state;
    return dicom_init(NULL) == DS_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_and_its_keys_are_what_is_meant),
        cmocka_unit_test(a_key_of_the_way_down_may_not_lack_nor_be_a_list),
        cmocka_unit_test(relational_retrieval_needs_the_lowest_key_alone),
        cmocka_unit_test(what_is_no_uid_is_none),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
