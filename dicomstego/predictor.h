/* SPDX-License-Identifier: Apache-2.0 */
/*
 * predictor - predicts a pixel from all the pixels around it. Private.
 *
 * The weights are those of least squares over the pixels near by whose own surroundings do not
 * reach the row in hand: so embedder and extractor, who have the same pixels except in that row,
 * find the same weights, and none has to be sent. A row is cut into strips; the pixels of a strip
 * share their weights, learned from a window of rows above and below, some strips wide.
 */
#ifndef DICOMSTEGO_PREDICTOR_H
#define DICOMSTEGO_PREDICTOR_H

#include "base/error.h"
#include "dicomstego/plane.h"

#define STEGO_PREDICTORS 4U /* with 8, 12, 24 and 48 neighbours */
#define STEGO_FEATURES   4U

struct stego_predictor;

/* Sees the plane's samples, those of the run with bit 0 cleared, as they are when the row in hand
 * comes near: samples may be changed behind it. The plane is borrowed. high - low < 2^16. */
DS_CHECKED enum ds_status stego_predictor_new(struct stego_predictor **out,
                                              const struct stego_plane *plane, size_t run_begin,
                                              size_t run_end, unsigned predictor,
                                              struct ds_error *err);
void stego_predictor_free(struct stego_predictor *n);

/* To row 0, or the last one; then row after row, each next to the one before. */
void stego_predictor_row(struct stego_predictor *n, uint32_t row);

/* What is expected at a column of the row. */
struct stego_outlook {
    int32_t prediction;              /* above plane->low, in 1/16 */
    uint8_t feature[STEGO_FEATURES]; /* how far off it may be: 16 log2 of 1/16 steps */
};

/* False when nothing can be said. Does not look at the pixel itself. */
DS_CHECKED bool stego_predictor_look(struct stego_predictor *n, uint32_t column,
                                     struct stego_outlook *out);

/* The pixel's value above plane->low from now on. */
void stego_predictor_put(struct stego_predictor *n, uint32_t column, int32_t value);

#endif
