/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/apart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static enum ds_status fill(void *context, uint8_t *out, size_t len, struct ds_error *err)
{
    (void)err;
    memset(out, *(const int *)context, len);
    return DS_OK;
}

static enum ds_status refuse(void *context, uint8_t *out, size_t len, struct ds_error *err)
{
    (void)context;
    (void)out;
    return ds_fail(err, DS_EUNSUPPORTED, "%zu bytes are not for me", len);
}

static enum ds_status give_up(void *context, uint8_t *out, size_t len, struct ds_error *err)
{
    (void)context;
    (void)out;
    (void)len;
    (void)err;
    abort();
}

static void what_was_computed_comes_back(void **state)
{
    (void)state;
    struct ds_error err = {0};
    uint8_t out[5000] = {0};
    int value = 7;
    assert_int_equal(dicom_apart_run(fill, &value, out, sizeof(out), &err), DS_OK);
    assert_int_equal(out[0], 7);
    assert_int_equal(out[sizeof(out) - 1], 7);
    assert_int_equal(dicom_apart_run(refuse, NULL, out, 12, &err), DS_EUNSUPPORTED);
    assert_string_equal(err.text, "12 bytes are not for me");
    assert_int_equal(out[0], 7);
}

static void a_computation_that_ends_its_process_does_not_end_ours(void **state)
{
    (void)state;
    struct ds_error err = {0};
    uint8_t out[16] = {3};
    assert_int_equal(dicom_apart_run(give_up, NULL, out, sizeof(out), &err), DS_EFORMAT);
    assert_true(err.text[0] != '\0');
    assert_int_equal(out[0], 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_computed_comes_back),
        cmocka_unit_test(a_computation_that_ends_its_process_does_not_end_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
