/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/shuffle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[STEGO_KEY_BYTES] = {9, 8, 7};

static uint64_t *order_of(const uint8_t *k, uint64_t n)
{
    DS_AUTO(stego_shuffle_auto) struct stego_shuffle *s = NULL;
    uint64_t *out = calloc((size_t)n, sizeof(*out));
    assert_non_null(out);
    assert_int_equal(stego_shuffle_new(&s, k, n, NULL), DS_OK);
    for (uint64_t at = 0; at < n; at += STEGO_SHUFFLE_BATCH) {
        const size_t count = n - at < STEGO_SHUFFLE_BATCH ? (size_t)(n - at) : STEGO_SHUFFLE_BATCH;
        assert_int_equal(stego_shuffle_at(s, at, count, out + at, NULL), DS_OK);
    }
    return out;
}

static void every_number_comes_once(void **unused)
{
    (void)unused;
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 255, 1000, 1024, 1025, 40961, 262144};
    for (size_t i = 0; i < DS_ARRAY_SIZE(sizes); i++) {
        uint64_t *order = order_of(key, sizes[i]);
        uint8_t *seen = calloc((size_t)sizes[i], 1);
        assert_non_null(seen);
        for (uint64_t k = 0; k < sizes[i]; k++) {
            assert_true(order[k] < sizes[i]);
            assert_int_equal(seen[order[k]]++, 0);
        }
        free(seen);
        free(order);
    }
}

static void another_key_gives_another_order(void **unused)
{
    (void)unused;
    uint8_t other[STEGO_KEY_BYTES];
    memcpy(other, key, sizeof(other));
    other[31] ^= 1;
    uint64_t *a = order_of(key, 10000);
    uint64_t *b = order_of(other, 10000);
    unsigned same = 0;
    unsigned stays = 0;
    for (unsigned i = 0; i < 10000; i++) {
        same += a[i] == b[i];
        stays += a[i] == i;
    }
    assert_in_range(same, 0, 10); /* one is expected of any two orders */
    assert_in_range(stays, 0, 10);
    free(a);
    free(b);
}

/* What any part of the order says does not depend on where reading began. */
static void places_are_read_from_anywhere(void **unused)
{
    (void)unused;
    DS_AUTO(stego_shuffle_auto) struct stego_shuffle *s = NULL;
    uint64_t *order = order_of(key, 5000);
    uint64_t some[7];
    assert_int_equal(stego_shuffle_new(&s, key, 5000, NULL), DS_OK);
    assert_int_equal(stego_shuffle_at(s, 4993, 7, some, NULL), DS_OK);
    assert_memory_equal(some, order + 4993, sizeof(some));
    assert_int_equal(stego_shuffle_at(s, 4994, 7, some, NULL), DS_EINVAL);
    free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_comes_once),
        cmocka_unit_test(another_key_gives_another_order),
        cmocka_unit_test(places_are_read_from_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
