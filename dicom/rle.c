/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/rle.h"

#include <stdbool.h>
#include <string.h>

#define HEADER_BYTES 64U
#define SEGMENTS_MAX 15U

/* Where the bytes of a segment go: every step-th byte from out on, count of them. */
struct target {
    uint8_t *out;
    size_t step, count, at;
};

static void put_run(struct target *t, uint8_t value, size_t n)
{
    for (; n > 0 && t->at < t->count; n--) {
        t->out[t->at++ * t->step] = value;
    }
}

static void put_literal(struct target *t, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n && t->at < t->count; i++) {
        t->out[t->at++ * t->step] = bytes[i];
    }
}

/* PackBits (G.3.1). What a segment holds beyond count is padding. */
static bool unpack(struct ds_cursor *c, struct target *t)
{
    while (t->at < t->count) {
        const unsigned control = (unsigned)ds_cursor_le(c, 1);
        if (c->failed) {
            return false;
        }
        if (control < 128) {
            const uint8_t *bytes = ds_cursor_bytes(c, control + 1);
            if (bytes == NULL) {
                return false;
            }
            put_literal(t, bytes, control + 1);
        } else if (control > 128) {
            put_run(t, (uint8_t)ds_cursor_le(c, 1), 257 - control);
        }
    }
    return !c->failed;
}

/* The offsets of the segments, ascending and inside the frame; offsets[count] is its end. */
static bool read_header(const uint8_t *data, size_t len, unsigned count,
                        size_t offsets[SEGMENTS_MAX + 1])
{
    struct ds_cursor c = ds_cursor_over(data, len);
    if (len < HEADER_BYTES || ds_cursor_le(&c, 4) != count) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        offsets[i] = (size_t)ds_cursor_le(&c, 4);
        if (offsets[i] < (i == 0 ? HEADER_BYTES : offsets[i - 1]) || offsets[i] > len) {
            return false;
        }
    }
    offsets[count] = len;
    return !c.failed;
}

enum ds_status dicom_rle_decode(const uint8_t *data, size_t len, size_t pixels, unsigned samples,
                                unsigned bytes, uint8_t *out, struct ds_error *err)
{
    size_t offsets[SEGMENTS_MAX + 1];
    const unsigned count = samples * bytes;
    if (count == 0 || count > SEGMENTS_MAX) {
        return ds_fail(err, DS_EUNSUPPORTED, "RLE with %u segments", count);
    }
    if (!read_header(data, len, count, offsets)) {
        return ds_fail(err, DS_EFORMAT, "the RLE header does not fit the image");
    }
    for (unsigned i = 0; i < count; i++) {
        /* Segments go sample by sample, the most significant byte first (G.2). */
        const unsigned place = i / bytes * bytes + (bytes - 1 - i % bytes);
        struct target t = {.out = out + place, .step = count, .count = pixels};
        struct ds_cursor c = ds_cursor_over(data + offsets[i], offsets[i + 1] - offsets[i]);
        if (!unpack(&c, &t)) {
            return ds_fail(err, DS_EFORMAT, "RLE segment %u is too short", i + 1);
        }
    }
    return DS_OK;
}

/* ---- encoding ---- */

#define RUN_MAX 128U /* bytes that one control byte speaks for */
#define RUN_MIN 3U   /* a shorter one costs less as part of a literal */

/* A row of one segment: every step-th byte. */
struct row {
    const uint8_t *bytes;
    size_t step, count;
};

static uint8_t at(const struct row *r, size_t i)
{
    return r->bytes[i * r->step];
}

static size_t run_at(const struct row *r, size_t i)
{
    size_t n = 1;
    while (n < RUN_MAX && i + n < r->count && at(r, i + n) == at(r, i)) {
        n++;
    }
    return n;
}

static enum ds_status put_literals(const struct row *r, size_t from, size_t to,
                                   struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    while (s == DS_OK && from < to) {
        const size_t n = to - from < RUN_MAX ? to - from : RUN_MAX;
        s = ds_bytes_put_u8(out, (uint8_t)(n - 1), err);
        for (size_t i = 0; s == DS_OK && i < n; i++) {
            s = ds_bytes_put_u8(out, at(r, from + i), err);
        }
        from += n;
    }
    return s;
}

static enum ds_status pack_row(const struct row *r, struct ds_bytes *out, struct ds_error *err)
{
    size_t literal = 0; /* where the bytes begin that no run has taken */
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < r->count;) {
        const size_t n = run_at(r, i);
        if (n < RUN_MIN) {
            i += n;
            continue;
        }
        s = put_literals(r, literal, i, out, err);
        s = s == DS_OK ? ds_bytes_put_u8(out, (uint8_t)(257 - n), err) : s;
        s = s == DS_OK ? ds_bytes_put_u8(out, at(r, i), err) : s;
        i += n;
        literal = i;
    }
    return s == DS_OK ? put_literals(r, literal, r->count, out, err) : s;
}

static void put_offset(uint8_t *header, unsigned index, size_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        header[4 * index + i] = (uint8_t)(value >> (8 * i));
    }
}

enum ds_status dicom_rle_encode(const uint8_t *cells, size_t columns, size_t rows, unsigned samples,
                                unsigned bytes, struct ds_bytes *out, struct ds_error *err)
{
    const unsigned count = samples * bytes;
    uint8_t header[HEADER_BYTES] = {0};
    const size_t start = out->len;
    if (count == 0 || count > SEGMENTS_MAX) {
        return ds_fail(err, DS_EUNSUPPORTED, "RLE with %u segments", count);
    }
    put_offset(header, 0, count);
    enum ds_status s = ds_bytes_append(out, header, sizeof(header), err);
    for (unsigned i = 0; s == DS_OK && i < count; i++) {
        const unsigned place = i / bytes * bytes + (bytes - 1 - i % bytes);
        put_offset(header, i + 1, out->len - start);
        for (size_t y = 0; s == DS_OK && y < rows; y++) {
            const struct row r = {cells + y * columns * count + place, count, columns};
            s = pack_row(&r, out, err);
        }
        if (s == DS_OK && ((out->len - start) & 1U) != 0) {
            s = ds_bytes_put_u8(out, 0, err);
        }
    }
    if (s == DS_OK) {
        memcpy(out->data + start, header, sizeof(header));
    }
    return s;
}
