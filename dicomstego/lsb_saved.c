/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/lsb_saved.h"

#include "dicomstego/coder.h"
#include "dicomstego/lsb_header.h"

#include <stdlib.h>

#define HISTORY_BITS 6U
#define HISTORIES    (1U << HISTORY_BITS)
#define SURROUNDINGS 8U
#define SHIFTS       4U

/* What is known of a bit before it is coded. */
struct model {
    struct stego_chance chance[SHIFTS][SURROUNDINGS][HISTORIES];
    unsigned history[SHIFTS]; /* of bits of equal weight, in sequence */
};

static struct model *model_new(void)
{
    struct model *m = calloc(1, sizeof(*m));
    for (unsigned i = 0; m != NULL && i < SHIFTS * SURROUNDINGS * HISTORIES; i++) {
        (&m->chance[0][0][0])[i] = STEGO_CHANCE_EVEN;
    }
    return m;
}

static void model_auto(struct model **m)
{
    free(*m);
}

static uint32_t upper(const struct stego_slots *s, size_t sample)
{
    return (uint32_t)s->samples[sample] >> s->planes;
}

/* Equal to its neighbours above the slots' bits, which stay? And are all those bits alike: black or
 * saturated? */
static unsigned surroundings(const struct stego_slots *s, size_t i)
{
    const uint32_t own = upper(s, i);
    const bool before = i > 0 && upper(s, i - 1) == own;
    const bool behind = i + 1 < s->samples_count && upper(s, i + 1) == own;
    return (before ? 1U : 0U) | (behind ? 2U : 0U) | (own == 0 ? 4U : 0U);
}

static struct stego_chance *chance_of(struct model *m, const struct stego_slots *s,
                                      struct stego_slot at)
{
    return &m->chance[at.shift][surroundings(s, at.sample)][m->history[at.shift]];
}

/* In a key's order the slot before says nothing. */
static void learn(struct model *m, const struct stego_slots *s, struct stego_slot at, unsigned bit)
{
    if (s->shuffle == NULL) {
        m->history[at.shift] = (m->history[at.shift] << 1 | bit) & (HISTORIES - 1U);
    }
}

enum ds_status stego_saved_put(const struct stego_slots *slots, uint64_t count,
                               struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(model_auto) struct model *m = model_new();
    struct stego_encoder e;
    struct stego_walk walk;
    struct stego_slot at;
    if (m == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for replaced bits");
    }
    enum ds_status status = stego_slots_get_header(slots, out, err);
    stego_encoder_init(&e);
    stego_walk_begin(&walk, slots);
    for (uint64_t i = 0; i < count && stego_walk_next(&walk, &at); i++) {
        const unsigned bit = stego_slot_get(slots, at);
        stego_encode(&e, chance_of(m, slots, at), bit);
        learn(m, slots, at, bit);
    }
    stego_encoder_finish(&e);
    if (status == DS_OK && (e.failed || walk.status != DS_OK)) {
        status = ds_fail(err, DS_ENOMEM, "no memory for replaced bits");
    }
    if (status == DS_OK) {
        status = ds_bytes_append(out, e.out.data, e.out.len, err);
    }
    ds_bytes_free(&e.out);
    return status;
}

enum ds_status stego_saved_restore(const struct stego_slots *slots, uint64_t count,
                                   const uint8_t *saved, size_t len, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes now = DS_BYTES_INIT(STEGO_LSB_HEADER_MAX_BYTES);
    DS_AUTO(model_auto) struct model *m = model_new();
    struct stego_decoder d;
    struct stego_walk walk;
    struct stego_slot at;
    if (m == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for replaced bits");
    }
    const enum ds_status status = stego_slots_get_header(slots, &now, err);
    if (status != DS_OK) {
        return status;
    }
    const size_t header = now.len;
    if (len < header || count > slots->total) {
        return ds_fail(err, DS_EAUTH, "the replaced bits are not those of this image");
    }
    stego_decoder_init(&d, saved + header, len - header);
    stego_walk_begin(&walk, slots);
    for (uint64_t i = 0; i < count && stego_walk_next(&walk, &at); i++) {
        const unsigned bit = stego_decode(&d, chance_of(m, slots, at));
        stego_slot_set(slots, at, bit);
        learn(m, slots, at, bit);
    }
    stego_slots_put_header(slots, saved, header);
    return walk.status == DS_OK ? DS_OK : ds_fail(err, walk.status, "replaced bits");
}
