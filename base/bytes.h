/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes - a growing buffer that knows its maximum, and a cursor that never reads past the end.
 *
 * struct ds_bytes owns its memory. It is born with a maximum (DS_BYTES_INIT) and answers
 * DS_EFORMAT beyond it, because only a number from outside can ask for that much. It wipes what it
 * frees, because keys and reports pass through it.
 *
 * struct ds_cursor borrows. A read past the end sets `failed`, returns zeros, and stays failed:
 * parse a whole record, then ask once.
 *
 * A buffer born with DS_BYTES_LARGE keeps at most DS_BYTES_IN_MEMORY bytes in memory: beyond that
 * it moves into a scratch file (base/map.h), still one piece behind `data`. For whole images; never
 * for keys, because a disk cannot be wiped, and it is not wiped in memory either.
 *
 * Byte order lives here and nowhere else: _le little endian (DICOM), _be big endian (capsule).
 */
#ifndef DICOMSTEGO_BASE_BYTES_H
#define DICOMSTEGO_BASE_BYTES_H

#include "base/base.h"
#include "base/error.h"
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ds_bytes {
    uint8_t *data; /* NULL when len and capacity are 0 */
    size_t len;
    size_t capacity;
    size_t max;
    bool large;                /* may move into a scratch file */
    struct ds_scratch scratch; /* used when its data are not NULL */
};

#define DS_BYTES_IN_MEMORY (16U * 1024U * 1024U)

/* An empty buffer that may grow to max bytes. Needs ds_bytes_free. */
#define DS_BYTES_INIT(max_bytes)                                                                   \
    ((struct ds_bytes){NULL, 0, 0, (max_bytes), false, DS_SCRATCH_INIT})
#define DS_BYTES_LARGE(max_bytes)                                                                  \
    ((struct ds_bytes){NULL, 0, 0, (max_bytes), true, DS_SCRATCH_INIT})

void ds_bytes_free(struct ds_bytes *b); /* wipes; leaves an empty buffer of the same kind */

/* Make room for len more bytes behind the present ones without changing len. */
DS_CHECKED enum ds_status ds_bytes_reserve(struct ds_bytes *b, size_t len, struct ds_error *err);
DS_CHECKED enum ds_status ds_bytes_append(struct ds_bytes *b, const void *data, size_t len,
                                          struct ds_error *err);
/* Sets the length, zero-filling what is new. */
DS_CHECKED enum ds_status ds_bytes_resize(struct ds_bytes *b, size_t len, struct ds_error *err);
/* Moves the memory out: *b is left empty. */
struct ds_bytes ds_bytes_take(struct ds_bytes *b);

DS_CHECKED enum ds_status ds_bytes_put_u8(struct ds_bytes *b, uint8_t v, struct ds_error *err);
DS_CHECKED enum ds_status ds_bytes_put_be(struct ds_bytes *b, uint64_t v, unsigned width_bytes,
                                          struct ds_error *err);
DS_CHECKED enum ds_status ds_bytes_put_le(struct ds_bytes *b, uint64_t v, unsigned width_bytes,
                                          struct ds_error *err);

struct ds_cursor {
    const uint8_t *data;
    size_t len;
    size_t at;
    bool failed;
};

static inline struct ds_cursor ds_cursor_over(const void *data, size_t len)
{
    return (struct ds_cursor){(const uint8_t *)data, len, 0, false};
}

static inline size_t ds_cursor_left(const struct ds_cursor *c)
{
    return c->failed ? 0 : c->len - c->at;
}

uint64_t ds_cursor_be(struct ds_cursor *c, unsigned width_bytes);
uint64_t ds_cursor_le(struct ds_cursor *c, unsigned width_bytes);
/* A borrowed pointer to the next len bytes, or NULL (and failed) when there are fewer. */
const uint8_t *ds_cursor_bytes(struct ds_cursor *c, size_t len);

/* Lower-case hexadecimal with a terminator: out has room for 2 * len + 1 characters. */
void ds_hex(const uint8_t *data, size_t len, char *out);
/* Reads exactly 2 * len hexadecimal digits, either case. */
DS_CHECKED bool ds_unhex(const char *text, uint8_t *out, size_t len);

#endif
