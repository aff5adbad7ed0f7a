/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/similarity.h"

#include <math.h>
#include <stdlib.h>

#define WINDOW  11U
#define MOMENTS 5U /* x, y, x*x, y*y, x*y */
#define SIGMA   1.5

/* Two planes and what has been summed of them. A row of horizontally weighted moments is made once
 * and kept in a ring until its eleven windows are done. */
struct comparison {
    const int32_t *x, *y;
    size_t columns, rows;
    double weights[WINDOW];
    double lift, c1, c2;
    double *ring; /* WINDOW rows of MOMENTS * (columns - WINDOW + 1) */
    double sum;
    uint64_t windows;
};

static bool is_padding(const struct stego_image *image, int32_t x)
{
    return image->has_padding && x >= image->padding_min && x <= image->padding_max;
}

double stego_image_range(const struct stego_image *image)
{
    size_t n = 0;
    int32_t low = INT32_MAX;
    int32_t high = INT32_MIN;
    if (!stego_image_count(image, &n)) {
        return 1.0;
    }
    for (size_t i = 0; i < n; i++) {
        const int32_t x = image->samples[i];
        if (!is_padding(image, x)) {
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
    }
    return high > low ? (double)high - (double)low : 1.0;
}

static double least_below_zero(const struct stego_image *image, size_t n)
{
    int32_t low = 0;
    for (size_t i = 0; i < n; i++) {
        low = image->samples[i] < low ? image->samples[i] : low;
    }
    return (double)low;
}

static void fill_weights(double weights[WINDOW])
{
    double sum = 0.0;
    for (unsigned k = 0; k < WINDOW; k++) {
        const double d = (double)k - (double)(WINDOW / 2U);
        weights[k] = exp(-d * d / (2.0 * SIGMA * SIGMA));
        sum += weights[k];
    }
    for (unsigned k = 0; k < WINDOW; k++) {
        weights[k] /= sum;
    }
}

static size_t windows_across(const struct comparison *c)
{
    return c->columns - WINDOW + 1U;
}

static double *ring_row(const struct comparison *c, size_t row)
{
    return c->ring + row % WINDOW * MOMENTS * windows_across(c);
}

static void weigh_row(const struct comparison *c, size_t row)
{
    const int32_t *x = c->x + row * c->columns;
    const int32_t *y = c->y + row * c->columns;
    double *out = ring_row(c, row);
    for (size_t i = 0; i < windows_across(c); i++, out += MOMENTS) {
        double m[MOMENTS] = {0.0};
        for (unsigned k = 0; k < WINDOW; k++) {
            const double a = (double)x[i + k] - c->lift;
            const double b = (double)y[i + k] - c->lift;
            m[0] += c->weights[k] * a;
            m[1] += c->weights[k] * b;
            m[2] += c->weights[k] * a * a;
            m[3] += c->weights[k] * b * b;
            m[4] += c->weights[k] * a * b;
        }
        for (unsigned k = 0; k < MOMENTS; k++) {
            out[k] = m[k];
        }
    }
}

static double similarity(const struct comparison *c, const double m[MOMENTS])
{
    const double both = m[0] * m[1];
    const double squares = m[0] * m[0] + m[1] * m[1];
    const double covariance = m[4] - both;
    const double variances = m[2] + m[3] - squares;
    return (2.0 * both + c->c1) * (2.0 * covariance + c->c2) /
           ((squares + c->c1) * (variances + c->c2));
}

/* The windows whose last row is this one. */
static void sum_windows(struct comparison *c, size_t row)
{
    for (size_t i = 0; i < windows_across(c); i++) {
        double m[MOMENTS] = {0.0};
        for (unsigned k = 0; k < WINDOW; k++) {
            const double *at = ring_row(c, row - (WINDOW - 1U) + k) + i * MOMENTS;
            for (unsigned j = 0; j < MOMENTS; j++) {
                m[j] += c->weights[k] * at[j];
            }
        }
        c->sum += similarity(c, m);
    }
    c->windows += windows_across(c);
}

static void compare_planes(struct comparison *c)
{
    if (c->columns < WINDOW || c->rows < WINDOW) {
        return;
    }
    for (size_t row = 0; row < c->rows; row++) {
        weigh_row(c, row);
        if (row + 1U >= WINDOW) {
            sum_windows(c, row);
        }
    }
}

static size_t plane_columns(const struct stego_image *image, unsigned component)
{
    return image->chroma_halved && component > 0 ? image->columns / 2U : image->columns;
}

static void compare_images(struct comparison *c, const struct stego_image *cover)
{
    for (uint32_t frame = 0; frame < cover->frames; frame++) {
        for (unsigned component = 0; component < cover->components; component++) {
            c->columns = plane_columns(cover, component);
            c->rows = cover->rows;
            compare_planes(c);
            c->x += c->columns * c->rows;
            c->y += c->columns * c->rows;
        }
    }
}

enum ds_status stego_ssim(const struct stego_image *cover, const struct stego_image *carrier,
                          double *out, struct ds_error *err)
{
    const double range = stego_image_range(cover);
    struct comparison c = {.x = cover->samples,
                           .y = carrier->samples,
                           .c1 = 0.01 * range * 0.01 * range,
                           .c2 = 0.03 * range * 0.03 * range};
    size_t n = 0;
    *out = NAN;
    if (!stego_image_count(cover, &n)) {
        return ds_fail(err, DS_EINVAL, "an image without samples has no similarity");
    }
    c.lift = least_below_zero(cover, n);
    fill_weights(c.weights);
    c.ring = calloc(cover->columns, WINDOW * MOMENTS * sizeof(*c.ring));
    if (c.ring == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a window of %u rows", WINDOW);
    }
    compare_images(&c, cover);
    free(c.ring);
    *out = c.windows > 0 ? c.sum / (double)c.windows : NAN;
    return DS_OK;
}
