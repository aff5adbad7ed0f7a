/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Geometry and format are in *image; the samples become noise in all bits. */
static void make_noise(struct stego_image *image)
{
    size_t count = 0;
    assert_int_equal(stego_image_new(image, NULL), DS_OK);
    assert_true(stego_image_count(image, &count));
    uint32_t seed = 12345;
    const int64_t low = stego_image_min(image);
    const int64_t span = (int64_t)stego_image_max(image) - low + 1;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        image->samples[i] = (int32_t)(low + (int64_t)(seed * (uint64_t)span >> 32));
    }
}

static struct stego_image noise(uint8_t bits, bool is_signed)
{
    struct stego_image image = {.columns = 97,
                                .rows = 61,
                                .frames = 2,
                                .components = 1,
                                .bits_stored = bits,
                                .is_signed = is_signed};
    make_noise(&image);
    return image;
}

/* Returns the bytes that were needed. */
static size_t save_cover_restore(struct stego_image *image, const struct stego_rect *region,
                                 const char *photometric)
{
    struct stego_image copy = {0};
    struct ds_bytes saved = DS_BYTES_INIT(1U << 20);
    size_t count = 0;
    assert_true(stego_image_count(image, &count));
    assert_int_equal(stego_image_copy(&copy, image, NULL), DS_OK);
    assert_int_equal(carrier_region_save(image, region, &saved, NULL), DS_OK);
    assert_int_equal(carrier_region_cover(image, region, NULL, 0, photometric, NULL), DS_OK);
    assert_memory_not_equal(image->samples, copy.samples, count * sizeof(int32_t));
    assert_int_equal(carrier_region_restore(image, region, saved.data, saved.len, NULL), DS_OK);
    assert_memory_equal(image->samples, copy.samples, count * sizeof(int32_t));
    const size_t needed = saved.len;
    stego_image_free(&copy);
    ds_bytes_free(&saved);
    return needed;
}

static void a_region_comes_back_whatever_the_bits_and_sign(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 5, .y = 7, .width = 60, .height = 50, .frame = 1};
    for (uint8_t bits = STEGO_BITS_MIN; bits <= STEGO_BITS_MAX; bits++) {
        for (int is_signed = bits == STEGO_BITS_MAX ? 1 : 0; is_signed < 2; is_signed++) {
            struct stego_image image = noise(bits, is_signed != 0);
            (void)save_cover_restore(&image, &region, "MONOCHROME2");
            stego_image_free(&image);
        }
    }
}

static void a_region_may_be_one_pixel_or_the_whole_frame(void **state)
{
    (void)state;
    static const struct stego_rect regions[] = {
        {.x = 96, .y = 60, .width = 1, .height = 1, .frame = 1},
        {.x = 0, .y = 0, .width = 1, .height = 1},
        {.x = 0, .y = 0, .width = 97, .height = 61},
        {.x = 0, .y = 30, .width = 97, .height = 1},
        {.x = 50, .y = 0, .width = 1, .height = 61},
    };
    struct stego_image image = noise(12, true);
    for (size_t i = 0; i < DS_ARRAY_SIZE(regions); i++) {
        (void)save_cover_restore(&image, &regions[i], "MONOCHROME1");
    }
    stego_image_free(&image);
}

static void every_component_comes_back(void **state)
{
    (void)state;
    static const char *const kinds[] = {"RGB", "YBR_FULL", "YBR_FULL_422"};
    static const struct stego_rect regions[] = {
        {.x = 3, .y = 4, .width = 20, .height = 9, .frame = 1},
        {.x = 31, .y = 19, .width = 1, .height = 1, .frame = 2},
        {.x = 7, .y = 0, .width = 2, .height = 20},
        {.x = 0, .y = 0, .width = 32, .height = 20, .frame = 2},
    };
    for (size_t kind = 0; kind < DS_ARRAY_SIZE(kinds); kind++) {
        struct stego_image image = {.columns = 32,
                                    .rows = 20,
                                    .frames = 3,
                                    .components = 3,
                                    .chroma_halved = kind == 2,
                                    .bits_stored = 8};
        make_noise(&image);
        for (size_t i = 0; i < DS_ARRAY_SIZE(regions); i++) {
            (void)save_cover_restore(&image, &regions[i], kinds[kind]);
        }
        stego_image_free(&image);
    }
}

