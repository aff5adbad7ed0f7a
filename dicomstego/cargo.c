/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/cargo.h"

#include "dicomstego/chain.h"
#include "dicomstego/still.h"

#include <stdlib.h>
#include <string.h>

static void free_samples(int32_t **samples)
{
    free(*samples);
}

static enum ds_status out_of_memory(const struct stego_hold *h, struct ds_error *err)
{
    return ds_fail(err, DS_ENOMEM, "out of memory for %zu samples",
                   stego_plane_count(&h->ground.plane));
}

/* ---- the hold ---- */

static enum ds_status keep_still(struct stego_hold *h, const struct stego_embed_options *options,
                                 struct ds_error *err)
{
    struct stego_ground *g = &h->ground;
    const bool here =
        options->exclude.width != 0 && options->exclude.frame == g->index / g->image->components;
    if (!here && options->preserve_count == 0 && options->mask == NULL) {
        return DS_OK;
    }
    h->still = calloc(stego_plane_count(&g->plane), 1);
    if (h->still == NULL) {
        return out_of_memory(h, err);
    }
    stego_still_exclude(g->image, g->index, &options->exclude, h->still);
    g->plane.still = h->still;
    g->lead.exclude = here ? options->exclude : g->lead.exclude;
    const enum ds_status s = stego_still_map(g->image, g->index, options, h->still, &h->map, err);
    g->lead.map_bytes = h->map.len;
    return s;
}

enum ds_status stego_hold_init(struct stego_hold *h, const struct stego_image *image, size_t index,
                               const struct stego_embed_options *options, struct ds_error *err)
{
    size_t begin = 0;
    *h = (struct stego_hold){.effort = options->effort,
                             .max_passes = options->max_passes,
                             .map = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES)};
    struct stego_ground *g = &h->ground;
    g->image = image;
    g->index = index;
    g->plane = stego_plane_of(image, index);
    g->map = &h->map;
    g->max_difference = options->max_difference;
    g->lead.has_padding = g->plane.has_padding;
    g->lead.padding_min = g->plane.padding_min;
    g->lead.padding_max = g->plane.padding_max;
    /* An older carrier's mark in this plane would be found instead of ours if it came first. */
    const enum stego_finding finding =
        stego_mark_find(g->plane.samples, stego_plane_count(&g->plane), &begin);
    g->latest = finding == STEGO_FOUND_MARK ? begin : SIZE_MAX;
    h->was_marked = finding != STEGO_FOUND_NOTHING;
    const enum ds_status s = keep_still(h, options, err);
    if (s != DS_OK) {
        stego_hold_finish(h);
    }
    return s;
}

void stego_hold_finish(struct stego_hold *h)
{
    free(h->still);
    h->still = NULL;
    ds_bytes_free(&h->map);
}

static enum ds_status offer_board(const struct stego_hold *h, struct stego_curve *curve,
                                  uint64_t *easy, struct ds_error *err)
{
    const int32_t *samples = h->ground.plane.samples;
    struct stego_stats *stats = calloc(2, sizeof *stats);
    struct stego_scan scan = {0};
    const enum ds_status s =
        stats == NULL ? out_of_memory(h, err) : stego_scan_init(&scan, &h->ground.plane, err);
    if (s == DS_OK) {
        const struct stego_stats *const both[2] = {&stats[0], &stats[1]};
        stego_stage_measure(&scan, 0, samples, samples, &stats[0]);
        stego_stage_measure(&scan, 1, samples, samples, &stats[1]);
        stego_stats_curve(both, curve);
        *easy = stego_easy_bits(&h->ground.plane, stats, h->ground.max_difference);
    }
    stego_scan_finish(&scan);
    free(stats);
    return s;
}

/* Takes over what the other offers for less. */
static void take_better(struct stego_curve *curve, const struct stego_curve *other)
{
    for (unsigned i = 0; i < STEGO_PRICES; i++) {
        const double price = stego_price(i);
        if (other->bits[i] * price - other->error[i] > curve->bits[i] * price - curve->error[i]) {
            curve->bits[i] = other->bits[i];
            curve->error[i] = other->error[i];
        }
    }
}

