/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/stage.h"

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

static uint32_t roll_below(uint32_t *state, uint32_t n)
{
    return (roll(state) >> 3) % n;
}

/* A plane with everything that its struct refers to. */
struct scene {
    struct stego_plane plane;
    uint8_t *still;
    size_t count, run_begin, run_end;
};

static void scene_free(struct scene *s)
{
    free(s->plane.samples);
    free(s->still);
}

static void draw_format(struct stego_plane *p, uint32_t *state)
{
    static const int64_t ranges[] = {255, 1023, 4095, 32767, 65535, 65536, 16777215, UINT32_MAX};
    const int64_t range = ranges[roll_below(state, DS_ARRAY_SIZE(ranges))];
    const int64_t low = range == UINT32_MAX ? INT32_MIN : -(range + 1) / 2 * roll_below(state, 2);
    p->low = (int32_t)low;
    p->high = (int32_t)(low + range);
    p->has_padding = roll_below(state, 2) != 0;
    p->padding_min = (int32_t)(low + roll_below(state, 2) * (range / 2));
    p->padding_max = p->padding_min + (int32_t)roll_below(state, 3);
}

/* Smooth, flat at one end, dark noise, any noise, two values: what lies near an end of the range
 * is what can go wrong. */
static int32_t draw_sample(const struct stego_plane *p, unsigned style, size_t i, uint32_t *state)
{
    const int64_t range = (int64_t)p->high - p->low;
    int64_t v = 0;
    switch (style) {
    case 0:
        v = range / 3 + (int64_t)(i % p->columns) * 2 + roll_below(state, 5);
        break;
    case 1:
        v = range - (roll_below(state, 40) == 0);
        break;
    case 2:
        v = roll_below(state, 5);
        break;
    case 3:
        v = range < UINT32_MAX ? (int64_t)(roll(state) % (uint64_t)(range + 1)) : roll(state);
        break;
    default:
        v = (i / 3) % 2 != 0 ? range : 0;
    }
    return (int32_t)(p->low + (v < range ? v : range));
}

static void draw_scene(struct scene *s, uint32_t *state)
{
    struct stego_plane *p = &s->plane;
    const unsigned style = roll_below(state, 5);
    const uint32_t longest = roll_below(state, 8) == 0 ? 400 : 40;
    *s = (struct scene){
        .plane = {.columns = 1U + roll_below(state, longest), .rows = 1U + roll_below(state, 40)}};
    s->count = stego_plane_count(p);
    draw_format(p, state);
    p->samples = malloc(s->count * sizeof *p->samples);
    s->still = calloc(s->count, 1);
    assert_non_null(p->samples);
    assert_non_null(s->still);
    for (size_t i = 0; i < s->count; i++) {
        p->samples[i] = draw_sample(p, style, i, state);
        if (p->has_padding && roll_below(state, 30) == 0) {
            p->samples[i] = p->padding_min;
        }
        s->still[i] = roll_below(state, 20) == 0;
    }
    p->still = roll_below(state, 2) != 0 ? s->still : NULL;
    s->run_begin = roll_below(state, (uint32_t)s->count);
    s->run_end = s->run_begin + roll_below(state, (uint32_t)(s->count - s->run_begin) + 1);
}

static struct stego_plan draw_plan(uint32_t *state)
{
    struct stego_plan plan = stego_plan_uniform(0);
    const unsigned kinds = roll_below(state, 3) == 0 ? STEGO_OPS : 40; /* the short ones */
    for (unsigned c = 0; c < STEGO_CLASSES; c++) {
        plan.op[c] = (uint8_t)(roll_below(state, 3) != 0 ? roll_below(state, kinds)
                               : c > 0                   ? plan.op[c - 1]
                                                         : 0);
    }
    return plan;
}

static void scan_of(const struct scene *s, struct stego_scan *scan)
{
    assert_int_equal(stego_scan_init(scan, &s->plane, NULL), DS_OK);
    scan->run_begin = s->run_begin;
    scan->run_end = s->run_end;
}

static void result_free(struct stego_stage_result *r)
{
    ds_bytes_free(&r->blob);
}

/* Hides as many of `count` bits as fit and returns their number; out has a copy of the samples. */
static size_t embed(const struct scene *s, const struct stego_kernels *kernels, unsigned colour,
                    const struct stego_plan *plan, const uint8_t *bits, size_t count, int32_t *out,
                    struct stego_stage_result *result)
{
    DS_AUTO(stego_scan_finish) struct stego_scan scan;
    const int32_t *own = s->plane.samples;
    stego_kernels_force(kernels);
    scan_of(s, &scan);
    assert_int_equal(
        stego_stage_embed(&scan, colour, own, own, NULL, plan, bits, count, result, NULL), DS_OK);
    const size_t fits = result->bits;
    result_free(result);
    memcpy(out, own, s->count * sizeof *out);
    assert_int_equal(
        stego_stage_embed(&scan, colour, own, own, out, plan, bits, fits, result, NULL), DS_OK);
    assert_int_equal(result->bits, fits);
    stego_kernels_force(NULL);
    return fits;
}

