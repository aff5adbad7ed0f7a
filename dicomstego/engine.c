/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/engine.h"

#include "dicomstego/hide.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

/* Fields of the format have 31 bits at most. */
#define SAMPLES_MAX ((size_t)INT32_MAX)

/* Beyond this the capacity in several passes is not measured, but taken to be that of one. */
#define MEASURE_PASSES_SAMPLES ((size_t)1 << 18)

static void free_samples(int32_t **samples)
{
    free(*samples);
}

/* Samples, geometry and format that the engine can work with. */
static enum ds_status check_image(const struct stego_image *image, struct ds_error *err)
{
    size_t n = 0;
    if (image->bits_stored < STEGO_BITS_MIN || image->bits_stored > STEGO_BITS_MAX) {
        return ds_fail(err, DS_EUNSUPPORTED, "%u bits stored are not supported",
                       image->bits_stored);
    }
    if (image->samples == NULL || !stego_image_count(image, &n)) {
        return ds_fail(err, DS_EINVAL, "an image without samples");
    }
    if (n > SAMPLES_MAX) {
        return ds_fail(err, DS_EUNSUPPORTED, "%zu samples are too many", n);
    }
    const int32_t low = stego_image_min(image);
    const int32_t high = stego_image_max(image);
    for (size_t i = 0; i < n; i++) {
        if (image->samples[i] < low || image->samples[i] > high) {
            return ds_fail(err, DS_EINVAL, "a sample is outside the range of %u bits",
                           image->bits_stored);
        }
    }
    return DS_OK;
}

static enum ds_status check_rect(const struct stego_image *image, const struct stego_rect *r,
                                 struct ds_error *err)
{
    if (r->width == 0) {
        return DS_OK;
    }
    if (r->height == 0 || (uint64_t)r->x + r->width > image->columns ||
        (uint64_t)r->y + r->height > image->rows || r->frame >= image->frames) {
        return ds_fail(err, DS_EINVAL, "the region to exclude is not inside the image");
    }
    return DS_OK;
}

/* Padding outside the format's range matters to nobody and could not be written into the lead. */
static enum ds_status trim_padding(struct stego_scan *scan, struct ds_error *err)
{
    if (!scan->has_padding) {
        return DS_OK;
    }
    if (scan->padding_min > scan->padding_max) {
        return ds_fail(err, DS_EINVAL, "the padding range is empty");
    }
    scan->has_padding = scan->padding_min <= scan->high && scan->padding_max >= scan->low;
    scan->padding_min = scan->padding_min < scan->low ? scan->low : scan->padding_min;
    scan->padding_max = scan->padding_max > scan->high ? scan->high : scan->padding_max;
    return DS_OK;
}

/* Everything about the caller's arguments; *scan is new on success. */
static enum ds_status prepare(struct stego_scan *scan, const struct stego_image *image,
                              const struct stego_embed_options *options, struct ds_error *err)
{
    const struct stego_rect none = {0};
    const struct stego_rect *exclude = options != NULL ? &options->exclude : &none;
    *scan = (struct stego_scan){0};
    if (options != NULL && options->max_passes > STEGO_PASSES_MAX) {
        return ds_fail(err, DS_EINVAL, "%u passes are too many", options->max_passes);
    }
    enum ds_status s = check_image(image, err);
    s = s == DS_OK ? check_rect(image, exclude, err) : s;
    s = s == DS_OK ? stego_scan_init(scan, image, err) : s;
    if (s != DS_OK) {
        return s;
    }
    if (exclude->width != 0) {
        scan->exclude = *exclude;
    }
    return trim_padding(scan, err);
}

static double squared_error(const struct stego_attempt *a)
{
    double sum = 0.0;
    for (size_t i = 0; i < a->scan->samples; i++) {
        const double d = (double)a->work[i] - (double)a->cover[i];
        sum += d * d;
    }
    return sum;
}

/* From a bit for each third pixel on, two half-full passes can be better than a full one: the
 * error grows with the square of what a pixel is moved by. */
static bool is_crowded(const struct stego_attempt *a)
{
    return a->hidden > a->scan->samples * a->passes / 3;
}

/* The best carrier so far. Its samples are in `work`, those of the next attempt in `other`. */
struct contest {
    struct stego_attempt *a;
    int32_t *work, *other;
    double error;
    struct stego_embed_facts facts; /* passes is 0 as long as nothing fitted */
};

/* One more entry. DS_ECAPACITY when it does not fit. */
static enum ds_status enter(struct contest *c, unsigned passes, enum stego_effort effort,
                            struct ds_error *err)
{
    c->a->passes = passes;
    c->a->effort = effort;
    c->a->work = c->other;
    if (c->a->message->count > c->a->scan->samples * passes) {
        return DS_ECAPACITY; /* a pass takes one bit of each pixel at most */
    }
    const enum ds_status s = stego_attempt_run(c->a, err);
    if (s != DS_OK) {
        return s;
    }
    const double error = squared_error(c->a);
    if (c->facts.passes == 0 || error < c->error) {
        c->error = error;
        c->facts = (struct stego_embed_facts){passes, c->a->hidden};
        c->other = c->work;
        c->work = c->a->work;
    }
    return DS_OK;
}

/* Balanced passes, more of them as long as that is better; as full as possible only when nothing
 * else fits. */
