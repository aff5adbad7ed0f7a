/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/still.h"

#include "tests/unit/dicomstego/draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COLUMNS 50U
#define ROWS    37U

/* Two frames of three components, the second and third of half the columns. */
static struct stego_image half_colour(void)
{
    struct stego_image image = {.columns = COLUMNS,
                                .rows = ROWS,
                                .frames = 2,
                                .components = 3,
                                .chroma_halved = true,
                                .bits_stored = 8};
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    return image;
}

static void the_excluded_rectangle_is_still_in_its_frame_alone(void **state)
{
    (void)state;
    struct stego_image image = half_colour();
    const struct stego_rect rect = {.x = 7, .y = 5, .width = 4, .height = 3, .frame = 1};
    for (size_t i = 0; i < 6; i++) {
        const struct stego_plane plane = stego_plane_of(&image, i);
        const bool is_half = plane.columns != COLUMNS;
        const uint32_t first = is_half ? 3 : 7; /* columns 6 and 7 share a sample */
        const uint32_t last = is_half ? 5 : 10;
        uint8_t *still = draw_memory(stego_plane_count(&plane));
        stego_still_exclude(&image, i, &rect, still);
        for (uint32_t y = 0; y < plane.rows; y++) {
            for (uint32_t x = 0; x < plane.columns; x++) {
                const bool inside = i >= 3 && y >= 5 && y < 8 && x >= first && x <= last;
                assert_int_equal(still[y * plane.columns + x], inside ? STEGO_STILL_EXCLUDED : 0);
            }
        }
        free(still);
    }
    stego_image_free(&image);
}

/* Whole blocks of 8x8, and only those with something to preserve. */
static bool is_wanted(const struct stego_embed_options *o, uint32_t frame, unsigned halves,
                      uint32_t block_x, uint32_t block_y)
{
    bool wanted = false;
    for (uint32_t y = block_y * 8; y < block_y * 8 + 8 && y < ROWS; y++) {
        for (uint32_t x = block_x * 8 << halves; x < (block_x * 8 + 8) << halves && x < COLUMNS;
             x++) {
            const struct stego_rect *r = &o->preserve[0];
            wanted = wanted || o->mask[y * COLUMNS + x] != 0 ||
                     (frame == r->frame && x >= r->x && x < r->x + r->width && y >= r->y &&
                      y < r->y + r->height);
        }
    }
    return wanted;
}

static void a_map_tells_the_blocks_with_something_to_preserve(void **state)
{
    (void)state;
    struct stego_image image = half_colour();
    uint8_t mask[COLUMNS * ROWS] = {0};
    const struct stego_rect rect = {.x = 15, .y = 16, .width = 2, .height = 9, .frame = 1};
    const struct stego_embed_options options = {
        .preserve = &rect, .preserve_count = 1, .mask = mask};
    mask[0] = mask[9] = 1;
    mask[COLUMNS * ROWS - 1] = 200;
    for (size_t i = 0; i < 6; i++) {
        const struct stego_plane plane = stego_plane_of(&image, i);
        const size_t n = stego_plane_count(&plane);
        uint8_t *still = draw_memory(n);
        uint8_t *again = draw_memory(n);
        struct ds_bytes map = DS_BYTES_INIT(1000);
        assert_int_equal(stego_still_map(&image, i, &options, still, &map, NULL), DS_OK);
        assert_true(map.len > 0);
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t x = k % plane.columns / 8;
            const uint32_t y = k / plane.columns / 8;
            const bool wanted = is_wanted(&options, (uint32_t)i / 3, i % 3 != 0, x, y);
            assert_int_equal(still[k], wanted ? STEGO_STILL_MAPPED : 0);
        }
        assert_int_equal(stego_still_unmap(&plane, map.data, map.len, again, NULL), DS_OK);
        assert_memory_equal(again, still, n);
        ds_bytes_free(&map);
        free(still);
        free(again);
    }
    stego_image_free(&image);
}

static void nothing_to_preserve_needs_no_map(void **state)
{
    (void)state;
    struct stego_image image = half_colour();
    uint8_t mask[COLUMNS * ROWS] = {0};
    uint8_t still[COLUMNS * ROWS] = {0};
    struct ds_bytes map = DS_BYTES_INIT(1000);
    const struct stego_rect elsewhere = {.width = 9, .height = 9, .frame = 1};
    const struct stego_embed_options options = {
        .preserve = &elsewhere, .preserve_count = 1, .mask = mask};
    assert_int_equal(stego_still_map(&image, 0, &options, still, &map, NULL), DS_OK);
    assert_int_equal(map.len, 0);
    for (size_t i = 0; i < sizeof still; i++) {
        assert_int_equal(still[i], 0);
    }
    ds_bytes_free(&map);
    stego_image_free(&image);
}

static void any_bytes_are_a_map_and_any_map_comes_back(void **state)
{
    (void)state;
    struct draw d = {77};
    for (unsigned round = 0; round < 300; round++) {
        struct stego_image image = {.columns = draw_from(&d, 1, 60),
                                    .rows = draw_from(&d, 1, 60),
                                    .frames = 1,
                                    .components = 1,
                                    .bits_stored = 8};
        assert_int_equal(stego_image_new(&image, NULL), DS_OK);
        const struct stego_plane plane = stego_plane_of(&image, 0);
        const size_t n = stego_plane_count(&plane);
        const size_t len = draw_below(&d, 12);
        uint8_t *rubbish = draw_payload(len, &d);
        uint8_t *still = draw_memory(n);
        uint8_t *again = draw_memory(n);
        struct ds_bytes map = DS_BYTES_INIT(1000);
        assert_int_equal(stego_still_unmap(&plane, rubbish, len, still, NULL), DS_OK);
        /* What it says, asked for as a mask, is told in a map that says the same. */
        const struct stego_embed_options options = {.mask = still};
        assert_int_equal(stego_still_map(&image, 0, &options, again, &map, NULL), DS_OK);
        assert_memory_equal(again, still, n);
        ds_bytes_free(&map);
        free(rubbish);
        free(still);
        free(again);
        stego_image_free(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_excluded_rectangle_is_still_in_its_frame_alone),
        cmocka_unit_test(a_map_tells_the_blocks_with_something_to_preserve),
        cmocka_unit_test(nothing_to_preserve_needs_no_map),
        cmocka_unit_test(any_bytes_are_a_map_and_any_map_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
