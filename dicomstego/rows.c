/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/rows.h"

#include "dicomstego/predictor_kernel.h"

#include <stdlib.h>
#include <string.h>

/* More rows than any reach has in view, so that they are moved only now and then. */
#define ROWS 40U

/* The kernels work on whole strips and some pixels more. */
#define BEHIND 32U

enum ds_status stego_rows_init(struct stego_rows *rows, const struct stego_plane *plane,
                               size_t run_begin, size_t run_end, int32_t reach,
                               struct ds_error *err)
{
    rows->plane = plane;
    rows->run_begin = run_begin;
    rows->run_end = run_end;
    rows->reach = reach;
    rows->stride = (size_t)plane->columns + 2U * STEGO_ROWS_BORDER;
    rows->slots = ROWS;
    rows->pixel = calloc(rows->slots * rows->stride + BEHIND, sizeof *rows->pixel);
    return rows->pixel != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for a predictor");
}

void stego_rows_finish(struct stego_rows *rows)
{
    free(rows->pixel);
    rows->pixel = NULL;
}

static void read_row(const struct stego_rows *rows, int32_t row)
{
    const struct stego_plane *p = rows->plane;
    int32_t *to = stego_rows_pixel(rows, row, 0);
    for (size_t i = 0; i < rows->stride; i++) {
        to[(ptrdiff_t)i - STEGO_ROWS_BORDER] = STEGO_MISSING_PIXEL;
    }
    if (row < 0 || row >= (int32_t)p->rows) {
        return;
    }
    const size_t begin = (size_t)row * p->columns;
    for (size_t c = 0; c < p->columns; c++) {
        const int32_t x = p->samples[begin + c];
        if (!stego_plane_is_padding(p, x)) {
            const bool is_run = begin + c >= rows->run_begin && begin + c < rows->run_end;
            to[c] = (is_run ? x & ~1 : x) - p->low;
        }
    }
}

/* Makes `first` the row in slot 0; begin..end-1 stay what they are. */
static void shift(struct stego_rows *rows, int32_t first, int32_t begin, int32_t end)
{
    int32_t *from = stego_rows_pixel(rows, begin, -STEGO_ROWS_BORDER);
    rows->first = first;
    memmove(stego_rows_pixel(rows, begin, -STEGO_ROWS_BORDER), from,
            (size_t)(end - begin) * rows->stride * sizeof *from);
}

void stego_rows_move(struct stego_rows *rows, int32_t row)
{
    const int32_t begin = row - rows->reach;
    const int32_t end = row + rows->reach + 1;
    if (rows->from == rows->to) {
        rows->first = rows->from = rows->to = begin;
    } else if (end > rows->first + (int32_t)rows->slots) {
        shift(rows, begin, begin, rows->to);
    } else if (begin < rows->first) {
        shift(rows, end - (int32_t)rows->slots, rows->from, end);
    }
    while (rows->to < end) {
        read_row(rows, rows->to++);
    }
    while (rows->from > begin) {
        read_row(rows, --rows->from);
    }
    rows->from = begin;
    rows->to = end;
}
