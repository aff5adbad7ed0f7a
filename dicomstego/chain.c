/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/chain.h"

#include "dicomstego/coupling.h"
#include "dicomstego/fixed.h"
#include "dicomstego/predictor.h"
#include "dicomstego/scale.h"
#include "dicomstego/stack.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

/* What the blob holds. */
struct params {
    uint8_t predictor;
    struct stego_scale scale;
    struct stego_model model;
    uint32_t stop;  /* the first sample that the embedder did not come to */
    uint64_t state; /* of the coder, when it stopped */
};

static const uint8_t reaches[16] = {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64, 128, 255};

static unsigned reach_index(uint8_t reach)
{
    unsigned i = 0;
    while (i < 15U && reaches[i] != reach) {
        i++;
    }
    return i;
}

/* Not every parameter matters to every plane, so the message's checksum would miss some. */
static uint32_t sum_of(const uint8_t *blob)
{
    uint8_t fields[STEGO_CHAIN_BLOB_SUM / 8 + 1];
    memcpy(fields, blob, sizeof fields);
    fields[sizeof fields - 1] &= (uint8_t)(0xFF00U >> STEGO_CHAIN_BLOB_SUM % 8);
    return lzma_crc32(fields, sizeof fields, 0) &
           ((1U << (STEGO_CHAIN_BLOB_BITS - STEGO_CHAIN_BLOB_SUM)) - 1U);
}

/* blob is empty. */
static void params_write(const struct params *p, struct stego_bits *blob)
{
    stego_bits_put(blob, p->predictor, 2);
    stego_bits_put(blob, p->model.shape, 2);
    stego_bits_put(blob, p->model.lambda, 10);
    stego_bits_put(blob, reach_index(p->model.reach), 4);
    stego_bits_put(blob, (uint32_t)(p->scale.offset + 256), 9);
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        stego_bits_put(blob, (uint32_t)(p->scale.slope[i] + 16), 6);
    }
    stego_bits_put(blob, p->scale.first, 7);
    for (unsigned i = 0; i < STEGO_KNOTS; i++) {
        stego_bits_put(blob, (uint32_t)(p->scale.correction[i] + 6), 4);
    }
    stego_bits_put(blob, p->stop, 31);
    stego_bits_put(blob, (uint32_t)(p->state >> 32), 32);
    stego_bits_put(blob, (uint32_t)p->state, 32);
    if (!blob->failed) {
        stego_bits_put(blob, sum_of(blob->bytes.data),
                       STEGO_CHAIN_BLOB_BITS - STEGO_CHAIN_BLOB_SUM);
    }
}

/* False when no embedder writes such a blob. */
static bool params_read(struct params *p, const uint8_t *blob, size_t samples)
{
    struct stego_bit_reader r = {blob, STEGO_CHAIN_BLOB_BITS, 0, false};
    p->predictor = (uint8_t)stego_reader_get(&r, 2);
    p->model.shape = (uint8_t)stego_reader_get(&r, 2);
    p->model.lambda = (uint16_t)stego_reader_get(&r, 10);
    p->model.reach = reaches[stego_reader_get(&r, 4)];
    p->scale.offset = (int16_t)((int32_t)stego_reader_get(&r, 9) - 256);
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        p->scale.slope[i] = (int8_t)((int32_t)stego_reader_get(&r, 6) - 16);
    }
    p->scale.first = (uint8_t)stego_reader_get(&r, 7);
    for (unsigned i = 0; i < STEGO_KNOTS; i++) {
        p->scale.correction[i] = (int8_t)((int32_t)stego_reader_get(&r, 4) - 6);
    }
    p->stop = stego_reader_get(&r, 31);
    p->state = (uint64_t)stego_reader_get(&r, 32) << 32U;
    p->state |= stego_reader_get(&r, 32);
    return stego_reader_get(&r, STEGO_CHAIN_BLOB_BITS - STEGO_CHAIN_BLOB_SUM) == sum_of(blob) &&
           p->stop <= samples && p->model.shape < STEGO_SHAPES && p->state >> 32U != 0;
}

/* What is known of the cover, to plan with. */
struct survey {
    struct params params;
    uint32_t every;          /* rows from one that is looked at to the next */
    struct stego_site *site; /* of the samples looked at */
    size_t sites;
    double share; /* of all samples that were looked at */
    struct stego_couplings *couplings;
};

