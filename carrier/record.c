/* SPDX-License-Identifier: Apache-2.0 */
/* The restore record. docs/restore-record.md is its format. */
#include "carrier/carrier_private.h"
#include "carrier/element.h"
#include "carrier/references.h"

#include <string.h>

#define RECORD_VERSION 1U

#define FLAG_REGION     1U
#define FLAG_PACKED     2U /* the body is compressed, its length stands before it */
#define FLAG_REFERENCES 4U
#define FLAG_REGIONS    8U /* further key regions stand before the first */

#define BODY_MAX_BYTES STEGO_RECORD_MAX_BYTES

/* The native syntaxes have a number, so that a UID need not be carried; 0: the UID follows. */
static const char *const syntaxes[] = {
    "", DICOM_IMPLICIT_LE, DICOM_EXPLICIT_LE, DICOM_EXPLICIT_BE, DICOM_DEFLATED_LE,
};

static enum ds_status put_syntax(const char *uid, struct ds_bytes *out, struct ds_error *err)
{
    for (uint8_t i = 1; i < DS_ARRAY_SIZE(syntaxes); i++) {
        if (strcmp(uid, syntaxes[i]) == 0) {
            return ds_bytes_put_u8(out, i, err);
        }
    }
    enum ds_status s = ds_bytes_put_u8(out, 0, err);
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, (uint8_t)strlen(uid), err);
    }
    return s == DS_OK ? ds_bytes_append(out, uid, strlen(uid), err) : s;
}

static bool get_syntax(struct ds_cursor *c, char out[DICOM_UID_BYTES])
{
    const size_t code = (size_t)ds_cursor_be(c, 1);
    if (c->failed || code >= DS_ARRAY_SIZE(syntaxes)) {
        return false;
    }
    if (code != 0) {
        (void)snprintf(out, DICOM_UID_BYTES, "%s", syntaxes[code]);
        return true;
    }
    const size_t len = (size_t)ds_cursor_be(c, 1);
    const uint8_t *uid = ds_cursor_bytes(c, len);
    if (uid == NULL || len >= DICOM_UID_BYTES) {
        return false;
    }
    memcpy(out, uid, len);
    out[len] = '\0';
    return true;
}

/* ---- building ---- */

static enum ds_status put_change(const struct carrier_original *o,
                                 const struct dicom_dataset *derived, uint8_t code, bool *changed,
                                 struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes was = DS_BYTES_INIT(BODY_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes is = DS_BYTES_INIT(BODY_MAX_BYTES);
    const dicom_tag tag = carrier_derived_tags[code];
    *changed = false;
    enum ds_status s = dicom_dataset_export(o->dataset, tag, &was, err);
    /* What the carrier's extremes are is known only when the record is hidden: always as it was. An
     * original beside a sidecar keeps its own. */
    const bool unknown_yet = derived != o->dataset && carrier_extreme_was_right(o, tag);
    if (s == DS_OK && !unknown_yet) {
        s = dicom_dataset_export(derived, tag, &is, err);
    }
    if (s != DS_OK ||
        (was.len == is.len && (was.len == 0 || memcmp(was.data, is.data, was.len) == 0))) {
        return s;
    }
    *changed = true;
    s = ds_bytes_put_u8(out, code, err);
    return s == DS_OK ? carrier_change_describe(&was, &is, out, err) : s;
}

static enum ds_status put_changes(const struct carrier_original *o,
                                  const struct dicom_dataset *derived, struct ds_bytes *out,
                                  struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes changes = DS_BYTES_INIT(BODY_MAX_BYTES);
    uint8_t count = 0;
    enum ds_status s = DS_OK;
    for (uint8_t i = 0; i < carrier_derived_tag_count && s == DS_OK; i++) {
        bool changed = false;
        s = put_change(o, derived, i, &changed, &changes, err);
        count = (uint8_t)(count + (changed ? 1 : 0));
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, count, err);
    }
    return s == DS_OK && changes.len > 0 ? ds_bytes_append(out, changes.data, changes.len, err) : s;
}

