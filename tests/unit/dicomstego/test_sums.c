/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/sums.h"
#include "tests/unit/dicomstego/draw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT 37U
#define ROWS  16U

/* Of the widest that a row's sums of products can be. */
static int32_t product(struct draw *d)
{
    return (int32_t)(draw_u64(d) & 0x7FFFFFFFU) - (1 << 30);
}

static void agrees(const struct stego_sums *s, const int64_t *expected)
{
    int64_t found[COUNT] = {0};
    stego_sums_gather(s, 5, COUNT - 5, found);
    for (size_t i = 5; i < COUNT; i++) {
        assert_true(found[i - 5] == expected[i]);
    }
}

static void both_kinds_of_sums_are_exact(void **state)
{
    (void)state;
    for (unsigned whole = 0; whole < 2; whole++) {
        struct stego_sums s;
        struct draw d = {7};
        static int32_t row[ROWS][COUNT];
        int64_t expected[COUNT] = {0};
        assert_true(stego_sums_init(&s, COUNT, whole == 1));
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t i = 0; i < COUNT; i++) {
                row[r][i] = i % 3 == 0 ? INT32_C(1) << 30 : i % 3 == 1 ? -(1 << 30) : product(&d);
                expected[i] += row[r][i];
            }
            stego_sums_add(&s, 0, row[r], COUNT);
            agrees(&s, expected);
        }
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t i = 0; i < COUNT; i++) {
                expected[i] -= row[r][i];
            }
            stego_sums_take(&s, 0, row[r], COUNT);
            agrees(&s, expected);
        }
        stego_sums_finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_sums_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
