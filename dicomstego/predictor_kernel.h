/* SPDX-License-Identifier: Apache-2.0 */
/*
 * predictor_kernel - the loops in which the chain's predictor spends its time. Private.
 *
 * There is a portable version of each and one for AVX2; what they compute is the same to the bit,
 * because sums are taken modulo 2^32.
 */
#ifndef DICOMSTEGO_PREDICTOR_KERNEL_H
#define DICOMSTEGO_PREDICTOR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEGO_STRIP         16U
#define STEGO_RADIUS_MAX    3
#define STEGO_MISSING_PIXEL (-1)

/* How far a neighbour may differ from the local mean and still count in full: keeps the sums of
 * products over a strip within 31 bits. */
#define STEGO_DIFFERENCE_MAX 8191

/* 12 fraction bits, -32767..32767. The weight of the pixel dx to the right and dy below, both from
 * -radius on, is row[dy + radius][dx + radius]; those in the middle and beyond the radius are 0. */
struct stego_weights {
    int16_t row[2 * STEGO_RADIUS_MAX + 2][8];
    int32_t radius;
};

/* A pixel in a raster whose rows are `stride` apart, with at least 6 pixels of border on each side.
 */
struct stego_spot {
    const int32_t *pixel;
    ptrdiff_t stride;
};

/* The mean of four pixels, rounded down; STEGO_MISSING_PIXEL when all are missing. */
static inline int32_t stego_mean_of(int32_t a, int32_t b, int32_t c, int32_t d)
{
    static const int32_t share[5] = {0, 16384, 8192, 5462, 4096}; /* 2^14 / n */
    if ((a | b | c | d) >= 0) {
        return (a + b + c + d) >> 2;
    }
    const int32_t count = (a >= 0) + (b >= 0) + (c >= 0) + (d >= 0);
    const int32_t sum = (a < 0 ? 0 : a) + (b < 0 ? 0 : b) + (c < 0 ? 0 : c) + (d < 0 ? 0 : d);
    return count == 0 ? STEGO_MISSING_PIXEL : (sum * share[count]) >> 14;
}

/* ... of the four nearest. */
static inline int32_t stego_mean_around(struct stego_spot at)
{
    return stego_mean_of(at.pixel[-1], at.pixel[-at.stride], at.pixel[at.stride], at.pixel[1]);
}

static inline int32_t stego_difference(int32_t v, int32_t mean)
{
    const int32_t d = v - mean;
    const int32_t clipped = d > STEGO_DIFFERENCE_MAX
                                ? STEGO_DIFFERENCE_MAX
                                : (d < -STEGO_DIFFERENCE_MAX ? -STEGO_DIFFERENCE_MAX : d);
    return v < 0 ? 0 : clipped;
}

/* How far off some predictions are, or how much pixels differ, in all: `count` of them. */
struct stego_misses {
    uint32_t sum;
    uint32_t count;
};

/* What the surroundings of a pixel say; the pixel itself is not looked at. */
struct stego_look {
    int32_t prediction;          /* in 1/16 */
    struct stego_misses near[2]; /* of the predictions of the four nearest neighbours, and of the
                                    next four, with the same weights: in 1/16 */
    struct stego_misses circle;  /* of the eight pixels around, each from the next */
};

static inline void stego_add_step(int32_t a, int32_t b, struct stego_misses *m)
{
    const uint32_t both = (a | b) >= 0;
    m->sum += both * (uint32_t)(a < b ? b - a : a - b);
    m->count += both;
}

static inline struct stego_misses stego_unrest(struct stego_spot at)
{
    const int32_t *up = at.pixel - at.stride;
    const int32_t *down = at.pixel + at.stride;
    struct stego_misses m = {0, 0};
    stego_add_step(up[-1], up[0], &m);
    stego_add_step(up[0], up[1], &m);
    stego_add_step(up[1], at.pixel[1], &m);
    stego_add_step(at.pixel[1], down[1], &m);
    stego_add_step(down[1], down[0], &m);
    stego_add_step(down[0], down[-1], &m);
    stego_add_step(down[-1], at.pixel[-1], &m);
    stego_add_step(at.pixel[-1], up[-1], &m);
    return m;
}

/* 16 times the mean and a weighted sum, within the range. */
static inline int32_t stego_predicted(int32_t mean, int32_t sum, int32_t top)
{
    const int32_t v = 16 * mean + (sum >> 8);
    return v < 0 ? 0 : (v > top ? top : v);
}

/* A neighbour's difference from a mean, as it is weighed. */
static inline int32_t stego_weighed(int32_t v, int32_t mean)
{
    const int32_t d = v - mean;
    const int32_t saturated = d > INT16_MAX ? INT16_MAX : (d < INT16_MIN ? INT16_MIN : d);
    return v < 0 ? 0 : saturated;
}

/* What pixels in a strip and beside it have around them, under one set of weights: line y is that
 * of the row y - 1 below the one in hand, column c that of the strip's pixel c - 1. Modulo 2^32. */
#define STEGO_FIELD_COLUMNS 24U
struct stego_field {
    uint32_t sum[3][STEGO_FIELD_COLUMNS];    /* of weight * pixel, over the pixels that are there */
    uint32_t weight[3][STEGO_FIELD_COLUMNS]; /* of the weights of these */
    uint32_t least, most;                    /* of all these pixels and perhaps some others */
    bool is_whole;                           /* none of them is missing */
};

