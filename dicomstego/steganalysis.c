/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/steganalysis.h"

#include "dicomstego/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS_BITS   16U
#define LEAST_TIMES 4.0
#define GROUP       4U
/* Further from 0 to 1 it is no estimate: the image is noise. */
#define LENGTH_SLACK 0.5

/* Above the least that the format allows, so that pairs are the same for signed samples. */
static int64_t rank_of(const struct stego_image *image, size_t i)
{
    return (int64_t)image->samples[i] - stego_image_min(image);
}

static double probability_of(const uint64_t *counts, size_t bins)
{
    double sum = 0.0;
    double pairs = 0.0;
    for (size_t k = 0; k + 1 < bins; k += 2) {
        const double expected = (double)(counts[k] + counts[k + 1]) / 2.0;
        if (expected > LEAST_TIMES) {
            const double d = (double)counts[k] - expected;
            sum += d * d / expected;
            pairs += 1.0;
        }
    }
    return pairs < 2.0 ? (double)NAN : stego_chi_square_tail(sum, pairs - 1.0);
}

enum ds_status stego_chi_square_attack(const struct stego_image *image, size_t count,
                                       double *probability, struct ds_error *err)
{
    size_t all = 0;
    *probability = (double)NAN;
    if (!stego_image_count(image, &all) || count > all) {
        return ds_fail(err, DS_EINVAL, "the image has not so many samples");
    }
    if (image->bits_stored > BINS_BITS) {
        return DS_OK; /* no pair is met often enough */
    }
    const size_t bins = (size_t)1 << image->bits_stored;
    uint64_t *counts = calloc(bins, sizeof(*counts));
    if (counts == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a histogram of %zu", bins);
    }
    for (size_t i = 0; i < count; i++) {
        counts[rank_of(image, i)]++;
    }
    *probability = probability_of(counts, bins);
    free(counts);
    return DS_OK;
}

/* ---- RS ---- */

/* F1 swaps 2k and 2k + 1; F-1 swaps 2k - 1 and 2k. */
static int64_t flip(int64_t v, int direction)
{
    return direction > 0 ? v ^ 1 : ((v + 1) ^ 1) - 1;
}

static int64_t roughness(const int64_t g[GROUP])
{
    int64_t sum = 0;
    for (unsigned i = 1; i < GROUP; i++) {
        sum += llabs(g[i] - g[i - 1]);
    }
    return sum;
}

struct groups {
    double all;
    double regular[2], singular[2]; /* by F1, F-1 */
};

static void add_group(struct groups *s, const int64_t g[GROUP])
{
    const int64_t before = roughness(g);
    for (unsigned k = 0; k < 2; k++) {
        const int direction = k == 0 ? 1 : -1;
        const int64_t flipped[GROUP] = {g[0], flip(g[1], direction), flip(g[2], direction), g[3]};
        const int64_t after = roughness(flipped);
        s->regular[k] += after > before ? 1.0 : 0.0;
        s->singular[k] += after < before ? 1.0 : 0.0;
    }
    s->all += 1.0;
}

/* flips: every lowest bit is the other one. */
static void count_groups(const struct stego_image *image, bool flips, struct groups *s)
{
    memset(s, 0, sizeof(*s));
    size_t at = 0;
    for (uint32_t frame = 0; frame < image->frames; frame++) {
        for (unsigned component = 0; component < image->components; component++) {
            const size_t columns =
                image->chroma_halved && component > 0 ? image->columns / 2U : image->columns;
            for (uint32_t y = 0; y < image->rows; y++, at += columns) {
                for (size_t x = 0; x + GROUP <= columns; x += GROUP) {
                    int64_t g[GROUP];
                    for (unsigned i = 0; i < GROUP; i++) {
                        g[i] = rank_of(image, at + x + i) ^ (flips ? 1 : 0);
                    }
                    add_group(s, g);
                }
            }
        }
    }
}

/* The smaller root of 2 (d1 + d0) z^2 + (d-0 - d-1 - d1 - 3 d0) z + d0 - d-0, and z / (z - 1/2). */
static double estimate(const struct groups *p, const struct groups *flipped)
{
    const double d0 = (p->regular[0] - p->singular[0]) / p->all;
    const double d1 = (flipped->regular[0] - flipped->singular[0]) / p->all;
    const double n0 = (p->regular[1] - p->singular[1]) / p->all;
    const double n1 = (flipped->regular[1] - flipped->singular[1]) / p->all;
    const double a = 2.0 * (d1 + d0);
    const double b = n0 - n1 - d1 - 3.0 * d0;
    const double c = d0 - n0;
    const double square = b * b - 4.0 * a * c;
    double z = (double)NAN;
    if (a == 0.0) {
        z = b == 0.0 ? (double)NAN : -c / b;
    } else {
        const double root = square > 0.0 ? sqrt(square) : 0.0; /* below 0 by chance, at length 1 */
        const double first = (-b + root) / (2.0 * a);
        const double second = (-b - root) / (2.0 * a);
        z = fabs(first) < fabs(second) ? first : second;
    }
    const double length = z / (z - 0.5);
    return length > -LENGTH_SLACK && length < 1.0 + LENGTH_SLACK ? length : (double)NAN;
}

enum ds_status stego_rs_analysis(const struct stego_image *image, struct stego_rs *out,
                                 struct ds_error *err)
{
    size_t count = 0;
    if (!stego_image_count(image, &count)) {
        return ds_fail(err, DS_EINVAL, "an image without samples cannot be analysed");
    }
    struct groups as_is;
    struct groups flipped;
    count_groups(image, false, &as_is);
    count_groups(image, true, &flipped);
    *out = (struct stego_rs){.length = (double)NAN};
    if (as_is.all > 0.0) {
        out->regular = as_is.regular[0] / as_is.all;
        out->singular = as_is.singular[0] / as_is.all;
        out->regular_negative = as_is.regular[1] / as_is.all;
        out->singular_negative = as_is.singular[1] / as_is.all;
        out->length = estimate(&as_is, &flipped);
    }
    return DS_OK;
}
