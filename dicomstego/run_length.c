/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/run_length.h"

#include <string.h>

#define COUNT_DIGITS_MAX 10U /* of 64 bits */

static unsigned put_count(uint8_t *to, size_t count)
{
    unsigned n = 0;
    while (count > 0x7f) {
        to[n++] = (uint8_t)(count | 0x80);
        count >>= 7;
    }
    to[n++] = (uint8_t)count;
    return n;
}

enum ds_status stego_run_length_encode(const uint8_t *cells, size_t len, unsigned cell_bytes,
                                       struct ds_bytes *out, struct ds_error *err)
{
    if (cell_bytes == 0 || cell_bytes > 8 || len % cell_bytes != 0) {
        return ds_fail(err, DS_EINVAL, "%zu bytes are no cells of %u", len, cell_bytes);
    }
    for (size_t at = 0; at < len;) {
        uint8_t run[8 + COUNT_DIGITS_MAX];
        size_t end = at + cell_bytes;
        while (end < len && memcmp(cells + end, cells + at, cell_bytes) == 0) {
            end += cell_bytes;
        }
        memcpy(run, cells + at, cell_bytes);
        const unsigned digits = put_count(run + cell_bytes, (end - at) / cell_bytes);
        const enum ds_status s = ds_bytes_append(out, run, cell_bytes + digits, err);
        if (s != DS_OK) {
            return s;
        }
        at = end;
    }
    return DS_OK;
}

/* 0, which no run has, when it is damaged. */
static uint64_t get_count(struct ds_cursor *c)
{
    uint64_t count = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        const uint64_t digit = ds_cursor_be(c, 1);
        count |= (digit & 0x7f) << shift;
        if ((digit & 0x80) == 0) {
            return c->failed ? 0 : count;
        }
    }
    return 0;
}

enum ds_status stego_run_length_decode(const uint8_t *coded, size_t len, unsigned cell_bytes,
                                       size_t expected, struct ds_bytes *out, struct ds_error *err)
{
    if (cell_bytes == 0 || cell_bytes > 8) {
        return ds_fail(err, DS_EINVAL, "cells of %u bytes", cell_bytes);
    }
    const size_t begin = out->len;
    struct ds_cursor c = ds_cursor_over(coded, len);
    enum ds_status s = ds_bytes_resize(out, begin + expected, err);
    size_t at = 0;
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        const uint8_t *value = ds_cursor_bytes(&c, cell_bytes);
        const uint64_t count = value == NULL ? 0 : get_count(&c);
        if (count == 0 || count > (expected - at) / cell_bytes) {
            s = ds_fail(err, DS_EFORMAT, "the run lengths are damaged");
        }
        for (uint64_t i = 0; s == DS_OK && i < count; i++, at += cell_bytes) {
            memcpy(out->data + begin + at, value, cell_bytes);
        }
    }
    if (s == DS_OK && (c.failed || at != expected)) {
        s = ds_fail(err, DS_EFORMAT, "the run lengths end early");
    }
    if (s != DS_OK) {
        out->len = begin;
    }
    return s;
}