enum ds_status stego_hold_offer(const struct stego_hold *h, struct stego_curve *curve,
                                uint64_t *easy, struct ds_error *err)
{
    const struct stego_chain chain = {.plane = &h->ground.plane,
                                      .thorough = h->effort == STEGO_BEST,
                                      .max_difference = h->ground.max_difference};
    struct stego_curve chained;
    enum ds_status s = offer_board(h, curve, easy, err);
    if (s != DS_OK || h->effort == STEGO_FAST) {
        return s;
    }
    s = stego_chain_measure(&chain, &chained, err);
    if (s == DS_OK) {
        take_better(curve, &chained);
    }
    return s;
}

/* ---- the contest ---- */

/* The best carrier so far is in `best`, the next attempt goes to `other`. */
struct contest {
    const struct stego_hold *h;
    struct stego_attempt a;
    int32_t *best, *other;
    bool with_chain;
    double error;
    unsigned passes; /* of the best; 0 as long as nothing fitted */
    bool is_chained;
    uint64_t hidden;
};

/* A mark that came about by chance before ours would be found instead of it. */
static bool is_found(const struct contest *c)
{
    const struct stego_plane *plane = &c->h->ground.plane;
    struct stego_plane seen = *plane;
    size_t begin = 0;
    seen.samples = c->other;
    return stego_mark_find(c->other, stego_plane_count(&seen), &begin) == STEGO_FOUND_MARK &&
           begin == c->a.run_begin;
}

static void judge(struct contest *c, unsigned passes, bool is_chained)
{
    const double error = stego_plane_error(&c->h->ground.plane, c->other);
    if ((c->passes == 0 || error < c->error) && is_found(c)) {
        int32_t *loser = c->best;
        c->best = c->other;
        c->other = loser;
        c->error = error;
        c->passes = passes;
        c->is_chained = is_chained;
        c->hidden = c->a.hidden;
    }
}

/* One more entry; DS_ECAPACITY is no failure here. */
static enum ds_status enter(struct contest *c, unsigned passes, enum stego_load load,
                            struct ds_error *err)
{
    c->a.work = c->other;
    if (c->a.message->count > stego_plane_count(&c->h->ground.plane) * passes) {
        return DS_OK; /* a pass takes one bit of each pixel at most */
    }
    const enum ds_status s = stego_attempt_board(&c->a, passes, load, err);
    if (s == DS_OK) {
        judge(c, passes, false);
    }
    return s == DS_ECAPACITY ? DS_OK : s;
}

/* The chain instead. */
static enum ds_status enter_chain(struct contest *c, struct ds_error *err)
{
    if (!c->with_chain) {
        return DS_OK;
    }
    c->a.work = c->other;
    const enum ds_status s = stego_attempt_chain(&c->a, c->h->effort == STEGO_BEST, err);
    if (s == DS_OK) {
        judge(c, 1, true);
    }
    c->with_chain = s == DS_OK; /* another seed will not make room for it */
    return s == DS_ECAPACITY ? DS_OK : s;
}

/* From a bit for each third pixel on, two half-full passes can be better than a full one: the
 * error grows with the square of what a pixel is moved by. */
static bool is_crowded(const struct contest *c)
{
    return c->hidden > stego_plane_count(&c->h->ground.plane) * c->passes / 3;
}

/* Balanced passes of the board, more of them as long as that is better. */
static enum ds_status enter_even(struct contest *c, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (unsigned passes = 1; s == DS_OK && passes <= c->h->max_passes; passes++) {
        s = enter(c, passes, STEGO_EVEN, err);
        if (c->passes != 0 && (c->passes != passes || !is_crowded(c))) {
            break;
        }
    }
    return s;
}

/* As full as possible only when nothing else fits. */
static enum ds_status hold_contest(struct contest *c, struct ds_error *err)
{
    enum ds_status s = enter_even(c, err);
    s = s == DS_OK ? enter_chain(c, err) : s;
    for (unsigned passes = 1; s == DS_OK && c->passes == 0 && passes <= c->h->max_passes;
         passes++) {
        s = enter(c, passes, STEGO_FULLEST, err);
    }
    return s;
}

#define SEEDS 64U

/* The first seed with which the message fits. */
static enum ds_status try_seeds(struct contest *c, unsigned first, unsigned count,
                                struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (unsigned i = 0; s == DS_OK && c->passes == 0 && i < count; i++) {
        c->a.seed = (first + i) % SEEDS;
        s = hold_contest(c, err);
    }
    return s;
}

static enum ds_status too_much(const struct stego_cargo *cargo, struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "%zu bits do not fit into the image", cargo->count);
}

