/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same data set, written in another of the ways that PS3.5 allows: implicit VR, big endian,
 * group lengths, sequences and items of undefined length. A scanner or archive uses one way
 * throughout, so one byte in the restore record is enough to give most files back to the byte.
 */
#include "carrier/carrier_private.h"
#include "carrier/element.h"

#include <string.h>

#define NESTING_MAX 32U /* deeper nesting is not real, and would only cost stack */

struct restyler {
    unsigned style;
    struct ds_bytes *out;
    struct ds_error *err;
    struct carrier_styled *styled; /* where the value that is left out belongs */
    size_t left_out;               /* its even length; 0: none */
};

static enum ds_status put(struct restyler *r, uint64_t v, unsigned width)
{
    return (r->style & CARRIER_STYLE_BIG_ENDIAN) != 0 ? ds_bytes_put_be(r->out, v, width, r->err)
                                                      : ds_bytes_put_le(r->out, v, width, r->err);
}

static enum ds_status put_tag(struct restyler *r, uint16_t group, uint16_t number, uint32_t len)
{
    enum ds_status s = put(r, group, 2);
    if (s == DS_OK) {
        s = put(r, number, 2);
    }
    return s == DS_OK ? put(r, len, 4) : s;
}

static enum ds_status put_header(struct restyler *r, const struct carrier_element *e, uint32_t len)
{
    if ((r->style & CARRIER_STYLE_IMPLICIT) != 0) {
        return put_tag(r, e->group, e->number, len);
    }
    enum ds_status s = put(r, e->group, 2);
    if (s == DS_OK) {
        s = put(r, e->number, 2);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(r->out, e->vr, 2, r->err);
    }
    if (s == DS_OK && e->long_form) {
        s = put(r, 0, 2);
    }
    return s == DS_OK ? put(r, len, e->long_form ? 4 : 2) : s;
}

/* PS3.5 7.3: the units that byte order applies to. */
static unsigned word_bytes(const struct carrier_element *e)
{
    static const struct {
        char vr[3];
        unsigned bytes;
    } words[] = {{"US", 2}, {"SS", 2}, {"OW", 2}, {"AT", 2}, {"UL", 4}, {"SL", 4}, {"FL", 4},
                 {"OF", 4}, {"OL", 4}, {"FD", 8}, {"OD", 8}, {"OV", 8}, {"SV", 8}, {"UV", 8}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(words); i++) {
        if (carrier_element_is_vr(e, words[i].vr)) {
            return words[i].bytes;
        }
    }
    return 1;
}

static void swap_words(uint8_t *data, size_t len, unsigned bytes)
{
    for (size_t i = 0; i + bytes <= len; i += bytes) {
        for (unsigned k = 0; k < bytes / 2; k++) {
            const uint8_t t = data[i + k];
            data[i + k] = data[i + bytes - 1 - k];
            data[i + bytes - 1 - k] = t;
        }
    }
}

static enum ds_status put_value(struct restyler *r, const struct carrier_element *e)
{
    const size_t start = r->out->len;
    const enum ds_status s =
        e->len == 0 ? DS_OK : ds_bytes_append(r->out, e->value, e->len, r->err);
    if (s == DS_OK && (r->style & CARRIER_STYLE_BIG_ENDIAN) != 0) {
        swap_words(r->out->data + start, e->len, word_bytes(e));
    }
    return s;
}

