/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/engine.h"

#include "dicomstego/hide.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

/* The way back: nothing here trusts a sample. */

static enum ds_status altered(struct ds_error *err)
{
    return ds_fail(err, DS_EAUTH, "the image carries something but was altered since");
}

static enum ds_status out_of_memory(struct ds_error *err)
{
    return ds_fail(err, DS_ENOMEM, "out of memory for the hidden bits");
}

/* Images that no embedder accepts carry nothing, whatever their samples are. */
static bool can_carry(const struct stego_image *image, size_t *n)
{
    return image->bits_stored >= STEGO_BITS_MIN && image->bits_stored <= STEGO_BITS_MAX &&
           image->samples != NULL && stego_image_count(image, n) && *n <= INT32_MAX;
}

static bool is_in_range(const struct stego_image *image, size_t n)
{
    const int32_t low = stego_image_min(image);
    const int32_t high = stego_image_max(image);
    for (size_t i = 0; i < n; i++) {
        if (image->samples[i] < low || image->samples[i] > high) {
            return false;
        }
    }
    return true;
}

struct reading {
    struct stego_scan *scan;
    int32_t *samples;
    struct stego_lead lead;
    size_t begin;
    struct stego_bits blob; /* of the stage to extract next */
    size_t blob_bits, bits; /* ... and its numbers */
    struct stego_bits message;
    struct stego_plan plan[STEGO_STAGES_MAX];
    uint32_t sum; /* what the checksum over message and plans has to be */
};

static void reading_finish(struct reading *r)
{
    stego_bits_free(&r->blob);
    stego_bits_free(&r->message);
}

/* Puts the part of a stage before those of later stages. */
static void prepend(struct stego_bits *message, struct stego_bit_reader *part)
{
    struct stego_bits joined = STEGO_BITS_INIT;
    stego_bits_append(&joined, part->data, part->at, stego_reader_left(part));
    stego_bits_append(&joined, message->bytes.data, 0, message->count);
    joined.failed = joined.failed || message->failed;
    stego_bits_free(message);
    *message = joined;
}

/* The previous stage's numbers and blob stand at the head of this stage's bits. */
static enum ds_status read_side(struct reading *r, struct stego_bit_reader *in,
                                struct ds_error *err)
{
    const unsigned width = stego_count_width(r->scan);
    r->bits = stego_reader_get(in, width);
    r->blob_bits = stego_reader_get(in, width);
    if (in->failed || r->blob_bits > stego_reader_left(in)) {
        return altered(err);
    }
    stego_bits_free(&r->blob);
    stego_bits_append(&r->blob, in->data, in->at, r->blob_bits);
    in->at += r->blob_bits;
    return r->blob.failed ? out_of_memory(err) : DS_OK;
}

/* Takes the run's bits apart: behind the lead stands the last stage's blob. */
static enum ds_status read_run(struct reading *r, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits run = STEGO_BITS_INIT;
    struct stego_scan *scan = r->scan;
    const size_t length = stego_lead_length(scan, &r->lead);
    scan->has_padding = r->lead.has_padding;
    scan->padding_min = r->lead.padding_min;
    scan->padding_max = r->lead.padding_max;
    scan->exclude = r->lead.exclude;
    scan->run_begin = r->begin;
    scan->run_end = stego_run_end(scan, r->samples, r->begin, length, length + r->lead.blob_bits);
    if (scan->run_end == 0) {
        return altered(err);
    }
    stego_run_read(scan, r->samples, scan->run_begin, scan->run_end, &run);
    r->bits = r->lead.bits;
    r->blob_bits = r->lead.blob_bits;
    stego_bits_append(&r->blob, run.bytes.data, length, r->blob_bits);
    return run.failed || r->blob.failed ? out_of_memory(err) : DS_OK;
}

/* The last stage's bits begin with those that the run displaced. */
static enum ds_status restore_run(struct reading *r, struct stego_bit_reader *in,
                                  struct ds_error *err)
{
    struct stego_scan *scan = r->scan;
    const size_t count = stego_lead_length(scan, &r->lead) + r->lead.blob_bits;
    if (stego_reader_left(in) < count) {
        return altered(err);
    }
    stego_run_write(scan, r->samples, scan->run_begin, scan->run_end, in->data);
    in->at += count;
    scan->run_begin = scan->run_end = 0;
    return DS_OK;
}

