/* SPDX-License-Identifier: Apache-2.0 */
#include "node/syntax.h"

#include "dicom/dataset.h"
#include "dicom/transfer_syntax.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RLE      "1.2.840.10008.1.2.5"
#define JPEG_LS  "1.2.840.10008.1.2.4.80"
#define BASELINE "1.2.840.10008.1.2.4.50"
#define NEAR     "1.2.840.10008.1.2.4.81"
#define H264     "1.2.840.10008.1.2.4.102"
#define JPEG_XL  "1.2.840.10008.1.2.4.110"
#define LAST     " " DICOM_EXPLICIT_LE " " DICOM_IMPLICIT_LE

/* The choices, each behind a space. */
static const char *choices(enum db_action action, const char *own, const struct config_list *wanted)
{
    static char text[1024];
    static struct db_delivery d;
    const char *uids[SYNTAX_CHOICES_MAX];
    d.action = action;
    (void)snprintf(d.instance.transfer_syntax, sizeof d.instance.transfer_syntax, "%s", own);
    const size_t n = syntax_choices(&d, wanted, uids);
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, " %s", uids[i]);
    }
    return text;
}

static const char *carrier(const char *own, const char *wanted)
{
    char item[80];
    char *items[] = {item};
    (void)snprintf(item, sizeof item, "%s", wanted);
    const struct config_list list = {items, 1};
    return choices(DB_SEND_CARRIER, own, &list);
}

static void a_carrier_is_native_unless_said_otherwise(void **state)
{
    (void)state;
    const struct config_list none = {0};
    assert_string_equal(choices(DB_SEND_CARRIER, BASELINE, NULL), LAST);
    assert_string_equal(choices(DB_SEND_CARRIER, DICOM_IMPLICIT_LE, &none), LAST);
}

static void same_is_the_originals_where_it_can_be_written_without_loss(void **state)
{
    (void)state;
    assert_string_equal(carrier(RLE, "same"), " " RLE LAST);
    assert_string_equal(carrier(BASELINE, "same"), LAST);
    assert_string_equal(carrier(JPEG_XL, "same"), LAST);
    assert_string_equal(carrier(NEAR, "same"), LAST);
    assert_string_equal(carrier(DICOM_EXPLICIT_BE, "same"), " " DICOM_EXPLICIT_BE LAST);
    assert_string_equal(carrier(DICOM_IMPLICIT_LE, "same"),
                        " " DICOM_IMPLICIT_LE " " DICOM_EXPLICIT_LE);
}

static void smallest_ends_with_deflated_and_the_last_resort(void **state)
{
    (void)state;
    const char *text = carrier(DICOM_EXPLICIT_LE, "smallest");
    const char *end = " " DICOM_DEFLATED_LE LAST;
    assert_int_equal(strncmp(text, " " JPEG_LS " ", 24), 0);
    assert_true(strlen(text) >= strlen(end));
    assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void a_list_keeps_its_order(void **state)
{
    (void)state;
    char first[] = DICOM_IMPLICIT_LE;
    char second[] = RLE;
    char *items[] = {first, second};
    const struct config_list list = {items, 2};
    assert_string_equal(choices(DB_SEND_CARRIER, BASELINE, &list),
                        " " DICOM_IMPLICIT_LE " " RLE " " DICOM_EXPLICIT_LE);
}

static void what_goes_as_it_is_goes_in_its_own_and_decoded_as_a_last_resort(void **state)
{
    (void)state;
    assert_string_equal(choices(DB_SEND_AS_IS, BASELINE, NULL), " " BASELINE LAST);
    assert_string_equal(choices(DB_SEND_AS_IS, H264, NULL), " " H264);
    assert_string_equal(choices(DB_SEND_AS_IS, JPEG_XL, NULL), " " JPEG_XL);
    assert_string_equal(choices(DB_SEND_AS_IS, DICOM_DEFLATED_LE, NULL),
                        " " DICOM_DEFLATED_LE LAST);
    assert_string_equal(choices(DB_SEND_AS_IS, DICOM_EXPLICIT_LE, NULL), LAST);
}

/* config knows no DICOM: its table of names must be dicom's, and lossless. */
static void what_a_rule_may_name_is_lossless_and_has_that_name(void **state)
{
    (void)state;
    size_t count = 0;
    const struct config_syntax *named = config_carrier_syntaxes(&count);
    assert_true(count + 2 <= SYNTAX_CHOICES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct dicom_transfer_syntax *t = dicom_transfer_syntax_of(named[i].uid);
        assert_non_null(t);
        assert_string_equal(named[i].keyword, t->keyword);
        assert_false(t->may_lose);
        assert_true(dicom_dataset_encodes(t->uid));
        assert_true(t->coding == DICOM_NATIVE || t->coding == DICOM_ENCAPSULATED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_carrier_is_native_unless_said_otherwise),
        cmocka_unit_test(same_is_the_originals_where_it_can_be_written_without_loss),
        cmocka_unit_test(smallest_ends_with_deflated_and_the_last_resort),
        cmocka_unit_test(a_list_keeps_its_order),
        cmocka_unit_test(what_goes_as_it_is_goes_in_its_own_and_decoded_as_a_last_resort),
        cmocka_unit_test(what_a_rule_may_name_is_lossless_and_has_that_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
