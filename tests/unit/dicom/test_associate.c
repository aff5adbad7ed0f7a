/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/associate.h"

#include "raw_peer.h"
#include "samples.h"

static struct dicom_associate_request parsed;

static enum ds_status check(const uint8_t *body, size_t len, struct ds_error *err)
{
    return dicom_associate_request_parse(body, len, &parsed, err);
}

/* A sound request's body; the caller frees it. */
static struct ds_bytes request(void)
{
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    raw_request(&pdu, "NODE            ", "RAWPEER         ", RAW_CT, RAW_EXPLICIT);
    struct ds_bytes body = DS_BYTES_INIT(65536);
    assert_int_equal(ds_bytes_append(&body, pdu.data + 6, pdu.len - 6, NULL), DS_OK);
    ds_bytes_free(&pdu);
    return body;
}

static enum ds_status with_item(uint8_t type, const void *data, size_t len)
{
    struct ds_bytes b = request();
    raw_item(&b, type, data, len);
    const enum ds_status s = check(b.data, b.len, NULL);
    ds_bytes_free(&b);
    return s;
}

/* User information may stand once: the item goes into it. */
static enum ds_status with_user_item(uint8_t type, const void *data, size_t len)
{
    struct ds_bytes b = request();
    const size_t at = b.len - 19; /* the user information of raw_request */
    assert_int_equal(b.data[at], 0x50);
    b.data[at + 3] = (uint8_t)(15 + 4 + len);
    raw_item(&b, type, data, len);
    const enum ds_status s = check(b.data, b.len, NULL);
    ds_bytes_free(&b);
    return s;
}

static void a_sound_request_passes_and_no_part_of_it_does(void **state)
{
    (void)state;
    struct ds_bytes b = request();
    struct ds_error err = {DS_OK, ""};
    assert_ok(check(b.data, b.len, &err), &err);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, b.data, len);
        assert_int_equal(check(copy, len, NULL), DS_EFORMAT);
        free(copy);
    }
    ds_bytes_free(&b);
}

/* PS3.7 D.3.3.5: of the class that it names; one that is cut off is refused with everything. */
static void extended_negotiation_belongs_to_its_class(void **state)
{
    (void)state;
    struct ds_bytes item = DS_BYTES_INIT(256);
    assert_int_equal(ds_bytes_put_be(&item, strlen(RAW_CT), 2, NULL), DS_OK);
    assert_int_equal(ds_bytes_append(&item, RAW_CT "\1\2", strlen(RAW_CT) + 2, NULL), DS_OK);
    assert_int_equal(with_user_item(0x56, item.data, item.len), DS_OK);
    assert_int_equal(ds_cursor_left(&parsed.contexts[0].extended), 2);
    item.data[item.len - 3]++; /* of another class */
    assert_int_equal(with_user_item(0x56, item.data, item.len), DS_OK);
    assert_int_equal(ds_cursor_left(&parsed.contexts[0].extended), 0);
    item.data[1] = (uint8_t)item.len;
    assert_int_equal(with_user_item(0x56, item.data, item.len), DS_EFORMAT);
    ds_bytes_free(&item);
}

static void a_title_has_characters(void **state)
{
    (void)state;
    for (size_t at = 4; at <= 20; at += 16) {
        struct ds_bytes b = request();
        memset(b.data + at + 1, 0, 15);
        assert_int_equal(check(b.data, b.len, NULL), DS_OK);
        b.data[at] = ' ';
        assert_int_equal(check(b.data, b.len, NULL), DS_EFORMAT);
        b.data[at] = '\0';
        b.data[at + 1] = 'A';
        assert_int_equal(check(b.data, b.len, NULL), DS_EFORMAT);
        ds_bytes_free(&b);
    }
}

