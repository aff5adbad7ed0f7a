/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_append(const uint8_t *data, unsigned before, size_t from, size_t count)
{
    DS_AUTO(stego_bits_free) struct stego_bits b = STEGO_BITS_INIT;
    stego_bits_put(&b, 0x15555, before);
    /* Just as many bytes as hold the bits, so that a read too far is seen. */
    const size_t bytes = (from + count + 7) / 8;
    uint8_t *exact = malloc(bytes + (bytes == 0));
    assert_non_null(exact);
    memcpy(exact, data, bytes);
    stego_bits_append(&b, exact, from, count);
    free(exact);
    assert_int_equal(b.count, before + count);
    for (size_t i = 0; i < before; i++) {
        assert_int_equal(stego_bit_at(b.bytes.data, i), (0x15555U >> (before - 1U - i)) & 1U);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(stego_bit_at(b.bytes.data, before + i), stego_bit_at(data, from + i));
    }
    for (size_t i = before + count; i < 8 * b.bytes.len; i++) {
        assert_int_equal(stego_bit_at(b.bytes.data, i), 0);
    }
}

static void bits_are_appended_from_anywhere_to_anywhere(void **unused)
{
    (void)unused;
    uint8_t data[12];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(37 * i + 11);
    }
    for (unsigned before = 0; before < 17; before++) {
        for (size_t from = 0; from < 17; from++) {
            for (size_t count = 0; from + count <= 8 * sizeof data; count++) {
                check_append(data, before, from, count);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_appended_from_anywhere_to_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
