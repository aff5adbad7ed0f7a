/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/chain.h"

#include "dicomstego/coupling.h"
#include "dicomstego/fixed.h"
#include "dicomstego/kernel.h"
#include "dicomstego/least_squares.h"
#include "dicomstego/predictor.h"
#include "dicomstego/scale.h"
#include "tests/unit/dicomstego/blob.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void test_fixed_point_functions_are_near_the_real_ones(void **state)
{
    (void)state;
    for (uint64_t v = 1; v < 1000000; v = v * 9 / 8 + 1) {
        assert_true(fabs((double)stego_log2_16ths(v) - 16.0 * log2((double)v)) < 1.2);
        const uint64_t root = stego_sqrt(v);
        assert_true(root * root <= v && (root + 1) * (root + 1) > v);
    }
    assert_int_equal(stego_log2_16ths(0), 0);
    assert_int_equal(stego_sqrt(UINT64_MAX), UINT32_MAX);
    for (uint32_t x = 0; x < 30U << 16; x += 777) {
        const double real = exp2(-(double)x / 65536.0) * (double)STEGO_ONE;
        assert_true(fabs((double)stego_exp2_minus(x) - real) < 4.0);
    }
    assert_int_equal(stego_exp2_minus(UINT64_MAX), 0);
}

/* y = 0.75 a - 0.25 b: the weights come back; when the inputs are nearly the same, at least y. */
static void test_least_squares_find_the_weights(void **state)
{
    (void)state;
    for (unsigned alike = 0; alike < 2; alike++) {
        int64_t sums[7] = {0};
        int32_t weight[2];
        struct stego_fit fit;
        uint32_t seed = 7;
        for (unsigned i = 0; i < 500; i++) {
            const int64_t a = (int64_t)(next_random(&seed) % 2000) - 1000;
            const int64_t own = (int64_t)(next_random(&seed) % 2000) - 1000;
            const int64_t b = alike != 0 ? a + own / 16 : own;
            const int64_t y = (3 * a - b) / 4;
            const int64_t in[3] = {a, b, y};
            for (unsigned r = 0, at = 0; r < 3; r++) {
                for (unsigned c = 0; c <= r; c++) {
                    sums[at++] += in[r] * in[c];
                }
            }
        }
        stego_least_squares(sums, 2, 500, weight, &fit);
        assert_true(alike != 0 || abs(weight[0] - 3072) < 60);
        assert_true(alike != 0 || abs(weight[1] + 1024) < 60);
        assert_true(abs(weight[0] + weight[1] - 2048) < 60);
        assert_true(ldexp((double)fit.residue, fit.residue_shift) < 0.01 * (double)sums[5]);
    }
}

/* Sums as large as strips can make them, all inputs the same: weights stay finite and small. */
static void test_least_squares_bear_extremes(void **state)
{
    (void)state;
    int64_t sums[(STEGO_UNKNOWNS_MAX + 1) * (STEGO_UNKNOWNS_MAX + 2) / 2];
    int32_t weight[STEGO_UNKNOWNS_MAX];
    struct stego_fit fit;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        sums[i] = (INT64_C(8191) * 8191) * 80 * 16;
    }
    stego_least_squares(sums, STEGO_UNKNOWNS_MAX, 1280, weight, &fit);
    int64_t all = 0;
    for (unsigned i = 0; i < STEGO_UNKNOWNS_MAX; i++) {
        all += weight[i];
    }
    assert_true(llabs(all - 4096) < 64);
    memset(sums, 0, sizeof sums);
    stego_least_squares(sums, STEGO_UNKNOWNS_MAX, 0, weight, &fit);
    assert_int_equal(weight[0], 0);
}

/* P and Q share out all slots; every value has some in P; Q lies outward of P and not beyond the
 * reach. */
static void check_coupling(const struct stego_coupling *c, unsigned fraction, unsigned reach)
{
    const int64_t mode = (fraction >= 8 ? 1 : 0) - (int64_t)c->first;
    assert_int_equal(c->p[0], 0);
    assert_int_equal(c->q[0], 0);
    assert_int_equal(c->p[c->count], STEGO_SLOTS);
    assert_int_equal(c->q[c->count], STEGO_SLOTS);
    for (uint32_t i = 0; i < c->count; i++) {
        assert_true(c->p[i] < c->p[i + 1]);
        assert_true(c->q[i] <= c->q[i + 1]);
    }
    for (uint32_t i = 1; i < c->count; i++) {
        if (mode >= 0 && mode < (int64_t)c->count) {
            assert_true((int64_t)i > mode ? c->q[i] <= c->p[i] : c->q[i] >= c->p[i]);
        }
        if (reach != 0 && i > reach && (int64_t)i > mode) {
            assert_true(c->q[i] >= c->p[i - reach]);
        }
    }
}

