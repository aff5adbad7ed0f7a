/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/engine.h"

#include "base/file.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every draw comes from a seed, so that a failure can be met again. */
struct dice {
    uint32_t state;
};

static uint32_t roll(struct dice *d)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 17;
    d->state ^= d->state << 5;
    return d->state;
}

static uint32_t roll_below(struct dice *d, uint32_t n)
{
    return (roll(d) >> 3) % n;
}

static size_t count_of(const struct stego_image *image)
{
    size_t n = 0;
    assert_true(stego_image_count(image, &n));
    return n;
}

enum content { SMOOTH, FLAT_LOW, FLAT_HIGH, NOISE, DARK_NOISE, SATURATED, CONTENTS };

static int32_t clip(const struct stego_image *image, int64_t x)
{
    const int32_t low = stego_image_min(image);
    const int32_t high = stego_image_max(image);
    return x < low ? low : x > high ? high : (int32_t)x;
}

static int32_t paint_sample(const struct stego_image *image, enum content content, size_t i,
                            struct dice *d)
{
    const int64_t low = stego_image_min(image);
    const int64_t range = stego_image_max(image) - low;
    const int64_t x = (int64_t)(i % image->columns);
    const int64_t y = (int64_t)(i / image->columns % image->rows);
    switch (content) {
    case FLAT_LOW:
        return (int32_t)low;
    case FLAT_HIGH:
        return (int32_t)(low + range);
    case NOISE:
        return (int32_t)(low + roll_below(d, (uint32_t)range + (range < UINT32_MAX)));
    case DARK_NOISE:
        return clip(image, low + (int64_t)roll_below(d, 6) - 2);
    case SATURATED:
        return (x / 5 + y / 7) % 2 != 0 ? (int32_t)low : (int32_t)(low + range);
    default:
        return clip(image, low + range / 3 + x * 3 + y * 2 + (int64_t)roll_below(d, 9));
    }
}

static void paint(struct stego_image *image, enum content content, struct dice *d)
{
    assert_int_equal(stego_image_new(image, NULL), DS_OK);
    const size_t n = count_of(image);
    for (size_t i = 0; i < n; i++) {
        image->samples[i] = paint_sample(image, content, i, d);
        if (image->has_padding && content != SMOOTH && roll_below(d, 400) == 0) {
            image->samples[i] = image->padding_min;
        }
        if (image->has_padding && content == SMOOTH && i % image->columns < image->columns / 4) {
            image->samples[i] = image->padding_max;
        }
    }
}

static uint8_t *draw_payload(size_t len, struct dice *d)
{
    uint8_t *payload = malloc(len + 1);
    assert_non_null(payload);
    for (size_t i = 0; i < len; i++) {
        payload[i] = (uint8_t)(roll(d) >> 8);
    }
    return payload;
}

static bool in_padding(const struct stego_image *image, int32_t x)
{
    return image->has_padding && x >= image->padding_min && x <= image->padding_max;
}

static bool in_rect(const struct stego_image *image, const struct stego_rect *r, size_t i)
{
    const size_t x = i % image->columns;
    const size_t y = i / image->columns % image->rows;
    const size_t f = i / image->columns / image->rows;
    return r->width != 0 && f == r->frame && x >= r->x && x < (size_t)r->x + r->width &&
           y >= r->y && y < (size_t)r->y + r->height;
}

/* What must hold for every carrier, whatever it carries. */
static void check_carrier(const struct stego_image *cover, const struct stego_image *carrier,
                          const struct stego_rect *exclude)
{
    const size_t n = count_of(cover);
    for (size_t i = 0; i < n; i++) {
        const int32_t x = carrier->samples[i];
        assert_true(x >= stego_image_min(cover) && x <= stego_image_max(cover));
        assert_int_equal(in_padding(cover, cover->samples[i]), in_padding(cover, x));
        if (in_padding(cover, x) || in_rect(cover, exclude, i)) {
            assert_int_equal(x, cover->samples[i]);
        }
    }
}

