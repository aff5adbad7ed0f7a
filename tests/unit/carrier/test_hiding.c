/* SPDX-License-Identifier: Apache-2.0 */
/* What people ask of hiding, from the options to the samples. */
#include "carrier/carrier_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 96U
#define ROWS    80U
#define FRAMES  3U
#define PLANE   ((size_t)COLUMNS * ROWS)
#define PADDING (-100)

static const struct stego_rect strip = {.y = 20, .width = COLUMNS, .height = 20};

/* Smooth with a little noise; a strip of padding across it. */
static struct stego_image make_cover(void)
{
    struct stego_image image = {
        .columns = COLUMNS,
        .rows = ROWS,
        .frames = FRAMES,
        .components = 1,
        .bits_stored = 12,
        .is_signed = true,
        .has_padding = true,
        .padding_min = PADDING,
        .padding_max = PADDING,
    };
    uint32_t noise = 1;
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    for (size_t i = 0; i < FRAMES * PLANE; i++) {
        noise = noise * 1664525U + 1013904223U;
        const uint32_t x = (uint32_t)(i % COLUMNS);
        const uint32_t y = (uint32_t)(i / COLUMNS % ROWS);
        const bool is_padding = y >= strip.y && y < strip.y + strip.height;
        image.samples[i] = is_padding ? PADDING : (int32_t)(3 * x + (noise >> 16) % 5U);
    }
    return image;
}

static struct ds_bytes make_payload(size_t len)
{
    struct ds_bytes b = DS_BYTES_INIT(1U << 20);
    assert_int_equal(ds_bytes_resize(&b, len, NULL), DS_OK);
    for (size_t i = 0; i < len; i++) {
        b.data[i] = (uint8_t)(i * 167U + i / 7U);
    }
    return b;
}

/* The carrier of a payload; what was asked for is proven to give both back. */
static struct stego_image hidden(const struct carrier_hiding *h, const struct stego_image *cover,
                                 size_t bytes)
{
    struct ds_error err = {0};
    struct stego_image carrier = {0};
    struct stego_image back = {0};
    struct ds_bytes payload = make_payload(bytes);
    struct ds_bytes found = DS_BYTES_INIT(1U << 20);
    assert_int_equal(stego_image_copy(&carrier, cover, NULL), DS_OK);
    if (carrier_hide(h, &carrier, NULL, payload.data, 8 * payload.len, NULL, &err) != DS_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(stego_image_copy(&back, &carrier, NULL), DS_OK);
    assert_int_equal(stego_extract(&back, NULL, &found, NULL, NULL), DS_OK);
    assert_int_equal(found.len, bytes);
    assert_memory_equal(found.data, payload.data, bytes);
    assert_memory_equal(back.samples, cover->samples, FRAMES * PLANE * sizeof(int32_t));
    stego_image_free(&back);
    ds_bytes_free(&found);
    ds_bytes_free(&payload);
    return carrier;
}

static size_t changes_in(const struct stego_image *a, const struct stego_image *b, uint32_t frame,
                         const struct stego_rect *r)
{
    size_t n = 0;
    for (uint32_t y = r->y; y < r->y + r->height; y++) {
        for (uint32_t x = r->x; x < r->x + r->width; x++) {
            const size_t at = frame * PLANE + (size_t)y * COLUMNS + x;
            n += a->samples[at] != b->samples[at] ? 1 : 0;
        }
    }
    return n;
}

static const struct stego_rect everything = {.width = COLUMNS, .height = ROWS};

#define BYTES 600U /* enough to need all frames */

static void rectangles_stay_as_they_are_in_one_frame_or_in_all(void **state)
{
    (void)state;
    struct stego_image cover = make_cover();
    struct stego_rect rectangles[] = {
        {.x = 30, .y = 10, .width = 40, .height = 50, .frame = 1},
        {.x = 70, .y = 5, .width = 9, .height = 9, .frame = CARRIER_EVERY_FRAME}};
    const struct carrier_hiding h = {.preserve = rectangles, .preserve_count = 2};
    struct stego_image carrier = hidden(&h, &cover, BYTES);
    assert_int_equal(changes_in(&cover, &carrier, 1, &rectangles[0]), 0);
    assert_true(changes_in(&cover, &carrier, 0, &rectangles[0]) +
                    changes_in(&cover, &carrier, 2, &rectangles[0]) >
                0);
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        assert_int_equal(changes_in(&cover, &carrier, frame, &rectangles[1]), 0);
    }
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

static void a_mask_holds_for_every_frame_together_with_rectangles(void **state)
{
    (void)state;
    struct stego_image cover = make_cover();
    uint8_t mask[PLANE] = {0};
    const struct stego_rect upper = {.width = COLUMNS, .height = ROWS / 4};
    struct stego_rect lower = {
        .y = 3 * ROWS / 4, .width = COLUMNS, .height = ROWS / 4, .frame = CARRIER_EVERY_FRAME};
    memset(mask, 7, PLANE / 4);
    const struct carrier_hiding h = {.preserve = &lower,
                                     .preserve_count = 1,
                                     .mask = mask,
                                     .mask_columns = COLUMNS,
                                     .mask_rows = ROWS};
    struct stego_image carrier = hidden(&h, &cover, BYTES);
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        assert_int_equal(changes_in(&cover, &carrier, frame, &upper), 0);
        assert_int_equal(changes_in(&cover, &carrier, frame, &lower), 0);
    }
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

static void what_is_not_of_the_image_is_refused(void **state)
{
    (void)state;
    struct stego_image cover = make_cover();
    const uint8_t mask[4] = {0};
    struct stego_rect r[] = {
        {.x = COLUMNS - 1, .y = 0, .width = 2, .height = 1},
        {.x = UINT32_MAX, .y = 0, .width = 2, .height = 1},
        {.x = 0, .y = 0, .width = 1, .height = 1, .frame = FRAMES},
        {.x = 0, .y = 0, .width = 0, .height = 1},
        {.x = 0, .y = ROWS, .width = 1, .height = 1, .frame = CARRIER_EVERY_FRAME},
    };
    uint64_t bits = 1;
    for (size_t i = 0; i < DS_ARRAY_SIZE(r); i++) {
        const struct carrier_hiding h = {.preserve = &r[i], .preserve_count = 1};
        assert_int_equal(carrier_hiding_fits(&h, &cover, NULL), DS_EINVAL);
        assert_int_equal(carrier_hiding_capacity(&h, &cover, NULL, &bits, NULL), DS_EINVAL);
        assert_int_equal(bits, 0);
    }
    const struct carrier_hiding h = {.mask = mask, .mask_columns = 2, .mask_rows = 2};
    assert_int_equal(carrier_hiding_fits(&h, &cover, NULL), DS_EINVAL);
    stego_image_free(&cover);
}

static void declared_padding_changes_only_when_it_may(void **state)
{
    (void)state;
    struct stego_image cover = make_cover();
    struct carrier_hiding h = {.effort = STEGO_FAST};
    struct stego_image carrier = hidden(&h, &cover, BYTES);
    size_t changed = 0;
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        changed += changes_in(&cover, &carrier, frame, &strip);
    }
    assert_int_equal(changed, 0);
    for (size_t i = 0; i < FRAMES * PLANE; i++) {
        assert_true(carrier.samples[i] != PADDING || cover.samples[i] == PADDING);
    }
    stego_image_free(&carrier);
    h.use_padding = true;
    carrier = hidden(&h, &cover, BYTES);
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        changed += changes_in(&cover, &carrier, frame, &strip);
    }
    assert_true(changed > 0); /* flat: the cheapest place there is */
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