/* What comes back has the VR that dicom_pixels_write gives, whatever the file's was. */
static void settle_pixel_vr(const struct carrier_original *o, struct carrier_canonical *canonical,
                            bool *were_bytes)
{
    struct ds_cursor c = ds_cursor_over(canonical->bytes.data, canonical->bytes.len);
    struct carrier_element e = {0};
    while (carrier_element_read(&c, &e)) {
        if (e.group == 0x7fe0 && e.number == 0x0010 && o->hashes.has_pixels) {
            /* VR, two reserved bytes and the length stand before the value. */
            uint8_t *vr = canonical->bytes.data + (e.value - canonical->bytes.data) - 8;
            *were_bytes = memcmp(vr, "OB", 2) == 0;
            const bool words = o->pixels.bits_allocated > 8 || memcmp(vr, "OW", 2) == 0;
            memcpy(vr, words ? "OW" : "OB", 2);
        }
    }
}

/* The way in which this file is written, if it is one that restyle.c knows. */
static enum ds_status find_style(const struct carrier_original *o, struct carrier_style *out,
                                 struct ds_error *err)
{
    *out = (struct carrier_style){.style = CARRIER_STYLE_NONE};
    const char *syntax = dicom_dataset_transfer_syntax(o->dataset);
    const bool implicit = strcmp(syntax, syntaxes[1]) == 0;
    const bool big_endian = strcmp(syntax, syntaxes[3]) == 0;
    if (!implicit && !big_endian && strcmp(syntax, syntaxes[2]) != 0) {
        return DS_OK; /* compressed: its bytes are an encoder's secret */
    }
    bool byte_pixels = false;
    DS_AUTO(carrier_canonical_free) struct carrier_canonical canonical = {0};
    const enum ds_status s = carrier_canonical_of(o->dataset, &canonical, err);
    if (s != DS_OK) {
        return s;
    }
    settle_pixel_vr(o, &canonical, &byte_pixels);
    const unsigned known = implicit ? CARRIER_STYLE_IMPLICIT
                                    : (big_endian ? CARRIER_STYLE_BIG_ENDIAN : 0U) |
                                          (byte_pixels ? CARRIER_STYLE_BYTE_PIXELS : 0U);
    const size_t at = o->envelope.dataset_offset;
    const bool apart = canonical.pixel_bytes > 0 && o->envelope.has_native_pixels;
    const size_t pixel_at = apart ? o->envelope.pixel_offset - at : o->len - at;
    const size_t left = o->len - at - pixel_at;
    const size_t pixel_bytes = o->envelope.pixel_len < left ? o->envelope.pixel_len : left;
    return carrier_style_of(&canonical, o->file + at, o->len - at, pixel_at, pixel_bytes, known,
                            out, err);
}

static enum ds_status put_style(const struct carrier_original *o, struct ds_bytes *out,
                                struct ds_error *err)
{
    struct carrier_style style = {0};
    enum ds_status s = find_style(o, &style, err);
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, (uint8_t)style.style, err);
    }
    if (s == DS_OK && style.style != CARRIER_STYLE_NONE) {
        s = carrier_put_number(out, (uint32_t)style.patch.len, err);
    }
    if (s == DS_OK && style.patch.len > 0) {
        s = ds_bytes_append(out, style.patch.data, style.patch.len, err);
    }
    if (s == DS_OK && style.patch.len > 0) {
        s = carrier_put_number(out, (uint32_t)style.pixel_at, err);
    }
    ds_bytes_free(&style.patch);
    return s;
}

static enum ds_status put_region(const struct carrier_original *o, const struct stego_rect *r,
                                 struct ds_bytes *out, struct ds_error *err)
{
    const uint32_t numbers[] = {r->frame, r->x, r->y, r->width, r->height};
    enum ds_status s = DS_OK;
    for (size_t i = 0; i < DS_ARRAY_SIZE(numbers) && s == DS_OK; i++) {
        s = carrier_put_number(out, numbers[i], err);
    }
    return s == DS_OK ? carrier_region_save(&o->image, r, out, err) : s;
}

/* Their number, then of each its length and what the first one has without. */
static enum ds_status put_more(const struct carrier_original *o, const struct carrier_regions *more,
                               struct ds_bytes *out, struct ds_error *err)
{
    enum ds_status s = carrier_put_number(out, (uint32_t)more->count, err);
    for (size_t i = 0; i < more->count && s == DS_OK; i++) {
        DS_AUTO(ds_bytes_free) struct ds_bytes one = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
        s = put_region(o, &more->items[i], &one, err);
        if (s == DS_OK) {
            s = carrier_put_number(out, (uint32_t)one.len, err);
        }
        if (s == DS_OK) {
            s = ds_bytes_append(out, one.data, one.len, err);
        }
    }
    return s;
}

/* The part before the region: small, but with long attributes (a source image sequence of hundreds
 * of items would not be one of ours) worth a try at compression. */
