/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/fragments.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_HEADER_BYTES 8U

struct piece {
    const uint8_t *data;
    size_t len;
    uint64_t offset; /* of its item, from the first one behind the Basic Offset Table */
};

struct dicom_fragments {
    struct piece *pieces;
    size_t count, room;
    uint64_t end; /* where the next item would begin */
    /* Frame i is the fragments from starts[i] to starts[i + 1]. */
    size_t *starts;
    uint32_t frames;
};

enum ds_status dicom_fragments_new(struct dicom_fragments **out, struct ds_error *err)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? DS_OK : ds_fail(err, DS_ENOMEM, "no memory for fragments");
}

void dicom_fragments_free(struct dicom_fragments *f)
{
    if (f == NULL) {
        return;
    }
    free(f->pieces);
    free(f->starts);
    free(f);
}

enum ds_status dicom_fragments_add(struct dicom_fragments *f, const uint8_t *data, size_t len,
                                   struct ds_error *err)
{
    if (f->count == f->room) {
        const size_t room = f->room == 0 ? 16 : 2 * f->room;
        struct piece *grown = reallocarray(f->pieces, room, sizeof(*grown));
        if (grown == NULL) {
            return ds_fail(err, DS_ENOMEM, "no memory for %zu fragments", room);
        }
        f->pieces = grown;
        f->room = room;
    }
    f->pieces[f->count++] = (struct piece){data, len, f->end};
    f->end += ITEM_HEADER_BYTES + (uint64_t)len + (len & 1U);
    return DS_OK;
}

/* ---- frames ---- */

/* The fragment whose item begins at offset, searched from `from` on; f->count when there is none.
 */
static size_t piece_at(const struct dicom_fragments *f, size_t from, uint64_t offset)
{
    size_t i = from;
    while (i < f->count && f->pieces[i].offset < offset) {
        i++;
    }
    return i < f->count && f->pieces[i].offset == offset ? i : f->count;
}

/* Fills starts from a table of offsets, each of width bytes; false when it does not add up: it must
 * begin at the first fragment, go up, and point at fragments. */
static bool follow(struct dicom_fragments *f, const uint8_t *table, unsigned width)
{
    struct ds_cursor c = ds_cursor_over(table, (size_t)f->frames * width);
    size_t at = 0;
    for (uint32_t i = 0; i < f->frames; i++) {
        const size_t start = piece_at(f, at, ds_cursor_le(&c, width));
        if (start == f->count || (i == 0 && start != 0)) {
            return false;
        }
        f->starts[i] = start;
        at = start + 1;
    }
    f->starts[f->frames] = f->count;
    return true;
}

/* With an Extended Offset Table every frame is one fragment (PS3.5 A.4); the lengths are those of
 * the codestreams without padding (PS3.3 C.7.6.3.1.8). */
static bool follow_extended(struct dicom_fragments *f, const struct dicom_extended_table *t)
{
    const size_t want = 8 * (size_t)f->frames;
    if (t == NULL || t->offsets == NULL || t->bytes != want || f->count != f->frames ||
        !follow(f, t->offsets, 8)) {
        return false;
    }
    struct ds_cursor c = ds_cursor_over(t->lengths, t->lengths != NULL ? want : 0);
    for (size_t i = 0; i < f->count && t->lengths != NULL; i++) {
        const uint64_t len = ds_cursor_le(&c, 8);
        struct piece *p = &f->pieces[i];
        p->len = len > 0 && len + 1 >= p->len && len <= p->len ? (size_t)len : p->len;
    }
    return true;
}

/* SOI of JPEG and JPEG-LS, SOC and SIZ of JPEG 2000, or its signature box. */
static bool begins_stream(const struct piece *p)
{
    static const uint8_t jp2[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 0x0d, 0x0a, 0x87, 0x0a};
    static const uint8_t soi[3] = {0xff, 0xd8, 0xff};
    static const uint8_t soc[4] = {0xff, 0x4f, 0xff, 0x51};
    return (p->len >= sizeof(soi) && memcmp(p->data, soi, sizeof(soi)) == 0) ||
           (p->len >= sizeof(soc) && memcmp(p->data, soc, sizeof(soc)) == 0) ||
           (p->len >= sizeof(jp2) && memcmp(p->data, jp2, sizeof(jp2)) == 0);
}