static void check_samples(const struct scene *s, unsigned colour, const int32_t *out)
{
    const struct stego_plane *p = &s->plane;
    for (size_t i = 0; i < s->count; i++) {
        const bool is_padding =
            p->has_padding && p->samples[i] >= p->padding_min && p->samples[i] <= p->padding_max;
        const bool becomes_padding =
            p->has_padding && out[i] >= p->padding_min && out[i] <= p->padding_max;
        assert_true(out[i] >= p->low && out[i] <= p->high);
        assert_true(is_padding == becomes_padding);
        if (is_padding || (i % p->columns + i / p->columns + colour) % 2 != 0 ||
            (p->still != NULL && p->still[i] != 0) || (i >= s->run_begin && i < s->run_end)) {
            assert_int_equal(out[i], p->samples[i]);
        }
    }
}

static void extract(const struct scene *s, const struct stego_kernels *kernels, unsigned colour,
                    const struct stego_plan *plan, const struct stego_stage_result *result,
                    int32_t *samples, const uint8_t *bits)
{
    DS_AUTO(stego_scan_finish) struct stego_scan scan;
    DS_AUTO(stego_bits_free) struct stego_bits found = STEGO_BITS_INIT;
    struct stego_plan told;
    struct ds_error err = {0};
    stego_kernels_force(kernels);
    scan_of(s, &scan);
    assert_int_equal(stego_stage_extract(&scan, colour, samples, result->blob.data,
                                         result->blob.len, result->bits, &told, &found, &err),
                     DS_OK);
    assert_memory_equal(samples, s->plane.samples, s->count * sizeof *samples);
    assert_int_equal(found.count, result->bits);
    for (size_t i = 0; i < result->bits; i++) {
        assert_int_equal(stego_bit_at(found.bytes.data, i), stego_bit_at(bits, i));
    }
    if (result->bits != 0) {
        assert_memory_equal(&told, plan, sizeof told);
    }
    stego_kernels_force(NULL);
}

#define SCENES 6000U

static void whatever_is_hidden_comes_back_with_any_kernels(void **unused)
{
    (void)unused;
    uint32_t state = 20;
    size_t hidden = 0;
    for (unsigned round = 0; round < SCENES; round++) {
        DS_AUTO(scene_free) struct scene s;
        struct stego_stage_result result[2];
        draw_scene(&s, &state);
        const struct stego_plan plan = draw_plan(&state);
        const unsigned colour = roll_below(&state, 2);
        uint8_t *bits = malloc(s.count / 8 + 1);
        int32_t *out[2] = {malloc(s.count * sizeof(int32_t)), malloc(s.count * sizeof(int32_t))};
        assert_true(bits != NULL && out[0] != NULL && out[1] != NULL);
        for (size_t i = 0; i < s.count / 8 + 1; i++) {
            bits[i] = (uint8_t)(roll(&state) >> 8);
        }
        const size_t want =
            roll_below(&state, 3) == 0 ? s.count : roll_below(&state, (uint32_t)s.count + 1);
        const size_t fits = embed(&s, NULL, colour, &plan, bits, want, out[0], &result[0]);
        assert_int_equal(fits, embed(&s, &stego_kernels_portable, colour, &plan, bits, want, out[1],
                                     &result[1]));
        hidden += fits;
        check_samples(&s, colour, out[0]);
        assert_memory_equal(out[0], out[1], s.count * sizeof(int32_t));
        assert_int_equal(result[0].skipped, result[1].skipped);
        assert_int_equal(result[0].flags, result[1].flags);
        assert_int_equal(result[0].blob.len, result[1].blob.len);
        extract(&s, &stego_kernels_portable, colour, &plan, &result[0], out[0], bits);
        extract(&s, NULL, colour, &plan, &result[1], out[1], bits);
        result_free(&result[0]);
        result_free(&result[1]);
        free(out[0]);
        free(out[1]);
        free(bits);
    }
    assert_true(hidden > (size_t)SCENES * 50);
}

/* The blob of a random plan, and flags for as long as they last. */
static void draw_blob(uint32_t *state, struct stego_encoder *e)
{
    const struct stego_plan plan = draw_plan(state);
    stego_encoder_init(e);
    stego_plan_encode(&plan, e);
    for (unsigned i = 0; i < 20; i++) {
        stego_encode_plain(e, roll_below(state, 4) == 0, 1);
    }
    stego_encoder_finish(e);
    assert_false(e->failed);
}

