/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/graphics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dicom_dataset *read_state(const char *name)
{
    char path[512];
    const char *data = getenv("DICOMSTEGO_TEST_DATA");
    struct dicom_dataset *d = NULL;
    if (data == NULL) {
        skip();
    }
    (void)snprintf(path, sizeof(path), "%s/%s", data, name);
    if (dicom_dataset_read_file(&d, path, NULL) != DS_OK) {
        skip();
    }
    return d;
}

static void what_a_state_draws_on_its_image_is_enclosed(void **unused)
{
    (void)unused;
    struct dicom_dataset *d = read_state("nonimage/gsps-presentation-state.dcm");
    struct dicom_graphic g[2] = {{0}};
    size_t count = 9;
    assert_true(dicom_graphics_are_in(d));
    assert_int_equal(dicom_graphics_of(d, "1.113654.5.15.1518", g, 2, &count, NULL), DS_OK);
    assert_int_equal(count, 1);
    assert_true(g[0].left == 100 && g[0].top == 80 && g[0].right == 160 && g[0].bottom == 140);
    assert_int_equal(g[0].frame, 0);
    /* No room: counted, not written. */
    assert_int_equal(dicom_graphics_of(d, "1.113654.5.15.1518", NULL, 0, &count, NULL), DS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(dicom_graphics_of(d, "1.2.3", g, 2, &count, NULL), DS_OK);
    assert_int_equal(count, 0);
    dicom_dataset_free(d);
}

static void an_image_draws_nothing(void **unused)
{
    (void)unused;
    struct dicom_dataset *d = read_state("other/CT_small.dcm");
    size_t count = 9;
    assert_false(dicom_graphics_are_in(d));
    assert_int_equal(dicom_graphics_of(d, "1.2.3", NULL, 0, &count, NULL), DS_OK);
    assert_int_equal(count, 0);
    dicom_dataset_free(d);
}

static int init(void **unused)
{
    (void)unused;
    return dicom_init(NULL) == DS_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_state_draws_on_its_image_is_enclosed),
        cmocka_unit_test(an_image_draws_nothing),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
