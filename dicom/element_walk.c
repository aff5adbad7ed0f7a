/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/element_walk.h"

#include "dicom/dictionary.h"

#include <string.h>

static uint32_t number(const struct dicom_walk *w, size_t at, unsigned width)
{
    struct ds_cursor c = ds_cursor_over(w->data + at, width);
    return (uint32_t)(w->big_endian ? ds_cursor_be(&c, width) : ds_cursor_le(&c, width));
}

static struct dicom_walk_frame *top(struct dicom_walk *w)
{
    return &w->frames[w->depth - 1];
}

static size_t left(const struct dicom_walk *w)
{
    return w->frames[w->depth - 1].end - w->at;
}

/* PS3.5 7.1.2: these have a 32-bit length after two reserved bytes. A VR of two capitals that does
 * not exist yet will be one of them; anything else that is not a VR is taken as a short one. */
static bool has_long_length(const char vr[2])
{
    static const char short_vrs[][3] = {"AE", "AS", "AT", "CS", "DA", "DS", "DT",
                                        "FL", "FD", "IS", "LO", "LT", "PN", "SH",
                                        "SL", "SS", "ST", "TM", "UI", "UL", "US"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(short_vrs); i++) {
        if (memcmp(vr, short_vrs[i], 2) == 0) {
            return false;
        }
    }
    return vr[0] >= 'A' && vr[0] <= 'Z' && vr[1] >= 'A' && vr[1] <= 'Z';
}

void dicom_walk_begin(struct dicom_walk *w, const uint8_t *data, size_t at, size_t end,
                      bool explicit_vr, bool big_endian)
{
    w->data = data;
    w->at = at;
    w->big_endian = big_endian;
    w->depth = 1;
    w->frames[0] = (struct dicom_walk_frame){
        .end = end, .undefined = false, .items = false, .explicit_vr = explicit_vr};
}

static enum ds_status too_short(const struct dicom_walk *w, struct ds_error *err)
{
    return ds_fail(err, DS_EFORMAT, "data set is truncated in an element at byte %zu", w->at);
}

/* Reads tag, VR and length at w->at. */
static enum ds_status peek_header(const struct dicom_walk *w, struct dicom_element_header *h,
                                  struct ds_error *err)
{
    if (left(w) < 8) {
        return too_short(w, err);
    }
    *h = (struct dicom_element_header){.group = (uint16_t)number(w, w->at, 2),
                                       .element = (uint16_t)number(w, w->at + 2, 2)};
    h->value = w->at + 8;
    if (h->group == 0xfffe || !w->frames[w->depth - 1].explicit_vr) {
        h->length = number(w, w->at + 4, 4);
        return DS_OK;
    }
    memcpy(h->vr, w->data + w->at + 4, 2);
    if (!has_long_length(h->vr)) {
        h->length = number(w, w->at + 6, 2);
        return DS_OK;
    }
    if (left(w) < 12) {
        return too_short(w, err);
    }
    h->length = number(w, w->at + 8, 4);
    h->value = w->at + 12;
    return DS_OK;
}

static enum ds_status push(struct dicom_walk *w, const struct dicom_element_header *h, bool items,
                           bool explicit_vr, struct ds_error *err)
{
    if (w->depth == DS_ARRAY_SIZE(w->frames)) {
        return ds_fail(err, DS_EFORMAT, "sequences nest deeper than %u", DICOM_ENVELOPE_DEPTH);
    }
    const bool undefined = h->length == DICOM_UNDEFINED_LENGTH;
    const struct dicom_walk_frame frame = {
        .end = undefined ? top(w)->end : h->value + h->length,
        .undefined = undefined,
        .items = items,
        .explicit_vr = explicit_vr,
        .suspicion = top(w)->suspicion,
    };
    w->at = h->value;
    w->frames[w->depth++] = frame;
    return DS_OK;
}

/* Encapsulated Pixel Data (PS3.5 A.4): fragments with defined lengths up to a delimiter. */
static enum ds_status skip_fragments(struct dicom_walk *w,
                                     const struct dicom_element_header *pixels,
                                     struct ds_error *err)
{
    w->at = pixels->value;
    for (;;) {
        struct dicom_element_header item;
        const enum ds_status s = peek_header(w, &item, err);
        if (s != DS_OK) {
            return s;
        }
        const size_t room = top(w)->end - item.value;
        w->at = item.value;
        if (item.group == 0xfffe && item.element == 0xe0dd) {
            return DS_OK;
        }
        if (item.group != 0xfffe || item.element != 0xe000 || item.length > room) {
            return ds_fail(err, DS_EFORMAT, "fragments of Pixel Data do not add up");
        }
        w->at += item.length;
    }
}

static bool begins_with_item(const struct dicom_walk *w, const struct dicom_element_header *h)
{
    return h->length >= 8 && number(w, h->value, 2) == 0xfffe &&
           number(w, h->value + 2, 2) == 0xe000;
}

