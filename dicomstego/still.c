/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/still.h"

#include "dicomstego/coder.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 8U

/* One byte for each block, with a row above and a column to the left that are empty. */
struct blocks {
    size_t columns, rows, stride;
    uint8_t *still;
};

static void blocks_finish(struct blocks *b)
{
    free(b->still);
}

static enum ds_status blocks_init(struct blocks *b, const struct stego_plane *plane,
                                  struct ds_error *err)
{
    b->columns = ((size_t)plane->columns + BLOCK - 1) / BLOCK;
    b->rows = ((size_t)plane->rows + BLOCK - 1) / BLOCK;
    b->stride = b->columns + 1;
    b->still = calloc(b->stride, b->rows + 1);
    return b->still != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for a map");
}

static uint8_t *block_row(const struct blocks *b, size_t y)
{
    return b->still + (y + 1) * b->stride + 1;
}

/* Where a rectangle of the image begins and ends in a plane of maybe half the columns. */
struct span {
    size_t begin, end;
};

static struct span columns_of(const struct stego_image *image, const struct stego_plane *plane,
                              const struct stego_rect *r)
{
    const unsigned halves = image->columns == plane->columns ? 0 : 1;
    const size_t end = (size_t)r->x + r->width;
    return (struct span){r->x >> halves, (end + halves) >> halves};
}

void stego_still_exclude(const struct stego_image *image, size_t index,
                         const struct stego_rect *exclude, uint8_t *still)
{
    const struct stego_plane plane = stego_plane_of(image, index);
    const struct span x = columns_of(image, &plane, exclude);
    if (exclude->width == 0 || index / image->components != exclude->frame) {
        return;
    }
    for (size_t y = exclude->y; y < (size_t)exclude->y + exclude->height; y++) {
        for (size_t i = x.begin; i < x.end; i++) {
            still[y * plane.columns + i] |= STEGO_STILL_EXCLUDED;
        }
    }
}

static void preserve_rect(const struct stego_image *image, const struct stego_plane *plane,
                          const struct stego_rect *r, struct blocks *b)
{
    const struct span x = columns_of(image, plane, r);
    for (size_t y = r->y / BLOCK; r->width != 0 && y * BLOCK < (size_t)r->y + r->height; y++) {
        for (size_t i = x.begin / BLOCK; i * BLOCK < x.end; i++) {
            block_row(b, y)[i] = 1;
        }
    }
}

static void preserve_mask(const struct stego_image *image, const struct stego_plane *plane,
                          const uint8_t *mask, struct blocks *b)
{
    const unsigned halves = image->columns == plane->columns ? 0 : 1;
    for (size_t y = 0; y < image->rows; y++) {
        uint8_t *row = block_row(b, y / BLOCK);
        for (size_t x = 0; x < image->columns; x++) {
            row[(x >> halves) / BLOCK] |= mask[y * image->columns + x] != 0;
        }
    }
}

/* The context of a block: those to the left, above and above to the left. */
#define CONTEXTS 8U

struct map_model {
    struct stego_chance chance[CONTEXTS];
};

static void map_model_init(struct map_model *m)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        m->chance[i] = STEGO_CHANCE_EVEN;
    }
}

static struct stego_chance *chance_at(struct map_model *m, const struct blocks *b,
                                      const uint8_t *at)
{
    return &m->chance[at[-1] | at[-(ptrdiff_t)b->stride] << 1 | at[-(ptrdiff_t)b->stride - 1] << 2];
}

static enum ds_status encode(const struct blocks *b, struct ds_bytes *map, struct ds_error *err)
{
    struct stego_encoder coder;
    struct map_model model;
    map_model_init(&model);
    stego_encoder_init(&coder);
    for (size_t y = 0; y < b->rows; y++) {
        for (size_t x = 0; x < b->columns; x++) {
            const uint8_t *at = block_row(b, y) + x;
            stego_encode(&coder, chance_at(&model, b, at), *at);
        }
    }
    stego_encoder_finish(&coder);
    const enum ds_status s = coder.failed
                                 ? ds_fail(err, DS_ENOMEM, "out of memory for a map")
                                 : ds_bytes_append(map, coder.out.data, coder.out.len, err);
    ds_bytes_free(&coder.out);
    return s;
}

static void spread(const struct stego_plane *plane, const struct blocks *b, uint8_t *still)
{
    for (size_t y = 0; y < plane->rows; y++) {
        const uint8_t *row = block_row(b, y / BLOCK);
        for (size_t x = 0; x < plane->columns; x++) {
            still[y * plane->columns + x] |= row[x / BLOCK] != 0 ? STEGO_STILL_MAPPED : 0U;
        }
    }
}

static bool is_blank(const struct blocks *b)
{
    for (size_t i = 0; i < b->stride * (b->rows + 1); i++) {
        if (b->still[i] != 0) {
            return false;
        }
    }
    return true;
}

enum ds_status stego_still_map(const struct stego_image *image, size_t index,
                               const struct stego_embed_options *options, uint8_t *still,
                               struct ds_bytes *map, struct ds_error *err)
{
    const struct stego_plane plane = stego_plane_of(image, index);
    DS_AUTO(blocks_finish) struct blocks b = {0};
    const enum ds_status s = blocks_init(&b, &plane, err);
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < options->preserve_count; i++) {
        if (options->preserve[i].frame == index / image->components) {
            preserve_rect(image, &plane, &options->preserve[i], &b);
        }
    }
    if (options->mask != NULL) {
        preserve_mask(image, &plane, options->mask, &b);
    }
    if (is_blank(&b)) {
        return DS_OK;
    }
    spread(&plane, &b, still);
    return encode(&b, map, err);
}

enum ds_status stego_still_unmap(const struct stego_plane *plane, const uint8_t *map, size_t len,
                                 uint8_t *still, struct ds_error *err)
{
    DS_AUTO(blocks_finish) struct blocks b = {0};
    struct stego_decoder coder;
    struct map_model model;
    const enum ds_status s = blocks_init(&b, plane, err);
    if (s != DS_OK) {
        return s;
    }
    map_model_init(&model);
    stego_decoder_init(&coder, map, len);
    for (size_t y = 0; y < b.rows; y++) {
        for (size_t x = 0; x < b.columns; x++) {
            uint8_t *at = block_row(&b, y) + x;
            *at = (uint8_t)stego_decode(&coder, chance_at(&model, &b, at));
        }
    }
    spread(plane, &b, still);
    return DS_OK;
}