static void check_way_back_bits(const struct stego_image *cover, const struct stego_image *carrier,
                                const uint8_t *payload, size_t bits,
                                const struct stego_rect *exclude)
{
    struct stego_image found;
    struct stego_extract_facts facts = {.exclude = {9, 9, 9, 9, 9}};
    struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct ds_error err = {0};
    assert_int_equal(stego_image_copy(&found, carrier, NULL), DS_OK);
    found.has_padding = false; /* the reader is not told */
    assert_true(stego_is_carrier(&found));
    assert_int_equal(stego_extract(&found, NULL, &bytes, &facts, &err), DS_OK);
    assert_int_equal(bytes.len, (bits + 7) / 8);
    assert_memory_equal(bits < 8 ? payload : bytes.data, payload, bits / 8);
    if (bits % 8 != 0) {
        assert_int_equal(bytes.data[bits / 8], payload[bits / 8] & (0xFF << (8 - bits % 8)) & 0xFF);
    }
    assert_memory_equal(found.samples, cover->samples, count_of(cover) * sizeof(int32_t));
    assert_int_equal(facts.payload_bits, bits);
    assert_int_equal(facts.damaged, 0);
    assert_int_equal(facts.exclude.width, exclude->width);
    if (exclude->width != 0) {
        assert_memory_equal(&facts.exclude, exclude, sizeof *exclude);
    }
    ds_bytes_free(&bytes);
    stego_image_free(&found);
}

static void check_way_back(const struct stego_image *cover, const struct stego_image *carrier,
                           const uint8_t *payload, size_t len, const struct stego_rect *exclude)
{
    check_way_back_bits(cover, carrier, payload, 8 * len, exclude);
}

/* Embeds and checks everything; DS_OK or DS_ECAPACITY. */
static enum ds_status round_trip_bits(const struct stego_image *cover, const uint8_t *payload,
                                      size_t bits, const struct stego_embed_options *options,
                                      struct stego_embed_facts *facts)
{
    struct stego_image carrier;
    assert_int_equal(stego_image_copy(&carrier, cover, NULL), DS_OK);
    const enum ds_status s = stego_embed(&carrier, payload, bits, options, facts, NULL);
    if (s == DS_OK) {
        check_carrier(cover, &carrier, &options->exclude);
        check_way_back_bits(cover, &carrier, payload, bits, &options->exclude);
    } else {
        assert_int_equal(s, DS_ECAPACITY);
        assert_memory_equal(carrier.samples, cover->samples, count_of(cover) * sizeof(int32_t));
    }
    stego_image_free(&carrier);
    return s;
}

static enum ds_status round_trip(const struct stego_image *cover, const uint8_t *payload,
                                 size_t len, const struct stego_embed_options *options,
                                 struct stego_embed_facts *facts)
{
    return round_trip_bits(cover, payload, 8 * len, options, facts);
}

static struct stego_image draw_geometry(struct dice *d)
{
    static const uint32_t sides[] = {1, 3, 16, 31, 40, 64, 65, 100, 200};
    struct stego_image image = {.columns = sides[roll_below(d, DS_ARRAY_SIZE(sides))],
                                .rows = sides[roll_below(d, DS_ARRAY_SIZE(sides))],
                                .frames = 1 + roll_below(d, 3),
                                .components = 1};
    image.bits_stored = (uint8_t)(STEGO_BITS_MIN + roll_below(d, roll_below(d, 4) == 0 ? 24 : 9));
    image.is_signed = roll_below(d, 2) != 0;
    image.has_padding = roll_below(d, 2) != 0;
    const int32_t low = stego_image_min(&image);
    const int32_t high = stego_image_max(&image);
    const uint32_t range = (uint32_t)((int64_t)high - low);
    switch (roll_below(d, 3)) {
    case 0:
        image.padding_min = low;
        break;
    case 1:
        image.padding_min = high - 3;
        break;
    default:
        image.padding_min = (int32_t)((int64_t)low + roll_below(d, range));
        break;
    }
    image.padding_max = clip(&image, (int64_t)image.padding_min + roll_below(d, 4));
    return image;
}

static struct stego_rect draw_rect(const struct stego_image *image, struct dice *d)
{
    struct stego_rect r = {.x = roll_below(d, image->columns),
                           .y = roll_below(d, image->rows),
                           .frame = roll_below(d, image->frames)};
    if (roll_below(d, 2) == 0) {
        return (struct stego_rect){0};
    }
    r.width = 1 + roll_below(d, image->columns - r.x);
    r.height = 1 + roll_below(d, image->rows - r.y);
    return r;
}

