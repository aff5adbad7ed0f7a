/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draw - images, payloads and wishes drawn from a seed, so that a failure can be met again.
 * Integers only: every machine draws the same. The golden carriers hang on the painters.
 *
 * Out of memory aborts: these are tests.
 */
#ifndef DICOMSTEGO_TESTS_DRAW_H
#define DICOMSTEGO_TESTS_DRAW_H

#include "dicomstego/engine.h"

#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
struct draw {
    uint64_t state;
};

static inline uint64_t draw_u64(struct draw *d)
{
    d->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = d->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0..n-1; n is not 0. */
static inline uint64_t draw_below(struct draw *d, uint64_t n)
{
    return (draw_u64(d) >> 8) % n;
}

static inline uint32_t draw_from(struct draw *d, uint32_t low, uint32_t high)
{
    return low + (uint32_t)draw_below(d, (uint64_t)high - low + 1);
}

static inline bool draw_one_in(struct draw *d, unsigned n)
{
    return draw_below(d, n) == 0;
}

static inline void *draw_memory(size_t bytes)
{
    void *p = calloc(bytes + 1, 1);
    if (p == NULL) {
        abort();
    }
    return p;
}

static inline size_t draw_count(const struct stego_image *image)
{
    size_t n = 0;
    if (!stego_image_count(image, &n)) {
        abort();
    }
    return n;
}

static inline struct stego_image draw_copy(const struct stego_image *image)
{
    struct stego_image copy;
    if (stego_image_copy(&copy, image, NULL) != DS_OK) {
        abort();
    }
    return copy;
}

/* How the samples lie in memory, worked out here once more, not asked of the engine. */
static inline uint32_t draw_plane_columns(const struct stego_image *image, unsigned component)
{
    return image->chroma_halved && component > 0 ? image->columns / 2 : image->columns;
}

/* Samples before this plane. */
static inline size_t draw_plane_begin(const struct stego_image *image, uint32_t frame,
                                      unsigned component)
{
    size_t frame_samples = 0;
    size_t before = 0;
    for (unsigned c = 0; c < image->components; c++) {
        before += c < component ? draw_plane_columns(image, c) : 0;
        frame_samples += draw_plane_columns(image, c);
    }
    return (frame * frame_samples + before) * image->rows;
}

enum draw_content {
    DRAW_FLAT,
    DRAW_NOISE,
    DRAW_SATURATED,
    DRAW_TWO_VALUES,
    DRAW_GRADIENT,
    DRAW_SMOOTH,
    DRAW_COMB,
    DRAW_DARK,
    DRAW_BRIGHT,
    DRAW_HALVES,
    DRAW_CONTENTS
};

struct draw_style {
    enum draw_content content;
    int64_t low, high;
    int64_t a, b; /* two values of the format */
    int64_t slope_x, slope_y;
    uint64_t noise; /* how many values it has */
    uint64_t step;
    uint32_t half; /* column where DRAW_HALVES becomes smooth */
};

static inline int64_t draw_value(const struct draw_style *s, struct draw *d)
{
    return s->low + (int64_t)draw_below(d, (uint64_t)(s->high - s->low) + 1);
}

static inline struct draw_style draw_style_of(const struct stego_image *image,
                                              enum draw_content content, struct draw *d)
{
    struct draw_style s = {.content = content,
                           .low = stego_image_min(image),
                           .high = stego_image_max(image),
                           .noise = UINT64_C(1) << draw_below(d, 7),
                           .slope_x = (int64_t)draw_below(d, 9) - 4,
                           .slope_y = (int64_t)draw_below(d, 9) - 4,
                           .step = 2 + draw_below(d, 15),
                           .half = draw_from(d, 0, image->columns)};
    const int64_t ends[] = {s.low, s.high};
    s.a = draw_one_in(d, 3) ? ends[draw_below(d, 2)] : draw_value(&s, d);
    s.b = draw_one_in(d, 2) ? draw_value(&s, d) : s.a + 1 + (int64_t)draw_below(d, 3);
    return s;
}

static inline int64_t draw_smooth(const struct draw_style *s, uint32_t x, uint32_t y,
                                  struct draw *d)
{
    return s->a + x * s->slope_x + y * s->slope_y + (int64_t)draw_below(d, s->noise);
}

static inline int32_t draw_sample(const struct draw_style *s, uint32_t x, uint32_t y,
                                  struct draw *d)
{
    int64_t v = s->a;
    switch (s->content) {
    case DRAW_NOISE:
        v = draw_value(s, d);
        break;
    case DRAW_SATURATED:
        v = (x / 5 + y / 7) % 2 != 0 ? s->low : s->high;
        break;
    case DRAW_TWO_VALUES:
        v = draw_one_in(d, 2) ? s->a : s->b;
        break;
    case DRAW_GRADIENT:
        v = s->a + x * s->slope_x + y * s->slope_y;
        break;
    case DRAW_SMOOTH:
        v = draw_smooth(s, x, y, d);
        break;
    case DRAW_COMB:
        v = s->low + (int64_t)(draw_below(d, 12) * s->step);
        break;
    case DRAW_DARK:
        v = s->low - 2 + (int64_t)draw_below(d, 7);
        break;
    case DRAW_BRIGHT:
        v = s->high + 2 - (int64_t)draw_below(d, 7);
        break;
    case DRAW_HALVES:
        v = x < s->half ? s->a : draw_smooth(s, x, y, d);
        break;
    case DRAW_FLAT:
    case DRAW_CONTENTS:
        break;
    }
    return (int32_t)(v < s->low ? s->low : v > s->high ? s->high : v);
}

/* Paints one plane over; padding, where there is any, stands at its left and in single pixels. */
static inline void draw_plane(struct stego_image *image, uint32_t frame, unsigned component,
                              enum draw_content content, struct draw *d)
{
    const struct draw_style style = draw_style_of(image, content, d);
    const uint32_t columns = draw_plane_columns(image, component);
    int32_t *p = image->samples + draw_plane_begin(image, frame, component);
    const uint32_t band = draw_one_in(d, 2) ? columns / 4 : 0;
    for (uint32_t y = 0; y < image->rows; y++) {
        for (uint32_t x = 0; x < columns; x++, p++) {
            *p = draw_sample(&style, x, y, d);
            if (image->has_padding && (x < band || draw_one_in(d, 40))) {
                *p = draw_one_in(d, 2) ? image->padding_min : image->padding_max;
            }
        }
    }
}

/* Allocates and paints all planes alike. */
static inline void draw_image(struct stego_image *image, enum draw_content content, struct draw *d)
{
    if (stego_image_new(image, NULL) != DS_OK) {
        abort();
    }
    for (uint32_t f = 0; f < image->frames; f++) {
        for (unsigned c = 0; c < image->components; c++) {
            draw_plane(image, f, c, content, d);
        }
    }
}

/* Random bytes; sometimes all zeros or all ones. free() it. */
static inline uint8_t *draw_payload(size_t bytes, struct draw *d)
{
    uint8_t *payload = draw_memory(bytes);
    const uint64_t kind = draw_below(d, 8);
    for (size_t i = 0; i < bytes; i++) {
        payload[i] = kind == 0 ? 0 : kind == 1 ? 0xFF : (uint8_t)draw_u64(d);
    }
    return payload;
}

#define DRAW_PRESERVED_MAX 3U

/* An image and what is wished of its carrier. options borrows from the other fields: not to be
 * copied. */
struct draw_case {
    struct stego_image cover;
    struct stego_embed_options options;
    struct stego_rect preserve[DRAW_PRESERVED_MAX];
    uint8_t *mask;
};

static inline void draw_case_free(struct draw_case *c)
{
    stego_image_free(&c->cover);
    free(c->mask);
}

static inline void draw_sides(struct stego_image *image, struct draw *d)
{
    switch (draw_below(d, 16)) {
    case 0:
        image->columns = 1;
        image->rows = draw_one_in(d, 2) ? 4097 : draw_from(d, 1, 700);
        break;
    case 1:
        image->columns = draw_one_in(d, 2) ? 4097 : draw_from(d, 1, 700);
        image->rows = draw_from(d, 1, 2);
        break;
    case 2:
        image->columns = draw_from(d, 1, 9);
        image->rows = draw_from(d, 1, 9);
        break;
    default:
        image->columns = draw_from(d, 1, 64);
        image->rows = draw_from(d, 1, 64);
        break;
    }
}

static inline void draw_format(struct stego_image *image, struct draw *d)
{
    image->bits_stored =
        (uint8_t)(draw_one_in(d, 4) ? draw_from(d, 17, STEGO_BITS_MAX) : draw_from(d, 8, 16));
    image->is_signed = draw_one_in(d, 2) || image->bits_stored == STEGO_BITS_MAX;
    const bool coloured = draw_one_in(d, 4);
    image->frames = draw_one_in(d, 3) ? draw_from(d, 2, 5) : 1;
    image->components = coloured ? 3 : 1;
    image->chroma_halved = coloured && image->columns % 2 == 0 && draw_one_in(d, 2);
}

static inline void draw_padding(struct stego_image *image, struct draw *d)
{
    const int64_t low = stego_image_min(image);
    const int64_t high = stego_image_max(image);
    const int64_t width = draw_one_in(d, 2) ? 0 : (int64_t)draw_below(d, 5);
    const int64_t at[] = {low, high - width,
                          low + (int64_t)draw_below(d, (uint64_t)(high - low - width))};
    image->has_padding = draw_one_in(d, 3);
    image->padding_min = (int32_t)at[draw_below(d, DS_ARRAY_SIZE(at))];
    image->padding_max = (int32_t)(image->padding_min + width);
}

static inline struct stego_rect draw_rect(const struct stego_image *image, struct draw *d)
{
    struct stego_rect r = {.x = (uint32_t)draw_below(d, image->columns),
                           .y = (uint32_t)draw_below(d, image->rows),
                           .frame = (uint32_t)draw_below(d, image->frames)};
    const uint32_t right = image->columns - r.x;
    const uint32_t below = image->rows - r.y;
    r.width = draw_from(d, 1, draw_one_in(d, 4) || right < 4 ? right : right / 3);
    r.height = draw_from(d, 1, draw_one_in(d, 4) || below < 4 ? below : below / 3);
    return r;
}

static inline void draw_mask(struct draw_case *c, struct draw *d)
{
    const size_t n = (size_t)c->cover.columns * c->cover.rows;
    const unsigned spacing = draw_from(d, 2, 400);
    c->mask = draw_memory(n);
    for (size_t i = 0; i < n; i++) {
        c->mask[i] = draw_one_in(d, spacing) ? (uint8_t)draw_from(d, 1, 255) : 0;
    }
    c->options.mask = c->mask;
}

static inline void draw_wishes(struct draw_case *c, struct draw *d)
{
    struct stego_embed_options *o = &c->options;
    /* The chain's search takes a hundred times as long as the board's. */
    o->effort = !draw_one_in(d, 5) ? STEGO_FAST : draw_one_in(d, 3) ? STEGO_BEST : STEGO_BALANCED;
    o->max_passes = draw_one_in(d, 2) ? 0 : draw_from(d, 1, STEGO_PASSES_MAX);
    if (draw_one_in(d, 4)) {
        o->exclude = draw_rect(&c->cover, d);
    }
    if (draw_one_in(d, 4)) {
        o->preserve = c->preserve;
        o->preserve_count = draw_from(d, 1, DRAW_PRESERVED_MAX);
        for (size_t i = 0; i < o->preserve_count; i++) {
            c->preserve[i] = draw_rect(&c->cover, d);
        }
    }
    if (draw_one_in(d, 6)) {
        draw_mask(c, d);
    }
    if (draw_one_in(d, 4)) {
        o->max_difference = 1U << draw_below(d, 5);
    }
    if (draw_one_in(d, 4)) {
        o->min_psnr_db = 30.0 + (double)draw_below(d, 5U * c->cover.bits_stored);
    }
}

/* Everything at random; *c is zeroed. draw_case_free. */
static inline void draw_case(struct draw_case *c, struct draw *d)
{
    struct stego_image *image = &c->cover;
    draw_sides(image, d);
    draw_format(image, d);
    draw_padding(image, d);
    const enum draw_content main_content = (enum draw_content)draw_below(d, DRAW_CONTENTS);
    draw_image(image, main_content, d);
    for (uint32_t f = 0; f < image->frames; f++) {
        for (unsigned k = 0; k < image->components; k++) {
            if (draw_one_in(d, 3)) {
                draw_plane(image, f, k, (enum draw_content)draw_below(d, DRAW_CONTENTS), d);
            }
        }
    }
    draw_wishes(c, d);
}

#endif
