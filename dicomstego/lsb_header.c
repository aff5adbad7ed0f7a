/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/lsb_header.h"

#include "dicomstego/dna.h"
#include "dicomstego/find.h"
#include "dicomstego/lsb_slots.h"
#include "dicomstego/mark.h"
#include "dicomstego/plane.h"

#include "base/secret.h"
#include "base/sha256.h"

#include <string.h>

#define MARK      (STEGO_MARK_HEAD << 8 | UINT64_C(0xf0))
#define MARK_NEAR 4U
#define LAYOUT    1U

enum {
    IS_REVERSIBLE = 1,
    IS_KEYED = 2,
    COMPLEMENTS = 4,
    HAS_DELIMITER = 8,
    HAS_PADDING = 16,
    ALL_FLAGS = 31,
};

#define HEAD_BYTES    15U /* mark to body_bytes */
#define PADDING_BYTES 8U

size_t stego_lsb_header_head_bytes(const struct stego_lsb_header *h)
{
    return HEAD_BYTES + (h->has_padding ? PADDING_BYTES : 0);
}

bool stego_lsb_header_has_key(const struct stego_lsb_header *h)
{
    return h->facts.is_keyed || h->facts.complements;
}

static uint8_t flags_of(const struct stego_lsb_header *h)
{
    return (uint8_t)((h->facts.is_reversible ? IS_REVERSIBLE : 0) |
                     (h->facts.is_keyed ? IS_KEYED : 0) | (h->facts.complements ? COMPLEMENTS : 0) |
                     (h->facts.has_delimiter ? HAS_DELIMITER : 0) |
                     (h->has_padding ? HAS_PADDING : 0));
}

static enum ds_status put_head(const struct stego_lsb_header *h, struct ds_bytes *out,
                               struct ds_error *err)
{
    enum ds_status s = ds_bytes_put_be(out, MARK, 8, err);
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, (uint8_t)(LAYOUT << 4 | h->facts.planes), err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, flags_of(h), err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(out, (uint8_t)h->facts.dna_rule, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_be(out, h->body_bytes, 4, err);
    }
    return s;
}

static enum ds_status put_saved(const struct stego_lsb_header *h, struct ds_bytes *out,
                                struct ds_error *err)
{
    const enum ds_status s = ds_bytes_put_be(out, h->saved_bytes, 4, err);
    return s == DS_OK ? ds_bytes_put_be(out, h->saved_slots, 5, err) : s;
}

static enum ds_status put_padding(const struct stego_lsb_header *h, struct ds_bytes *out,
                                  struct ds_error *err)
{
    const enum ds_status s = ds_bytes_put_be(out, (uint32_t)h->padding_min, 4, err);
    return s == DS_OK ? ds_bytes_put_be(out, (uint32_t)h->padding_max, 4, err) : s;
}

static enum ds_status put_key(const struct stego_lsb_header *h, struct ds_bytes *out,
                              struct ds_error *err)
{
    const enum ds_status s = ds_bytes_append(out, h->key_id, sizeof(h->key_id), err);
    return s == DS_OK ? ds_bytes_append(out, h->key_check, sizeof(h->key_check), err) : s;
}

static enum ds_status put_delimiter(const struct stego_lsb_header *h, struct ds_bytes *out,
                                    struct ds_error *err)
{
    const size_t len = strlen(h->delimiter);
    const enum ds_status s = ds_bytes_put_u8(out, (uint8_t)len, err);
    return s == DS_OK ? ds_bytes_append(out, h->delimiter, len, err) : s;
}

static enum ds_status put_check(struct ds_bytes *out, struct ds_error *err)
{
    uint8_t hash[DS_SHA256_BYTES];
    const enum ds_status s = ds_sha256_of(out->data, out->len, hash, err);
    return s == DS_OK ? ds_bytes_append(out, hash, STEGO_LSB_CHECK_BYTES, err) : s;
}

