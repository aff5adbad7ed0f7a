/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 10000U
#define TINY       1e-300
#define EXACT      1e-15
#define BYTE_BITS  8U
#define BINS_BITS  16U

/* ---- chi-square ---- */

static double tail_by_series(double a, double x)
{
    double term = 1.0 / a;
    double sum = term;
    for (unsigned i = 1; i < ROUNDS_MAX && term > sum * EXACT; i++) {
        term *= x / (a + i);
        sum += term;
    }
    return 1.0 - sum * exp(a * log(x) - x - lgamma(a));
}

/* Lentz's method. */
static double tail_by_fraction(double a, double x)
{
    double b = x + 1.0 - a;
    double c = 1.0 / TINY;
    double d = 1.0 / b;
    double h = d;
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        const double an = -(double)i * ((double)i - a);
        b += 2.0;
        d = an * d + b;
        d = 1.0 / (fabs(d) < TINY ? TINY : d);
        c = b + an / c;
        c = fabs(c) < TINY ? TINY : c;
        h *= d * c;
        if (fabs(d * c - 1.0) < EXACT) {
            break;
        }
    }
    return h * exp(a * log(x) - x - lgamma(a));
}

double stego_chi_square_tail(double x, double degrees)
{
    const double a = degrees / 2.0;
    const double half = x / 2.0;
    if (!(degrees > 0.0) || isnan(x)) {
        return (double)NAN;
    }
    if (half <= 0.0) {
        return 1.0;
    }
    return half < a + 1.0 ? tail_by_series(a, half) : tail_by_fraction(a, half);
}

/* ---- one image ---- */

unsigned stego_sample_bytes(const struct stego_image *image)
{
    return image->bits_stored <= BYTE_BITS ? 1 : image->bits_stored <= 2 * BYTE_BITS ? 2 : 4;
}

static double entropy_of(const uint64_t *counts, size_t bins, uint64_t total)
{
    double sum = 0.0;
    for (size_t i = 0; i < bins; i++) {
        if (counts[i] > 0) {
            const double p = (double)counts[i] / (double)total;
            sum -= p * log2(p);
        }
    }
    return sum;
}

static void count_bytes(const struct stego_image *image, size_t count, uint64_t bytes[256])
{
    const unsigned width = stego_sample_bytes(image);
    for (size_t i = 0; i < count; i++) {
        const uint32_t v = (uint32_t)image->samples[i];
        for (unsigned k = 0; k < width; k++) {
            bytes[v >> BYTE_BITS * k & 0xff]++;
        }
    }
}

static enum ds_status find_sample_entropy(const struct stego_image *image, size_t count,
                                          double *out, struct ds_error *err)
{
    *out = (double)NAN;
    if (image->bits_stored > BINS_BITS) {
        return DS_OK;
    }
    const size_t bins = (size_t)1 << image->bits_stored;
    uint64_t *counts = calloc(bins, sizeof(*counts));
    if (counts == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a histogram of %zu", bins);
    }
    for (size_t i = 0; i < count; i++) {
        counts[(uint32_t)image->samples[i] & (bins - 1)]++;
    }
    *out = entropy_of(counts, bins, count);
    free(counts);
    return DS_OK;
}

/* Sums of pairs, about a point in the middle of them, so that nothing cancels. */
struct pairs {
    double centre;
    double n, x, y, xx, yy, xy;
};

static void add_plane(struct pairs *p, const int32_t *plane, size_t columns, size_t rows,
                      enum stego_direction direction)
{
    const size_t right = direction == STEGO_VERTICAL ? 0 : 1;
    const size_t down = direction == STEGO_HORIZONTAL ? 0 : 1;
    for (size_t at_y = 0; at_y + down < rows; at_y++) {
        const int32_t *row = plane + at_y * columns;
        for (size_t at_x = 0; at_x + right < columns; at_x++) {
            const double x = row[at_x] - p->centre;
            const double y = row[at_x + right + down * columns] - p->centre;
            p->n += 1.0;
            p->x += x;
            p->y += y;
            p->xx += x * x;
            p->yy += y * y;
            p->xy += x * y;
        }
    }
}

