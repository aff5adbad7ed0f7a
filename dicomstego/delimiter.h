/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delimiter - bytes that end at an agreed text instead of after an agreed length.
 *
 * Escaped so that the delimiter's first byte occurs nowhere before it: the first occurrence is the
 * end. Byte stuffing as in RFC 1662, with two bytes for each of the two that may not occur. Pure.
 */
#ifndef DICOMSTEGO_DELIMITER_H
#define DICOMSTEGO_DELIMITER_H

#include "base/bytes.h"

/* Appends data, escaped, and the delimiter, which has 1 byte or more. At most 2 * len + its length.
 */
DS_CHECKED enum ds_status stego_delimiter_put(const char *delimiter, const uint8_t *data,
                                              size_t len, struct ds_bytes *out,
                                              struct ds_error *err);

/* Reads it from a source that gives one byte after another (false: there are no more). Appends what
 * was escaped. DS_EAUTH: it was not written like this. */
typedef bool stego_next_byte(void *context, uint8_t *byte);
DS_CHECKED enum ds_status stego_delimiter_get(const char *delimiter, stego_next_byte *next,
                                              void *context, struct ds_bytes *out,
                                              struct ds_error *err);

#endif