static enum ds_status read_stage(struct reading *r, unsigned stage, struct ds_error *err)
{
    DS_AUTO(stego_bits_free) struct stego_bits bits = STEGO_BITS_INIT;
    enum ds_status s = stego_stage_extract(r->scan, stage & 1U, r->samples, r->blob.bytes.data,
                                           r->blob.bytes.len, r->bits, &r->plan[stage], &bits, err);
    struct stego_bit_reader in = stego_bits_read(&bits);
    if (s == DS_OK && stage + 1 == r->lead.stages) {
        s = restore_run(r, &in, err);
    }
    if (s == DS_OK && stage > 0) {
        s = read_side(r, &in, err);
    }
    if (s == DS_OK && stage + 1 == r->lead.stages) {
        r->sum = stego_reader_get(&in, STEGO_CHECKSUM_BITS);
        s = in.failed ? altered(err) : DS_OK;
    }
    if (s != DS_OK) {
        return s;
    }
    prepend(&r->message, &in);
    return r->message.failed ? out_of_memory(err) : DS_OK;
}

static enum ds_status check_message(const struct reading *r, struct ds_bytes *payload,
                                    struct ds_error *err)
{
    const size_t len = r->message.count / 8;
    uint32_t sum = lzma_crc32(r->message.bytes.data, len, 0);
    for (unsigned stage = 0; stage < r->lead.stages; stage++) {
        sum = stego_plan_checksum(&r->plan[stage], sum);
    }
    if (r->message.count % 8 != 0 || sum != r->sum) {
        return altered(err);
    }
    return ds_bytes_append(payload, r->message.bytes.data, len, err);
}

static enum ds_status read_all(struct reading *r, struct ds_bytes *payload, struct ds_error *err)
{
    enum ds_status s = read_run(r, err);
    for (unsigned stage = r->lead.stages; s == DS_OK && stage-- > 0;) {
        s = read_stage(r, stage, err);
    }
    return s == DS_OK ? check_message(r, payload, err) : s;
}

/* The format as the reader sees it at first: no padding, nothing excluded. */
static struct stego_image bare(const struct stego_image *image)
{
    struct stego_image b = *image;
    b.has_padding = false;
    b.padding_min = 0;
    b.padding_max = 0;
    return b;
}

enum ds_status stego_extract(struct stego_image *image, struct ds_bytes *payload,
                             struct stego_rect *exclude, struct ds_error *err)
{
    DS_AUTO(stego_scan_finish) struct stego_scan scan = {0};
    DS_AUTO(reading_finish)
    struct reading r = {.scan = &scan, .blob = STEGO_BITS_INIT, .message = STEGO_BITS_INIT};
    if (exclude != NULL) {
        *exclude = (struct stego_rect){0};
    }
    size_t n = 0;
    if (!can_carry(image, &n)) {
        return ds_fail(err, DS_ENOTHING, "an image of this kind carries nothing");
    }
    if (!is_in_range(image, n)) {
        return ds_fail(err, DS_EINVAL, "a sample is outside the range of %u bits",
                       image->bits_stored);
    }
    const struct stego_image plain = bare(image);
    enum ds_status s = stego_scan_init(&scan, &plain, err);
    if (s != DS_OK) {
        return s;
    }
    r.samples = image->samples;
    const enum stego_finding finding = stego_mark_find(&scan, r.samples, &r.lead, &r.begin);
    if (finding == STEGO_FOUND_NOTHING) {
        return ds_fail(err, DS_ENOTHING, "the image carries nothing");
    }
    if (finding == STEGO_FOUND_ALTERED) {
        return altered(err);
    }
    s = read_all(&r, payload, err);
    if (s == DS_OK && exclude != NULL) {
        *exclude = r.lead.exclude;
    }
    return s;
}

bool stego_is_carrier(const struct stego_image *image)
{
    struct stego_lead lead;
    size_t begin = 0;
    size_t n = 0;
    if (!can_carry(image, &n)) {
        return false;
    }
    const struct stego_scan format = {
        .columns = image->columns,
        .rows = image->rows,
        .frames = image->frames,
        .frame_samples = (size_t)image->columns * image->rows,
        .samples = n,
        .low = stego_image_min(image),
        .high = stego_image_max(image),
    };
    return stego_mark_find(&format, image->samples, &lead, &begin) != STEGO_FOUND_NOTHING;
}
