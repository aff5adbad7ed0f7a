/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/apart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* As a child does that needs a lock which nobody opens any more. */
static enum ds_status stand_still_once(void *context, uint8_t *out, size_t len,
                                       struct ds_error *err)
{
    (void)err;
    atomic_uint *calls = context; /* shared with the parent */
    if (atomic_fetch_add(calls, 1) == 0) {
        for (;;) {
            (void)pause();
        }
    }
    memset(out, 7, len);
    return DS_OK;
}

static void a_process_that_stands_still_is_replaced(void **state)
{
    (void)state;
    uint8_t out[3] = {0};
    atomic_uint *calls =
        mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(calls, MAP_FAILED);
    assert_int_equal(dicom_apart_run(stand_still_once, calls, out, sizeof(out), NULL), DS_OK);
    assert_int_equal(atomic_load(calls), 2);
    assert_int_equal(out[2], 7);
    (void)munmap(calls, sizeof(*calls));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_computed_comes_back),
        cmocka_unit_test(a_computation_that_ends_its_process_does_not_end_ours),
        cmocka_unit_test(a_process_that_stands_still_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