static void a_context_has_an_odd_number_once_and_syntaxes(void **state)
{
    (void)state;
    struct ds_bytes c = DS_BYTES_INIT(65536);
    assert_int_equal(ds_bytes_put_be(&c, 0x03000000, 4, NULL), DS_OK);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT); /* no syntaxes */
    raw_item(&c, 0x30, "1.2.3", 5);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT);
    raw_item(&c, 0x40, "1.2.4", 5);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_OK);
    c.data[0] = 1;
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT); /* raw_request's */
    c.data[0] = 4;
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT);
    c.data[0] = 3;
    for (unsigned i = 1; i < DICOM_CONTEXT_SYNTAXES; i++) {
        raw_item(&c, 0x40, "1.2.4", 5);
    }
    assert_int_equal(with_item(0x20, c.data, c.len), DS_OK);
    raw_item(&c, 0x40, "1.2.4", 5);
    assert_int_equal(with_item(0x20, c.data, c.len), DS_EFORMAT);
    ds_bytes_free(&c);
}

static void inner_lengths_must_fit(void **state)
{
    (void)state;
    assert_int_equal(with_user_item(0x54,
                                    "\0\3"
                                    "1.2\1\0",
                                    7),
                     DS_OK);
    assert_int_equal(with_user_item(0x54,
                                    "\0\4"
                                    "1.2\1\0",
                                    7),
                     DS_EFORMAT);
    assert_int_equal(with_user_item(0x54,
                                    "\0\xff"
                                    "1.2\1\0",
                                    7),
                     DS_EFORMAT);
    assert_int_equal(with_user_item(0x56,
                                    "\0\3"
                                    "1.2\1\0",
                                    7),
                     DS_OK);
    assert_int_equal(with_user_item(0x56,
                                    "\0\x09"
                                    "1.2\1\0",
                                    7),
                     DS_EFORMAT);
    assert_int_equal(with_user_item(0x58, "\1\0\0\1u\0\0", 7), DS_OK);
    assert_int_equal(with_user_item(0x58, "\1\0\0\1u\0\1", 7), DS_EFORMAT);
    assert_int_equal(with_user_item(0x55, "0123456789abcdefg", 17), DS_EFORMAT);
    assert_int_equal(with_user_item(0x5f, "anything", 8), DS_OK);  /* unknown */
    assert_int_equal(with_user_item(0x59, "\0\0", 2), DS_EFORMAT); /* what only answers have */
    assert_int_equal(with_item(0x21, "\3\0\0\0", 4), DS_EFORMAT);
    assert_int_equal(with_item(0x77, "anything", 8), DS_OK);
    assert_int_equal(with_item(0x50, NULL, 0), DS_EFORMAT); /* user information twice */
    assert_int_equal(with_item(0x10, "1.2", 3), DS_EFORMAT);
}

