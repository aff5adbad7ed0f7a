/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/scale.h"

#include "dicomstego/fixed.h"

#include <stdlib.h>
#include <string.h>

#define UNKNOWNS (STEGO_FEATURES + 1U)
#define ROUNDS   20U

/* 2^l for |l| < 30. */
static double exp2_of(double l)
{
    const double up = l < 0.0 ? 0.0 : 30.0;
    const double x = (up - l) * 65536.0;
    double v = (double)stego_exp2_minus((uint64_t)x) / (double)STEGO_ONE;
    if (up > 0.0) {
        v *= (double)STEGO_ONE;
    }
    return v < 1e-9 ? 1e-9 : v;
}

static double distance_of(const struct stego_site *s)
{
    return (double)(s->surplus < 0 ? -s->surplus : s->surplus);
}

struct equations {
    double matrix[UNKNOWNS][UNKNOWNS + 1];
};

static void inputs_of(const struct stego_site *s, double in[UNKNOWNS])
{
    in[0] = 1.0;
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        in[i + 1] = (double)s->feature[i] / 16.0;
    }
}

/* One term of Newton's equations for the likelihood of a law with a tail between Laplace's and
 * Student's, the scale being 2^(weights * inputs). */
static void add_site(struct equations *y, const struct stego_site *s, const double weight[UNKNOWNS])
{
    double in[UNKNOWNS];
    double l = 0.0;
    inputs_of(s, in);
    for (unsigned i = 0; i < UNKNOWNS; i++) {
        l += weight[i] * in[i];
    }
    l = l < -12.0 ? -12.0 : (l > 24.0 ? 24.0 : l);
    const double u = (distance_of(s) + 0.8) / exp2_of(l);
    const double pull = u / (1.0 + u / 4.0);
    const double bend = pull / (1.0 + u / 4.0);
    for (unsigned i = 0; i < UNKNOWNS; i++) {
        for (unsigned j = 0; j < UNKNOWNS; j++) {
            y->matrix[i][j] += bend * in[i] * in[j];
        }
        y->matrix[i][UNKNOWNS] += (pull - 1.0) * in[i];
    }
}

/* Gauss and Jordan; the matrix is positive definite. */
static void solve(struct equations *y)
{
    for (unsigned k = 0; k < UNKNOWNS; k++) {
        const double pivot = y->matrix[k][k];
        for (unsigned j = 0; j <= UNKNOWNS; j++) {
            y->matrix[k][j] /= pivot;
        }
        for (unsigned i = 0; i < UNKNOWNS; i++) {
            const double times = y->matrix[i][k];
            for (unsigned j = 0; i != k && j <= UNKNOWNS; j++) {
                y->matrix[i][j] -= times * y->matrix[k][j];
            }
        }
    }
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : (v > high ? high : v);
}

static int32_t rounded(double v)
{
    return (int32_t)(v < 0.0 ? v - 0.5 : v + 0.5);
}

#define KNOT_CLASSES   4
#define CORRECTION_MIN (-6)
#define CORRECTION_MAX 9

void stego_scale_table(const struct stego_scale *s, uint8_t scales[STEGO_CLASSES_OF_SCALE])
{
    for (int32_t class = 0; class < (int32_t)STEGO_CLASSES_OF_SCALE; class ++) {
        const int32_t from = class - s->first;
        int32_t c = s->correction[0] * KNOT_CLASSES;
        if (from >= KNOT_CLASSES * ((int32_t)STEGO_KNOTS - 1)) {
            c = s->correction[STEGO_KNOTS - 1] * KNOT_CLASSES;
        } else if (from > 0) {
            const int32_t k = from / KNOT_CLASSES;
            const int32_t part = from % KNOT_CLASSES;
            c = s->correction[k] * (KNOT_CLASSES - part) + s->correction[k + 1] * part;
        }
        const int32_t scale = 2 * class + (c + 6 * KNOT_CLASSES) / KNOT_CLASSES - 6;
        scales[class] =
            (uint8_t)(scale < 0
                          ? 0
                          : (scale < (int32_t)STEGO_SCALES ? scale : (int32_t)STEGO_SCALES - 1));
    }
}

static double cost_of(const struct stego_site *const *site, const uint8_t *class, size_t begin,
                      size_t end, int correction, unsigned shape)
{
    double sum = 0.0;
    for (size_t i = begin; i < end; i++) {
        const int scale = (int)clamp(2 * class[i] + correction, 0, (int)STEGO_SCALES - 1);
        sum += stego_shape_cost(shape, (unsigned)scale, site[i]->surplus);
    }
    return sum;
}

/* The best correction for sites begin..end-1, going downhill from 2. */
static double correct(const struct stego_site *const *site, const uint8_t *class, size_t begin,
                      size_t end, unsigned shape, int8_t *correction)
{
    int at = 2;
    double least = cost_of(site, class, begin, end, at, shape);
    for (int step = -1; step <= 1; step += 2) {
        const int from = at;
        for (int next = from + step; next >= CORRECTION_MIN && next <= CORRECTION_MAX;
             next += step) {
            const double cost = cost_of(site, class, begin, end, next, shape);
            if (cost >= least) {
                break;
            }
            least = cost;
            at = next;
        }
        if (at != from) {
            break;
        }
    }
    *correction = (int8_t)at;
    return least;
}

