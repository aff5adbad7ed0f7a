/* SPDX-License-Identifier: Apache-2.0 */
/* Images of many planes, of wide samples, with pixels to preserve, and with limits. */
#include "dicomstego/plane.h"

#include "dicomstego/engine.h"

#include <math.h>
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
    return *state >> 3;
}

static size_t count_of(const struct stego_image *image)
{
    size_t n = 0;
    assert_true(stego_image_count(image, &n));
    return n;
}

/* Each plane a gradient with noise, later ones noisier. */
static struct stego_image scene(struct stego_image image)
{
    uint32_t state = 4711;
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    const int64_t low = stego_image_min(&image);
    const int64_t range = (int64_t)stego_image_max(&image) - low;
    for (size_t k = 0; k < stego_planes_of(&image); k++) {
        const struct stego_plane p = stego_plane_of(&image, k);
        const uint32_t noise = (uint32_t)(3 + k % 7);
        for (size_t i = 0; i < stego_plane_count(&p); i++) {
            const int64_t ramp = (int64_t)(i % p.columns + i / p.columns) / 2;
            p.samples[i] = (int32_t)(low + range / 3 + ramp + (int64_t)(roll(&state) % noise));
        }
    }
    return image;
}

static const struct stego_image rgb = {
    .columns = 96, .rows = 80, .frames = 1, .components = 3, .bits_stored = 8};
static const struct stego_image film = {
    .columns = 64, .rows = 64, .frames = 20, .components = 1, .bits_stored = 12};

static uint8_t *noise(size_t bits, uint32_t state)
{
    uint8_t *data = malloc(bits / 8 + 1);
    assert_non_null(data);
    for (size_t i = 0; i < bits / 8 + 1; i++) {
        data[i] = (uint8_t)(roll(&state) >> 5);
    }
    return data;
}

static void check_same(const struct stego_image *a, const struct stego_image *b)
{
    assert_memory_equal(a->samples, b->samples, count_of(a) * sizeof(int32_t));
}

static void check_payload(const struct ds_bytes *found, const uint8_t *payload, size_t bits)
{
    assert_int_equal(found->len, (bits + 7) / 8);
    if (bits >= 8) {
        assert_memory_equal(found->data, payload, bits / 8);
    }
    for (size_t i = bits / 8 * 8; i < bits; i++) {
        assert_int_equal(found->data[i / 8] >> (7 - i % 8) & 1, payload[i / 8] >> (7 - i % 8) & 1);
    }
}

/* Embeds, extracts, compares; the carrier is handed out for more. */
static struct stego_embed_facts there_and_back(const struct stego_image *cover, size_t bits,
                                               const struct stego_embed_options *options,
                                               struct stego_image *carrier)
{
    struct stego_image back;
    struct stego_embed_facts facts;
    struct stego_extract_facts found;
    struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct ds_error err = {0};
    uint8_t *payload = noise(bits, 99);
    assert_int_equal(stego_image_copy(carrier, cover, NULL), DS_OK);
    assert_int_equal(stego_embed(carrier, payload, bits, options, &facts, &err), DS_OK);
    assert_true(stego_is_carrier(carrier));
    assert_int_equal(stego_image_copy(&back, carrier, NULL), DS_OK);
    back.has_padding = false;
    assert_int_equal(stego_extract(&back, NULL, &bytes, &found, &err), DS_OK);
    check_same(&back, cover);
    check_payload(&bytes, payload, bits);
    assert_int_equal(found.payload_bits, bits);
    assert_int_equal(found.planes, facts.planes);
    assert_int_equal(found.damaged, 0);
    free(payload);
    ds_bytes_free(&bytes);
    stego_image_free(&back);
    return facts;
}

static void planes_lie_one_after_the_other(void **state)
{
    (void)state;
    struct stego_image image = {.columns = 6,
                                .rows = 5,
                                .frames = 2,
                                .components = 3,
                                .chroma_halved = true,
                                .bits_stored = 8};
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    assert_int_equal(count_of(&image), 2 * 60);
    static const size_t begins[] = {0, 30, 45, 60, 90, 105};
    for (size_t i = 0; i < 6; i++) {
        const struct stego_plane p = stego_plane_of(&image, i);
        assert_ptr_equal(p.samples, image.samples + begins[i]);
        assert_int_equal(p.columns, i % 3 == 0 ? 6 : 3);
        assert_int_equal(p.rows, 5);
    }
    stego_image_free(&image);
}