/* What fits in another length only, although there is room: filled up to the length that fits. */
static enum ds_status stow_filled(struct stego_cargo *cargo, struct contest *c,
                                  struct stego_ground *g, struct stego_bits *message,
                                  struct ds_error *err)
{
    const enum ds_status s = stego_hold_most(c->h, &cargo->most, err);
    cargo->is_measured = s == DS_OK;
    if (s != DS_OK || cargo->count > cargo->most || cargo->most == 0) {
        return s != DS_OK ? s : too_much(cargo, err);
    }
    g->lead.is_filled = cargo->most > cargo->count;
    g->lead.count = cargo->count;
    stego_bits_grow(message, (size_t)cargo->most - cargo->count);
    return message->failed ? out_of_memory(c->h, err) : try_seeds(c, cargo->seed, SEEDS, err);
}

enum ds_status stego_cargo_stow(struct stego_cargo *cargo, const struct stego_hold *h,
                                struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits message = STEGO_BITS_INIT;
    DS_AUTO(free_samples) int32_t *other = NULL;
    struct stego_ground ground = h->ground;
    const size_t n = stego_plane_count(&ground.plane);
    stego_bits_append(&message, cargo->payload, cargo->first, cargo->count);
    other = malloc(n * sizeof *other);
    if (other == NULL || message.failed) {
        return out_of_memory(h, err);
    }
    struct contest c = {.h = h, .best = cargo->out, .other = other};
    c.with_chain = h->effort != STEGO_FAST;
    c.a = (struct stego_attempt){.ground = &ground, .message = &message};
    enum ds_status s = try_seeds(&c, cargo->seed, 1, err);
    if (s == DS_OK && c.passes == 0) {
        s = stow_filled(cargo, &c, &ground, &message, err);
    }
    if (s != DS_OK || c.passes == 0) {
        return s != DS_OK ? s : too_much(cargo, err);
    }
    if (c.best != cargo->out) {
        memcpy(cargo->out, c.best, n * sizeof *other);
    }
    cargo->error = c.error;
    cargo->easy = c.a.easy;
    cargo->passes = c.passes;
    cargo->is_chained = c.is_chained;
    cargo->hidden_bits = c.hidden;
    return DS_OK;
}

/* ---- the capacity ---- */

/* What fits in so many passes with this seed. */
static enum ds_status measure_passes(struct stego_attempt *a, struct stego_bits *message,
                                     unsigned passes, unsigned seed, uint64_t *bits,
                                     struct ds_error *err)
{
    const size_t n = stego_plane_count(&a->ground->plane) * passes;
    *bits = 0;
    if (n > message->count) {
        stego_bits_grow(message, n - message->count);
    }
    if (message->failed) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a trial message");
    }
    a->seed = seed;
    const enum ds_status s = stego_attempt_board(a, passes, STEGO_FULLEST, err);
    if (s == DS_OK) {
        *bits = message->count - a->left;
    }
    return s == DS_ECAPACITY ? DS_OK : s;
}

/* A trial message is zeros, which the seed makes random. With each seed it is another one, so what
 * fits with all of these fits, with one of SEEDS seeds, whatever the payload is. */
#define TRIAL_SEEDS 3U

/* Of planes larger than this the capacity is measured with full stages only, for time. */
#define SEARCH_SAMPLES ((size_t)1 << 16)

/* What fits when each stage takes all it can. */
static enum ds_status measure_fullest(struct stego_attempt *a, unsigned max_passes,
                                      struct stego_bits *message, unsigned *best, uint64_t *bits,
                                      struct ds_error *err)
{
    enum ds_status s = DS_OK;
    *best = max_passes;
    *bits = 0;
    /* More passes take more, up to the number that the image can bear. */
    for (unsigned passes = max_passes; s == DS_OK && passes > 0; passes--) {
        uint64_t fits = 0;
        s = measure_passes(a, message, passes, 0, &fits, err);
        if (fits < *bits) {
            break;
        }
        *best = fits > *bits ? passes : *best;
        *bits = fits;
    }
    uint64_t least = *bits;
    for (unsigned seed = 1; s == DS_OK && *bits != 0 && seed < TRIAL_SEEDS; seed++) {
        uint64_t fits = 0;
        s = measure_passes(a, message, *best, seed, &fits, err);
        least = fits < least ? fits : least;
        *bits = fits > *bits ? fits : *bits;
    }
    *bits = least > *bits - least ? least - (*bits - least) : 0;
    return s;
}

