/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/chain.h"

#include "dicomstego/place.h"
#include "dicomstego/stack.h"
#include "dicomstego/survey.h"

#include <stdlib.h>
#include <string.h>

/* Where an embedding works: in the memory of the carrier to be, whose samples take twice the room
 * that a chain's 16 bits need. */
struct desk {
    uint16_t *marked; /* the carrier, above plane->low; NULL: not yet */
    struct stego_site
        *site;      /* of the surveys, which take turns in it; NULL: nobody looks any more */
    uint16_t *kept; /* room for another carrier, once nobody looks at the sites */
    void *more;     /* owned: what has no room there */
};

static void desk_finish(struct desk *d)
{
    free(d->more);
}

static enum ds_status desk_init(struct desk *d, const struct stego_chain *chain, int32_t *out,
                                struct ds_error *err)
{
    const size_t n = stego_plane_count(chain->plane);
    const size_t bytes = stego_survey_sites(chain) * sizeof *d->site;
    uint16_t *first = (uint16_t *)out;
    uint16_t *second = first + n;
    *d = (struct desk){.marked = first, .site = (void *)second, .kept = second};
    if (bytes > n * sizeof *out) {
        d->site = d->more = malloc(bytes);
    } else if (bytes > n * sizeof *second) {
        *d = (struct desk){.site = (void *)first, .kept = first};
    }
    return d->site != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for planning");
}

/* The first walk comes. Planning for it may have had several surveys at once. */
static enum ds_status desk_open(struct desk *d, const struct stego_plane *p, struct ds_error *err)
{
    if (d->marked == NULL) {
        d->marked = d->more = malloc(stego_plane_count(p) * sizeof *d->marked);
    }
    return d->marked != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for a carrier");
}

/* No survey follows. */
static void desk_clear(struct desk *d)
{
    if (d->more == d->site) {
        free(d->more);
        d->more = NULL;
    }
    d->site = NULL;
}

/* One way through a plane. */
struct walk {
    const struct stego_chain *chain;
    struct stego_predictor *predictor;
    struct stego_guide guide; /* its couplings are borrowed */
    struct stego_stack coder;
};

