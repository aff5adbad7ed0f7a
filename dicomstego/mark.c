/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/mark.h"

#include "dicomstego/find.h"
#include "dicomstego/still.h"

/*
 * 56 bits without structure of their own, then the version twice: as it is and inverted. Chance
 * finds the mark in one of 2^64 windows. Windows up to 4 bits away number 1 + 64 + 2016 + 41664 +
 * 635376 < 2^19.4, so among the 2^26.6 windows of 100 million random pixels one is met with
 * probability 2^-18: a cover is practically never taken for a damaged carrier, while one altered
 * pixel, and even a handful of them in the mark, cannot make a carrier pass for a cover.
 */
#define VERSION   3U
#define MARK      (STEGO_MARK_HEAD << 8 | VERSION << 4 | (VERSION ^ 15U))
#define MARK_NEAR 4
#define MARK_FAR  8U /* of another version: each of its 4 bits stands there twice */

#define PAYLOAD_WIDTH 30U /* STEGO_PAYLOAD_MAX_BITS has so many */

static unsigned value_width(const struct stego_plane *plane)
{
    return stego_width_of((uint64_t)((int64_t)plane->high - plane->low));
}

static unsigned count_width(const struct stego_plane *plane)
{
    return stego_width_of(stego_plane_count(plane));
}

/* ---- the lead ---- */

static void put_padding(const struct stego_plane *plane, const struct stego_lead *lead,
                        struct stego_bits *out)
{
    const uint32_t more = (uint32_t)lead->padding_max - (uint32_t)lead->padding_min;
    const uint32_t from_low = (uint32_t)lead->padding_min - (uint32_t)plane->low;
    stego_bits_put(out, lead->has_padding, 1);
    if (lead->has_padding) {
        stego_bits_put(out, from_low, value_width(plane));
        stego_bits_put(out, more != 0, 1);
        stego_bits_put(out, more, more != 0 ? value_width(plane) : 0);
    }
}

static void get_padding(const struct stego_plane *plane, struct stego_bit_reader *r,
                        struct stego_lead *lead)
{
    lead->has_padding = stego_reader_get(r, 1) != 0;
    if (!lead->has_padding) {
        return;
    }
    const int64_t min = (int64_t)plane->low + stego_reader_get(r, value_width(plane));
    const bool is_range = stego_reader_get(r, 1) != 0;
    const int64_t more = is_range ? stego_reader_get(r, value_width(plane)) : 0;
    r->failed = r->failed || min + more > plane->high || (is_range && more == 0);
    lead->padding_min = r->failed ? 0 : (int32_t)min;
    lead->padding_max = r->failed ? 0 : (int32_t)(min + more);
}

static void put_exclude(const struct stego_image *image, const struct stego_rect *r,
                        struct stego_bits *out)
{
    stego_bits_put(out, r->width != 0, 1);
    if (r->width != 0) {
        stego_bits_put(out, r->x, stego_width_of(image->columns));
        stego_bits_put(out, r->width, stego_width_of(image->columns));
        stego_bits_put(out, r->y, stego_width_of(image->rows));
        stego_bits_put(out, r->height, stego_width_of(image->rows));
        stego_bits_put(out, r->frame, stego_width_of(image->frames - 1U));
    }
}

static void get_exclude(const struct stego_image *image, struct stego_bit_reader *in,
                        struct stego_rect *r)
{
    if (stego_reader_get(in, 1) == 0) {
        return;
    }
    r->x = stego_reader_get(in, stego_width_of(image->columns));
    r->width = stego_reader_get(in, stego_width_of(image->columns));
    r->y = stego_reader_get(in, stego_width_of(image->rows));
    r->height = stego_reader_get(in, stego_width_of(image->rows));
    r->frame = stego_reader_get(in, stego_width_of(image->frames - 1U));
    in->failed = in->failed || r->width == 0 || r->height == 0 ||
                 (uint64_t)r->x + r->width > image->columns ||
                 (uint64_t)r->y + r->height > image->rows || r->frame >= image->frames;
}

static void write_head(const struct stego_image *image, const struct stego_plane *plane,
                       const struct stego_lead *lead, struct stego_bits *out)
{
    stego_bits_put(out, (uint32_t)(MARK >> 32), 32);
    stego_bits_put(out, (uint32_t)MARK, 32);
    put_padding(plane, lead, out);
    put_exclude(image, &lead->exclude, out);
}

/* A filled plane's lead has the same length whatever the payload is, so that what was found to fit
 * does. */
static void put_place(const struct stego_lead *lead, uint32_t v, struct stego_bits *out)
{
    if (lead->is_filled) {
        stego_bits_put(out, v, PAYLOAD_WIDTH);
    } else {
        stego_bits_put_number(out, v);
    }
}

static size_t get_place(const struct stego_lead *lead, struct stego_bit_reader *r)
{
    return lead->is_filled ? stego_reader_get(r, PAYLOAD_WIDTH) : stego_reader_number(r);
}