/* Do so many bits fit with each of the seeds? */
static enum ds_status try_length(struct contest *c, unsigned passes, struct stego_bits *message,
                                 uint64_t bits, bool *fits, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    message->count = 0;
    message->bytes.len = 0;
    stego_bits_grow(message, (size_t)bits);
    if (message->failed) {
        return out_of_memory(c->h, err);
    }
    *fits = true;
    /* Only with a narrow limit does the chain find more room than passes of the board. */
    c->with_chain = c->h->effort != STEGO_FAST && c->h->ground.max_difference != 0;
    for (unsigned seed = 0; s == DS_OK && *fits && seed < TRIAL_SEEDS; seed++) {
        c->passes = 0;
        c->a.seed = seed;
        s = enter(c, passes, STEGO_EVEN, err);
        s = s == DS_OK && c->passes == 0 ? enter_chain(c, err) : s;
        *fits = c->passes != 0;
    }
    return s;
}

static bool fits_closely(uint64_t low, uint64_t high)
{
    return high - low <= 32 + low / 64;
}

/* Stages that share the load evenly can take more than full ones, of which the first may leave no
 * room for what the last has to hold. Looks for more than *bits, to one in 64. */
static enum ds_status search_more(struct contest *c, unsigned passes, struct stego_bits *message,
                                  uint64_t *bits, struct ds_error *err)
{
    uint64_t low = *bits;
    uint64_t high = stego_plane_count(&c->h->ground.plane) * passes;
    uint64_t step = 32 + low / 64;
    enum ds_status s = DS_OK;
    bool fits = true;
    while (s == DS_OK && fits && low + step < high) {
        s = try_length(c, passes, message, low + step, &fits, err);
        low = fits ? low + step : low;
        high = fits ? high : low + step;
        step *= 4;
    }
    while (s == DS_OK && !fits_closely(low, high)) {
        const uint64_t middle = low + (high - low) / 2;
        s = try_length(c, passes, message, middle, &fits, err);
        low = fits ? middle : low;
        high = fits ? high : middle;
    }
    *bits = low;
    return s;
}

/* For trials of any length. */
static struct stego_ground trial_ground(const struct stego_hold *h)
{
    struct stego_ground ground = h->ground;
    ground.lead.is_filled = true;
    ground.lead.count = stego_plane_count(&ground.plane) * h->max_passes;
    return ground;
}

/* Half of what a single pass takes. */
static enum ds_status measure_least(struct stego_attempt *a, struct stego_bits *message,
                                    uint64_t *bits, struct ds_error *err)
{
    const enum ds_status s = measure_passes(a, message, 1, 0, bits, err);
    *bits /= 2;
    return s;
}

enum ds_status stego_hold_least(const struct stego_hold *h, uint64_t *bits, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits message = STEGO_BITS_INIT;
    DS_AUTO(free_samples) int32_t *work = NULL;
    const struct stego_ground ground = trial_ground(h);
    *bits = 0;
    work = malloc(stego_plane_count(&ground.plane) * sizeof *work);
    if (work == NULL) {
        return out_of_memory(h, err);
    }
    struct stego_attempt a = {
        .ground = &ground, .work = work, .message = &message, .measuring = true};
    return measure_least(&a, &message, bits, err);
}

enum ds_status stego_hold_most(const struct stego_hold *h, uint64_t *bits, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits message = STEGO_BITS_INIT;
    DS_AUTO(free_samples) int32_t *both = NULL;
    const size_t n = stego_plane_count(&h->ground.plane);
    const struct stego_ground ground = trial_ground(h);
    *bits = 0;
    both = malloc(2 * n * sizeof *both);
    if (both == NULL) {
        return out_of_memory(h, err);
    }
    struct contest c = {.h = h, .best = both, .other = both + n};
    c.a = (struct stego_attempt){
        .ground = &ground, .work = both, .message = &message, .measuring = true};
    unsigned passes = 0;
    uint64_t least = 0;
    enum ds_status s = measure_least(&c.a, &message, &least, err);
    s = s == DS_OK ? measure_fullest(&c.a, h->max_passes, &message, &passes, bits, err) : s;
    *bits = *bits > least ? *bits : least;
    c.a.measuring = false;
    const bool is_enough = n > SEARCH_SAMPLES && *bits > n / 4 && h->ground.max_difference == 0;
    return s == DS_OK && !is_enough ? search_more(&c, passes, &message, bits, err) : s;
}