static void any_image_and_payload_come_back_or_do_not_fit(void **state)
{
    (void)state;
    unsigned fitted = 0;
    for (uint32_t seed = 1; seed <= 250; seed++) {
        struct dice d = {seed * 2654435761U};
        struct stego_image cover = draw_geometry(&d);
        paint(&cover, (enum content)roll_below(&d, CONTENTS), &d);
        const size_t n = count_of(&cover);
        const size_t len = roll_below(&d, (uint32_t)(n / 10 + 4));
        uint8_t *payload = draw_payload(len, &d);
        const struct stego_embed_options options = {
            .exclude = draw_rect(&cover, &d),
            .max_passes = roll_below(&d, 5),
            .effort = roll_below(&d, 3) == 0 ? STEGO_BALANCED : STEGO_FAST};
        fitted += round_trip(&cover, payload, len, &options, NULL) == DS_OK;
        free(payload);
        stego_image_free(&cover);
    }
    assert_true(fitted > 40);
}

static void what_capacity_promises_can_be_embedded_and_no_bit_more(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 120; seed++) {
        struct dice d = {seed * 40503U + 77U};
        struct stego_image cover = draw_geometry(&d);
        uint64_t bits = 0;
        paint(&cover, (enum content)roll_below(&d, CONTENTS), &d);
        const struct stego_embed_options options = {.exclude = draw_rect(&cover, &d),
                                                    .max_passes = roll_below(&d, 3)};
        assert_int_equal(stego_capacity_of(&cover, &options, &bits, NULL), DS_OK);
        uint8_t *payload = draw_payload((size_t)bits / 8 + 1, &d);
        if (bits > 0) {
            assert_int_equal(round_trip_bits(&cover, payload, (size_t)bits, &options, NULL), DS_OK);
        }
        assert_int_equal(round_trip_bits(&cover, payload, (size_t)bits + 1, &options, NULL),
                         DS_ECAPACITY);
        free(payload);
        stego_image_free(&cover);
    }
}

/* A noisy disc with a gradient, in whole numbers. */
static struct stego_image phantom(uint32_t columns, uint32_t rows, uint32_t frames)
{
    struct stego_image image = {.columns = columns,
                                .rows = rows,
                                .frames = frames,
                                .components = 1,
                                .bits_stored = 12,
                                .is_signed = true};
    struct dice d = {4711};
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    const size_t n = count_of(&image);
    for (size_t i = 0; i < n; i++) {
        const int32_t x = 2 * (int32_t)(i % columns) - (int32_t)columns;
        const int32_t y = 2 * (int32_t)(i / columns % rows) - (int32_t)rows;
        const bool inside = x * x + y * y < (int32_t)(columns * rows) * 3 / 4;
        image.samples[i] = inside ? 40 + x / 4 + (int32_t)roll_below(&d, 7) : -1000;
    }
    return image;
}

static const struct stego_embed_options no_options;

static void every_payload_length_of_a_small_image_comes_back(void **state)
{
    (void)state;
    struct stego_image cover = phantom(32, 32, 1);
    struct dice d = {5};
    uint8_t *payload = draw_payload(1000, &d);
    enum ds_status last = DS_OK;
    size_t fitted = 0;
    for (size_t len = 0; len < 1000 && last == DS_OK; len++) {
        last = round_trip(&cover, payload, len, &no_options, NULL);
        fitted = last == DS_OK ? len : fitted;
    }
    assert_int_equal(last, DS_ECAPACITY);
    assert_true(fitted > 60);
    free(payload);
    stego_image_free(&cover);
}

static void pixels_behind_the_last_bit_are_not_moved(void **state)
{
    (void)state;
    /* In a flat image each pixel takes a bit, so all must have stopped long before the middle. */
    struct stego_image cover = {
        .columns = 256, .rows = 256, .frames = 1, .components = 1, .bits_stored = 8};
    struct stego_image carrier;
    struct dice d = {6};
    uint8_t *payload = draw_payload(100, &d);
    assert_int_equal(stego_image_new(&cover, NULL), DS_OK);
    assert_int_equal(stego_image_copy(&carrier, &cover, NULL), DS_OK);
    assert_int_equal(stego_embed(&carrier, payload, 8 * 100, NULL, NULL, NULL), DS_OK);
    for (size_t i = (size_t)128 * 256; i < (size_t)256 * 256; i++) {
        assert_int_equal(carrier.samples[i], 0);
    }
    check_way_back(&cover, &carrier, payload, 100, &no_options.exclude);
    stego_image_free(&carrier);
    stego_image_free(&cover);
    free(payload);
}

