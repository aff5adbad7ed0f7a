/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane - one two-dimensional grid of samples, and what it costs to hide bits in it. Private.
 */
#ifndef DICOMSTEGO_PLANE_H
#define DICOMSTEGO_PLANE_H

#include "base/base.h"
#include "dicomstego/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stego_plane {
    int32_t *samples; /* rows * columns, at most 2^31 - 1 */
    uint32_t columns, rows;
    int32_t low, high; /* of the format; high - low may be 2^32 - 1 */
    bool has_padding;  /* samples in padding_min..padding_max are never changed, never produced */
    int32_t padding_min, padding_max;
    const uint8_t *still; /* a byte for each sample, non-zero: never changed. NULL: none */
};

static inline size_t stego_plane_count(const struct stego_plane *p)
{
    return (size_t)p->columns * p->rows;
}

/* Number of planes of an image whose samples can be counted. */
static inline size_t stego_planes_of(const struct stego_image *image)
{
    return (size_t)image->frames * image->components;
}

/* Plane i: frame i / components, component i % components. Its samples are the image's; nothing is
 * still yet. Padding that the format cannot hold is left out. */
struct stego_plane stego_plane_of(const struct stego_image *image, size_t i);

static inline bool stego_plane_is_padding(const struct stego_plane *p, int32_t x)
{
    return p->has_padding && x >= p->padding_min && x <= p->padding_max;
}

/* May sample i with value x hold a bit in bit 0? The answer does not depend on bit 0 of x. */
static inline bool stego_plane_holds(const struct stego_plane *p, size_t i, int32_t x)
{
    return !stego_plane_is_padding(p, x | 1) && !stego_plane_is_padding(p, x & ~1) &&
           (p->still == NULL || p->still[i] == 0);
}

/* The sum of squared differences between the plane's samples and as many others. Embedder only. */
double stego_plane_error(const struct stego_plane *p, const int32_t *others);

/* The prices at which a plane's bits are offered: the squared error that one more bit may cost. */
#define STEGO_PRICES 96U
static inline double stego_price(unsigned i) /* 2^-20 .. 2^27.5, two to the octave */
{
    double v = (i & 1U) != 0 ? 181.0 / 128.0 : 1.0; /* so that price * bits is exact */
    for (unsigned k = 0; k < i / 2U; k++) {
        v *= 2.0;
    }
    return v / 1048576.0;
}

/* What a plane takes at each price, and the expected squared error: both never fall with the price.
 * Only the embedder uses it, so doubles may be used. */
struct stego_curve {
    double bits[STEGO_PRICES];
    double error[STEGO_PRICES];
};

#endif