static void components_that_are_alike_cost_little_more_than_one(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 64, .height = 64};
    struct stego_image image = {
        .columns = 64, .rows = 64, .frames = 1, .components = 3, .bits_stored = 8};
    make_noise(&image);
    const size_t unlike = save_cover_restore(&image, &region, "RGB");
    for (size_t i = 0; i < 4096; i++) {
        image.samples[4096 + i] = image.samples[i] / 2 + 100;
        image.samples[i] = image.samples[4096 + i] + (int32_t)(i & 1U);
        image.samples[8192 + i] = image.samples[4096 + i] - 1;
    }
    const size_t alike = save_cover_restore(&image, &region, "RGB");
    assert_true(unlike > 12000);
    assert_true(alike < 5000);
    stego_image_free(&image);
}

static void a_smooth_region_needs_few_bits_whatever_the_format(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 10, .y = 10, .width = 50, .height = 50};
    size_t needed[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        struct stego_image image = noise(i == 0 ? 9 : 16, true);
        for (int32_t y = 0; y < 61; y++) {
            for (int32_t x = 0; x < 97; x++) {
                image.samples[y * 97 + x] = x + y + (image.samples[y * 97 + x] & 3);
            }
        }
        needed[i] = save_cover_restore(&image, &region, "MONOCHROME2");
        stego_image_free(&image);
    }
    assert_true(needed[0] < 2500 * 3 / 8);
    assert_true(needed[1] < needed[0] + 8);
}

static void only_the_region_is_covered(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 10, .y = 20, .width = 8, .height = 4};
    struct stego_image image = noise(12, false);
    struct stego_image copy = {0};
    assert_int_equal(stego_image_copy(&copy, &image, NULL), DS_OK);
    assert_int_equal(carrier_region_cover(&image, &region, NULL, 0, "MONOCHROME2", NULL), DS_OK);
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

static void check_damage(struct stego_image *image)
{
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 40, .height = 40};
    struct ds_bytes saved = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_region_save(image, &region, &saved, NULL), DS_OK);
    for (size_t cut = 0; cut < saved.len; cut += 1 + cut / 16) {
        assert_int_equal(carrier_region_restore(image, &region, saved.data, cut, NULL), DS_EFORMAT);
    }
    struct stego_rect larger = region;
    larger.height = 41;
    assert_int_equal(carrier_region_restore(image, &larger, saved.data, saved.len, NULL),
                     DS_EFORMAT);
    assert_int_equal(ds_bytes_put_u8(&saved, 0, NULL), DS_OK);
    assert_int_equal(carrier_region_restore(image, &region, saved.data, saved.len, NULL),
                     DS_EFORMAT);
    ds_bytes_free(&saved);
}

static void a_damaged_or_truncated_region_is_refused(void **state)
{
    (void)state;
    struct stego_image image = noise(12, true);
    struct stego_image colour = {
        .columns = 50, .rows = 41, .frames = 1, .components = 3, .bits_stored = 8};
    make_noise(&colour);
    check_damage(&image);
    check_damage(&colour);
    stego_image_free(&image);
    stego_image_free(&colour);
}

/* depth, least, coder; then a JPEG-LS scan that would do. */
static void a_header_that_does_not_fit_the_image_is_refused(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 1, .height = 1};
    static const uint8_t good[] = {0x02, 0x00, 0x00, 0x80};
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {0, 0x01}, /* fewer than two bits */
        {0, 0x09}, /* more than are stored */
        {0, 0x82}, /* differences from a component that there is not */
        {1, 0xff}, /* a number that goes on, into what is not one */
        {2, 0x02}, /* no such coder */
    };
    struct stego_image image = noise(8, false);
    assert_int_equal(carrier_region_restore(&image, &region, good, sizeof(good), NULL), DS_OK);
    assert_int_equal(image.samples[0], 0);
    for (size_t i = 0; i < DS_ARRAY_SIZE(changes); i++) {
        uint8_t bad[sizeof(good)];
        memcpy(bad, good, sizeof(good));
        bad[changes[i].at] = changes[i].value;
        assert_int_equal(carrier_region_restore(&image, &region, bad, sizeof(bad), NULL),
                         DS_EFORMAT);
    }
    stego_image_free(&image);
}

