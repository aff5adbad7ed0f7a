/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance/message.h"
#include "provenance/syslog.h"
#include "provenance/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ds_error err;

static char *text_of(const struct ds_bytes *b)
{
    return strndup((const char *)b->data, b->len);
}

/* What an attribute and a text with this value look like. */
static void writes(const char *value, const char *expected)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(65536);
    char wanted[512];
    struct xml x = xml_begin(&out);
    xml_open(&x, "e");
    xml_attribute(&x, "a", value);
    xml_text(&x, value);
    xml_close(&x);
    assert_int_equal(xml_end(&x, &err), DS_OK);
    char *got = text_of(&out);
    (void)snprintf(wanted, sizeof(wanted),
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e a=\"%s\">%s</e>", expected,
                   expected);
    assert_string_equal(got, wanted);
    free(got);
}

static void no_value_leaves_its_place(void **state)
{
    (void)state;
    writes("plain", "plain");
    writes("\"><!--&]]>", "&quot;&gt;&lt;!--&amp;]]&gt;");
    writes("a\tb\nc\r", "a&#9;b&#10;c&#13;");
    writes("\x01\x1f", "??");
    writes("J\xc3\xa4ger \xe6\x97\xa5 \xf0\x9f\x98\x80",
           "J\xc3\xa4ger \xe6\x97\xa5 \xf0\x9f\x98\x80");
}

static void what_is_no_utf8_or_no_xml_becomes_a_question_mark(void **state)
{
    (void)state;
    writes("\xff", "?");
    writes("\xc3", "?");      /* cut short */
    writes("\xc0\xaf", "??"); /* longer than it needs to be */
    writes("\xe0\x80\xaf", "???");
    writes("\xed\xa0\x80", "???");      /* half of a surrogate pair */
    writes("\xef\xbf\xbe", "???");      /* U+FFFE */
    writes("\xf4\x90\x80\x80", "????"); /* beyond U+10FFFF */
    writes("\xe6\x97<", "??&lt;");
}

static void a_document_that_does_not_close_is_an_error(void **state)
{
    (void)state;
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(65536);
    struct xml open = xml_begin(&out);
    xml_open(&open, "e");
    assert_int_equal(xml_end(&open, &err), DS_EINVAL);
    struct xml closed = xml_begin(&out);
    xml_close(&closed);
    assert_int_equal(xml_end(&closed, &err), DS_EINVAL);
    struct xml late = xml_begin(&out);
    xml_open(&late, "e");
    xml_text(&late, "t");
    xml_attribute(&late, "a", "v");
    xml_close(&late);
    assert_int_equal(xml_end(&late, &err), DS_EINVAL);
    DS_AUTO(ds_bytes_free) struct ds_bytes small = DS_BYTES_INIT(40);
    struct xml full = xml_begin(&small);
    xml_open(&full, "element");
    xml_close(&full);
    assert_int_equal(xml_end(&full, &err), DS_EFORMAT);
}

static struct provenance_message transfer(void)
{
    return (struct provenance_message){.event = PROVENANCE_TRANSFERRED,
                                       .action = 'C',
                                       .at_us = 1770000000123456,
                                       .participants = {{.role = PROVENANCE_SOURCE,
                                                         .user_id = "CT1",
                                                         .ae_title = "CT1",
                                                         .is_requestor = true,
                                                         .address = "10.1.2.3"},
                                                        {.role = PROVENANCE_DESTINATION,
                                                         .user_id = "CLINIC_A",
                                                         .ae_title = "CLINIC_A",
                                                         .address = "node.example"}},
                                       .participant_count = 2,
                                       .source_id = "CLINIC_A",
                                       .study_uid = "1.2.3",
                                       .accession = "A<1",
                                       .patient_id = "P&7",
                                       .sop_classes = {{"1.2.840.10008.5.1.4.1.1.2", 12}},
                                       .sop_class_count = 1,
                                       .log_rows = "3-14"};
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' is not in %s", part, text);
    }
}

static void a_transfer_says_who_what_and_of_whom(void **state)
{
    (void)state;
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(65536);
    const struct provenance_message m = transfer();
    assert_int_equal(provenance_message_write(&m, &out, &err), DS_OK);
    char *text = text_of(&out);
    has(text, "<EventIdentification EventActionCode=\"C\" "
              "EventDateTime=\"2026-02-02T02:40:00.123456Z\" EventOutcomeIndicator=\"0\">"
              "<EventID csd-code=\"110104\" codeSystemName=\"DCM\" "
              "originalText=\"DICOM Instances Transferred\"/></EventIdentification>");
    has(text, "UserID=\"CT1\" AlternativeUserID=\"AETITLES=CT1\" UserIsRequestor=\"true\" "
              "NetworkAccessPointID=\"10.1.2.3\" NetworkAccessPointTypeCode=\"2\"");
    has(text, "NetworkAccessPointID=\"node.example\" NetworkAccessPointTypeCode=\"1\"");
    has(text, "<AuditSourceIdentification AuditSourceID=\"CLINIC_A\"/>");
    has(text, "ParticipantObjectID=\"P&amp;7\"");
    has(text, "<Accession Number=\"A&lt;1\"/>"
              "<SOPClass UID=\"1.2.840.10008.5.1.4.1.1.2\" NumberOfInstances=\"12\"/>");
    has(text, "type=\"provenance rows\" value=\"My0xNA==\"");
    free(text);
}

static void a_message_without_anybody_is_refused(void **state)
{
    (void)state;
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(65536);
    struct provenance_message m = transfer();
    m.participant_count = 0;
    assert_int_equal(provenance_message_write(&m, &out, &err), DS_EINVAL);
    m.participant_count = PROVENANCE_PARTICIPANTS_MAX + 1;
    assert_int_equal(provenance_message_write(&m, &out, &err), DS_EINVAL);
}

static void syslog_has_its_header_and_the_mark_of_utf8(void **state)
{
    (void)state;
    DS_AUTO(ds_bytes_free) struct ds_bytes out = DS_BYTES_INIT(65536);
    const struct syslog_header h = {.facility = 10,
                                    .severity = 5,
                                    .at_us = 1770000000123456,
                                    .host = "a node",
                                    .application = "dicomstegod",
                                    .process = NULL,
                                    .message_id = "DICOM+RFC3881"};
    assert_int_equal(syslog_format(&h, (const uint8_t *)"<x/>", 4, &out, &err), DS_OK);
    char *text = text_of(&out);
    assert_string_equal(text, "<85>1 2026-02-02T02:40:00.123456Z a_node dicomstegod - "
                              "DICOM+RFC3881 - \xef\xbb\xbf<x/>");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_value_leaves_its_place),
        cmocka_unit_test(what_is_no_utf8_or_no_xml_becomes_a_question_mark),
        cmocka_unit_test(a_document_that_does_not_close_is_an_error),
        cmocka_unit_test(a_transfer_says_who_what_and_of_whom),
        cmocka_unit_test(a_message_without_anybody_is_refused),
        cmocka_unit_test(syslog_has_its_header_and_the_mark_of_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
