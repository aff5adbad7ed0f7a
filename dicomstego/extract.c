/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/engine.h"

#include "dicomstego/find.h"
#include "dicomstego/seek.h"

#include <stdlib.h>

/* The way back over all planes: each is read by itself, then the parts are put together. */

/* Images that no embedder accepts carry nothing, whatever their samples are. */
static bool can_carry(const struct stego_image *image, size_t *n)
{
    return image->bits_stored >= STEGO_BITS_MIN && image->bits_stored <= STEGO_BITS_MAX &&
           (image->is_signed || image->bits_stored < 32) && stego_image_count(image, n) &&
           *n / stego_planes_of(image) <= INT32_MAX;
}

struct extraction {
    const struct stego_image *image;
    size_t planes;
    struct stego_reading *readings;
    const struct stego_reading **parts; /* those with a sound part, in order */
    size_t part_count;
};

static void extraction_finish(struct extraction *e)
{
    for (size_t i = 0; e->readings != NULL && i < e->planes; i++) {
        stego_bits_free(&e->readings[i].message);
    }
    free(e->readings);
    free(e->parts);
}

static void seek_plane(void *object, size_t i)
{
    struct extraction *e = object;
    stego_plane_seek(e->image, i, &e->readings[i]);
}

static bool is_damaged(const struct stego_reading *r)
{
    return r->finding == STEGO_FOUND_ALTERED || r->status == DS_EAUTH;
}

/* By the first bit; empty parts before the one that begins there. */
static int compare_parts(const void *a, const void *b)
{
    const struct stego_reading *x = *(const struct stego_reading *const *)a;
    const struct stego_reading *y = *(const struct stego_reading *const *)b;
    if (x->lead.first != y->lead.first) {
        return x->lead.first < y->lead.first ? -1 : 1;
    }
    return (x->lead.count > y->lead.count) - (x->lead.count < y->lead.count);
}

/* What the planes say, summed up: DS_OK when each that says something is sound. */
static enum ds_status survey(struct extraction *e, struct stego_extract_facts *facts,
                             struct ds_error *err)
{
    bool is_foreign = false;
    for (size_t i = 0; i < e->planes; i++) {
        const struct stego_reading *r = &e->readings[i];
        if (r->status == DS_ENOMEM) {
            return ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits");
        }
        is_foreign = is_foreign || r->finding == STEGO_FOUND_FOREIGN;
        if (is_damaged(r)) {
            facts->first_damaged =
                facts->damaged == 0 ? (unsigned)(i / e->image->components) : facts->first_damaged;
            facts->damaged++;
        } else if (r->finding == STEGO_FOUND_MARK) {
            e->parts[e->part_count++] = r;
            facts->exclude = r->lead.exclude.width != 0 ? r->lead.exclude : facts->exclude;
        }
    }
    facts->planes = (unsigned)e->part_count + facts->damaged;
    if (facts->damaged != 0) {
        return ds_fail(err, DS_EAUTH, "the image carries something but was altered since: frame %u",
                       facts->first_damaged + 1U);
    }
    if (e->part_count == 0) {
        return is_foreign ? ds_fail(err, DS_EUNSUPPORTED,
                                    "the image carries something that another version has hidden")
                          : ds_fail(err, DS_ENOTHING, "the image carries nothing");
    }
    return DS_OK;
}

/* The parts follow each other without a gap from the first bit to the last. */
static enum ds_status check_parts(const struct extraction *e, size_t *total, struct ds_error *err)
{
    const struct stego_lead *one = &e->parts[0]->lead;
    size_t at = 0;
    bool is_whole = one->is_part || e->part_count == 1;
    *total = one->is_part ? one->total : one->count;
    for (size_t i = 0; i < e->part_count; i++) {
        const struct stego_lead *lead = &e->parts[i]->lead;
        is_whole = is_whole && lead->first == at && lead->is_part == one->is_part &&
                   lead->total == one->total;
        at += lead->count;
    }
    return is_whole && at == *total
               ? DS_OK
               : ds_fail(err, DS_EAUTH, "parts of what the image carries are missing");
}

