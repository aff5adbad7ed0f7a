/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/allot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* So many bits at a price of 1, growing with its square root; each costs on average half its price.
 */
static struct stego_bidder bidder(double scale)
{
    struct stego_bidder b;
    memset(&b, 0, sizeof b);
    b.fixed_bits = 100;
    b.fixed_error = 25;
    b.most = 1000000;
    for (unsigned i = 0; i < STEGO_PRICES; i++) {
        double root = 1.0; /* of the price: prices are two to the octave */
        for (unsigned k = 0; k < i / 4U; k++) {
            root *= 2.0;
        }
        b.curve.bits[i] = scale * root / 1024.0 * (1.0 + i % 4U * 0.19);
        b.curve.error[i] = b.curve.bits[i] * stego_price(i) / 2.0;
    }
    return b;
}

static uint64_t sum_of(const struct stego_bidder *b, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += b[i].share;
        assert_true(b[i].share <= b[i].most);
        assert_true(b[i].is_used || b[i].share == 0);
    }
    return sum;
}

static void exactly_the_total_is_shared_out_and_the_cheaper_plane_takes_more(void **state)
{
    (void)state;
    for (uint64_t total = 1; total < 500000; total = total * 3 + 1) {
        struct stego_bidder b[3] = {bidder(1000), bidder(8000), bidder(3000)};
        assert_int_equal(stego_allot(b, 3, total, NULL), DS_OK);
        assert_int_equal(sum_of(b, 3), total);
        assert_true(b[1].share >= b[2].share && b[2].share >= b[0].share);
    }
}

static void few_bits_need_one_plane_and_many_need_all(void **state)
{
    (void)state;
    struct stego_bidder b[4] = {bidder(4000), bidder(4000), bidder(4000), bidder(4000)};
    assert_int_equal(stego_allot(b, 4, 50, NULL), DS_OK);
    assert_true(b[0].is_used && b[0].share == 50); /* of equal ones the first */
    assert_false(b[1].is_used || b[2].is_used || b[3].is_used);
    assert_int_equal(stego_allot(b, 4, 400000, NULL), DS_OK);
    assert_int_equal(sum_of(b, 4), 400000);
    for (size_t i = 0; i < 4; i++) {
        assert_in_range(b[i].share, 99000, 101000);
    }
}

static void no_plane_gets_more_than_it_takes_at_most(void **state)
{
    (void)state;
    struct stego_bidder b[2] = {bidder(8000), bidder(10)};
    b[0].most = 700;
    b[1].most = 300;
    assert_int_equal(stego_allot(b, 2, 1000, NULL), DS_OK);
    assert_int_equal(b[0].share, 700);
    assert_int_equal(b[1].share, 300);
    assert_int_equal(stego_allot(b, 2, 1001, NULL), DS_ECAPACITY);
}

static void a_plane_with_an_old_mark_is_used_be_it_for_nothing(void **state)
{
    (void)state;
    struct stego_bidder b[3] = {bidder(9000), bidder(9000), bidder(1)};
    b[2].is_forced = true;
    assert_int_equal(stego_allot(b, 3, 200, NULL), DS_OK);
    assert_true(b[2].is_used);
    assert_int_equal(sum_of(b, 3), 200);
}

static void a_payload_of_no_bits_goes_where_there_is_room(void **state)
{
    (void)state;
    struct stego_bidder b[3] = {bidder(9000), bidder(500), bidder(9000)};
    b[0].most = b[2].most = 0;
    assert_int_equal(stego_allot(b, 3, 0, NULL), DS_OK);
    assert_false(b[0].is_used);
    assert_true(b[1].is_used);
    assert_false(b[2].is_used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_total_is_shared_out_and_the_cheaper_plane_takes_more),
        cmocka_unit_test(few_bits_need_one_plane_and_many_need_all),
        cmocka_unit_test(no_plane_gets_more_than_it_takes_at_most),
        cmocka_unit_test(a_plane_with_an_old_mark_is_used_be_it_for_nothing),
        cmocka_unit_test(a_payload_of_no_bits_goes_where_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
