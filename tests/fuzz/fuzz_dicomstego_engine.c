/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicomstego_engine - the hiding engine on arbitrary pixels.
 *
 * The first byte chooses: arbitrary samples into the extractor; or an arbitrary image that gets a
 * payload, must give it back, and is then altered by the rest of the input and extracted again. The
 * second way reaches what lies behind mark and checksum.
 */
#include "dicomstego/engine.h"

#include <stdlib.h>
#include <string.h>

#define SIDE_MAX    32U
#define FRAMES_MAX  2U
#define PAYLOAD_MAX 96U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Samples repeat a short pattern from the input: enough to be odd, and room for a mark. */
static bool read_image(struct ds_cursor *c, struct stego_image *image)
{
    image->columns = 1 + (uint32_t)ds_cursor_le(c, 1) % SIDE_MAX;
    image->rows = 1 + (uint32_t)ds_cursor_le(c, 1) % SIDE_MAX;
    image->frames = 1 + (uint32_t)ds_cursor_le(c, 1) % FRAMES_MAX;
    image->bits_stored = (uint8_t)(STEGO_BITS_MIN + ds_cursor_le(c, 1) % 9);
    const uint8_t flags = (uint8_t)ds_cursor_le(c, 1);
    image->is_signed = (flags & 1U) != 0;
    image->has_padding = (flags & 2U) != 0;
    const int32_t low = stego_image_min(image);
    const uint32_t range = (UINT32_C(1) << image->bits_stored) - 1;
    image->padding_min = low + (int32_t)((uint32_t)ds_cursor_le(c, 2) & range);
    image->padding_max = image->padding_min + (int32_t)(flags >> 6);
    size_t n = 0;
    if (c->failed || !stego_image_count(image, &n) || stego_image_new(image, NULL) != DS_OK) {
        return false;
    }
    const size_t period = 1 + ((size_t)flags >> 2) * 8;
    for (size_t i = 0; i < n; i++) {
        if (ds_cursor_left(c) >= 2 && (i < period || (flags & 4U) != 0)) {
            image->samples[i] = low + (int32_t)((uint32_t)ds_cursor_le(c, 2) & range);
        } else {
            image->samples[i] = i >= period ? image->samples[i - period] : low;
        }
    }
    return true;
}

static void extract(struct stego_image *image)
{
    struct ds_bytes payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_rect exclude;
    const bool is_carrier = stego_is_carrier(image);
    const enum ds_status s = stego_extract(image, &payload, &exclude, NULL);
    must(s == DS_OK || s == DS_ENOTHING || s == DS_EAUTH);
    must(is_carrier == (s != DS_ENOTHING));
    must(s == DS_OK || payload.len == 0);
    ds_bytes_free(&payload);
}

static void check_way_back(const struct stego_image *cover, const struct stego_image *carrier,
                           const uint8_t *payload, size_t len)
{
    struct stego_image copy;
    struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    size_t n = 0;
    must(stego_image_count(cover, &n));
    must(stego_image_copy(&copy, carrier, NULL) == DS_OK);
    copy.has_padding = false;
    must(stego_extract(&copy, &found, NULL, NULL) == DS_OK);
    must(found.len == len && (len == 0 || memcmp(found.data, payload, len) == 0));
    must(memcmp(copy.samples, cover->samples, n * sizeof(int32_t)) == 0);
    ds_bytes_free(&found);
    stego_image_free(&copy);
}

static void alter(struct ds_cursor *c, struct stego_image *image)
{
    size_t n = 0;
    must(stego_image_count(image, &n));
    const uint32_t range = (UINT32_C(1) << image->bits_stored) - 1;
    while (ds_cursor_left(c) >= 4) {
        const size_t at = ds_cursor_le(c, 2) % n;
        const uint32_t change = (uint32_t)ds_cursor_le(c, 2) & range;
        const uint32_t x = (uint32_t)(image->samples[at] - stego_image_min(image)) ^ change;
        image->samples[at] = stego_image_min(image) + (int32_t)x;
    }
}

static void embed_and_alter(struct ds_cursor *c, struct stego_image *image)
{
    struct stego_image carrier;
    uint8_t payload[PAYLOAD_MAX] = {0};
    size_t len = ds_cursor_le(c, 1) % PAYLOAD_MAX;
    len = len < ds_cursor_left(c) ? len : ds_cursor_left(c);
    const uint8_t *given = ds_cursor_bytes(c, len);
    struct stego_embed_options options = {{0}, (unsigned)ds_cursor_le(c, 1) % 5};
    if (given != NULL) {
        memcpy(payload, given, len);
    }
    if (ds_cursor_left(c) >= 4 && options.max_passes % 2 == 1) {
        options.exclude.x = (uint32_t)ds_cursor_le(c, 1) % image->columns;
        options.exclude.y = (uint32_t)ds_cursor_le(c, 1) % image->rows;
        options.exclude.width =
            1 + (uint32_t)ds_cursor_le(c, 1) % (image->columns - options.exclude.x);
        options.exclude.height =
            1 + (uint32_t)ds_cursor_le(c, 1) % (image->rows - options.exclude.y);
    }
    must(stego_image_copy(&carrier, image, NULL) == DS_OK);
    const enum ds_status s = stego_embed(&carrier, payload, len, &options, NULL, NULL);
    must(s == DS_OK || s == DS_ECAPACITY);
    if (s == DS_OK) {
        check_way_back(image, &carrier, payload, len);
        alter(c, &carrier);
        extract(&carrier);
    }
    stego_image_free(&carrier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds_cursor c = ds_cursor_over(data, size);
    struct stego_image image = {0};
    const bool structured = ds_cursor_le(&c, 1) % 4 != 0;
    if (read_image(&c, &image)) {
        if (structured) {
            embed_and_alter(&c, &image);
        } else {
            extract(&image);
        }
    }
    stego_image_free(&image);
    return 0;
}
