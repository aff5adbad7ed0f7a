/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/command.h"

#include "samples.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"

static struct dicom_command store_rq(void)
{
    struct dicom_command c = {.present = DICOM_HAS_SOP_CLASS | DICOM_HAS_FIELD |
                                         DICOM_HAS_MESSAGE_ID | DICOM_HAS_PRIORITY |
                                         DICOM_HAS_DATA_SET_TYPE | DICOM_HAS_SOP_INSTANCE,
                              .field = DICOM_C_STORE_RQ,
                              .message_id = 0x1234,
                              .data_set_type = DICOM_WITH_DATA_SET,
                              .sop_class_uid = CT,
                              .sop_instance_uid = "1.2.3.4"};
    return c;
}

static struct ds_bytes encoded(const struct dicom_command *c)
{
    struct ds_bytes b = DS_BYTES_INIT(4096);
    assert_int_equal(dicom_command_encode(c, &b, NULL), DS_OK);
    return b;
}

/* PS3.7 table 9.3-1, byte for byte: group length, ascending tags, even lengths. */
static void a_request_is_written_as_the_standard_says(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {
        0, 0, 0,    0,    4, 0, 0, 0, 0x38, 0,    0,   0,           /* group length: 56 */
        0, 0, 2,    0,    6, 0, 0, 0, '1',  '.',  '2', '.', '3', 0, /* class, padded */
        0, 0, 0x00, 0x01, 2, 0, 0, 0, 1,    0,                      /* C-STORE-RQ */
        0, 0, 0x10, 0x01, 2, 0, 0, 0, 0x34, 0x12,                   /* message 1234H */
        0, 0, 0x00, 0x08, 2, 0, 0, 0, 1,    0,                      /* a data set follows */
        0, 0, 0x00, 0x10, 4, 0, 0, 0, '1',  '.',  '2', 0,           /* instance, padded */
    };
    struct dicom_command c = store_rq();
    c.present &= ~(unsigned)DICOM_HAS_PRIORITY;
    (void)snprintf(c.sop_class_uid, sizeof c.sop_class_uid, "1.2.3");
    (void)snprintf(c.sop_instance_uid, sizeof c.sop_instance_uid, "1.2");
    struct ds_bytes b = encoded(&c);
    assert_int_equal(b.len, sizeof wanted);
    assert_memory_equal(b.data, wanted, sizeof wanted);
    ds_bytes_free(&b);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const struct dicom_command c = store_rq();
    struct ds_bytes b = encoded(&c);
    struct dicom_command back;
    assert_int_equal(dicom_command_parse(b.data, b.len, &back, NULL), DS_OK);
    assert_memory_equal(&back, &c, sizeof c);
    const struct dicom_command answer = dicom_command_response(&back, 0xa700);
    ds_bytes_free(&b);
    b = encoded(&answer);
    assert_int_equal(dicom_command_parse(b.data, b.len, &back, NULL), DS_OK);
    assert_true(dicom_command_is_response(&back));
    assert_false(dicom_command_has_data_set(&back));
    assert_int_equal(back.field, 0x8001);
    assert_int_equal(back.responded_to, 0x1234);
    assert_int_equal(back.status, 0xa700);
    assert_int_equal(back.present & DICOM_HAS_MESSAGE_ID, 0);
    assert_string_equal(back.sop_instance_uid, "1.2.3.4");
    ds_bytes_free(&b);
}

/* PS3.7 10.3.5: what an N-ACTION requests, its response calls affected. */
static void an_action_is_answered_with_what_it_requested(void **state)
{
    (void)state;
    const struct dicom_command c = {.present = DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID |
                                               DICOM_HAS_DATA_SET_TYPE | DICOM_HAS_REQUESTED_CLASS |
                                               DICOM_HAS_REQUESTED_INSTANCE | DICOM_HAS_ACTION_TYPE,
                                    .field = DICOM_N_ACTION_RQ,
                                    .message_id = 7,
                                    .data_set_type = DICOM_WITH_DATA_SET,
                                    .requested_class_uid = "1.2.3",
                                    .requested_instance_uid = "1.2.3.4",
                                    .action_type = 1};
    struct ds_bytes b = encoded(&c);
    struct dicom_command back;
    assert_int_equal(dicom_command_parse(b.data, b.len, &back, NULL), DS_OK);
    assert_memory_equal(&back, &c, sizeof c);
    ds_bytes_free(&b);
    const struct dicom_command answer = dicom_command_response(&back, 0x0110);
    b = encoded(&answer);
    assert_int_equal(dicom_command_parse(b.data, b.len, &back, NULL), DS_OK);
    assert_int_equal(back.field, 0x8130);
    assert_string_equal(back.sop_class_uid, "1.2.3");
    assert_string_equal(back.sop_instance_uid, "1.2.3.4");
    assert_int_equal(back.action_type, 1);
    assert_int_equal(back.present & (DICOM_HAS_REQUESTED_CLASS | DICOM_HAS_REQUESTED_INSTANCE), 0);
    ds_bytes_free(&b);
}

