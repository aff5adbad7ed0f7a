/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/lsb.h"

#include "dicomstego/bits.h"
#include "dicomstego/delimiter.h"
#include "dicomstego/dna.h"
#include "dicomstego/find.h"
#include "dicomstego/lsb_header.h"
#include "dicomstego/lsb_keys.h"
#include "dicomstego/lsb_saved.h"
#include "dicomstego/method.h"
#include "dicomstego/plane.h"

#include "base/secret.h"

#include <string.h>

/* ---- what both ways share ---- */

static unsigned planes_of(const struct stego_lsb_options *o)
{
    return o->planes == 0 ? 1U : o->planes;
}

/* Images that the engine does not take, this does not either. */
static bool is_suitable(const struct stego_image *image, size_t *n)
{
    return image->samples != NULL && image->bits_stored >= STEGO_BITS_MIN &&
           image->bits_stored <= STEGO_BITS_MAX && (image->is_signed || image->bits_stored < 32) &&
           stego_image_count(image, n) && *n <= INT32_MAX &&
           stego_find_none_outside(image->samples, *n, stego_image_min(image),
                                   stego_image_max(image));
}

/* ---- hiding ---- */

struct hiding {
    const struct stego_lsb_options *options;
    struct stego_image image; /* borrows its samples */
    unsigned planes;
    struct stego_lsb_header header;
    struct ds_bytes header_bytes;
    struct stego_slots slots;
    struct stego_lsb_keys keys;
};

static void hiding_finish(struct hiding *h)
{
    stego_slots_finish(&h->slots);
    ds_bytes_free(&h->header_bytes);
    stego_lsb_keys_wipe(&h->keys);
}

static enum ds_status check_options(const struct stego_lsb_options *o, struct ds_error *err)
{
    if (planes_of(o) > STEGO_LSB_PLANES_MAX) {
        return ds_fail(err, DS_EINVAL, "%u least significant bits: 1 to %u may be used", o->planes,
                       STEGO_LSB_PLANES_MAX);
    }
    if (o->dna_rule > STEGO_DNA_RULES || (o->complements && o->dna_rule == 0)) {
        return ds_fail(err, DS_EINVAL, "complements need a DNA rule, 1 to %u", STEGO_DNA_RULES);
    }
    if ((o->is_keyed || o->complements) && o->key == NULL) {
        return ds_fail(err, DS_EINVAL, "a keyed order and complements need a password or key");
    }
    if (o->delimiter != NULL &&
        (o->delimiter[0] == '\0' || strlen(o->delimiter) > STEGO_DELIMITER_MAX_BYTES)) {
        return ds_fail(err, DS_EINVAL, "a delimiter has 1 to %u bytes", STEGO_DELIMITER_MAX_BYTES);
    }
    return DS_OK;
}

static void begin_header(struct hiding *h)
{
    const struct stego_lsb_options *o = h->options;
    h->header.facts = (struct stego_lsb_facts){
        .planes = h->planes,
        .dna_rule = o->dna_rule,
        .is_reversible = o->is_reversible,
        .is_keyed = o->is_keyed,
        .complements = o->complements,
        .has_delimiter = o->delimiter != NULL,
    };
    h->header.has_padding = h->image.has_padding;
    h->header.padding_min = h->image.padding_min;
    h->header.padding_max = h->image.padding_max;
    if (o->delimiter != NULL) {
        memcpy(h->header.delimiter, o->delimiter, strlen(o->delimiter));
    }
    if (stego_lsb_header_has_key(&h->header)) {
        memcpy(h->header.key_id, o->key->id, sizeof(h->header.key_id));
        memcpy(h->header.key_check, h->keys.check, sizeof(h->header.key_check));
    }
}

/* The samples from `from` on among which so many can hold a bit; 0 when there are not so many. */
static size_t span_of(const struct stego_image *image, unsigned planes, size_t from, size_t n,
                      size_t bits)
{
    size_t at = from;
    for (size_t held = 0; held < bits; at++) {
        if (at >= n) {
            return 0;
        }
        held += stego_slots_may_hold(image, planes, image->samples[at]);
    }
    return at - from;
}

