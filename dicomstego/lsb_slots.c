/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/lsb_slots.h"

#include "dicomstego/bits.h"

#include <stdlib.h>
#include <string.h>

bool stego_slots_may_hold(const struct stego_image *image, unsigned planes, int32_t sample)
{
    const int32_t low_bits = (int32_t)((1U << planes) - 1U);
    return !image->has_padding || (sample | low_bits) < image->padding_min ||
           (sample & ~low_bits) > image->padding_max;
}

static bool holds_header(const struct stego_slots *s, size_t i)
{
    const struct stego_image padding = {.has_padding = s->has_padding,
                                        .padding_min = s->padding_min,
                                        .padding_max = s->padding_max};
    return stego_slots_may_hold(&padding, s->planes, s->samples[i]);
}

void stego_slots_put_header(const struct stego_slots *s, const uint8_t *bytes, size_t len)
{
    size_t bit = 0;
    for (size_t i = s->header; bit < 8 * len && i < s->header + s->header_count; i++) {
        if (holds_header(s, i)) {
            const struct stego_slot at = {i, 0};
            stego_slot_set(s, at, stego_bit_at(bytes, bit++));
        }
    }
}

enum ds_status stego_slots_get_header(const struct stego_slots *s, struct ds_bytes *out,
                                      struct ds_error *err)
{
    enum ds_status status = DS_OK;
    unsigned byte = 0;
    size_t bit = 0;
    for (size_t i = s->header; i < s->header + s->header_count && status == DS_OK; i++) {
        if (!holds_header(s, i)) {
            continue;
        }
        byte = byte << 1 | ((uint32_t)s->samples[i] & 1U);
        if (++bit % 8 == 0) {
            status = ds_bytes_put_u8(out, (uint8_t)byte, err);
        }
    }
    return status;
}

static bool is_header(const struct stego_slots *s, size_t i)
{
    return i >= s->header && i - s->header < s->header_count;
}

static enum ds_status list_places(struct stego_slots *s, const struct stego_image *image,
                                  struct ds_error *err)
{
    s->places = calloc(s->samples_count, sizeof(*s->places));
    if (s->places == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu places", s->samples_count);
    }
    s->places_count = 0;
    for (size_t i = 0; i < s->samples_count; i++) {
        if (!is_header(s, i) && stego_slots_may_hold(image, s->planes, s->samples[i])) {
            s->places[s->places_count++] = (uint32_t)i;
        }
    }
    return DS_OK;
}

enum ds_status stego_slots_init(struct stego_slots *s, const struct stego_image *image,
                                unsigned planes, size_t header, size_t header_count,
                                const uint8_t *key, struct ds_error *err)
{
    size_t n = 0;
    memset(s, 0, sizeof(*s));
    if (!stego_image_count(image, &n) || n > UINT32_MAX || header_count > n ||
        header > n - header_count) {
        return ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    s->samples = image->samples;
    s->samples_count = n;
    s->planes = planes;
    s->header = header;
    s->header_count = header_count;
    s->has_padding = image->has_padding;
    s->padding_min = image->padding_min;
    s->padding_max = image->padding_max;
    s->places_count = n - header_count;
    enum ds_status status = image->has_padding ? list_places(s, image, err) : DS_OK;
    s->total = (uint64_t)s->places_count * planes;
    if (status == DS_OK && key != NULL && s->total > 0) {
        status = stego_shuffle_new(&s->shuffle, key, s->total, err);
    }
    if (status != DS_OK) {
        stego_slots_finish(s);
    }
    return status;
}

void stego_slots_finish(struct stego_slots *s)
{
    free(s->places);
    stego_shuffle_free(s->shuffle);
    memset(s, 0, sizeof(*s));
}

void stego_walk_begin(struct stego_walk *w, const struct stego_slots *slots)
{
    w->slots = slots;
    w->at = 0;
    w->batch_at = 0;
    w->batch_count = 0;
    w->status = DS_OK;
}

static bool refill(struct stego_walk *w)
{
    const uint64_t left = w->slots->total - w->at;
    w->batch_at = 0;
    w->batch_count = left < STEGO_SHUFFLE_BATCH ? (size_t)left : STEGO_SHUFFLE_BATCH;
    w->status = stego_shuffle_at(w->slots->shuffle, w->at, w->batch_count, w->batch, NULL);
    return w->status == DS_OK;
}

bool stego_walk_next(struct stego_walk *w, struct stego_slot *out)
{
    const struct stego_slots *s = w->slots;
    if (w->at >= s->total) {
        return false;
    }
    uint64_t number = w->at;
    if (s->shuffle != NULL) {
        if (w->batch_at == w->batch_count && !refill(w)) {
            return false;
        }
        number = w->batch[w->batch_at++];
    }
    w->at++;
    const size_t place = (size_t)(number / s->planes);
    out->shift = s->planes - 1U - (unsigned)(number % s->planes);
    if (s->places != NULL) {
        out->sample = s->places[place];
    } else {
        out->sample = place < s->header ? place : place + s->header_count;
    }
    return true;
}
