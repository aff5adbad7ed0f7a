/* SPDX-License-Identifier: Apache-2.0 */
/*
 * size - sums and products of numbers that came from outside: false when they overflow.
 */
#ifndef DICOMSTEGO_BASE_SIZE_H
#define DICOMSTEGO_BASE_SIZE_H

#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>

/* On false *out is unspecified. */
DS_CHECKED static inline bool ds_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

DS_CHECKED static inline bool ds_size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

#endif