static const struct dicom_proposal proposals[] = {
    {1, "1.2.840.10008.1.1", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", 0},
    {3, RAW_CT, RAW_EXPLICIT, NULL, 0},
    {5, RAW_MR, RAW_EXPLICIT, NULL, DICOM_ROLE_SCP},
    {7, RAW_MR, "1.2.840.10008.1.2", NULL, DICOM_ROLE_SCP},
};

static void what_we_ask_is_read_as_it_was_meant(void **state)
{
    (void)state;
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    struct ds_error err = {DS_OK, ""};
    assert_ok(dicom_associate_request_encode("CALLED", "SIXTEEN-LETTERS-", 4711, proposals,
                                             DS_ARRAY_SIZE(proposals), &pdu, &err),
              &err);
    assert_memory_equal(pdu.data, "\1\0", 2);
    assert_ok(check(pdu.data + 6, pdu.len - 6, &err), &err);
    assert_true(parsed.version_1);
    assert_string_equal(parsed.called_ae, "CALLED");
    assert_string_equal(parsed.calling_ae, "SIXTEEN-LETTERS-");
    assert_string_equal(parsed.application_context, DICOM_APPLICATION_CONTEXT);
    assert_int_equal(parsed.max_pdu_bytes, 4711);
    assert_int_equal(parsed.count, 4);
    for (size_t i = 0; i < parsed.count; i++) {
        const struct dicom_presentation *c = &parsed.contexts[i];
        assert_int_equal(c->id, proposals[i].id);
        assert_string_equal(c->abstract_syntax, proposals[i].abstract_syntax);
        assert_int_equal(c->has_roles, proposals[i].roles != 0);
        assert_int_equal(c->roles, proposals[i].roles);
        struct ds_cursor syntaxes = c->syntaxes;
        char uid[DICOM_UID_BYTES];
        assert_true(dicom_presentation_next(&syntaxes, uid));
        assert_string_equal(uid, proposals[i].syntax);
        assert_int_equal(dicom_presentation_next(&syntaxes, uid), i == 0);
        assert_false(dicom_presentation_next(&syntaxes, uid));
    }
    ds_bytes_free(&pdu);
}

static void what_we_answer_is_read_as_it_was_meant(void **state)
{
    (void)state;
    static const struct dicom_context_answer answers[] = {
        {1,
         DICOM_CONTEXT_ACCEPTED,
         RAW_EXPLICIT,
         RAW_CT,
         true,
         DICOM_ROLE_SCU | DICOM_ROLE_SCP,
         {0},
         0},
        {255, DICOM_CONTEXT_NO_TRANSFER_SYNTAX, "", RAW_MR, false, 0, {0}, 0},
    };
    static struct dicom_associate_accept read;
    const uint8_t titles[64] = "CALLED          CALLING         ";
    struct ds_bytes pdu = DS_BYTES_INIT(65536);
    struct ds_error err = {DS_OK, ""};
    assert_ok(dicom_associate_accept_encode(titles, 65542, answers, 2, &pdu, &err), &err);
    assert_memory_equal(pdu.data, "\2\0", 2);
    assert_memory_equal(pdu.data + 10, titles, 64);
    assert_ok(dicom_associate_accept_parse(pdu.data + 6, pdu.len - 6, &read, &err), &err);
    assert_int_equal(read.max_pdu_bytes, 65542);
    assert_int_equal(read.count, 2);
    assert_int_equal(read.answers[0].id, 1);
    assert_int_equal(read.answers[0].result, DICOM_CONTEXT_ACCEPTED);
    assert_string_equal(read.answers[0].transfer_syntax, RAW_EXPLICIT);
    assert_int_equal(read.answers[1].id, 255);
    assert_int_equal(read.answers[1].result, DICOM_CONTEXT_NO_TRANSFER_SYNTAX);
    unsigned roles = 0;
    assert_true(dicom_associate_roles(read.user, RAW_CT, &roles));
    assert_int_equal(roles, DICOM_ROLE_SCU | DICOM_ROLE_SCP);
    assert_false(dicom_associate_roles(read.user, RAW_MR, &roles));
    /* Cut anywhere it is refused or, between two items, shorter: never read beyond its end. */
    for (size_t len = 0; len < pdu.len - 6; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, pdu.data + 6, len);
        const enum ds_status s = dicom_associate_accept_parse(copy, len, &read, NULL);
        assert_true(s == DS_EFORMAT || read.count < 2 || read.user.len == 0);
        free(copy);
    }
    pdu.data[6 + 68 + 4 + 21 + 4] = 2; /* the number of the first context: even */
    assert_int_equal(dicom_associate_accept_parse(pdu.data + 6, pdu.len - 6, &read, NULL),
                     DS_EFORMAT);
    ds_bytes_free(&pdu);
}

static void a_rejection_has_its_words(void **state)
{
    (void)state;
    assert_string_equal(dicom_rejection_text((struct dicom_rejection){1, 1, 7}),
                        "called AE title not recognised");
    assert_string_equal(dicom_rejection_text((struct dicom_rejection){2, 3, 2}),
                        "local limit exceeded");
    assert_string_equal(dicom_rejection_text((struct dicom_rejection){1, 9, 200}),
                        "no reason given");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_request_passes_and_no_part_of_it_does),
        cmocka_unit_test(extended_negotiation_belongs_to_its_class),
        cmocka_unit_test(a_title_has_characters),
        cmocka_unit_test(a_context_has_an_odd_number_once_and_syntaxes),
        cmocka_unit_test(inner_lengths_must_fit),
        cmocka_unit_test(what_we_ask_is_read_as_it_was_meant),
        cmocka_unit_test(what_we_answer_is_read_as_it_was_meant),
        cmocka_unit_test(a_rejection_has_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