static enum ds_status parse_with(const void *extra, size_t len, struct dicom_command *out)
{
    const struct dicom_command c = store_rq();
    struct ds_bytes b = encoded(&c);
    assert_int_equal(ds_bytes_append(&b, extra, len, NULL), DS_OK);
    const enum ds_status s = dicom_command_parse(b.data, b.len, out, NULL);
    ds_bytes_free(&b);
    return s;
}

/* PS3.7 tables 9.3-9, 9.3-6 and 9.3-1: what retrievals say beside the others. */
static void what_a_retrieval_says_is_written_and_read(void **state)
{
    (void)state;
    const struct dicom_command c = {
        .present = DICOM_HAS_FIELD | DICOM_HAS_RESPONDED_TO | DICOM_HAS_DATA_SET_TYPE |
                   DICOM_HAS_STATUS | DICOM_HAS_DESTINATION | DICOM_HAS_OFFENDING_ELEMENT |
                   DICOM_HAS_ERROR_COMMENT | DICOM_HAS_REMAINING | DICOM_HAS_COMPLETED |
                   DICOM_HAS_FAILED | DICOM_HAS_WARNING | DICOM_HAS_ORIGINATOR |
                   DICOM_HAS_ORIGINATOR_ID,
        .field = DICOM_C_MOVE_RQ | DICOM_RESPONSE,
        .responded_to = 9,
        .data_set_type = DICOM_NO_DATA_SET,
        .status = 0xff00,
        .destination = "ARCHIVE",
        .offending_element = DICOM_TAG(0x0008, 0x0052),
        .error_comment = "no such level",
        .remaining = 258,
        .completed = 3,
        .failed = 4,
        .warning = 5,
        .originator = "SIXTEEN_LETTERS_",
        .originator_id = 7};
    struct ds_bytes b = encoded(&c);
    struct dicom_command back;
    assert_int_equal(dicom_command_parse(b.data, b.len, &back, NULL), DS_OK);
    assert_memory_equal(&back, &c, sizeof c);
    static const uint8_t destination[] = {0,   0,   0,   6,   8,   0,   0,   0,
                                          'A', 'R', 'C', 'H', 'I', 'V', 'E', ' '};
    static const uint8_t offending[] = {0, 0, 1, 9, 4, 0, 0, 0, 8, 0, 0x52, 0};
    static const uint8_t remaining[] = {0, 0, 0x20, 0x10, 2, 0, 0, 0, 2, 1};
    assert_non_null(memmem(b.data, b.len, destination, sizeof destination));
    assert_non_null(memmem(b.data, b.len, offending, sizeof offending));
    assert_non_null(memmem(b.data, b.len, remaining, sizeof remaining));
    struct ds_cursor length = ds_cursor_over(b.data + 8, 4);
    assert_int_equal(ds_cursor_le(&length, 4), b.len - 12);
    /* A response repeats nothing of it. */
    const struct dicom_command answer = dicom_command_response(&c, 0);
    assert_int_equal(answer.present & (DICOM_HAS_DESTINATION | DICOM_HAS_REMAINING), 0);
    ds_bytes_free(&b);
}

/* Spaces before and behind mean nothing; 17 letters are no AE title; half a tag is none. */
static void texts_of_retrievals_are_taken_as_they_are_meant(void **state)
{
    (void)state;
    struct dicom_command c;
    assert_int_equal(parse_with("\0\0\0\6\6\0\0\0  AB \0", 14, &c), DS_OK);
    assert_string_equal(c.destination, "AB");
    assert_int_equal(parse_with("\0\0\0\6\x12\0\0\0SEVENTEEN_LETTERS\0", 26, &c), DS_OK);
    assert_string_equal(c.destination, "");
    assert_true((c.present & DICOM_HAS_DESTINATION) != 0);
    assert_int_equal(parse_with("\0\0\1\x09\2\0\0\0\x08\0", 10, &c), DS_OK);
    assert_int_equal(c.offending_element, 0);
}