static void walk_finish(struct walk *w)
{
    stego_predictor_free(w->predictor);
    stego_stack_free(&w->coder);
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

/* What becomes of a value. */
static int32_t mark_value(struct stego_stack *coder, const struct stego_place *at)
{
    const struct stego_coupling *c = at->coupling;
    stego_stack_compress(coder, c->p[at->index], c->p[at->index + 1] - c->p[at->index]);
    const uint32_t to = find(c->q, at->index, stego_stack_slot(coder));
    stego_stack_decompress(coder, c->q[to], c->q[to + 1] - c->q[to]);
    return at->zero + (int32_t)to;
}

/* What it was. */
static int32_t restore_value(struct stego_stack *coder, const struct stego_place *at)
{
    const struct stego_coupling *c = at->coupling;
    const uint32_t size = c->q[at->index + 1] - c->q[at->index];
    if (size == 0) { /* no embedder makes this value */
        coder->failed = true;
        return at->zero + (int32_t)at->index;
    }
    stego_stack_compress(coder, c->q[at->index], size);
    const uint32_t to = find(c->p, at->index, stego_stack_slot(coder));
    stego_stack_decompress(coder, c->p[to], c->p[to + 1] - c->p[to]);
    return at->zero + (int32_t)to;
}

static enum ds_status walk_begin(struct walk *w, const struct stego_chain *chain,
                                 const struct stego_params *p, struct stego_couplings *couplings,
                                 struct ds_error *err)
{
    *w = (struct walk){.chain = chain, .guide = stego_guide_of(chain->plane, couplings, &p->scale)};
    return stego_predictor_new(&w->predictor, chain->plane, chain->run_begin, chain->run_end,
                               p->predictor, err);
}

static enum ds_status walk_ended(const struct walk *w, struct ds_error *err)
{
    return stego_couplings_failed(w->guide.couplings)
               ? ds_fail(err, DS_ENOMEM, "out of memory for the model")
               : DS_OK;
}

/* Top to bottom, until the message is used up. The survey is told what was met, if it has room. */
static void walk_down(struct walk *w, struct stego_survey *survey, uint16_t *marked)
{
    const struct stego_plane *p = w->chain->plane;
    struct stego_outlook look;
    struct stego_place place;
    size_t i = 0;
    survey->sites = 0;
    for (uint32_t row = 0; row < p->rows && w->coder.count > 0; row++) {
        const bool is_surveyed = survey->site != NULL && row % survey->every == 0;
        stego_predictor_row(w->predictor, row);
        for (uint32_t column = 0; column < p->columns && w->coder.count > 0; column++, i++) {
            if (!stego_is_site(w->chain, i) || !stego_predictor_look(w->predictor, column, &look)) {
                continue;
            }
            const int32_t x = p->samples[i];
            if (is_surveyed) {
                survey->site[survey->sites++] = stego_site_of(&look, x - p->low);
            }
            if (stego_guide_find(&w->guide, &look, x, &place) && !place.coupling->is_idle) {
                marked[i] = (uint16_t)(mark_value(&w->coder, &place) - p->low);
                stego_predictor_put(w->predictor, column, marked[i]);
            }
        }
    }
    survey->params.stop = (uint32_t)i;
}

/* Back from `stop` to the first sample. */
static void walk_up(struct walk *w, int32_t *samples, uint32_t stop)
{
    const struct stego_plane *p = w->chain->plane;
    struct stego_outlook look;
    struct stego_place place;
    size_t i = stop;
    for (uint32_t row = (uint32_t)((stop + (size_t)p->columns - 1U) / p->columns);
         row-- > 0 && !w->coder.failed;) {
        const size_t begin = (size_t)row * p->columns;
        stego_predictor_row(w->predictor, row);
        while (i > begin && !w->coder.failed) {
            i--;
            const uint32_t column = (uint32_t)(i - begin);
            if (stego_is_site(w->chain, i) && stego_predictor_look(w->predictor, column, &look) &&
                stego_guide_find(&w->guide, &look, samples[i], &place) &&
                !place.coupling->is_idle) {
                samples[i] = restore_value(&w->coder, &place);
                stego_predictor_put(w->predictor, column, samples[i] - p->low);
            }
        }
    }
}

static enum ds_status does_not_fit(struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "the payload does not fit into the image");
}

/* The samples above plane->low; a chain's planes have at most 16 bits. */
static void copy_cover(const struct stego_plane *p, uint16_t *to)
{
    for (size_t i = 0; i < stego_plane_count(p); i++) {
        to[i] = (uint16_t)(p->samples[i] - p->low);
    }
}