/* One way through a plane. */
struct walk {
    const struct stego_chain *chain;
    const struct stego_plane *plane;
    struct stego_predictor *predictor;
    struct stego_couplings *couplings;
    struct stego_scale scale;
    uint8_t scales[STEGO_CLASSES_OF_SCALE];
    bool skips_idle; /* couplings that move nothing: not while surveying */
    struct stego_stack coder;
    struct survey *survey; /* NULL, or who wants to know the sites met on the way down */
};

static void walk_finish(struct walk *w)
{
    stego_predictor_free(w->predictor);
    stego_couplings_free(w->couplings);
    stego_stack_free(&w->coder);
    w->predictor = NULL;
    w->couplings = NULL;
    w->coder = (struct stego_stack){0};
}

/* May this sample be changed, as far as its place and padding say? */
static bool is_site(const struct stego_chain *chain, size_t i)
{
    const struct stego_plane *p = chain->plane;
    const int32_t x = p->samples[i];
    return !(i >= chain->run_begin && i < chain->run_end) &&
           (p->still == NULL || p->still[i] == 0) &&
           !(p->has_padding && x >= p->padding_min && x <= p->padding_max);
}

/* Where a pixel stands to its prediction. The pixel's value and what becomes of it are on the same
 * side of the padding, so both see the same. */
struct stand {
    int32_t base; /* above plane->low */
    unsigned fraction;
    uint32_t below, above;
};

static struct stand stand_of(const struct stego_plane *p, int32_t x, int32_t prediction)
{
    int32_t first = 0;
    int32_t last = p->high - p->low;
    if (p->has_padding) {
        if (x < p->padding_min) {
            last = p->padding_min - 1 - p->low;
        } else {
            first = p->padding_max + 1 - p->low;
        }
    }
    struct stand s = {.base = prediction >> 4, .fraction = (unsigned)prediction & 15U};
    if (s.base < first || s.base > last) {
        s.base = s.base < first ? first : last;
        s.fraction = 0;
    }
    s.below = (uint32_t)(s.base - first);
    s.above = (uint32_t)(last - s.base);
    return s;
}

/* The coupling for a value at a place, and the value's index in it; NULL when it has none. */
static const struct stego_coupling *coupling_at(struct walk *w, const struct stego_outlook *look,
                                                int32_t x, uint32_t *index, int32_t *zero)
{
    const struct stand s = stand_of(w->plane, x, look->prediction);
    const unsigned class = stego_scale_class(&w->scale, look->feature);
    const struct stego_coupling *c =
        stego_couplings_get(w->couplings, w->scales[class], s.fraction, s.below, s.above);
    if (c == NULL) {
        return NULL;
    }
    *zero = s.base + c->first + w->plane->low;
    const int64_t i = (int64_t)x - *zero;
    *index = (uint32_t)i;
    return i >= 0 && i < (int64_t)c->count && !(c->is_idle && w->skips_idle) ? c : NULL;
}

static uint32_t find(const uint32_t *cumulated, uint32_t from, uint32_t slot)
{
    uint32_t i = from;
    while (slot < cumulated[i]) {
        i--;
    }
    while (slot >= cumulated[i + 1]) {
        i++;
    }
    return i;
}

/* What becomes of x. */
static int32_t mark_value(struct stego_stack *coder, const struct stego_coupling *c, uint32_t index,
                          int32_t zero)
{
    stego_stack_compress(coder, c->p[index], c->p[index + 1] - c->p[index]);
    const uint32_t to = find(c->q, index, stego_stack_slot(coder));
    stego_stack_decompress(coder, c->q[to], c->q[to + 1] - c->q[to]);
    return zero + (int32_t)to;
}

/* What it was. */
static int32_t restore_value(struct stego_stack *coder, const struct stego_coupling *c,
                             uint32_t index, int32_t zero)
{
    const uint32_t size = c->q[index + 1] - c->q[index];
    if (size == 0) { /* no embedder makes this value */
        coder->failed = true;
        return zero + (int32_t)index;
    }
    stego_stack_compress(coder, c->q[index], size);
    const uint32_t to = find(c->p, index, stego_stack_slot(coder));
    stego_stack_decompress(coder, c->p[to], c->p[to + 1] - c->p[to]);
    return zero + (int32_t)to;
}