static void the_mark_may_lie_anywhere_and_old_memory_does_not_matter(void **state)
{
    (void)state;
    struct dice d = {7};
    uint8_t *payload = draw_payload(60, &d);
    for (uint32_t y = 0; y < 64; y += 7) {
        struct stego_image cover = phantom(64, 64, 1);
        struct stego_image first;
        struct stego_image second;
        /* Leaves the run no choice but the rows around y. */
        const struct stego_embed_options options = {
            .exclude = {0, y, 64, 24 < 64 - y ? 24 : 64 - y, 0}};
        assert_int_equal(stego_image_copy(&first, &cover, NULL), DS_OK);
        assert_int_equal(stego_image_copy(&second, &cover, NULL), DS_OK);
        assert_int_equal(stego_embed(&first, payload, 8 * 60, &options, NULL, NULL), DS_OK);
        void *dirt = malloc(64 * 64 * 8);
        assert_non_null(dirt);
        memset(dirt, 0xA5, 64 * 64 * 8);
        free(dirt);
        assert_int_equal(stego_embed(&second, payload, 8 * 60, &options, NULL, NULL), DS_OK);
        assert_memory_equal(first.samples, second.samples, sizeof(int32_t) * 64 * 64);
        check_carrier(&cover, &first, &options.exclude);
        check_way_back(&cover, &first, payload, 60, &options.exclude);
        stego_image_free(&first);
        stego_image_free(&second);
        stego_image_free(&cover);
    }
    free(payload);
}

static void a_flat_background_takes_bits_at_both_ends_of_the_range(void **state)
{
    (void)state;
    for (unsigned bits = STEGO_BITS_MIN; bits <= 16; bits++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            struct stego_image cover = {.columns = 64, .rows = 64, .frames = 1, .components = 1};
            struct dice d = {bits * 4 + kind + 1};
            struct stego_embed_facts facts;
            cover.bits_stored = (uint8_t)bits;
            cover.is_signed = kind > 1;
            paint(&cover, kind % 2 == 0 ? FLAT_LOW : FLAT_HIGH, &d);
            uint8_t *payload = draw_payload(300, &d);
            assert_int_equal(round_trip(&cover, payload, 300, &no_options, &facts), DS_OK);
            assert_in_range(facts.passes, 1, 2);
            free(payload);
            stego_image_free(&cover);
        }
    }
}

static void tiny_and_thin_images_are_right_or_too_small(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 4097}, {4097, 1}, {2, 300}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(sizes); i++) {
        struct stego_image cover = {.columns = sizes[i][0],
                                    .rows = sizes[i][1],
                                    .frames = 1,
                                    .components = 1,
                                    .bits_stored = 12};
        struct dice d = {(uint32_t)i + 11};
        paint(&cover, i == 3 ? DARK_NOISE : FLAT_LOW, &d);
        uint8_t *payload = draw_payload(20, &d);
        const enum ds_status s = round_trip(&cover, payload, 20, &no_options, NULL);
        assert_int_equal(s, count_of(&cover) < 1000 ? DS_ECAPACITY : DS_OK);
        free(payload);
        stego_image_free(&cover);
    }
}

static void many_passes_come_back_in_the_right_order(void **state)
{
    (void)state;
    struct stego_image cover = {.columns = 64,
                                .rows = 64,
                                .frames = 1,
                                .components = 1,
                                .bits_stored = 16,
                                .is_signed = true};
    struct dice d = {21};
    const struct stego_embed_options one = {.max_passes = 1};
    uint64_t in_one = 0;
    uint64_t in_all = 0;
    struct stego_embed_facts facts;
    bool seen[STEGO_PASSES_MAX + 1] = {false};
    assert_int_equal(stego_image_new(&cover, NULL), DS_OK);
    for (size_t i = 0; i < (size_t)64 * 64; i++) {
        cover.samples[i] = 900 + (int32_t)roll_below(&d, 300);
    }
    assert_int_equal(stego_capacity_of(&cover, &one, &in_one, NULL), DS_OK);
    assert_int_equal(stego_capacity_of(&cover, NULL, &in_all, NULL), DS_OK);
    assert_true(in_all > 2 * in_one);
    uint8_t *payload = draw_payload((size_t)in_all / 8, &d);
    for (size_t len = 50; 8 * len <= in_all; len += 150) {
        assert_int_equal(round_trip(&cover, payload, len, &no_options, &facts), DS_OK);
        assert_in_range(facts.passes, 1, STEGO_PASSES_MAX);
        assert_true(facts.hidden_bits > 8 * len);
        seen[facts.passes] = true;
    }
    assert_true(seen[1] && seen[2] && seen[STEGO_PASSES_MAX]);
    free(payload);
    stego_image_free(&cover);
}

