/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/engine.h"

#include "dicomstego/loading.h"

#include <math.h>
#include <string.h>

/* ---- the capacity ---- */

static bool is_good_enough(const struct stego_loading *l, enum ds_status s)
{
    return s == DS_OK && l->error <= l->error_limit;
}

/* Payloads of no bits filled up to so many, for the PSNR that they leave: as any payload up to that
 * length can be hidden. Three of them, for the reason that room.c tells. */
#define TRIALS 3U

static enum ds_status try_bits(struct stego_loading *l, uint64_t bits, bool *fits,
                               struct ds_error *err)
{
    enum ds_status s = DS_OK;
    l->bits = 0;
    l->is_filled = true;
    l->length = (size_t)bits;
    *fits = true;
    for (unsigned i = 0; *fits && i < TRIALS; i++) {
        l->seed = STEGO_FIRST_SEED + i;
        s = stego_loading_run(l, err);
        if (s != DS_OK && s != DS_ECAPACITY) {
            return s;
        }
        *fits = is_good_enough(l, s);
    }
    return DS_OK;
}

/* The error grows faster than the bits: where it should meet the limit, well inside the bounds. */
static uint64_t guess_bits(const struct stego_loading *l, uint64_t low, uint64_t high)
{
    const double power = l->error > 0.0 ? pow(l->error_limit / l->error, 0.6) : 1.0;
    const double guess = (double)l->length * power;
    const uint64_t edge = (high - low) / 16 + 1;
    if (!(guess > (double)(low + edge))) {
        return low + edge;
    }
    return guess < (double)(high - edge) ? (uint64_t)guess : high - edge;
}

/* The most bits below `high` that keep the PSNR, to one in 128; a first guess is given. */
static enum ds_status search_bits(struct stego_loading *l, uint64_t high, uint64_t next,
                                  uint64_t *bits, struct ds_error *err)
{
    uint64_t low = 0; /* nothing known to fit: 0 means that */
    while (high - low > 1 + low / 128) {
        bool fits = false;
        next = next > low && next < high ? next : low + (high - low) / 2;
        const enum ds_status s = try_bits(l, next, &fits, err);
        if (s != DS_OK) {
            return s;
        }
        low = fits ? next : low;
        high = fits ? high : next;
        next = high - low > 1 ? guess_bits(l, low, high) : low;
    }
    *bits = low;
    return DS_OK;
}

/* What the offers say can be had for the error allowed, and what goes in for certain. */
static void sum_offers(const struct stego_loading *l, uint64_t *bits, uint64_t *easy)
{
    *bits = 0;
    *easy = 0;
    for (unsigned price = 0; price < STEGO_PRICES; price++) {
        double taken = 0.0;
        double error = 0.0;
        for (size_t i = 0; i < l->planes; i++) {
            const struct stego_bidder *b = &l->bidders[i];
            const double own = b->curve.bits[price] - b->fixed_bits;
            taken += own > 0.0 ? own : 0.0;
            error += own > 0.0 ? b->curve.error[price] + b->fixed_error : 0.0;
        }
        *bits = error <= l->error_limit ? (uint64_t)taken : *bits;
    }
    for (size_t i = 0; i < l->planes; i++) {
        *easy += l->berths[i].easy;
    }
}

/* Where the PSNR decides far below what fits, what fits is not measured, which would take longer
 * than all the rest. */
static enum ds_status find_within_psnr(struct stego_loading *l, uint64_t *bits,
                                       struct ds_error *err)
{
    uint64_t guess = 0;
    uint64_t easy = 0;
    uint64_t most = 0;
    enum ds_status s = stego_loading_offers(l, err);
    sum_offers(l, &guess, &easy);
    if (s == DS_OK && guess + guess / 4 < easy) {
        s = search_bits(l, easy + 1, guess, bits, err);
    }
    if (s != DS_OK || (*bits != 0 && *bits < easy - easy / 64)) {
        return s;
    }
    stego_loading_drop(l);
    s = stego_loading_most(l, &most, err);
    return s == DS_OK && most != 0
               ? search_bits(l, most + 1, guess < most ? guess : most, bits, err)
               : s;
}

/* Takes the place of what was loaded when there is a PSNR to keep. */
static enum ds_status find_capacity(struct stego_loading *l, uint64_t *bits, struct ds_error *err)
{
    const size_t payload_bits = l->bits;
    *bits = 0;
    if (l->options.min_psnr_db <= 0.0) {
        return stego_loading_most(l, bits, err);
    }
    const enum ds_status s = find_within_psnr(l, bits, err);
    l->bits = payload_bits;
    l->is_filled = false;
    return s;
}

enum ds_status stego_capacity_of(const struct stego_image *image,
                                 const struct stego_embed_options *options, uint64_t *bits,
                                 struct ds_error *err)
{
    DS_AUTO(stego_loading_finish) struct stego_loading l;
    *bits = 0;
    const enum ds_status s = stego_loading_init(&l, image, options, err);
    return s == DS_OK ? find_capacity(&l, bits, err) : s;
}

enum ds_status stego_capacity_at_least(const struct stego_image *image,
                                       const struct stego_embed_options *options, uint64_t *bits,
                                       struct ds_error *err)
{
    DS_AUTO(stego_loading_finish) struct stego_loading l;
    *bits = 0;
    const enum ds_status s = stego_loading_init(&l, image, options, err);
    return s != DS_OK || l.options.min_psnr_db > 0.0 ? s : stego_loading_least(&l, bits, err);
}

