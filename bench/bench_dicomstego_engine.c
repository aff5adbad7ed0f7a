/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_dicomstego_engine - what the hiding engine costs: time and image.
 *
 *   bench_dicomstego_engine [FILE.img]...
 *
 * Measures synthetic phantoms, then each file. A file has eight little-endian 32-bit words (magic
 * 31474D49H, columns, rows, bits stored, signed, low, high, padding value or -2^31) and the samples
 * as little-endian 32-bit numbers. Throughput counts one byte a sample for 8 bits stored, else two.
 */
#include "dicomstego/engine.h"

#include "base/clock.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES  ((size_t)1 << 30)
#define FILE_MAGIC      0x31474D49U
#define NO_PADDING      INT32_MIN
#define REPEAT_AT_LEAST 200 /* ms */

static const size_t payload_bits[] = {8192, 65536};

static uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A disc of soft tissue with a denser core in air, and scanner noise: integers only. */
static void paint_phantom(struct stego_image *image, int32_t air, int32_t tissue, int32_t core,
                          uint32_t noise_range)
{
    const int64_t w = image->columns;
    const int64_t h = image->rows;
    uint32_t state = 12345;
    for (int64_t i = 0; i < w * h * image->frames; i++) {
        const int64_t dx = 2 * (i % w) - w;
        const int64_t dy = 2 * (i / w % h) - h;
        const int64_t r = dx * dx + dy * dy;
        const int64_t edge = w * h * 3 / 4;
        int32_t x = air;
        if (r < edge) {
            x = tissue + (int32_t)(dx * 80 / w) + (int32_t)(noise(&state) % noise_range) +
                (int32_t)(noise(&state) % noise_range) - (int32_t)noise_range;
            x += r < edge / 16 ? core : 0;
        }
        image->samples[i] = x;
    }
}

struct timing {
    double embed_ms, extract_ms;
};

/* Repeats until the time can be told; false when something did not come back as it was. */
static bool round_trip(const struct stego_image *cover, const uint8_t *payload, size_t len,
                       struct stego_image *carrier, struct timing *t,
                       struct stego_embed_facts *facts, enum ds_status *status)
{
    const size_t n = (size_t)cover->columns * cover->rows * cover->frames;
    const size_t bytes = n * sizeof(int32_t);
    int32_t *copy = malloc(bytes);
    int64_t embed_ms = 0;
    int64_t extract_ms = 0;
    unsigned runs = 0;
    bool same = copy != NULL;
    while (same && embed_ms + extract_ms < REPEAT_AT_LEAST) {
        struct ds_bytes found = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
        memcpy(carrier->samples, cover->samples, bytes);
        const int64_t t0 = ds_clock_utc_us();
        *status = stego_embed(carrier, payload, len, NULL, facts, NULL);
        const int64_t t1 = ds_clock_utc_us();
        if (*status != DS_OK) {
            break;
        }
        memcpy(copy, carrier->samples, bytes);
        const int64_t t2 = ds_clock_utc_us();
        same = stego_extract(carrier, &found, NULL, NULL) == DS_OK;
        const int64_t t3 = ds_clock_utc_us();
        same = same && found.len == len && (len == 0 || memcmp(found.data, payload, len) == 0) &&
               memcmp(carrier->samples, cover->samples, bytes) == 0;
        memcpy(carrier->samples, copy, bytes);
        ds_bytes_free(&found);
        runs++;
        t->embed_ms = t->embed_ms + (double)(t1 - t0) / 1000.0;
        t->extract_ms = t->extract_ms + (double)(t3 - t2) / 1000.0;
        embed_ms += (t1 - t0) / 1000 + 1;
        extract_ms += (t3 - t2) / 1000 + 1;
    }
    free(copy);
    t->embed_ms /= runs == 0 ? 1 : runs;
    t->extract_ms /= runs == 0 ? 1 : runs;
    return same;
}

static int measure(const char *name, const struct stego_image *cover, size_t bits)
{
    const size_t len = bits / 8;
    const size_t n = (size_t)cover->columns * cover->rows * cover->frames;
    const double mb = (double)n * (cover->bits_stored > 8 ? 2.0 : 1.0) / 1e6;
    struct stego_image carrier = {0};
    struct stego_embed_facts facts = {0};
    struct stego_distortion d = {0};
    struct timing t = {0.0, 0.0};
    enum ds_status status = DS_OK;
    uint8_t *payload = malloc(len + 1);
    uint32_t state = 99;
    if (payload == NULL || stego_image_copy(&carrier, cover, NULL) != DS_OK) {
        free(payload);
        return 1;
    }
    for (size_t i = 0; i < len; i++) {
        payload[i] = (uint8_t)(noise(&state) >> 16);
    }
    const bool same = round_trip(cover, payload, len, &carrier, &t, &facts, &status);
    if (!same || stego_image_compare(cover, &carrier, &d, NULL) != DS_OK) {
        printf("%-28s %7zu bits: DID NOT COME BACK\n", name, bits);
    } else if (status != DS_OK) {
        printf("%-28s %7zu bits: %s\n", name, bits, ds_status_name(status));
    } else {
        printf("%-28s %7zu bits: %7.2f / %6.2f dB, max %4" PRIu32 ", %u pass(es), %7" PRIu64
               " hidden; embed %7.1f MB/s, extract %7.1f MB/s\n",
               name, bits, d.psnr_format_db, d.psnr_dynamic_db, d.max_difference, facts.passes,
               facts.hidden_bits, mb / t.embed_ms * 1000.0, mb / t.extract_ms * 1000.0);
    }
    stego_image_free(&carrier);
    free(payload);
    return same ? 0 : 1;
}

