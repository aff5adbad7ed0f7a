/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place - the chain's pixels: which may be changed, and which coupling a pixel has. Private.
 */
#ifndef DICOMSTEGO_PLACE_H
#define DICOMSTEGO_PLACE_H

#include "dicomstego/chain.h"
#include "dicomstego/scale.h"

/* May this sample be changed, as far as its place and padding say? */
static inline bool stego_is_site(const struct stego_chain *chain, size_t i)
{
    const struct stego_plane *p = chain->plane;
    return !(i >= chain->run_begin && i < chain->run_end) &&
           (p->still == NULL || p->still[i] == 0) && !stego_plane_is_padding(p, p->samples[i]);
}

/* Where a pixel stands to its prediction. The pixel's value and what becomes of it are on the same
 * side of the padding, so both see the same. */
struct stego_stand {
    int32_t base; /* above plane->low */
    unsigned fraction;
    uint32_t below, above;
};

static inline struct stego_stand stego_stand_of(const struct stego_plane *p, int32_t x,
                                                int32_t prediction)
{
    int32_t first = 0;
    int32_t last = p->high - p->low;
    if (p->has_padding) {
        if (x < p->padding_min) {
            last = p->padding_min - 1 - p->low;
        } else {
            first = p->padding_max + 1 - p->low;
        }
    }
    struct stego_stand s = {.base = prediction >> 4, .fraction = (unsigned)prediction & 15U};
    if (s.base < first || s.base > last) {
        s.base = s.base < first ? first : last;
        s.fraction = 0;
    }
    s.below = (uint32_t)(s.base - first);
    s.above = (uint32_t)(last - s.base);
    return s;
}

/* Finds couplings. */
struct stego_guide {
    const struct stego_plane *plane;
    struct stego_couplings *couplings;
    struct stego_scale scale;
    uint8_t scales[STEGO_CLASSES_OF_SCALE];
};

/* A value in its coupling. */
struct stego_place {
    const struct stego_coupling *coupling;
    uint32_t index; /* in the coupling */
    int32_t zero;   /* the sample of index 0 */
};

static inline struct stego_guide stego_guide_of(const struct stego_plane *plane,
                                                struct stego_couplings *couplings,
                                                const struct stego_scale *scale)
{
    struct stego_guide g = {.plane = plane, .couplings = couplings, .scale = *scale};
    stego_scale_table(scale, g.scales);
    return g;
}

/* Where the sample x is; false when it has no coupling, or is beyond it. */
static inline bool stego_guide_find(const struct stego_guide *g, const struct stego_outlook *look,
                                    int32_t x, struct stego_place *place)
{
    const struct stego_stand s = stego_stand_of(g->plane, x, look->prediction);
    const unsigned class = stego_scale_class(&g->scale, look->feature);
    const struct stego_coupling *c =
        stego_couplings_get(g->couplings, g->scales[class], s.fraction, s.below, s.above);
    if (c == NULL) {
        return false;
    }
    place->coupling = c;
    place->zero = s.base + c->first + g->plane->low;
    const int64_t i = (int64_t)x - place->zero;
    place->index = (uint32_t)i;
    return i >= 0 && i < (int64_t)c->count;
}

#endif