static enum ds_status hold_contest(struct contest *c, unsigned max_passes, struct ds_error *err)
{
    for (unsigned passes = 1; passes <= max_passes; passes++) {
        const enum ds_status s = enter(c, passes, STEGO_BALANCED, err);
        if (s != DS_OK && s != DS_ECAPACITY) {
            return s;
        }
        if (c->facts.passes != 0 && (c->facts.passes != passes || !is_crowded(c->a))) {
            return DS_OK;
        }
    }
    for (unsigned passes = 1; c->facts.passes == 0 && passes <= max_passes; passes++) {
        const enum ds_status s = enter(c, passes, STEGO_FULLEST, err);
        if (s != DS_OK && s != DS_ECAPACITY) {
            return s;
        }
    }
    if (c->facts.passes == 0) {
        return ds_fail(err, DS_ECAPACITY, "%zu bytes do not fit into the image in %u passes",
                       c->a->message->count / 8, max_passes);
    }
    return DS_OK;
}

enum ds_status stego_embed(struct stego_image *image, const uint8_t *payload, size_t payload_len,
                           const struct stego_embed_options *options,
                           struct stego_embed_facts *facts, struct ds_error *err)
{
    DS_AUTO(stego_scan_finish) struct stego_scan scan;
    DS_AUTO(stego_bits_free) struct stego_bits message = STEGO_BITS_INIT;
    DS_AUTO(free_samples) int32_t *both = NULL;
    if (facts != NULL) {
        *facts = (struct stego_embed_facts){0};
    }
    enum ds_status s = prepare(&scan, image, options, err);
    if (s != DS_OK) {
        return s;
    }
    if (payload_len > STEGO_PAYLOAD_MAX_BYTES) {
        return ds_fail(err, DS_ECAPACITY, "a payload of %zu bytes is too long", payload_len);
    }
    stego_bits_append(&message, payload, 0, 8 * payload_len);
    if (message.failed) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a payload of %zu bytes", payload_len);
    }
    both = malloc(2 * scan.samples * sizeof *both);
    if (both == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu samples", scan.samples);
    }
    struct stego_attempt a = {.scan = &scan,
                              .cover = image->samples,
                              .message = &message,
                              .checksum = lzma_crc32(payload, payload_len, 0)};
    struct contest c = {.a = &a, .work = both, .other = both + scan.samples};
    const unsigned wanted = options != NULL ? options->max_passes : 0;
    s = hold_contest(&c, wanted == 0 ? STEGO_PASSES_MAX : wanted, err);
    if (s != DS_OK) {
        return s;
    }
    memcpy(image->samples, c.work, scan.samples * sizeof *both);
    if (facts != NULL) {
        *facts = c.facts;
    }
    return DS_OK;
}

static void xorshift_fill(uint8_t *data, size_t len)
{
    uint64_t x = UINT64_C(88172645463325252);
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)(x >> 32);
    }
}

/* Whole bytes of payload that `bits` of message leave, less a reserve where the room depends on
 * the message: near the ends of the range its bits decide which pixels have room later. Seen were
 * 1.5 % less for one pass and 8 % less for several. */
static uint64_t payload_bytes(const struct stego_attempt *a, size_t bits)
{
    const size_t reserve = a->is_exact ? 0 : 128 + bits / (a->passes == 1 ? 40 : 6);
    const uint64_t bytes = bits > reserve ? (bits - reserve) / 8 : 0;
    return bytes < STEGO_PAYLOAD_MAX_BYTES ? bytes : STEGO_PAYLOAD_MAX_BYTES;
}

static enum ds_status measure_passes(struct stego_attempt *a, struct stego_bits *message,
                                     unsigned passes, uint64_t *bytes, struct ds_error *err)
{
    *bytes = 0;
    const size_t count = a->scan->samples * passes;
    if (count > message->count) {
        stego_bits_grow(message, count - message->count);
    }
    if (message->failed) {
        return ds_fail(err, DS_ENOMEM, "out of memory for a trial message");
    }
    xorshift_fill(message->bytes.data, message->bytes.len);
    a->passes = passes;
    const enum ds_status s = stego_attempt_run(a, err);
    if (s == DS_OK) {
        *bytes = payload_bytes(a, message->count - a->left);
    }
    return s == DS_ECAPACITY ? DS_OK : s;
}

enum ds_status stego_capacity_of(const struct stego_image *image,
                                 const struct stego_embed_options *options,
                                 struct stego_capacity *out, struct ds_error *err)
{
    DS_AUTO(stego_scan_finish) struct stego_scan scan;
    DS_AUTO(stego_bits_free) struct stego_bits message = STEGO_BITS_INIT;
    DS_AUTO(free_samples) int32_t *work = NULL;
    *out = (struct stego_capacity){0};
    enum ds_status s = prepare(&scan, image, options, err);
    if (s != DS_OK) {
        return s;
    }
    work = malloc(scan.samples * sizeof *work);
    if (work == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory for %zu samples", scan.samples);
    }
    struct stego_attempt a = {.scan = &scan,
                              .cover = image->samples,
                              .work = work,
                              .message = &message,
                              .effort = STEGO_FULLEST,
                              .measuring = true};
    s = measure_passes(&a, &message, 1, &out->one_pass_bytes, err);
    out->all_passes_bytes = out->one_pass_bytes;
    if (s != DS_OK || scan.samples > MEASURE_PASSES_SAMPLES) {
        return s;
    }
    const unsigned wanted = options != NULL ? options->max_passes : 0;
    const unsigned most = wanted == 0 ? STEGO_PASSES_MAX : wanted;
    for (unsigned passes = most; s == DS_OK && passes > 1; passes--) {
        uint64_t all = 0;
        s = measure_passes(&a, &message, passes, &all, err);
        if (all > out->one_pass_bytes) {
            out->all_passes_bytes = all;
            break; /* more passes than the image can bear take less than fewer */
        }
    }
    return s;
}