static bool count_out(struct dicom_fragments *f)
{
    const bool one_each = f->count == f->frames;
    uint32_t found = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (!one_each && i > 0 && (f->frames == 1 || !begins_stream(&f->pieces[i]))) {
            continue;
        }
        if (found == f->frames) {
            return false;
        }
        f->starts[found++] = i;
    }
    f->starts[f->frames] = f->count;
    return found == f->frames;
}

enum ds_status dicom_fragments_assign(struct dicom_fragments *f, const uint8_t *basic,
                                      size_t basic_len, const struct dicom_extended_table *table,
                                      uint32_t frames, struct ds_error *err)
{
    if (frames == 0 || f->count < frames) {
        return ds_fail(err, DS_EFORMAT, "%zu fragments for %u frames", f->count, frames);
    }
    f->frames = frames;
    f->starts = calloc((size_t)frames + 1, sizeof(*f->starts));
    if (f->starts == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %u frames", frames);
    }
    const bool has_basic = basic != NULL && basic_len / 4 == frames && basic_len % 4 == 0;
    if (follow_extended(f, table) || (has_basic && follow(f, basic, 4)) || count_out(f)) {
        return DS_OK;
    }
    return ds_fail(err, DS_EFORMAT, "%zu fragments, and nothing says how they are %u frames",
                   f->count, frames);
}

/* ---- items as they lie in a file ---- */

/* The next item; false at the delimiter, at the end, or when something else stands there, which
 * sets c->failed. */
static bool next_item(struct ds_cursor *c, const uint8_t **data, size_t *len)
{
    if (ds_cursor_left(c) == 0) {
        return false;
    }
    const uint64_t group = ds_cursor_le(c, 2);
    const uint64_t element = ds_cursor_le(c, 2);
    *len = (size_t)ds_cursor_le(c, 4);
    if (group == 0xfffe && element == 0xe0dd && !c->failed) {
        return false;
    }
    *data = ds_cursor_bytes(c, *len);
    c->failed = c->failed || group != 0xfffe || element != 0xe000;
    return !c->failed;
}

static enum ds_status add_items(struct dicom_fragments *f, struct ds_cursor *c,
                                struct ds_error *err)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    enum ds_status s = DS_OK;
    while (s == DS_OK && next_item(c, &data, &len)) {
        s = dicom_fragments_add(f, data, len, err);
    }
    return s == DS_OK && c->failed
               ? ds_fail(err, DS_EFORMAT, "the items of Pixel Data do not add up")
               : s;
}

enum ds_status dicom_fragments_open(struct dicom_fragments **out, const uint8_t *value, size_t len,
                                    const struct dicom_extended_table *table, uint32_t frames,
                                    struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(value, len);
    const uint8_t *basic = NULL;
    size_t basic_len = 0;
    *out = NULL;
    if (!next_item(&c, &basic, &basic_len)) {
        return ds_fail(err, DS_EFORMAT, "Pixel Data without an offset table");
    }
    struct dicom_fragments *f = NULL;
    enum ds_status s = dicom_fragments_new(&f, err);
    if (s == DS_OK) {
        s = add_items(f, &c, err);
    }
    if (s == DS_OK) {
        s = dicom_fragments_assign(f, basic, basic_len, table, frames, err);
    }
    if (s != DS_OK) {
        dicom_fragments_free(f);
        return s;
    }
    *out = f;
    return DS_OK;
}

enum ds_status dicom_fragments_frame(const struct dicom_fragments *f, uint32_t frame,
                                     struct ds_bytes *joined, const uint8_t **stream, size_t *len,
                                     struct ds_error *err)
{
    *stream = NULL;
    *len = 0;
    if (frame >= f->frames) {
        return ds_fail(err, DS_EINVAL, "no frame %u among %u", frame, f->frames);
    }
    const size_t first = f->starts[frame];
    const size_t behind = f->starts[frame + 1];
    if (behind - first == 1) {
        *stream = f->pieces[first].data;
        *len = f->pieces[first].len;
        return DS_OK;
    }
    joined->len = 0;
    for (size_t i = first; i < behind; i++) {
        const enum ds_status s = ds_bytes_append(joined, f->pieces[i].data, f->pieces[i].len, err);
        if (s != DS_OK) {
            return s;
        }
    }
    *stream = joined->data;
    *len = joined->len;
    return DS_OK;
}