static void colour_comes_back_in_every_sampling(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct stego_image shape = rgb;
        shape.chroma_halved = kind == 1;
        struct stego_image cover = scene(shape);
        struct stego_image carrier;
        for (unsigned effort = STEGO_FAST; effort <= STEGO_BALANCED; effort++) {
            const struct stego_embed_options options = {.effort = (enum stego_effort)effort};
            static const size_t sizes[] = {0, 1, 500, 5001};
            for (size_t i = 0; i < DS_ARRAY_SIZE(sizes); i++) {
                (void)there_and_back(&cover, sizes[i], &options, &carrier);
                stego_image_free(&carrier);
            }
        }
        stego_image_free(&cover);
    }
}

static void a_small_payload_goes_into_few_planes_and_a_large_one_into_many(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image carrier;
    const struct stego_embed_facts few = there_and_back(&cover, 100, NULL, &carrier);
    stego_image_free(&carrier);
    const struct stego_embed_facts many = there_and_back(&cover, 30000, NULL, &carrier);
    stego_image_free(&carrier);
    assert_int_equal(few.planes, 1);
    assert_true(many.planes > 10);
    stego_image_free(&cover);
}

/* Noise costs more than calm, so calm planes take the bits. */
static void the_price_is_the_same_in_all_planes(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image carrier;
    uint64_t changed[7] = {0};
    (void)there_and_back(&cover, 16000, NULL, &carrier);
    for (size_t k = 0; k < 14; k++) {
        const struct stego_plane a = stego_plane_of(&cover, k);
        const struct stego_plane b = stego_plane_of(&carrier, k);
        for (size_t i = 0; i < stego_plane_count(&a); i++) {
            changed[k % 7] += a.samples[i] != b.samples[i];
        }
    }
    assert_true(changed[0] > 2 * changed[6]);
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image alone;
    for (unsigned effort = STEGO_FAST; effort <= STEGO_BALANCED; effort++) {
        struct stego_embed_options options = {.effort = (enum stego_effort)effort};
        (void)there_and_back(&cover, 20000, &options, &alone);
        for (unsigned threads = 1; threads <= 5; threads += 2) {
            struct stego_image together;
            struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
            assert_int_equal(stego_pool_new(&options.pool, threads, NULL), DS_OK);
            (void)there_and_back(&cover, 20000, &options, &together);
            check_same(&alone, &together);
            assert_int_equal(stego_extract(&together, options.pool, &bytes, NULL, NULL), DS_OK);
            check_same(&together, &cover);
            stego_pool_free(options.pool);
            options.pool = NULL;
            ds_bytes_free(&bytes);
            stego_image_free(&together);
        }
        stego_image_free(&alone);
    }
    stego_image_free(&cover);
}