/* Writes the 32-bit length at `at` of all that stands behind it, now that it is known. */
static void patch_length(struct restyler *r, size_t at)
{
    const struct carrier_styled *s = r->styled;
    const uint32_t apart = s->pixel_at > at ? (uint32_t)s->pixel_bytes : 0;
    const uint32_t len = (uint32_t)(r->out->len - at - 4) + apart;
    uint8_t bytes[4] = {(uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
                        (uint8_t)(len >> 24)};
    if ((r->style & CARRIER_STYLE_BIG_ENDIAN) != 0) {
        swap_words(bytes, 4, 4);
    }
    memcpy(r->out->data + at, bytes, 4);
}

static enum ds_status put_elements(struct restyler *r, struct ds_cursor c, unsigned depth);

static enum ds_status bad(struct restyler *r)
{
    return ds_fail(r->err, DS_EFORMAT, "a data set does not add up");
}

static enum ds_status put_item(struct restyler *r, const struct carrier_element *item,
                               unsigned depth)
{
    const bool open = (r->style & CARRIER_STYLE_UNDEFINED_ITEMS) != 0;
    enum ds_status s = put_tag(r, 0xfffe, 0xe000, CARRIER_LENGTH_UNDEFINED);
    const size_t start = r->out->len;
    if (s == DS_OK) {
        s = put_elements(r, ds_cursor_over(item->value, item->len), depth + 1);
    }
    if (s != DS_OK) {
        return s;
    }
    if (open) {
        return put_tag(r, 0xfffe, 0xe00d, 0);
    }
    patch_length(r, start - 4);
    return DS_OK;
}

static enum ds_status put_sequence(struct restyler *r, const struct carrier_element *e,
                                   unsigned depth)
{
    if (depth >= NESTING_MAX) {
        return bad(r);
    }
    const bool open = (r->style & CARRIER_STYLE_UNDEFINED_SEQUENCES) != 0;
    enum ds_status s = put_header(r, e, CARRIER_LENGTH_UNDEFINED);
    const size_t start = r->out->len;
    struct ds_cursor c = ds_cursor_over(e->value, e->len);
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        struct carrier_element item = {0};
        if (!carrier_element_read(&c, &item) || item.group != 0xfffe || item.number != 0xe000 ||
            item.value == NULL) {
            return bad(r);
        }
        s = put_item(r, &item, depth);
    }
    if (s != DS_OK) {
        return s;
    }
    if (open) {
        return put_tag(r, 0xfffe, 0xe0dd, 0);
    }
    patch_length(r, start - 4);
    return DS_OK;
}

/* (gggg,0000) UL with a length that is filled in at the group's end. */
static enum ds_status put_group_length(struct restyler *r, uint16_t group, size_t *value_at)
{
    const struct carrier_element e = {.group = group, .vr = {'U', 'L'}};
    enum ds_status s = put_header(r, &e, 4);
    *value_at = r->out->len;
    return s == DS_OK ? put(r, 0, 4) : s;
}

/* The header of native Pixel Data, and the place of its value. PS3.5 7.1.1 asks for an even length,
 * but some writers forget it for an odd number of pixels. */
static enum ds_status put_pixels(struct restyler *r, struct carrier_element *e)
{
    const bool odd = (r->style & CARRIER_STYLE_ODD_PIXELS) != 0 && r->left_out > 0;
    r->styled->pixel_bytes = r->left_out - (odd ? 1 : 0);
    if ((r->style & CARRIER_STYLE_BYTE_PIXELS) != 0) {
        memcpy(e->vr, "OB", 2);
    }
    const enum ds_status s = put_header(r, e, (uint32_t)r->styled->pixel_bytes);
    r->styled->pixel_at = r->out->len;
    return s;
}

static bool is_pixels(const struct carrier_element *e, unsigned depth)
{
    return depth == 0 && e->group == 0x7fe0 && e->number == 0x0010 && e->len == 0;
}

static enum ds_status put_elements(struct restyler *r, struct ds_cursor c, unsigned depth)
{
    const unsigned flag =
        depth == 0 ? CARRIER_STYLE_GROUP_LENGTHS : CARRIER_STYLE_NESTED_GROUP_LENGTHS;
    const bool lengths = (r->style & flag) != 0;
    size_t value_at = 0; /* 0: no group is open, a length's value never stands at 0 */
    int32_t group = -1;
    enum ds_status s = DS_OK;
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        struct carrier_element e = {0};
        if (!carrier_element_read(&c, &e) || e.value == NULL || e.group == 0xfffe) {
            return bad(r);
        }
        if (lengths && e.group != group) {
            if (value_at != 0) {
                patch_length(r, value_at);
            }
            s = put_group_length(r, e.group, &value_at);
            group = e.group;
        }
        if (s == DS_OK && is_pixels(&e, depth)) {
            s = put_pixels(r, &e);
        } else if (s == DS_OK && carrier_element_is_vr(&e, "SQ")) {
            s = put_sequence(r, &e, depth);
        } else if (s == DS_OK) {
            s = put_header(r, &e, e.len);
            s = s == DS_OK ? put_value(r, &e) : s;
        }
    }
    if (s == DS_OK && value_at != 0) {
        patch_length(r, value_at);
    }
    return s;
}