static double correlation_of(const struct pairs *p)
{
    const double a = p->xx - p->x * p->x / p->n;
    const double b = p->yy - p->y * p->y / p->n;
    return p->n > 0.0 && a > 0.0 && b > 0.0 ? (p->xy - p->x * p->y / p->n) / sqrt(a * b)
                                            : (double)NAN;
}

static size_t plane_columns(const struct stego_image *image, unsigned component)
{
    return image->chroma_halved && component > 0 ? image->columns / 2U : image->columns;
}

static double mean_of(const struct stego_image *image, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += image->samples[i];
    }
    return sum / (double)count;
}

static void correlate(const struct stego_image *image, size_t count, double out[STEGO_DIRECTIONS])
{
    const double centre = mean_of(image, count);
    for (unsigned direction = 0; direction < STEGO_DIRECTIONS; direction++) {
        struct pairs p = {.centre = centre};
        const int32_t *plane = image->samples;
        for (uint32_t frame = 0; frame < image->frames; frame++) {
            for (unsigned component = 0; component < image->components; component++) {
                const size_t columns = plane_columns(image, component);
                add_plane(&p, plane, columns, image->rows, (enum stego_direction)direction);
                plane += columns * image->rows;
            }
        }
        out[direction] = correlation_of(&p);
    }
}

enum ds_status stego_statistics_of(const struct stego_image *image, struct stego_statistics *out,
                                   struct ds_error *err)
{
    size_t count = 0;
    memset(out, 0, sizeof(*out));
    if (!stego_image_count(image, &count)) {
        return ds_fail(err, DS_EINVAL, "an image without samples has no statistics");
    }
    const uint64_t total = (uint64_t)count * stego_sample_bytes(image);
    count_bytes(image, count, out->bytes);
    out->entropy_byte = entropy_of(out->bytes, 256, total);
    const double expected = (double)total / 256.0;
    for (size_t i = 0; i < 256; i++) {
        const double d = (double)out->bytes[i] - expected;
        out->chi_square += d * d / expected;
    }
    out->chi_square_p = stego_chi_square_tail(out->chi_square, 255.0);
    correlate(image, count, out->correlation);
    return find_sample_entropy(image, count, &out->entropy_sample, err);
}

/* ---- two images ---- */

static bool same_geometry(const struct stego_image *a, const struct stego_image *b)
{
    return a->columns == b->columns && a->rows == b->rows && a->frames == b->frames &&
           a->components == b->components && a->chroma_halved == b->chroma_halved &&
           a->bits_stored == b->bits_stored && a->is_signed == b->is_signed;
}

static uint8_t byte_at(const struct stego_image *image, unsigned width, size_t i)
{
    return (uint8_t)((uint32_t)image->samples[i / width] >> BYTE_BITS * (i % width));
}

enum ds_status stego_change_of(const struct stego_image *a, const struct stego_image *b,
                               struct stego_change *out, struct ds_error *err)
{
    size_t count[2] = {0, 0};
    memset(out, 0, sizeof(*out));
    if (!stego_image_count(a, &count[0]) || !stego_image_count(b, &count[1])) {
        return ds_fail(err, DS_EINVAL, "an image without samples cannot be compared");
    }
    out->by_byte = !same_geometry(a, b);
    const unsigned width[2] = {stego_sample_bytes(a), stego_sample_bytes(b)};
    const size_t bytes[2] = {count[0] * width[0], count[1] * width[1]};
    const size_t least = bytes[0] < bytes[1] ? bytes[0] : bytes[1];
    out->compared = out->by_byte ? least : count[0];
    const double peak = out->by_byte ? 255.0 : ldexp(1.0, a->bits_stored) - 1.0;
    double changed = 0.0;
    double sum = 0.0;
    for (size_t i = 0; i < out->compared; i++) {
        const int64_t d = out->by_byte ? (int64_t)byte_at(a, width[0], i) - byte_at(b, width[1], i)
                                       : (int64_t)a->samples[i] - b->samples[i];
        changed += d != 0 ? 1.0 : 0.0;
        sum += (double)llabs(d);
    }
    out->npcr = 100.0 * changed / (double)out->compared;
    out->uaci = 100.0 * sum / peak / (double)out->compared;
    return DS_OK;
}
