/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/kernel.h"

#include "dicomstego/find.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t roll(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Where no faster kernels run there is nothing to compare. */
static const struct stego_kernels *fast(void)
{
    const struct stego_kernels *k = stego_kernels_best();
    if (k == &stego_kernels_portable) {
        skip();
    }
    return k;
}

#define ENTRIES 256U
#define ROUNDS  4000U

/* Offsets in all that can matter: near both ends, few different ones, any. */
static uint16_t draw(uint32_t *state, uint32_t style)
{
    switch (style % 4U) {
    case 0:
        return (uint16_t)(roll(state) % 4U);
    case 1:
        return (uint16_t)(65535U - roll(state) % 4U);
    case 2:
        return (uint16_t)(1000U + roll(state) % 64U);
    default:
        return (uint16_t)(roll(state) >> 8);
    }
}

static void draw_row(uint16_t row[ENTRIES], uint32_t *state, uint32_t style)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        row[i] = draw(state, style);
    }
}

static struct stego_limits draw_limits(uint32_t *state)
{
    struct stego_limits l = {(roll(state) & 4U) != 0 ? 65535U : 1100U, false, 0, UINT32_MAX};
    if ((roll(state) & 4U) != 0) {
        const uint32_t a = draw(state, roll(state) >> 5);
        const uint32_t b = a + roll(state) % 5U;
        l = (struct stego_limits){65535U, true, a, b < 65535U ? b : 65535U};
    }
    return l;
}

static size_t draw_count(uint32_t *state)
{
    return 1U + roll(state) % (ENTRIES - 3U * STEGO_ROW_SLACK);
}

static void predictions_are_the_same(void **unused)
{
    (void)unused;
    const struct stego_kernels *k = fast();
    uint32_t state = 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint16_t rows[5][ENTRIES];
        uint16_t mean[2][ENTRIES];
        uint8_t class[2][ENTRIES];
        for (size_t i = 0; i < 5; i++) {
            draw_row(rows[i], &state, round);
        }
        const struct stego_context context = {rows[0] + STEGO_ROW_SLACK,
                                              rows[1] + STEGO_ROW_SLACK,
                                              rows[2] + STEGO_ROW_SLACK,
                                              rows[3] + STEGO_ROW_SLACK,
                                              rows[4] + STEGO_ROW_SLACK,
                                              (round & 4U) != 0,
                                              rows[0][40]};
        const size_t count = draw_count(&state);
        stego_kernels_portable.predict(&context, count, mean[0], class[0]);
        k->predict(&context, count, mean[1], class[1]);
        assert_memory_equal(mean[0], mean[1], count * sizeof mean[0][0]);
        assert_memory_equal(class[0], class[1], count);
    }
}

static void draw_classes(uint8_t class[ENTRIES], uint32_t *state)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        const uint32_t c = roll(state) % (STEGO_CLASSES + 4U);
        class[i] = (uint8_t)(c < STEGO_CLASSES ? c : STEGO_NO_SITE);
    }
}

static void cells_are_the_same(void **unused)
{
    (void)unused;
    const struct stego_kernels *k = fast();
    uint32_t state = 2;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint16_t own[ENTRIES];
        uint16_t mean[ENTRIES];
        uint16_t cell[2][ENTRIES];
        uint8_t class[ENTRIES];
        const struct stego_limits limits = draw_limits(&state);
        const size_t count = draw_count(&state);
        draw_row(own, &state, round);
        draw_row(mean, &state, round % 5U);
        draw_classes(class, &state);
        for (size_t i = 0; i < ENTRIES; i++) {
            own[i] = (uint16_t)(own[i] < limits.high ? own[i] : limits.high);
            mean[i] = (uint16_t)(mean[i] < limits.high ? mean[i] : limits.high);
            if (limits.has_padding && own[i] >= limits.pad_first && own[i] <= limits.pad_last) {
                class[i] = STEGO_NO_SITE;
            }
        }
        stego_kernels_portable.tally(own, mean, class, count, &limits, cell[0]);
        k->tally(own, mean, class, count, &limits, cell[1]);
        assert_memory_equal(cell[0], cell[1], count * sizeof cell[0][0]);
    }
}