/* The first samples of one plane, one behind the other, that may all hold a bit of the head. */
static bool find_run(const struct stego_image *image, unsigned planes, size_t len, size_t *first)
{
    size_t offset = 0;
    for (size_t i = 0; i < stego_planes_of(image); i++) {
        const struct stego_plane p = stego_plane_of(image, i);
        const size_t n = stego_plane_count(&p);
        size_t run = 0;
        for (size_t at = 0; at < n; at++) {
            run = stego_slots_may_hold(image, planes, p.samples[at]) ? run + 1 : 0;
            if (run == len) {
                *first = offset + at + 1 - len;
                return true;
            }
        }
        offset += n;
    }
    return false;
}

/* Where header and bits go. DS_ECAPACITY: not even the header fits. */
static enum ds_status hiding_begin(struct hiding *h, const struct stego_image *image,
                                   const struct stego_lsb_options *options, struct ds_error *err)
{
    size_t n = 0;
    size_t first = 0;
    *h = (struct hiding){.options = options,
                         .image = *image,
                         .planes = planes_of(options),
                         .header_bytes = DS_BYTES_INIT(STEGO_LSB_HEADER_MAX_BYTES)};
    enum ds_status s = check_options(options, err);
    if (s == DS_OK && !is_suitable(image, &n)) {
        s = ds_fail(err, DS_EUNSUPPORTED, "an image of this kind has no bits to replace");
    }
    if (s == DS_OK && (options->is_keyed || options->complements)) {
        s = stego_lsb_keys_derive(options->key, image, h->planes, &h->keys, err);
    }
    if (s != DS_OK) {
        return s;
    }
    begin_header(h);
    s = stego_lsb_header_put(&h->header, &h->header_bytes, err);
    if (s != DS_OK) {
        return s;
    }
    const size_t head = 8 * stego_lsb_header_head_bytes(&h->header);
    const size_t span = find_run(image, h->planes, head, &first)
                            ? span_of(image, h->planes, first, n, 8 * h->header_bytes.len)
                            : 0;
    if (span == 0) {
        return ds_fail(err, DS_ECAPACITY,
                       "of %zu samples not %zu may hold the header, the first %zu of them beside "
                       "each other",
                       n, 8 * h->header_bytes.len, head);
    }
    return stego_slots_init(&h->slots, image, h->planes, first, span,
                            options->is_keyed ? h->keys.order : NULL, err);
}

/* How many slots have their bits saved, at attempt 0, 1 ..: from a thousandth of all to all, so
 * that few are changed where few will do. 0: no further attempt. */
static uint64_t attempt_of(const struct stego_slots *s, unsigned attempt)
{
    static const unsigned halvings = 10;
    const unsigned shift = halvings - attempt / 2;
    if (attempt > 2 * halvings) {
        return 0;
    }
    const uint64_t slots = s->total >> shift;
    return attempt % 2 == 0 ? slots : slots + slots / 2;
}

/* Coded bytes that so many slots hold. With a delimiter two of 256 bytes are escaped, of what looks
 * random as sealed bytes do: room is left for four times as many, and some. */
static uint64_t bytes_in(const struct stego_lsb_options *o, uint64_t slots)
{
    const uint64_t bytes = slots / 8;
    if (o->delimiter == NULL) {
        return bytes;
    }
    const uint64_t spare = bytes / 32 + 32 + strlen(o->delimiter);
    return bytes > spare ? bytes - spare : 0;
}

/* Finds the fewest slots that hold payload and the bits that they had; appends these to saved.
 * len 0: only asks how many bytes would fit beside them, at most. */
