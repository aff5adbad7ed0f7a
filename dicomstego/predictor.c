/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/predictor.h"

#include "base/size.h"
#include "dicomstego/fixed.h"
#include "dicomstego/least_squares.h"
#include "dicomstego/predictor_kernel.h"

#include <stdlib.h>
#include <string.h>

#define BORDER  6 /* a neighbour's neighbour is at most 3 + 3 away */
#define TAPS    STEGO_UNKNOWNS_MAX
#define STRIP   STEGO_STRIP
#define MISSING STEGO_MISSING_PIXEL

struct preset {
    uint8_t taps, radius;
    uint8_t side, window; /* what teaches: strips on either side, rows above and as many below */
    uint8_t witnesses;    /* neighbours whose own predictions are looked at */
};

static const struct preset presets[STEGO_PREDICTORS] = {
    {8, 1, 2, 6, 4},
    {12, 2, 1, 6, 4},
    {24, 2, 1, 6, 8},
    {48, 3, 2, 8, 8},
};

/* By distance; the first four are the rhombus. */
static const int8_t offsets[TAPS][2] = {
    {0, -1},  {-1, 0}, {1, 0},   {0, 1},  {-1, -1}, {1, -1}, {-1, 1},  {1, 1},  {0, -2},  {-2, 0},
    {2, 0},   {0, 2},  {-1, -2}, {1, -2}, {-2, -1}, {2, -1}, {-2, 1},  {2, 1},  {-1, 2},  {1, 2},
    {-2, -2}, {2, -2}, {-2, 2},  {2, 2},  {0, -3},  {-3, 0}, {3, 0},   {0, 3},  {-1, -3}, {1, -3},
    {-3, -1}, {3, -1}, {-3, 1},  {3, 1},  {-1, 3},  {1, 3},  {-2, -3}, {2, -3}, {-3, -2}, {3, -2},
    {-3, 2},  {3, 2},  {-2, 3},  {2, 3},  {-3, -3}, {3, -3}, {-3, 3},  {3, 3},
};

struct stego_predictor {
    const struct stego_predictor_kernels *kernels;
    struct preset preset;
    int32_t columns, rows, range;
    size_t stride, strips, entries; /* entries: of one strip's sums, the number of pixels last */
    int32_t *state;                 /* rows and columns with a border of missing ones */
    ptrdiff_t tap[TAPS];            /* offsets into state */
    int32_t *below, *above;         /* sums of the rows in the window, row r at r % window */
    int64_t *sums;                  /* of both windows, strip by strip */
    int32_t *mean;                  /* around each pixel of one row */
    int16_t *around;                /* of that row: taps + 1 lines, the last one the pixel itself */
    int64_t *wide;                  /* sums over the strips that count for one */
    struct stego_weights *weights;  /* of each strip in this row */
    bool *solved;                   /* ... and whether they are those of this row yet */
    uint8_t *residue;               /* ... and how well they do: a feature; 0: no weights */
    bool has_padding;
    int32_t row; /* -1: none yet */
};

static int32_t *pixel(const struct stego_predictor *n, int32_t row, int32_t column)
{
    return n->state + (size_t)(row + BORDER) * n->stride + (size_t)(column + BORDER);
}

static void load(struct stego_predictor *n, const struct stego_plane *plane, size_t run_begin,
                 size_t run_end)
{
    const size_t all = n->stride * ((size_t)n->rows + 2U * BORDER);
    for (size_t i = 0; i < all; i++) {
        n->state[i] = MISSING;
    }
    size_t i = 0;
    for (int32_t row = 0; row < n->rows; row++) {
        int32_t *to = pixel(n, row, 0);
        for (int32_t c = 0; c < n->columns; c++, i++) {
            const int32_t x = plane->samples[i];
            if (plane->has_padding && x >= plane->padding_min && x <= plane->padding_max) {
                continue;
            }
            to[c] = x - plane->low;
            if (i >= run_begin && i < run_end) {
                to[c] = (x & ~1) - plane->low;
            }
        }
    }
}

