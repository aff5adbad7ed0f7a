/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coupling - for a pixel's class and prediction: how probable each value is, and how probable it
 * shall be in the carrier. Private.
 *
 * A coupling covers a window of consecutive values around the prediction. P is the distribution
 * that the model expects there; Q is P with mass moved outward, away from the prediction, so that a
 * step outward never makes a value less probable by more than the factor 2^-lambda where mass was
 * moved. That maximises H(Q) - lambda * (expected distance moved) over all outward moves: with
 * weights 2^(lambda k) on the distance k it is isotonic regression on a path with its root at the
 * prediction, solved by pooling adjacent violators (Ayer et al., Ann. Math. Stat. 26:641, 1955).
 */
#ifndef DICOMSTEGO_COUPLING_H
#define DICOMSTEGO_COUPLING_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEGO_SLOT_BITS     20U
#define STEGO_SLOTS         (1U << STEGO_SLOT_BITS)
#define STEGO_SCALES        160U /* the scale doubles every eight */
#define STEGO_FRACTION_BITS 4U   /* predictions are in 1/16 of a pixel's step */
#define STEGO_WINDOW_MAX    256U /* values on either side */
#define STEGO_SHAPES        3U
#define STEGO_LAMBDA_MAX    1023U

/* What all couplings of one plane have in common. */
struct stego_model {
    uint8_t shape;   /* of P: 0 logistic, 1 Student's t with 4 degrees of freedom, 2 Laplace */
    uint8_t reach;   /* no value moves farther; 0: no bound */
    uint16_t lambda; /* bits for a step: 2^((lambda - 640) / 64); 0..STEGO_LAMBDA_MAX */
};

/* Cumulated slots: values first .. first + count - 1 relative to the prediction rounded down;
 * p[i] .. p[i + 1] - 1 are the slots of value i. */
struct stego_coupling {
    int32_t first;
    uint32_t count;
    uint32_t *p, *q; /* count + 1 each; from 0 to STEGO_SLOTS. NULL: idle */
    uint32_t *seen;  /* count; for the embedder's statistics. NULL: made after counting */
    bool is_idle;    /* P and Q are the same */
    uint32_t key;
    struct stego_coupling *next;
};

struct stego_couplings;

/* They are made when first asked for and kept, as long as they take no more than about room_bytes.
 * When that is full all are forgotten and made again when they are asked for; but none of those
 * made while counting, which, when it is full, makes no more. */
DS_CHECKED enum ds_status stego_couplings_new(struct stego_couplings **out,
                                              const struct stego_model *model, size_t room_bytes,
                                              bool is_counting, struct ds_error *err);
/* Ends the counting; there is room for so much more from now on. How often none was made. */
size_t stego_couplings_counted(struct stego_couplings *c, size_t more_bytes);
void stego_couplings_free(struct stego_couplings *c);

/* Another lambda and reach for all of them, old ones and new. */
void stego_couplings_set(struct stego_couplings *c, const struct stego_model *model);

/* For a prediction of `fraction` 1/16 above a whole value that may go down by `below` and up by
 * `above` (from that whole value). NULL: fewer than two values, no room to count, or out of memory
 * (then c->failed). Valid until the next one is asked for. */
const struct stego_coupling *stego_couplings_get(struct stego_couplings *c, unsigned scale,
                                                 unsigned fraction, uint32_t below, uint32_t above);

/* What all pixels counted in `seen` would take and cost. Embedder only. */
struct stego_yield {
    double bits, error;
};
struct stego_yield stego_couplings_yield(const struct stego_couplings *c);
bool stego_couplings_failed(const struct stego_couplings *c);

/* -log2 of the probability of a value `distance` (in 1/16) from its prediction, for choosing a
 * shape; embedder only. */
double stego_shape_cost(unsigned shape, unsigned scale, int32_t distance);

#endif
