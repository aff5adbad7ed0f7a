/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/predictor_kernel.h"

#include "dicomstego/kernel.h"

static int32_t weigh(struct stego_spot at, const struct stego_weights *weights, int32_t mean,
                     bool whole)
{
    uint32_t sum = 0;
    const int32_t side = 2 * weights->radius + 1;
    const int32_t *from = at.pixel - weights->radius * at.stride - weights->radius;
    (void)whole; /* missing pixels cost nothing here */
    for (int32_t y = 0; y < side; y++, from += at.stride) {
        for (int32_t x = 0; x < side; x++) {
            sum += (uint32_t)(stego_weighed(from[x], mean) * weights->row[y][x]);
        }
    }
    return (int32_t)sum;
}

static void look(struct stego_spot at, const struct stego_weights *weights, int32_t mean,
                 int32_t top, unsigned witnesses, bool whole, struct stego_look *out)
{
    stego_look_with(weigh, at, weights, mean, top, witnesses, whole, out);
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

static const struct stego_predictor_kernels portable = {look, average, compare, multiply};

const struct stego_predictor_kernels *stego_predictor_kernels_now(void)
{
    const struct stego_predictor_kernels *fast = stego_predictor_kernels_avx2();
    return fast == NULL || stego_kernels_now() == &stego_kernels_portable ? &portable : fast;
}
