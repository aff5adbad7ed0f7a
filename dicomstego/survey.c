/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/survey.h"

#include "dicomstego/place.h"

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

static size_t rows_of(const struct stego_chain *chain)
{
    const uint32_t every = rows_apart(chain);
    return ((size_t)chain->plane->rows + every - 1U) / every;
}

size_t stego_survey_sites(const struct stego_chain *chain)
{
    return rows_of(chain) * chain->plane->columns;
}

void stego_survey_finish(struct stego_survey *s)
{
    stego_couplings_free(s->couplings);
    s->couplings = NULL;
}

static void look_around(const struct stego_chain *chain, struct stego_predictor *n,
                        struct stego_survey *s)
{
    const struct stego_plane *p = chain->plane;
    struct stego_outlook look;
    s->sites = 0;
    for (uint32_t row = 0; row < p->rows; row++) {
        stego_predictor_row(n, row);
        for (uint32_t column = 0; row % s->every == 0 && column < p->columns; column++) {
            const size_t i = (size_t)row * p->columns + column;
            if (stego_is_site(chain, i) && stego_predictor_look(n, column, &look)) {
                s->site[s->sites++] = stego_site_of(&look, p->samples[i] - p->low);
            }
        }
    }
}

/* Bytes for couplings, so that all takes at most six frames of 16 bits: what is common fits into
 * little. A walk meets some more. */
#define ROOM_LEAST ((size_t)3 << 16)
/* Of planes of less than 256x256, beside which the fixed parts are large anyway: with less room
 * their carriers were worse by up to 0.7 dB. */
#define SMALL_PLANE 65536U
#define SMALL_ROOM  ((size_t)3 << 17)

static bool is_small(const struct stego_chain *chain)
{
    return stego_plane_count(chain->plane) < SMALL_PLANE;
}

static size_t room_for_couplings(const struct stego_chain *chain)
{
    if (is_small(chain)) {
        return SMALL_ROOM;
    }
    const size_t n = stego_plane_count(chain->plane);
    const size_t room = chain->thorough ? n + 3U * (n / 8U) : n + n / 2U;
    return room > ROOM_LEAST ? room : ROOM_LEAST;
}

/* ... of a walk: at best effort, which has less room than time, just enough in small planes. */
static size_t room_for_more(const struct stego_chain *chain, size_t room)
{
    const size_t part = room > ROOM_LEAST ? room / 4 : room / 32;
    return chain->thorough && !is_small(chain) ? part : room / 2;
}

/* Far from each other one after the other, so that where there is not room for all the rare ones
 * are left out. */
#define APART 65521U

/* Counts every site in its coupling. */
static void count_all(const struct stego_chain *chain, struct stego_survey *s)
{
    const struct stego_guide guide = stego_guide_of(chain->plane, s->couplings, &s->params.scale);
    size_t at = 0;
    for (size_t k = 0; k < s->sites; k++) {
        const struct stego_outlook look = stego_site_outlook(&s->site[at]);
        struct stego_place place;
        if (stego_guide_find(&guide, &look, s->site[at].value + chain->plane->low, &place)) {
            place.coupling->seen[place.index]++;
        }
        at += APART; /* a prime: meets all, but for numbers of sites that it divides */
        at = s->sites % APART == 0 ? k + 1 : at % s->sites;
    }
}

static enum ds_status count_sites(const struct stego_chain *chain, struct stego_survey *s,
                                  struct ds_error *err)
{
    const size_t room = room_for_couplings(chain);
    const enum ds_status st = stego_couplings_new(&s->couplings, &s->params.model, room, true, err);
    if (st != DS_OK) {
        return st;
    }
    count_all(chain, s);
    const size_t missed = stego_couplings_counted(s->couplings, room_for_more(chain, room));
    if (s->sites > 0) {
        s->share *= (double)(s->sites - missed) / (double)s->sites;
    }
    return stego_couplings_failed(s->couplings)
               ? ds_fail(err, DS_ENOMEM, "out of memory for the model")
               : DS_OK;
}

enum ds_status stego_survey_conclude(const struct stego_chain *chain, struct stego_survey *s,
                                     struct ds_error *err)
{
    s->share = (double)rows_of(chain) / (double)chain->plane->rows;
    stego_survey_finish(s);
    const enum ds_status st = stego_scale_fit(s->site, s->sites, chain->thorough, &s->params.scale,
                                              &s->params.model.shape, err);
    return st == DS_OK ? count_sites(chain, s, err) : st;
}

enum ds_status stego_survey_look(const struct stego_chain *chain, unsigned predictor,
                                 struct stego_site *room, struct stego_survey *s,
                                 struct ds_error *err)
{
    struct stego_predictor *n = NULL;
    *s = (struct stego_survey){
        .params = {.predictor = (uint8_t)predictor, .model = {.lambda = 720, .reach = 1}},
        .every = rows_apart(chain),
        .site = room};
    const enum ds_status st =
        stego_predictor_new(&n, chain->plane, chain->run_begin, chain->run_end, predictor, err);
    if (st != DS_OK) {
        return st;
    }
    look_around(chain, n, s);
    stego_predictor_free(n);
    return stego_survey_conclude(chain, s, err);
}

struct stego_yield stego_survey_yield(struct stego_survey *s, unsigned lambda, uint8_t reach)
{
    s->params.model.lambda = (uint16_t)lambda;
    s->params.model.reach = reach;
    stego_couplings_set(s->couplings, &s->params.model);
    struct stego_yield y = stego_couplings_yield(s->couplings);
    y.bits /= s->share;
    y.error /= s->share;
    return y;
}

bool stego_survey_may_reach(const struct stego_chain *chain, uint8_t reach)
{
    return chain->max_difference == 0 || (reach != 0 && reach <= chain->max_difference);
}

/* The greatest lambda that still takes `need` bits at this reach, looked for around *lambda. */
static bool choose_lambda(struct stego_survey *s, uint8_t reach, double need, unsigned *lambda,
                          double *error)
{
    unsigned enough = 0; /* ... once `known`; too_much takes less */
    unsigned too_much = STEGO_LAMBDA_MAX + 1U;
    bool known = false;
    unsigned step = 32;
    for (unsigned at = *lambda; !known || too_much - enough > 1;) {
        const struct stego_yield y = stego_survey_yield(s, at, reach);
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

bool stego_survey_choose(const struct stego_chain *chain, struct stego_survey *s, double need,
                         double *error)
{
    /* From the shortest reach on, as long as a longer one is better by more than a survey can err.
     */
    static const uint8_t order[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 255};
    struct stego_model best = s->params.model;
    unsigned lambda = best.lambda;
    bool found = false;
    for (size_t i = 0; i < sizeof order && stego_survey_may_reach(chain, order[i]); i++) {
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
    stego_couplings_set(s->couplings, &best);
    return found;
}
