/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/steganalysis.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIDE 256U

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 16;
}

/* A smooth image whose even values are rarer than its odd ones, as no replaced plane has them. */
static struct stego_image smooth(int32_t *samples, bool is_signed)
{
    struct stego_image image = {.samples = samples,
                                .columns = SIDE,
                                .rows = SIDE,
                                .frames = 1,
                                .components = 1,
                                .bits_stored = 8,
                                .is_signed = is_signed};
    uint32_t state = 7;
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        const uint32_t x = i % SIDE;
        const uint32_t y = i / SIDE;
        const double v = 120.0 + 60.0 * sin(x / 23.0) + 40.0 * cos(y / 31.0 + x / 57.0);
        int32_t s = (int32_t)v + (int32_t)(draw(&state) % 3) - 1;
        s += s % 2 == 0 && draw(&state) % 4 == 0 ? 1 : 0;
        samples[i] = s - (is_signed ? 128 : 0);
    }
    return image;
}

static void replace(struct stego_image *image, size_t count, uint32_t one_in)
{
    uint32_t state = 99;
    for (size_t i = 0; i < count; i++) {
        if (draw(&state) % one_in == 0) {
            image->samples[i] = (image->samples[i] & ~1) | (int32_t)(draw(&state) & 1U);
        }
    }
}

static double attack(const struct stego_image *image, size_t count)
{
    double p = 0.0;
    assert_int_equal(stego_chi_square_attack(image, count, &p, NULL), DS_OK);
    return p;
}

static void replaced_bits_are_seen_as_far_as_they_go(void **unused)
{
    (void)unused;
    static int32_t samples[SIDE * SIDE];
    for (unsigned is_signed = 0; is_signed < 2; is_signed++) {
        struct stego_image image = smooth(samples, is_signed != 0);
        assert_true(attack(&image, SIDE * SIDE) < 1e-6);
        replace(&image, SIDE * SIDE / 2, 1);
        assert_true(attack(&image, SIDE * SIDE / 2) > 0.01);
        assert_true(attack(&image, SIDE * SIDE) < 1e-3);
    }
}

static void the_length_is_estimated(void **unused)
{
    (void)unused;
    static int32_t samples[SIDE * SIDE];
    static const uint32_t one_in[] = {0, 4, 3, 2};
    static const double lengths[] = {0.0, 0.25, 1.0 / 3.0, 0.5};
    for (size_t k = 0; k < DS_ARRAY_SIZE(one_in); k++) {
        /* Replacing must begin from a cover without a bias of its own. */
        struct stego_image image = smooth(samples, false);
        uint32_t state = 5;
        for (uint32_t i = 0; i < SIDE * SIDE; i++) {
            const double v =
                120.0 + 60.0 * sin(i % SIDE / 23.0) + 40.0 * cos(i / SIDE / 31.0 + i % SIDE / 57.0);
            samples[i] = (int32_t)v + (int32_t)(draw(&state) % 5) - 2;
        }
        if (one_in[k] > 0) {
            replace(&image, SIDE * SIDE, one_in[k]);
        }
        struct stego_rs rs;
        assert_int_equal(stego_rs_analysis(&image, &rs, NULL), DS_OK);
        if (!(fabs(rs.length - lengths[k]) < 0.1)) {
            fail_msg("%.3f estimated in the place of %.2f", rs.length, lengths[k]);
        }
    }
}

/* One group, 5 5 6 6. F1 makes it 5 4 7 6: rougher. F-1 makes it 5 6 5 6: rougher, too. */
static void a_group_is_classed_by_hand(void **unused)
{
    (void)unused;
    int32_t samples[] = {5, 5, 6, 6};
    const struct stego_image image = {.samples = samples,
                                      .columns = 4,
                                      .rows = 1,
                                      .frames = 1,
                                      .components = 1,
                                      .bits_stored = 8};
    struct stego_rs rs;
    assert_int_equal(stego_rs_analysis(&image, &rs, NULL), DS_OK);
    assert_true(rs.regular == 1.0 && rs.singular == 0.0);
    assert_true(rs.regular_negative == 1.0 && rs.singular_negative == 0.0);
    samples[1] = 4; /* 5 4 7 6, 5 long: F1 makes it 5 5 6 6, F-1 makes it 5 3 8 6 */
    samples[2] = 7;
    assert_int_equal(stego_rs_analysis(&image, &rs, NULL), DS_OK);
    assert_true(rs.regular == 0.0 && rs.singular == 1.0);
    assert_true(rs.regular_negative == 1.0 && rs.singular_negative == 0.0);
}

static void images_that_are_too_small_have_no_estimate(void **unused)
{
    (void)unused;
    int32_t samples[3] = {1, 2, 3};
    const struct stego_image image = {.samples = samples,
                                      .columns = 3,
                                      .rows = 1,
                                      .frames = 1,
                                      .components = 1,
                                      .bits_stored = 8};
    struct stego_rs rs;
    double p = 0.0;
    assert_int_equal(stego_rs_analysis(&image, &rs, NULL), DS_OK);
    assert_true(isnan(rs.length));
    assert_true(isnan(attack(&image, 3)));
    assert_int_equal(stego_chi_square_attack(&image, 4, &p, NULL), DS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_bits_are_seen_as_far_as_they_go),
        cmocka_unit_test(the_length_is_estimated),
        cmocka_unit_test(a_group_is_classed_by_hand),
        cmocka_unit_test(images_that_are_too_small_have_no_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
