/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/predictor.h"

#include "base/size.h"
#include "dicomstego/fixed.h"
#include "dicomstego/least_squares.h"
#include "dicomstego/predictor_kernel.h"
#include "dicomstego/rows.h"
#include "dicomstego/sums.h"

#include <stdlib.h>
#include <string.h>

#define TAPS    STEGO_UNKNOWNS_MAX
#define STRIP   STEGO_STRIP
#define MISSING STEGO_MISSING_PIXEL

#define NO_STRIP SIZE_MAX

/* Strips whose differences are taken at once. */
#define BATCH 4U
#define LINE  ((size_t)BATCH * STRIP)

struct preset {
    uint8_t taps, radius;
    uint8_t side, window; /* what teaches: strips on either side, rows above and as many below */
    uint8_t witnesses;    /* neighbours whose own predictions are looked at */
    bool recalls;         /* the sums of a row in the window are kept until it leaves; else they are
                             made again, which is little beside the solving of so many equations */
};

static const struct preset presets[STEGO_PREDICTORS] = {
    {8, 1, 2, 6, 4, true},
    {12, 2, 1, 6, 4, true},
    {24, 2, 1, 6, 8, false},
    {48, 3, 2, 8, 8, false},
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
    size_t strips, entries; /* entries: of one strip's sums, the number of pixels last */
    struct stego_rows view;
    ptrdiff_t tap[TAPS];    /* offsets into them */
    int32_t *below, *above; /* sums of the rows in the window, row r at r % slots */
    int32_t slots;
    struct stego_sums sums;        /* of both windows, strip by strip */
    int32_t *mean;                 /* around each pixel of one row */
    int16_t *around;               /* of a batch of it: taps + 1 lines, the last the pixel itself */
    int64_t *wide;                 /* sums over the strips that count for one */
    struct stego_weights *weights; /* of each strip in this row */
    bool *solved;                  /* ... and whether they are those of this row yet */
    uint8_t *residue;              /* ... and how well they do: a feature; 0: no weights */
    struct stego_field field;
    size_t field_strip; /* that it is of, in this row; NO_STRIP: none */
    int32_t row;        /* -1: none yet */
};

static int32_t *pixel(const struct stego_predictor *n, int32_t row, int32_t column)
{
    return stego_rows_pixel(&n->view, row, column);
}

static bool has_all(const struct stego_predictor *n)
{
    return n->below != NULL && n->above != NULL && n->mean != NULL && n->around != NULL &&
           n->wide != NULL && n->weights != NULL && n->solved != NULL && n->residue != NULL;
}

static enum ds_status allocate(struct stego_predictor *n, struct ds_error *err)
{
    const size_t lines = n->preset.taps + 1U;
    const size_t pad = n->strips * STRIP;
    const size_t line = n->strips * n->entries;
    const size_t recalled = n->preset.recalls ? line * n->preset.window : n->entries;
    n->below = calloc(recalled, sizeof *n->below);
    n->above = n->preset.recalls ? calloc(recalled, sizeof *n->above) : n->below;
    n->mean = calloc(pad, sizeof *n->mean);
    n->around = calloc(lines * LINE, sizeof *n->around);
    n->wide = calloc(n->entries, sizeof *n->wide);
    n->weights = calloc(n->strips, sizeof *n->weights);
    n->solved = calloc(n->strips, sizeof *n->solved);
    n->residue = calloc(n->strips, 1);
    return stego_sums_init(&n->sums, line, n->preset.recalls) && has_all(n)
               ? DS_OK
               : ds_fail(err, DS_ENOMEM, "out of memory for a predictor");
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
    n->strips = ((size_t)plane->columns + STRIP - 1U) / STRIP;
    const size_t unknowns = n->preset.taps;
    n->entries = (unknowns + 1U) * (unknowns + 2U) / 2U + 1U;
    n->row = -1;
    const int32_t reach = 2 * n->preset.radius + n->preset.window + 1;
    enum ds_status s = stego_rows_init(&n->view, plane, run_begin, run_end, reach, err);
    s = s == DS_OK ? allocate(n, err) : s;
    if (s != DS_OK) {
        stego_predictor_free(n);
        *out = NULL;
        return s;
    }
    for (unsigned k = 0; k < unknowns; k++) {
        n->tap[k] = offsets[k][1] * (ptrdiff_t)n->view.stride + offsets[k][0];
    }
    return DS_OK;
}