static void sites_are_picked_and_struck_out_the_same(void **unused)
{
    (void)unused;
    const struct stego_kernels *k = fast();
    uint32_t state = 3;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint16_t own[2][ENTRIES];
        uint8_t class[2][ENTRIES];
        const uint16_t first = draw(&state, round);
        const uint16_t last = (uint16_t)(first | (roll(&state) & 3U));
        const size_t count = 1U + roll(&state) % 64U;
        const uint64_t classes = (uint64_t)roll(&state) << 32 | roll(&state);
        draw_row(own[0], &state, round);
        memcpy(own[1], own[0], sizeof own[0]);
        draw_classes(class[0], &state);
        memcpy(class[1], class[0], sizeof class[0]);
        stego_kernels_portable.strike(own[0], count, first, last, class[0]);
        k->strike(own[0], count, first, last, class[1]);
        assert_memory_equal(class[0], class[1], count);
        assert_int_equal(stego_kernels_portable.pick(class[0], count, classes),
                         k->pick(class[0], count, classes));
        stego_kernels_portable.merge(own[0], count, first, last);
        k->merge(own[1], count, first, last);
        assert_memory_equal(own[0], own[1], count * sizeof own[0][0]);
    }
}

static void every_second_sample_is_taken_the_same(void **unused)
{
    (void)unused;
    const struct stego_kernels *k = fast();
    uint32_t state = 4;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const size_t count = 1U + roll(&state) % 150U;
        const size_t length = 2U * count - 1U;
        const int32_t low = (int32_t)(roll(&state) >> 15) - 65536;
        uint16_t to[2][ENTRIES];
        int32_t *from = malloc(length * sizeof *from); /* so that a read too far is seen */
        assert_non_null(from);
        for (size_t i = 0; i < length; i++) {
            from[i] = low + (int32_t)(roll(&state) >> 16);
        }
        stego_kernels_portable.halve(from, count, low, to[0]);
        k->halve(from, count, low, to[1]);
        assert_memory_equal(to[0], to[1], count * sizeof to[0][0]);
        assert_int_equal(to[1][count - 1], from[length - 1] - low);
        free(from);
    }
}

#define SAMPLES 500U
#define MARK    UINT64_C(0xC5A719E23DB46F0B)

static unsigned wrong_at(const int32_t *samples, size_t i)
{
    unsigned wrong = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        wrong += ((uint32_t)samples[i + bit] & 1U) != (MARK >> (63U - bit) & 1U);
    }
    return wrong;
}

static void check_find(const int32_t *samples, size_t count, size_t from, unsigned wrong)
{
    size_t expected = from;
    while (expected + 64 <= count && wrong_at(samples, expected) > wrong) {
        expected++;
    }
    expected = expected + 64 <= count ? expected : count;
    assert_int_equal(stego_find_mark(samples, count, from, MARK, wrong), expected);
}

static void a_mark_is_found_wherever_it_is_and_no_nearer_than_asked(void **state_of_kernels)
{
    stego_kernels_force(*state_of_kernels);
    uint32_t state = 5;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const size_t count = 1U + roll(&state) % SAMPLES;
        int32_t *samples = malloc(count * sizeof *samples);
        assert_non_null(samples);
        for (size_t i = 0; i < count; i++) {
            samples[i] = (int32_t)roll(&state);
        }
        const size_t at = roll(&state) % count;
        for (size_t bit = 0; bit < 64 && at + bit < count; bit++) {
            samples[at + bit] = (samples[at + bit] & ~1) | (int32_t)(MARK >> (63U - bit) & 1U);
        }
        for (unsigned i = roll(&state) % 8U; i > 0; i--) {
            samples[(at + roll(&state) % 64U) % count] ^= 1;
        }
        check_find(samples, count, 0, roll(&state) % 6U);
        check_find(samples, count, roll(&state) % (count + 1), 4);
        free(samples);
    }
    stego_kernels_force(NULL);
}

static void a_single_sample_outside_is_noticed(void **state_of_kernels)
{
    stego_kernels_force(*state_of_kernels);
    for (size_t count = 0; count < 40; count++) {
        int32_t samples[40];
        for (size_t i = 0; i < 40; i++) {
            samples[i] = i % 2 != 0 ? -5 : 1000;
        }
        assert_true(stego_find_none_outside(samples, count, -5, 1000));
        for (size_t i = 0; i < count; i++) {
            samples[i] = -6;
            assert_false(stego_find_none_outside(samples, count, -5, 1000));
            samples[i] = 1001;
            assert_false(stego_find_none_outside(samples, count, -5, 1000));
            samples[i] = 0;
        }
        assert_true(stego_find_none_outside(samples, count, -5, 1000));
    }
    assert_true(
        stego_find_none_outside((int32_t[8]){INT32_MIN, INT32_MAX}, 8, INT32_MIN, INT32_MAX));
    stego_kernels_force(NULL);
}

