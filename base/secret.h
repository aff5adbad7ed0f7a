/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - wiping, comparing and drawing bytes that nobody may learn.
 */
#ifndef DICOMSTEGO_BASE_SECRET_H
#define DICOMSTEGO_BASE_SECRET_H

#include "base/base.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Overwrites in a way that the compiler may not remove. */
void ds_wipe(void *data, size_t len);

/* Equality in a time that depends on len alone. */
DS_CHECKED bool ds_equal(const void *a, const void *b, size_t len);

/* Fills out from the operating system's generator. */
DS_CHECKED enum ds_status ds_random(void *out, size_t len, struct ds_error *err);

#endif