static void test_couplings_move_mass_outward_within_reach(void **state)
{
    (void)state;
    for (uint8_t shape = 0; shape < STEGO_SHAPES; shape++) {
        for (unsigned lambda = 0; lambda <= STEGO_LAMBDA_MAX; lambda += 93) {
            for (uint8_t reach = 0; reach < 4; reach++) {
                const struct stego_model model = {shape, reach, (uint16_t)lambda};
                struct stego_couplings *all = NULL;
                assert_int_equal(stego_couplings_new(&all, &model, SIZE_MAX, true, NULL), DS_OK);
                for (unsigned scale = 0; scale < STEGO_SCALES; scale += 13) {
                    for (uint32_t room = 0; room < 300; room = room * 2 + 1) {
                        const struct stego_coupling *c =
                            stego_couplings_get(all, scale, 5, room, 400);
                        assert_non_null(c);
                        check_coupling(c, c->key & 15U, reach);
                        c = stego_couplings_get(all, scale, 11, 400, room);
                        assert_non_null(c);
                        check_coupling(c, c->key & 15U, reach);
                    }
                }
                assert_null(stego_couplings_get(all, 3, 0, 0, 0));
                assert_false(stego_couplings_failed(all));
                stego_couplings_free(all);
            }
        }
    }
}

/* Whether a coupling was forgotten cannot be told from what it says. */
static void test_couplings_without_room_are_made_again(void **state)
{
    (void)state;
    const struct stego_model model = {1, 2, 640};
    struct stego_couplings *all = NULL;
    struct stego_couplings *few = NULL;
    uint32_t seed = 5;
    assert_int_equal(stego_couplings_new(&all, &model, SIZE_MAX, false, NULL), DS_OK);
    assert_int_equal(stego_couplings_new(&few, &model, 20000, false, NULL), DS_OK);
    for (unsigned i = 0; i < 20000; i++) {
        const unsigned scale = next_random(&seed) % 90;
        const unsigned fraction = next_random(&seed) % 16;
        const uint32_t below = next_random(&seed) % 300;
        const struct stego_coupling *a = stego_couplings_get(all, scale, fraction, below, 300);
        const struct stego_coupling *b = stego_couplings_get(few, scale, fraction, below, 300);
        assert_int_equal(a->key, b->key);
        assert_int_equal(a->count, b->count);
        assert_int_equal(a->is_idle, b->is_idle);
        if (!a->is_idle) {
            assert_memory_equal(a->p, b->p, (a->count + 1) * sizeof *a->p);
            assert_memory_equal(a->q, b->q, (a->count + 1) * sizeof *a->q);
        }
    }
    stego_couplings_free(all);
    stego_couplings_free(few);
}

static void test_what_was_counted_stays_and_what_has_no_room_is_told(void **state)
{
    (void)state;
    const struct stego_model model = {0, 1, 300};
    struct stego_couplings *c = NULL;
    unsigned made = 0;
    unsigned refused = 0;
    assert_int_equal(stego_couplings_new(&c, &model, 30000, true, NULL), DS_OK);
    for (uint32_t below = 1; below < 256; below++) {
        const struct stego_coupling *t = stego_couplings_get(c, 80, 8, below, 256);
        made += t != NULL;
        refused += t == NULL;
        if (t != NULL) {
            t->seen[t->count / 2]++;
        }
    }
    assert_true(made > 5 && refused > 5);
    assert_false(stego_couplings_failed(c));
    assert_int_equal(stego_couplings_counted(c, 5000), refused);
    const struct stego_yield before = stego_couplings_yield(c);
    for (uint32_t below = 1; below < 256; below++) {
        assert_non_null(stego_couplings_get(c, 72, 3, below, 256));
    }
    const struct stego_yield after = stego_couplings_yield(c);
    assert_true(before.error > 0.0);
    assert_memory_equal(&before, &after, sizeof before);
    stego_couplings_free(c);
}

struct picture {
    struct stego_plane plane;
    int32_t *samples;
    uint8_t *still;
};

enum content { SMOOTH, NOISE, FLAT, TWO_VALUED, EDGES, CONTENTS };

