/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "base/secret.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* A large one holds an image, never a key, and may have been on a disk: wiping it would cost as
 * much as copying it, and hide nothing. */
static void drop_memory(struct ds_bytes *b)
{
    if (b->data != NULL && !b->large) {
        ds_wipe(b->data, b->capacity);
    }
    free(b->data);
}

void ds_bytes_free(struct ds_bytes *b)
{
    if (b == NULL) {
        return;
    }
    if (b->scratch.data != NULL) {
        ds_scratch_free(&b->scratch);
    } else {
        drop_memory(b);
    }
    *b = b->large ? DS_BYTES_LARGE(b->max) : DS_BYTES_INIT(b->max);
}

/* Copies long data so that neither end stays in memory. */
static void copy_over(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t at = 0; at < len; at += DS_MAP_STEP_BYTES) {
        const size_t n = len - at < DS_MAP_STEP_BYTES ? len - at : DS_MAP_STEP_BYTES;
        memcpy(to + at, from + at, n);
        if (len > DS_MAP_STEP_BYTES) {
            ds_map_forget(from + at, n);
            ds_map_forget(to + at, n);
        }
    }
}

/* Large steps: the disk's room is reserved as the scratch grows. */
#define SCRATCH_STEP_BYTES (64U * 1024U * 1024U)

static enum ds_status grow_scratch(struct ds_bytes *b, size_t wanted, struct ds_error *err)
{
    const size_t rest = SCRATCH_STEP_BYTES - 1 - (wanted - 1) % SCRATCH_STEP_BYTES;
    size_t capacity;
    if (!ds_size_add(wanted, rest, &capacity)) {
        capacity = wanted;
    }
    /* The first time its descriptor is what a zeroed buffer holds: 0 would be a file. */
    const bool moves = b->scratch.data == NULL;
    if (moves) {
        b->scratch = DS_SCRATCH_INIT;
    }
    const enum ds_status s = ds_scratch_reserve(&b->scratch, capacity, err);
    if (s != DS_OK) {
        return s;
    }
    if (moves && b->data != NULL) {
        copy_over(b->scratch.data, b->data, b->len);
        drop_memory(b);
    }
    b->data = b->scratch.data;
    b->capacity = b->scratch.capacity;
    return DS_OK;
}

enum ds_status ds_bytes_reserve(struct ds_bytes *b, size_t len, struct ds_error *err)
{
    size_t wanted;
    if (!ds_size_add(b->len, len, &wanted) || wanted > b->max) {
        return ds_fail(err, DS_EFORMAT, "%zu more bytes exceed the limit of %zu", len, b->max);
    }
    if (wanted <= b->capacity) {
        return DS_OK;
    }
    if (b->large && wanted > DS_BYTES_IN_MEMORY) {
        return grow_scratch(b, wanted, err);
    }
    size_t capacity = b->capacity > b->max / 2 ? b->max : 2 * b->capacity;
    if (capacity < wanted) {
        capacity = wanted;
    }
    /* Not realloc: it would leave an unwiped copy behind. */
    uint8_t *grown = malloc(capacity);
    if (grown == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu bytes", capacity);
    }
    if (b->data != NULL) {
        memcpy(grown, b->data, b->len);
        drop_memory(b);
    }
    b->data = grown;
    b->capacity = capacity;
    return DS_OK;
}

enum ds_status ds_bytes_append(struct ds_bytes *b, const void *data, size_t len,
                               struct ds_error *err)
{
    if (len == 0) {
        return DS_OK;
    }
    const enum ds_status s = ds_bytes_reserve(b, len, err);
    if (s != DS_OK) {
        return s;
    }
    copy_over(b->data + b->len, data, len);
    const size_t before = b->len;
    b->len += len;
    if (b->scratch.data != NULL && before / DS_MAP_STEP_BYTES != b->len / DS_MAP_STEP_BYTES) {
        const size_t from = before / DS_MAP_STEP_BYTES * DS_MAP_STEP_BYTES;
        ds_map_forget(b->data + from, b->len - from);
    }
    return DS_OK;
}

static void zero_over(uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len; at += DS_MAP_STEP_BYTES) {
        const size_t n = len - at < DS_MAP_STEP_BYTES ? len - at : DS_MAP_STEP_BYTES;
        memset(data + at, 0, n);
        if (len > DS_MAP_STEP_BYTES) {
            ds_map_forget(data + at, n);
        }
    }
}

enum ds_status ds_bytes_resize(struct ds_bytes *b, size_t len, struct ds_error *err)
{
    if (len > b->len) {
        const enum ds_status s = ds_bytes_reserve(b, len - b->len, err);
        if (s != DS_OK) {
            return s;
        }
        zero_over(b->data + b->len, len - b->len);
    }
    b->len = len;
    return DS_OK;
}

struct ds_bytes ds_bytes_take(struct ds_bytes *b)
{
    const struct ds_bytes taken = *b;
    *b = taken.large ? DS_BYTES_LARGE(taken.max) : DS_BYTES_INIT(taken.max);
    return taken;
}

enum ds_status ds_bytes_put_u8(struct ds_bytes *b, uint8_t v, struct ds_error *err)
{
    return ds_bytes_append(b, &v, 1, err);
}

enum ds_status ds_bytes_put_be(struct ds_bytes *b, uint64_t v, unsigned width_bytes,
                               struct ds_error *err)
{
    uint8_t wire[8];
    for (unsigned i = 0; i < width_bytes; i++) {
        wire[i] = (uint8_t)(v >> (8 * (width_bytes - 1 - i)));
    }
    return ds_bytes_append(b, wire, width_bytes, err);
}

enum ds_status ds_bytes_put_le(struct ds_bytes *b, uint64_t v, unsigned width_bytes,
                               struct ds_error *err)
{
    uint8_t wire[8];
    for (unsigned i = 0; i < width_bytes; i++) {
        wire[i] = (uint8_t)(v >> (8 * i));
    }
    return ds_bytes_append(b, wire, width_bytes, err);
}

const uint8_t *ds_cursor_bytes(struct ds_cursor *c, size_t len)
{
    if (c->failed || len > c->len - c->at) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->at;
    c->at += len;
    return p;
}

uint64_t ds_cursor_be(struct ds_cursor *c, unsigned width_bytes)
{
    const uint8_t *p = ds_cursor_bytes(c, width_bytes);
    uint64_t v = 0;
    for (unsigned i = 0; p != NULL && i < width_bytes; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

uint64_t ds_cursor_le(struct ds_cursor *c, unsigned width_bytes)
{
    const uint8_t *p = ds_cursor_bytes(c, width_bytes);
    uint64_t v = 0;
    for (unsigned i = 0; p != NULL && i < width_bytes; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

void ds_hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool ds_unhex(const char *text, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const int high = hex_value(text[2 * i]);
        if (high < 0) {
            return false;
        }
        const int low = hex_value(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * len] == '\0';
}
