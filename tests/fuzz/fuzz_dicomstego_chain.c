/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicomstego_chain - the chain's extractor on pixels, blobs and counts that do not belong
 * together. Where the target made them itself and altered nothing, message and plane must come
 * back.
 */
#include "dicomstego/chain.h"

#include "tests/unit/dicomstego/blob.h"
#include "tests/unit/dicomstego/draw.h"

#define HEADER_BYTES 8U
#define SIDE_MAX     32U
#define BLOB_BYTES   ((STEGO_CHAIN_BLOB_BITS + 7U) / 8U)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct scene {
    struct stego_image image;
    struct stego_plane plane;
    struct stego_chain chain;
    uint8_t *still;
    struct draw draw;
};

static void scene_begin(const uint8_t header[HEADER_BYTES], struct scene *s)
{
    *s = (struct scene){.draw = {.state = header[6]}};
    s->image = (struct stego_image){.columns = 1 + header[1] % SIDE_MAX,
                                    .rows = 1 + header[2] % SIDE_MAX,
                                    .frames = 1,
                                    .components = 1};
    s->image.bits_stored =
        (uint8_t)(STEGO_BITS_MIN + header[3] % (STEGO_BITS_MAX - STEGO_BITS_MIN + 1));
    s->image.is_signed = header[3] >= 128 || s->image.bits_stored == STEGO_BITS_MAX;
    draw_padding(&s->image, &s->draw);
    draw_image(&s->image, (enum draw_content)(header[4] % DRAW_CONTENTS), &s->draw);
    const size_t n = draw_count(&s->image);
    s->still = draw_memory(n);
    for (size_t i = 0; i < n; i++) {
        s->still[i] = draw_one_in(&s->draw, 30);
    }
    s->plane = (struct stego_plane){.samples = s->image.samples,
                                    .columns = s->image.columns,
                                    .rows = s->image.rows,
                                    .low = stego_image_min(&s->image),
                                    .high = stego_image_max(&s->image),
                                    .has_padding = s->image.has_padding,
                                    .padding_min = s->image.padding_min,
                                    .padding_max = s->image.padding_max,
                                    .still = header[5] % 2 != 0 ? s->still : NULL};
    s->chain.plane = &s->plane;
    s->chain.run_begin = draw_below(&s->draw, n);
    s->chain.run_end = s->chain.run_begin + draw_below(&s->draw, n - s->chain.run_begin + 1);
    s->chain.thorough = (header[5] & 2U) != 0;
    s->chain.max_difference = (header[5] & 4U) != 0 ? 1 + header[5] / 64U : 0;
}

static void scene_end(struct scene *s)
{
    free(s->still);
    stego_image_free(&s->image);
}

static bool is_same_but_for_the_run(const struct scene *s, const int32_t *a, const int32_t *b)
{
    for (size_t i = 0; i < stego_plane_count(&s->plane); i++) {
        const uint32_t seen =
            i >= s->chain.run_begin && i < s->chain.run_end ? ~UINT32_C(1) : ~UINT32_C(0);
        if ((((uint32_t)a[i] ^ (uint32_t)b[i]) & seen) != 0) {
            return false;
        }
    }
    return true;
}

/* true: something was altered. */
static bool alter(struct ds_cursor *c, struct scene *s, uint8_t blob[BLOB_BYTES])
{
    const size_t n = stego_plane_count(&s->plane);
    const uint64_t range = (uint64_t)((int64_t)s->plane.high - s->plane.low);
    bool altered = false;
    while (ds_cursor_left(c) >= 3) {
        const size_t at = ds_cursor_le(c, 2);
        const uint8_t change = (uint8_t)ds_cursor_le(c, 1);
        altered = altered || change != 0;
        if (at % 4 == 0) {
            blob[at / 4 % BLOB_BYTES] ^= change;
        } else {
            int32_t *x = &s->image.samples[at / 4 % n];
            const uint64_t above = (uint64_t)((int64_t)*x - s->plane.low);
            *x = (int32_t)(s->plane.low + (int64_t)((above ^ change) & range));
        }
    }
    return altered;
}

/* *s holds the carrier. */
static void check_extraction(struct scene *s, struct ds_cursor *c, struct stego_bits *blob,
                             const struct stego_bits *message, const int32_t *cover)
{
    uint8_t given[BLOB_BYTES] = {0};
    struct stego_bits found = STEGO_BITS_INIT;
    must(blob->count == STEGO_CHAIN_BLOB_BITS);
    memcpy(given, blob->bytes.data, BLOB_BYTES);
    const bool altered = alter(c, s, given);
    blob_seal(given); /* else nothing behind the checksum would be reached */
    const enum ds_status status =
        stego_chain_extract(&s->chain, given, message->count, &found, NULL);
    must(status == DS_OK || status == DS_EAUTH);
    if (!altered) {
        must(status == DS_OK && found.count == message->count);
        must(memcmp(found.bytes.data, message->bytes.data, message->bytes.len) == 0);
        must(is_same_but_for_the_run(s, s->plane.samples, cover));
    }
    stego_bits_free(&found);
}

static void embed_and_alter(struct scene *s, struct ds_cursor *c, uint8_t size)
{
    const size_t n = stego_plane_count(&s->plane);
    struct stego_bits message = STEGO_BITS_INIT;
    struct stego_bits blob = STEGO_BITS_INIT;
    int32_t *cover = draw_memory(n * sizeof *cover);
    int32_t *carrier = draw_memory(n * sizeof *carrier);
    for (size_t i = 0; i < 64 + (size_t)size * 4; i++) {
        stego_bits_put(&message, (uint32_t)draw_below(&s->draw, 2), 1);
    }
    memcpy(cover, s->image.samples, n * sizeof *cover);
    const enum ds_status status = stego_chain_embed(&s->chain, &message, carrier, &blob, NULL);
    must(status == DS_OK || status == DS_ECAPACITY);
    if (status == DS_OK) {
        must(is_same_but_for_the_run(s, s->image.samples, cover));
        memcpy(s->image.samples, carrier, n * sizeof *carrier);
        check_extraction(s, c, &blob, &message, cover);
    }
    free(cover);
    free(carrier);
    stego_bits_free(&message);
    stego_bits_free(&blob);
}

/* Blob and count from the input. */
static void extract_anything(struct scene *s, struct ds_cursor *c)
{
    uint8_t blob[BLOB_BYTES] = {0};
    struct stego_bits found = STEGO_BITS_INIT;
    const size_t count = ds_cursor_le(c, 4);
    for (size_t i = 0; i < BLOB_BYTES; i++) {
        blob[i] = (uint8_t)ds_cursor_le(c, 1);
    }
    blob_seal(blob);
    const enum ds_status status = stego_chain_extract(&s->chain, blob, count, &found, NULL);
    must(status == DS_OK || status == DS_EAUTH);
    must(status != DS_OK || found.count == count);
    stego_bits_free(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scene scene;
    struct ds_cursor c = ds_cursor_over(data, size);
    const uint8_t *header = ds_cursor_bytes(&c, HEADER_BYTES);
    if (header == NULL) {
        return 0;
    }
    scene_begin(header, &scene);
    if (header[0] % 2 == 0) {
        extract_anything(&scene, &c);
    } else {
        embed_and_alter(&scene, &c, header[7]);
    }
    scene_end(&scene);
    return 0;
}