static void the_number_of_passes_is_bounded_by_the_caller(void **state)
{
    (void)state;
    struct stego_image cover = phantom(64, 64, 1);
    uint64_t bits = 0;
    struct dice d = {22};
    const struct stego_embed_options one = {.max_passes = 1};
    const struct stego_embed_options five = {.max_passes = STEGO_PASSES_MAX + 1};
    assert_int_equal(stego_capacity_of(&cover, &one, &bits, NULL), DS_OK);
    const size_t len = (size_t)bits / 8 + 20;
    uint8_t *payload = draw_payload(len, &d);
    assert_int_equal(round_trip(&cover, payload, len, &one, NULL), DS_ECAPACITY);
    assert_int_equal(round_trip(&cover, payload, len, &no_options, NULL), DS_OK);
    assert_int_equal(stego_embed(&cover, payload, 8 * len, &five, NULL, NULL), DS_EINVAL);
    free(payload);
    stego_image_free(&cover);
}

static void a_carrier_can_itself_be_a_cover(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct stego_image cover = phantom(96, 96, 1);
        struct stego_image once;
        struct stego_image twice;
        struct dice d = {seed * 7919U};
        uint8_t *payload = draw_payload(80, &d);
        /* The second mark would rather lie behind the first, where the image is wild. */
        for (size_t i = (size_t)96 * 70; seed % 2 == 0 && i < (size_t)96 * 74; i++) {
            cover.samples[i] = (int32_t)roll_below(&d, 100);
        }
        assert_int_equal(stego_image_copy(&once, &cover, NULL), DS_OK);
        assert_int_equal(stego_embed(&once, payload, 640, NULL, NULL, NULL), DS_OK);
        assert_int_equal(stego_image_copy(&twice, &once, NULL), DS_OK);
        for (size_t i = (size_t)96 * 80; i < (size_t)96 * 86; i++) {
            once.samples[i] = twice.samples[i] = (int32_t)roll_below(&d, 1000);
        }
        assert_int_equal(stego_embed(&twice, payload + 30, 8 * 40, NULL, NULL, NULL), DS_OK);
        check_way_back(&once, &twice, payload + 30, 40, &no_options.exclude);
        stego_image_free(&once);
        stego_image_free(&twice);
        stego_image_free(&cover);
        free(payload);
    }
}

/* Whatever one pixel becomes: refused, or not what it was. */
static void check_altered(const struct stego_image *cover, const struct stego_image *carrier,
                          size_t at, int32_t x, const uint8_t *payload, size_t len)
{
    struct stego_image found;
    struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    const size_t size = count_of(cover) * sizeof(int32_t);
    assert_int_equal(stego_image_copy(&found, carrier, NULL), DS_OK);
    found.samples[at] = x;
    assert_true(stego_is_carrier(&found));
    const enum ds_status s = stego_extract(&found, NULL, &bytes, NULL, NULL);
    if (s == DS_OK) {
        assert_true(bytes.len != len || memcmp(bytes.data, payload, len) != 0 ||
                    memcmp(found.samples, cover->samples, size) != 0);
    } else {
        assert_int_equal(s, DS_EAUTH);
        assert_int_equal(bytes.len, 0);
    }
    ds_bytes_free(&bytes);
    stego_image_free(&found);
}

static void one_altered_pixel_never_passes_unseen(void **state)
{
    (void)state;
    /* One pass of the board, several of them, and the chain. */
    for (unsigned kind = 0; kind < 3; kind++) {
        const struct stego_embed_options options = {.effort =
                                                        kind == 2 ? STEGO_BALANCED : STEGO_FAST};
        struct stego_image cover = phantom(48, 48, 1);
        struct stego_image carrier;
        struct stego_embed_facts facts;
        struct dice d = {31 + kind};
        const size_t len = kind == 0 ? 40 : kind == 1 ? 330 : 80;
        uint8_t *payload = draw_payload(len, &d);
        cover.has_padding = true;
        cover.padding_min = cover.padding_max = -1001;
        for (size_t i = 5; i < count_of(&cover) / 2; i += 29) {
            cover.samples[i] = -1001;
        }
        assert_int_equal(stego_image_copy(&carrier, &cover, NULL), DS_OK);
        assert_int_equal(stego_embed(&carrier, payload, 8 * len, &options, &facts, NULL), DS_OK);
        assert_true(kind != 1 || facts.passes > 1);
        assert_int_equal(facts.chained, kind == 2);
        for (size_t i = 0; i < count_of(&cover); i++) {
            const int32_t x = carrier.samples[i];
            const int32_t other = (int32_t)roll_below(&d, 4096) - 2048;
            check_altered(&cover, &carrier, i, x ^ 1, payload, len);
            check_altered(&cover, &carrier, i, x - 1, payload, len);
            check_altered(&cover, &carrier, i, other != x ? other : x + 2, payload, len);
        }
        stego_image_free(&carrier);
        stego_image_free(&cover);
        free(payload);
    }
}