static void write_rest(const struct stego_image *image, const struct stego_plane *plane,
                       const struct stego_lead *lead, struct stego_bits *out)
{
    stego_bits_put(out, lead->codec == STEGO_CHAIN, 1);
    if (lead->codec == STEGO_BOARD) {
        stego_bits_put(out, lead->stages / 2U - 1U, 2);
        stego_bits_put(out, (uint32_t)lead->bits, count_width(plane));
        stego_bits_put_number(out, (uint32_t)lead->blob_bytes);
    } else {
        stego_bits_put_number(out, (uint32_t)lead->bits);
    }
    stego_bits_put(out, lead->seed != 0, 1);
    stego_bits_put(out, lead->seed, lead->seed != 0 ? 8 : 0);
    stego_bits_put(out, lead->map_bytes != 0, 1);
    if (lead->map_bytes != 0) {
        stego_bits_put_number(out, (uint32_t)lead->map_bytes);
    }
    stego_bits_put(out, lead->is_filled, 1);
    if (lead->is_filled) {
        stego_bits_put(out, (uint32_t)lead->count, PAYLOAD_WIDTH);
    }
    if (stego_planes_of(image) > 1) {
        stego_bits_put(out, lead->is_part, 1);
    }
    if (lead->is_part) {
        put_place(lead, (uint32_t)lead->first, out);
        put_place(lead, (uint32_t)lead->total, out);
    }
}

void stego_lead_write(const struct stego_image *image, size_t index, const struct stego_lead *lead,
                      struct stego_bits *out)
{
    const struct stego_plane plane = stego_plane_of(image, index);
    write_head(image, &plane, lead, out);
    write_rest(image, &plane, lead, out);
}

struct stego_lead_length stego_lead_measure(const struct stego_image *image, size_t index,
                                            const struct stego_lead *lead)
{
    const struct stego_plane plane = stego_plane_of(image, index);
    struct stego_bits scratch = STEGO_BITS_INIT;
    struct stego_lead_length length;
    write_head(image, &plane, lead, &scratch);
    length.head = scratch.count;
    write_rest(image, &plane, lead, &scratch);
    length.all = scratch.count;
    stego_bits_free(&scratch);
    return length;
}

/* Padding 66, rectangle 1 + 5 * 32; 3 + 31 + 35 bits, seed 9, 4 numbers and their flags: either is
 * below this. */
#define HALF_MAX_BITS 320U

/* The lowest bits from sample `from` on: of all (raw), or of those that hold one. */
static struct stego_bit_reader gather(const struct stego_plane *plane, size_t from, bool raw,
                                      uint8_t data[HALF_MAX_BITS / 8])
{
    const size_t n = stego_plane_count(plane);
    struct stego_bit_reader r = {data, 0, 0, false};
    for (size_t i = from; i < n && r.count < HALF_MAX_BITS; i++) {
        const int32_t x = plane->samples[i];
        if (raw || stego_plane_holds(plane, i, x)) {
            data[r.count >> 3] |= (uint8_t)((uint32_t)(x & 1) << (7U - (r.count & 7U)));
            r.count++;
        }
    }
    return r;
}

bool stego_lead_read_head(const struct stego_image *image, size_t index, size_t begin,
                          struct stego_lead *lead, size_t *end)
{
    const struct stego_plane plane = stego_plane_of(image, index);
    uint8_t data[HALF_MAX_BITS / 8] = {0};
    struct stego_bit_reader r = gather(&plane, begin + STEGO_MARK_BITS, true, data);
    *lead = (struct stego_lead){.codec = STEGO_BOARD};
    get_padding(&plane, &r, lead);
    get_exclude(image, &r, &lead->exclude);
    *end = begin + STEGO_MARK_BITS + r.at;
    return !r.failed;
}

static void read_codec(const struct stego_plane *plane, struct stego_bit_reader *r,
                       struct stego_lead *lead)
{
    if (stego_reader_get(r, 1) != 0) {
        lead->codec = STEGO_CHAIN;
        lead->bits = stego_reader_number(r);
    } else {
        lead->stages = 2U * stego_reader_get(r, 2) + 2U;
        lead->bits = stego_reader_get(r, count_width(plane));
        lead->blob_bytes = stego_reader_number(r);
    }
}

bool stego_lead_read_rest(const struct stego_image *image, const struct stego_plane *plane,
                          size_t from, struct stego_lead *lead, size_t *end)
{
    uint8_t data[HALF_MAX_BITS / 8] = {0};
    struct stego_bit_reader r = gather(plane, from, false, data);
    read_codec(plane, &r, lead);
    if (stego_reader_get(&r, 1) != 0) {
        lead->seed = stego_reader_get(&r, 8);
        r.failed = r.failed || lead->seed == 0; /* the writer has one spelling for each thing */
    }
    if (stego_reader_get(&r, 1) != 0) {
        lead->map_bytes = stego_reader_number(&r);
        r.failed = r.failed || lead->map_bytes == 0;
    }
    lead->is_filled = stego_reader_get(&r, 1) != 0;
    lead->count = lead->is_filled ? stego_reader_get(&r, PAYLOAD_WIDTH) : 0;
    lead->is_part = stego_planes_of(image) > 1 && stego_reader_get(&r, 1) != 0;
    if (lead->is_part) {
        lead->first = get_place(lead, &r);
        lead->total = get_place(lead, &r);
        r.failed = r.failed || lead->first > lead->total;
    }
    *end = r.failed ? 0 : stego_run_go(plane, from, r.at);
    return !r.failed;
}

