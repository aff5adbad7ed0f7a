/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duplicate - rows and columns of a grid that are equal to the one before them, left out.
 *
 * Coded: a bit for each row, then one for each column (both filled up to 8 bytes, first in the top
 * bit, 1: kept), then the kept cells in raster order. Columns are compared in the kept rows. The
 * first of each is always kept.
 */
#ifndef DICOMSTEGO_DUPLICATE_H
#define DICOMSTEGO_DUPLICATE_H

#include "base/bytes.h"

struct stego_grid {
    size_t columns, rows; /* neither is 0 */
    unsigned cell_bytes;  /* 1, 2, 4 or 8 */
};

/* Bytes of its cells; false on overflow, or when a field is out of its bounds. */
DS_CHECKED bool stego_grid_bytes(const struct stego_grid *grid, size_t *out);

/* Appends. */
DS_CHECKED enum ds_status stego_duplicate_remove(const struct stego_grid *grid,
                                                 const uint8_t *cells, struct ds_bytes *out,
                                                 struct ds_error *err);
/* Appends all cells; DS_EFORMAT when coded is not just what one such grid gives. */
DS_CHECKED enum ds_status stego_duplicate_restore(const struct stego_grid *grid,
                                                  const uint8_t *coded, size_t len,
                                                  struct ds_bytes *out, struct ds_error *err);

#endif