static enum ds_status join(const struct extraction *e, struct ds_bytes *payload,
                           struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits all = STEGO_BITS_INIT;
    for (size_t i = 0; i < e->part_count; i++) {
        stego_bits_append(&all, e->parts[i]->message.bytes.data, 0, e->parts[i]->lead.count);
    }
    return all.failed ? ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits")
                      : ds_bytes_append(payload, all.bytes.data, all.bytes.len, err);
}

static enum ds_status extract(struct extraction *e, struct stego_pool *pool,
                              struct ds_bytes *payload, struct stego_extract_facts *facts,
                              struct ds_error *err)
{
    e->readings = calloc(e->planes, sizeof *e->readings);
    e->parts = calloc(e->planes, sizeof *e->parts);
    if (e->readings == NULL || e->parts == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu planes", e->planes);
    }
    stego_pool_run(pool, seek_plane, e, e->planes);
    enum ds_status s = survey(e, facts, err);
    if (s != DS_OK) {
        return s;
    }
    qsort(e->parts, e->part_count, sizeof *e->parts, compare_parts);
    s = check_parts(e, &facts->payload_bits, err);
    return s == DS_OK ? join(e, payload, err) : s;
}

enum ds_status stego_extract(struct stego_image *image, struct stego_pool *pool,
                             struct ds_bytes *payload, struct stego_extract_facts *facts,
                             struct ds_error *err)
{
    struct stego_extract_facts unused;
    struct stego_extract_facts *told = facts != NULL ? facts : &unused;
    size_t n = 0;
    *told = (struct stego_extract_facts){0};
    if (image->samples == NULL || !can_carry(image, &n)) {
        return ds_fail(err, DS_ENOTHING, "an image of this kind carries nothing");
    }
    if (!stego_find_none_outside(image->samples, n, stego_image_min(image),
                                 stego_image_max(image))) {
        return ds_fail(err, DS_EINVAL, "a sample is outside the range of %u bits",
                       image->bits_stored);
    }
    struct stego_image plain = *image; /* the reader is told nothing of padding */
    plain.has_padding = false;
    DS_AUTO(extraction_finish)
    struct extraction e = {.image = &plain, .planes = stego_planes_of(image)};
    return extract(&e, pool, payload, told, err);
}

bool stego_is_carrier(const struct stego_image *image)
{
    size_t n = 0;
    if (image->samples == NULL || !can_carry(image, &n)) {
        return false;
    }
    for (size_t i = 0; i < stego_planes_of(image); i++) {
        const struct stego_plane p = stego_plane_of(image, i);
        size_t begin = 0;
        if (stego_mark_find(p.samples, stego_plane_count(&p), &begin) != STEGO_FOUND_NOTHING) {
            return true;
        }
    }
    return false;
}

/* Few enough to stay in the processor's nearest cache. */
#define PIECE_SAMPLES 4096U

static size_t plane_count(const struct stego_image *image, unsigned component)
{
    const bool is_halved = image->chroma_halved && component > 0;
    return (size_t)image->rows * (image->columns / (is_halved ? 2U : 1U));
}

/* Pieces overlap by a mark less one sample: each window lies in one of them. */
static bool is_marked(const struct stego_image *image, uint32_t frame, unsigned component,
                      stego_read_samples *read, void *context)
{
    int32_t piece[PIECE_SAMPLES];
    const size_t n = plane_count(image, component);
    for (size_t at = 0; n - at >= STEGO_MARK_BITS; at += PIECE_SAMPLES - STEGO_MARK_BITS + 1U) {
        const size_t count = n - at < PIECE_SAMPLES ? n - at : PIECE_SAMPLES;
        size_t begin = 0;
        if (!read(context, frame, component, at, count, piece)) {
            return false;
        }
        if (stego_mark_find(piece, count, &begin) != STEGO_FOUND_NOTHING) {
            return true;
        }
        if (count == n - at) {
            return false;
        }
    }
    return false;
}

bool stego_is_carrier_read(const struct stego_image *image, stego_read_samples *read, void *context)
{
    size_t n = 0;
    bool found = false;
    if (!can_carry(image, &n)) {
        return false;
    }
    for (uint32_t frame = 0; frame < image->frames && !found; frame++) {
        for (unsigned c = 0; c < image->components && !found; c++) {
            found = is_marked(image, frame, c, read, context);
        }
    }
    return found;
}