static enum ds_status save(struct hiding *h, size_t len, struct ds_bytes *saved, uint64_t *room,
                           struct ds_error *err)
{
    *room = 0;
    for (unsigned attempt = 0;; attempt++) {
        const uint64_t slots = attempt_of(&h->slots, attempt);
        if (slots == 0 && attempt > 0) {
            return len == 0 ? DS_OK
                            : ds_fail(err, DS_ECAPACITY,
                                      "the replaced bits do not fit beside %zu bytes: without "
                                      "reversibility they would",
                                      len);
        }
        if (len > 0 && bytes_in(h->options, slots) < len) {
            continue;
        }
        saved->len = 0;
        const enum ds_status s = stego_saved_put(&h->slots, slots, saved, err);
        if (s != DS_OK) {
            return s;
        }
        const uint64_t fit = bytes_in(h->options, slots);
        *room = fit > saved->len && fit - saved->len > *room ? fit - saved->len : *room;
        if (len > 0 && *room >= len) {
            h->header.saved_bytes = (uint32_t)saved->len;
            h->header.saved_slots = slots;
            return DS_OK;
        }
    }
}

/* Payload and saved bits as they go into slots. */
static enum ds_status encode(struct hiding *h, const uint8_t *payload, size_t len,
                             const struct ds_bytes *saved, struct ds_bytes *body,
                             struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES);
    enum ds_status s = ds_bytes_append(&plain, payload, len, err);
    if (s == DS_OK && saved->len > 0) {
        s = ds_bytes_append(&plain, saved->data, saved->len, err);
    }
    if (s == DS_OK && h->options->delimiter != NULL) {
        s = stego_delimiter_put(h->options->delimiter, plain.data, plain.len, body, err);
    } else if (s == DS_OK) {
        s = ds_bytes_append(body, plain.data, plain.len, err);
        h->header.body_bytes = (uint32_t)body->len;
    }
    if (s != DS_OK || h->options->dna_rule == 0) {
        return s;
    }
    stego_dna_to_bits(h->options->dna_rule, body->data, body->len);
    return h->options->complements
               ? stego_dna_complement(h->keys.complement, body->data, body->len, err)
               : DS_OK;
}

/* Nothing is written before all is known to fit, and the order is known not to fail. */
static enum ds_status write_bits(struct hiding *h, const struct ds_bytes *body,
                                 struct ds_error *err)
{
    struct stego_walk walk;
    struct stego_slot at;
    h->header_bytes.len = 0;
    const enum ds_status s = stego_lsb_header_put(&h->header, &h->header_bytes, err);
    if (s != DS_OK) {
        return s;
    }
    stego_walk_begin(&walk, &h->slots);
    for (size_t i = 0; i < 8 * body->len && stego_walk_next(&walk, &at); i++) {
        stego_slot_set(&h->slots, at, stego_bit_at(body->data, i));
    }
    stego_slots_put_header(&h->slots, h->header_bytes.data, h->header_bytes.len);
    return walk.status == DS_OK ? DS_OK : ds_fail(err, walk.status, "the order of places");
}

static enum ds_status protect(struct stego_image *image, const uint8_t *payload,
                              size_t payload_bits, const struct stego_method_options *options,
                              struct stego_embed_facts *facts, struct ds_error *err)
{
    const size_t len = payload_bits / 8 + (payload_bits % 8 != 0);
    DS_AUTO(hiding_finish) struct hiding h = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes saved = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes body = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES);
    uint64_t room = 0;
    enum ds_status s = len > 0 && len <= STEGO_PAYLOAD_MAX_BYTES
                           ? hiding_begin(&h, image, &options->lsb, err)
                           : ds_fail(err, DS_EINVAL, "%zu bytes to hide", len);
    if (s == DS_OK && options->lsb.is_reversible) {
        s = save(&h, len, &saved, &room, err);
    }
    if (s == DS_OK) {
        s = encode(&h, payload, len, &saved, &body, err);
    }
    const uint64_t slots = options->lsb.is_reversible ? h.header.saved_slots : h.slots.total;
    if (s == DS_OK && 8 * (uint64_t)body.len > slots) {
        s = ds_fail(err, DS_ECAPACITY, "%zu bytes to hide, the image has room for %llu", len,
                    (unsigned long long)slots / 8);
    }
    if (s == DS_OK) {
        s = write_bits(&h, &body, err);
    }
    if (s == DS_OK && facts != NULL) {
        *facts = (struct stego_embed_facts){.planes = (unsigned)stego_planes_of(image),
                                            .passes = 1,
                                            .hidden_bits =
                                                8 * ((uint64_t)body.len + h.header_bytes.len)};
    }
    return s;
}

