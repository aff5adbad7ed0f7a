/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel - the loops over a row of pixels in which the board spends its time. Private.
 *
 * They work on offsets from the lowest value of the format, 16 bits each. There is a portable
 * version of each and one for AVX2; what they write is the same to the bit. Rows have room for
 * STEGO_ROW_SLACK entries before the first and behind the last: a kernel may read there, and may
 * write behind the last.
 */
#ifndef DICOMSTEGO_KERNEL_H
#define DICOMSTEGO_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEGO_ROW_SLACK 32U

#define STEGO_CLASSES 54U
#define STEGO_NO_SITE 255U /* in place of a class */

/* Four classes to the octave of 6 + c, where c is a sum of twelve differences: 4 for each bit that
 * v has beyond three, and its first three bits. Beyond 2^16 all are of the last class. Written so
 * that compilers can do it for several sites at once. */
static inline unsigned stego_class_of(uint32_t c)
{
    uint32_t v = c < 65529U ? 6U + c : 65535U;
    uint32_t bits = v >= 1024U ? 8U : 0U;
    v = v >= 1024U ? v >> 8 : v;
    bits += v >= 64U ? 4U : 0U;
    v = v >= 64U ? v >> 4 : v;
    bits += v >= 16U ? 2U : 0U;
    v = v >= 16U ? v >> 2 : v;
    bits += v >= 8U ? 1U : 0U;
    v = v >= 8U ? v >> 1 : v;
    return 4U * bits + v - 6U;
}

/* The rows around one row of sites. Site j has above[j] and below[j] above and below it, above[j-1]
 * and above[j+1] beside those; same[j] is its left neighbour, same[j+1] the right one, and
 * above2[j] and above2[j+1] lie two rows over those. */
struct stego_context {
    const uint16_t *above2, *above, *same, *below, *below2;
    bool has_missing;
    uint16_t missing; /* a pixel with this offset is missing */
};

/* Where pixels may go; own offsets and means are 0..high. Without padding pad_first is 0 and
 * pad_last UINT32_MAX. */
struct stego_limits {
    uint32_t high;
    bool has_padding;
    uint32_t pad_first, pad_last;
};

#define STEGO_MISSING (-1)

/* The four next neighbours of a site and, for each of them in that order, two of its own, farther
 * away from the site; offsets or STEGO_MISSING. */
struct stego_neighbours {
    int64_t near[4];   /* above, below, left, right */
    int64_t far[4][2]; /* left and right of centre, or above and below it */
};

struct stego_prediction {
    uint32_t mean;
    uint8_t class;
};

/* A missing near neighbour is replaced by the one opposite, then by one of the other pair; a far
 * one by the near one that is closest to it. */
struct stego_prediction stego_predict(const struct stego_neighbours *around);

/* What one pixel is to its prediction. */
struct stego_place {
    bool above;
    int64_t rank;
};

/* The base is the greatest integer below the mean; a pixel's side is x > base. At the upper end of
 * the range it is the end itself, so that a flat bright area expands downwards and not out of the
 * range. Either way a pixel that equals its prediction has rank 0. The value is base + 1 + rank
 * above, base - rank below. */
static inline struct stego_place stego_place_of(uint32_t own, uint32_t mean,
                                                const struct stego_limits *limits)
{
    const int64_t base = (int64_t)mean - (mean < limits->high);
    const int64_t e = (int64_t)own - base - 1;
    return (struct stego_place){e >= 0, e >= 0 ? e : -1 - e};
}

/* How far an offset, which is no padding, may move up or down without leaving the format's range
 * and without touching or crossing padding. */
static inline int64_t stego_room(uint32_t own, bool up, const struct stego_limits *limits)
{
    const int64_t top = own < limits->pad_first ? (int64_t)limits->pad_first - 1 : limits->high;
    const int64_t bottom = own > limits->pad_last ? (int64_t)limits->pad_last + 1 : 0;
    return up ? top - own : own - bottom;
}

/* With this much room the small T that are chosen near the ends of the range always fit. A guess
 * is enough for the statistics: the embedder counts what really fitted. */
#define STEGO_ROOM_ENOUGH 8

