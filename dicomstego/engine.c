/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/engine.h"

#include "dicomstego/allot.h"
#include "dicomstego/cargo.h"
#include "dicomstego/find.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEGO_PAYLOAD_MAX_BITS ((size_t)8 * STEGO_PAYLOAD_MAX_BYTES)

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

/* ---- one try to hide a payload in all planes ---- */

struct berth {
    struct stego_cargo cargo;
    struct stego_lead part; /* is_part, first, total, exclude of it count */
    uint64_t easy;          /* bits that fit for certain */
    enum ds_status status;
    struct ds_error err;
};

struct loading {
    const struct stego_image *image;
    struct stego_embed_options options;
    const uint8_t *payload;
    size_t bits;
    unsigned seed;
    size_t planes;
    struct stego_bidder *bidders;
    struct berth *berths;
    int32_t *out; /* room for all samples */
    bool is_offered;
    double error; /* sum of squares, after success */
    double error_limit;
};

static void free_bytes(uint8_t **bytes)
{
    free(*bytes);
}

static void loading_finish(struct loading *l)
{
    free(l->bidders);
    free(l->berths);
    free(l->out);
}

static enum ds_status loading_init(struct loading *l, const struct stego_image *image,
                                   const struct stego_embed_options *options, struct ds_error *err)
{
    size_t n = 0;
    *l = (struct loading){.image = image};
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
static enum ds_status outcome(const struct loading *l, struct ds_error *err)
{
    for (size_t i = 0; i < l->planes; i++) {
        if (l->berths[i].status != DS_OK) {
            return ds_fail(err, l->berths[i].status, "%s", l->berths[i].err.text);
        }
    }
    return DS_OK;
}

static enum ds_status run(struct loading *l, stego_task *task, struct ds_error *err)
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
    struct loading *l = object;
    struct berth *b = &l->berths[i];
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

typedef enum ds_status measure_hold(const struct stego_hold *h, uint64_t *bits,
                                    struct ds_error *err);

/* With the longest lead that the plane may need. */
static void measure_with(struct loading *l, size_t i, measure_hold *function)
{
    struct berth *b = &l->berths[i];
    struct stego_hold h;
    b->status = stego_hold_init(&h, l->image, i, &l->options, &b->err);
    if (b->status != DS_OK) {
        return;
    }
    struct stego_lead *lead = &h.ground.lead;
    lead->is_part = l->planes > 1;
    lead->first = lead->total = lead->is_part ? STEGO_PAYLOAD_MAX_BITS : 0;
    lead->exclude = l->options.exclude;
    b->status = function(&h, &l->bidders[i].most, &b->err);
    stego_hold_finish(&h);
}

static void measure_least(void *object, size_t i)
{
    measure_with(object, i, stego_hold_least);
}

static void measure_most(void *object, size_t i)
{
    struct loading *l = object;
    const struct stego_cargo *cargo = &l->berths[i].cargo;
    if (l->planes == 1 && cargo->is_measured) {
        l->bidders[i].most = cargo->most;
    } else {
        measure_with(l, i, stego_hold_most);
    }
}

static void stow(void *object, size_t i)
{
    struct loading *l = object;
    struct berth *b = &l->berths[i];
    struct stego_hold h;
    if (!l->bidders[i].is_used) {
        return;
    }
    b->status = stego_hold_init(&h, l->image, i, &l->options, &b->err);
    if (b->status == DS_OK) {
        struct stego_lead *lead = &h.ground.lead;
        lead->is_part = b->part.is_part;
        lead->first = b->part.first;
        lead->total = b->part.total;
        lead->exclude = b->part.exclude.width != 0 ? b->part.exclude : lead->exclude;
        b->status = stego_cargo_stow(&b->cargo, &h, &b->err);
        stego_hold_finish(&h);
    }
}

/* Parts in the order of the planes. The first of them tells where the excluded region is. */
static void assign(struct loading *l)
{
    size_t used = 0;
    size_t at = 0;
    for (size_t i = 0; i < l->planes; i++) {
        used += l->bidders[i].is_used;
    }
    bool is_first = true;
    for (size_t i = 0; i < l->planes; i++) {
        struct berth *b = &l->berths[i];
        if (!l->bidders[i].is_used) {
            continue;
        }
        const struct stego_plane plane = stego_plane_of(l->image, i);
        b->cargo = (struct stego_cargo){.payload = l->payload,
                                        .first = at,
                                        .count = (size_t)l->bidders[i].share,
                                        .seed = l->seed,
                                        .out = l->out + (plane.samples - l->image->samples)};
        b->part = (struct stego_lead){.is_part = used > 1};
        b->part.first = used > 1 ? at : 0;
        b->part.total = used > 1 ? l->bits : 0;
        b->part.exclude = is_first ? l->options.exclude : b->part.exclude;
        at += b->cargo.count;
        is_first = false;
    }
}

static enum ds_status make_offers(struct loading *l, struct ds_error *err)
{
    const enum ds_status s = l->is_offered ? DS_OK : run(l, offer, err);
    l->is_offered = s == DS_OK;
    return s;
}

static enum ds_status load(struct loading *l, struct ds_error *err)
{
    enum ds_status s = l->planes > 1 ? make_offers(l, err) : DS_OK;
    if (l->planes == 1) {
        l->bidders[0].is_used = true;
        l->bidders[0].share = l->bits;
    } else if (s == DS_OK) {
        s = stego_allot(l->bidders, l->planes, l->bits, err);
    }
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

/* ---- the capacity ---- */

static bool is_good_enough(const struct loading *l, enum ds_status s)
{
    return s == DS_OK && l->error <= l->error_limit;
}

static uint64_t measured_bits(const struct loading *l)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < l->planes; i++) {
        bits += l->bidders[i].most;
    }
    return bits < STEGO_PAYLOAD_MAX_BITS ? bits : STEGO_PAYLOAD_MAX_BITS;
}

