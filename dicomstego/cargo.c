/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/cargo.h"

#include "dicomstego/chain.h"
#include "dicomstego/contest.h"
#include "dicomstego/still.h"

#include <stdlib.h>
#include <string.h>

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
    *h = (struct stego_hold){.exclude = options->exclude,
                             .effort = options->effort,
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

struct stego_lead stego_hold_filled(const struct stego_hold *h, size_t first, size_t count,
                                    size_t total)
{
    struct stego_lead lead = h->ground.lead;
    lead.is_filled = true;
    lead.count = count;
    lead.exclude = h->exclude;
    lead.is_part = stego_planes_of(h->ground.image) > 1;
    lead.first = lead.is_part ? first : 0;
    lead.total = lead.is_part ? total : 0;
    return lead;
}

/* ---- stowing ---- */

static struct stego_lead plain_lead(const struct stego_cargo *cargo, const struct stego_hold *h)
{
    struct stego_lead lead = h->ground.lead;
    lead.is_part = cargo->is_part;
    lead.first = cargo->is_part ? cargo->first : 0;
    lead.total = cargo->is_part ? cargo->total : 0;
    lead.exclude = cargo->tells_exclude ? h->exclude : lead.exclude;
    return lead;
}

/* A contest for a message of `length` bits, the payload's first. */
static enum ds_status compete(const struct stego_cargo *cargo, size_t length, unsigned seed,
                              unsigned seeds, struct stego_contest *c, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits message = STEGO_BITS_INIT;
    stego_bits_append(&message, cargo->payload, cargo->first, cargo->count);
    stego_bits_grow(&message, length - cargo->count);
    if (message.failed) {
        return out_of_memory(c->h, err);
    }
    c->with_chain = c->h->effort != STEGO_FAST;
    c->a.message = &message;
    const enum ds_status s = stego_contest_hold(c, seed, seeds, err);
    c->a.message = NULL;
    return s;
}

/* As it is wished; then, if it does not fit like that although there is room, filled up to the
 * length that fits. */
static enum ds_status compete_all(const struct stego_cargo *cargo, struct stego_ground *ground,
                                  struct stego_contest *c, struct ds_error *err)
{
    const struct stego_lead filled =
        stego_hold_filled(c->h, cargo->first, cargo->count, cargo->total);
    const size_t length = cargo->is_filled ? cargo->length : cargo->count;
    ground->lead = cargo->is_filled ? filled : plain_lead(cargo, c->h);
    enum ds_status s = compete(cargo, length, cargo->seed, 1, c, err);
    if (s != DS_OK || c->best.passes != 0 || cargo->room == 0 || cargo->room < length) {
        return s;
    }
    const unsigned first = cargo->seed < STEGO_FIRST_SEED ? STEGO_FIRST_SEED : cargo->seed;
    ground->lead = filled;
    return compete(cargo, cargo->room, first, STEGO_SEEDS - STEGO_FIRST_SEED, c, err);
}

enum ds_status stego_cargo_stow(struct stego_cargo *cargo, const struct stego_hold *h,
                                struct ds_error *err)
{
    struct stego_ground ground = h->ground;
    struct stego_contest c = {.h = h};
    c.a.ground = &ground;
    c.a.work = cargo->out;
    const enum ds_status s = compete_all(cargo, &ground, &c, err);
    if (s != DS_OK || c.best.passes == 0) {
        return s != DS_OK
                   ? s
                   : ds_fail(err, DS_ECAPACITY, "%zu bits do not fit into the image", cargo->count);
    }
    cargo->error = c.error;
    cargo->easy = c.a.easy;
    cargo->passes = c.best.passes;
    cargo->is_chained = c.best.is_chained;
    cargo->hidden_bits = c.hidden;
    return DS_OK;
}