static int32_t paint(enum content content, uint32_t x, uint32_t y, int32_t range, uint32_t *seed)
{
    const int32_t noise = (int32_t)(next_random(seed) >> 8);
    switch (content) {
    case SMOOTH:
        return (int32_t)(x * 3 + y * 2) % (range + 1) / 2 + noise % 4;
    case NOISE:
        return noise % (range + 1);
    case FLAT:
        return 0;
    case TWO_VALUED:
        return noise % 2 == 0 ? 0 : range;
    default:
        return ((x / 7 + y / 5) % 2 == 0 ? range / 3 : range) - noise % 3;
    }
}

static void picture_init(struct picture *p, enum content content, uint32_t columns, uint32_t rows,
                         int32_t low, int32_t high, uint32_t seed)
{
    const size_t n = (size_t)columns * rows;
    p->samples = malloc(n * sizeof(int32_t));
    p->still = calloc(n, 1);
    assert_non_null(p->samples);
    assert_non_null(p->still);
    for (size_t i = 0; i < n; i++) {
        const int32_t v =
            paint(content, (uint32_t)(i % columns), (uint32_t)(i / columns), high - low, &seed);
        p->samples[i] = low + (v > high - low ? high - low : v);
    }
    p->plane = (struct stego_plane){
        .samples = p->samples, .columns = columns, .rows = rows, .low = low, .high = high};
}

static void picture_free(struct picture *p)
{
    free(p->samples);
    free(p->still);
}

static struct stego_bits message_of(size_t count, uint32_t seed)
{
    struct stego_bits m = STEGO_BITS_INIT;
    while (m.count < count) {
        stego_bits_put(&m, next_random(&seed) >> 9 & 1U, 1);
    }
    return m;
}

/* What a predictor says of every pixel, on the way down. */
static void look_at_all(const struct stego_plane *plane, unsigned predictor, bool puts,
                        struct stego_outlook *out)
{
    struct stego_predictor *p = NULL;
    assert_int_equal(stego_predictor_new(&p, plane, 5, 9, predictor, NULL), DS_OK);
    for (uint32_t row = 0; row < plane->rows; row++) {
        stego_predictor_row(p, row);
        for (uint32_t column = 0; column < plane->columns; column++, out++) {
            if (!stego_predictor_look(p, column, out)) {
                memset(out, 0xEE, sizeof *out);
            } else if (puts && out->prediction % 3 == 0) { /* as a walk does */
                const int32_t value = (out->prediction >> 4) + (int32_t)(column % 7);
                stego_predictor_put(p, column, value);
            }
        }
    }
    stego_predictor_free(p);
}

static void test_all_kernels_predict_the_same(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 30; seed++) {
        struct picture p;
        const uint32_t columns = 4 + seed * 3 % 61;
        const size_t n = (size_t)columns * 31;
        picture_init(&p, seed % CONTENTS, columns, 31, -32768, seed % 2 == 0 ? 32767 : -31000,
                     seed);
        p.plane.has_padding = seed % 3 == 0;
        p.plane.padding_min = p.plane.padding_max = p.samples[n / 2];
        struct stego_outlook *fast = calloc(2 * n, sizeof *fast);
        assert_non_null(fast);
        for (unsigned predictor = 0; predictor < STEGO_PREDICTORS; predictor++) {
            look_at_all(&p.plane, predictor, seed % 4 != 0, fast);
            stego_kernels_force(&stego_kernels_portable);
            look_at_all(&p.plane, predictor, seed % 4 != 0, fast + n);
            stego_kernels_force(NULL);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(fast[i].prediction, fast[n + i].prediction);
                assert_memory_equal(fast[i].feature, fast[n + i].feature, STEGO_FEATURES);
            }
        }
        free(fast);
        picture_free(&p);
    }
}

/* Rows that are reached from below say the same as from above while nothing has changed. */
static void test_the_way_up_sees_what_the_way_down_saw(void **state)
{
    (void)state;
    struct picture p;
    picture_init(&p, SMOOTH, 40, 50, 0, 4095, 3);
    struct stego_outlook *down = calloc((size_t)40 * 50, sizeof *down);
    assert_non_null(down);
    look_at_all(&p.plane, 2, false, down);
    struct stego_predictor *up = NULL;
    assert_int_equal(stego_predictor_new(&up, &p.plane, 5, 9, 2, NULL), DS_OK);
    for (uint32_t row = 50; row-- > 0;) {
        stego_predictor_row(up, row);
        for (uint32_t column = 40; column-- > 0;) {
            struct stego_outlook look;
            assert_true(stego_predictor_look(up, column, &look));
            assert_int_equal(look.prediction, down[row * 40 + column].prediction);
            assert_memory_equal(look.feature, down[row * 40 + column].feature, STEGO_FEATURES);
        }
    }
    stego_predictor_free(up);
    free(down);
    picture_free(&p);
}