/* Pixels that differ by more from what is expected are not weighed in full: stego_weighed(). A mean
 * may be above its pixels by a few. */
#define STEGO_FIELD_WIDTH 32000U

/* Does the field hold when one of the pixels is `seen`? */
static inline bool stego_field_covers(const struct stego_field *f, uint32_t seen)
{
    const uint32_t least = seen < f->least ? seen : f->least;
    const uint32_t most = seen > f->most ? seen : f->most;
    return most - least <= STEGO_FIELD_WIDTH;
}

/* A pixel to predict. */
struct stego_sight {
    struct stego_spot at;
    const struct stego_weights *weights;
    const struct stego_field *field;
    size_t column; /* in the field */
};

/* The weighted sum of what is around the pixel dx to the right and dy below, modulo 2^32, missing
 * ones being like the mean. */
typedef uint32_t stego_weigh(const struct stego_sight *s, int32_t dx, int32_t dy, int32_t mean);

/* How a neighbour's prediction is off when it sees `seen` in place of the pixel itself. -1: nothing
 * can be said. */
static inline __attribute__((always_inline)) int32_t stego_miss_of(stego_weigh *weigh,
                                                                   const struct stego_sight *s,
                                                                   int32_t dx, int32_t dy,
                                                                   int32_t seen, int32_t top)
{
    const struct stego_weights *weights = s->weights;
    const ptrdiff_t stride = s->at.stride;
    const int32_t *w = s->at.pixel + dy * stride + dx;
    const int32_t v = *w;
    const int32_t mean =
        stego_mean_of(dx == 1 && dy == 0 ? seen : w[-1], dx == 0 && dy == 1 ? seen : w[-stride],
                      dx == 0 && dy == -1 ? seen : w[stride], dx == -1 && dy == 0 ? seen : w[1]);
    if (v < 0 || mean < 0) {
        return -1;
    }
    const int32_t weight = weights->row[weights->radius - dy][weights->radius - dx];
    const uint32_t sum =
        weigh(s, dx, dy, mean) + (uint32_t)weight * (uint32_t)(stego_weighed(seen, mean) -
                                                               stego_weighed(*s->at.pixel, mean));
    const int32_t d = 16 * v - stego_predicted(mean, (int32_t)sum, top);
    return d < 0 ? -d : d;
}

/* mean: around the pixel. top: 16 times the highest value. witnesses: 4 or 8. False when the field
 * does not cover it. */
static inline __attribute__((always_inline)) bool
stego_look_with(stego_weigh *weigh, const struct stego_sight *s, int32_t mean, int32_t top,
                unsigned witnesses, struct stego_look *out)
{
    static const int8_t place[8][2] = {{-1, 0},  {0, -1}, {0, 1},  {1, 0},
                                       {-1, -1}, {1, -1}, {-1, 1}, {1, 1}};
    out->prediction = stego_predicted(mean, (int32_t)weigh(s, 0, 0, mean), top);
    const int32_t seen = (out->prediction + 8) >> 4;
    if (s->field != NULL && !stego_field_covers(s->field, (uint32_t)seen)) {
        return false;
    }
    out->near[0] = out->near[1] = (struct stego_misses){0, 0};
    out->circle = stego_unrest(s->at);
#pragma GCC unroll 8
    for (unsigned k = 0; k < witnesses; k++) {
        const int32_t d = stego_miss_of(weigh, s, place[k][0], place[k][1], seen, top);
        if (d >= 0) {
            out->near[k / 4].sum += (uint32_t)d;
            out->near[k / 4].count++;
        }
    }
    return true;
}

static inline uint32_t stego_weigh_field(const struct stego_sight *s, int32_t dx, int32_t dy,
                                         int32_t mean)
{
    const size_t line = (size_t)(1 + dy);
    const size_t column = s->column + (size_t)dx;
    return s->field->sum[line][column] - (uint32_t)mean * s->field->weight[line][column];
}

struct stego_predictor_kernels {
    /* Fills the field of a strip whose first pixel is behind `pixel`. */
    void (*sum_up)(const int32_t *pixel, ptrdiff_t stride, const struct stego_weights *weights,
                   struct stego_field *to);
    /* stego_look_with the field and four witnesses. */
    bool (*look)(const struct stego_sight *s, int32_t mean, int32_t top, struct stego_look *out);
    /* mean[c]: the mean around pixel[c]; STEGO_MISSING_PIXEL when that is missing too. mean has
     * room for a multiple of 8. */
    void (*average)(const int32_t *pixel, ptrdiff_t stride, size_t count, int32_t *mean);
    /* to[c] = the difference of pixel[c] and mean[c], 0 where mean[c] is missing; both have room.
     */
    void (*compare)(const int32_t *pixel, const int32_t *mean, size_t count, int16_t *to);
    /* line: lines of `stride` numbers, |.| <= STEGO_DIFFERENCE_MAX. to[i (i + 1) / 2 + j] = the
     * product of the first STEGO_STRIP numbers of lines i and j, j <= i < lines. */
    void (*multiply)(const int16_t *line, size_t stride, unsigned lines, int32_t *to);
};

/* Those of stego_kernels_now(): see kernel.h. */
const struct stego_predictor_kernels *stego_predictor_kernels_now(void);

/* NULL where they cannot run. */
const struct stego_predictor_kernels *stego_predictor_kernels_avx2(void);

#endif