static void what_no_embedder_made_is_refused_alike_by_all_kernels(void **unused)
{
    (void)unused;
    uint32_t state = 60;
    for (unsigned round = 0; round < 2000; round++) {
        DS_AUTO(scene_free) struct scene s;
        struct stego_encoder blob;
        struct stego_plan told;
        enum ds_status status[2];
        int32_t *samples[2];
        draw_scene(&s, &state);
        draw_blob(&state, &blob);
        const unsigned colour = roll_below(&state, 2);
        const size_t count = roll_below(&state, (uint32_t)s.count + 2);
        for (unsigned i = 0; i < 2; i++) {
            DS_AUTO(stego_scan_finish) struct stego_scan scan;
            DS_AUTO(stego_bits_free) struct stego_bits found = STEGO_BITS_INIT;
            stego_kernels_force(i == 0 ? &stego_kernels_portable : NULL);
            scan_of(&s, &scan);
            samples[i] = malloc(s.count * sizeof *samples[i]);
            assert_non_null(samples[i]);
            memcpy(samples[i], s.plane.samples, s.count * sizeof *samples[i]);
            status[i] = stego_stage_extract(&scan, colour, samples[i], blob.out.data, blob.out.len,
                                            count, &told, &found, NULL);
        }
        stego_kernels_force(NULL);
        assert_int_equal(status[0], status[1]);
        assert_memory_equal(samples[0], samples[1], s.count * sizeof(int32_t));
        free(samples[0]);
        free(samples[1]);
        ds_bytes_free(&blob.out);
    }
}

static void both_kernels_count_the_same_statistics(void **unused)
{
    (void)unused;
    uint32_t state = 30;
    struct stego_stats *stats = calloc(2, sizeof *stats);
    assert_non_null(stats);
    for (unsigned round = 0; round < 500; round++) {
        DS_AUTO(scene_free) struct scene s;
        draw_scene(&s, &state);
        memset(stats, 0, 2 * sizeof *stats);
        for (unsigned i = 0; i < 2; i++) {
            DS_AUTO(stego_scan_finish) struct stego_scan scan;
            stego_kernels_force(i == 0 ? &stego_kernels_portable : NULL);
            scan_of(&s, &scan);
            stego_stage_measure(&scan, round & 1U, s.plane.samples, s.plane.samples, &stats[i]);
        }
        assert_memory_equal(&stats[0], &stats[1], sizeof *stats);
    }
    stego_kernels_force(NULL);
    free(stats);
}

/* The classes of row 4 of 16 columns. */
static bool note_class(void *object, const struct stego_row *row)
{
    uint8_t *classes = object;
    if (row->index / 16 == 4) {
        memcpy(classes, row->class, row->count);
    }
    return true;
}

static void a_narrow_format_and_a_wide_one_see_the_same_classes(void **unused)
{
    (void)unused;
    uint32_t state = 40;
    for (unsigned round = 0; round < 200; round++) {
        int32_t samples[16 * 9];
        uint8_t classes[2][8];
        for (size_t i = 0; i < 16 * 9; i++) {
            samples[i] = (int32_t)(roll(&state) % (2U << (round % 15U)));
        }
        for (unsigned i = 0; i < 2; i++) {
            DS_AUTO(stego_scan_finish) struct stego_scan scan;
            const struct stego_plane plane = {
                .samples = samples, .columns = 16, .rows = 9, .high = i == 0 ? 65535 : 1 << 20};
            assert_int_equal(stego_scan_init(&scan, &plane, NULL), DS_OK);
            stego_scan_walk(&scan, 0, samples, samples, note_class, classes[i]);
        }
        assert_memory_equal(classes[0], classes[1], sizeof classes[0]);
    }
}

static void a_curve_never_falls_and_reaches_every_pixel(void **unused)
{
    (void)unused;
    uint32_t state = 50;
    DS_AUTO(stego_scan_finish) struct stego_scan scan;
    struct stego_stats *stats = calloc(2, sizeof *stats);
    struct stego_plane plane = {.columns = 128, .rows = 128, .high = 4095};
    struct stego_curve curve;
    plane.samples = malloc(stego_plane_count(&plane) * sizeof *plane.samples);
    assert_true(stats != NULL && plane.samples != NULL);
    for (size_t i = 0; i < stego_plane_count(&plane); i++) {
        plane.samples[i] = 1000 + (int32_t)(i % 128) + (int32_t)(roll(&state) % 9U);
    }
    assert_int_equal(stego_scan_init(&scan, &plane, NULL), DS_OK);
    stego_stage_measure(&scan, 0, plane.samples, plane.samples, &stats[0]);
    stego_stage_measure(&scan, 1, plane.samples, plane.samples, &stats[1]);
    stego_stats_curve((const struct stego_stats *const[2]){&stats[0], &stats[1]}, &curve);
    assert_true(curve.bits[0] < 1.0);
    for (unsigned i = 1; i < STEGO_PRICES; i++) {
        const double bits = curve.bits[i] - curve.bits[i - 1];
        const double error = curve.error[i] - curve.error[i - 1];
        assert_true(bits >= 0.0 && error >= 0.0);
        assert_true(error <= bits * stego_price(i) * 1.5 + 1.0);
    }
    assert_true(curve.bits[STEGO_PRICES - 1] > 16383.5);
    free(plane.samples);
    free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_hidden_comes_back_with_any_kernels),
        cmocka_unit_test(what_no_embedder_made_is_refused_alike_by_all_kernels),
        cmocka_unit_test(both_kernels_count_the_same_statistics),
        cmocka_unit_test(a_narrow_format_and_a_wide_one_see_the_same_classes),
        cmocka_unit_test(a_curve_never_falls_and_reaches_every_pixel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