/* Embeds; false when it does not fit. Checks what must hold for any carrier, then the way back. */
static bool round_trip(const struct picture *p, const struct stego_chain *how, size_t count)
{
    const size_t n = stego_plane_count(&p->plane);
    struct stego_bits message = message_of(count, (uint32_t)count + 77);
    struct stego_bits blob = STEGO_BITS_INIT;
    struct stego_bits found = STEGO_BITS_INIT;
    int32_t *carrier = malloc(n * sizeof *carrier);
    assert_non_null(carrier);
    const enum ds_status s = stego_chain_embed(how, &message, carrier, &blob, NULL);
    assert_true(s == DS_OK || s == DS_ECAPACITY);
    for (size_t i = 0; s == DS_OK && i < n; i++) {
        const int64_t d = llabs((int64_t)carrier[i] - p->samples[i]);
        const bool is_padding = how->plane->has_padding &&
                                p->samples[i] >= how->plane->padding_min &&
                                p->samples[i] <= how->plane->padding_max;
        assert_in_range((uint64_t)(carrier[i] - p->plane.low), 0,
                        (uint64_t)(p->plane.high - p->plane.low));
        if (is_padding || (p->plane.still != NULL && p->still[i] != 0) ||
            (i >= how->run_begin && i < how->run_end)) {
            assert_int_equal(d, 0);
        } else if (how->plane->has_padding) {
            assert_false(carrier[i] >= how->plane->padding_min &&
                         carrier[i] <= how->plane->padding_max);
        }
        assert_true(how->max_difference == 0 || d <= how->max_difference);
    }
    if (s == DS_OK) {
        struct stego_plane plane = p->plane;
        struct stego_chain back = {&plane, how->run_begin, how->run_end, false, 0};
        assert_int_equal(blob.count, STEGO_CHAIN_BLOB_BITS);
        for (size_t i = how->run_begin; i < how->run_end; i++) {
            carrier[i] ^= (int32_t)(i & 1); /* mark and blob are written there */
        }
        plane.samples = carrier;
        assert_int_equal(stego_chain_extract(&back, blob.bytes.data, count, &found, NULL), DS_OK);
        for (size_t i = how->run_begin; i < how->run_end; i++) {
            carrier[i] ^= (int32_t)(i & 1);
        }
        assert_memory_equal(carrier, p->samples, n * sizeof *carrier);
        assert_int_equal(found.count, count);
        assert_memory_equal(found.bytes.data, message.bytes.data, message.bytes.len);
    }
    free(carrier);
    stego_bits_free(&message);
    stego_bits_free(&blob);
    stego_bits_free(&found);
    return s == DS_OK;
}

static void test_what_is_hidden_comes_back(void **state)
{
    (void)state;
    unsigned fitted = 0;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct picture p;
        picture_init(&p, seed % CONTENTS, 4 + seed * 7 % 90, 4 + seed * 11 % 70,
                     seed % 2 == 0 ? 0 : -2048, seed % 4 < 2 ? 255 : 4095, seed);
        p.plane.has_padding = seed % 5 == 0;
        p.plane.padding_min = 3;
        p.plane.padding_max = 5;
        for (size_t i = 0; seed % 3 == 0 && i < stego_plane_count(&p.plane); i += 3) {
            p.still[i] = 1;
        }
        p.plane.still = seed % 3 == 0 ? p.still : NULL;
        struct stego_chain how = {&p.plane, 3, 9, seed % 2 == 0, seed % 7};
        for (size_t i = 3; i < 9; i++) {
            p.samples[i] = p.plane.low + 20; /* a run never lies in padding */
        }
        for (size_t count = 64; count < 4096; count = count * 3 + 1) {
            fitted += round_trip(&p, &how, count);
        }
        picture_free(&p);
    }
    assert_in_range(fitted, 90, 240);
}