/* Values that go past the format's greatest come round: no sample leaves the format. */
static void a_restored_sample_stays_within_the_bits_stored(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 60, .height = 50};
    struct stego_image image = noise(12, true);
    struct ds_bytes saved = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_region_save(&image, &region, &saved, NULL), DS_OK);
    assert_int_equal(saved.data[0], 12);
    assert_true(saved.data[1] < 0x80); /* the least rank is small in noise */
    saved.data[1] = 0x7f;
    assert_int_equal(carrier_region_restore(&image, &region, saved.data, saved.len, NULL), DS_OK);
    for (size_t i = 0; i < 97U * 61U; i++) {
        assert_in_range(image.samples[i] + 2048, 0, 4095);
    }
    stego_image_free(&image);
    ds_bytes_free(&saved);
}

static void a_colour_cover_is_grey_and_shows_its_code(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 1, .y = 2, .width = 63, .height = 60};
    struct stego_image image = {.columns = 80,
                                .rows = 64,
                                .frames = 1,
                                .components = 3,
                                .chroma_halved = true,
                                .bits_stored = 8};
    make_noise(&image);
    image.samples[0] = 0;
    image.samples[1] = 255;
    assert_int_equal(carrier_region_cover(&image, &region,
                                          &(struct carrier_qr_text){"DICOMSTEGO:00", false}, 1,
                                          "YBR_FULL_422", NULL),
                     DS_OK);
    size_t dark = 0;
    for (uint32_t y = 2; y < 62; y++) {
        for (uint32_t x = 1; x < 64; x++) {
            const int32_t luma = image.samples[y * 80 + x];
            assert_true(luma == 0 || luma == 255);
            dark += luma == 0 ? 1 : 0;
            assert_int_equal(image.samples[80 * 64 + y * 40 + x / 2], 128);
            assert_int_equal(image.samples[80 * 64 + 40 * 64 + y * 40 + x / 2], 128);
        }
    }
    assert_in_range(dark, 600, 1200); /* of 21x21 modules of 2x2 pixels */
    stego_image_free(&image);
}

static void a_region_too_small_for_its_code_is_refused(void **state)
{
    (void)state;
    static const struct stego_rect region = {.x = 0, .y = 0, .width = 20, .height = 20};
    struct stego_image image = noise(8, false);
    struct ds_error err = {0};
    assert_int_equal(carrier_region_cover(&image, &region,
                                          &(struct carrier_qr_text){"DICOMSTEGO:00", false}, 1,
                                          "MONOCHROME2", &err),
                     DS_EINVAL);
    assert_non_null(strstr(err.text, "at least"));
    stego_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_comes_back_whatever_the_bits_and_sign),
        cmocka_unit_test(a_region_may_be_one_pixel_or_the_whole_frame),
        cmocka_unit_test(every_component_comes_back),
        cmocka_unit_test(components_that_are_alike_cost_little_more_than_one),
        cmocka_unit_test(a_smooth_region_needs_few_bits_whatever_the_format),
        cmocka_unit_test(only_the_region_is_covered),
        cmocka_unit_test(a_region_outside_the_image_is_refused),
        cmocka_unit_test(a_damaged_or_truncated_region_is_refused),
        cmocka_unit_test(a_header_that_does_not_fit_the_image_is_refused),
        cmocka_unit_test(a_restored_sample_stays_within_the_bits_stored),
        cmocka_unit_test(a_colour_cover_is_grey_and_shows_its_code),
        cmocka_unit_test(a_region_too_small_for_its_code_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
