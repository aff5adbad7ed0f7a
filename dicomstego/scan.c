/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/scan.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* Rows y-2..y+2 of the context are kept while row y is walked. */
#define RING_ROWS ((size_t)8)

enum ds_status stego_scan_init(struct stego_scan *scan, const struct stego_plane *plane,
                               struct ds_error *err)
{
    *scan = (struct stego_scan){.columns = plane->columns,
                                .rows = plane->rows,
                                .samples = stego_plane_count(plane),
                                .low = plane->low,
                                .high = plane->high,
                                .has_padding = plane->has_padding,
                                .padding_min = plane->padding_min,
                                .padding_max = plane->padding_max,
                                .still = plane->still,
                                .kernels = stego_kernels_now()};
    scan->is_wide = (int64_t)plane->high - plane->low > UINT16_MAX;
    const size_t entry = scan->is_wide ? sizeof(uint32_t) : sizeof(uint16_t);
    size_t bytes = 0;
    scan->stride = (scan->columns + 1) / 2 + 2 * (size_t)STEGO_ROW_SLACK;
    if (!ds_size_mul(scan->stride, RING_ROWS * entry, &bytes)) {
        return ds_fail(err, DS_EUNSUPPORTED, "an image of %zu columns is too wide", scan->columns);
    }
    scan->ring = calloc(1, bytes);
    scan->own = calloc(scan->stride, entry);
    scan->mean = calloc(scan->stride, entry);
    scan->class = calloc(scan->stride, 1);
    scan->cell = calloc(scan->stride, sizeof *scan->cell);
    if (scan->ring == NULL || scan->own == NULL || scan->mean == NULL || scan->class == NULL ||
        scan->cell == NULL) {
        stego_scan_finish(scan);
        return ds_fail(err, DS_ENOMEM, "out of memory for rows of %zu columns", scan->columns);
    }
    return DS_OK;
}

void stego_scan_finish(struct stego_scan *scan)
{
    free(scan->ring);
    free(scan->own);
    free(scan->mean);
    free(scan->class);
    free(scan->cell);
    scan->ring = scan->own = scan->mean = NULL;
    scan->class = NULL;
    scan->cell = NULL;
}

bool stego_scan_may_hold(const struct stego_scan *scan, size_t i, int32_t x)
{
    return (x & ~1) >= scan->low && (x | 1) <= scan->high && !stego_scan_is_padding(scan, x | 1) &&
           !stego_scan_is_padding(scan, x & ~1) && (scan->still == NULL || scan->still[i] == 0);
}

static uint32_t offset_of(const struct stego_scan *scan, int32_t x)
{
    return (uint32_t)x - (uint32_t)scan->low;
}

