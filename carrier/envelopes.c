/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document "attributes.envelopes": what stands around the pixel cells of every instance of a
 * study. All envelopes lie behind one index, so that compression finds what they have in common:
 * 28 CT slices cost little more than one.
 *
 *   "DSEV", version 1, number of envelopes n
 *   n times: key (4 bytes), flags (1), length before, length behind (numbers)
 *   n times: before, behind
 */
#include "carrier/carrier_private.h"

#include <string.h>

static const uint8_t magic[5] = {'D', 'S', 'E', 'V', 1};

#define ENVELOPE_MAX_BYTES (16U * 1024U * 1024U)

void carrier_envelope_free(struct carrier_envelope *e)
{
    ds_bytes_free(&e->before);
    ds_bytes_free(&e->behind);
}

static enum ds_status cut(const uint8_t *file, size_t len, size_t pixel_offset, size_t cells_len,
                          struct carrier_envelope *out, struct ds_error *err)
{
    if (pixel_offset > len || cells_len > len - pixel_offset) {
        return ds_fail(err, DS_EFORMAT, "Pixel Data is shorter than the image");
    }
    enum ds_status s = ds_bytes_append(&out->before, file, pixel_offset, err);
    const size_t end = pixel_offset + cells_len;
    if (s == DS_OK && end < len) {
        s = ds_bytes_append(&out->behind, file + end, len - end, err);
    }
    return s;
}

/* Are the cells in the file those that are read? Then the file can be put together again. */
static bool holds_cells(const struct carrier_original *o)
{
    return o->envelope.has_native_pixels && o->envelope.pixel_len >= o->pixels.all_bytes;
}

static enum ds_status canonical_envelope(const struct carrier_original *o,
                                         struct carrier_envelope *out, struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    struct dicom_envelope e = {0};
    enum ds_status s = dicom_dataset_copy(&d, o->dataset, err);
    if (s == DS_OK) {
        s = dicom_pixels_write(d, &o->pixels, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, &file, err);
    }
    if (s == DS_OK) {
        s = dicom_envelope_scan(file.data, file.len, &e, err);
    }
    return s == DS_OK ? cut(file.data, file.len, e.pixel_offset, o->pixels.all_bytes, out, err) : s;
}

static void begin(const struct carrier_original *o, struct carrier_envelope *out)
{
    memset(out, 0, sizeof(*out));
    out->before = DS_BYTES_INIT(ENVELOPE_MAX_BYTES);
    out->behind = DS_BYTES_INIT(ENVELOPE_MAX_BYTES);
    memcpy(out->key, o->hashes.dataset, sizeof(out->key));
}

enum ds_status carrier_envelope_whole(const struct carrier_original *o,
                                      struct carrier_envelope *out, struct ds_error *err)
{
    begin(o, out);
    if (o->len > ENVELOPE_MAX_BYTES) {
        return ds_fail(err, DS_ECAPACITY, "a file of %zu bytes is too large for an envelope",
                       o->len);
    }
    out->flags = CARRIER_ENVELOPE_OWN_BYTES | CARRIER_ENVELOPE_WHOLE;
    return ds_bytes_append(&out->before, o->file, o->len, err);
}

enum ds_status carrier_envelope_of(const struct carrier_original *o, struct carrier_envelope *out,
                                   struct ds_error *err)
{
    if (!o->hashes.has_pixels) {
        return carrier_envelope_whole(o, out, err);
    }
    begin(o, out);
    if (!holds_cells(o)) {
        return canonical_envelope(o, out, err);
    }
    const bool swap = o->envelope.big_endian && o->envelope.cell_bytes == 2;
    out->flags = (uint8_t)(CARRIER_ENVELOPE_OWN_BYTES | (swap ? CARRIER_ENVELOPE_SWAP_WORDS : 0U));
    return cut(o->file, o->len, o->envelope.pixel_offset, o->pixels.all_bytes, out, err);
}