static enum ds_status walk_begin(struct walk *w, const struct stego_chain *chain,
                                 const struct params *p, struct ds_error *err)
{
    w->chain = chain;
    w->plane = chain->plane;
    w->scale = p->scale;
    w->skips_idle = true;
    stego_scale_table(&w->scale, w->scales);
    enum ds_status s = stego_predictor_new(&w->predictor, chain->plane, chain->run_begin,
                                           chain->run_end, p->predictor, err);
    if (s == DS_OK) {
        s = stego_couplings_new(&w->couplings, &p->model, err);
    }
    return s;
}

static enum ds_status walk_ended(const struct walk *w, struct ds_error *err)
{
    return stego_couplings_failed(w->couplings)
               ? ds_fail(err, DS_ENOMEM, "out of memory for the model")
               : DS_OK;
}

/* Top to bottom, until the message is used up. */
static void walk_down(struct walk *w, int32_t *out, uint32_t *stop)
{
    const struct stego_plane *p = w->plane;
    struct survey *survey = w->survey;
    struct stego_outlook look;
    uint32_t index = 0;
    int32_t zero = 0;
    size_t i = 0;
    for (uint32_t row = 0; row < p->rows && w->coder.count > 0; row++) {
        const bool is_surveyed = row % survey->every == 0;
        stego_predictor_row(w->predictor, row);
        for (uint32_t column = 0; column < p->columns && w->coder.count > 0; column++, i++) {
            if (!is_site(w->chain, i) || !stego_predictor_look(w->predictor, column, &look)) {
                continue;
            }
            const int32_t x = p->samples[i];
            const struct stego_coupling *c = coupling_at(w, &look, x, &index, &zero);
            if (is_surveyed) {
                survey->site[survey->sites++] = (struct stego_site){look, x - p->low};
            }
            if (c != NULL) {
                out[i] = mark_value(&w->coder, c, index, zero);
                stego_predictor_put(w->predictor, column, out[i] - p->low);
            }
        }
    }
    *stop = (uint32_t)i;
}

/* Back from `stop` to the first sample. */
static void walk_up(struct walk *w, int32_t *samples, uint32_t stop)
{
    const struct stego_plane *p = w->plane;
    struct stego_outlook look;
    uint32_t index = 0;
    int32_t zero = 0;
    size_t i = stop;
    for (uint32_t row = (uint32_t)((stop + (size_t)p->columns - 1U) / p->columns);
         row-- > 0 && !w->coder.failed;) {
        const size_t begin = (size_t)row * p->columns;
        stego_predictor_row(w->predictor, row);
        while (i > begin && !w->coder.failed) {
            i--;
            const uint32_t column = (uint32_t)(i - begin);
            if (!is_site(w->chain, i) || !stego_predictor_look(w->predictor, column, &look)) {
                continue;
            }
            const struct stego_coupling *c = coupling_at(w, &look, samples[i], &index, &zero);
            if (c != NULL) {
                samples[i] = restore_value(&w->coder, c, index, zero);
                stego_predictor_put(w->predictor, column, samples[i] - p->low);
            }
        }
    }
}

static void survey_finish(struct survey *s)
{
    free(s->site);
    stego_couplings_free(s->couplings);
    s->site = NULL;
    s->couplings = NULL;
}

static void look_around(const struct stego_chain *chain, struct stego_predictor *n,
                        struct survey *s)
{
    const struct stego_plane *p = chain->plane;
    struct stego_outlook look;
    s->sites = 0;
    for (uint32_t row = 0; row < p->rows; row++) {
        stego_predictor_row(n, row);
        for (uint32_t column = 0; row % s->every == 0 && column < p->columns; column++) {
            const size_t i = (size_t)row * p->columns + column;
            if (is_site(chain, i) && stego_predictor_look(n, column, &look)) {
                s->site[s->sites++] = (struct stego_site){look, p->samples[i] - p->low};
            }
        }
    }
}

