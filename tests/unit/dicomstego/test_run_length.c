/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/run_length.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void bytes_auto(struct ds_bytes *b)
{
    ds_bytes_free(b);
}

static void check_round_trip(const uint8_t *cells, size_t len, unsigned width)
{
    DS_AUTO(bytes_auto) struct ds_bytes coded = DS_BYTES_INIT(1U << 20);
    DS_AUTO(bytes_auto) struct ds_bytes back = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_run_length_encode(cells, len, width, &coded, NULL), DS_OK);
    assert_true(coded.len <= len + len / width);
    assert_int_equal(stego_run_length_decode(coded.data, coded.len, width, len, &back, NULL),
                     DS_OK);
    assert_int_equal(back.len, len);
    assert_memory_equal(back.data, cells, len);
    /* One cell more or fewer is not what was coded, nor is any shorter code. */
    ds_bytes_free(&back);
    assert_int_equal(
        stego_run_length_decode(coded.data, coded.len, width, len + width, &back, NULL),
        DS_EFORMAT);
    assert_int_equal(stego_run_length_decode(coded.data, coded.len - 1, width, len, &back, NULL),
                     DS_EFORMAT);
    assert_int_equal(
        stego_run_length_decode(coded.data, coded.len, width, len - width, &back, NULL),
        DS_EFORMAT);
    assert_int_equal(back.len, 0);
}

static void runs_of_any_length_and_width_come_back(void **unused)
{
    (void)unused;
    static const unsigned widths[] = {1, 2, 3, 4, 8};
    uint8_t cells[4800];
    for (unsigned span = 1; span < 400; span += 13) {
        for (size_t w = 0; w < DS_ARRAY_SIZE(widths); w++) {
            for (size_t i = 0; i < sizeof(cells); i++) {
                cells[i] = (uint8_t)(i / widths[w] / span);
            }
            check_round_trip(cells, sizeof(cells), widths[w]);
            check_round_trip(cells, widths[w], widths[w]);
        }
    }
}

static void a_long_run_takes_a_few_bytes(void **unused)
{
    (void)unused;
    uint8_t *cells = calloc(300000, 1);
    assert_non_null(cells);
    DS_AUTO(bytes_auto) struct ds_bytes coded = DS_BYTES_INIT(100);
    assert_int_equal(stego_run_length_encode(cells, 300000, 2, &coded, NULL), DS_OK);
    static const uint8_t expected[] = {0, 0, 0xf0, 0x93, 0x09}; /* 150000 in base 128 */
    assert_int_equal(coded.len, sizeof(expected));
    assert_memory_equal(coded.data, expected, sizeof(expected));
    free(cells);
}

static void damaged_runs_are_refused(void **unused)
{
    (void)unused;
    DS_AUTO(bytes_auto) struct ds_bytes out = DS_BYTES_INIT(1000);
    static const uint8_t nothing_of_it[] = {7, 0};
    static const uint8_t too_many[] = {7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t no_count[] = {7};
    assert_int_equal(stego_run_length_decode(nothing_of_it, 2, 1, 5, &out, NULL), DS_EFORMAT);
    assert_int_equal(stego_run_length_decode(too_many, sizeof(too_many), 1, 5, &out, NULL),
                     DS_EFORMAT);
    assert_int_equal(stego_run_length_decode(no_count, 1, 1, 1, &out, NULL), DS_EFORMAT);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_any_length_and_width_come_back),
        cmocka_unit_test(a_long_run_takes_a_few_bytes),
        cmocka_unit_test(damaged_runs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