/* ---- the mark ---- */

static bool is_foreign(uint64_t window)
{
    const unsigned version = (unsigned)(window >> 4) & 15U;
    return window >> 8 == STEGO_MARK_HEAD && (window & 15U) == (version ^ 15U);
}

static uint64_t window_at(const int32_t *samples, size_t begin)
{
    uint64_t window = 0;
    for (size_t i = begin; i < begin + STEGO_MARK_BITS; i++) {
        window = window << 1 | (uint64_t)(samples[i] & 1);
    }
    return window;
}

enum stego_finding stego_mark_find(const int32_t *samples, size_t count, size_t *begin)
{
    enum stego_finding finding = STEGO_FOUND_NOTHING;
    *begin = 0;
    for (size_t i = 0;; i++) {
        i = stego_find_mark(samples, count, i, MARK, MARK_FAR);
        if (i >= count) {
            return finding;
        }
        const uint64_t window = window_at(samples, i);
        if (window == MARK) {
            *begin = i;
            return STEGO_FOUND_MARK;
        }
        if (is_foreign(window)) {
            finding = STEGO_FOUND_FOREIGN;
        } else if (__builtin_popcountll(window ^ MARK) <= MARK_NEAR &&
                   finding == STEGO_FOUND_NOTHING) {
            finding = STEGO_FOUND_ALTERED;
        }
    }
}

/* ---- the run ---- */

size_t stego_run_go(const struct stego_plane *plane, size_t from, size_t bits)
{
    const size_t n = stego_plane_count(plane);
    size_t i = from;
    for (size_t held = 0; held < bits; i++) {
        if (i >= n) {
            return SIZE_MAX;
        }
        held += stego_plane_holds(plane, i, plane->samples[i]);
    }
    return i;
}

void stego_run_read(const struct stego_plane *plane, size_t from, size_t to, struct stego_bits *out)
{
    for (size_t i = from; i < to; i++) {
        if (stego_plane_holds(plane, i, plane->samples[i])) {
            stego_bits_put(out, (uint32_t)(plane->samples[i] & 1), 1);
        }
    }
}

void stego_run_write(const struct stego_plane *plane, int32_t *samples, size_t from, size_t to,
                     const uint8_t *bits)
{
    size_t at = 0;
    for (size_t i = from; i < to; i++) {
        if (stego_plane_holds(plane, i, samples[i])) {
            samples[i] = (samples[i] & ~1) | (int32_t)stego_bit_at(bits, at++);
        }
    }
}

/* A run that begins here: then *run is it and `begin` is returned. Else the next sample at which
 * one could begin, SIZE_MAX when there is none. */
static size_t run_at(const struct stego_plane *plane, const struct stego_run_need *need,
                     size_t begin, struct stego_run *run)
{
    const size_t behind = begin + need->head;
    for (size_t i = behind; i-- > begin;) {
        if (!stego_plane_holds(plane, i, plane->samples[i])) {
            return i + 1;
        }
    }
    const size_t map = stego_run_go(plane, behind, need->rest_and_map);
    if (map == SIZE_MAX) {
        return SIZE_MAX;
    }
    for (size_t i = map; plane->still != NULL && i-- > behind;) {
        if ((plane->still[i] & STEGO_STILL_MAPPED) != 0) {
            return i + 1; /* whatever begins before it has its map reach at least as far */
        }
    }
    const size_t end = stego_run_go(plane, map, need->blob);
    *run = (struct stego_run){begin, map, end};
    return end != SIZE_MAX ? begin : SIZE_MAX;
}

bool stego_run_choose(const struct stego_plane *plane, const struct stego_run_need *need,
                      struct stego_run *run)
{
    const size_t n = stego_plane_count(plane);
    const size_t all = need->head + need->rest_and_map + need->blob;
    if (all > n) {
        return false;
    }
    const size_t last = need->latest < n - all ? need->latest : n - all;
    size_t begin = 0;
    if (stego_find_restless(plane, need->head, last, &begin) &&
        run_at(plane, need, begin, run) == begin) {
        return true;
    }
    /* Wherever there is one at all, then: the first. */
    begin = 0;
    while (begin <= last) {
        const size_t next = run_at(plane, need, begin, run);
        if (next == begin) {
            return true;
        }
        begin = next;
    }
    return false;
}
