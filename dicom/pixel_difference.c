/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/difference.h"

#include "dicom/pixels.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_SAMPLES 65536U

/* One of the two images. planes.components is 0 where its cells are no samples. */
struct side {
    struct dicom_pixels pixels;
    struct dicom_planes planes;
};

static void side_free(struct side *s)
{
    dicom_pixels_free(&s->pixels);
}

/* The whole image: what is borrowed is not copied, and what is decoded lies in a scratch file when
 * it is large. */
static enum ds_status side_read(struct side *s, const struct dicom_dataset *d, struct ds_error *err)
{
    enum ds_status status = dicom_pixels_view_front(&s->pixels, d, SIZE_MAX, err);
    if (status == DS_OK && dicom_pixels_planes(&s->pixels, &s->planes, NULL) != DS_OK) {
        memset(&s->planes, 0, sizeof(s->planes));
    }
    return status;
}

static bool has_same_geometry(const struct side *a, const struct side *b)
{
    const struct dicom_pixels *p = &a->pixels;
    const struct dicom_pixels *q = &b->pixels;
    return p->columns == q->columns && p->rows == q->rows && p->frames == q->frames &&
           p->samples_per_pixel == q->samples_per_pixel && p->bits_allocated == q->bits_allocated &&
           p->bits_stored == q->bits_stored && a->planes.components == b->planes.components &&
           a->planes.chroma_halved == b->planes.chroma_halved && p->cells.len == q->cells.len;
}

static void count(struct dicom_pixel_difference *out, int64_t a, int64_t b)
{
    const uint64_t by = (uint64_t)(a > b ? a - b : b - a);
    out->changed += by != 0 ? 1 : 0;
    out->greatest = by > out->greatest ? by : out->greatest;
}

static enum ds_status compare_plane(const struct side *a, const struct side *b, uint32_t frame,
                                    unsigned component, size_t samples, int32_t *buffer,
                                    struct dicom_pixel_difference *out, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t at = 0; s == DS_OK && at < samples; at += CHUNK_SAMPLES) {
        const size_t n = samples - at < CHUNK_SAMPLES ? samples - at : CHUNK_SAMPLES;
        s = dicom_pixels_plane_samples(&a->pixels, frame, component, at, n, buffer, err);
        if (s == DS_OK) {
            s = dicom_pixels_plane_samples(&b->pixels, frame, component, at, n,
                                           buffer + CHUNK_SAMPLES, err);
        }
        for (size_t i = 0; s == DS_OK && i < n; i++) {
            count(out, buffer[i], buffer[CHUNK_SAMPLES + i]);
        }
    }
    return s;
}

static enum ds_status compare_samples(const struct side *a, const struct side *b,
                                      struct dicom_pixel_difference *out, struct ds_error *err)
{
    const size_t area = (size_t)a->pixels.columns * a->pixels.rows;
    const size_t halved = (size_t)(a->pixels.columns / 2) * a->pixels.rows;
    int32_t *buffer = malloc(2 * CHUNK_SAMPLES * sizeof(*buffer));
    enum ds_status s = buffer != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
    for (uint32_t f = 0; s == DS_OK && f < a->pixels.frames; f++) {
        for (unsigned c = 0; s == DS_OK && c < a->planes.components; c++) {
            const bool is_halved = a->planes.chroma_halved && c > 0;
            s = compare_plane(a, b, f, c, is_halved ? halved : area, buffer, out, err);
        }
    }
    free(buffer);
    out->total = a->planes.count;
    return s;
}

static uint64_t cell_at(const uint8_t *data, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) {
        v |= (uint64_t)data[i] << (8 * i);
    }
    return v;
}

static unsigned bits_of(unsigned v)
{
    unsigned n = 0;
    for (; v != 0; v &= v - 1) {
        n++;
    }
    return n;
}

/* Indices of a palette, or bits (PS3.5 8.1.1): numbers, but nothing to calculate with. */
static void compare_cells(const struct side *a, const struct side *b,
                          struct dicom_pixel_difference *out)
{
    const uint8_t *x = a->pixels.cells.data;
    const uint8_t *y = b->pixels.cells.data;
    const size_t len = a->pixels.cells.len;
    const size_t width = a->pixels.bits_allocated / 8U;
    for (size_t i = 0; width == 0 && i < len; i++) {
        out->changed += bits_of((unsigned)(x[i] ^ y[i]));
    }
    for (size_t i = 0; width > 0 && i + width <= len; i += width) {
        count(out, (int64_t)cell_at(x + i, width), (int64_t)cell_at(y + i, width));
    }
    out->greatest = width == 0 ? (out->changed > 0 ? 1 : 0) : out->greatest;
    out->total = width == 0 ? (uint64_t)len * 8 : len / width;
}

static enum ds_status compare(const struct side *a, const struct side *b,
                              struct dicom_pixel_difference *out, struct ds_error *err)
{
    out->same_geometry = has_same_geometry(a, b);
    if (!out->same_geometry) {
        out->total = (uint64_t)a->pixels.columns * a->pixels.rows * a->pixels.frames *
                     a->pixels.samples_per_pixel;
        return DS_OK;
    }
    if (a->planes.components > 0) {
        return compare_samples(a, b, out, err);
    }
    compare_cells(a, b, out);
    return DS_OK;
}

enum ds_status dicom_pixels_difference(const struct dicom_dataset *before,
                                       const struct dicom_dataset *after,
                                       struct dicom_pixel_difference *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct side a = {0};
    struct side b = {0};
    enum ds_status s = side_read(&a, before, err);
    s = s == DS_OK ? side_read(&b, after, err) : s;
    s = s == DS_OK ? compare(&a, &b, out, err) : s;
    side_free(&a);
    side_free(&b);
    return s;
}