/* Even where a parameter matters to no pixel. */
static void test_no_bit_of_the_blob_may_be_another(void **state)
{
    (void)state;
    struct picture p;
    picture_init(&p, SMOOTH, 48, 40, 0, 255, 4);
    const size_t bytes = stego_plane_count(&p.plane) * sizeof(int32_t);
    const struct stego_chain how = {&p.plane, 0, 0, false, 0};
    struct stego_bits message = message_of(300, 5);
    struct stego_bits blob = STEGO_BITS_INIT;
    int32_t *carrier = malloc(bytes);
    assert_non_null(carrier);
    assert_int_equal(stego_chain_embed(&how, &message, carrier, &blob, NULL), DS_OK);
    for (size_t i = 0; i < STEGO_CHAIN_BLOB_BITS; i++) {
        struct stego_bits found = STEGO_BITS_INIT;
        memcpy(p.samples, carrier, bytes);
        blob.bytes.data[i / 8] ^= (uint8_t)(0x80U >> i % 8);
        assert_int_equal(stego_chain_extract(&how, blob.bytes.data, 300, &found, NULL), DS_EAUTH);
        blob.bytes.data[i / 8] ^= (uint8_t)(0x80U >> i % 8);
        stego_bits_free(&found);
    }
    free(carrier);
    stego_bits_free(&message);
    stego_bits_free(&blob);
    picture_free(&p);
}

static void test_planes_it_is_not_for_are_refused(void **state)
{
    (void)state;
    struct picture p;
    picture_init(&p, SMOOTH, 64, 3, 0, 4095, 1);
    struct stego_chain how = {&p.plane, 0, 0, false, 0};
    assert_false(round_trip(&p, &how, 64));
    picture_free(&p);
    picture_init(&p, SMOOTH, 64, 64, 0, 65536, 1);
    how.plane = &p.plane;
    assert_false(round_trip(&p, &how, 64));
    picture_free(&p);
}

/* Random pixels and blobs: an error or some bits, never a crash, samples in range. */
static void test_rubbish_is_survived(void **state)
{
    (void)state;
    uint32_t seed = 99;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 300; round++) {
        struct picture p;
        uint8_t blob[STEGO_CHAIN_BLOB_BITS / 8] = {0};
        struct stego_bits out = STEGO_BITS_INIT;
        picture_init(&p, round % CONTENTS, 4 + round % 30, 4 + round % 23, 0, 1023, round + 1);
        for (size_t i = 0; i + 1 < sizeof blob; i++) {
            blob[i] = (uint8_t)(next_random(&seed) >> 11);
        }
        blob[12] &= 0x00; /* else `stop` is never within the plane */
        blob[11] &= 0xFE;
        blob_seal(blob);
        const struct stego_chain how = {&p.plane, 0, 0, false, 0};
        const enum ds_status s =
            stego_chain_extract(&how, blob, next_random(&seed) % 2000, &out, NULL);
        accepted += s == DS_OK;
        for (size_t i = 0; i < stego_plane_count(&p.plane); i++) {
            assert_in_range((uint64_t)p.samples[i], 0, 1023);
        }
        stego_bits_free(&out);
        picture_free(&p);
    }
    assert_true(accepted < 10);
}

static void test_a_higher_price_buys_more(void **state)
{
    (void)state;
    struct picture p;
    struct stego_curve curve;
    picture_init(&p, SMOOTH, 80, 80, 0, 4095, 5);
    const struct stego_chain how = {&p.plane, 0, 0, false, 0};
    assert_int_equal(stego_chain_measure(&how, &curve, NULL), DS_OK);
    for (unsigned i = 1; i < STEGO_PRICES; i++) {
        assert_true(curve.bits[i] >= curve.bits[i - 1]);
        assert_true(curve.error[i] >= curve.error[i - 1]);
    }
    assert_true(curve.bits[STEGO_PRICES - 1] > 1000.0);
    picture_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_point_functions_are_near_the_real_ones),
        cmocka_unit_test(test_least_squares_find_the_weights),
        cmocka_unit_test(test_least_squares_bear_extremes),
        cmocka_unit_test(test_couplings_move_mass_outward_within_reach),
        cmocka_unit_test(test_couplings_without_room_are_made_again),
        cmocka_unit_test(test_what_was_counted_stays_and_what_has_no_room_is_told),
        cmocka_unit_test(test_all_kernels_predict_the_same),
        cmocka_unit_test(test_the_way_up_sees_what_the_way_down_saw),
        cmocka_unit_test(test_what_is_hidden_comes_back),
        cmocka_unit_test(test_no_bit_of_the_blob_may_be_another),
        cmocka_unit_test(test_planes_it_is_not_for_are_refused),
        cmocka_unit_test(test_rubbish_is_survived),
        cmocka_unit_test(test_a_higher_price_buys_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