/* Sites sorted by the knot that is nearest to their class. */
struct sorted {
    const struct stego_site **site;
    uint8_t *class;
    size_t begin[STEGO_KNOTS + 1];
};

static unsigned knot_of(const struct stego_scale *scale, unsigned class)
{
    const int32_t k = ((int32_t) class - scale->first + KNOT_CLASSES / 2) / KNOT_CLASSES;
    return k < 0 ? 0 : (k < (int32_t)STEGO_KNOTS ? (unsigned)k : STEGO_KNOTS - 1U);
}

static void sort_sites(const struct stego_site *sites, size_t count, size_t step,
                       const struct stego_scale *scale, struct sorted *to)
{
    size_t n[STEGO_KNOTS] = {0};
    for (size_t i = 0; i < count; i += step) {
        n[knot_of(scale, stego_scale_class(scale, sites[i].feature))]++;
    }
    to->begin[0] = 0;
    for (unsigned k = 0; k < STEGO_KNOTS; k++) {
        to->begin[k + 1] = to->begin[k] + n[k];
        n[k] = to->begin[k];
    }
    for (size_t i = 0; i < count; i += step) {
        const unsigned class = stego_scale_class(scale, sites[i].feature);
        const size_t at = n[knot_of(scale, class)]++;
        to->site[at] = &sites[i];
        to->class[at] = (uint8_t) class;
    }
}

/* Every shape has another idea of scale, so shape and corrections are found together. */
static void choose_shape(const struct sorted *s, struct stego_scale *scale, uint8_t *shape)
{
    double least = -1.0;
    for (unsigned i = 0; i < STEGO_SHAPES; i++) {
        int8_t correction[STEGO_KNOTS];
        double cost = 0.0;
        for (unsigned k = 0; k < STEGO_KNOTS; k++) {
            cost += correct(s->site, s->class, s->begin[k], s->begin[k + 1], i, &correction[k]);
        }
        if (least < 0.0 || cost < least) {
            least = cost;
            *shape = (uint8_t)i;
            memcpy(scale->correction, correction, sizeof correction);
        }
    }
}

/* The lowest class that matters: a sixty-fourth of the sites are in lower ones. */
static uint8_t first_class(const struct stego_site *sites, size_t count, size_t step,
                           const struct stego_scale *scale)
{
    size_t n[STEGO_CLASSES_OF_SCALE] = {0};
    for (size_t i = 0; i < count; i += step) {
        n[stego_scale_class(scale, sites[i].feature)]++;
    }
    size_t below = 0;
    unsigned class = 0;
    while (class + 1 < STEGO_CLASSES_OF_SCALE && (below += n[class]) < count / step / 64) {
        class ++;
    }
    return (uint8_t) class;
}

enum ds_status stego_scale_fit(const struct stego_site *sites, size_t count, bool thorough,
                               struct stego_scale *scale, uint8_t *shape, struct ds_error *err)
{
    const size_t most = thorough ? 16384 : 2048;
    const size_t step = count / most + 1;
    double weight[UNKNOWNS] = {-0.5, 0.5, 0.2, 0.2, 0.1};
    bool moved = true;
    for (unsigned round = 0; round < ROUNDS && moved; round++) {
        struct equations y;
        memset(&y, 0, sizeof y);
        for (size_t i = 0; i < count; i += step) {
            add_site(&y, &sites[i], weight);
        }
        for (unsigned i = 0; i < UNKNOWNS; i++) {
            y.matrix[i][i] += 1.0;
            /* A weak pull to where the search began: features that say the same stay apart. */
        }
        solve(&y);
        moved = false;
        for (unsigned i = 0; i < UNKNOWNS; i++) {
            const double d = clamp(1.4427 * y.matrix[i][UNKNOWNS], -0.5, 0.5);
            weight[i] += d;
            moved = moved || d > 0.004 || d < -0.004;
        }
    }
    scale->offset = (int16_t)clamp(rounded(16.0 * weight[0]), -256, 255);
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        scale->slope[i] = (int8_t)clamp(rounded(32.0 * weight[i + 1]), -16, 47);
    }
    scale->first = first_class(sites, count, step, scale);
    const size_t n = count / step + 1;
    struct sorted s = {malloc(n * sizeof *s.site), malloc(n), {0}};
    enum ds_status st = DS_OK;
    if (s.site == NULL || s.class == NULL) {
        st = ds_fail(err, DS_ENOMEM, "out of memory for planning");
    } else {
        sort_sites(sites, count, step, scale, &s);
        choose_shape(&s, scale, shape);
    }
    free((void *)s.site);
    free(s.class);
    return st;
}