static enum ds_status put_body(const struct ds_bytes *body, uint8_t flags, struct ds_bytes *out,
                               struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes packed = DS_BYTES_INIT(BODY_MAX_BYTES);
    enum ds_status s = carrier_pack(body->data, body->len, &packed, err);
    if (s != DS_OK) {
        return s;
    }
    const bool smaller = packed.len + 6 < body->len;
    const struct ds_bytes *chosen = smaller ? &packed : body;
    s = ds_bytes_put_u8(out, (uint8_t)(RECORD_VERSION << 4 | flags | (smaller ? FLAG_PACKED : 0)),
                        err);
    if (s == DS_OK && smaller) {
        s = carrier_put_number(out, (uint32_t)body->len, err);
    }
    if (s == DS_OK) {
        s = carrier_put_number(out, (uint32_t)chosen->len, err);
    }
    return s == DS_OK ? ds_bytes_append(out, chosen->data, chosen->len, err) : s;
}

static enum ds_status put_references(const struct ds_bytes *references, struct ds_bytes *out,
                                     struct ds_error *err)
{
    const enum ds_status s = carrier_put_number(out, (uint32_t)references->len, err);
    return s == DS_OK ? ds_bytes_append(out, references->data, references->len, err) : s;
}

enum ds_status
carrier_record_build(const struct carrier_original *o, const struct dicom_dataset *derived,
                     const struct stego_rect *region, const struct carrier_regions *more,
                     const struct ds_bytes *references, struct ds_bytes *out, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes body = DS_BYTES_INIT(BODY_MAX_BYTES);
    const bool has_region = region != NULL && !carrier_region_is_empty(region);
    const bool has_more = has_region && more != NULL && more->count > 0;
    const bool has_references = references != NULL && references->len > 0;
    enum ds_status s = put_syntax(dicom_dataset_transfer_syntax(o->dataset), &body, err);
    if (s == DS_OK) {
        s = put_style(o, &body, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_append(&body, o->hashes.file, sizeof(o->hashes.file), err);
    }
    if (s == DS_OK && has_references) {
        s = put_references(references, &body, err);
    }
    if (s == DS_OK) {
        s = put_changes(o, derived, &body, err);
    }
    if (s == DS_OK) {
        s = put_body(&body,
                     (has_region ? FLAG_REGION : 0U) | (has_more ? FLAG_REGIONS : 0U) |
                         (has_references ? FLAG_REFERENCES : 0U),
                     out, err);
    }
    if (s == DS_OK && has_more) {
        s = put_more(o, more, out, err);
    }
    return s == DS_OK && has_region ? put_region(o, region, out, err) : s;
}

/* ---- reading ---- */

static enum ds_status damaged(struct ds_error *err)
{
    return ds_fail(err, DS_EFORMAT, "the restore record is damaged, or of a later version");
}

static enum ds_status get_body(struct carrier_record *out, struct ds_cursor *c, uint8_t flags,
                               struct ds_error *err)
{
    const uint32_t unpacked_len = (flags & FLAG_PACKED) != 0 ? carrier_get_number(c) : 0;
    const uint32_t len = carrier_get_number(c);
    const uint8_t *body = ds_cursor_bytes(c, len);
    if (body == NULL || unpacked_len > BODY_MAX_BYTES) {
        return damaged(err);
    }
    out->unpacked = DS_BYTES_INIT(BODY_MAX_BYTES);
    if ((flags & FLAG_PACKED) == 0) {
        return ds_bytes_append(&out->unpacked, body, len, err);
    }
    return carrier_unpack(body, len, unpacked_len, &out->unpacked, err);
}

static enum ds_status parse_body(struct carrier_record *out, bool has_references,
                                 struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(out->unpacked.data, out->unpacked.len);
    if (!get_syntax(&c, out->transfer_syntax)) {
        return damaged(err);
    }
    out->style = (unsigned)ds_cursor_be(&c, 1);
    out->patch_len = out->style == CARRIER_STYLE_NONE ? 0 : carrier_get_number(&c);
    out->patch = ds_cursor_bytes(&c, out->patch_len);
    out->pixel_at = out->patch_len > 0 ? carrier_get_number(&c) : 0;
    const uint8_t *hash = ds_cursor_bytes(&c, sizeof(out->file_hash));
    if (hash == NULL) {
        return damaged(err);
    }
    memcpy(out->file_hash, hash, sizeof(out->file_hash));
    out->references_len = has_references ? carrier_get_number(&c) : 0;
    out->references = ds_cursor_bytes(&c, out->references_len);
    out->change_count = (uint32_t)ds_cursor_be(&c, 1);
    out->changes = c;
    return c.failed ? damaged(err) : DS_OK;
}

static enum ds_status parse_region(struct carrier_record *out, struct ds_cursor *c,
                                   struct ds_error *err)
{
    struct carrier_region_saved *r = &out->regions[out->region_count++];
    r->rect.frame = carrier_get_number(c);
    r->rect.x = carrier_get_number(c);
    r->rect.y = carrier_get_number(c);
    r->rect.width = carrier_get_number(c);
    r->rect.height = carrier_get_number(c);
    r->len = ds_cursor_left(c);
    r->saved = ds_cursor_bytes(c, r->len);
    return c->failed || carrier_region_is_empty(&r->rect) ? damaged(err) : DS_OK;
}

static enum ds_status parse_more(struct carrier_record *out, struct ds_cursor *c,
                                 struct ds_error *err)
{
    const uint32_t count = carrier_get_number(c);
    enum ds_status s = count < CARRIER_REGIONS_MAX ? DS_OK : damaged(err);
    for (uint32_t i = 0; i < count && s == DS_OK; i++) {
        const uint32_t len = carrier_get_number(c);
        const uint8_t *bytes = ds_cursor_bytes(c, len);
        struct ds_cursor one = ds_cursor_over(bytes, len);
        s = bytes != NULL ? parse_region(out, &one, err) : damaged(err);
    }
    return s;
}

static enum ds_status parse_regions(struct carrier_record *out, struct ds_cursor *c, uint8_t flags,
                                    struct ds_error *err)
{
    if ((flags & FLAG_REGION) == 0) {
        return ds_cursor_left(c) != 0 || (flags & FLAG_REGIONS) != 0 ? damaged(err) : DS_OK;
    }
    const enum ds_status s = (flags & FLAG_REGIONS) != 0 ? parse_more(out, c, err) : DS_OK;
    return s == DS_OK ? parse_region(out, c, err) : s;
}

enum ds_status carrier_record_parse(struct carrier_record *out, const uint8_t *bytes, size_t len,
                                    struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_cursor c = ds_cursor_over(bytes, len);
    const uint8_t flags = (uint8_t)ds_cursor_be(&c, 1);
    if (c.failed || flags >> 4 != RECORD_VERSION ||
        (flags & 0x0fU & ~(FLAG_REGION | FLAG_PACKED | FLAG_REFERENCES | FLAG_REGIONS)) != 0) {
        return damaged(err);
    }
    enum ds_status s = get_body(out, &c, flags, err);
    if (s == DS_OK) {
        s = parse_body(out, (flags & FLAG_REFERENCES) != 0, err);
    }
    return s == DS_OK ? parse_regions(out, &c, flags, err) : s;
}

void carrier_record_free(struct carrier_record *r)
{
    ds_bytes_free(&r->unpacked);
}

static enum ds_status undo_one(struct ds_cursor *changes, struct dicom_dataset *d,
                               struct ds_error *err)
{
    const size_t code = (size_t)ds_cursor_be(changes, 1);
    if (changes->failed || code >= carrier_derived_tag_count) {
        return damaged(err);
    }
    const dicom_tag tag = carrier_derived_tags[code];
    DS_AUTO(ds_bytes_free) struct ds_bytes is = DS_BYTES_INIT(BODY_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes was = DS_BYTES_INIT(BODY_MAX_BYTES);
    enum ds_status s = dicom_dataset_export(d, tag, &is, err);
    if (s == DS_OK) {
        s = carrier_change_apply(changes, &is, &was, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (was.len == 0) {
        dicom_dataset_remove(d, tag);
        return DS_OK;
    }
    return dicom_dataset_import(d, was.data, was.len, err);
}

enum ds_status carrier_record_undo(const struct carrier_record *r, struct dicom_dataset *d,
                                   struct ds_error *err)
{
    struct ds_cursor changes = r->changes;
    for (uint32_t i = 0; i < r->change_count; i++) {
        const enum ds_status s = undo_one(&changes, d, err);
        if (s != DS_OK) {
            return s;
        }
    }
    if (changes.failed || ds_cursor_left(&changes) != 0) {
        return damaged(err);
    }
    return r->references_len == 0
               ? DS_OK
               : carrier_references_undo(d, r->references, r->references_len, err);
}