enum ds_status stego_predictor_new(struct stego_predictor **out, const struct stego_plane *plane,
                                   size_t run_begin, size_t run_end, unsigned predictor,
                                   struct ds_error *err)
{
    struct stego_predictor *n = calloc(1, sizeof *n);
    *out = n;
    if (n == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a predictor");
    }
    n->kernels = stego_predictor_kernels_now();
    n->preset = presets[predictor];
    n->columns = (int32_t)plane->columns;
    n->rows = (int32_t)plane->rows;
    n->range = plane->high - plane->low;
    n->has_padding = plane->has_padding;
    n->stride = (size_t)plane->columns + 2U * BORDER;
    n->strips = ((size_t)plane->columns + STRIP - 1U) / STRIP;
    const size_t unknowns = n->preset.taps;
    n->entries = (unknowns + 1U) * (unknowns + 2U) / 2U + 1U;
    n->row = -1;
    const size_t pad = n->strips * STRIP;
    const size_t line = n->strips * n->entries;
    n->state = malloc(n->stride * ((size_t)plane->rows + 2U * BORDER) * sizeof *n->state);
    n->below = calloc(line * n->preset.window, sizeof *n->below);
    n->above = calloc(line * n->preset.window, sizeof *n->above);
    n->sums = calloc(line, sizeof *n->sums);
    n->mean = calloc(pad, sizeof *n->mean);
    n->around = calloc((unknowns + 1U) * pad, sizeof *n->around);
    n->wide = calloc(n->entries, sizeof *n->wide);
    n->weights = calloc(n->strips, sizeof *n->weights);
    n->solved = calloc(n->strips, sizeof *n->solved);
    n->residue = calloc(n->strips, 1);
    if (n->state == NULL || n->below == NULL || n->above == NULL || n->sums == NULL ||
        n->mean == NULL || n->around == NULL || n->wide == NULL || n->weights == NULL ||
        n->solved == NULL || n->residue == NULL) {
        stego_predictor_free(n);
        *out = NULL;
        return ds_fail(err, DS_ENOMEM, "out of memory for a predictor");
    }
    for (unsigned k = 0; k < unknowns; k++) {
        n->tap[k] = offsets[k][1] * (ptrdiff_t)n->stride + offsets[k][0];
    }
    load(n, plane, run_begin, run_end);
    return DS_OK;
}

void stego_predictor_free(struct stego_predictor *n)
{
    if (n != NULL) {
        free(n->state);
        free(n->below);
        free(n->above);
        free(n->sums);
        free(n->mean);
        free(n->around);
        free(n->wide);
        free(n->weights);
        free(n->solved);
        free(n->residue);
    }
    free(n);
}

/* The sums of one row, into its place in a window. A pixel that is missing or alone teaches
 * nothing: all its differences are 0. */
static void teach(struct stego_predictor *n, int32_t *window, int32_t row)
{
    const unsigned taps = n->preset.taps;
    const size_t line = n->strips * STRIP;
    const size_t count = (size_t)n->columns;
    const int32_t *p = pixel(n, row, 0);
    int32_t *to = window + (size_t)(row % n->preset.window) * n->strips * n->entries;
    n->kernels->average(p, (ptrdiff_t)n->stride, count, n->mean);
    for (size_t c = count; c < line; c++) {
        n->mean[c] = MISSING;
    }
    for (unsigned k = 0; k <= taps; k++) {
        n->kernels->compare(k < taps ? p + n->tap[k] : p, n->mean, count, n->around + k * line);
    }
    for (size_t s = 0; s < n->strips; s++, to += n->entries) {
        int32_t teachers = 0;
        for (size_t c = s * STRIP; c < (s + 1) * STRIP; c++) {
            teachers += n->mean[c] >= 0;
        }
        n->kernels->multiply(n->around + s * STRIP, line, taps + 1, to);
        to[n->entries - 1] = teachers;
    }
}

static void count_in(struct stego_predictor *n, const int32_t *window, int32_t row, int64_t sign)
{
    const size_t line = n->strips * n->entries;
    const int32_t *from = window + (size_t)(row % n->preset.window) * line;
    for (size_t i = 0; i < line; i++) {
        n->sums[i] += sign * from[i];
    }
}

static void enter(struct stego_predictor *n, int32_t *window, int32_t row)
{
    if (row >= 0 && row < n->rows) {
        teach(n, window, row);
        count_in(n, window, row, 1);
    }
}

static void leave(struct stego_predictor *n, const int32_t *window, int32_t row)
{
    if (row >= 0 && row < n->rows) {
        count_in(n, window, row, -1);
    }
}

/* The window of row r is r - far .. r - near and r + near .. r + far. */
static void move(struct stego_predictor *n, int32_t row)
{
    const int32_t near = n->preset.radius + 1;
    const int32_t far = n->preset.radius + n->preset.window;
    if (n->row < 0) {
        for (int32_t k = near; k <= far; k++) {
            enter(n, n->below, row + k);
            enter(n, n->above, row - k);
        }
    } else if (row > n->row) {
        leave(n, n->below, row - 1 + near);
        enter(n, n->below, row + far);
        leave(n, n->above, row - 1 - far);
        enter(n, n->above, row - near);
    } else {
        leave(n, n->below, row + 1 + far);
        enter(n, n->below, row + near);
        leave(n, n->above, row + 1 - near);
        enter(n, n->above, row - far);
    }
    n->row = row;
}

