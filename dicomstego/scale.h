/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale - how far a pixel may be from its prediction, told from the features of its surroundings.
 * Private.
 *
 * The logarithm of the scale is a linear function of the features' logarithms; the embedder fits it
 * to the image and sends it along.
 */
#ifndef DICOMSTEGO_SCALE_H
#define DICOMSTEGO_SCALE_H

#include "dicomstego/coupling.h"
#include "dicomstego/predictor.h"

#include <string.h>

#define STEGO_CLASSES_OF_SCALE 80U /* four to the octave */
#define STEGO_KNOTS            8U

struct stego_scale {
    int8_t slope[STEGO_FEATURES]; /* in 1/32; -16..47 */
    int16_t offset;               /* in 1/16 octave; -256..255 */
    /* The rest is not linear: a line through knots an octave apart, the first at this class,
     * corrects the scale by so many 1/8 of an octave; -6..9. */
    uint8_t first;
    int8_t correction[STEGO_KNOTS];
};

/* A pixel that was looked at, in little room: there is one for each few pixels of a plane. */
struct stego_site {
    uint16_t value;  /* above plane->low */
    int16_t surplus; /* of it over its prediction, in 1/16; what is beyond is cut off: so far away
                        nothing is coupled */
    uint8_t feature[STEGO_FEATURES];
};

static inline struct stego_site stego_site_of(const struct stego_outlook *look, int32_t value)
{
    const int32_t d = 16 * value - look->prediction;
    struct stego_site s = {.value = (uint16_t)value,
                           .surplus = (int16_t)(d < INT16_MIN ? INT16_MIN : d)};
    s.surplus = d > INT16_MAX ? INT16_MAX : s.surplus;
    memcpy(s.feature, look->feature, sizeof s.feature);
    return s;
}

static inline struct stego_outlook stego_site_outlook(const struct stego_site *s)
{
    struct stego_outlook look = {.prediction = 16 * s->value - s->surplus};
    memcpy(look.feature, s->feature, sizeof look.feature);
    return look;
}

/* 0..STEGO_CLASSES_OF_SCALE - 1. */
static inline unsigned stego_scale_class(const struct stego_scale *s,
                                         const uint8_t feature[STEGO_FEATURES])
{
    int32_t l = 32 * s->offset + 8 * 128 + 64; /* in 1/512 octave */
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        l += s->slope[i] * feature[i];
    }
    const int32_t class = l < 0 ? 0 : l / 128;
    return class < (int32_t)STEGO_CLASSES_OF_SCALE ? (unsigned)class : STEGO_CLASSES_OF_SCALE - 1U;
}

/* The scale of every class, as stego_couplings_get takes it. */
void stego_scale_table(const struct stego_scale *s, uint8_t scales[STEGO_CLASSES_OF_SCALE]);

/* Fits scale and shape to the sites; thorough looks at more of them. */
DS_CHECKED enum ds_status stego_scale_fit(const struct stego_site *sites, size_t count,
                                          bool thorough, struct stego_scale *scale, uint8_t *shape,
                                          struct ds_error *err);

#endif