/* The statistics count in cells, STEGO_RANK_CELLS for each class: one for each rank below
 * STEGO_RANK_EXACT, then one for each range of ranks up to the next floor. Sites without room and
 * what is no site share the last cell. */
#define STEGO_RANK_CELLS  64U
#define STEGO_RANK_EXACT  40U
#define STEGO_RANK_FLOORS 21U
#define STEGO_CELLS       (STEGO_CLASSES * STEGO_RANK_CELLS + 1U)

extern const uint16_t stego_rank_floor[STEGO_RANK_FLOORS];

/* b and t (ops.h) for each class, for the kernels that hide; t is 0 for a class that takes no part.
 * No t may be above STEGO_MOVE_MAX. */
#define STEGO_MOVE_MAX 255U
struct stego_moves {
    uint8_t b[64], t[64];
};

/* STEGO_WORD sites that are hidden in or restored at once, site j of them at samples[2 * j].
 * samples[2 * STEGO_WORD - 1] has to exist and is written as it was. */
#define STEGO_WORD 64U
struct stego_word {
    const uint16_t *own, *mean;
    const uint8_t *class;
    int32_t low;
    const struct stego_limits *limits;
    const struct stego_moves *moves;
    int32_t *samples; /* NULL: only count */
};

/* The samples that may hold a bit in bit 0; see stego_scan_may_hold. */
struct stego_holders {
    int32_t low, high;
    bool has_padding;
    int32_t padding_min, padding_max;
    const uint8_t *still;
};

#define STEGO_UNREST_BLOCK 16U
#define STEGO_HOLDS_NONE   UINT32_MAX

struct stego_kernels {
    /* to[j] = from[2 * j] - low for j < count; from has 2 * count - 1 elements. */
    void (*halve)(const int32_t *from, size_t count, int32_t low, uint16_t *to);
    /* Offsets first..last become first. */
    void (*merge)(uint16_t *row, size_t count, uint16_t first, uint16_t last);
    /* stego_predict for each site. */
    void (*predict)(const struct stego_context *k, size_t count, uint16_t *mean, uint8_t *class);
    /* Sites whose own offset is first..last are none. */
    void (*strike)(const uint16_t *own, size_t count, uint16_t first, uint16_t last,
                   uint8_t *class);
    /* The cell of each site for the statistics. */
    void (*tally)(const uint16_t *own, const uint16_t *mean, const uint8_t *class, size_t count,
                  const struct stego_limits *limits, uint16_t *cell);
    /* Bit j: the class of site j is in `classes`; zero from bit `count` on, which is 64 at most. */
    uint64_t (*pick)(const uint8_t *class, size_t count, uint64_t classes);

    /* NULL where there is none but the plain way (stage.c). Hides the first bits of `bits`, its
     * lowest one first, and returns how many; -1, with nothing done, when a site has little room or
     * when not fewer than `left` bits would be taken. */
    int (*hide)(const struct stego_word *w, uint64_t bits, size_t left);
    /* The same back: *bits are what was found. */
    int (*reveal)(const struct stego_word *w, uint64_t *bits, size_t left);

    /* These work on samples. The first at or after `from` whose lowest bit and those of the next 63
     * differ from `mark` (its lowest bit first) in at most `wrong` places; count when none. */
    size_t (*find)(const int32_t *samples, size_t count, size_t from, uint64_t mark,
                   unsigned wrong);
    /* All are low..high. */
    bool (*inside)(const int32_t *samples, size_t count, int32_t low, int32_t high);
    /* For each of `blocks` blocks of STEGO_UNREST_BLOCK samples from `first` on the sum of the
     * differences within pairs, each 255 at most so that an edge does not outweigh texture, or
     * STEGO_HOLDS_NONE when one of the samples may not hold a bit. */
    void (*unrest)(const struct stego_holders *holders, const int32_t *samples, size_t first,
                   size_t blocks, uint32_t *unrest);
};

extern const struct stego_kernels stego_kernels_portable;

/* The fastest that this processor can run. */
const struct stego_kernels *stego_kernels_best(void);

/* Which of them stego_scan_init takes from now on, in all threads: for tests that compare. NULL:
 * the best again. */
void stego_kernels_force(const struct stego_kernels *kernels);
const struct stego_kernels *stego_kernels_now(void);

#endif
