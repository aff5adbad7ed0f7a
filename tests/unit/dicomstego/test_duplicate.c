/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/duplicate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BITS(n) (((n) + 63) / 64 * 8)

static void bytes_auto(struct ds_bytes *b)
{
    ds_bytes_free(b);
}

static size_t round_trip(const struct stego_grid *g, const uint8_t *cells)
{
    size_t len = 0;
    DS_AUTO(bytes_auto) struct ds_bytes coded = DS_BYTES_INIT(1U << 20);
    DS_AUTO(bytes_auto) struct ds_bytes back = DS_BYTES_INIT(1U << 20);
    assert_true(stego_grid_bytes(g, &len));
    assert_int_equal(stego_duplicate_remove(g, cells, &coded, NULL), DS_OK);
    assert_int_equal(stego_duplicate_restore(g, coded.data, coded.len, &back, NULL), DS_OK);
    assert_int_equal(back.len, len);
    assert_memory_equal(back.data, cells, len);
    assert_int_equal(stego_duplicate_restore(g, coded.data, coded.len - 1, &back, NULL),
                     DS_EFORMAT);
    return coded.len;
}

/* Every grid that repeats each row and column as often as its place in a pattern says. */
static void repeated_rows_and_columns_come_back(void **unused)
{
    (void)unused;
    static const unsigned widths[] = {1, 2, 4, 8};
    uint8_t cells[40 * 70 * 8];
    for (unsigned round = 0; round < 200; round++) {
        const struct stego_grid g = {1 + round * 7 % 70, 1 + round * 11 % 40, widths[round % 4]};
        for (size_t y = 0; y < g.rows; y++) {
            for (size_t x = 0; x < g.columns; x++) {
                uint8_t *cell = cells + (y * g.columns + x) * g.cell_bytes;
                memset(cell, (int)(x / (1 + round % 5) * 31 + y / (1 + round % 3) * 17 + round),
                       g.cell_bytes);
            }
        }
        (void)round_trip(&g, cells);
    }
}

static void a_flat_grid_becomes_one_cell(void **unused)
{
    (void)unused;
    const uint8_t cells[2 * 100 * 30] = {0};
    const struct stego_grid g = {100, 30, 2};
    assert_int_equal(round_trip(&g, cells), BITS(100) + BITS(30) + 2);
}

static void a_column_that_differs_in_one_row_is_kept(void **unused)
{
    (void)unused;
    uint8_t cells[10 * 10] = {0};
    cells[7 * 10 + 4] = 1;
    const struct stego_grid g = {10, 10, 1};
    /* Rows 0, 7, 8 and columns 0, 4, 5. */
    assert_int_equal(round_trip(&g, cells), BITS(10) + BITS(10) + 9);
}

static void what_does_not_add_up_is_refused(void **unused)
{
    (void)unused;
    DS_AUTO(bytes_auto) struct ds_bytes out = DS_BYTES_INIT(1000);
    const struct stego_grid g = {2, 2, 1};
    const struct stego_grid empty = {0, 2, 1};
    const struct stego_grid odd = {2, 2, 3};
    const struct stego_grid huge = {SIZE_MAX / 2, 3, 1};
    size_t len = 0;
    uint8_t coded[BITS(2) + BITS(2) + 4] = {0};
    assert_int_equal(stego_duplicate_restore(&g, coded, sizeof(coded), &out, NULL), DS_EFORMAT);
    coded[0] = 0xc0;
    coded[8] = 0xc0;
    assert_int_equal(stego_duplicate_restore(&g, coded, sizeof(coded), &out, NULL), DS_OK);
    coded[8] = 0x40; /* the first column is left out */
    assert_int_equal(stego_duplicate_restore(&g, coded, sizeof(coded) - 2, &out, NULL), DS_EFORMAT);
    assert_int_equal(stego_duplicate_restore(&empty, coded, sizeof(coded), &out, NULL), DS_EFORMAT);
    assert_false(stego_grid_bytes(&odd, &len));
    assert_false(stego_grid_bytes(&huge, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_rows_and_columns_come_back),
        cmocka_unit_test(a_flat_grid_becomes_one_cell),
        cmocka_unit_test(a_column_that_differs_in_one_row_is_kept),
        cmocka_unit_test(what_does_not_add_up_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
