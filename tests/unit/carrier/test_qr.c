/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What encloses the dark pixels must leave four light modules around. */
static void check_quiet(const struct carrier_qr *q, uint32_t width, uint32_t height,
                        uint32_t module)
{
    size_t dark = 0;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const bool is_dark = carrier_qr_is_dark(q, x, y);
            dark += is_dark ? 1 : 0;
            assert_false(is_dark && (x < 4 * module || y < 4 * module || x + 4 * module >= width ||
                                     y + 4 * module >= height));
        }
    }
    assert_true(dark > 0);
}

static void modules_are_as_large_as_the_rectangle_allows(void **unused)
{
    (void)unused;
    const struct carrier_qr_text text = {"DICOMSTEGO:00", false}; /* version 1: 21 modules and 8 */
    struct carrier_qr *q = NULL;
    uint32_t least = 0;
    assert_int_equal(carrier_qr_make(&q, 58, 58, &text, &least, NULL), DS_OK);
    check_quiet(q, 58, 58, 2);
    assert_true(carrier_qr_is_dark(q, 8, 8) && carrier_qr_is_dark(q, 9, 9)); /* the finder */
    carrier_qr_free(q);
    assert_int_equal(carrier_qr_make(&q, 150, 300, &text, &least, NULL), DS_OK);
    check_quiet(q, 150, 300, 5);
    carrier_qr_free(q);
}

static void too_small_a_rectangle_is_told_the_least(void **unused)
{
    (void)unused;
    const struct carrier_qr_text text = {"DICOMSTEGO:00", false};
    struct carrier_qr *q = NULL;
    uint32_t least = 0;
    assert_int_equal(carrier_qr_make(&q, 57, 500, &text, &least, NULL), DS_ECAPACITY);
    assert_int_equal(least, 58);
    assert_null(q);
    assert_int_equal(carrier_qr_make(&q, least, least, &text, &least, NULL), DS_OK);
    carrier_qr_free(q);
}

static void long_texts_are_split_where_they_may(void **unused)
{
    (void)unused;
    char text[3001];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    const struct carrier_qr_text whole = {text, false};
    const struct carrier_qr_text split = {text, true};
    struct carrier_qr *q = NULL;
    uint32_t least = 0;
    assert_int_equal(carrier_qr_make(&q, 2000, 2000, &whole, &least, NULL), DS_ECAPACITY);
    assert_int_equal(least, 0);
    assert_int_equal(carrier_qr_make(&q, 2000, 2000, &split, &least, NULL), DS_OK);
    check_quiet(q, 2000, 2000, 2);
    carrier_qr_free(q);
    assert_int_equal(carrier_qr_make(&q, 1200, 130, &split, &least, NULL), DS_ECAPACITY);
    assert_int_equal(carrier_qr_make(&q, 1800, 240, &split, &least, NULL), DS_OK);
    check_quiet(q, 1800, 240, 2);
    carrier_qr_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_are_as_large_as_the_rectangle_allows),
        cmocka_unit_test(too_small_a_rectangle_is_told_the_least),
        cmocka_unit_test(long_texts_are_split_where_they_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