/* ---- the document ---- */

static enum ds_status write_index(const struct carrier_envelope *items, size_t count,
                                  struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = ds_bytes_append(out, items[i].key, sizeof(items[i].key), err);
        if (s == DS_OK) {
            s = ds_bytes_put_u8(out, items[i].flags, err);
        }
        if (s == DS_OK) {
            s = carrier_put_number(out, (uint32_t)items[i].before.len, err);
        }
        if (s == DS_OK) {
            s = carrier_put_number(out, (uint32_t)items[i].behind.len, err);
        }
    }
    return s;
}

enum ds_status carrier_envelopes_write(const struct carrier_envelope *items, size_t count,
                                       struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = ds_bytes_append(out, magic, sizeof(magic), err);
    if (s == DS_OK) {
        s = carrier_put_number(out, (uint32_t)count, err);
    }
    if (s == DS_OK) {
        s = write_index(items, count, out, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = ds_bytes_append(out, items[i].before.data, items[i].before.len, err);
        if (s == DS_OK && items[i].behind.len > 0) {
            s = ds_bytes_append(out, items[i].behind.data, items[i].behind.len, err);
        }
    }
    return s;
}

static enum ds_status damaged(struct ds_error *err)
{
    return ds_fail(err, DS_EFORMAT, "the document of envelopes is damaged");
}

/* Reads one line of the index. */
static const uint8_t *read_entry(struct ds_cursor *index, struct carrier_envelope_view *out)
{
    const uint8_t *key = ds_cursor_bytes(index, 4);
    out->flags = (uint8_t)ds_cursor_be(index, 1);
    out->before_len = carrier_get_number(index);
    out->behind_len = carrier_get_number(index);
    return key;
}

/* The blobs begin behind the index, whose lines have no fixed width. */
static struct ds_cursor blobs_behind(struct ds_cursor index, uint32_t count)
{
    struct carrier_envelope_view unused = {0};
    for (uint32_t i = 0; i < count && !index.failed; i++) {
        (void)read_entry(&index, &unused);
    }
    return index;
}

enum ds_status carrier_envelopes_find(const uint8_t *document, size_t len, const uint8_t key[4],
                                      size_t *at, struct carrier_envelope_view *out,
                                      struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_cursor index = ds_cursor_over(document, len);
    const uint8_t *start = ds_cursor_bytes(&index, sizeof(magic));
    const uint32_t count = carrier_get_number(&index);
    if (start == NULL || index.failed || memcmp(start, magic, sizeof(magic)) != 0) {
        return damaged(err);
    }
    struct ds_cursor blobs = blobs_behind(index, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *its_key = read_entry(&index, out);
        out->before = ds_cursor_bytes(&blobs, out->before_len);
        out->behind = ds_cursor_bytes(&blobs, out->behind_len);
        if (its_key == NULL || blobs.failed) {
            return damaged(err);
        }
        if (i >= *at && memcmp(its_key, key, 4) == 0) {
            *at = (size_t)i + 1;
            return DS_OK;
        }
    }
    return ds_fail(err, DS_ENOTFOUND, "the capsule has no envelope for this instance");
}

enum ds_status carrier_envelope_fill(const struct carrier_envelope_view *e,
                                     const struct dicom_dataset *d,
                                     const struct dicom_pixels *front, struct ds_bytes *out,
                                     struct ds_error *err)
{
    const bool swapped = (e->flags & CARRIER_ENVELOPE_SWAP_WORDS) != 0;
    enum ds_status s = ds_bytes_append(out, e->before, e->before_len, err);
    if (s == DS_OK && front->all_bytes > 0 && (e->flags & CARRIER_ENVELOPE_WHOLE) == 0) {
        s = dicom_pixels_cells(d, front, swapped, out, err);
    }
    if (s == DS_OK && e->behind_len > 0) {
        s = ds_bytes_append(out, e->behind, e->behind_len, err);
    }
    return s;
}
