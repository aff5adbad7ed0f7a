/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carriers - the golden carriers of the hiding engine.
 *
 *   carriers make FOLDER    writes FOLDER/NAME.carrier for each case
 *   carriers check FOLDER   each must still give back image and payload; exits 1 when one does not
 *
 * "portable" leaves the processor's vector instructions alone.
 *
 * A file holds the samples alone: plane after plane, little endian, in 1, 2 or 4 bytes each. Image
 * and payload are drawn again from the number of the case, so nothing else needs to be kept.
 */
#include "dicomstego/engine.h"
#include "dicomstego/kernel.h"

#include "tests/unit/dicomstego/draw.h"

#include "base/file.h"

#include <stdio.h>

struct golden {
    const char *name;
    struct stego_image geometry;
    enum draw_content content;
    size_t payload_bits;
    struct stego_embed_options options;
};

static const struct stego_rect corners[] = {{0, 0, 9, 7, 0}, {30, 20, 10, 10, 0}};

#define IMAGE(columns_, rows_, frames_, components_, bits_, signed_)                               \
    .columns = (columns_), .rows = (rows_), .frames = (frames_), .components = (components_),      \
    .bits_stored = (bits_), .is_signed = (signed_)

static const struct golden goldens[] = {
    {"fast-8", {IMAGE(64, 48, 1, 1, 8, false)}, DRAW_GRADIENT, 500, {.effort = STEGO_FAST}},
    {"fast-12-signed-full",
     {IMAGE(48, 48, 1, 1, 12, true)},
     DRAW_HALVES,
     1500,
     {.effort = STEGO_FAST}},
    {"fast-16-padding",
     {IMAGE(61, 63, 1, 1, 16, true), .has_padding = true, .padding_min = -2000,
      .padding_max = -1999},
     DRAW_SMOOTH,
     100,
     {.effort = STEGO_FAST, .exclude = {5, 5, 20, 9, 0}}},
    {"fast-colour", {IMAGE(40, 32, 1, 3, 8, false)}, DRAW_SMOOTH, 700, {.effort = STEGO_FAST}},
    {"fast-32", {IMAGE(40, 40, 1, 1, 32, true)}, DRAW_SMOOTH, 200, {.effort = STEGO_FAST}},
    {"fast-dark", {IMAGE(64, 64, 1, 1, 8, false)}, DRAW_DARK, 300, {.effort = STEGO_FAST}},
    {"balanced-8", {IMAGE(64, 48, 1, 1, 8, false)}, DRAW_SMOOTH, 500, {.effort = STEGO_BALANCED}},
    {"balanced-frames",
     {IMAGE(32, 32, 4, 1, 12, false)},
     DRAW_SMOOTH,
     900,
     {.effort = STEGO_BALANCED, .preserve = corners, .preserve_count = 1}},
    {"balanced-422",
     {IMAGE(48, 32, 1, 3, 8, false), .chroma_halved = true},
     DRAW_HALVES,
     400,
     {.effort = STEGO_BALANCED}},
    {"best-8", {IMAGE(64, 48, 1, 1, 8, false)}, DRAW_SMOOTH, 300, {.effort = STEGO_BEST}},
    {"best-16-preserve",
     {IMAGE(64, 48, 1, 1, 16, true)},
     DRAW_SMOOTH,
     600,
     {.effort = STEGO_BEST, .preserve = corners, .preserve_count = 2, .max_difference = 8}},
    {"best-bright", {IMAGE(64, 64, 1, 1, 10, false)}, DRAW_BRIGHT, 270, {.effort = STEGO_BEST}},
};

static int complain(const struct golden *g, const char *what, const struct ds_error *err)
{
    (void)fprintf(stderr, "%s: %s: %s\n", g->name, what, err->text);
    return 1;
}

/* Image and payload of a case; stego_image_free and free. */
static struct stego_image cover_of(const struct golden *g, uint8_t **payload)
{
    struct draw d = {.state = 1000 + (uint64_t)(g - goldens)};
    struct stego_image image = g->geometry;
    draw_image(&image, g->content, &d);
    *payload = draw_payload((g->payload_bits + 7) / 8, &d);
    return image;
}

static unsigned sample_bytes(const struct stego_image *image)
{
    return image->bits_stored <= 8 ? 1 : image->bits_stored <= 16 ? 2 : 4;
}