static void unrest_is_the_same_and_respects_what_holds_none(void **unused)
{
    (void)unused;
    const struct stego_kernels *k = fast();
    uint32_t state = 6;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int32_t samples[8 * STEGO_UNREST_BLOCK];
        uint8_t still[8 * STEGO_UNREST_BLOCK];
        uint32_t unrest[2][8];
        const bool wide = round % 3U == 0;
        const int32_t pad = wide ? (int32_t)roll(&state) : (int32_t)(roll(&state) % 256U);
        const struct stego_holders holders = {wide ? INT32_MIN : (int32_t)(roll(&state) % 2U),
                                              wide ? INT32_MAX : 254,
                                              (round & 1U) != 0,
                                              pad,
                                              pad,
                                              (round & 2U) != 0 ? still : NULL};
        for (size_t i = 0; i < 8 * STEGO_UNREST_BLOCK; i++) {
            samples[i] = wide ? (int32_t)roll(&state) : 1 + (int32_t)(roll(&state) % 253U);
            samples[i] = roll(&state) % 97U == 0 ? pad ^ 1 : samples[i];
            still[i] = roll(&state) % 97U == 0;
        }
        stego_kernels_portable.unrest(&holders, samples, 16, 7, unrest[0]);
        k->unrest(&holders, samples, 16, 7, unrest[1]);
        assert_memory_equal(unrest[0], unrest[1], 7 * sizeof unrest[0][0]);
    }
}

static void the_most_restless_run_is_found(void **unused)
{
    (void)unused;
    int32_t samples[64 * 64] = {0};
    const struct stego_plane plane = {.samples = samples,
                                      .columns = 64,
                                      .rows = 64,
                                      .high = 255,
                                      .has_padding = true,
                                      .padding_min = 200,
                                      .padding_max = 201};
    size_t begin = 0;
    for (size_t i = 1600; i < 1800; i++) {
        samples[i] = i % 2 != 0 ? 50 : 3;
    }
    for (size_t i = 3200; i < 3400; i++) {
        samples[i] = i % 2 != 0 ? 90 : 3;
    }
    assert_true(stego_find_restless(&plane, 190, SIZE_MAX, &begin));
    assert_int_equal(begin, 3200);
    assert_true(stego_find_restless(&plane, 190, 3199, &begin));
    assert_int_equal(begin, 3184);
    assert_true(stego_find_restless(&plane, 190, 3000, &begin));
    assert_int_equal(begin, 1600);
    samples[3300] = 200;
    assert_true(stego_find_restless(&plane, 190, SIZE_MAX, &begin));
    assert_int_equal(begin, 1600);
    for (size_t i = 0; i < 64; i++) {
        samples[64 * i] = 201;
    }
    assert_false(stego_find_restless(&plane, 65, SIZE_MAX, &begin));
    assert_true(stego_find_restless(&plane, 48, SIZE_MAX, &begin));
    assert_int_equal(begin % 64, 16);
}

int main(void)
{
    /* Each of these runs with the plain kernels and with the best. */
    void *plain = (void *)(uintptr_t)&stego_kernels_portable;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_are_the_same),
        cmocka_unit_test(cells_are_the_same),
        cmocka_unit_test(sites_are_picked_and_struck_out_the_same),
        cmocka_unit_test(every_second_sample_is_taken_the_same),
        cmocka_unit_test(a_mark_is_found_wherever_it_is_and_no_nearer_than_asked),
        cmocka_unit_test_prestate(a_mark_is_found_wherever_it_is_and_no_nearer_than_asked, plain),
        cmocka_unit_test(a_single_sample_outside_is_noticed),
        cmocka_unit_test_prestate(a_single_sample_outside_is_noticed, plain),
        cmocka_unit_test(unrest_is_the_same_and_respects_what_holds_none),
        cmocka_unit_test(the_most_restless_run_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
