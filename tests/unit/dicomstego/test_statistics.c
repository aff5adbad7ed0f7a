/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/similarity.h"
#include "dicomstego/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double is, double should)
{
    if (fabs(is - should) > 1e-9 * (1.0 + fabs(should))) {
        fail_msg("%.15g in the place of %.15g", is, should);
    }
}

static struct stego_image image_of(int32_t *samples, uint32_t columns, uint32_t rows, uint8_t bits)
{
    return (struct stego_image){.samples = samples,
                                .columns = columns,
                                .rows = rows,
                                .frames = 1,
                                .components = 1,
                                .bits_stored = bits};
}

/* Tables: Abramowitz, Stegun 26.7 and 26.8. */
static void the_tail_of_chi_square_is_that_of_the_tables(void **unused)
{
    (void)unused;
    assert_true(fabs(stego_chi_square_tail(3.841458820694124, 1) - 0.05) < 1e-12);
    assert_true(fabs(stego_chi_square_tail(18.307038053275146, 10) - 0.05) < 1e-12);
    assert_true(fabs(stego_chi_square_tail(2.558212, 10) - 0.99) < 1e-6);
    near(stego_chi_square_tail(2.0, 2), exp(-1.0));
    near(stego_chi_square_tail(60.0, 2), exp(-30.0));
    near(stego_chi_square_tail(0.0, 5), 1.0);
    assert_true(isnan(stego_chi_square_tail(1.0, 0.0)));
    assert_true(fabs(stego_chi_square_tail(255.0, 255) - 0.488) < 1e-3);
}

static void figures_worked_out_by_hand_are_found(void **unused)
{
    (void)unused;
    /* 1 2 3      entropy of 1 1 2 2 3 3 4 4 4: pairs to the right (1,2)(2,3)(1,2)(2,4)(3,4)(4,4) */
    int32_t samples[] = {1, 2, 3, 1, 2, 4, 3, 4, 4};
    const struct stego_image image = image_of(samples, 3, 3, 8);
    struct stego_statistics s;
    assert_int_equal(stego_statistics_of(&image, &s, NULL), DS_OK);
    const double p2 = 2.0 / 9.0;
    const double p3 = 3.0 / 9.0;
    near(s.entropy_sample, -3.0 * p2 * log2(p2) - p3 * log2(p3));
    near(s.entropy_byte, s.entropy_sample);
    /* x: 1 2 1 2 3 4, y: 2 3 2 4 4 4; sums 13, 19, squares 35, 65, products 46. */
    near(s.correlation[STEGO_HORIZONTAL],
         (46.0 - 13.0 * 19.0 / 6.0) / sqrt((35.0 - 169.0 / 6.0) * (65.0 - 361.0 / 6.0)));
    /* Down: x: 1 2 3 1 2 4, y: 1 2 4 3 4 4; sums 13, 18, squares 35, 62, products 44. */
    near(s.correlation[STEGO_VERTICAL],
         (44.0 - 13.0 * 18.0 / 6.0) / sqrt((35.0 - 169.0 / 6.0) * (62.0 - 324.0 / 6.0)));
    /* Right below: (1,2)(2,4)(1,4)(2,4). */
    near(s.correlation[STEGO_DIAGONAL],
         (22.0 - 6.0 * 14.0 / 4.0) / sqrt((10.0 - 36.0 / 4.0) * (52.0 - 196.0 / 4.0)));
    const double e = 9.0 / 256.0;
    near(s.chi_square, 252.0 * e + 3.0 * (2.0 - e) * (2.0 - e) / e + (3.0 - e) * (3.0 - e) / e);
}

static void a_flat_image_has_no_correlation(void **unused)
{
    (void)unused;
    int32_t samples[64] = {0};
    const struct stego_image image = image_of(samples, 8, 8, 12);
    struct stego_statistics s;
    assert_int_equal(stego_statistics_of(&image, &s, NULL), DS_OK);
    near(s.entropy_byte, 0.0);
    for (unsigned d = 0; d < STEGO_DIRECTIONS; d++) {
        assert_true(isnan(s.correlation[d]));
    }
    const struct stego_image point = image_of(samples, 1, 1, 8);
    assert_int_equal(stego_statistics_of(&point, &s, NULL), DS_OK);
    assert_true(isnan(s.correlation[STEGO_HORIZONTAL]));
    const struct stego_image none = image_of(samples, 0, 1, 8);
    assert_int_equal(stego_statistics_of(&none, &s, NULL), DS_EINVAL);
}

static void every_byte_once_is_eight_bits(void **unused)
{
    (void)unused;
    int32_t samples[256];
    for (int32_t i = 0; i < 256; i++) {
        samples[i] = i - 128;
    }
    struct stego_image image = image_of(samples, 256, 1, 8);
    image.is_signed = true;
    struct stego_statistics s;
    assert_int_equal(stego_statistics_of(&image, &s, NULL), DS_OK);
    near(s.entropy_byte, 8.0);
    near(s.chi_square, 0.0);
    near(s.chi_square_p, 1.0);
    near(s.correlation[STEGO_HORIZONTAL], 1.0);
}

static void change_is_counted_by_sample_or_by_byte(void **unused)
{
    (void)unused;
    int32_t a[] = {0, 10, 20, 255};
    int32_t b[] = {0, 11, 10, 0};
    int32_t c[] = {0x0a00, 0x0b14};
    struct stego_change change;
    const struct stego_image first = image_of(a, 2, 2, 8);
    const struct stego_image second = image_of(b, 2, 2, 8);
    const struct stego_image third = image_of(c, 2, 1, 16);
    assert_int_equal(stego_change_of(&first, &second, &change, NULL), DS_OK);
    assert_false(change.by_byte);
    near(change.npcr, 75.0);
    near(change.uaci, 100.0 * (1 + 10 + 255) / 255.0 / 4.0);
    /* Bytes 00 0a 14 0b against 00 0a 14 ff. */
    assert_int_equal(stego_change_of(&first, &third, &change, NULL), DS_OK);
    assert_true(change.by_byte);
    assert_int_equal(change.compared, 4);
    near(change.npcr, 25.0);
    near(change.uaci, 100.0 * (255 - 11) / 255.0 / 4.0);
}

static void an_image_is_similar_to_itself_and_less_to_its_negative(void **unused)
{
    (void)unused;
    int32_t a[400];
    int32_t b[400];
    for (int32_t i = 0; i < 400; i++) {
        a[i] = (i * i / 7 + i) % 256;
        b[i] = 255 - a[i];
    }
    const struct stego_image first = image_of(a, 20, 20, 8);
    const struct stego_image second = image_of(b, 20, 20, 8);
    const struct stego_image small = image_of(a, 10, 20, 8);
    double ssim = 0.0;
    assert_int_equal(stego_ssim(&first, &first, &ssim, NULL), DS_OK);
    near(ssim, 1.0);
    assert_int_equal(stego_ssim(&first, &second, &ssim, NULL), DS_OK);
    assert_true(ssim < 0.0);
    assert_int_equal(stego_ssim(&small, &small, &ssim, NULL), DS_OK);
    assert_true(isnan(ssim));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tail_of_chi_square_is_that_of_the_tables),
        cmocka_unit_test(figures_worked_out_by_hand_are_found),
        cmocka_unit_test(a_flat_image_has_no_correlation),
        cmocka_unit_test(every_byte_once_is_eight_bits),
        cmocka_unit_test(change_is_counted_by_sample_or_by_byte),
        cmocka_unit_test(an_image_is_similar_to_itself_and_less_to_its_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