enum ds_status stego_lsb_header_put(const struct stego_lsb_header *h, struct ds_bytes *out,
                                    struct ds_error *err)
{
    enum ds_status s = put_head(h, out, err);
    if (s == DS_OK && h->has_padding) {
        s = put_padding(h, out, err);
    }
    if (s == DS_OK && h->facts.is_reversible) {
        s = put_saved(h, out, err);
    }
    if (s == DS_OK && stego_lsb_header_has_key(h)) {
        s = put_key(h, out, err);
    }
    if (s == DS_OK && h->facts.has_delimiter) {
        s = put_delimiter(h, out, err);
    }
    return s == DS_OK ? put_check(out, err) : s;
}

/* ---- reading ---- */

static bool is_known(const struct stego_lsb_facts *f)
{
    return f->planes >= 1 && f->planes <= STEGO_LSB_PLANES_MAX && f->dna_rule <= STEGO_DNA_RULES &&
           (f->dna_rule != 0 || !f->complements);
}

static void read_key(struct stego_lsb_header *h, struct ds_cursor *c)
{
    const uint8_t *id = ds_cursor_bytes(c, sizeof(h->key_id));
    const uint8_t *check = ds_cursor_bytes(c, sizeof(h->key_check));
    if (id != NULL && check != NULL) {
        memcpy(h->key_id, id, sizeof(h->key_id));
        memcpy(h->key_check, check, sizeof(h->key_check));
    }
}

static void read_delimiter(struct stego_lsb_header *h, struct ds_cursor *c)
{
    const size_t len = (size_t)ds_cursor_be(c, 1);
    const uint8_t *text =
        len >= 1 && len <= STEGO_DELIMITER_MAX_BYTES ? ds_cursor_bytes(c, len) : NULL;
    if (text == NULL || memchr(text, 0, len) != NULL) {
        c->failed = true;
        return;
    }
    memcpy(h->delimiter, text, len);
}

static void read_fields(struct stego_lsb_header *h, uint8_t flags, struct ds_cursor *c)
{
    h->has_padding = (flags & HAS_PADDING) != 0;
    if (h->has_padding) {
        h->padding_min = (int32_t)ds_cursor_be(c, 4);
        h->padding_max = (int32_t)ds_cursor_be(c, 4);
    }
    if (h->facts.is_reversible) {
        h->saved_bytes = (uint32_t)ds_cursor_be(c, 4);
        h->saved_slots = ds_cursor_be(c, 5);
    }
    if (stego_lsb_header_has_key(h)) {
        read_key(h, c);
    }
    if (h->facts.has_delimiter) {
        read_delimiter(h, c);
    }
}

/* Nothing is believed before the check holds; what it covers is only known by then. */
static enum ds_status parse(struct stego_lsb_header *h, const uint8_t *data, size_t len,
                            size_t *end, struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(data, len);
    uint8_t hash[DS_SHA256_BYTES];
    memset(h, 0, sizeof(*h));
    (void)ds_cursor_be(&c, 8);
    const uint8_t layout = (uint8_t)ds_cursor_be(&c, 1);
    const uint8_t flags = (uint8_t)ds_cursor_be(&c, 1);
    h->facts = (struct stego_lsb_facts){
        .planes = layout & 15U,
        .dna_rule = (unsigned)ds_cursor_be(&c, 1),
        .is_reversible = (flags & IS_REVERSIBLE) != 0,
        .is_keyed = (flags & IS_KEYED) != 0,
        .complements = (flags & COMPLEMENTS) != 0,
        .has_delimiter = (flags & HAS_DELIMITER) != 0,
    };
    h->body_bytes = (uint32_t)ds_cursor_be(&c, 4);
    read_fields(h, flags, &c);
    const size_t covered = c.at;
    const uint8_t *check = ds_cursor_bytes(&c, STEGO_LSB_CHECK_BYTES);
    if (check == NULL) {
        return ds_fail(err, DS_EAUTH, "the header of what is hidden was altered");
    }
    const enum ds_status s = ds_sha256_of(data, covered, hash, err);
    if (s != DS_OK) {
        return s;
    }
    if (!ds_equal(hash, check, STEGO_LSB_CHECK_BYTES)) {
        return ds_fail(err, DS_EAUTH, "the header of what is hidden was altered");
    }
    *end = c.at;
    return layout >> 4 == LAYOUT && flags <= ALL_FLAGS && is_known(&h->facts)
               ? DS_OK
               : ds_fail(err, DS_EUNSUPPORTED, "a later version has hidden this");
}

