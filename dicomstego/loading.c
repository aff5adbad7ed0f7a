/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/loading.h"

#include "dicomstego/find.h"
#include "dicomstego/room.h"

#include <math.h>
#include <stdlib.h>

/* ---- arguments ---- */

/* Samples, geometry and format that the engine can work with. */
static enum ds_status check_image(const struct stego_image *image, struct ds_error *err)
{
    size_t n = 0;
    if (image->bits_stored < STEGO_BITS_MIN || image->bits_stored > STEGO_BITS_MAX ||
        (image->bits_stored == 32 && !image->is_signed)) {
        return ds_fail(err, DS_EUNSUPPORTED, "%u bits stored are not supported",
                       image->bits_stored);
    }
    if (image->samples == NULL || !stego_image_count(image, &n)) {
        return ds_fail(err, DS_EINVAL, "an image without samples");
    }
    if (n / stego_planes_of(image) > INT32_MAX) { /* fields of the format have 31 bits at most */
        return ds_fail(err, DS_EUNSUPPORTED, "%zu samples are too many", n);
    }
    if (image->has_padding && image->padding_min > image->padding_max) {
        return ds_fail(err, DS_EINVAL, "the padding range is empty");
    }
    return stego_find_none_outside(image->samples, n, stego_image_min(image),
                                   stego_image_max(image))
               ? DS_OK
               : ds_fail(err, DS_EINVAL, "a sample is outside the range of %u bits",
                         image->bits_stored);
}

static bool is_inside(const struct stego_image *image, const struct stego_rect *r)
{
    return r->width == 0 || (r->height != 0 && (uint64_t)r->x + r->width <= image->columns &&
                             (uint64_t)r->y + r->height <= image->rows && r->frame < image->frames);
}

static enum ds_status check_options(const struct stego_image *image,
                                    const struct stego_embed_options *o, struct ds_error *err)
{
    if (o->max_passes > STEGO_PASSES_MAX) {
        return ds_fail(err, DS_EINVAL, "%u passes are too many", o->max_passes);
    }
    if (!is_inside(image, &o->exclude)) {
        return ds_fail(err, DS_EINVAL, "the region to exclude is not inside the image");
    }
    if (o->preserve_count > STEGO_PRESERVE_MAX) {
        return ds_fail(err, DS_EINVAL, "%zu regions to preserve are too many", o->preserve_count);
    }
    for (size_t i = 0; i < o->preserve_count; i++) {
        if (!is_inside(image, &o->preserve[i])) {
            return ds_fail(err, DS_EINVAL, "a region to preserve is not inside the image");
        }
    }
    if (!(o->min_psnr_db >= 0.0)) {
        return ds_fail(err, DS_EINVAL, "a PSNR of %f dB cannot be kept", o->min_psnr_db);
    }
    return DS_OK;
}

/* ---- the planes ---- */

void stego_loading_finish(struct stego_loading *l)
{
    free(l->bidders);
    free(l->berths);
    free(l->out);
}

enum ds_status stego_loading_init(struct stego_loading *l, const struct stego_image *image,
                                  const struct stego_embed_options *options, struct ds_error *err)
{
    size_t n = 0;
    *l = (struct stego_loading){.image = image};
    l->options = options != NULL ? *options : (struct stego_embed_options){0};
    enum ds_status s = check_image(image, err);
    s = s == DS_OK ? check_options(image, &l->options, err) : s;
    if (s != DS_OK) {
        return s;
    }
    if (l->options.max_passes == 0) {
        l->options.max_passes = STEGO_PASSES_MAX;
    }
    l->planes = stego_planes_of(image);
    l->bidders = calloc(l->planes, sizeof *l->bidders);
    l->berths = calloc(l->planes, sizeof *l->berths);
    if (!stego_image_count(image, &n) || l->bidders == NULL || l->berths == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu planes", l->planes);
    }
    const double peak = (double)((INT64_C(1) << image->bits_stored) - 1);
    l->error_limit = l->options.min_psnr_db > 0.0
                         ? (double)n * peak * peak * pow(10.0, -l->options.min_psnr_db / 10.0)
                         : INFINITY;
    return DS_OK;
}

