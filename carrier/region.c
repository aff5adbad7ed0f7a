/* SPDX-License-Identifier: Apache-2.0 */
/* Key regions: a rectangle's samples kept without loss, and what is shown in their place. */
#include "carrier/block.h"
#include "carrier/carrier_private.h"

#include <stdlib.h>
#include <string.h>

bool carrier_region_is_empty(const struct stego_rect *r)
{
    return r->width == 0 || r->height == 0;
}

enum ds_status carrier_region_check(const struct stego_image *image, const struct stego_rect *r,
                                    struct ds_error *err)
{
    if (carrier_region_is_empty(r) || r->frame >= image->frames || r->x >= image->columns ||
        r->y >= image->rows || r->width > image->columns - r->x || r->height > image->rows - r->y) {
        return ds_fail(err, DS_EINVAL, "region %u,%u,%u,%u lies outside the image of %ux%u", r->x,
                       r->y, r->width, r->height, image->columns, image->rows);
    }
    return DS_OK;
}

/* The part of one component that belongs to the region. */
struct window {
    int32_t *first;
    size_t stride;
    uint32_t columns, rows;
};

/* A halved component's sample belongs to two columns: it is in the region when one of them is. */
static struct window window_of(const struct stego_image *image, const struct stego_rect *r,
                               unsigned component)
{
    const uint32_t halves = image->chroma_halved ? 2 : 1;
    const size_t full = (size_t)image->columns * image->rows;
    const size_t small = full / halves;
    const size_t frame = r->frame * (full + (image->components - 1U) * small);
    const size_t start = component == 0 ? frame : frame + full + (component - 1U) * small;
    const uint32_t shrink = component == 0 ? 1 : halves;
    const uint32_t x = r->x / shrink;
    const size_t stride = image->columns / shrink;
    return (struct window){
        .first = image->samples + start + r->y * stride + x,
        .stride = stride,
        .columns = (r->x + r->width - 1) / shrink - x + 1,
        .rows = r->height,
    };
}

static int32_t *row_of(const struct window *w, uint32_t y)
{
    return w->first + y * w->stride;
}

/* ---- the samples, kept ---- */

/* One component as it is coded: ranks above the least one that occurs. A rank is how far a sample
 * lies above the least that bits_stored allows; a difference is the rank minus that of the
 * component before it, which is small where colours are greyish. All modulo 2^bits_stored. */
struct part {
    struct carrier_block block;
    uint32_t least;
    bool is_difference;
};

#define PART_DIFFERENCE 0x80U /* beside the depth in the first byte */

static void part_finish(struct part *p)
{
    free(p->block.values);
}

static enum ds_status part_init(struct part *p, const struct window *w, struct ds_error *err)
{
    size_t count = 0;
    p->block =
        (struct carrier_block){.columns = w->columns, .rows = w->rows, .depth = CARRIER_DEPTH_MIN};
    const enum ds_status s = carrier_block_count(&p->block, &count, err);
    if (s != DS_OK) {
        return s;
    }
    p->block.values = calloc(count, sizeof(uint32_t));
    return p->block.values != NULL
               ? DS_OK
               : ds_fail(err, DS_ENOMEM, "no memory for %zu samples of a region", count);
}

static uint32_t mask_of(const struct stego_image *image)
{
    return UINT32_MAX >> (STEGO_BITS_MAX - image->bits_stored);
}

static uint32_t rank_of(const struct stego_image *image, int32_t sample)
{
    return (uint32_t)sample - (uint32_t)stego_image_min(image);
}

/* What the component's samples are measured from: those of the one before it. */
static bool has_before(const struct stego_image *image, unsigned component)
{
    return component > 0 && !image->chroma_halved;
}

static uint32_t before_at(const struct stego_image *image, const struct window *before, uint32_t x,
                          uint32_t y)
{
    return before == NULL ? 0 : rank_of(image, row_of(before, y)[x]);
}

static unsigned depth_of(uint32_t greatest)
{
    unsigned depth = CARRIER_DEPTH_MIN;
    while (depth < CARRIER_DEPTH_MAX && greatest >> depth != 0) {
        depth++;
    }
    return depth;
}

