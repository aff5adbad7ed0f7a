/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JPEGLS    0
#define RESIDUALS 1

static uint32_t mask_of(unsigned depth)
{
    return UINT32_MAX >> (32 - depth);
}

/* A slope with noise of a few bits; or, of one row again and again, noise in all bits. */
static struct carrier_block slope(uint32_t columns, uint32_t rows, unsigned depth, unsigned noise)
{
    struct carrier_block b = {calloc((size_t)columns * rows, 4), columns, rows, depth};
    assert_non_null(b.values);
    uint32_t seed = 99;
    for (uint32_t i = 0; i < columns * rows; i++) {
        seed = seed * 1664525U + 1013904223U;
        const uint32_t x = i % columns;
        b.values[i] = (x * 2 + i / columns + (seed >> (32 - noise))) & mask_of(depth);
    }
    return b;
}

static struct carrier_block repeated(uint32_t columns, uint32_t rows, unsigned depth)
{
    struct carrier_block b = slope(columns, rows, depth, depth);
    for (uint32_t i = 7; i < columns * rows; i++) {
        b.values[i] = b.values[i - 7];
    }
    return b;
}

/* Returns the byte that says which coder it was. */
static uint8_t check_way_back(const struct carrier_block *b)
{
    const size_t bytes = (size_t)b->columns * b->rows * sizeof(uint32_t);
    struct carrier_block again = *b;
    again.values = calloc(1, bytes);
    assert_non_null(again.values);
    struct ds_bytes coded = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_block_encode(b, &coded, NULL), DS_OK);
    assert_int_equal(carrier_block_decode(&again, coded.data, coded.len, NULL), DS_OK);
    assert_memory_equal(again.values, b->values, bytes);
    const uint8_t coder = coded.data[0];
    ds_bytes_free(&coded);
    free(again.values);
    return coder;
}

static void values_come_back_whatever_the_depth_and_size(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {1, 50}, {50, 1}, {2, 2}, {31, 29}};
    for (unsigned depth = CARRIER_DEPTH_MIN; depth <= CARRIER_DEPTH_MAX; depth++) {
        for (size_t i = 0; i < DS_ARRAY_SIZE(sizes); i++) {
            for (unsigned noise = 1; noise <= depth; noise += depth / 2) {
                struct carrier_block b = slope(sizes[i][0], sizes[i][1], depth, noise);
                (void)check_way_back(&b);
                free(b.values);
            }
        }
    }
}

static void the_coder_that_needs_fewest_bytes_is_taken(void **state)
{
    (void)state;
    struct carrier_block natural = slope(64, 64, 12, 4);
    struct carrier_block deep = slope(64, 64, 17, 4);
    struct carrier_block pattern = repeated(64, 64, 12);
    assert_int_equal(check_way_back(&natural), JPEGLS);
    assert_int_equal(check_way_back(&deep), RESIDUALS);
    assert_int_equal(check_way_back(&pattern), RESIDUALS);
    free(natural.values);
    free(deep.values);
    free(pattern.values);
}

static void decode_fails(struct carrier_block *b, const uint8_t *data, size_t len)
{
    assert_int_equal(carrier_block_decode(b, data, len, NULL), DS_EFORMAT);
}

/* Truncated, continued, for another size, for another depth, by a coder that there is not. */
static void check_hostile(struct carrier_block *b, uint8_t coder)
{
    struct ds_bytes coded = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_block_encode(b, &coded, NULL), DS_OK);
    assert_int_equal(coded.data[0], coder);
    for (size_t cut = 0; cut < coded.len; cut += 1 + cut / 16) {
        decode_fails(b, coded.data, cut);
    }
    assert_int_equal(ds_bytes_put_u8(&coded, 0, NULL), DS_OK);
    decode_fails(b, coded.data, coded.len);
    struct carrier_block fewer = *b;
    fewer.rows--;
    decode_fails(&fewer, coded.data, coded.len - 1);
    struct carrier_block deeper = *b;
    deeper.depth = 33;
    decode_fails(&deeper, coded.data, coded.len - 1);
    coded.data[0] = 2;
    decode_fails(b, coded.data, coded.len - 1);
    ds_bytes_free(&coded);
}

static void what_no_encoder_wrote_is_refused(void **state)
{
    (void)state;
    struct carrier_block natural = slope(40, 30, 12, 4);
    struct carrier_block deep = slope(40, 30, 20, 4);
    check_hostile(&natural, JPEGLS);
    check_hostile(&deep, RESIDUALS);
    free(natural.values);
    free(deep.values);
}

static void residuals_of_any_bytes_stay_within_the_depth(void **state)
{
    (void)state;
    struct carrier_block written = slope(20, 20, 16, 16);
    struct carrier_block b = slope(20, 20, 9, 1);
    struct ds_bytes coded = DS_BYTES_INIT(1U << 20);
    assert_int_equal(carrier_residuals_encode(&written, &coded, NULL), DS_OK);
    assert_int_equal(carrier_residuals_decode(&b, coded.data, coded.len, NULL), DS_OK);
    for (size_t i = 0; i < 400; i++) {
        assert_true(b.values[i] <= mask_of(9));
    }
    ds_bytes_free(&coded);
    free(written.values);
    free(b.values);
}

static void more_values_than_memory_are_refused(void **state)
{
    (void)state;
    const struct carrier_block b = {NULL, UINT32_MAX, UINT32_MAX, 8};
    size_t count = 0;
    struct ds_bytes out = DS_BYTES_INIT(100);
    assert_int_equal(carrier_block_count(&b, &count, NULL), DS_EFORMAT);
    assert_int_equal(carrier_block_encode(&b, &out, NULL), DS_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_whatever_the_depth_and_size),
        cmocka_unit_test(the_coder_that_needs_fewest_bytes_is_taken),
        cmocka_unit_test(what_no_encoder_wrote_is_refused),
        cmocka_unit_test(residuals_of_any_bytes_stay_within_the_depth),
        cmocka_unit_test(more_values_than_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
