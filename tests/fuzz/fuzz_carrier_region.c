/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_carrier_region - a key region's samples from a restore record.
 *
 * The input's head says what image and region; the rest is decoded into it. What was decoded is in
 * the format's range, can be saved, and comes back the same.
 */
#include "carrier/carrier_private.h"

#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 48U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool read_image(struct ds_cursor *c, struct stego_image *image, struct stego_rect *region)
{
    image->columns = 1 + (uint32_t)ds_cursor_le(c, 1) % SIDE_MAX;
    image->rows = 1 + (uint32_t)ds_cursor_le(c, 1) % SIDE_MAX;
    image->frames = 1;
    const uint8_t format = (uint8_t)ds_cursor_le(c, 1);
    image->bits_stored = (uint8_t)(STEGO_BITS_MIN + format % 25U);
    image->components = format >= 128 ? 3 : 1;
    image->is_signed = (ds_cursor_le(c, 1) & 1U) != 0 || image->bits_stored == STEGO_BITS_MAX;
    region->x = (uint32_t)ds_cursor_le(c, 1) % image->columns;
    region->y = (uint32_t)ds_cursor_le(c, 1) % image->rows;
    region->width = 1 + (uint32_t)ds_cursor_le(c, 1) % (image->columns - region->x);
    region->height = 1 + (uint32_t)ds_cursor_le(c, 1) % (image->rows - region->y);
    image->chroma_halved =
        image->components == 3 && image->columns % 2 == 0 && (ds_cursor_le(c, 1) & 1U) != 0;
    return !c->failed && stego_image_new(image, NULL) == DS_OK;
}

static void check_again(const struct stego_image *image, const struct stego_rect *region)
{
    struct stego_image copy = {0};
    struct ds_bytes saved = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    size_t count = 0;
    must(stego_image_count(image, &count));
    for (size_t i = 0; i < count; i++) {
        must(image->samples[i] >= stego_image_min(image));
        must(image->samples[i] <= stego_image_max(image));
    }
    must(stego_image_copy(&copy, image, NULL) == DS_OK);
    must(carrier_region_save(image, region, &saved, NULL) == DS_OK);
    must(carrier_region_cover(&copy, region, NULL, 0, "MONOCHROME2", NULL) == DS_OK);
    must(carrier_region_restore(&copy, region, saved.data, saved.len, NULL) == DS_OK);
    must(memcmp(copy.samples, image->samples, count * sizeof(int32_t)) == 0);
    ds_bytes_free(&saved);
    stego_image_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds_cursor c = ds_cursor_over(data, size);
    struct stego_image image = {0};
    struct stego_rect region = {0};
    if (read_image(&c, &image, &region)) {
        const size_t left = ds_cursor_left(&c);
        const uint8_t *saved = ds_cursor_bytes(&c, left);
        const enum ds_status s = carrier_region_restore(&image, &region, saved, left, NULL);
        must(s == DS_OK || s == DS_EFORMAT);
        if (s == DS_OK) {
            check_again(&image, &region);
        }
    }
    stego_image_free(&image);
    return 0;
}