static enum ds_status capacity(const struct stego_image *image,
                               const struct stego_method_options *options, uint64_t *bits,
                               struct ds_error *err)
{
    DS_AUTO(hiding_finish) struct hiding h = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes saved = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES);
    uint64_t room = 0;
    *bits = 0;
    enum ds_status s = hiding_begin(&h, image, &options->lsb, err);
    if (s == DS_ECAPACITY) {
        return DS_OK;
    }
    if (s == DS_OK && options->lsb.is_reversible) {
        s = save(&h, 0, &saved, &room, err);
    } else {
        room = bytes_in(&options->lsb, h.slots.total);
    }
    *bits = s != DS_OK ? 0 : 8 * (room < STEGO_PAYLOAD_MAX_BYTES ? room : STEGO_PAYLOAD_MAX_BYTES);
    return s;
}

/* ---- finding ---- */

struct finding {
    struct stego_image image; /* with the padding that the header tells of */
    struct stego_lsb_header header;
    size_t first, count; /* of the samples that hold it */
    struct stego_slots slots;
    struct stego_lsb_keys keys;
};

static void finding_finish(struct finding *f)
{
    stego_slots_finish(&f->slots);
    stego_lsb_keys_wipe(&f->keys);
}

/* From the secret that the reader has, by what the header says. */
static enum ds_status find_keys(struct finding *f, const struct stego_secret *secret,
                                struct ds_error *err)
{
    struct stego_password_key key = {0};
    enum ds_status s = DS_OK;
    if (!stego_lsb_header_has_key(&f->header)) {
        return DS_OK;
    }
    if (secret != NULL && secret->key != NULL &&
        memcmp(secret->key->id, f->header.key_id, sizeof(f->header.key_id)) == 0) {
        key = *secret->key;
    } else if (secret != NULL && secret->text != NULL) {
        s = stego_password_key_derive(&key, f->header.key_id, sizeof(f->header.key_id),
                                      secret->text, err);
    } else {
        return ds_fail(err, DS_ENOKEY, "%s",
                       f->header.facts.is_keyed
                           ? "its bits lie in the order of a key: a password or --shared-key"
                           : "its bases are complemented by a key: a password or --shared-key");
    }
    if (s == DS_OK) {
        s = stego_lsb_keys_derive(&key, &f->image, f->header.facts.planes, &f->keys, err);
    }
    ds_wipe(&key, sizeof(key));
    if (s == DS_OK && !ds_equal(f->keys.check, f->header.key_check, STEGO_LSB_CHECK_BYTES)) {
        s = ds_fail(err, DS_ENOKEY, "the password or shared key is another one");
    }
    return s;
}

/* Bytes out of slots, one after the other, uncoded. */
struct byte_source {
    struct stego_walk walk;
    const struct stego_slots *slots;
};

static bool next_raw(struct byte_source *b, uint8_t *byte)
{
    unsigned v = 0;
    struct stego_slot at;
    for (unsigned i = 0; i < 8; i++) {
        if (!stego_walk_next(&b->walk, &at)) {
            return false;
        }
        v = v << 1 | stego_slot_get(b->slots, at);
    }
    *byte = (uint8_t)v;
    return true;
}