/* before: NULL, or what to take the differences from. */
static void part_fill(struct part *p, const struct stego_image *image, const struct window *w,
                      const struct window *before)
{
    const uint32_t mask = mask_of(image);
    const uint32_t centre = before == NULL ? 0 : (mask >> 1) + 1; /* differences have two signs */
    const size_t count = (size_t)w->columns * w->rows;
    uint32_t *values = p->block.values;
    uint32_t low = UINT32_MAX;
    uint32_t high = 0;
    size_t at = 0;
    for (uint32_t y = 0; y < w->rows; y++) {
        for (uint32_t x = 0; x < w->columns; x++, at++) {
            const uint32_t rank = rank_of(image, row_of(w, y)[x]);
            values[at] = (rank - before_at(image, before, x, y) + centre) & mask;
            low = values[at] < low ? values[at] : low;
            high = values[at] > high ? values[at] : high;
        }
    }
    for (size_t i = 0; i < count; i++) {
        values[i] -= low;
    }
    p->block.depth = depth_of(high - low);
    p->least = (low - centre) & mask;
    p->is_difference = before != NULL;
}

static enum ds_status part_encode(const struct part *p, struct ds_bytes *out, struct ds_error *err)
{
    const unsigned first = p->block.depth | (p->is_difference ? PART_DIFFERENCE : 0);
    enum ds_status s = ds_bytes_put_u8(out, (uint8_t)first, err);
    if (s == DS_OK) {
        s = carrier_put_number(out, p->least, err);
    }
    return s == DS_OK ? carrier_block_encode(&p->block, out, err) : s;
}

/* As it is, or as differences where that needs fewer bytes. */
static enum ds_status save_component(const struct stego_image *image, const struct stego_rect *r,
                                     unsigned component, struct ds_bytes *out, struct ds_error *err)
{
    const struct window w = window_of(image, r, component);
    DS_AUTO(part_finish) struct part p = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes difference = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    enum ds_status s = part_init(&p, &w, err);
    if (s == DS_OK) {
        part_fill(&p, image, &w, NULL);
        s = part_encode(&p, &plain, err);
    }
    if (s == DS_OK && has_before(image, component)) {
        const struct window before = window_of(image, r, component - 1);
        part_fill(&p, image, &w, &before);
        s = part_encode(&p, &difference, err);
    }
    const bool plain_wins = difference.len == 0 || plain.len <= difference.len;
    const struct ds_bytes *chosen = plain_wins ? &plain : &difference;
    if (s == DS_OK && component + 1 < image->components) {
        s = carrier_put_number(out, (uint32_t)chosen->len, err);
    }
    return s == DS_OK ? ds_bytes_append(out, chosen->data, chosen->len, err) : s;
}

enum ds_status carrier_region_save(const struct stego_image *image, const struct stego_rect *r,
                                   struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = carrier_region_check(image, r, err);
    for (unsigned i = 0; i < image->components && s == DS_OK; i++) {
        s = save_component(image, r, i, out, err);
    }
    return s;
}

static enum ds_status part_decode(struct part *p, const struct stego_image *image,
                                  unsigned component, const uint8_t *coded, size_t len,
                                  struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(coded, len);
    const unsigned first = (unsigned)ds_cursor_be(&c, 1);
    p->least = carrier_get_number(&c);
    p->is_difference = (first & PART_DIFFERENCE) != 0;
    p->block.depth = first & ~PART_DIFFERENCE;
    if (c.failed || p->block.depth < CARRIER_DEPTH_MIN || p->block.depth > image->bits_stored ||
        p->least > mask_of(image) || (p->is_difference && !has_before(image, component))) {
        return ds_fail(err, DS_EFORMAT, "the key region's samples are damaged");
    }
    const size_t left = ds_cursor_left(&c);
    return carrier_block_decode(&p->block, ds_cursor_bytes(&c, left), left, err);
}

/* Modulo 2^bits_stored nothing can leave the format's range. */
static void part_empty(const struct part *p, const struct stego_image *image,
                       const struct window *w, const struct window *before)
{
    size_t at = 0;
    for (uint32_t y = 0; y < w->rows; y++) {
        for (uint32_t x = 0; x < w->columns; x++, at++) {
            const uint32_t rank = p->block.values[at] + p->least + before_at(image, before, x, y);
            row_of(w, y)[x] = (int32_t)(stego_image_min(image) + (int64_t)(rank & mask_of(image)));
        }
    }
}

