/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows - the rows of a plane that a predictor has in view. Private.
 *
 * A window of rows that follows the row in hand, a row at a time, in either direction. Rows are
 * read from the plane when they come into view; from then on they are what the predictor's owner
 * says. What is beyond the plane, and padding, is missing.
 */
#ifndef DICOMSTEGO_ROWS_H
#define DICOMSTEGO_ROWS_H

#include "base/error.h"
#include "dicomstego/plane.h"

#define STEGO_ROWS_BORDER 6 /* columns of missing pixels on either side, and more behind them */

struct stego_rows {
    const struct stego_plane *plane; /* borrowed */
    size_t run_begin, run_end;       /* samples that are seen with bit 0 cleared */
    int32_t reach;                   /* rows above and below the one in hand */
    size_t stride, slots;
    int32_t first;    /* the row that is in slot 0 */
    int32_t from, to; /* rows in view: from..to-1 */
    int32_t *pixel;   /* above plane->low; STEGO_MISSING_PIXEL */
};

/* rows is zeroed. Nothing is in view yet. */
DS_CHECKED enum ds_status stego_rows_init(struct stego_rows *rows, const struct stego_plane *plane,
                                          size_t run_begin, size_t run_end, int32_t reach,
                                          struct ds_error *err);
void stego_rows_finish(struct stego_rows *rows);

/* Brings row - reach .. row + reach into view: the first time any row, then one next to the last.
 */
void stego_rows_move(struct stego_rows *rows, int32_t row);

static inline int32_t *stego_rows_pixel(const struct stego_rows *rows, int32_t row, int32_t column)
{
    return rows->pixel + (size_t)(row - rows->first) * rows->stride +
           (size_t)(column + STEGO_ROWS_BORDER);
}

#endif