static void limits_are_kept_or_nothing_is_changed(void **state)
{
    (void)state;
    struct stego_image cover = make_cover();
    struct stego_distortion d;
    struct carrier_hiding h = {.max_difference = 1};
    struct stego_image carrier = hidden(&h, &cover, 200);
    assert_int_equal(stego_image_compare(&cover, &carrier, &d, NULL), DS_OK);
    assert_int_equal(d.max_difference, 1);
    stego_image_free(&carrier);
    h = (struct carrier_hiding){.min_psnr_db = 70};
    carrier = hidden(&h, &cover, 200);
    assert_int_equal(stego_image_compare(&cover, &carrier, &d, NULL), DS_OK);
    assert_true(d.psnr_format_db >= 70);
    h.min_psnr_db = d.psnr_format_db + 30;
    struct stego_image same = {0};
    struct ds_bytes payload = make_payload(200);
    assert_int_equal(stego_image_copy(&same, &cover, NULL), DS_OK);
    assert_int_equal(carrier_hide(&h, &same, NULL, payload.data, 8 * payload.len, NULL, NULL),
                     DS_ECAPACITY);
    assert_memory_equal(same.samples, cover.samples, FRAMES * PLANE * sizeof(int32_t));
    ds_bytes_free(&payload);
    stego_image_free(&same);
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

static void every_wish_takes_from_the_capacity(void **state)
{
    (void)state;
    struct stego_image cover = make_cover();
    struct stego_rect half = {.width = COLUMNS, .height = ROWS / 2, .frame = CARRIER_EVERY_FRAME};
    const struct carrier_hiding wishes[] = {
        {.effort = STEGO_FAST},
        {.effort = STEGO_FAST, .max_difference = 1},
        {.effort = STEGO_FAST, .min_psnr_db = 65},
        {.effort = STEGO_FAST, .preserve = &half, .preserve_count = 1},
    };
    uint64_t most = 0;
    uint64_t none = 0;
    assert_int_equal(carrier_hiding_capacity(&wishes[0], &cover, NULL, &most, NULL), DS_OK);
    for (size_t i = 1; i < DS_ARRAY_SIZE(wishes); i++) {
        uint64_t bits = 0;
        assert_int_equal(carrier_hiding_capacity(&wishes[i], &cover, NULL, &bits, NULL), DS_OK);
        assert_true(bits > 0 && bits < most);
    }
    assert_int_equal(carrier_hiding_capacity(&wishes[0], &cover, &everything, &none, NULL), DS_OK);
    assert_true(none < most);
    stego_image_free(&cover);
}

static void an_image_holds_its_capacity_and_no_byte_more(void **state)
{
    (void)state;
    const struct carrier_hiding h = {.effort = STEGO_FAST};
    struct stego_image cover = make_cover();
    uint64_t bits = 0;
    bool holds = false;
    assert_int_equal(carrier_hiding_capacity(&h, &cover, NULL, &bits, NULL), DS_OK);
    assert_true(bits > 64);
    assert_int_equal(carrier_hiding_holds(&h, &cover, NULL, (size_t)bits / 8, &holds, NULL), DS_OK);
    assert_true(holds);
    assert_int_equal(carrier_hiding_holds(&h, &cover, NULL, (size_t)bits / 8 + 1, &holds, NULL),
                     DS_OK);
    assert_false(holds);
    stego_image_free(&cover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rectangles_stay_as_they_are_in_one_frame_or_in_all),
        cmocka_unit_test(a_mask_holds_for_every_frame_together_with_rectangles),
        cmocka_unit_test(what_is_not_of_the_image_is_refused),
        cmocka_unit_test(declared_padding_changes_only_when_it_may),
        cmocka_unit_test(limits_are_kept_or_nothing_is_changed),
        cmocka_unit_test(every_wish_takes_from_the_capacity),
        cmocka_unit_test(an_image_holds_its_capacity_and_no_byte_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