static enum ds_status restore_component(struct stego_image *image, const struct stego_rect *r,
                                        unsigned component, struct ds_cursor *c,
                                        struct ds_error *err)
{
    const bool is_last = component + 1 == image->components;
    const size_t len = is_last ? ds_cursor_left(c) : carrier_get_number(c);
    const uint8_t *coded = ds_cursor_bytes(c, len);
    if (coded == NULL) {
        return ds_fail(err, DS_EFORMAT, "the key region's samples end early");
    }
    const struct window w = window_of(image, r, component);
    DS_AUTO(part_finish) struct part p = {0};
    enum ds_status s = part_init(&p, &w, err);
    if (s == DS_OK) {
        s = part_decode(&p, image, component, coded, len, err);
    }
    if (s == DS_OK && p.is_difference) {
        const struct window before = window_of(image, r, component - 1);
        part_empty(&p, image, &w, &before);
    } else if (s == DS_OK) {
        part_empty(&p, image, &w, NULL);
    }
    return s;
}

enum ds_status carrier_region_restore(struct stego_image *image, const struct stego_rect *r,
                                      const uint8_t *saved, size_t len, struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(saved, len);
    enum ds_status s = carrier_region_check(image, r, err);
    for (unsigned i = 0; i < image->components && s == DS_OK; i++) {
        s = restore_component(image, r, i, &c, err);
    }
    return s;
}

/* ---- what is shown instead ---- */

struct shades {
    int32_t dark, light;
};

/* Least and greatest sample of one component of the frame without padding: a code in these shows
 * under any window that shows the image. */