/* The first failure in the order of the planes, so that threads do not matter. */
static enum ds_status outcome(const struct stego_loading *l, struct ds_error *err)
{
    for (size_t i = 0; i < l->planes; i++) {
        if (l->berths[i].status != DS_OK) {
            return ds_fail(err, l->berths[i].status, "%s", l->berths[i].err.text);
        }
    }
    return DS_OK;
}

static enum ds_status run(struct stego_loading *l, stego_task *task, struct ds_error *err)
{
    for (size_t i = 0; i < l->planes; i++) {
        l->berths[i].status = DS_OK;
    }
    stego_pool_run(l->options.pool, task, l, l->planes);
    return outcome(l, err);
}

/* What a plane takes for itself, in the lead's longest form. */
static double fixed_bits_of(const struct stego_hold *h)
{
    struct stego_lead lead = h->ground.lead;
    lead.stages = 2;
    lead.is_part = true;
    lead.first = lead.total = INT32_MAX;
    const size_t blob_and_sides = 160;
    return (double)(stego_lead_measure(h->ground.image, h->ground.index, &lead).all +
                    8 * lead.map_bytes + STEGO_CHECKSUM_BITS + blob_and_sides);
}

static void offer(void *object, size_t i)
{
    struct stego_loading *l = object;
    struct stego_berth *b = &l->berths[i];
    struct stego_bidder *bidder = &l->bidders[i];
    struct stego_hold h;
    b->status = stego_hold_init(&h, l->image, i, &l->options, &b->err);
    if (b->status == DS_OK) {
        b->status = stego_hold_offer(&h, &bidder->curve, &b->easy, &b->err);
        bidder->is_forced = h.was_marked;
        bidder->fixed_bits = fixed_bits_of(&h);
        bidder->fixed_error = bidder->fixed_bits / 4.0;
        bidder->most = stego_plane_count(&h.ground.plane) * l->options.max_passes;
        stego_hold_finish(&h);
    }
}

enum ds_status stego_loading_offers(struct stego_loading *l, struct ds_error *err)
{
    const enum ds_status s = l->is_offered ? DS_OK : run(l, offer, err);
    l->is_offered = s == DS_OK;
    return s;
}

/* ---- one try ---- */

static void stow(void *object, size_t i)
{
    struct stego_loading *l = object;
    struct stego_berth *b = &l->berths[i];
    struct stego_hold h;
    if (!l->bidders[i].is_used) {
        return;
    }
    b->status = stego_hold_init(&h, l->image, i, &l->options, &b->err);
    if (b->status == DS_OK) {
        b->status = stego_cargo_stow(&b->cargo, &h, &b->err);
        stego_hold_finish(&h);
    }
}

/* Parts in the order of the planes. The first of them tells where the excluded region is. */
static void assign(struct stego_loading *l)
{
    size_t used = 0;
    size_t left = l->bits;
    for (size_t i = 0; i < l->planes; i++) {
        used += l->bidders[i].is_used;
    }
    bool is_first = true;
    for (size_t i = 0; i < l->planes; i++) {
        const struct stego_bidder *bidder = &l->bidders[i];
        const size_t share = (size_t)bidder->share;
        if (!bidder->is_used) {
            continue;
        }
        const struct stego_plane plane = stego_plane_of(l->image, i);
        l->berths[i].cargo =
            (struct stego_cargo){.payload = l->payload,
                                 .first = l->bits - left,
                                 .count = share < left ? share : left,
                                 .total = l->bits,
                                 .is_part = used > 1,
                                 .tells_exclude = is_first,
                                 .is_filled = l->is_filled,
                                 .length = share,
                                 .room = l->is_measured ? (size_t)l->berths[i].most : 0,
                                 .seed = l->seed,
                                 .out = l->out + (plane.samples - l->image->samples)};
        left -= l->berths[i].cargo.count;
        is_first = false;
    }
}

