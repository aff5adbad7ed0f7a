/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan - walks the pixels of one colour of the checkerboard with their predictions. Private.
 *
 * Column + row even is colour 0, odd is colour 1. A pixel is predicted from pixels of the other
 * colour only, so all of one colour can be changed while the context stays what it was; embedder
 * and extractor see the same. A neighbour outside the frame or with a padding value is missing.
 *
 * A site is a pixel that may take part: not padding, not excluded, not in the run of pixels that
 * holds the mark, and with at least one neighbour.
 */
#ifndef DICOMSTEGO_SCAN_H
#define DICOMSTEGO_SCAN_H

#include "dicomstego/image.h"

#define STEGO_NO_SITE 255U

struct stego_scan {
    size_t columns, rows, frames, frame_samples, samples;
    int32_t low, high; /* of the format */
    bool has_padding;
    int32_t padding_min, padding_max;
    struct stego_rect exclude;
    /* Pixels begin..end-1 in raster order over all frames are seen with bit 0 cleared and are no
     * sites. Empty when equal. */
    size_t run_begin, run_end;

    size_t stride;      /* of plane */
    int32_t *plane;     /* the other colour of one frame, with a border of missing ones */
    bool *row_is_whole; /* none of the row's pixels is missing */
    int32_t *base;      /* of one row */
    uint8_t *class;
};

/* One row of one colour: sample j is at index + 2 * j of the image. */
struct stego_row {
    size_t index;
    size_t count;
    const int32_t *base;  /* prediction rounded down; the pixel's side is x > base */
    const uint8_t *class; /* STEGO_NO_SITE: leave it alone */
};

/* Takes geometry and padding over from the image; *scan owns its scratch memory. */
DS_CHECKED enum ds_status stego_scan_init(struct stego_scan *scan, const struct stego_image *image,
                                          struct ds_error *err);
void stego_scan_finish(struct stego_scan *scan);

/* false ends the walk. */
typedef bool stego_row_function(void *object, const struct stego_row *row);

/* Rows of `colour` in order. Own values come from own (padding is told by them), the neighbours
 * from context; function may write samples of this colour. */
void stego_scan_walk(struct stego_scan *scan, unsigned colour, const int32_t *own,
                     const int32_t *context, stego_row_function *function, void *object);

static inline bool stego_scan_is_padding(const struct stego_scan *scan, int32_t x)
{
    return scan->has_padding && x >= scan->padding_min && x <= scan->padding_max;
}

/* How far x, which is no padding, may move up or down without leaving the format's range and
 * without touching or crossing padding. */
static inline int32_t stego_room_up(const struct stego_scan *scan, int32_t x)
{
    return scan->has_padding && x < scan->padding_min ? scan->padding_min - 1 - x : scan->high - x;
}

static inline int32_t stego_room_down(const struct stego_scan *scan, int32_t x)
{
    return scan->has_padding && x > scan->padding_max ? x - scan->padding_max - 1 : x - scan->low;
}

/* May sample i with value x hold a bit in bit 0? The answer does not depend on bit 0 of x. */
bool stego_scan_may_hold(const struct stego_scan *scan, size_t i, int32_t x);

#endif