static void a_cut_or_overwritten_carrier_is_refused_or_empty(void **state)
{
    (void)state;
    struct stego_image cover = phantom(64, 64, 1);
    struct dice d = {41};
    uint8_t *payload = draw_payload(200, &d);
    assert_int_equal(stego_embed(&cover, payload, 8 * 200, NULL, NULL, NULL), DS_OK);
    for (uint32_t rows = 1; rows < 64; rows++) {
        struct stego_image cut;
        struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
        assert_int_equal(stego_image_copy(&cut, &cover, NULL), DS_OK);
        cut.rows = rows;
        const enum ds_status s = stego_extract(&cut, NULL, &bytes, NULL, NULL);
        assert_true(s == DS_EAUTH || s == DS_ENOTHING);
        assert_int_equal(bytes.len, 0);
        stego_image_free(&cut);
    }
    free(payload);
    stego_image_free(&cover);
}

static bool read_samples(void *context, uint32_t frame, unsigned component, size_t first,
                         size_t count, int32_t *out)
{
    const struct stego_image *image = context;
    const size_t plane = (size_t)image->columns * image->rows;
    memcpy(out, image->samples + ((size_t)frame * image->components + component) * plane + first,
           count * sizeof(*out));
    return true;
}

/* Geometry and format alone are told; samples come in pieces. */
static bool is_seen_in_pieces(const struct stego_image *image)
{
    struct stego_image facts = *image;
    struct stego_image whole = *image;
    facts.samples = NULL;
    return stego_is_carrier_read(&facts, read_samples, &whole);
}

static void a_mark_is_seen_wherever_pieces_end(void **state)
{
    (void)state;
    struct stego_image carrier = phantom(64, 64, 1);
    struct dice d = {67};
    uint8_t *payload = draw_payload(40, &d);
    const size_t n = count_of(&carrier);
    struct stego_image wide = {
        .columns = (uint32_t)n + 5000, .rows = 1, .frames = 2, .components = 1, .bits_stored = 12};
    wide.is_signed = carrier.is_signed;
    assert_int_equal(stego_image_new(&wide, NULL), DS_OK);
    assert_false(is_seen_in_pieces(&wide));
    assert_int_equal(stego_embed(&carrier, payload, 8 * 40, NULL, NULL, NULL), DS_OK);
    for (size_t shift = 0; shift < 5000; shift++) {
        int32_t *plane = wide.samples + (shift % 2) * wide.columns;
        memset(wide.samples, 0, count_of(&wide) * sizeof(int32_t));
        memcpy(plane + shift, carrier.samples, n * sizeof(int32_t));
        assert_true(is_seen_in_pieces(&wide));
    }
    free(payload);
    stego_image_free(&wide);
    stego_image_free(&carrier);
}