static void a_damaged_frame_costs_itself_and_the_payload_alone(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image carrier;
    struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_extract_facts facts;
    const struct stego_embed_facts made = there_and_back(&cover, 30000, NULL, &carrier);
    const struct stego_plane hurt = stego_plane_of(&carrier, 8);
    for (size_t i = 2000; i < 2040; i++) {
        hurt.samples[i] ^= 3;
    }
    assert_int_equal(stego_extract(&carrier, NULL, &bytes, &facts, NULL), DS_EAUTH);
    assert_int_equal(bytes.len, 0);
    assert_int_equal(facts.planes, made.planes);
    assert_int_equal(facts.damaged, 1);
    assert_int_equal(facts.first_damaged, 8);
    for (size_t k = 0; k < film.frames; k++) {
        const struct stego_plane a = stego_plane_of(&cover, k);
        const struct stego_plane b = stego_plane_of(&carrier, k);
        const size_t size = stego_plane_count(&a) * sizeof(int32_t);
        assert_true(k == 8 || memcmp(a.samples, b.samples, size) == 0);
    }
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

/* Frames cut out or in another order do not pass for the image. */
static void moved_and_missing_frames_are_noticed(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image carrier;
    struct stego_image other;
    struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    const size_t size = (size_t)64 * 64;
    (void)there_and_back(&cover, 60000, NULL, &carrier);
    assert_int_equal(stego_image_copy(&other, &carrier, NULL), DS_OK);
    memcpy(other.samples, carrier.samples + size, size * sizeof(int32_t));
    memcpy(other.samples + size, carrier.samples, size * sizeof(int32_t));
    assert_int_equal(stego_extract(&other, NULL, &bytes, NULL, NULL), DS_EAUTH);
    memcpy(other.samples, carrier.samples, film.frames * size * sizeof(int32_t));
    memcpy(other.samples + size, cover.samples + size, size * sizeof(int32_t));
    assert_int_equal(stego_extract(&other, NULL, &bytes, NULL, NULL), DS_EAUTH);
    assert_int_equal(bytes.len, 0);
    stego_image_free(&other);
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

/* Planes that the second payload does not need still have the first one's mark. */
static void a_carrier_of_many_planes_can_be_a_cover(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image once;
    struct stego_image twice;
    const struct stego_embed_facts first = there_and_back(&cover, 30000, NULL, &once);
    const struct stego_embed_facts second = there_and_back(&once, 50, NULL, &twice);
    assert_true(first.planes > 10);
    assert_true(second.planes >= first.planes);
    stego_image_free(&twice);
    stego_image_free(&once);
    stego_image_free(&cover);
}

static void wide_samples_come_back(void **state)
{
    (void)state;
    for (uint8_t bits = 15; bits <= 32; bits++) {
        for (unsigned is_signed = bits == 32; is_signed < 2; is_signed++) {
            struct stego_image shape = {.columns = 64,
                                        .rows = 64,
                                        .frames = 1,
                                        .components = 1,
                                        .bits_stored = bits,
                                        .is_signed = is_signed != 0};
            struct stego_image cover = scene(shape);
            struct stego_image carrier;
            /* The ends of the range, beside each other too. */
            for (size_t i = 0; i < 64; i++) {
                cover.samples[i] = stego_image_min(&cover);
                cover.samples[64 * 63 + i] = stego_image_max(&cover);
                cover.samples[64 * 62 + i] = stego_image_min(&cover);
            }
            cover.has_padding = bits % 2 == 0;
            cover.padding_min = cover.padding_max = stego_image_max(&cover);
            const struct stego_embed_options options = {.effort = STEGO_BALANCED};
            (void)there_and_back(&cover, 600, &options, &carrier);
            stego_image_free(&carrier);
            stego_image_free(&cover);
        }
    }
}

static bool holds(const struct stego_rect *r, size_t x, size_t y, size_t frame)
{
    return frame == r->frame && x >= r->x && x - r->x < r->width && y >= r->y &&
           y - r->y < r->height;
}

static void preserved_pixels_stay_as_they_are(void **state)
{
    (void)state;
    static const struct stego_rect preserve[] = {{10, 11, 30, 9, 0}, {60, 50, 20, 30, 1}};
    static uint8_t mask[96 * 80];
    for (size_t i = 0; i < sizeof mask; i++) {
        mask[i] = (uint8_t)(i / 96 > 30 && i / 96 < 44 && i % 96 < 70);
    }
    for (unsigned kind = 0; kind < 6; kind++) {
        struct stego_image shape = rgb;
        shape.frames = 2;
        shape.chroma_halved = kind % 2 == 1;
        struct stego_image cover = scene(shape);
        struct stego_image carrier;
        const struct stego_embed_options options = {.effort =
                                                        kind < 2 ? STEGO_FAST : STEGO_BALANCED,
                                                    .exclude = {50, 3, 21, 13, kind == 5},
                                                    .preserve = preserve,
                                                    .preserve_count = DS_ARRAY_SIZE(preserve),
                                                    .mask = kind % 4 < 2 ? mask : NULL};
        (void)there_and_back(&cover, 9000, &options, &carrier);
        for (size_t k = 0; k < 6; k++) {
            const struct stego_plane a = stego_plane_of(&cover, k);
            const struct stego_plane b = stego_plane_of(&carrier, k);
            for (size_t i = 0; i < stego_plane_count(&a); i++) {
                const size_t y = i / a.columns;
                const size_t x = i % a.columns * (96 / a.columns);
                if (holds(&preserve[0], x, y, k / 3) || holds(&preserve[1], x, y, k / 3) ||
                    holds(&options.exclude, x, y, k / 3) ||
                    (options.mask != NULL && mask[y * 96 + x] != 0)) {
                    assert_int_equal(a.samples[i], b.samples[i]);
                }
            }
        }
        stego_image_free(&carrier);
        stego_image_free(&cover);
    }
}

static void the_excluded_region_is_told_wherever_the_payload_is(void **state)
{
    (void)state;
    struct stego_image cover = scene(film);
    struct stego_image carrier;
    struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    for (uint32_t frame = 0; frame < film.frames; frame += 6) {
        const struct stego_embed_options options = {.exclude = {5, 6, 7, 8, frame}};
        struct stego_extract_facts facts;
        (void)there_and_back(&cover, 77, &options, &carrier);
        assert_int_equal(stego_extract(&carrier, NULL, &bytes, &facts, NULL), DS_OK);
        assert_memory_equal(&facts.exclude, &options.exclude, sizeof facts.exclude);
        ds_bytes_free(&bytes);
        stego_image_free(&carrier);
    }
    stego_image_free(&cover);
}

/* One bit more than the capacity is refused, and nothing has changed then. */
static void check_capacity(const struct stego_image *cover,
                           const struct stego_embed_options *options, struct stego_distortion *made)
{
    uint64_t bits = 0;
    struct stego_image carrier;
    assert_int_equal(stego_capacity_of(cover, options, &bits, NULL), DS_OK);
    uint8_t *payload = noise((size_t)bits + 1, 5);
    assert_int_equal(stego_image_copy(&carrier, cover, NULL), DS_OK);
    assert_int_equal(stego_embed(&carrier, payload, (size_t)bits + 1, options, NULL, NULL),
                     DS_ECAPACITY);
    check_same(&carrier, cover);
    stego_image_free(&carrier);
    free(payload);
    assert_true(bits > 0);
    (void)there_and_back(cover, (size_t)bits, options, &carrier);
    assert_int_equal(stego_image_compare(cover, &carrier, made, NULL), DS_OK);
    stego_image_free(&carrier);
}

static void limits_are_kept_and_the_capacity_is_true(void **state)
{
    (void)state;
    for (unsigned effort = STEGO_FAST; effort <= STEGO_BALANCED; effort++) {
        struct stego_image covers[] = {scene(film), scene(rgb)};
        covers[0].frames = 3;
        for (size_t i = 0; i < DS_ARRAY_SIZE(covers); i++) {
            struct stego_embed_options options = {.effort = (enum stego_effort)effort,
                                                  .max_passes = 2};
            struct stego_distortion made;
            check_capacity(&covers[i], &options, &made);
            for (options.max_difference = 1; options.max_difference < 9;
                 options.max_difference *= 3) {
                check_capacity(&covers[i], &options, &made);
                assert_true(made.max_difference <= options.max_difference);
            }
            options.max_difference = 0;
            options.min_psnr_db = i == 0 ? 80.0 : 57.0;
            check_capacity(&covers[i], &options, &made);
            assert_true(made.psnr_format_db >= options.min_psnr_db);
            assert_true(made.psnr_format_db < options.min_psnr_db + 3.0);
        }
        stego_image_free(&covers[0]);
        stego_image_free(&covers[1]);
    }
}

static void a_limit_that_nothing_keeps_leaves_no_room(void **state)
{
    (void)state;
    struct stego_image cover = scene(rgb);
    const struct stego_embed_options options = {.min_psnr_db = 300.0};
    uint64_t bits = 1;
    const uint8_t payload[] = {1};
    assert_int_equal(stego_capacity_of(&cover, &options, &bits, NULL), DS_OK);
    assert_int_equal(bits, 0);
    assert_int_equal(stego_embed(&cover, payload, 8, &options, NULL, NULL), DS_ECAPACITY);
    stego_image_free(&cover);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    static const struct stego_rect outside = {90, 0, 7, 1, 0};
    static const struct stego_rect many[STEGO_PRESERVE_MAX + 1];
    struct stego_image cover = scene(rgb);
    const struct stego_embed_options wrong[] = {
        {.preserve = &outside, .preserve_count = 1},
        {.preserve = many, .preserve_count = STEGO_PRESERVE_MAX + 1},
        {.min_psnr_db = -1.0},
        {.min_psnr_db = NAN},
        {.max_passes = STEGO_PASSES_MAX + 1}};
    const uint8_t payload[] = {1};
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        uint64_t bits = 0;
        assert_int_equal(stego_embed(&cover, payload, 8, &wrong[i], NULL, NULL), DS_EINVAL);
        assert_int_equal(stego_capacity_of(&cover, &wrong[i], &bits, NULL), DS_EINVAL);
    }
    cover.components = 2;
    assert_int_equal(stego_embed(&cover, payload, 8, NULL, NULL, NULL), DS_EINVAL);
    stego_image_free(&cover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planes_lie_one_after_the_other),
        cmocka_unit_test(colour_comes_back_in_every_sampling),
        cmocka_unit_test(a_small_payload_goes_into_few_planes_and_a_large_one_into_many),
        cmocka_unit_test(the_price_is_the_same_in_all_planes),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(a_damaged_frame_costs_itself_and_the_payload_alone),
        cmocka_unit_test(moved_and_missing_frames_are_noticed),
        cmocka_unit_test(a_carrier_of_many_planes_can_be_a_cover),
        cmocka_unit_test(wide_samples_come_back),
        cmocka_unit_test(preserved_pixels_stay_as_they_are),
        cmocka_unit_test(the_excluded_region_is_told_wherever_the_payload_is),
        cmocka_unit_test(limits_are_kept_and_the_capacity_is_true),
        cmocka_unit_test(a_limit_that_nothing_keeps_leaves_no_room),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