static uint8_t to_feature(uint32_t log2_16ths)
{
    return (uint8_t)(log2_16ths < 255 ? log2_16ths : 255);
}

/* The root mean square of what the weights miss, as a feature. */
static uint8_t residue_of(const struct stego_fit *fit, int64_t count)
{
    const int64_t l = (int64_t)stego_log2_16ths((uint64_t)fit->residue) + 16 * fit->residue_shift -
                      (int64_t)stego_log2_16ths((uint64_t)count);
    const int64_t steps = l / 2 + 64; /* in 1/16 */
    return to_feature(steps < 16 ? 16U : (uint32_t)steps);
}

void stego_predictor_row(struct stego_predictor *n, uint32_t row)
{
    move(n, (int32_t)row);
    memset(n->solved, 0, n->strips * sizeof *n->solved);
}

/* From a list by distance to a square. */
static void lay_out(const struct stego_predictor *n, const int32_t *weight,
                    struct stego_weights *out)
{
    const int32_t radius = n->preset.radius;
    memset(out, 0, sizeof *out);
    out->radius = radius;
    for (unsigned k = 0; k < n->preset.taps; k++) {
        out->row[offsets[k][1] + radius][offsets[k][0] + radius] = (int16_t)weight[k];
    }
}

/* The weights of a strip in this row; without enough to learn from the mean alone counts. */
static void solve(struct stego_predictor *n, size_t strip)
{
    const size_t side = n->preset.side;
    const size_t begin = strip > side ? strip - side : 0;
    const size_t end = strip + side < n->strips ? strip + side + 1 : n->strips;
    int32_t weight[TAPS] = {0};
    struct stego_fit fit;
    memset(n->wide, 0, n->entries * sizeof *n->wide);
    for (size_t s = begin; s < end; s++) {
        for (size_t i = 0; i < n->entries; i++) {
            n->wide[i] += n->sums[s * n->entries + i];
        }
    }
    const int64_t count = n->wide[n->entries - 1];
    n->residue[strip] = 0;
    if (count >= 2 * (int64_t)n->preset.taps) {
        stego_least_squares(n->wide, n->preset.taps, count, weight, &fit);
        n->residue[strip] = residue_of(&fit, count);
    }
    lay_out(n, weight, &n->weights[strip]);
    n->solved[strip] = true;
}

static struct stego_spot spot_at(const struct stego_predictor *n, const int32_t *p)
{
    return (struct stego_spot){p, (ptrdiff_t)n->stride};
}

/* The mean of `unit` times the misses, as a feature. */
static uint8_t feature_of(struct stego_misses m, uint32_t unit)
{
    static const uint16_t share[9] = {0, 16384, 8192, 5462, 4096, 3277, 2731, 2341, 2048};
    return to_feature(stego_log2_16ths(((uint64_t)m.sum * unit * share[m.count] >> 14) + 2U));
}

/* Far enough from the border, in a plane without padding. */
static bool is_whole(const struct stego_predictor *n, int32_t column)
{
    return !n->has_padding && n->row >= 4 && n->row + 4 < n->rows && column >= 4 &&
           column + 4 < n->columns;
}

bool stego_predictor_look(struct stego_predictor *n, uint32_t column, struct stego_outlook *out)
{
    int32_t *p = pixel(n, n->row, (int32_t)column);
    const size_t strip = column / STRIP;
    struct stego_look look;
    const int32_t mean = stego_mean_around(spot_at(n, p));
    if (mean < 0) {
        return false;
    }
    if (!n->solved[strip]) {
        solve(n, strip);
    }
    n->kernels->look(spot_at(n, p), &n->weights[strip], mean, 16 * n->range, n->preset.witnesses,
                     is_whole(n, (int32_t)column), &look);
    out->prediction = look.prediction;
    out->feature[0] = feature_of(look.near[0], 1);
    out->feature[1] = n->preset.witnesses > 4 ? feature_of(look.near[1], 1) : 0;
    out->feature[2] = n->residue[strip] != 0 ? n->residue[strip] : out->feature[0];
    out->feature[3] = feature_of(look.circle, 16);
    return true;
}

void stego_predictor_put(struct stego_predictor *n, uint32_t column, int32_t value)
{
    *pixel(n, n->row, (int32_t)column) = value;
}
