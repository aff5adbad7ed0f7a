/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/predictor_kernel.h"

#include "dicomstego/kernel.h"

#include <string.h>

/* Adds `weight` times a line of pixels, those that are there. */
static void add_line(const int32_t *pixel, uint32_t weight, uint32_t *sum, uint32_t *weights)
{
    for (size_t c = 0; c < STEGO_FIELD_COLUMNS; c++) {
        const uint32_t there = pixel[c] < 0 ? 0 : UINT32_MAX;
        sum[c] += weight * ((uint32_t)pixel[c] & there);
        weights[c] += weight & there;
    }
}

/* Of the columns that any pixel of the strip or beside it looks at. */
static void add_ends(const int32_t *pixel, int32_t radius, struct stego_field *to)
{
    for (int32_t c = -radius; c < (int32_t)STEGO_STRIP + 2 + radius; c++) {
        const uint32_t v = (uint32_t)pixel[c];
        to->least = v < to->least ? v : to->least;
        to->most = pixel[c] >= 0 && v > to->most ? v : to->most;
        to->is_whole = to->is_whole && pixel[c] >= 0;
    }
}

static void sum_up(const int32_t *pixel, ptrdiff_t stride, const struct stego_weights *weights,
                   struct stego_field *to)
{
    const int32_t radius = weights->radius;
    memset(to, 0, sizeof *to);
    to->least = UINT32_MAX;
    to->is_whole = true;
    for (int32_t y = -1 - radius; y <= 1 + radius; y++) {
        add_ends(pixel + y * stride, radius, to);
    }
    for (int32_t line = 0; line < 3; line++) {
        for (int32_t dy = -radius; dy <= radius; dy++) {
            for (int32_t dx = -radius; dx <= radius; dx++) {
                const int32_t w = weights->row[dy + radius][dx + radius];
                if (w != 0) {
                    add_line(pixel + (line - 1 + dy) * stride + dx, (uint32_t)w, to->sum[line],
                             to->weight[line]);
                }
            }
        }
    }
}

static bool look(const struct stego_sight *s, int32_t mean, int32_t top, struct stego_look *out)
{
    return stego_look_with(stego_weigh_field, s, mean, top, 4, out);
}

static void average(const int32_t *pixel, ptrdiff_t stride, size_t count, int32_t *mean)
{
    for (size_t c = 0; c < count; c++) {
        mean[c] = pixel[c] < 0 ? STEGO_MISSING_PIXEL
                               : stego_mean_around((struct stego_spot){pixel + c, stride});
    }
}

static void compare(const int32_t *pixel, const int32_t *mean, size_t count, int16_t *to)
{
    for (size_t c = 0; c < count; c++) {
        to[c] = mean[c] < 0 ? 0 : (int16_t)stego_difference(pixel[c], mean[c]);
    }
}

static void multiply(const int16_t *line, size_t stride, unsigned lines, int32_t *to)
{
    for (unsigned i = 0; i < lines; i++) {
        for (unsigned j = 0; j <= i; j++) {
            const int16_t *a = line + i * stride;
            const int16_t *b = line + j * stride;
            int32_t sum = 0;
            for (unsigned k = 0; k < STEGO_STRIP; k++) {
                sum += (int32_t)a[k] * b[k];
            }
            *to++ = sum;
        }
    }
}

static const struct stego_predictor_kernels portable = {sum_up, look, average, compare, multiply};

const struct stego_predictor_kernels *stego_predictor_kernels_now(void)
{
    const struct stego_predictor_kernels *fast = stego_predictor_kernels_avx2();
    return fast == NULL || stego_kernels_now() == &stego_kernels_portable ? &portable : fast;
}