static struct shades range_of(const struct stego_image *image, uint32_t frame, unsigned component)
{
    const struct stego_rect all = {.width = image->columns, .height = image->rows, .frame = frame};
    const struct window w = window_of(image, &all, component);
    const size_t count = w.stride * w.rows;
    int32_t low = stego_image_max(image);
    int32_t high = stego_image_min(image);
    for (size_t i = 0; i < count; i++) {
        const int32_t v = w.first[i];
        if (image->has_padding && v >= image->padding_min && v <= image->padding_max) {
            continue;
        }
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    if (low >= high) { /* flat, or nothing but padding */
        return (struct shades){stego_image_min(image), stego_image_max(image)};
    }
    return (struct shades){low, high};
}

static struct shades shades_of(const struct stego_image *image, uint32_t frame, unsigned component,
                               const char *photometric)
{
    if (component > 0 && strncmp(photometric, "YBR", 3) == 0) { /* neither blue nor red */
        const int32_t grey = INT32_C(1) << (image->bits_stored - 1);
        return (struct shades){grey, grey};
    }
    const struct shades s = range_of(image, frame, component);
    return strcmp(photometric, "MONOCHROME1") == 0 ? (struct shades){s.light, s.dark} : s;
}

static void fill(const struct window *w, int32_t value)
{
    for (uint32_t y = 0; y < w->rows; y++) {
        int32_t *row = row_of(w, y);
        for (uint32_t x = 0; x < w->columns; x++) {
            row[x] = value;
        }
    }
}

/* code: NULL for a plain dark area. Chroma that is halved shows grey either way, so a column of a
 * component is one of the rectangle wherever there are shades. */
static void cover(struct stego_image *image, const struct stego_rect *r, const char *photometric,
                  const struct carrier_qr *code)
{
    for (unsigned i = 0; i < image->components; i++) {
        const struct window w = window_of(image, r, i);
        const struct shades s = shades_of(image, r->frame, i, photometric);
        fill(&w, code == NULL ? s.dark : s.light);
        for (uint32_t y = 0; code != NULL && s.dark != s.light && y < w.rows; y++) {
            for (uint32_t x = 0; x < w.columns; x++) {
                if (carrier_qr_is_dark(code, x, y)) {
                    row_of(&w, y)[x] = s.dark;
                }
            }
        }
    }
}

enum ds_status carrier_region_cover(struct stego_image *image, const struct stego_rect *r,
                                    const struct carrier_qr_text *texts, size_t count,
                                    const char *photometric, struct ds_error *err)
{
    DS_AUTO(carrier_qr_auto) struct carrier_qr *code = NULL;
    uint32_t least = 0;
    enum ds_status s = carrier_region_check(image, r, err);
    for (size_t i = 0; i < count && s == DS_OK && code == NULL; i++) {
        s = carrier_qr_make(&code, r->width, r->height, &texts[i], &least, err);
        s = s == DS_ECAPACITY && i + 1 < count ? DS_OK : s;
    }
    if (s == DS_ECAPACITY) {
        return ds_fail(err, DS_EINVAL,
                       "region of %ux%u is too small for the QR code: at least %ux%u", r->width,
                       r->height, least, least);
    }
    if (s == DS_OK) {
        cover(image, r, photometric, code);
    }
    return s;
}

/* ---- several ---- */

static bool overlap(const struct stego_rect *a, const struct stego_rect *b)
{
    return a->frame == b->frame && a->x < b->x + b->width && b->x < a->x + a->width &&
           a->y < b->y + b->height && b->y < a->y + a->height;
}

enum ds_status carrier_regions_preserve(const struct carrier_hiding *how,
                                        const struct carrier_regions *more,
                                        struct stego_rect room[STEGO_PRESERVE_MAX],
                                        struct carrier_hiding *out, struct ds_error *err)
{
    *out = *how;
    if (more->count == 0) {
        return DS_OK;
    }
    if (more->count >= CARRIER_REGIONS_MAX ||
        how->preserve_count > STEGO_PRESERVE_MAX - more->count) {
        return ds_fail(err, DS_EINVAL, "at most %u key regions, and %u rectangles in all",
                       CARRIER_REGIONS_MAX, STEGO_PRESERVE_MAX);
    }
    for (size_t i = 0; i < how->preserve_count; i++) {
        room[i] = how->preserve[i];
    }
    for (size_t i = 0; i < more->count; i++) {
        room[how->preserve_count + i] = more->items[i];
    }
    out->preserve = room;
    out->preserve_count = how->preserve_count + more->count;
    return DS_OK;
}

/* The code's size follows from its length: as long as the longest that make.c writes. */
static enum ds_status fits(const struct carrier_original *o, const struct stego_rect *region,
                           bool qr, struct ds_error *err)
{
    char text[CARRIER_QR_TEXT_BYTES];
    struct stego_image image = {0};
    enum ds_status s = carrier_region_check(&o->image, region, err);
    if (s != DS_OK || !qr) {
        return s;
    }
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    const struct carrier_qr_text longest = {text, false};
    s = stego_image_copy(&image, &o->image, err);
    if (s == DS_OK) {
        s = carrier_region_cover(&image, region, &longest, 1, o->pixels.photometric, err);
    }
    stego_image_free(&image);
    return s;
}

enum ds_status carrier_regions_fit(const struct carrier_original *o,
                                   const struct stego_rect *region,
                                   const struct carrier_regions *more, bool qr,
                                   struct ds_error *err)
{
    const size_t count = more != NULL ? more->count : 0;
    enum ds_status s = carrier_original_suitable(o, err);
    if (s == DS_OK) {
        s = fits(o, region, qr, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = fits(o, &more->items[i], qr, err);
        for (size_t k = 0; k <= i && s == DS_OK; k++) {
            const struct stego_rect *other = k == 0 ? region : &more->items[k - 1];
            if (overlap(&more->items[i], other)) {
                s = ds_fail(err, DS_EINVAL, "key regions %u,%u,%u,%u and %u,%u,%u,%u overlap",
                            other->x, other->y, other->width, other->height, more->items[i].x,
                            more->items[i].y, more->items[i].width, more->items[i].height);
            }
        }
    }
    return s;
}

bool carrier_region_holds(const struct stego_rect *region, size_t sealed_bytes)
{
    const size_t len = CARRIER_QR_TEXT_BYTES + (sealed_bytes + 2) / 3 * 4;
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(len + 1);
    DS_AUTO(carrier_qr_auto) struct carrier_qr *code = NULL;
    uint32_t least = 0;
    if (ds_bytes_resize(&text, len + 1, NULL) != DS_OK) {
        return false;
    }
    memset(text.data, 'x', len);
    const struct carrier_qr_text longest = {(const char *)text.data, true};
    return carrier_qr_make(&code, region->width, region->height, &longest, &least, NULL) == DS_OK;
}