static void random_images_carry_nothing_and_stay_as_they_are(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 60; seed++) {
        struct dice d = {seed};
        struct ds_bytes bytes = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
        struct stego_image image = {
            .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 10};
        struct stego_image copy;
        paint(&image, (enum content)(seed % CONTENTS), &d);
        assert_int_equal(stego_image_copy(&copy, &image, NULL), DS_OK);
        assert_false(stego_is_carrier(&image));
        assert_false(is_seen_in_pieces(&image));
        assert_int_equal(stego_extract(&image, NULL, &bytes, NULL, NULL), DS_ENOTHING);
        assert_memory_equal(image.samples, copy.samples, sizeof(int32_t) * 64 * 64);
        stego_image_free(&image);
        stego_image_free(&copy);
    }
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    struct stego_image image = phantom(64, 64, 2);
    uint64_t bits = 0;
    const uint8_t payload[4] = {1, 2, 3, 4};
    const struct stego_embed_options outside[] = {{.exclude = {60, 0, 5, 1, 0}},
                                                  {.exclude = {0, 60, 1, 5, 0}},
                                                  {.exclude = {0, 0, 1, 1, 2}},
                                                  {.exclude = {0, 0, 4, 0, 0}},
                                                  {.exclude = {UINT32_MAX, 0, 2, 1, 0}}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(outside); i++) {
        assert_int_equal(stego_embed(&image, payload, 8 * 4, &outside[i], NULL, NULL), DS_EINVAL);
        assert_int_equal(stego_capacity_of(&image, &outside[i], &bits, NULL), DS_EINVAL);
    }
    image.bits_stored = 7;
    assert_int_equal(stego_embed(&image, payload, 8 * 4, NULL, NULL, NULL), DS_EUNSUPPORTED);
    image.bits_stored = 12;
    image.samples[77] = 2048;
    assert_int_equal(stego_embed(&image, payload, 8 * 4, NULL, NULL, NULL), DS_EINVAL);
    struct ds_bytes bytes = DS_BYTES_INIT(100);
    assert_int_equal(stego_extract(&image, NULL, &bytes, NULL, NULL), DS_EINVAL);
    image.samples[77] = 0;
    image.has_padding = true;
    image.padding_min = 5;
    image.padding_max = 4;
    assert_int_equal(stego_embed(&image, payload, 8 * 4, NULL, NULL, NULL), DS_EINVAL);
    stego_image_free(&image);
}

static void an_image_of_padding_alone_has_no_capacity(void **state)
{
    (void)state;
    struct stego_image image = {
        .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 8};
    uint64_t bits = 1;
    struct stego_embed_facts facts = {.passes = 9};
    assert_int_equal(stego_image_new(&image, NULL), DS_OK);
    image.has_padding = true;
    assert_int_equal(stego_capacity_of(&image, NULL, &bits, NULL), DS_OK);
    assert_int_equal(bits, 0);
    assert_int_equal(stego_embed(&image, NULL, 0, NULL, &facts, NULL), DS_ECAPACITY);
    assert_int_equal(facts.passes, 0);
    stego_image_free(&image);
}

/* The format is what is in the images that are already out there: a change of it is a new version
 * in the mark. */
static void the_golden_carriers_have_not_changed(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        enum stego_effort effort;
        struct stego_rect exclude;
        const char *sha256;
    } golden[] = {
        {100, STEGO_FAST, {0}, "7de20194f38210341aad9f12100cadbaa372b0618490a5991a617551e6e041d4"},
        {700,
         STEGO_FAST,
         {30, 40, 20, 10, 0},
         "5a0785c2471b8ab6c52b667614499a37fd7cffaa5f7553869b4d20707a65c0bc"},
        {3500, STEGO_FAST, {0}, "b02c92d06609f8c4677983aeb82fab5e7d8e7f0cffe58fd3eefbf4dcf28cf46d"},
        {100,
         STEGO_BALANCED,
         {0},
         "3cf871bfdfdacb7fe40fe5428d979e248367df671311565369153c8249c2b52d"},
        {300,
         STEGO_BEST,
         {30, 40, 20, 10, 0},
         "d4da1e39815f8d7102c373407aeeb45d11ce4f84ff8beb614febf69da3cbc2a8"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(golden); i++) {
        struct stego_image image = phantom(128, 96, 1);
        struct dice d = {51};
        struct stego_embed_facts facts;
        uint8_t *payload = draw_payload(golden[i].len, &d);
        const struct stego_embed_options options = {.effort = golden[i].effort,
                                                    .exclude = golden[i].exclude};
        image.has_padding = true;
        image.padding_min = image.padding_max = -2048;
        assert_int_equal(stego_embed(&image, payload, 8 * golden[i].len, &options, &facts, NULL),
                         DS_OK);
        assert_int_equal(facts.chained, golden[i].effort != STEGO_FAST);
        struct ds_bytes cells = DS_BYTES_INIT((size_t)1 << 20);
        for (size_t k = 0; k < count_of(&image); k++) {
            assert_int_equal(ds_bytes_put_le(&cells, (uint16_t)image.samples[k], 2, NULL), DS_OK);
        }
        uint8_t digest[DS_SHA256_BYTES];
        char text[DS_SHA256_HEX_BYTES];
        assert_int_equal(ds_sha256_of(cells.data, cells.len, digest, NULL), DS_OK);
        ds_hex(digest, sizeof digest, text);
        assert_string_equal(text, golden[i].sha256);
        ds_bytes_free(&cells);
        free(payload);
        stego_image_free(&image);
    }
}

