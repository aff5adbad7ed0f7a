/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan - walks the pixels of one colour of a plane's checkerboard with their predictions. Private.
 *
 * Column + row even is colour 0, odd is colour 1. A pixel is predicted from pixels of the other
 * colour only, so all of one colour can be changed while the context stays what it was; embedder
 * and extractor see the same. The plane goes on beyond its edges as in a mirror (column -1 is
 * column 1); a neighbour with a padding value is missing, and so is one that the mirror does not
 * show.
 *
 * A site is a pixel that may take part: not padding, not still, not in the run of pixels that holds
 * the mark, and with at least one neighbour.
 *
 * All values are offsets from the format's lowest. A format of at most 2^16 values goes through the
 * kernels in 16-bit rows, a wider one through plain code.
 */
#ifndef DICOMSTEGO_SCAN_H
#define DICOMSTEGO_SCAN_H

#include "base/error.h"
#include "dicomstego/kernel.h"
#include "dicomstego/plane.h"

struct stego_scan {
    size_t columns, rows, samples;
    int32_t low, high; /* of the format */
    bool has_padding;
    int32_t padding_min, padding_max;
    const uint8_t *still; /* borrowed; see plane.h */
    /* Pixels begin..end-1 in raster order are seen with bit 0 cleared and are no sites. Empty when
     * equal. */
    size_t run_begin, run_end;

    const struct stego_kernels *kernels;
    bool is_wide;
    size_t stride;              /* of ring, in entries */
    void *ring;                 /* rows of the other colour: uint32_t when wide, else uint16_t */
    void *own;                  /* offsets of one row's sites, of the same type */
    void *mean;                 /* the prediction for each of them, of the same type */
    uint8_t *class;             /* of each of them */
    uint16_t *cell;             /* scratch of the statistics */
    struct stego_limits limits; /* set by each walk */
};

/* One row of one colour: sample j is at index + 2 * j of the plane. */
struct stego_row {
    size_t index;
    size_t count;
    bool is_wide;
    const uint16_t *own, *mean;           /* unless wide */
    const uint32_t *wide_own, *wide_mean; /* when wide */
    const uint8_t *class;                 /* STEGO_NO_SITE: leave it alone */
};

/* Takes everything but the samples over from the plane; *scan owns its scratch memory. */
DS_CHECKED enum ds_status stego_scan_init(struct stego_scan *scan, const struct stego_plane *plane,
                                          struct ds_error *err);
void stego_scan_finish(struct stego_scan *scan);

/* false ends the walk. */
typedef bool stego_row_function(void *object, const struct stego_row *row);

/* Rows of `colour` in order. Own values come from own (padding is told by them), the neighbours
 * from context; function may write samples of this colour. Samples have to be low..high. */
void stego_scan_walk(struct stego_scan *scan, unsigned colour, const int32_t *own,
                     const int32_t *context, stego_row_function *function, void *object);

static inline bool stego_scan_is_padding(const struct stego_scan *scan, int32_t x)
{
    return scan->has_padding && x >= scan->padding_min && x <= scan->padding_max;
}

/* May sample i with value x hold a bit in bit 0? The answer does not depend on bit 0 of x. */
bool stego_scan_may_hold(const struct stego_scan *scan, size_t i, int32_t x);

#endif