/* Counts every site in its coupling. */
static enum ds_status count_sites(const struct stego_chain *chain, struct survey *s,
                                  struct ds_error *err)
{
    struct walk w = {.chain = chain, .plane = chain->plane, .scale = s->params.scale};
    enum ds_status st = stego_couplings_new(&s->couplings, &s->params.model, err);
    if (st != DS_OK) {
        return st;
    }
    w.couplings = s->couplings;
    stego_scale_table(&w.scale, w.scales);
    uint32_t index = 0;
    int32_t zero = 0;
    for (size_t k = 0; k < s->sites; k++) {
        const struct stego_site *site = &s->site[k];
        const struct stego_coupling *c =
            coupling_at(&w, &site->look, site->value + chain->plane->low, &index, &zero);
        if (c != NULL) {
            c->seen[index]++;
        }
    }
    return walk_ended(&w, err);
}

/* Large planes are planned from some of their rows: enough sites are met there, and memory and time
 * are spared. */
static uint32_t rows_apart(const struct stego_chain *chain)
{
    const size_t n = stego_plane_count(chain->plane);
    if (n < ((size_t)1 << 16)) {
        return 1;
    }
    return (chain->thorough ? 2U : 4U) * (1U + (uint32_t)(n >> 20U));
}

static enum ds_status survey_begin(const struct stego_chain *chain, unsigned predictor,
                                   struct survey *s, struct ds_error *err)
{
    const struct stego_plane *p = chain->plane;
    *s = (struct survey){
        .params = {.predictor = (uint8_t)predictor, .model = {.lambda = 720, .reach = 1}},
        .every = rows_apart(chain)};
    const size_t rows = ((size_t)p->rows + s->every - 1) / s->every;
    s->site = malloc(rows * p->columns * sizeof *s->site);
    return s->site != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for planning");
}

/* From the sites to a model. */
static enum ds_status conclude(const struct stego_chain *chain, struct survey *s, uint32_t rows,
                               struct ds_error *err)
{
    s->share = (double)((rows + s->every - 1) / s->every) / (double)chain->plane->rows;
    const enum ds_status st = stego_scale_fit(s->site, s->sites, chain->thorough, &s->params.scale,
                                              &s->params.model.shape, err);
    if (st != DS_OK) {
        return st;
    }
    stego_couplings_free(s->couplings);
    return count_sites(chain, s, err);
}

static enum ds_status survey_with(const struct stego_chain *chain, unsigned predictor,
                                  struct survey *s, struct ds_error *err)
{
    struct stego_predictor *n = NULL;
    enum ds_status st = survey_begin(chain, predictor, s, err);
    if (st == DS_OK) {
        st =
            stego_predictor_new(&n, chain->plane, chain->run_begin, chain->run_end, predictor, err);
    }
    if (st == DS_OK) {
        look_around(chain, n, s);
        st = conclude(chain, s, chain->plane->rows, err);
    }
    stego_predictor_free(n);
    return st;
}

static struct stego_yield yield_at(struct survey *s, unsigned lambda, uint8_t reach)
{
    s->params.model.lambda = (uint16_t)lambda;
    s->params.model.reach = reach;
    stego_couplings_set(s->couplings, &s->params.model);
    struct stego_yield y = stego_couplings_yield(s->couplings);
    y.bits /= s->share;
    y.error /= s->share;
    return y;
}

/* The greatest lambda that still takes `need` bits at this reach, looked for around *lambda. */
static bool choose_lambda(struct survey *s, uint8_t reach, double need, unsigned *lambda,
                          double *error)
{
    unsigned enough = 0; /* ... once `known`; too_much takes less */
    unsigned too_much = STEGO_LAMBDA_MAX + 1U;
    bool known = false;
    unsigned step = 32;
    for (unsigned at = *lambda; !known || too_much - enough > 1;) {
        const struct stego_yield y = yield_at(s, at, reach);
        if (y.bits >= need) {
            known = true;
            enough = at;
            *error = y.error;
            at = too_much - at > 2 * step ? at + step : at + (too_much - at) / 2;
        } else if (at == 0) {
            return false;
        } else {
            too_much = at;
            if (known) {
                at = enough + (at - enough) / 2;
            } else {
                at = at > step ? at - step : 0;
            }
        }
        step *= 2;
    }
    *lambda = enough;
    return true;
}

static bool may_reach(const struct stego_chain *chain, uint8_t reach)
{
    return chain->max_difference == 0 || (reach != 0 && reach <= chain->max_difference);
}