static uint64_t window_at(const int32_t *samples)
{
    uint64_t window = 0;
    for (size_t i = 0; i < STEGO_MARK_BITS; i++) {
        window = window << 1 | (uint64_t)(samples[i] & 1);
    }
    return window;
}

/* Bits 0 of samples as they follow from `begin` on; of those behind the head only samples that hold
 * one, as soon as the head says which do. */
struct gathering {
    const struct stego_image *image; /* with the padding that the head tells of */
    const int32_t *samples;
    size_t samples_count, at;
    unsigned planes;
    uint8_t data[STEGO_LSB_HEADER_MAX_BYTES];
    size_t len;
};

static bool gather(struct gathering *g, bool all, size_t len)
{
    for (size_t bit = 8 * g->len; bit < 8 * len; g->at++) {
        if (g->at >= g->samples_count) {
            return false;
        }
        if (all || stego_slots_may_hold(g->image, g->planes, g->samples[g->at])) {
            g->data[bit / 8] = (uint8_t)(g->data[bit / 8] << 1 | (g->samples[g->at] & 1));
            bit++;
        }
    }
    g->len = len;
    return true;
}

/* How much there is of the rest is told by its check alone: as much as may be, or as there is. */
static void gather_rest(struct gathering *g)
{
    while (g->len < sizeof(g->data) && gather(g, false, g->len + 1)) {
    }
}

static enum ds_status read_at(const struct stego_image *image, size_t begin,
                              struct stego_lsb_header *h, size_t *count, struct ds_error *err)
{
    struct stego_image told = *image;
    struct gathering g = {.image = &told, .samples = image->samples, .at = begin};
    size_t end = 0;
    told.has_padding = false;
    if (!stego_image_count(image, &g.samples_count) || !gather(&g, true, HEAD_BYTES)) {
        return ds_fail(err, DS_EAUTH, "the header of what is hidden was altered");
    }
    g.planes = g.data[8] & 15U;
    if ((g.data[9] & HAS_PADDING) != 0 && gather(&g, true, HEAD_BYTES + PADDING_BYTES)) {
        struct ds_cursor c = ds_cursor_over(g.data + HEAD_BYTES, PADDING_BYTES);
        told.has_padding = true;
        told.padding_min = (int32_t)ds_cursor_be(&c, 4);
        told.padding_max = (int32_t)ds_cursor_be(&c, 4);
    }
    gather_rest(&g);
    const enum ds_status s = parse(h, g.data, g.len, &end, err);
    if (s == DS_OK) { /* once more, as far as it reaches */
        const size_t head = stego_lsb_header_head_bytes(h);
        g.len = head;
        g.at = begin + 8 * head;
        *count = gather(&g, false, end) ? g.at - begin : 0;
    }
    return s;
}

enum ds_status stego_lsb_header_find(const struct stego_image *image, struct stego_lsb_header *h,
                                     size_t *first, size_t *count, struct ds_error *err)
{
    bool is_near = false;
    size_t offset = 0;
    for (size_t i = 0; i < stego_planes_of(image); i++) {
        const struct stego_plane p = stego_plane_of(image, i);
        const size_t n = stego_plane_count(&p);
        size_t begin = stego_find_mark(p.samples, n, 0, MARK, MARK_NEAR);
        while (begin < n && window_at(p.samples + begin) != MARK) {
            is_near = true;
            begin = stego_find_mark(p.samples, n, begin + 1, MARK, MARK_NEAR);
        }
        if (begin < n) {
            *first = offset + begin;
            return read_at(image, *first, h, count, err);
        }
        offset += n;
    }
    return is_near ? ds_fail(err, DS_EAUTH, "the image carries something but was altered since")
                   : ds_fail(err, DS_ENOTHING, "the image carries nothing");
}