/* Native little endian pixels at the end of a DICOM file whose geometry is known. */
static bool read_tail(const char *name, struct stego_image *image)
{
    const char *folder = getenv("DICOMSTEGO_TEST_DATA");
    struct ds_bytes file = DS_BYTES_INIT((size_t)1 << 26);
    char *path = folder != NULL ? ds_file_join(folder, name) : NULL;
    const size_t n = (size_t)image->columns * image->rows;
    bool done = false;
    if (path != NULL && ds_file_read(path, &file, NULL) == DS_OK && file.len >= 2 * n) {
        assert_int_equal(stego_image_new(image, NULL), DS_OK);
        struct ds_cursor c = ds_cursor_over(file.data + file.len - 2 * n, 2 * n);
        for (size_t i = 0; i < n; i++) {
            const uint16_t cell = (uint16_t)ds_cursor_le(&c, 2);
            image->samples[i] = image->is_signed ? (int16_t)cell : cell;
        }
        done = true;
    }
    free(path);
    ds_bytes_free(&file);
    return done;
}

static void check_real(const char *name, struct stego_image cover, size_t len, double psnr_db)
{
    struct stego_image carrier;
    struct stego_distortion d;
    struct dice dice = {61};
    if (!read_tail(name, &cover)) {
        print_message("no %s: set DICOMSTEGO_TEST_DATA\n", name);
        skip();
    }
    uint8_t *payload = draw_payload(len, &dice);
    assert_int_equal(stego_image_copy(&carrier, &cover, NULL), DS_OK);
    assert_int_equal(stego_embed(&carrier, payload, 8 * len, NULL, NULL, NULL), DS_OK);
    check_carrier(&cover, &carrier, &no_options.exclude);
    check_way_back(&cover, &carrier, payload, len, &no_options.exclude);
    assert_int_equal(stego_image_compare(&cover, &carrier, &d, NULL), DS_OK);
    assert_true(d.psnr_format_db > psnr_db);
    free(payload);
    stego_image_free(&carrier);
    stego_image_free(&cover);
}

static const struct stego_image ge_ct = {.columns = 512,
                                         .rows = 512,
                                         .frames = 1,
                                         .components = 1,
                                         .bits_stored = 16,
                                         .is_signed = true,
                                         .has_padding = true,
                                         .padding_min = -1500,
                                         .padding_max = -1500};
static const struct stego_image ge_fmri = {
    .columns = 64, .rows = 64, .frames = 1, .components = 1, .bits_stored = 16, .is_signed = true};

static void a_kilobyte_in_a_ct_slice_is_invisible(void **state)
{
    (void)state;
    check_real("ct/ge-hispeed/0014.dcm", ge_ct, 1024, 112.5);
}

static void a_small_noisy_mr_slice_takes_700_bytes(void **state)
{
    (void)state;
    check_real("mr/ge-mr750-fmri/0001.dcm", ge_fmri, 400, 70.0);
    check_real("mr/ge-mr750-fmri/0050.dcm", ge_fmri, 700, 55.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_image_and_payload_come_back_or_do_not_fit),
        cmocka_unit_test(what_capacity_promises_can_be_embedded_and_no_bit_more),
        cmocka_unit_test(every_payload_length_of_a_small_image_comes_back),
        cmocka_unit_test(pixels_behind_the_last_bit_are_not_moved),
        cmocka_unit_test(the_mark_may_lie_anywhere_and_old_memory_does_not_matter),
        cmocka_unit_test(a_flat_background_takes_bits_at_both_ends_of_the_range),
        cmocka_unit_test(tiny_and_thin_images_are_right_or_too_small),
        cmocka_unit_test(many_passes_come_back_in_the_right_order),
        cmocka_unit_test(the_number_of_passes_is_bounded_by_the_caller),
        cmocka_unit_test(a_carrier_can_itself_be_a_cover),
        cmocka_unit_test(one_altered_pixel_never_passes_unseen),
        cmocka_unit_test(a_cut_or_overwritten_carrier_is_refused_or_empty),
        cmocka_unit_test(a_mark_is_seen_wherever_pieces_end),
        cmocka_unit_test(random_images_carry_nothing_and_stay_as_they_are),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(an_image_of_padding_alone_has_no_capacity),
        cmocka_unit_test(the_golden_carriers_have_not_changed),
        cmocka_unit_test(a_kilobyte_in_a_ct_slice_is_invisible),
        cmocka_unit_test(a_small_noisy_mr_slice_takes_700_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