/* Every prefix: either an element is cut, or one is missing without which nothing can be said. */
static void a_command_cut_short_is_refused(void **state)
{
    (void)state;
    const struct dicom_command c = store_rq();
    struct ds_bytes b = encoded(&c);
    const size_t last = b.len - 8 - 8; /* the instance UID is C-STORE's own to miss */
    for (size_t len = 0; len < b.len; len++) {
        struct dicom_command back;
        uint8_t *copy = malloc(len + 1); /* exact for the sanitizer but for malloc(0) */
        memcpy(copy, b.data, len);
        const enum ds_status s = dicom_command_parse(copy, len, &back, NULL);
        assert_int_equal(s, len == last ? DS_OK : DS_EFORMAT);
        assert_int_equal(back.present == 0, s != DS_OK);
        free(copy);
    }
    ds_bytes_free(&b);
}

static void what_lies_is_refused_and_what_is_strange_is_not(void **state)
{
    (void)state;
    struct dicom_command c;
    /* Unknown elements, an odd length, a status that a request has no use for: passed over. */
    assert_int_equal(parse_with("\0\0\x30\x10\2\0\0\0\7\0", 10, &c), DS_OK);
    assert_int_equal(parse_with("\0\0\x99\x99\3\0\0\0abc", 11, &c), DS_OK);
    assert_int_equal(parse_with("\0\0\0\x09\2\0\0\0\0\xa7", 10, &c), DS_OK);
    assert_int_equal(c.status, 0xa700);
    assert_string_equal(c.sop_class_uid, CT);
    /* Twice; another width; longer than there is; another group; the length of everything. */
    assert_int_equal(parse_with("\0\0\x10\x01\2\0\0\0\7\0", 10, &c), DS_EFORMAT);
    assert_int_equal(parse_with("\0\0\0\x09\4\0\0\0\0\0\0\0", 12, &c), DS_EFORMAT);
    assert_int_equal(parse_with("\0\0\0\x09\0\0\0\0", 8, &c), DS_EFORMAT);
    assert_int_equal(parse_with("\0\0\0\x09\4\0\0\0\0\0", 10, &c), DS_EFORMAT);
    assert_int_equal(parse_with("\x08\0\x16\0\2\0\0\0\0\0", 10, &c), DS_EFORMAT);
    assert_int_equal(parse_with("\0\0\x99\x99\xff\xff\xff\xff\0\0", 10, &c), DS_EFORMAT);
}

static void too_much_is_refused_before_it_is_read(void **state)
{
    (void)state;
    uint8_t *much = calloc(1, DICOM_COMMAND_MAX_BYTES + 2);
    struct dicom_command c;
    assert_int_equal(dicom_command_parse(much, DICOM_COMMAND_MAX_BYTES + 2, &c, NULL), DS_EFORMAT);
    free(much);
}

/* The instance is refused with a status then, and the association goes on. */
static void a_uid_that_is_none_is_present_and_empty(void **state)
{
    (void)state;
    char element[8 + 66] = "\0\0\0\x10\x42\0\0\0";
    memset(element + 8, '1', 66);
    const struct dicom_command c = store_rq();
    struct dicom_command less = c;
    less.present &= ~(unsigned)DICOM_HAS_SOP_INSTANCE;
    for (unsigned i = 0; i < 3; i++) {
        element[8 + 9] = i == 1 ? '\0' : '1'; /* a NUL in the middle */
        element[4] = i == 2 ? 64 : 66;
        struct ds_bytes b = encoded(&less);
        assert_int_equal(ds_bytes_append(&b, element, 8 + (size_t)element[4], NULL), DS_OK);
        struct dicom_command back;
        assert_int_equal(dicom_command_parse(b.data, b.len, &back, NULL), DS_OK);
        assert_true((back.present & DICOM_HAS_SOP_INSTANCE) != 0);
        assert_int_equal(strlen(back.sop_instance_uid), i == 2 ? 64 : 0);
        ds_bytes_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written_as_the_standard_says),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_action_is_answered_with_what_it_requested),
        cmocka_unit_test(what_a_retrieval_says_is_written_and_read),
        cmocka_unit_test(texts_of_retrievals_are_taken_as_they_are_meant),
        cmocka_unit_test(a_command_cut_short_is_refused),
        cmocka_unit_test(what_lies_is_refused_and_what_is_strange_is_not),
        cmocka_unit_test(too_much_is_refused_before_it_is_read),
        cmocka_unit_test(a_uid_that_is_none_is_present_and_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
