/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/scan.h"

#include "base/size.h"
#include "dicomstego/ops.h"

#include <stdlib.h>
#include <string.h>

#define MISSING INT32_MIN

/* The plane has 2 rows above and below and 1 entry left and right of the other colour's pixels:
 * what the widest context (rows +-2, entries +-1) can reach. */
#define BORDER_ROWS    2U
#define BORDER_ENTRIES 1U

enum ds_status stego_scan_init(struct stego_scan *scan, const struct stego_image *image,
                               struct ds_error *err)
{
    size_t entries = 0;
    *scan = (struct stego_scan){.columns = image->columns,
                                .rows = image->rows,
                                .frames = image->frames,
                                .frame_samples = (size_t)image->columns * image->rows,
                                .low = stego_image_min(image),
                                .high = stego_image_max(image),
                                .has_padding = image->has_padding,
                                .padding_min = image->padding_min,
                                .padding_max = image->padding_max};
    scan->samples = scan->frame_samples * scan->frames;
    const size_t half = (scan->columns + 1) / 2;
    scan->stride = half + 2U * BORDER_ENTRIES + 1U;
    if (!ds_size_mul(scan->stride, scan->rows + 2U * BORDER_ROWS, &entries) ||
        !ds_size_mul(entries, sizeof(int32_t), &(size_t){0})) {
        return ds_fail(err, DS_EUNSUPPORTED, "an image of %zu columns is too wide", scan->columns);
    }
    scan->plane = malloc(entries * sizeof(int32_t));
    scan->row_is_whole = calloc(scan->rows + 2U * BORDER_ROWS, sizeof(bool));
    scan->base = calloc(half, sizeof(int32_t));
    scan->class = calloc(half, 1);
    if (scan->plane == NULL || scan->row_is_whole == NULL || scan->base == NULL ||
        scan->class == NULL) {
        stego_scan_finish(scan);
        return ds_fail(err, DS_ENOMEM, "out of memory for a plane of %zu entries", entries);
    }
    for (size_t i = 0; i < entries; i++) {
        scan->plane[i] = MISSING;
    }
    return DS_OK;
}

void stego_scan_finish(struct stego_scan *scan)
{
    free(scan->plane);
    free(scan->row_is_whole);
    free(scan->base);
    free(scan->class);
    scan->plane = NULL;
    scan->row_is_whole = NULL;
    scan->base = NULL;
    scan->class = NULL;
}

static bool is_excluded(const struct stego_scan *scan, size_t i)
{
    const struct stego_rect *r = &scan->exclude;
    if (r->width == 0 || i / scan->frame_samples != r->frame) {
        return false;
    }
    const size_t y = i % scan->frame_samples / scan->columns;
    const size_t x = i % scan->columns;
    return y >= r->y && y - r->y < r->height && x >= r->x && x - r->x < r->width;
}

bool stego_scan_may_hold(const struct stego_scan *scan, size_t i, int32_t x)
{
    return !stego_scan_is_padding(scan, x | 1) && !stego_scan_is_padding(scan, x & ~1) &&
           !is_excluded(scan, i);
}

/* First column of `colour` in row y. */
static size_t first_column(size_t y, unsigned colour)
{
    return (y + colour) & 1U;
}

static size_t count_in_row(const struct stego_scan *scan, size_t first)
{
    return (scan->columns + 1U - first) / 2U;
}

static int32_t *plane_row(const struct stego_scan *scan, size_t y)
{
    return scan->plane + (y + BORDER_ROWS) * scan->stride + BORDER_ENTRIES;
}

/* Pixels of the run are seen with bit 0 cleared, whichever they are. */
static void clear_run(const struct stego_scan *scan, int32_t *row, size_t index, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        const size_t i = index + 2 * j;
        if (i >= scan->run_begin && i < scan->run_end && row[j] != MISSING) {
            row[j] &= ~1;
        }
    }
}