void stego_predictor_free(struct stego_predictor *n)
{
    if (n != NULL) {
        stego_rows_finish(&n->view);
        if (n->above != n->below) {
            free(n->above);
        }
        free(n->below);
        stego_sums_finish(&n->sums);
        free(n->mean);
        free(n->around);
        free(n->wide);
        free(n->weights);
        free(n->solved);
        free(n->residue);
    }
    free(n);
}

/* The mean around each pixel of a row. A pixel that is missing or alone has none. */
static void average(struct stego_predictor *n, int32_t row)
{
    const size_t count = (size_t)n->columns;
    n->kernels->average(pixel(n, row, 0), (ptrdiff_t)n->view.stride, count, n->mean);
    for (size_t c = count; c < n->strips * STRIP; c++) {
        n->mean[c] = MISSING;
    }
}

/* How the pixels of that row and their neighbours differ from it, from a strip on. A pixel without
 * a mean teaches nothing: all its differences are 0. */
static void compare(struct stego_predictor *n, int32_t row, size_t strip)
{
    const unsigned taps = n->preset.taps;
    const size_t batch = n->strips - strip < BATCH ? n->strips - strip : BATCH;
    const int32_t *p = pixel(n, row, (int32_t)(strip * STRIP));
    for (unsigned k = 0; k <= taps; k++) {
        n->kernels->compare(k < taps ? p + n->tap[k] : p, n->mean + strip * STRIP, batch * STRIP,
                            n->around + k * LINE);
    }
}

/* The sums of one strip of that row; strips come one after the other. */
static void sum_strip(struct stego_predictor *n, int32_t row, size_t strip, int32_t *to)
{
    int32_t teachers = 0;
    if (strip % BATCH == 0) {
        compare(n, row, strip);
    }
    for (size_t c = strip * STRIP; c < (strip + 1) * STRIP; c++) {
        teachers += n->mean[c] >= 0;
    }
    n->kernels->multiply(n->around + strip % BATCH * STRIP, LINE, n->preset.taps + 1U, to);
    to[n->entries - 1] = teachers;
}

/* Where a window keeps the sums of a strip of a row. */
static int32_t *kept(const struct stego_predictor *n, int32_t *window, int32_t row, size_t strip)
{
    return n->preset.recalls
               ? window + ((size_t)(row % n->preset.window) * n->strips + strip) * n->entries
               : window;
}

static void enter(struct stego_predictor *n, int32_t *window, int32_t row)
{
    if (row < 0 || row >= n->rows) {
        return;
    }
    average(n, row);
    for (size_t s = 0; s < n->strips; s++) {
        int32_t *to = kept(n, window, row, s);
        sum_strip(n, row, s, to);
        stego_sums_add(&n->sums, s * n->entries, to, n->entries);
    }
}

/* Nothing in the row's surroundings has changed since it entered. */
static void leave_again(struct stego_predictor *n, int32_t *window, int32_t row)
{
    average(n, row);
    for (size_t s = 0; s < n->strips; s++) {
        sum_strip(n, row, s, window);
        stego_sums_take(&n->sums, s * n->entries, window, n->entries);
    }
}

