/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_length - cells as (value, count): the value's bytes as they are, the count in base 128, least
 * digit first, the top bit of a byte saying that more follow. At worst 1 + 1/cell_bytes as long as
 * it was.
 */
#ifndef DICOMSTEGO_RUN_LENGTH_H
#define DICOMSTEGO_RUN_LENGTH_H

#include "base/bytes.h"

/* Appends; len is a multiple of cell_bytes, which is 1 to 8. */
DS_CHECKED enum ds_status stego_run_length_encode(const uint8_t *cells, size_t len,
                                                  unsigned cell_bytes, struct ds_bytes *out,
                                                  struct ds_error *err);
/* Appends just expected bytes; DS_EFORMAT when the runs make more or fewer, or are damaged. */
DS_CHECKED enum ds_status stego_run_length_decode(const uint8_t *coded, size_t len,
                                                  unsigned cell_bytes, size_t expected,
                                                  struct ds_bytes *out, struct ds_error *err);

#endif