/* Padding outside the format's range does not matter. */
static void set_limits(struct stego_scan *scan)
{
    scan->limits = (struct stego_limits){offset_of(scan, scan->high), false, 0, UINT32_MAX};
    if (!scan->has_padding || scan->padding_min > scan->high || scan->padding_max < scan->low ||
        scan->padding_min > scan->padding_max) {
        return;
    }
    const int32_t first = scan->padding_min > scan->low ? scan->padding_min : scan->low;
    const int32_t last = scan->padding_max < scan->high ? scan->padding_max : scan->high;
    scan->limits.has_padding = true;
    scan->limits.pad_first = offset_of(scan, first);
    scan->limits.pad_last = offset_of(scan, last);
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

/* Where row or column i of n is to be seen; n when nowhere. */
static size_t mirrored(ptrdiff_t i, size_t n)
{
    const ptrdiff_t last = (ptrdiff_t)n - 1;
    const ptrdiff_t at = i < 0 ? -i : i > last ? 2 * last - i : i;
    return at >= 0 && at <= last ? (size_t)at : n;
}

static uint16_t *narrow_row(const struct stego_scan *scan, size_t y)
{
    return (uint16_t *)scan->ring + (y % RING_ROWS) * scan->stride + STEGO_ROW_SLACK;
}

static uint32_t *wide_row(const struct stego_scan *scan, size_t y)
{
    return (uint32_t *)scan->ring + (y % RING_ROWS) * scan->stride + STEGO_ROW_SLACK;
}

static bool is_padding_offset(const struct stego_limits *limits, uint32_t v)
{
    return limits->has_padding && v >= limits->pad_first && v <= limits->pad_last;
}

/* Pixels of the run are seen with bit 0 cleared, whichever they are. */
static int32_t seen(const struct stego_scan *scan, size_t i, int32_t x)
{
    const bool in_run = i >= scan->run_begin && i < scan->run_end;
    return in_run && x > scan->low ? x & ~1 : x;
}

static bool meets_run(const struct stego_scan *scan, size_t index, size_t count)
{
    return index < scan->run_end && index + 2 * count > scan->run_begin;
}

static void load_wide(const struct stego_scan *scan, const int32_t *context, size_t index,
                      size_t count, uint32_t *row)
{
    for (size_t j = 0; j < count; j++) {
        const size_t i = index + 2 * j;
        row[j] = offset_of(scan, seen(scan, i, context[i]));
    }
}

static void load_narrow(const struct stego_scan *scan, const int32_t *context, size_t index,
                        size_t count, uint16_t *row)
{
    scan->kernels->halve(context + index, count, scan->low, row);
    for (size_t j = 0; meets_run(scan, index, count) && j < count; j++) {
        const size_t i = index + 2 * j;
        row[j] = (uint16_t)offset_of(scan, seen(scan, i, context[i]));
    }
    if (scan->limits.has_padding) {
        scan->kernels->merge(row, count, (uint16_t)scan->limits.pad_first,
                             (uint16_t)scan->limits.pad_last);
    }
}

/* The entries that the mirror shows beyond both ends. */
static void mirror_ends(const struct stego_scan *scan, size_t first, size_t count, uint16_t *row)
{
    const size_t last = first + 2 * (count - 1);
    row[-1] = first == 0 ? row[1] : row[0];
    row[count] = last == scan->columns - 1 ? row[count - 2] : row[count - 1];
}

/* Planes that show too little in the mirror. */
static bool is_tiny(const struct stego_scan *scan)
{
    return scan->columns < 3 || scan->rows < 3;
}

static void load_row(const struct stego_scan *scan, const int32_t *context, size_t y,
                     unsigned colour)
{
    const size_t first = first_column(y, colour);
    const size_t count = count_in_row(scan, first);
    const size_t index = y * scan->columns + first;
    if (count == 0) {
        return;
    }
    if (scan->is_wide) {
        load_wide(scan, context, index, count, wide_row(scan, y));
        return;
    }
    load_narrow(scan, context, index, count, narrow_row(scan, y));
    if (!is_tiny(scan)) {
        mirror_ends(scan, first, count, narrow_row(scan, y));
    }
}

/* The neighbour of the site in row y, column x; STEGO_MISSING when there is none. */
static int64_t neighbour(const struct stego_scan *scan, size_t y, size_t x, ptrdiff_t dy,
                         ptrdiff_t dx)
{
    const size_t row = mirrored((ptrdiff_t)y + dy, scan->rows);
    const size_t column = mirrored((ptrdiff_t)x + dx, scan->columns);
    if (row == scan->rows || column == scan->columns) {
        return STEGO_MISSING;
    }
    const uint32_t v =
        scan->is_wide ? wide_row(scan, row)[column / 2] : narrow_row(scan, row)[column / 2];
    return is_padding_offset(&scan->limits, v) ? STEGO_MISSING : (int64_t)v;
}

static void predict_site(struct stego_scan *scan, size_t y, size_t first, size_t j)
{
    static const int near[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    struct stego_neighbours around;
    const size_t x = first + 2 * j;
    for (size_t i = 0; i < 4; i++) {
        const ptrdiff_t dy = near[i][0];
        const ptrdiff_t dx = near[i][1];
        around.near[i] = neighbour(scan, y, x, dy, dx);
        around.far[i][0] = neighbour(scan, y, x, 2 * dy - dx * dx, 2 * dx - dy * dy);
        around.far[i][1] = neighbour(scan, y, x, 2 * dy + dx * dx, 2 * dx + dy * dy);
    }
    const struct stego_prediction p = stego_predict(&around);
    scan->class[j] = p.class;
    if (scan->is_wide) {
        ((uint32_t *)scan->mean)[j] = p.mean;
    } else {
        ((uint16_t *)scan->mean)[j] = (uint16_t)p.mean;
    }
}

/* Where a row of the context begins for sites that start in column `first`. */
static const uint16_t *context_row(const struct stego_scan *scan, size_t y, ptrdiff_t dy,
                                   size_t first)
{
    const uint16_t *row = narrow_row(scan, mirrored((ptrdiff_t)y + dy, scan->rows));
    return dy % 2 != 0 || first != 0 ? row : row - 1;
}

static void predict_fast(struct stego_scan *scan, size_t y, size_t first, size_t count)
{
    const struct stego_limits *limits = &scan->limits;
    const struct stego_context k = {
        context_row(scan, y, -2, first), context_row(scan, y, -1, first),
        context_row(scan, y, 0, first),  context_row(scan, y, 1, first),
        context_row(scan, y, 2, first),  limits->has_padding,
        (uint16_t)limits->pad_first};
    scan->kernels->predict(&k, count, scan->mean, scan->class);
    if (limits->has_padding) {
        scan->kernels->strike(scan->own, count, (uint16_t)limits->pad_first,
                              (uint16_t)limits->pad_last, scan->class);
    }
}

static void predict_slowly(struct stego_scan *scan, size_t y, size_t first, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        const uint32_t own =
            scan->is_wide ? ((uint32_t *)scan->own)[j] : ((uint16_t *)scan->own)[j];
        if (is_padding_offset(&scan->limits, own)) {
            scan->class[j] = STEGO_NO_SITE;
        } else {
            predict_site(scan, y, first, j);
        }
    }
}

static void load_own(struct stego_scan *scan, const int32_t *own, const struct stego_row *row)
{
    if (!scan->is_wide) {
        scan->kernels->halve(own + row->index, row->count, scan->low, scan->own);
        return;
    }
    for (size_t j = 0; j < row->count; j++) {
        ((uint32_t *)scan->own)[j] = offset_of(scan, own[row->index + 2 * j]);
    }
}

/* Takes away what is no site for another reason than its value. */
static void strike_out(const struct stego_scan *scan, const struct stego_row *row)
{
    for (size_t j = 0; scan->still != NULL && j < row->count; j++) {
        scan->class[j] = scan->still[row->index + 2 * j] != 0 ? STEGO_NO_SITE : scan->class[j];
    }
    for (size_t j = 0; meets_run(scan, row->index, row->count) && j < row->count; j++) {
        const size_t i = row->index + 2 * j;
        scan->class[j] = i >= scan->run_begin && i < scan->run_end ? STEGO_NO_SITE : scan->class[j];
    }
}

void stego_scan_walk(struct stego_scan *scan, unsigned colour, const int32_t *own,
                     const int32_t *context, stego_row_function *function, void *object)
{
    set_limits(scan);
    bool more = true;
    for (size_t y = 0; y < 2 && y < scan->rows; y++) {
        load_row(scan, context, y, colour ^ 1U);
    }
    for (size_t y = 0; more && y < scan->rows; y++) {
        const size_t first = first_column(y, colour);
        const struct stego_row row = {.index = y * scan->columns + first,
                                      .count = count_in_row(scan, first),
                                      .is_wide = scan->is_wide,
                                      .own = scan->own,
                                      .mean = scan->mean,
                                      .wide_own = scan->own,
                                      .wide_mean = scan->mean,
                                      .class = scan->class};
        if (y + 2 < scan->rows) {
            load_row(scan, context, y + 2, colour ^ 1U);
        }
        if (row.count == 0) {
            continue;
        }
        load_own(scan, own, &row);
        if (scan->is_wide || is_tiny(scan)) {
            predict_slowly(scan, y, first, row.count);
        } else {
            predict_fast(scan, y, first, row.count);
        }
        strike_out(scan, &row);
        more = function(object, &row);
    }
}
