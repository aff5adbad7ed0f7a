/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/rle.h"

#include "base/bytes.h"

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
