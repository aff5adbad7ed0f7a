/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsb_slots - the places for bits in an image: which samples, which of their bits, in which order.
 * Private.
 *
 * A slot is one of the lowest bits of one sample that may change. In sequence they go sample by
 * sample, the highest bit first; with a key in its order (shuffle.h). Which samples these are never
 * depends on bits that slots hold.
 */
#ifndef DICOMSTEGO_LSB_SLOTS_H
#define DICOMSTEGO_LSB_SLOTS_H

#include "dicomstego/image.h"
#include "dicomstego/shuffle.h"

#include "base/bytes.h"

struct stego_slots {
    int32_t *samples;
    size_t samples_count;
    unsigned planes;
    size_t header, header_count; /* samples among which the header is: they have no slots */
    bool has_padding;
    int32_t padding_min, padding_max;
    uint32_t *places; /* samples with slots; NULL: all but the header's */
    size_t places_count;
    uint64_t total;
    struct stego_shuffle *shuffle; /* NULL: in sequence; owned */
};

/* May the sample hold bits in its `planes` lowest ones without being or becoming padding? */
bool stego_slots_may_hold(const struct stego_image *image, unsigned planes, int32_t sample);

/* image: with the padding to respect. key: of the order, or NULL. Needs stego_slots_finish. */
DS_CHECKED enum ds_status stego_slots_init(struct stego_slots *s, const struct stego_image *image,
                                           unsigned planes, size_t header, size_t header_count,
                                           const uint8_t *key, struct ds_error *err);
void stego_slots_finish(struct stego_slots *s); /* zeroed is fine */

/* Writes the header's bits, len bytes; or reads them. */
void stego_slots_put_header(const struct stego_slots *s, const uint8_t *bytes, size_t len);
DS_CHECKED enum ds_status stego_slots_get_header(const struct stego_slots *s, struct ds_bytes *out,
                                                 struct ds_error *err);

struct stego_slot {
    size_t sample;
    unsigned shift; /* of the bit: 0 is the lowest */
};

/* Slots one after the other from the first one; ask stego_walk_left before. */
struct stego_walk {
    const struct stego_slots *slots;
    uint64_t at;
    uint64_t batch[STEGO_SHUFFLE_BATCH];
    size_t batch_at, batch_count;
    enum ds_status status;
};
void stego_walk_begin(struct stego_walk *w, const struct stego_slots *slots);
/* False when there is no further one, or the order failed (status). */
bool stego_walk_next(struct stego_walk *w, struct stego_slot *out);

static inline unsigned stego_slot_get(const struct stego_slots *s, struct stego_slot at)
{
    return ((uint32_t)s->samples[at.sample] >> at.shift) & 1U;
}

static inline void stego_slot_set(const struct stego_slots *s, struct stego_slot at, unsigned bit)
{
    const uint32_t cleared = (uint32_t)s->samples[at.sample] & ~(UINT32_C(1) << at.shift);
    s->samples[at.sample] = (int32_t)(cleared | (uint32_t)bit << at.shift);
}

#endif