enum ds_status carrier_canonical_of(const struct dicom_dataset *d, struct carrier_canonical *out,
                                    struct ds_error *err)
{
    *out = (struct carrier_canonical){.bytes = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES)};
    return dicom_dataset_write_hollow(d, &out->bytes, &out->pixel_bytes, err);
}

void carrier_canonical_free(struct carrier_canonical *c)
{
    ds_bytes_free(&c->bytes);
}

enum ds_status carrier_restyle(const struct carrier_canonical *canonical, unsigned style,
                               struct carrier_styled *out, struct ds_error *err)
{
    *out = (struct carrier_styled){.bytes = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES)};
    struct restyler r = {style, &out->bytes, err, out, canonical->pixel_bytes};
    const enum ds_status s =
        put_elements(&r, ds_cursor_over(canonical->bytes.data, canonical->bytes.len), 0);
    if (out->pixel_at == 0) {
        out->pixel_at = out->bytes.len;
    }
    return s;
}

void carrier_styled_free(struct carrier_styled *s)
{
    ds_bytes_free(&s->bytes);
}

static bool is_candidate(unsigned style, unsigned known, bool odd)
{
    const unsigned told =
        CARRIER_STYLE_IMPLICIT | CARRIER_STYLE_BIG_ENDIAN | CARRIER_STYLE_BYTE_PIXELS;
    return (style & told) == known && ((style & CARRIER_STYLE_ODD_PIXELS) == 0 || odd);
}

/* Takes the style, if it is the best so far. */
static enum ds_status consider(unsigned style, const struct ds_bytes *tried,
                               const struct ds_bytes *around, struct carrier_style *best,
                               struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes patch = DS_BYTES_INIT(2 * CARRIER_PATCH_MAX_BYTES);
    const enum ds_status s = carrier_patch_describe(tried, around->data, around->len, &patch, err);
    if (s != DS_OK) {
        return s == DS_ENOTFOUND ? DS_OK : s;
    }
    if (best->style == CARRIER_STYLE_NONE || patch.len < best->patch.len) {
        best->style = style;
        ds_bytes_free(&best->patch);
        best->patch = ds_bytes_take(&patch);
    }
    return DS_OK;
}

/* Tries the ways that fit the transfer syntax. The plain one comes first, and one that needs no
 * patch ends the search; a wrong one is mostly found out in the first elements, so that a
 * comparison costs little beside the writing. */
static enum ds_status find_best(const struct carrier_canonical *canonical,
                                const struct ds_bytes *around, size_t pixel_bytes, unsigned known,
                                struct carrier_style *out, struct ds_error *err)
{
    bool exact = false;
    for (unsigned i = 0; i < CARRIER_STYLE_COUNT && !exact; i++) {
        if (!is_candidate(i, known, (around->len + pixel_bytes) % 2 != 0)) {
            continue;
        }
        DS_AUTO(carrier_styled_free) struct carrier_styled tried = {0};
        enum ds_status s = carrier_restyle(canonical, i, &tried, err);
        if (s == DS_OK && tried.pixel_bytes == pixel_bytes) {
            s = consider(i, &tried.bytes, around, out, err);
        }
        if (s != DS_OK) {
            return s == DS_EFORMAT ? DS_OK : s; /* then no way is known, and that is an answer */
        }
        exact = out->style == i && out->patch.len == 0;
    }
    return DS_OK;
}

enum ds_status carrier_style_of(const struct carrier_canonical *canonical, const uint8_t *dataset,
                                size_t dataset_len, size_t pixel_at, size_t pixel_bytes,
                                unsigned known, struct carrier_style *out, struct ds_error *err)
{
    *out = (struct carrier_style){.style = CARRIER_STYLE_NONE,
                                  .patch = DS_BYTES_INIT(2 * CARRIER_PATCH_MAX_BYTES),
                                  .pixel_at = pixel_at};
    DS_AUTO(ds_bytes_free) struct ds_bytes around = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const size_t behind_at = pixel_at + pixel_bytes;
    enum ds_status s = ds_bytes_append(&around, dataset, pixel_at, err);
    if (s == DS_OK && behind_at < dataset_len) {
        s = ds_bytes_append(&around, dataset + behind_at, dataset_len - behind_at, err);
    }
    return s == DS_OK ? find_best(canonical, &around, pixel_bytes, known, out, err) : s;
}