static enum ds_status write_carrier(const struct stego_image *image, const char *path,
                                    struct ds_error *err)
{
    struct ds_bytes cells = DS_BYTES_INIT((size_t)1 << 20);
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < draw_count(image) && s == DS_OK; i++) {
        s = ds_bytes_put_le(&cells, (uint32_t)image->samples[i], sample_bytes(image), err);
    }
    if (s == DS_OK) {
        s = ds_file_write(path, cells.data, cells.len, DS_FILE_REPLACE, 0644, err);
    }
    ds_bytes_free(&cells);
    return s;
}

static int32_t sign_extended(const struct stego_image *image, uint64_t cell)
{
    const unsigned above = 64 - 8 * sample_bytes(image);
    return image->is_signed ? (int32_t)((int64_t)(cell << above) >> above) : (int32_t)cell;
}

/* Into image's samples. */
static enum ds_status read_carrier(struct stego_image *image, const char *path,
                                   struct ds_error *err)
{
    struct ds_bytes cells = DS_BYTES_INIT((size_t)1 << 20);
    const size_t n = draw_count(image);
    enum ds_status s = ds_file_read(path, &cells, err);
    if (s == DS_OK && cells.len != n * sample_bytes(image)) {
        s = ds_fail(err, DS_EFORMAT, "wrong length of %s", path);
    }
    struct ds_cursor c = ds_cursor_over(cells.data, cells.len);
    for (size_t i = 0; i < n && s == DS_OK; i++) {
        image->samples[i] = sign_extended(image, ds_cursor_le(&c, sample_bytes(image)));
    }
    ds_bytes_free(&cells);
    return s;
}

static int make(const struct golden *g, const char *path)
{
    struct ds_error err = {0};
    uint8_t *payload = NULL;
    struct stego_image image = cover_of(g, &payload);
    int rc = 0;
    if (stego_embed(&image, payload, g->payload_bits, &g->options, NULL, &err) != DS_OK) {
        rc = complain(g, "embed", &err);
    } else if (write_carrier(&image, path, &err) != DS_OK) {
        rc = complain(g, "write", &err);
    }
    free(payload);
    stego_image_free(&image);
    return rc;
}

static bool is_same(const struct golden *g, const struct stego_image *cover,
                    const struct stego_image *image, const uint8_t *payload,
                    const struct ds_bytes *found, size_t found_bits)
{
    const size_t whole = g->payload_bits / 8;
    const unsigned rest = (unsigned)(g->payload_bits % 8);
    return found_bits == g->payload_bits && memcmp(found->data, payload, whole) == 0 &&
           (rest == 0 || found->data[whole] == (payload[whole] & (uint8_t)(0xFF00U >> rest))) &&
           memcmp(image->samples, cover->samples, draw_count(cover) * sizeof(int32_t)) == 0;
}

static int check(const struct golden *g, const char *path)
{
    struct ds_error err = {0};
    struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    struct stego_extract_facts facts = {0};
    uint8_t *payload = NULL;
    struct stego_image cover = cover_of(g, &payload);
    struct stego_image image = draw_copy(&cover);
    int rc = 0;
    if (read_carrier(&image, path, &err) != DS_OK) {
        rc = complain(g, "read", &err);
    } else if (stego_extract(&image, NULL, &found, &facts, &err) != DS_OK) {
        rc = complain(g, "extract", &err);
    } else if (!is_same(g, &cover, &image, payload, &found, facts.payload_bits)) {
        rc = complain(g, "another image or payload came back", &err);
    }
    ds_bytes_free(&found);
    free(payload);
    stego_image_free(&image);
    stego_image_free(&cover);
    return rc;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: carriers make|check FOLDER [portable]\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "portable") != 0)) {
        return usage();
    }
    const bool making = strcmp(argv[1], "make") == 0;
    if (!making && strcmp(argv[1], "check") != 0) {
        return usage();
    }
    stego_kernels_force(argc == 4 ? &stego_kernels_portable : NULL);
    int rc = 0;
    for (size_t i = 0; i < DS_ARRAY_SIZE(goldens); i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s.carrier", argv[2], goldens[i].name);
        rc |= making ? make(&goldens[i], path) : check(&goldens[i], path);
    }
    return rc;
}
