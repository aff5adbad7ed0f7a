/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/plane.h"

/* Where the planes of a frame begin, and how wide they are. */
static size_t plane_columns(const struct stego_image *image, size_t component)
{
    return image->chroma_halved && component != 0 ? image->columns / 2U : image->columns;
}

struct stego_plane stego_plane_of(const struct stego_image *image, size_t i)
{
    const size_t frame = i / image->components;
    const size_t component = i % image->components;
    size_t before = 0;
    size_t in_frame = 0;
    for (size_t k = 0; k < image->components; k++) {
        before = k == component ? in_frame : before;
        in_frame += plane_columns(image, k) * image->rows;
    }
    struct stego_plane p = {.samples = image->samples + frame * in_frame + before,
                            .columns = (uint32_t)plane_columns(image, component),
                            .rows = image->rows,
                            .low = stego_image_min(image),
                            .high = stego_image_max(image)};
    p.has_padding =
        image->has_padding && image->padding_min <= p.high && image->padding_max >= p.low;
    if (p.has_padding) {
        p.padding_min = image->padding_min < p.low ? p.low : image->padding_min;
        p.padding_max = image->padding_max > p.high ? p.high : image->padding_max;
    }
    return p;
}

/* Sums that do not wait for each other; of whole numbers below 2^53, so their order is the same. */
#define SUMS 8U

double stego_plane_error(const struct stego_plane *p, const int32_t *others)
{
    const size_t n = stego_plane_count(p);
    double sums[SUMS] = {0.0};
    size_t i = 0;
    for (; i + SUMS <= n; i += SUMS) {
        for (size_t k = 0; k < SUMS; k++) {
            const double d = (double)others[i + k] - (double)p->samples[i + k];
            sums[k] += d * d;
        }
    }
    for (; i < n; i++) {
        const double d = (double)others[i] - (double)p->samples[i];
        sums[i % SUMS] += d * d;
    }
    double sum = 0.0;
    for (size_t k = 0; k < SUMS; k++) {
        sum += sums[k];
    }
    return sum;
}
