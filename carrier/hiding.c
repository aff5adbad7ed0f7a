/* SPDX-License-Identifier: Apache-2.0 */
/* What people ask of hiding, in the engine's terms. */
#include "carrier/carrier_private.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* The engine's options, and the memory that they borrow. */
struct asked {
    struct stego_method_options options;
    struct stego_image image; /* borrows its samples */
    struct stego_rect *preserve;
    uint8_t *mask; /* NULL: none */
};

static void asked_finish(struct asked *a)
{
    free(a->preserve);
    free(a->mask);
}

static enum ds_status check_place(const struct stego_image *image, const struct stego_rect *r,
                                  struct ds_error *err)
{
    if (r->width == 0 || r->height == 0 || r->x >= image->columns || r->y >= image->rows ||
        r->width > image->columns - r->x || r->height > image->rows - r->y) {
        return ds_fail(err, DS_EINVAL,
                       "what is to be preserved, %u,%u,%u,%u, lies outside the image of %ux%u",
                       r->x, r->y, r->width, r->height, image->columns, image->rows);
    }
    if (r->frame != CARRIER_EVERY_FRAME && r->frame >= image->frames) {
        return ds_fail(err, DS_EINVAL,
                       "frame %u is to be preserved, the image has %u that can carry", r->frame + 1,
                       image->frames);
    }
    return DS_OK;
}

static void paint(uint8_t *mask, uint32_t columns, const struct stego_rect *r)
{
    for (uint32_t y = 0; y < r->height; y++) {
        memset(mask + (size_t)(r->y + y) * columns + r->x, 1, r->width);
    }
}

