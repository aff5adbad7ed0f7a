/* SPDX-License-Identifier: Apache-2.0 */
/* Plans whose images are numbers only: what becomes of them at the border of their room. */
#include "carrier/plan_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECORD_BYTES 100U

/* Seals an unsigned integrity token for one image of that capacity, with a head to name. The slot's
 * placement and the bytes that the capsule costs in the image. */
static enum ds_status seal(uint64_t capacity_bytes, uint64_t head_size, size_t *cost_bytes)
{
    const struct carrier_plan_options how = {.unsuitable = CARRIER_PASS};
    const struct stego_seal_request request = {.origin = "CLINIC_A", .head = {.size = head_size}};
    struct carrier_plan *plan = NULL;
    struct stego_capsule *capsule = NULL;
    struct carrier_slot slot;
    assert_int_equal(carrier_plan_new(&plan, &how, NULL), DS_OK);
    plan->items = calloc(1, sizeof(*plan->items));
    assert_non_null(plan->items);
    plan->count = plan->room = 1;
    plan->items[0] = (struct plan_item){.can_carry = true,
                                        .samples = 4096,
                                        .capacity_bytes = capacity_bytes,
                                        .record_bytes = RECORD_BYTES};
    const enum ds_status s = carrier_plan_seal(plan, &request, &slot, 1, &capsule, NULL);
    carrier_plan_free(plan);
    if (s != DS_OK) {
        return s;
    }
    assert_int_equal(slot.placement, CARRIER_IN_PIXELS);
    const struct stego_instance instance = {
        .share_index = STEGO_NO_SHARE, .record = (const uint8_t *)"", .record_len = 0};
    struct ds_bytes out = DS_BYTES_INIT(4096);
    assert_int_equal(stego_capsule_instance(capsule, &instance, &out, NULL), DS_OK);
    *cost_bytes = out.len;
    ds_bytes_free(&out);
    stego_capsule_free(capsule);
    return DS_OK;
}

static void the_tree_head_is_left_out_where_an_image_would_be_lost_for_it(void **state)
{
    (void)state;
    size_t plain = 0;
    size_t named = 0;
    assert_int_equal(seal(1000, 0, &plain), DS_OK);
    assert_int_equal(seal(1000, 7, &named), DS_OK);
    assert_int_equal(named, plain + STEGO_HEAD_BYTES);
    /* From the smallest image on that holds anything, every one carries; from forty bytes more on,
     * with the head. */
    size_t smallest = 0;
    for (size_t room = plain; room < plain + 200; room++) {
        size_t cost = 0;
        if (seal(room, 7, &cost) != DS_OK) {
            assert_int_equal(smallest, 0);
            continue;
        }
        smallest = smallest == 0 ? room : smallest;
        assert_int_equal(cost, room < smallest + STEGO_HEAD_BYTES ? plain : named);
        size_t without = 0;
        assert_int_equal(seal(room, 0, &without), DS_OK);
    }
    assert_true(smallest > plain);
    size_t cost = 0;
    assert_int_equal(seal(smallest - 1, 0, &cost), DS_ECAPACITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_head_is_left_out_where_an_image_would_be_lost_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
