/* SPDX-License-Identifier: Apache-2.0 */
/*
 * still - the pixels of a plane that somebody wants to be left alone. Private to the engine.
 *
 * What is excluded is one rectangle that the lead tells exactly. What is preserved is told by a map
 * of blocks, arithmetic-coded: a block with one such pixel is still as a whole.
 */
#ifndef DICOMSTEGO_STILL_H
#define DICOMSTEGO_STILL_H

#include "base/bytes.h"
#include "dicomstego/engine.h"
#include "dicomstego/plane.h"

#define STEGO_STILL_EXCLUDED 1U
#define STEGO_STILL_MAPPED   2U

/* Sets STEGO_STILL_EXCLUDED in still (a byte for each sample of plane `index`) where the rectangle
 * lies on it, in whole or in part. */
void stego_still_exclude(const struct stego_image *image, size_t index,
                         const struct stego_rect *exclude, uint8_t *still);

/* Sets STEGO_STILL_MAPPED where options preserve something, and appends the map's code to *map:
 * nothing when no block is still. */
DS_CHECKED enum ds_status stego_still_map(const struct stego_image *image, size_t index,
                                          const struct stego_embed_options *options, uint8_t *still,
                                          struct ds_bytes *map, struct ds_error *err);
/* The way back. Any bytes are a map. */
DS_CHECKED enum ds_status stego_still_unmap(const struct stego_plane *plane, const uint8_t *map,
                                            size_t len, uint8_t *still, struct ds_error *err);

#endif
