/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find - looks through all samples of a plane: for a mark in the lowest bits, for values outside
 * the format, for a restless place. Private.
 */
#ifndef DICOMSTEGO_FIND_H
#define DICOMSTEGO_FIND_H

#include "base/base.h"
#include "dicomstego/plane.h"

/* The first sample at or after `from` whose lowest bit and those of the next 63 differ from `mark`
 * (most significant bit first) in at most `wrong` places; `count` when there is none. */
size_t stego_find_mark(const int32_t *samples, size_t count, size_t from, uint64_t mark,
                       unsigned wrong);

/* Are all samples low..high? */
bool stego_find_none_outside(const int32_t *samples, size_t count, int32_t low, int32_t high);

/* The most restless run of at least `length` samples each of which may hold a bit, of those that
 * begin at a multiple of STEGO_UNREST_BLOCK and at or before `latest`. False when there is none
 * such; another run there can be all the same. */
DS_CHECKED bool stego_find_restless(const struct stego_plane *plane, size_t length, size_t latest,
                                    size_t *begin);

#endif