static void load_row(struct stego_scan *scan, const int32_t *context, size_t frame, size_t y,
                     unsigned colour)
{
    const size_t first = first_column(y, colour);
    const size_t count = count_in_row(scan, first);
    const size_t index = frame * scan->frame_samples + y * scan->columns + first;
    int32_t *row = plane_row(scan, y);
    bool whole = true;
    if (scan->has_padding) {
        for (size_t j = 0; j < count; j++) {
            const int32_t x = context[index + 2 * j];
            const bool missing = x >= scan->padding_min && x <= scan->padding_max;
            row[j] = missing ? MISSING : x;
            whole = whole && !missing;
        }
    } else {
        for (size_t j = 0; j < count; j++) {
            row[j] = context[index + 2 * j];
        }
    }
    /* The other colour of an odd width has one pixel more in this row. */
    row[count] = MISSING;
    scan->row_is_whole[y + BORDER_ROWS] = whole;
    if (index < scan->run_end && index + 2 * count > scan->run_begin) {
        clear_run(scan, row, index, count);
    }
}

static int32_t distance(int32_t a, int32_t b)
{
    return a > b ? a - b : b - a;
}

/* Four steps to the octave of 12 + 2c, where c is a sum of twelve differences; 12 gives class 0. */
static unsigned class_of(int32_t c)
{
    const uint32_t v = 12U + 2U * (uint32_t)c;
    const unsigned octave = 31U - (unsigned)__builtin_clz(v);
    const unsigned class = 4U * (octave - 3U) + ((v >> (octave - 2U)) & 3U) - 2U;
    return class < STEGO_CLASSES ? class : STEGO_CLASSES - 1U;
}

/* The greatest integer below the mean of the four. At the upper end of the range it is the end
 * itself, so that a flat bright area expands downwards and not out of the range. Both ends leave a
 * pixel that equals its prediction with rank 0. The sum of four 16-bit samples fits easily. */
static int32_t base_of(int32_t sum, int32_t high)
{
    const int32_t up = sum + 3;
    const int32_t ceiling = up >= 0 ? up / 4 : -((3 - up) / 4);
    return ceiling >= high ? high : ceiling - 1;
}

/* The rows around one row of sites. In entry units the left neighbour of site j is entry j + left,
 * the right one the next, those above and below are entry j. */
struct context {
    const int32_t *above2, *above, *same, *below, *below2;
    ptrdiff_t left;
    int32_t high;
};

static inline void predict_whole(const struct context *k, ptrdiff_t j, int32_t *base,
                                 uint8_t *class)
{
    const ptrdiff_t l = j + k->left;
    const int32_t up = k->above[j];
    const int32_t down = k->below[j];
    const int32_t left = k->same[l];
    const int32_t right = k->same[l + 1];
    int32_t c =
        distance(up, left) + distance(up, right) + distance(down, left) + distance(down, right);
    c += distance(up, k->above2[l]) + distance(up, k->above2[l + 1]);
    c += distance(down, k->below2[l]) + distance(down, k->below2[l + 1]);
    c += distance(left, k->above[j - 1]) + distance(left, k->below[j - 1]);
    c += distance(right, k->above[j + 1]) + distance(right, k->below[j + 1]);
    *base = base_of(up + down + left + right, k->high);
    *class = (uint8_t)class_of(c);
}

static int32_t or_else(int32_t x, int32_t other)
{
    return x != MISSING ? x : other;
}

/* The outer difference, or the inner one that stands in for it. */
static int32_t outer(int32_t near, int32_t far, int32_t instead)
{
    return distance(near, far != MISSING ? far : instead);
}

