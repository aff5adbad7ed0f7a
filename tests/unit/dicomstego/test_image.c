/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stego_image ct(uint32_t columns, uint32_t rows, uint32_t frames)
{
    return (struct stego_image){.columns = columns,
                                .rows = rows,
                                .frames = frames,
                                .components = 1,
                                .bits_stored = 12,
                                .is_signed = true};
}

static void a_new_image_is_zero_and_a_freed_one_holds_nothing(void **state)
{
    (void)state;
    struct stego_image image = ct(3, 2, 2);
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(image.samples[i], 0);
    }
    stego_image_free(&image);
    assert_null(image.samples);
    stego_image_free(&image);
}

static void a_zero_dimension_is_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct stego_image image = ct(i == 0 ? 0 : 4, i == 1 ? 0 : 4, i == 2 ? 0 : 4);
        struct ds_error err = {0};
        size_t n = 1;
        assert_false(stego_image_count(&image, &n));
        assert_int_equal(n, 0);
        assert_int_equal(stego_image_new(&image, &err), DS_EFORMAT);
        assert_null(image.samples);
    }
}

static void a_size_beyond_the_address_space_is_refused(void **state)
{
    (void)state;
    struct stego_image image = ct(UINT32_MAX, UINT32_MAX, UINT32_MAX);
    size_t n = 1;
    assert_false(stego_image_count(&image, &n));
    assert_int_equal(stego_image_new(&image, NULL), DS_EFORMAT);
}

static void the_range_follows_bits_and_sign(void **state)
{
    (void)state;
    struct stego_image image = ct(1, 1, 1);
    assert_int_equal(stego_image_min(&image), -2048);
    assert_int_equal(stego_image_max(&image), 2047);
    image.is_signed = false;
    assert_int_equal(stego_image_min(&image), 0);
    assert_int_equal(stego_image_max(&image), 4095);
    image.bits_stored = 16;
    assert_int_equal(stego_image_max(&image), 65535);
    image.is_signed = true;
    assert_int_equal(stego_image_min(&image), -32768);
    assert_int_equal(stego_image_max(&image), 32767);
}

static void a_copy_shares_nothing_with_its_model(void **state)
{
    (void)state;
    struct stego_image image = ct(2, 2, 1);
    struct stego_image copy;
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    image.samples[3] = -7;
    assert_int_equal(stego_image_copy(&copy, &image, NULL), DS_OK);
    image.samples[3] = 9;
    assert_int_equal(copy.samples[3], -7);
    assert_int_equal(copy.bits_stored, 12);
    stego_image_free(&image);
    stego_image_free(&copy);
}

static void equal_images_have_no_distortion(void **state)
{
    (void)state;
    struct stego_image image = ct(4, 4, 1);
    struct stego_distortion d;
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    assert_int_equal(stego_image_compare(&image, &image, &d, NULL), DS_OK);
    assert_int_equal(d.changed_samples, 0);
    assert_true(isinf(d.psnr_format_db));
    assert_true(isinf(d.psnr_dynamic_db));
    stego_image_free(&image);
}

static void distortion_is_measured_against_format_and_range(void **state)
{
    (void)state;
    struct stego_image cover = ct(10, 10, 1);
    struct stego_image carrier;
    struct stego_distortion d;
    assert_int_equal(stego_image_new(&cover, NULL), DS_OK);
    cover.samples[0] = -2000; /* padding: does not widen the range */
    cover.samples[1] = 100;
    cover.has_padding = true;
    cover.padding_min = cover.padding_max = -2000;
    assert_int_equal(stego_image_copy(&carrier, &cover, NULL), DS_OK);
    carrier.samples[50] = 3;
    carrier.samples[51] = -4;
    assert_int_equal(stego_image_compare(&cover, &carrier, &d, NULL), DS_OK);
    assert_int_equal(d.changed_samples, 2);
    assert_int_equal(d.max_difference, 4);
    assert_float_equal((float)d.mse, 0.25F, 1e-6F);
    assert_float_equal((float)d.psnr_format_db, (float)(10.0 * log10(4095.0 * 4095.0 / 0.25)),
                       1e-3F);
    assert_float_equal((float)d.psnr_dynamic_db, (float)(10.0 * log10(100.0 * 100.0 / 0.25)),
                       1e-3F);
    stego_image_free(&cover);
    stego_image_free(&carrier);
}

static void images_of_different_geometry_are_not_compared(void **state)
{
    (void)state;
    struct stego_image a = ct(4, 4, 1);
    struct stego_image b = ct(4, 2, 2);
    struct stego_distortion d;
    assert_int_equal(stego_image_new(&a, NULL), DS_OK);
    assert_int_equal(stego_image_new(&b, NULL), DS_OK);
    assert_int_equal(stego_image_compare(&a, &b, &d, NULL), DS_EINVAL);
    stego_image_free(&a);
    stego_image_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_image_is_zero_and_a_freed_one_holds_nothing),
        cmocka_unit_test(a_zero_dimension_is_refused),
        cmocka_unit_test(a_size_beyond_the_address_space_is_refused),
        cmocka_unit_test(the_range_follows_bits_and_sign),
        cmocka_unit_test(a_copy_shares_nothing_with_its_model),
        cmocka_unit_test(equal_images_have_no_distortion),
        cmocka_unit_test(distortion_is_measured_against_format_and_range),
        cmocka_unit_test(images_of_different_geometry_are_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