static int measure_all(const char *name, const struct stego_image *cover)
{
    struct stego_capacity c = {0, 0};
    int failed = 0;
    const int64_t t0 = ds_clock_utc_us();
    if (stego_capacity_of(cover, NULL, &c, NULL) != DS_OK) {
        return 1;
    }
    printf("%-28s capacity %" PRIu64 " bytes in one pass, %" PRIu64 " in all, told in %.1f ms\n",
           name, c.one_pass_bytes, c.all_passes_bytes, (double)(ds_clock_utc_us() - t0) / 1000.0);
    for (size_t i = 0; i < DS_ARRAY_SIZE(payload_bits); i++) {
        failed += measure(name, cover, payload_bits[i]);
    }
    return failed;
}

static int measure_phantom(const char *name, struct stego_image image, int32_t air, int32_t tissue,
                           int32_t core, uint32_t noise_range)
{
    if (stego_image_new(&image, NULL) != DS_OK) {
        return 1;
    }
    paint_phantom(&image, air, tissue, core, noise_range);
    const int failed = measure_all(name, &image);
    stego_image_free(&image);
    return failed;
}

static bool read_image(struct ds_cursor *c, struct stego_image *image)
{
    const bool magic = ds_cursor_le(c, 4) == FILE_MAGIC;
    image->columns = (uint32_t)ds_cursor_le(c, 4);
    image->rows = (uint32_t)ds_cursor_le(c, 4);
    image->frames = 1;
    image->bits_stored = (uint8_t)ds_cursor_le(c, 4);
    image->is_signed = ds_cursor_le(c, 4) != 0;
    (void)ds_cursor_le(c, 8);
    image->padding_min = (int32_t)(uint32_t)ds_cursor_le(c, 4);
    image->padding_max = image->padding_min;
    image->has_padding = image->padding_min != NO_PADDING;
    size_t n = 0;
    if (!magic || !stego_image_count(image, &n) || ds_cursor_left(c) != n * sizeof(int32_t) ||
        stego_image_new(image, NULL) != DS_OK) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        image->samples[i] = (int32_t)(uint32_t)ds_cursor_le(c, 4);
    }
    return !c->failed;
}

static int measure_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct ds_bytes bytes = DS_BYTES_INIT(FILE_MAX_BYTES);
    struct stego_image image = {0};
    struct ds_error err = {0};
    int failed = 1;
    if (ds_file_read(path, &bytes, &err) != DS_OK) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        struct ds_cursor c = ds_cursor_over(bytes.data, bytes.len);
        if (read_image(&c, &image)) {
            failed = measure_all(slash != NULL ? slash + 1 : path, &image);
        } else {
            fprintf(stderr, "%s: not an image dump\n", path);
        }
    }
    stego_image_free(&image);
    ds_bytes_free(&bytes);
    return failed;
}

int main(int argc, char **argv)
{
    const struct stego_image ct = {.columns = 512,
                                   .rows = 512,
                                   .frames = 1,
                                   .bits_stored = 16,
                                   .is_signed = true,
                                   .has_padding = true,
                                   .padding_min = -2000,
                                   .padding_max = -2000};
    const struct stego_image mr = {.columns = 256, .rows = 256, .frames = 1, .bits_stored = 12};
    const struct stego_image xa = {.columns = 512, .rows = 512, .frames = 96, .bits_stored = 8};
    int failed = 0;
    printf("PSNR with the peak of the bits stored / with the range of the image.\n");
    failed += measure_phantom("phantom 512x512 CT 16 bit", ct, -2000, 40, 300, 12);
    failed += measure_phantom("phantom 256x256 MR 12 bit", mr, 0, 500, 150, 25);
    failed += measure_phantom("phantom 512x512x96 XA 8 bit", xa, 0, 125, 20, 3);
    for (int i = 1; i < argc; i++) {
        failed += measure_file(argv[i]);
    }
    return failed == 0 ? 0 : 1;
}