/* The mask that was given, or a clean one. */
static enum ds_status need_mask(struct asked *a, const struct carrier_hiding *h,
                                struct ds_error *err)
{
    size_t n = 0;
    if (a->mask != NULL) {
        return DS_OK;
    }
    if (!ds_size_mul(a->image.columns, a->image.rows, &n)) {
        return ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    a->mask = calloc(n, 1);
    if (a->mask == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a mask of %zu pixels", n);
    }
    if (h->mask != NULL) {
        memcpy(a->mask, h->mask, n);
    }
    return DS_OK;
}

/* The engine's rectangles are of one frame; those of every frame go into the mask. */
static enum ds_status take_rectangles(struct asked *a, const struct carrier_hiding *h,
                                      struct ds_error *err)
{
    size_t kept = 0;
    enum ds_status s = DS_OK;
    a->preserve = calloc(h->preserve_count + 1, sizeof(*a->preserve));
    if (a->preserve == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu rectangles", h->preserve_count);
    }
    for (size_t i = 0; i < h->preserve_count && s == DS_OK; i++) {
        const struct stego_rect *r = &h->preserve[i];
        s = check_place(&a->image, r, err);
        if (s == DS_OK && r->frame != CARRIER_EVERY_FRAME) {
            a->preserve[kept++] = *r;
        } else if (s == DS_OK) {
            s = need_mask(a, h, err);
            if (s == DS_OK) {
                paint(a->mask, a->image.columns, r);
            }
        }
    }
    a->options.engine.preserve = a->preserve;
    a->options.engine.preserve_count = kept;
    return s;
}

static enum ds_status take_mask(struct asked *a, const struct carrier_hiding *h,
                                struct ds_error *err)
{
    if (h->mask == NULL) {
        return DS_OK;
    }
    if (h->mask_columns != a->image.columns || h->mask_rows != a->image.rows) {
        return ds_fail(err, DS_EINVAL, "the mask has %ux%u pixels, the image %ux%u",
                       h->mask_columns, h->mask_rows, a->image.columns, a->image.rows);
    }
    return need_mask(a, h, err);
}

static enum ds_status ask(struct asked *a, const struct carrier_hiding *h,
                          const struct stego_image *image, const struct stego_rect *region,
                          struct ds_error *err)
{
    a->image = *image;
    a->image.has_padding = image->has_padding && !h->use_padding;
    a->options = (struct stego_method_options){
        .engine = {.effort = h->effort,
                   .max_difference = h->max_difference,
                   .min_psnr_db = h->min_psnr_db,
                   .pool = h->pool},
        .lsb = h->lsb,
    };
    if (region != NULL) {
        a->options.engine.exclude = *region;
    }
    enum ds_status s = take_mask(a, h, err);
    if (s == DS_OK) {
        s = take_rectangles(a, h, err);
    }
    a->options.engine.mask = a->mask;
    return s;
}

static const struct stego_method *method_of(const struct carrier_hiding *h)
{
    return h->method != NULL ? h->method : &stego_method_rdh;
}

bool carrier_hiding_reverses(const struct carrier_hiding *h)
{
    const struct stego_method_options options = {.lsb = h->lsb};
    return stego_method_reverses(method_of(h), &options);
}

enum ds_status carrier_hide(const struct carrier_hiding *h, struct stego_image *image,
                            const struct stego_rect *region, const uint8_t *payload,
                            size_t payload_bits, struct stego_embed_facts *facts,
                            struct ds_error *err)
{
    DS_AUTO(asked_finish) struct asked a = {0};
    const enum ds_status s = ask(&a, h, image, region, err);
    return s == DS_OK
               ? method_of(h)->protect(&a.image, payload, payload_bits, &a.options, facts, err)
               : s;
}

enum ds_status carrier_hiding_measure(const struct carrier_hiding *h,
                                      const struct stego_image *image,
                                      const struct stego_rect *region, unsigned max_passes,
                                      uint64_t *bits, struct ds_error *err)
{
    *bits = 0;
    DS_AUTO(asked_finish) struct asked a = {0};
    const enum ds_status s = ask(&a, h, image, region, err);
    a.options.engine.max_passes = max_passes;
    return s == DS_OK ? method_of(h)->capacity(&a.image, &a.options, bits, err) : s;
}

enum ds_status carrier_hiding_at_least(const struct carrier_hiding *h,
                                       const struct stego_image *image,
                                       const struct stego_rect *region, uint64_t *bits,
                                       struct ds_error *err)
{
    *bits = 0;
    DS_AUTO(asked_finish) struct asked a = {0};
    if (method_of(h) != &stego_method_rdh) { /* whose capacity is quickly told */
        return carrier_hiding_capacity(h, image, region, bits, err);
    }
    const enum ds_status s = ask(&a, h, image, region, err);
    return s == DS_OK ? stego_capacity_at_least(&a.image, &a.options.engine, bits, err) : s;
}

enum ds_status carrier_hiding_capacity(const struct carrier_hiding *h,
                                       const struct stego_image *image,
                                       const struct stego_rect *region, uint64_t *bits,
                                       struct ds_error *err)
{
    return carrier_hiding_measure(h, image, region, STEGO_PASSES_MAX, bits, err);
}

/* As if sealed: no bit is more likely than its neighbour. What fits does not depend on it. */
static enum ds_status make_noise(struct ds_bytes *out, size_t len, struct ds_error *err)
{
    uint32_t noise = 1;
    const enum ds_status s = ds_bytes_resize(out, len, err);
    for (size_t i = 0; s == DS_OK && i < len; i++) {
        noise = noise * 1664525U + 1013904223U;
        out->data[i] = (uint8_t)(noise >> 24);
    }
    return s;
}

enum ds_status carrier_hiding_holds(const struct carrier_hiding *h, const struct stego_image *image,
                                    const struct stego_rect *region, size_t bytes, bool *holds,
                                    struct ds_error *err)
{
    *holds = false;
    DS_AUTO(ds_bytes_free) struct ds_bytes noise = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_image trial = {0};
    struct ds_error why = {0};
    enum ds_status s = make_noise(&noise, bytes, err);
    if (s == DS_OK) {
        s = stego_image_copy(&trial, image, err);
    }
    if (s != DS_OK) {
        return s;
    }
    s = carrier_hide(h, &trial, region, noise.data, 8 * noise.len, NULL, &why);
    stego_image_free(&trial);
    *holds = s == DS_OK;
    return s == DS_OK || s == DS_ECAPACITY ? DS_OK : ds_fail(err, s, "%s", why.text);
}

enum ds_status carrier_hiding_fits(const struct carrier_hiding *h, const struct stego_image *image,
                                   struct ds_error *err)
{
    DS_AUTO(asked_finish) struct asked a = {0};
    return ask(&a, h, image, NULL, err);
}

bool carrier_hiding_is_limited(const struct carrier_hiding *h)
{
    return h->max_difference > 0 || h->min_psnr_db > 0;
}
