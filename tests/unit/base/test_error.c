/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void failing_fills_the_error_and_returns_its_status(void **state)
{
    (void)state;
    struct ds_error err;
    assert_int_equal(ds_fail(&err, DS_EIO, "disk %d", 7), DS_EIO);
    assert_int_equal(err.status, DS_EIO);
    assert_string_equal(err.text, "disk 7");
    assert_int_equal(ds_fail(NULL, DS_EAUTH, "nobody listens"), DS_EAUTH);
}

static void context_stands_before_the_fault(void **state)
{
    (void)state;
    struct ds_error err;
    (void)ds_fail(&err, DS_EFORMAT, "truncated");
    assert_int_equal(ds_fail_context(&err, DS_EFORMAT, "'%s'", "a.dcm"), DS_EFORMAT);
    assert_string_equal(err.text, "'a.dcm': truncated");
}

static void a_text_too_long_is_cut_and_terminated(void **state)
{
    (void)state;
    char longer[2 * DS_ERROR_TEXT_BYTES];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct ds_error err;
    (void)ds_fail(&err, DS_EIO, "%s", longer);
    assert_int_equal(strlen(err.text), DS_ERROR_TEXT_BYTES - 1);
    (void)ds_fail_context(&err, DS_EIO, "%s", longer);
    assert_int_equal(strlen(err.text), DS_ERROR_TEXT_BYTES - 1);
}

static void every_status_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = DS_OK; a <= DS_EREFUSED; a++) {
        assert_string_not_equal(ds_status_name((enum ds_status)a), "unknown");
        for (int b = DS_OK; b < a; b++) {
            assert_string_not_equal(ds_status_name((enum ds_status)a),
                                    ds_status_name((enum ds_status)b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_fills_the_error_and_returns_its_status),
        cmocka_unit_test(context_stands_before_the_fault),
        cmocka_unit_test(a_text_too_long_is_cut_and_terminated),
        cmocka_unit_test(every_status_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