/* Sets lambda and reach; false when so much does not fit. *error: expected. */
static bool choose_model(const struct stego_chain *chain, struct survey *s, double need,
                         double *error)
{
    /* From the shortest reach on, as long as a longer one is better by more than a survey can err.
     */
    static const uint8_t order[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 255};
    struct stego_model best = s->params.model;
    unsigned lambda = best.lambda;
    bool found = false;
    for (size_t i = 0; i < sizeof order && may_reach(chain, order[i]); i++) {
        double e = 0.0;
        if (!choose_lambda(s, order[i], need, &lambda, &e)) {
            continue;
        }
        if (found && e >= 0.98 * *error) {
            break;
        }
        found = true;
        *error = e;
        best.lambda = (uint16_t)lambda;
        best.reach = order[i];
    }
    s->params.model = best;
    return found;
}

static enum ds_status does_not_fit(struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "the payload does not fit into the image");
}

static enum ds_status try_embed(const struct stego_chain *chain, struct survey *survey,
                                const struct stego_bits *message, int32_t *out, size_t *left,
                                struct ds_error *err)
{
    struct walk w = {.survey = survey};
    enum ds_status s = walk_begin(&w, chain, &survey->params, err);
    if (s == DS_OK) {
        memcpy(out, chain->plane->samples, stego_plane_count(chain->plane) * sizeof *out);
        stego_stack_load(&w.coder, message);
        survey->sites = 0;
        walk_down(&w, out, &survey->params.stop);
        survey->params.state = w.coder.state;
        *left = 32 * w.coder.count;
        s = w.coder.failed ? ds_fail(err, DS_ENOMEM, "out of memory for the message")
                           : walk_ended(&w, err);
    }
    walk_finish(&w);
    return s;
}

/* The extractor's arithmetic is for 16 bits; very narrow planes have nobody to learn from. */
static bool can_chain(const struct stego_plane *p)
{
    return (int64_t)p->high - p->low < 65536 && p->columns >= 4 && p->rows >= 4;
}

static enum ds_status cannot_chain(struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "the plane is too small or has too many bits for the chain");
}

/* The survey of the predictor that is best for so many bits. */
static enum ds_status choose_survey(const struct stego_chain *chain, double need,
                                    struct survey *best, struct ds_error *err)
{
    static const uint8_t thorough[] = {1, 2, 3, 0};
    double least = 0.0;
    bool found = false;
    enum ds_status st = DS_OK;
    for (size_t i = 0; st == DS_OK && i < (chain->thorough ? sizeof thorough : 1); i++) {
        struct survey s;
        double error = 0.0;
        st = survey_with(chain, thorough[i], &s, err);
        if (st == DS_OK && choose_model(chain, &s, need, &error) && (!found || error < least)) {
            survey_finish(best);
            *best = s;
            found = true;
            least = error;
        } else {
            survey_finish(&s);
        }
    }
    return st != DS_OK ? st : (found ? DS_OK : does_not_fit(err));
}

#define TRIES 8U

/* Surroundings half of which are marked take less than those of the cover: so much more per bit
 * for each bit that a pixel takes, as seen on many images. */
#define MARKED_LOSS 1.3

/* Tries until one fits: s->params and out are then that one's. *reserve: planned beyond the bits
 * of the message, as a part of them; what was enough afterwards. */
static enum ds_status embed_surveyed(const struct stego_chain *chain, struct survey *s,
                                     const struct stego_bits *message, int32_t *out,
                                     double *reserve, struct ds_error *err)
{
    const double bits = (double)message->count;
    for (unsigned i = 0; i < TRIES; i++) {
        size_t left = 0;
        double error = 0.0;
        if (!choose_model(chain, s, bits * (1.0 + *reserve) + 24.0, &error)) {
            return does_not_fit(err);
        }
        enum ds_status st = try_embed(chain, s, message, out, &left, err);
        if (st != DS_OK || left == 0) {
            return st;
        }
        /* What was met on the way down is the better survey; more bits will spoil a bit more. */
        const double lacking = (double)left / bits;
        *reserve = i == 0 ? 0.002 + 0.3 * lacking : *reserve + 0.7 * lacking + 0.002;
        st = conclude(chain, s, chain->plane->rows, err);
        if (st != DS_OK) {
            return st;
        }
    }
    return does_not_fit(err);
}

/* An embedding that ends far from the last row could have been gentler: with the same survey, as
 * long as that turns out true. */
