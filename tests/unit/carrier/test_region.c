/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stego_image noise(uint8_t bits, bool is_signed)
{
    struct stego_image image = {
        .columns = 97, .rows = 61, .frames = 2, .bits_stored = bits, .is_signed = is_signed};
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    size_t count = 0;
    assert_true(stego_image_count(&image, &count));
    uint32_t seed = 12345;
    const int64_t span = (int64_t)stego_image_max(&image) - stego_image_min(&image) + 1;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        image.samples[i] = (int32_t)(stego_image_min(&image) + (int64_t)(seed >> 8) % span);
    }
    return image;
}

static void save_cover_restore(uint8_t bits, bool is_signed)
{
    static const struct stego_rect region = {.x = 5, .y = 7, .width = 60, .height = 50, .frame = 1};
    struct stego_image image = noise(bits, is_signed);
    struct stego_image copy = {0};
    struct ds_bytes saved = DS_BYTES_INIT(1U << 20);
    size_t count = 0;
    assert_true(stego_image_count(&image, &count));
    assert_int_equal(stego_image_copy(&copy, &image, NULL), DS_OK);
    assert_int_equal(carrier_region_save(&image, &region, &saved, NULL), DS_OK);
    assert_int_equal(carrier_region_cover(&image, &region, "DICOMSTEGO:00", false, NULL), DS_OK);
    assert_memory_not_equal(image.samples, copy.samples, count * sizeof(int32_t));
    assert_int_equal(carrier_region_restore(&image, &region, saved.data, saved.len, NULL), DS_OK);
    assert_memory_equal(image.samples, copy.samples, count * sizeof(int32_t));
    stego_image_free(&image);
    stego_image_free(&copy);
    ds_bytes_free(&saved);
}

static void a_region_comes_back_whatever_the_bits_and_sign(void **state)
{
    (void)state;
    save_cover_restore(8, false);
    save_cover_restore(12, false);
    save_cover_restore(12, true);
    save_cover_restore(16, false);
    save_cover_restore(16, true);
}

static void only_the_region_is_covered(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 10, .y = 20, .width = 8, .height = 4};
    struct stego_image image = noise(12, false);
    struct stego_image copy = {0};
    assert_int_equal(stego_image_copy(&copy, &image, NULL), DS_OK);
    assert_int_equal(carrier_region_cover(&image, &region, NULL, false, NULL), DS_OK);
    for (uint32_t y = 0; y < image.rows; y++) {
        for (uint32_t x = 0; x < image.columns; x++) {
            const bool inside = x >= 10 && x < 18 && y >= 20 && y < 24;
            const size_t at = (size_t)y * image.columns + x;
            assert_true(inside || image.samples[at] == copy.samples[at]);
        }
    }
    stego_image_free(&image);
    stego_image_free(&copy);
}

static void a_region_outside_the_image_is_refused(void **state)
{
    (void)state;
    static const struct stego_rect outside[] = {
        {.x = 90, .y = 0, .width = 8, .height = 8},
        {.x = 0, .y = 60, .width = 8, .height = 2},
        {.x = 97, .y = 0, .width = 1, .height = 1},
        {.x = 0, .y = 0, .width = 8, .height = 0},
        {.x = 1, .y = 1, .width = UINT32_MAX, .height = 2},
        {.x = 0, .y = 0, .width = 1, .height = 1, .frame = 2},
    };
    struct stego_image image = noise(8, false);
    for (size_t i = 0; i < DS_ARRAY_SIZE(outside); i++) {
        assert_int_equal(carrier_region_check(&image, &outside[i], NULL), DS_EINVAL);
    }
    stego_image_free(&image);
}

static void a_damaged_or_truncated_region_is_refused(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 40, .height = 40};
    struct stego_image image = noise(12, true);
    struct ds_bytes saved = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_region_save(&image, &region, &saved, NULL), DS_OK);
    assert_int_not_equal(carrier_region_restore(&image, &region, saved.data, saved.len / 2, NULL),
                         DS_OK);
    assert_int_not_equal(carrier_region_restore(&image, &region, saved.data, 0, NULL), DS_OK);
    struct stego_rect larger = region;
    larger.height = 41;
    assert_int_not_equal(carrier_region_restore(&image, &larger, saved.data, saved.len, NULL),
                         DS_OK);
    stego_image_free(&image);
    ds_bytes_free(&saved);
}

static void a_region_too_small_for_its_code_is_refused(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 20, .height = 20};
    struct stego_image image = noise(8, false);
    struct ds_error err = {0};
    assert_int_equal(carrier_region_cover(&image, &region, "DICOMSTEGO:00", false, &err),
                     DS_EINVAL);
    assert_non_null(strstr(err.text, "at least"));
    stego_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_comes_back_whatever_the_bits_and_sign),
        cmocka_unit_test(only_the_region_is_covered),
        cmocka_unit_test(a_region_outside_the_image_is_refused),
        cmocka_unit_test(a_damaged_or_truncated_region_is_refused),
        cmocka_unit_test(a_region_too_small_for_its_code_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
