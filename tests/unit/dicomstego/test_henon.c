/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/henon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t seed[STEGO_HENON_SEED_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8,
                                                     9, 8, 7, 6, 5, 4, 3, 2};

static struct stego_henon started(struct stego_henon_form form, const uint8_t *with)
{
    struct stego_henon h;
    assert_int_equal(stego_henon_start(&h, form, with, NULL), DS_OK);
    return h;
}

/* From an independent computation with Python's whole numbers. */
static void an_orbit_is_the_same_on_every_machine(void **unused)
{
    (void)unused;
    static const uint64_t expected[] = {3630436103, 3960320658, 610481750,
                                        3938601732, 3203796237, 1332279903};
    struct stego_henon h = started(STEGO_HENON_DEFAULT, seed);
    for (size_t i = 0; i < DS_ARRAY_SIZE(expected); i++) {
        assert_int_equal(stego_henon_next(&h, UINT64_C(1) << 32), expected[i]);
    }
}

static void an_orbit_stays_bounded_for_every_form(void **unused)
{
    (void)unused;
    uint8_t any[STEGO_HENON_SEED_BYTES];
    for (unsigned round = 0; round < 500; round++) {
        const struct stego_henon_form form = {round * 4001 % (STEGO_HENON_A_MAX + 1),
                                              round * 7919 % (STEGO_HENON_B_MAX + 1)};
        for (size_t i = 0; i < sizeof(any); i++) {
            any[i] = (uint8_t)(round * 31 + i * 17);
        }
        struct stego_henon h = started(form, any);
        for (unsigned i = 0; i < 2000; i++) {
            (void)stego_henon_next(&h, 7);
            assert_true(llabs(h.x) <= 2 * STEGO_HENON_ONE);
            assert_true(llabs(h.y) <= 2 * STEGO_HENON_ONE);
        }
    }
}

static double cross(const double p[2], const double q[2], const double at[2])
{
    return (q[0] - p[0]) * (at[1] - p[1]) - (q[1] - p[1]) * (at[0] - p[0]);
}

/* What henon.c says of the quadrilateral: the image of its border lies inside, with room. */
static void the_quadrilateral_is_mapped_into_itself(void **unused)
{
    (void)unused;
    static const double corner[4][2] = {
        {-1.33, 0.42}, {1.32, 0.133}, {1.245, -0.14}, {-1.06, -0.5}};
    for (unsigned side = 0; side < 4; side++) {
        const double *p = corner[side];
        const double *q = corner[(side + 1) % 4];
        for (unsigned i = 0; i <= 10000; i++) {
            const double t = i / 10000.0;
            const double x = p[0] + t * (q[0] - p[0]);
            const double y = p[1] + t * (q[1] - p[1]);
            const double image[2] = {1.0 - 1.4 * x * x + y, 0.3 * x};
            for (unsigned k = 0; k < 4; k++) { /* clockwise: inside is to the right */
                assert_true(cross(corner[k], corner[(k + 1) % 4], image) < -1e-4);
            }
        }
    }
}

static void default_orbits_never_leave(void **unused)
{
    (void)unused;
    struct stego_henon h = started(STEGO_HENON_DEFAULT, seed);
    for (unsigned i = 0; i < 100000; i++) {
        (void)stego_henon_next(&h, 2);
        assert_true(h.x > -(STEGO_HENON_ONE * 4 / 3) && h.x < STEGO_HENON_ONE * 4 / 3);
    }
}

static void scattered_cells_are_gathered_again(void **unused)
{
    (void)unused;
    static const struct stego_henon_grid grids[] = {
        {1, 1, 2}, {1, 97, 1}, {97, 1, 4}, {31, 17, 2}, {64, 64, 1}};
    for (size_t g = 0; g < DS_ARRAY_SIZE(grids); g++) {
        const size_t len = (size_t)grids[g].columns * grids[g].rows * grids[g].cell_bytes;
        uint8_t *from = malloc(len);
        uint8_t *to = malloc(len);
        uint8_t *back = malloc(len);
        assert_true(from != NULL && to != NULL && back != NULL);
        for (size_t i = 0; i < len; i++) {
            from[i] = (uint8_t)(i * 97 / 13);
        }
        const struct stego_henon h = started(STEGO_HENON_DEFAULT, seed);
        assert_int_equal(stego_henon_scatter(h, grids[g], from, to, NULL), DS_OK);
        assert_int_equal(stego_henon_gather(h, grids[g], to, back, NULL), DS_OK);
        assert_memory_equal(from, back, len);
        if (len > 100) {
            assert_memory_not_equal(from, to, len);
        }
        free(from);
        free(to);
        free(back);
    }
}

static void one_bit_of_the_seed_changes_the_shifts(void **unused)
{
    (void)unused;
    for (unsigned bit = 8; bit < 8 * STEGO_HENON_SEED_BYTES; bit++) {
        if (bit / 8 % 8 == 0 || bit / 8 % 8 == 7) {
            continue; /* the top byte of a half is not used, the last may be lost in rounding */
        }
        uint8_t other[STEGO_HENON_SEED_BYTES];
        memcpy(other, seed, sizeof(other));
        other[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct stego_henon a = started(STEGO_HENON_DEFAULT, seed);
        struct stego_henon b = started(STEGO_HENON_DEFAULT, other);
        unsigned same = 0;
        for (unsigned i = 0; i < 100; i++) {
            same += stego_henon_next(&a, 512) == stego_henon_next(&b, 512) ? 1 : 0;
        }
        assert_true(same < 10);
    }
}

static void forms_out_of_bounds_are_refused(void **unused)
{
    (void)unused;
    struct stego_henon h;
    const struct stego_henon_form large_a = {STEGO_HENON_A_MAX + 1, 0};
    const struct stego_henon_form large_b = {0, STEGO_HENON_B_MAX + 1};
    assert_int_equal(stego_henon_start(&h, large_a, seed, NULL), DS_EINVAL);
    assert_int_equal(stego_henon_start(&h, large_b, seed, NULL), DS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_orbit_is_the_same_on_every_machine),
        cmocka_unit_test(an_orbit_stays_bounded_for_every_form),
        cmocka_unit_test(the_quadrilateral_is_mapped_into_itself),
        cmocka_unit_test(default_orbits_never_leave),
        cmocka_unit_test(scattered_cells_are_gathered_again),
        cmocka_unit_test(one_bit_of_the_seed_changes_the_shifts),
        cmocka_unit_test(forms_out_of_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