/* With the model and the couplings that the survey has chosen. */
static enum ds_status try_embed(const struct stego_chain *chain, struct stego_survey *survey,
                                const struct stego_bits *message, uint16_t *marked, size_t *left,
                                struct ds_error *err)
{
    struct walk w;
    enum ds_status s = walk_begin(&w, chain, &survey->params, survey->couplings, err);
    if (s == DS_OK) {
        copy_cover(chain->plane, marked);
        stego_stack_load(&w.coder, message);
        walk_down(&w, survey, marked);
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
                                    struct stego_site *room, struct stego_survey *best,
                                    struct ds_error *err)
{
    static const uint8_t thorough[] = {1, 2, 3, 0};
    double least = 0.0;
    bool found = false;
    enum ds_status st = DS_OK;
    for (size_t i = 0; st == DS_OK && i < (chain->thorough ? sizeof thorough : 1); i++) {
        struct stego_survey s;
        double error = 0.0;
        st = stego_survey_look(chain, thorough[i], room, &s, err);
        if (st == DS_OK && stego_survey_choose(chain, &s, need, &error) &&
            (!found || error < least)) {
            stego_survey_finish(best);
            *best = s;
            found = true;
            least = error;
        } else {
            stego_survey_finish(&s);
        }
    }
    return st != DS_OK ? st : (found ? DS_OK : does_not_fit(err));
}

#define TRIES 8U

/* Surroundings half of which are marked take less than those of the cover: so much more per bit
 * for each bit that a pixel takes, as seen on many images. */
#define MARKED_LOSS 1.3

/* Tries until one fits: s->params and what is marked are then that one's. *reserve: planned beyond
 * the bits of the message, as a part of them; what was enough afterwards. */
static enum ds_status embed_surveyed(const struct stego_chain *chain, struct stego_survey *s,
                                     const struct stego_bits *message, uint16_t *marked,
                                     double *reserve, struct ds_error *err)
{
    const double bits = (double)message->count;
    for (unsigned i = 0; i < TRIES; i++) {
        size_t left = 0;
        double error = 0.0;
        if (!stego_survey_choose(chain, s, bits * (1.0 + *reserve) + 24.0, &error)) {
            return does_not_fit(err);
        }
        enum ds_status st = try_embed(chain, s, message, marked, &left, err);
        if (st != DS_OK || left == 0) {
            return st;
        }
        /* What was met on the way down is the better survey; more bits will spoil a bit more. */
        const double lacking = (double)left / bits;
        *reserve = i == 0 ? 0.002 + 0.3 * lacking : *reserve + 0.7 * lacking + 0.002;
        st = stego_survey_conclude(chain, s, err);
        if (st != DS_OK) {
            return st;
        }
    }
    return does_not_fit(err);
}

/* As stego_plane_error has it. */
static double error_of(const struct stego_plane *p, const uint16_t *marked)
{
    double sum = 0.0;
    for (size_t i = 0; i < stego_plane_count(p); i++) {
        const double d = (double)(marked[i] - (p->samples[i] - p->low));
        sum += d * d;
    }
    return sum;
}

/* An embedding that ends far from the last row could have been gentler: with the same survey, as
 * long as that turns out true. */
static enum ds_status refine(const struct stego_chain *chain, struct stego_survey *s,
                             const struct stego_bits *message, const struct desk *d, double reserve,
                             struct ds_error *err)
{
    const struct stego_plane *p = chain->plane;
    const double bits = (double)message->count;
    const size_t bytes = stego_plane_count(p) * sizeof *d->marked;
    double least = error_of(p, d->marked);
    struct stego_params best = s->params;
    enum ds_status st = DS_OK;
    bool is_better = true; /* what is marked than what was before */
    for (unsigned i = 0; st == DS_OK && is_better && i < 3; i++) {
        const double unused = 1.0 - (double)best.stop / (double)stego_plane_count(p);
        size_t left = 0;
        double error = 0.0;
        reserve -= 0.6 * unused;
        if (unused < 0.01 ||
            !stego_survey_choose(chain, s, bits * (1.0 + reserve) + 24.0, &error)) {
            break;
        }
        memcpy(d->kept, d->marked, bytes);
        st = try_embed(chain, s, message, d->marked, &left, err);
        error = error_of(p, d->marked);
        is_better = st == DS_OK && left == 0 && error < least;
        if (is_better) {
            least = error;
            best = s->params;
        } else {
            memcpy(d->marked, d->kept, bytes);
        }
    }
    s->params = best;
    return st;
}

static enum ds_status embed_marked(const struct stego_chain *chain, struct stego_survey *s,
                                   const struct stego_bits *message, struct desk *d,
                                   struct ds_error *err)
{
    const double rate = (double)message->count / (double)stego_plane_count(chain->plane);
    double reserve = chain->thorough ? 0.0 : MARKED_LOSS * rate;
    enum ds_status st = choose_survey(chain, (double)message->count, d->site, s, err);
    st = st == DS_OK ? desk_open(d, chain->plane, err) : st;
    if (st == DS_OK) {
        st = embed_surveyed(chain, s, message, d->marked, &reserve, err);
    }
    s->site = NULL;
    desk_clear(d);
    return st == DS_OK && chain->thorough ? refine(chain, s, message, d, reserve, err) : st;
}

/* What is marked may begin where out does: a sample is written behind all that are still read. */
static void bring_out(const struct stego_plane *p, const uint16_t *marked, int32_t *out)
{
    for (size_t i = stego_plane_count(p); i-- > 0;) {
        const int32_t value = p->low + marked[i];
        memcpy(&out[i], &value, sizeof value); /* which may be over what was 16 bits */
    }
}

static enum ds_status embed_all(const struct stego_chain *chain, struct stego_survey *s,
                                const struct stego_bits *message, int32_t *out,
                                struct ds_error *err)
{
    struct desk d;
    enum ds_status st = desk_init(&d, chain, out, err);
    st = st == DS_OK ? embed_marked(chain, s, message, &d, err) : st;
    if (st == DS_OK) {
        bring_out(chain->plane, d.marked, out);
    }
    desk_finish(&d);
    return st;
}

enum ds_status stego_chain_embed(const struct stego_chain *chain, const struct stego_bits *message,
                                 int32_t *out, struct stego_bits *blob, struct ds_error *err)
{
    struct stego_survey s = {0};
    if (!can_chain(chain->plane) || message->count < 64) {
        return cannot_chain(err);
    }
    enum ds_status st = embed_all(chain, &s, message, out, err);
    if (st == DS_OK) {
        stego_params_write(&s.params, blob);
        st = blob->failed ? ds_fail(err, DS_ENOMEM, "out of memory for side information") : DS_OK;
    }
    stego_survey_finish(&s);
    return st;
}

#define COUPLINGS_LEAST ((size_t)9 << 16)

/* Bytes: an extractor has nothing else that takes much, and is in no more than six frames of 16
 * bits from 256x256 on. */
static size_t room_for_couplings(const struct stego_chain *chain)
{
    const size_t n = stego_plane_count(chain->plane);
    return 9U * n > COUPLINGS_LEAST ? 9U * n : COUPLINGS_LEAST;
}

static enum ds_status extract(const struct stego_chain *chain, const struct stego_params *p,
                              struct stego_couplings *couplings, size_t count,
                              struct stego_bits *out, struct ds_error *err)
{
    struct walk w;
    enum ds_status s = walk_begin(&w, chain, p, couplings, err);
    if (s == DS_OK) {
        w.coder.state = p->state;
        walk_up(&w, chain->plane->samples, p->stop);
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

enum ds_status stego_chain_extract(const struct stego_chain *chain, const uint8_t *blob,
                                   size_t count, struct stego_bits *out, struct ds_error *err)
{
    struct stego_params p;
    struct stego_couplings *couplings = NULL;
    if (!can_chain(chain->plane) || !stego_params_read(&p, blob, stego_plane_count(chain->plane))) {
        return ds_fail(err, DS_EAUTH, "the carrier's side information was altered");
    }
    enum ds_status s =
        stego_couplings_new(&couplings, &p.model, room_for_couplings(chain), false, err);
    s = s == DS_OK ? extract(chain, &p, couplings, count, out, err) : s;
    stego_couplings_free(couplings);
    return s;
}

/* For each price the point with the least error - price * bits, of points a few lambdas apart. */
static void read_curve(const struct stego_chain *chain, struct stego_survey *s,
                       struct stego_curve *curve)
{
    static const uint8_t order[] = {1, 2, 4, 8, 16, 64};
    for (size_t r = 0; r < sizeof order && stego_survey_may_reach(chain, order[r]); r++) {
        for (unsigned lambda = 0; lambda <= STEGO_LAMBDA_MAX; lambda += 32) {
            const struct stego_yield y = stego_survey_yield(s, lambda, order[r]);
            for (unsigned i = 0; i < STEGO_PRICES; i++) {
                const double price = stego_price(i);
                if (y.error - price * y.bits < curve->error[i] - price * curve->bits[i]) {
                    curve->error[i] = y.error;
                    curve->bits[i] = y.bits;
                }
            }
        }
    }
}

enum ds_status stego_chain_measure(const struct stego_chain *chain, struct stego_curve *curve,
                                   struct ds_error *err)
{
    struct stego_survey s = {0};
    memset(curve, 0, sizeof *curve);
    if (!can_chain(chain->plane)) {
        return DS_OK;
    }
    struct stego_site *room = malloc(stego_survey_sites(chain) * sizeof *room);
    const enum ds_status st = room != NULL ? stego_survey_look(chain, 1, room, &s, err)
                                           : ds_fail(err, DS_ENOMEM, "out of memory for planning");
    free(room);
    if (st == DS_OK) {
        read_curve(chain, &s, curve);
    }
    stego_survey_finish(&s);
    return st;
}