/* ---- embedding ---- */

static enum ds_status too_much(size_t bits, struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "%zu bits do not fit into the image", bits);
}

/* Again, in the way in which the capacity was found: as a payload of `most` bits. */
static enum ds_status load_filled(struct stego_loading *l, uint64_t most, struct ds_error *err)
{
    l->is_filled = true;
    l->length = (size_t)most;
    for (unsigned seed = STEGO_FIRST_SEED; seed < STEGO_SEEDS; seed++) {
        l->seed = seed;
        const enum ds_status s = stego_loading_run(l, err);
        if (is_good_enough(l, s) || (s != DS_OK && s != DS_ECAPACITY)) {
            return s;
        }
    }
    return too_much(l->bits, err);
}

/* Near the capacity: that alone decides. It is not measured while a carrier takes room. */
static enum ds_status load_full(struct stego_loading *l, bool is_loaded, struct ds_error *err)
{
    uint64_t most = 0;
    stego_loading_drop(l);
    enum ds_status s = find_capacity(l, &most, err);
    if (s != DS_OK || l->bits > most || most == 0) {
        return s != DS_OK ? s : too_much(l->bits, err);
    }
    /* What went in before goes in again, in the same way. */
    l->is_measured = l->is_measured && !(is_loaded && l->options.min_psnr_db <= 0.0);
    l->seed = 0;
    s = stego_loading_run(l, err);
    return is_good_enough(l, s) || (s != DS_OK && s != DS_ECAPACITY) ? s
                                                                     : load_filled(l, most, err);
}

/* In smaller planes, or when pixels are to be left alone, much hangs on where mark and lead find
 * their place, which bounds from statistics do not know, and the search for what keeps a PSNR may
 * miss what a single try has met. */
#define BOUNDS_SAMPLES 16384U

static bool is_smooth(const struct stego_loading *l)
{
    const struct stego_embed_options *o = &l->options;
    bool smooth = o->exclude.width == 0 && o->preserve_count == 0 && o->mask == NULL;
    for (size_t i = 0; i < l->planes; i++) {
        const struct stego_plane plane = stego_plane_of(l->image, i);
        smooth = smooth && stego_plane_count(&plane) >= BOUNDS_SAMPLES;
    }
    return smooth;
}

/* Is what was loaded clearly less than the capacity, so that this need not be measured: what fits
 * for certain, with half the disturbance allowed? */
static enum ds_status is_roomy(struct stego_loading *l, bool *answer, struct ds_error *err)
{
    const bool smooth = is_smooth(l);
    uint64_t least = 0;
    *answer = false;
    if (l->options.min_psnr_db > 0.0 && (!smooth || l->error > l->error_limit / 2.0)) {
        return DS_OK;
    }
    *answer = smooth && l->bits <= stego_loading_easy(l);
    if (*answer) {
        return DS_OK;
    }
    const enum ds_status s = stego_loading_least(l, &least, err);
    *answer = l->bits <= least;
    return s;
}

static void commit(const struct stego_loading *l, struct stego_image *image,
                   struct stego_embed_facts *facts)
{
    for (size_t i = 0; i < l->planes; i++) {
        const struct stego_cargo *c = &l->berths[i].cargo;
        if (!l->bidders[i].is_used) {
            continue;
        }
        const struct stego_plane plane = stego_plane_of(image, i);
        memcpy(plane.samples, c->out, stego_plane_count(&plane) * sizeof *c->out);
        facts->planes++;
        facts->passes = c->passes > facts->passes ? c->passes : facts->passes;
        facts->chained += c->is_chained;
        facts->hidden_bits += c->hidden_bits;
    }
}

static enum ds_status load_payload(struct stego_loading *l, struct ds_error *err)
{
    size_t n = 0;
    if (l->bits > STEGO_PAYLOAD_MAX_BITS || !stego_image_count(l->image, &n) ||
        l->bits / l->options.max_passes > n) {
        return too_much(l->bits, err);
    }
    enum ds_status s = stego_loading_run(l, err);
    if (s != DS_OK && s != DS_ECAPACITY) {
        return s;
    }
    const bool is_loaded = is_good_enough(l, s);
    bool is_done = false;
    s = is_loaded ? is_roomy(l, &is_done, err) : DS_OK;
    return s != DS_OK || is_done ? s : load_full(l, is_loaded, err);
}

enum ds_status stego_embed(struct stego_image *image, const uint8_t *payload, size_t payload_bits,
                           const struct stego_embed_options *options,
                           struct stego_embed_facts *facts, struct ds_error *err)
{
    DS_AUTO(stego_loading_finish) struct stego_loading l;
    struct stego_embed_facts unused;
    struct stego_embed_facts *told = facts != NULL ? facts : &unused;
    *told = (struct stego_embed_facts){0};
    enum ds_status s = stego_loading_init(&l, image, options, err);
    if (s != DS_OK) {
        return s;
    }
    l.payload = payload;
    l.bits = payload_bits;
    s = load_payload(&l, err);
    if (s == DS_OK) {
        commit(&l, image, told);
    }
    return s;
}