/* With any other VR undefined length makes a sequence (PS3.5 6.2.2): DCMTK would read fragments as
 * items, and take memory for whatever lengths it finds in them. */
static bool may_hold_fragments(const char vr[2])
{
    return vr[0] == '\0' || memcmp(vr, "OB", 2) == 0 || memcmp(vr, "OW", 2) == 0;
}

static enum ds_status enter_undefined(struct dicom_walk *w, const struct dicom_element_header *h,
                                      struct ds_error *err)
{
    const bool is_explicit = top(w)->explicit_vr;
    if (h->group == 0x7fe0 && h->element == 0x0010 && may_hold_fragments(h->vr)) {
        return skip_fragments(w, h, err);
    }
    if (!is_explicit || memcmp(h->vr, "SQ", 2) == 0) {
        return push(w, h, true, is_explicit, err);
    }
    if (memcmp(h->vr, "UN", 2) == 0) {
        return push(w, h, true, false, err); /* PS3.5 6.2.2: Implicit VR Little Endian inside */
    }
    return ds_fail(err, DS_EFORMAT, "undefined length where the VR does not allow it");
}

/* One step in a list of elements: into a sequence or past a value. */
static enum ds_status step_element(struct dicom_walk *w, const struct dicom_element_header *h,
                                   struct ds_error *err)
{
    if (h->group == 0xfffe) {
        return ds_fail(err, DS_EFORMAT,
                       "an item or delimiter where an element belongs, at byte %zu", w->at);
    }
    if (h->length == DICOM_UNDEFINED_LENGTH) {
        return enter_undefined(w, h, err);
    }
    if (h->length > top(w)->end - h->value) {
        return ds_fail(err, DS_EFORMAT, "element (%04X,%04X) is longer than what surrounds it",
                       h->group, h->element);
    }
    if (memcmp(h->vr, "SQ", 2) == 0) {
        return push(w, h, true, true, err);
    }
    if (!top(w)->explicit_vr && begins_with_item(w, h)) {
        const enum ds_status s = push(w, h, true, false, err);
        if (s == DS_OK && !dicom_dictionary_is_sequence(h->group, h->element)) {
            top(w)->suspicion = true;
        }
        return s;
    }
    w->at = h->value + h->length;
    return DS_OK;
}

/* One step in a sequence: into an item or past the delimiter. */
static enum ds_status step_item(struct dicom_walk *w, struct ds_error *err)
{
    struct dicom_element_header h;
    const enum ds_status s = peek_header(w, &h, err);
    if (s != DS_OK) {
        return s;
    }
    if (h.group == 0xfffe && h.element == 0xe0dd && top(w)->undefined) {
        w->at = h.value;
        w->depth--;
        return DS_OK;
    }
    const bool fits = h.length == DICOM_UNDEFINED_LENGTH || h.length <= top(w)->end - h.value;
    if (h.group != 0xfffe || h.element != 0xe000 || !fits) {
        return ds_fail(err, DS_EFORMAT, "items of a sequence do not add up, at byte %zu", w->at);
    }
    return push(w, &h, false, top(w)->explicit_vr, err);
}

/* One step at any depth below the top level. */
static enum ds_status step_nested(struct dicom_walk *w, struct ds_error *err)
{
    if (w->at == top(w)->end) {
        if (top(w)->undefined) {
            return ds_fail(err, DS_EFORMAT, "a delimiter is missing at byte %zu", w->at);
        }
        w->depth--;
        return DS_OK;
    }
    if (top(w)->items) {
        return step_item(w, err);
    }
    struct dicom_element_header h;
    const enum ds_status s = peek_header(w, &h, err);
    if (s != DS_OK) {
        return s;
    }
    if (h.group == 0xfffe && h.element == 0xe00d && top(w)->undefined) {
        w->at = h.value;
        w->depth--;
        return DS_OK;
    }
    return step_element(w, &h, err);
}

/* The suspected sequence was none: go on behind it. False when there was no suspicion, or when the
 * fault was the depth, which is never forgiven. */
static bool drop_suspicion(struct dicom_walk *w)
{
    if (!top(w)->suspicion || w->depth == DS_ARRAY_SIZE(w->frames)) {
        return false;
    }
    while (w->frames[w->depth - 2].suspicion) {
        w->depth--;
    }
    w->at = top(w)->end;
    w->depth--;
    return true;
}

enum ds_status dicom_walk_next(struct dicom_walk *w, struct dicom_element_header *out, bool *more,
                               struct ds_error *err)
{
    *more = false;
    if (w->at == w->frames[0].end) {
        return DS_OK;
    }
    enum ds_status s = peek_header(w, out, err);
    if (s == DS_OK) {
        s = step_element(w, out, err);
    }
    while (s == DS_OK && w->depth > 1) {
        s = step_nested(w, err);
        if (s == DS_EFORMAT && drop_suspicion(w)) {
            s = DS_OK;
        }
    }
    *more = s == DS_OK;
    return s;
}