/* Payloads of so many bits of noise, for the PSNR that they leave. */
#define TRIALS     2U
#define TRIAL_SEED 128U

static enum ds_status try_bits(struct loading *l, uint64_t bits, bool *fits, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    *fits = true;
    for (unsigned i = 0; *fits && i < TRIALS; i++) {
        l->bits = (size_t)bits;
        l->seed = TRIAL_SEED + i;
        s = load(l, err);
        if (s != DS_OK && s != DS_ECAPACITY) {
            return s;
        }
        *fits = is_good_enough(l, s);
    }
    return DS_OK;
}

/* The error grows faster than the bits: where it should meet the limit, well inside the bounds. */
static uint64_t guess_bits(const struct loading *l, uint64_t low, uint64_t high)
{
    const double power = l->error > 0.0 ? pow(l->error_limit / l->error, 0.6) : 1.0;
    const double guess = (double)l->bits * power;
    const uint64_t edge = (high - low) / 16 + 1;
    if (!(guess > (double)(low + edge))) {
        return low + edge;
    }
    return guess < (double)(high - edge) ? (uint64_t)guess : high - edge;
}

/* The most bits below `high` that keep the PSNR, to one in 128; a first guess is given. */
static enum ds_status search_bits(struct loading *l, uint64_t high, uint64_t next, uint64_t *bits,
                                  struct ds_error *err)
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
static void sum_offers(const struct loading *l, uint64_t *bits, uint64_t *easy)
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

static enum ds_status allocate_out(struct loading *l, struct ds_error *err)
{
    size_t n = 0;
    if (l->out == NULL && stego_image_count(l->image, &n)) {
        l->out = malloc(n * sizeof *l->out);
    }
    return l->out != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory for a carrier");
}

/* What fits whatever becomes of the image; sets what each plane takes at most, too. */
static enum ds_status measure_all(struct loading *l, uint64_t *bits, struct ds_error *err)
{
    const enum ds_status s = run(l, measure_most, err);
    *bits = s == DS_OK ? measured_bits(l) : 0;
    return s;
}

/* Of payloads that are noise, the longest that keeps the PSNR. Where that is far below what fits,
 * what fits is not measured, which would take longer than all the rest. */
static enum ds_status find_within_psnr(struct loading *l, uint64_t *bits, struct ds_error *err)
{
    uint64_t guess = 0;
    uint64_t easy = 0;
    enum ds_status s = make_offers(l, err);
    sum_offers(l, &guess, &easy);
    uint64_t high = easy;
    if (s == DS_OK && guess + guess / 4 >= easy) {
        s = measure_all(l, &high, err);
    }
    if (s != DS_OK || high == 0) {
        return s;
    }
    DS_AUTO(free_bytes) uint8_t *zeros = calloc((size_t)high / 8 + 1, 1);
    if (zeros == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a trial");
    }
    l->payload = zeros;
    s = allocate_out(l, err);
    return s == DS_OK ? search_bits(l, high + 1, guess, bits, err) : s;
}