static void leave(struct stego_predictor *n, int32_t *window, int32_t row)
{
    if (row < 0 || row >= n->rows) {
        return;
    }
    if (n->preset.recalls) {
        stego_sums_take(&n->sums, 0, kept(n, window, row, 0), n->strips * n->entries);
    } else {
        leave_again(n, window, row);
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
    stego_rows_move(&n->view, (int32_t)row);
    n->field_strip = NO_STRIP;
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
        stego_sums_gather(&n->sums, s * n->entries, n->entries, n->wide);
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

/* The mean of `unit` times the misses, as a feature. */
static uint8_t feature_of(struct stego_misses m, uint32_t unit)
{
    static const uint16_t share[9] = {0, 16384, 8192, 5462, 4096, 3277, 2731, 2341, 2048};
    return to_feature(stego_log2_16ths(((uint64_t)m.sum * unit * share[m.count] >> 14) + 2U));
}

/* Weighs pixel by pixel. */
static uint32_t weigh_pixels(const struct stego_sight *s, int32_t dx, int32_t dy, int32_t mean)
{
    const struct stego_weights *weights = s->weights;
    const int32_t side = 2 * weights->radius + 1;
    const int32_t *from =
        s->at.pixel + (dy - weights->radius) * s->at.stride + dx - weights->radius;
    uint32_t sum = 0;
    for (int32_t y = 0; y < side; y++, from += s->at.stride) {
        for (int32_t x = 0; x < side; x++) {
            sum += (uint32_t)(stego_weighed(from[x], mean) * weights->row[y][x]);
        }
    }
    return sum;
}

static void look_closely(const struct stego_predictor *n, const struct stego_sight *s, int32_t mean,
                         struct stego_look *look)
{
    const struct stego_sight near = {s->at, s->weights, NULL, 0};
    (void)stego_look_with(weigh_pixels, &near, mean, 16 * n->range, n->preset.witnesses, look);
}

static void look_at(const struct stego_predictor *n, const struct stego_sight *s, int32_t mean,
                    struct stego_look *look)
{
    const bool seen = n->preset.witnesses == 4
                          ? n->kernels->look(s, mean, 16 * n->range, look)
                          : stego_look_with(stego_weigh_field, s, mean, 16 * n->range, 8, look);
    if (!seen) {
        look_closely(n, s, mean, look);
    }
}

static void enter_strip(struct stego_predictor *n, size_t strip)
{
    if (!n->solved[strip]) {
        solve(n, strip);
    }
    n->kernels->sum_up(pixel(n, n->row, (int32_t)(strip * STRIP) - 1), (ptrdiff_t)n->view.stride,
                       &n->weights[strip], &n->field);
    n->field_strip = strip;
}

bool stego_predictor_look(struct stego_predictor *n, uint32_t column, struct stego_outlook *out)
{
    const size_t strip = column / STRIP;
    struct stego_look look;
    const struct stego_sight sight = {
        {pixel(n, n->row, (int32_t)column), (ptrdiff_t)n->view.stride},
        &n->weights[strip],
        &n->field,
        column % STRIP + 1U};
    const int32_t mean = stego_mean_around(sight.at);
    if (mean < 0) {
        return false;
    }
    if (n->field_strip != strip) {
        enter_strip(n, strip);
    }
    look_at(n, &sight, mean, &look);
    out->prediction = look.prediction;
    out->feature[0] = feature_of(look.near[0], 1);
    out->feature[1] = n->preset.witnesses > 4 ? feature_of(look.near[1], 1) : 0;
    out->feature[2] = n->residue[strip] != 0 ? n->residue[strip] : out->feature[0];
    out->feature[3] = feature_of(look.circle, 16);
    return true;
}

/* The pixel at a column of the field has become greater by `more`. */
static void change_field(struct stego_predictor *n, size_t column, uint32_t more)
{
    const struct stego_weights *w = &n->weights[n->field_strip];
    const size_t radius = (size_t)w->radius;
    const size_t begin = column > radius ? column - radius : 0;
    for (size_t line = 0; line < 3; line++) {
        const int16_t *weight = w->row[radius + 1U - line];
        for (size_t c = begin; c <= column + radius; c++) {
            n->field.sum[line][c] += more * (uint32_t)weight[column - c + radius];
        }
    }
}

void stego_predictor_put(struct stego_predictor *n, uint32_t column, int32_t value)
{
    int32_t *p = pixel(n, n->row, (int32_t)column);
    if (n->field_strip == column / STRIP && value != *p) {
        const uint32_t v = (uint32_t)value;
        change_field(n, column % STRIP + 1U, v - (uint32_t)*p);
        n->field.least = v < n->field.least ? v : n->field.least;
        n->field.most = v > n->field.most ? v : n->field.most;
        n->field_strip = *p >= 0 && value >= 0 ? n->field_strip : NO_STRIP;
    } else if (value != *p) {
        n->field_strip = NO_STRIP;
    }
    *p = value;
}