/* All whole bytes that there are when their number is not known. */
static enum ds_status read_body(const struct finding *f, struct ds_bytes *body,
                                struct ds_error *err)
{
    const struct stego_lsb_facts *facts = &f->header.facts;
    const uint64_t all = f->slots.total / 8;
    const uint64_t len = facts->has_delimiter ? all : f->header.body_bytes;
    struct byte_source from = {.slots = &f->slots};
    if (len > all) {
        return ds_fail(err, DS_EAUTH, "what is hidden is longer than the image");
    }
    enum ds_status s = ds_bytes_resize(body, (size_t)len, err);
    stego_walk_begin(&from.walk, &f->slots);
    for (size_t i = 0; i < len && s == DS_OK; i++) {
        s = next_raw(&from, &body->data[i]) ? DS_OK : ds_fail(err, DS_ENOMEM, "order of places");
    }
    if (s == DS_OK && facts->complements) {
        s = stego_dna_complement(f->keys.complement, body->data, body->len, err);
    }
    if (s == DS_OK && facts->dna_rule != 0) {
        stego_dna_from_bits(facts->dna_rule, body->data, body->len);
    }
    return s;
}

static bool next_of(void *context, uint8_t *byte)
{
    struct ds_cursor *c = context;
    *byte = (uint8_t)ds_cursor_be(c, 1);
    return !c->failed;
}

static enum ds_status read_plain(const struct finding *f, struct ds_bytes *plain,
                                 struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes body = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES);
    enum ds_status s = read_body(f, &body, err);
    if (s != DS_OK) {
        return s;
    }
    if (!f->header.facts.has_delimiter) {
        *plain = ds_bytes_take(&body);
        return DS_OK;
    }
    struct ds_cursor c = ds_cursor_over(body.data, body.len);
    return stego_delimiter_get(f->header.delimiter, next_of, &c, plain, err);
}

static enum ds_status find(struct finding *f, const struct stego_image *image,
                           const struct stego_method_reader *reader, struct ds_error *err)
{
    size_t n = 0;
    *f = (struct finding){.image = *image};
    if (!is_suitable(image, &n)) {
        return ds_fail(err, DS_ENOTHING, "an image of this kind carries nothing");
    }
    enum ds_status s = stego_lsb_header_find(image, &f->header, &f->first, &f->count, err);
    f->image.has_padding = f->header.has_padding;
    f->image.padding_min = f->header.padding_min;
    f->image.padding_max = f->header.padding_max;
    if (s == DS_OK) {
        s = find_keys(f, reader->secret, err);
    }
    return s == DS_OK
               ? stego_slots_init(&f->slots, &f->image, f->header.facts.planes, f->first, f->count,
                                  f->header.facts.is_keyed ? f->keys.order : NULL, err)
               : s;
}

static enum ds_status recover(struct stego_image *image, const struct stego_method_reader *reader,
                              struct ds_bytes *payload, struct stego_method_facts *facts,
                              struct ds_error *err)
{
    DS_AUTO(finding_finish) struct finding f = {0};
    DS_AUTO(ds_bytes_free) struct ds_bytes plain = DS_BYTES_INIT(STEGO_BITS_MAX_BYTES);
    *facts = (struct stego_method_facts){0};
    enum ds_status s = find(&f, image, reader, err);
    if (s != DS_ENOTHING) {
        facts->method = &stego_method_lsb;
        facts->planes = (unsigned)stego_planes_of(image);
        facts->lsb = f.header.facts;
    }
    if (s == DS_OK) {
        s = read_plain(&f, &plain, err);
    }
    if (s == DS_OK && (plain.len == 0 || f.header.saved_bytes > plain.len)) {
        s = ds_fail(err, DS_EAUTH, "what is hidden was altered");
    }
    if (s != DS_OK) {
        return s;
    }
    const size_t len = plain.len - f.header.saved_bytes;
    if (f.header.facts.is_reversible) {
        s = stego_saved_restore(&f.slots, f.header.saved_slots, plain.data + len,
                                f.header.saved_bytes, err);
        facts->is_restored = s == DS_OK;
    }
    return s == DS_OK ? ds_bytes_append(payload, plain.data, len, err) : s;
}

const struct stego_method stego_method_lsb = {
    .name = "lsb",
    .summary = "least significant bits replaced, as simple tools do",
    .needs_secret = false,
    .is_secret = false,
    .reversal = STEGO_REVERSES_ON_REQUEST,
    .capacity = capacity,
    .protect = protect,
    .recover = recover,
};
