/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the two times: monotonic for intervals, UTC for records.
 */
#ifndef DICOMSTEGO_BASE_CLOCK_H
#define DICOMSTEGO_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a clock that never jumps. */
int64_t ds_clock_monotonic_ms(void);
/* The same clock in microseconds, to measure what is short. */
int64_t ds_clock_monotonic_us(void);

/* Microseconds since 1970-01-01T00:00:00Z. */
int64_t ds_clock_utc_us(void);

#define DS_CLOCK_TEXT_BYTES 28

/* "2026-01-31T23:59:59.123456Z". */
void ds_clock_format_utc(int64_t utc_us, char out[DS_CLOCK_TEXT_BYTES]);

#endif