static enum ds_status refine(const struct stego_chain *chain, struct survey *s,
                             const struct stego_bits *message, int32_t *out, double reserve,
                             struct ds_error *err)
{
    const size_t n = stego_plane_count(chain->plane);
    const double bits = (double)message->count;
    double least = stego_plane_error(chain->plane, out);
    struct params best = s->params;
    int32_t *other = malloc(n * sizeof *other);
    enum ds_status st = other != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
    for (unsigned i = 0; st == DS_OK && i < 3; i++) {
        const double unused = 1.0 - (double)best.stop / (double)n;
        size_t left = 0;
        double error = 0.0;
        reserve -= 0.6 * unused;
        if (unused < 0.01 || !choose_model(chain, s, bits * (1.0 + reserve) + 24.0, &error)) {
            break;
        }
        st = try_embed(chain, s, message, other, &left, err);
        error = stego_plane_error(chain->plane, other);
        if (st != DS_OK || left != 0 || error >= least) {
            break;
        }
        least = error;
        best = s->params;
        memcpy(out, other, n * sizeof *out);
    }
    free(other);
    s->params = best;
    return st;
}

enum ds_status stego_chain_embed(const struct stego_chain *chain, const struct stego_bits *message,
                                 int32_t *out, struct stego_bits *blob, struct ds_error *err)
{
    struct survey s = {0};
    if (!can_chain(chain->plane) || message->count < 64) {
        return cannot_chain(err);
    }
    const double rate = (double)message->count / (double)stego_plane_count(chain->plane);
    double reserve = chain->thorough ? 0.0 : MARKED_LOSS * rate;
    enum ds_status st = choose_survey(chain, (double)message->count, &s, err);
    if (st == DS_OK) {
        st = embed_surveyed(chain, &s, message, out, &reserve, err);
    }
    if (st == DS_OK && chain->thorough) {
        st = refine(chain, &s, message, out, reserve, err);
    }
    if (st == DS_OK) {
        params_write(&s.params, blob);
        st = blob->failed ? ds_fail(err, DS_ENOMEM, "out of memory for side information") : DS_OK;
    }
    survey_finish(&s);
    return st;
}

enum ds_status stego_chain_extract(const struct stego_chain *chain, const uint8_t *blob,
                                   size_t count, struct stego_bits *out, struct ds_error *err)
{
    struct params p;
    struct walk w = {0};
    if (!can_chain(chain->plane) || !params_read(&p, blob, stego_plane_count(chain->plane))) {
        return ds_fail(err, DS_EAUTH, "the carrier's side information was altered");
    }
    enum ds_status s = walk_begin(&w, chain, &p, err);
    if (s == DS_OK) {
        w.coder.state = p.state;
        walk_up(&w, chain->plane->samples, p.stop);
        s = walk_ended(&w, err);
    }
    if (s == DS_OK && !stego_stack_unload(&w.coder, count, out)) {
        s = ds_fail(err, DS_EAUTH, "the carrier was altered: its pixels contradict it");
    }
    if (s == DS_OK && out->failed) {
        s = ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits");
    }
    walk_finish(&w);
    return s;
}

/* For each price the point with the least error - price * bits, of points a few lambdas apart. */
enum ds_status stego_chain_measure(const struct stego_chain *chain, struct stego_curve *curve,
                                   struct ds_error *err)
{
    static const uint8_t order[] = {1, 2, 4, 8, 16, 64};
    struct survey s = {0};
    memset(curve, 0, sizeof *curve);
    if (!can_chain(chain->plane)) {
        return DS_OK;
    }
    const enum ds_status st = survey_with(chain, 1, &s, err);
    for (size_t r = 0; st == DS_OK && r < sizeof order && may_reach(chain, order[r]); r++) {
        for (unsigned lambda = 0; lambda <= STEGO_LAMBDA_MAX; lambda += 32) {
            const struct stego_yield y = yield_at(&s, lambda, order[r]);
            for (unsigned i = 0; i < STEGO_PRICES; i++) {
                const double price = stego_price(i);
                if (y.error - price * y.bits < curve->error[i] - price * curve->bits[i]) {
                    curve->error[i] = y.error;
                    curve->bits[i] = y.bits;
                }
            }
        }
    }
    survey_finish(&s);
    return st;
}