static void predict_ragged(const struct context *k, ptrdiff_t j, int32_t *base, uint8_t *class)
{
    const ptrdiff_t l = j + k->left;
    int32_t up = or_else(k->above[j], k->below[j]);
    int32_t down = or_else(k->below[j], k->above[j]);
    int32_t left = or_else(k->same[l], k->same[l + 1]);
    int32_t right = or_else(k->same[l + 1], k->same[l]);
    *base = 0;
    *class = STEGO_NO_SITE;
    if (up == MISSING && left == MISSING) {
        return;
    }
    if (up == MISSING) {
        up = left;
        down = right;
    } else if (left == MISSING) {
        left = up;
        right = down;
    }
    int32_t c =
        distance(up, left) + distance(up, right) + distance(down, left) + distance(down, right);
    c += outer(up, k->above2[l], left) + outer(up, k->above2[l + 1], right);
    c += outer(down, k->below2[l], left) + outer(down, k->below2[l + 1], right);
    c += outer(left, k->above[j - 1], up) + outer(left, k->below[j - 1], down);
    c += outer(right, k->above[j + 1], up) + outer(right, k->below[j + 1], down);
    *base = base_of(up + down + left + right, k->high);
    *class = (uint8_t)class_of(c);
}

/* Nothing is missing around sites 1..count-3 when the five rows are whole: their entries j-1..j+1
 * all exist, since each of the rows has count-1 entries or more. */
static void predict_row(const struct stego_scan *scan, size_t y, size_t first, size_t count)
{
    const struct context k = {plane_row(scan, y) - 2 * (ptrdiff_t)scan->stride,
                              plane_row(scan, y) - (ptrdiff_t)scan->stride,
                              plane_row(scan, y),
                              plane_row(scan, y) + scan->stride,
                              plane_row(scan, y) + 2 * scan->stride,
                              (ptrdiff_t)first - 1,
                              scan->high};
    bool whole = count > 3;
    for (size_t i = 0; i < 5; i++) {
        whole = whole && scan->row_is_whole[y + i];
    }
    const size_t begin = whole ? 1 : count;
    const size_t end = whole ? count - 2 : count;
    for (size_t j = 0; j < begin; j++) {
        predict_ragged(&k, (ptrdiff_t)j, &scan->base[j], &scan->class[j]);
    }
    for (size_t j = begin; j < end; j++) {
        predict_whole(&k, (ptrdiff_t)j, &scan->base[j], &scan->class[j]);
    }
    for (size_t j = end; j < count; j++) {
        predict_ragged(&k, (ptrdiff_t)j, &scan->base[j], &scan->class[j]);
    }
}

/* Takes away what is no site: padding, the excluded region, the run. */
static void strike_out(const struct stego_scan *scan, const int32_t *own, size_t frame, size_t y,
                       const struct stego_row *row)
{
    const bool in_rect = scan->exclude.width != 0 && frame == scan->exclude.frame &&
                         y >= scan->exclude.y && y - scan->exclude.y < scan->exclude.height;
    const bool in_run = row->index < scan->run_end && row->index + 2 * row->count > scan->run_begin;
    for (size_t j = 0; scan->has_padding && j < row->count; j++) {
        if (stego_scan_is_padding(scan, own[row->index + 2 * j])) {
            scan->class[j] = STEGO_NO_SITE;
        }
    }
    for (size_t j = 0; (in_rect || in_run) && j < row->count; j++) {
        const size_t i = row->index + 2 * j;
        if (is_excluded(scan, i) || (i >= scan->run_begin && i < scan->run_end)) {
            scan->class[j] = STEGO_NO_SITE;
        }
    }
}

static bool walk_frame(struct stego_scan *scan, size_t frame, unsigned colour, const int32_t *own,
                       stego_row_function *function, void *object)
{
    for (size_t y = 0; y < scan->rows; y++) {
        const size_t first = first_column(y, colour);
        const struct stego_row row = {frame * scan->frame_samples + y * scan->columns + first,
                                      count_in_row(scan, first), scan->base, scan->class};
        predict_row(scan, y, first, row.count);
        strike_out(scan, own, frame, y, &row);
        if (!function(object, &row)) {
            return false;
        }
    }
    return true;
}

void stego_scan_walk(struct stego_scan *scan, unsigned colour, const int32_t *own,
                     const int32_t *context, stego_row_function *function, void *object)
{
    for (size_t frame = 0; frame < scan->frames; frame++) {
        for (size_t y = 0; y < scan->rows; y++) {
            load_row(scan, context, frame, y, colour ^ 1U);
        }
        if (!walk_frame(scan, frame, colour, own, function, object)) {
            return;
        }
    }
}