/* Takes the place of what was loaded when there is a PSNR to keep. */
static enum ds_status find_capacity(struct loading *l, uint64_t *bits, struct ds_error *err)
{
    const uint8_t *payload = l->payload;
    const size_t payload_bits = l->bits;
    *bits = 0;
    if (l->options.min_psnr_db <= 0.0) {
        return measure_all(l, bits, err);
    }
    const enum ds_status s = find_within_psnr(l, bits, err);
    l->payload = payload;
    l->bits = payload_bits;
    return s;
}

enum ds_status stego_capacity_of(const struct stego_image *image,
                                 const struct stego_embed_options *options, uint64_t *bits,
                                 struct ds_error *err)
{
    DS_AUTO(loading_finish) struct loading l;
    *bits = 0;
    const enum ds_status s = loading_init(&l, image, options, err);
    return s == DS_OK ? find_capacity(&l, bits, err) : s;
}

enum ds_status stego_capacity_at_least(const struct stego_image *image,
                                       const struct stego_embed_options *options, uint64_t *bits,
                                       struct ds_error *err)
{
    DS_AUTO(loading_finish) struct loading l;
    *bits = 0;
    enum ds_status s = loading_init(&l, image, options, err);
    if (s != DS_OK || l.options.min_psnr_db > 0.0) {
        return s;
    }
    s = run(&l, measure_least, err);
    *bits = s == DS_OK ? measured_bits(&l) : 0;
    return s;
}

/* ---- embedding ---- */

/* Clearly less than the capacity, so that it need not be measured: what fits for certain, with half
 * the disturbance allowed. */
static bool is_easy(const struct loading *l)
{
    uint64_t easy = 0;
    for (size_t i = 0; i < l->planes; i++) {
        easy += l->planes > 1 ? l->berths[i].easy : l->berths[i].cargo.easy;
    }
    return l->bits <= easy && l->error <= l->error_limit / 2.0;
}

#define LAST_SEEDS 16U

static enum ds_status too_much(const struct loading *l, struct ds_error *err)
{
    return ds_fail(err, DS_ECAPACITY, "%zu bits do not fit into the image", l->bits);
}

/* Near the capacity: that alone decides. */
static enum ds_status load_full(struct loading *l, bool is_loaded, struct ds_error *err)
{
    uint64_t most = 0;
    enum ds_status s = find_capacity(l, &most, err);
    if (s != DS_OK || l->bits > most || most == 0) {
        return s != DS_OK ? s : too_much(l, err);
    }
    is_loaded = is_loaded && l->options.min_psnr_db <= 0.0; /* else trials have taken its place */
    for (unsigned i = 0; !is_loaded && i < LAST_SEEDS; i++) {
        l->seed = i;
        s = load(l, err);
        if (s != DS_OK && s != DS_ECAPACITY) {
            return s;
        }
        is_loaded = is_good_enough(l, s);
    }
    return is_loaded ? DS_OK : too_much(l, err);
}

/* In smaller planes mark and lead are a large part of all, so bounds mean little. */
#define BOUNDS_SAMPLES 16384U

/* Is what was loaded clearly less than the capacity, so that this need not be measured? */
static enum ds_status is_roomy(struct loading *l, bool *answer, struct ds_error *err)
{
    *answer = false;
    for (size_t i = 0; i < l->planes; i++) {
        const struct stego_plane plane = stego_plane_of(l->image, i);
        if (stego_plane_count(&plane) < BOUNDS_SAMPLES) {
            return DS_OK;
        }
    }
    *answer = is_easy(l);
    if (*answer || l->error > l->error_limit / 2.0) {
        return DS_OK;
    }
    const enum ds_status s = run(l, measure_least, err);
    *answer = s == DS_OK && l->bits <= measured_bits(l);
    return s;
}

static void commit(const struct loading *l, struct stego_image *image,
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

static enum ds_status load_payload(struct loading *l, struct ds_error *err)
{
    size_t n = 0;
    if (l->bits > STEGO_PAYLOAD_MAX_BITS || !stego_image_count(l->image, &n) ||
        l->bits / l->options.max_passes > n) {
        return too_much(l, err);
    }
    enum ds_status s = allocate_out(l, err);
    s = s == DS_OK ? load(l, err) : s;
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
    DS_AUTO(loading_finish) struct loading l;
    struct stego_embed_facts unused;
    struct stego_embed_facts *told = facts != NULL ? facts : &unused;
    *told = (struct stego_embed_facts){0};
    enum ds_status s = loading_init(&l, image, options, err);
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