void stego_loading_drop(struct stego_loading *l)
{
    free(l->out);
    l->out = NULL;
}

static enum ds_status allocate_out(struct stego_loading *l, struct ds_error *err)
{
    size_t n = 0;
    if (l->out == NULL && stego_image_count(l->image, &n)) {
        l->out = malloc(n * sizeof *l->out);
    }
    return l->out != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for a carrier");
}

static enum ds_status allot(struct stego_loading *l, struct ds_error *err)
{
    const uint64_t total = l->is_filled ? l->length : l->bits;
    if (l->planes == 1) {
        l->bidders[0].is_used = true;
        l->bidders[0].share = total;
        return DS_OK;
    }
    const enum ds_status s = stego_loading_offers(l, err);
    for (size_t i = 0; l->is_measured && i < l->planes; i++) {
        l->bidders[i].most = l->berths[i].most;
    }
    return s == DS_OK ? stego_allot(l->bidders, l->planes, total, err) : s;
}

enum ds_status stego_loading_run(struct stego_loading *l, struct ds_error *err)
{
    enum ds_status s = allocate_out(l, err);
    s = s == DS_OK ? allot(l, err) : s;
    if (s != DS_OK) {
        return s;
    }
    assign(l);
    s = run(l, stow, err);
    l->error = 0.0;
    for (size_t i = 0; s == DS_OK && i < l->planes; i++) {
        l->error += l->bidders[i].is_used ? l->berths[i].cargo.error : 0.0;
    }
    return s;
}

/* ---- what goes in ---- */

typedef enum ds_status measure_room(const struct stego_hold *h, uint64_t *bits,
                                    struct ds_error *err);

static void measure_with(struct stego_loading *l, size_t i, measure_room *function, uint64_t *bits)
{
    struct stego_berth *b = &l->berths[i];
    struct stego_hold h;
    b->status = stego_hold_init(&h, l->image, i, &l->options, &b->err);
    if (b->status == DS_OK) {
        b->was_marked = h.was_marked;
        b->status = function(&h, bits, &b->err);
        stego_hold_finish(&h);
    }
}

static void measure_least(void *object, size_t i)
{
    struct stego_loading *l = object;
    measure_with(l, i, stego_room_least, &l->berths[i].least);
}

static void measure_most(void *object, size_t i)
{
    struct stego_loading *l = object;
    measure_with(l, i, stego_room_most, &l->berths[i].most);
}

/* Nothing goes into an image one of whose planes has a mark already and no room for ours. */
static uint64_t sum_rooms(const struct stego_loading *l, bool with_most)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < l->planes; i++) {
        const uint64_t room = with_most ? l->berths[i].most : l->berths[i].least;
        if (room == 0 && l->berths[i].was_marked) {
            return 0;
        }
        bits += room;
    }
    return bits < STEGO_PAYLOAD_MAX_BITS ? bits : STEGO_PAYLOAD_MAX_BITS;
}

enum ds_status stego_loading_most(struct stego_loading *l, uint64_t *bits, struct ds_error *err)
{
    const enum ds_status s = run(l, measure_most, err);
    l->is_measured = s == DS_OK;
    *bits = s == DS_OK ? sum_rooms(l, true) : 0;
    return s;
}

enum ds_status stego_loading_least(struct stego_loading *l, uint64_t *bits, struct ds_error *err)
{
    const enum ds_status s = run(l, measure_least, err);
    *bits = s == DS_OK ? sum_rooms(l, false) : 0;
    return s;
}

uint64_t stego_loading_easy(const struct stego_loading *l)
{
    uint64_t easy = 0;
    for (size_t i = 0; i < l->planes; i++) {
        easy += l->planes > 1 ? l->berths[i].easy : l->berths[i].cargo.easy;
    }
    return easy;
}
