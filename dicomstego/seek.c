/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/seek.h"

#include "dicomstego/chain.h"
#include "dicomstego/hide.h"
#include "dicomstego/still.h"

#include <lzma.h>
#include <stdlib.h>

struct reading {
    const struct stego_image *image;
    size_t index;
    struct stego_plane plane;
    struct stego_scan scan;
    struct stego_lead lead;
    size_t lead_end; /* the sample behind it */
    struct stego_run run;
    uint8_t *still;              /* of the plane */
    struct stego_bits run_bits;  /* what stands in the run */
    struct stego_bits displaced; /* what stood there before */
    struct stego_bits map;
    struct stego_bits blob; /* of the stage to extract next */
    size_t bits;            /* ... and its number of bits */
    struct stego_bits message;
    struct stego_plan plan[STEGO_STAGES_MAX];
    uint32_t sum; /* what the checksum over lead, message and plans has to be */
};

static void reading_finish(struct reading *r)
{
    stego_scan_finish(&r->scan);
    stego_bits_free(&r->run_bits);
    stego_bits_free(&r->displaced);
    stego_bits_free(&r->map);
    stego_bits_free(&r->blob);
    stego_bits_free(&r->message);
    free(r->still);
}

/* Puts the part of a stage before those of later stages. */
static enum ds_status prepend(struct stego_bits *message, struct stego_bit_reader *part)
{
    struct stego_bits joined = STEGO_BITS_INIT;
    stego_bits_append(&joined, part->data, part->at, stego_reader_left(part));
    stego_bits_append(&joined, message->bytes.data, 0, message->count);
    joined.failed = joined.failed || message->failed;
    stego_bits_free(message);
    *message = joined;
    return joined.failed ? DS_ENOMEM : DS_OK;
}

/* The previous stage's numbers and blob stand at the head of this stage's bits. */
static enum ds_status read_side(struct reading *r, struct stego_bit_reader *in)
{
    r->bits = stego_reader_get(in, stego_width_of(r->scan.samples));
    const size_t blob_bits = (size_t)8 * stego_reader_number(in);
    if (in->failed || blob_bits > stego_reader_left(in)) {
        return DS_EAUTH;
    }
    stego_bits_free(&r->blob);
    stego_bits_append(&r->blob, in->data, in->at, blob_bits);
    in->at += blob_bits;
    return r->blob.failed ? DS_ENOMEM : DS_OK;
}

static enum ds_status need_still(struct reading *r)
{
    if (r->still == NULL) {
        r->still = calloc(stego_plane_count(&r->plane), 1);
        r->plane.still = r->still;
    }
    return r->still != NULL ? DS_OK : DS_ENOMEM;
}

static enum ds_status exclude(struct reading *r)
{
    const struct stego_rect *rect = &r->lead.exclude;
    if (rect->width == 0 || rect->frame != r->index / r->image->components) {
        return DS_OK;
    }
    const enum ds_status s = need_still(r);
    if (s == DS_OK) {
        stego_still_exclude(r->image, r->index, rect, r->still);
    }
    return s;
}

/* None of the samples that hold lead and map may be still by that very map. */
static bool is_run_free(const struct reading *r)
{
    for (size_t i = r->run.begin; r->still != NULL && i < r->run.map; i++) {
        if ((r->still[i] & STEGO_STILL_MAPPED) != 0) {
            return false;
        }
    }
    return true;
}

static enum ds_status read_lead(struct reading *r, size_t begin)
{
    size_t head_end = 0;
    if (!stego_lead_read_head(r->image, r->index, begin, &r->lead, &head_end)) {
        return DS_EAUTH;
    }
    r->plane.has_padding = r->lead.has_padding;
    r->plane.padding_min = r->lead.padding_min;
    r->plane.padding_max = r->lead.padding_max;
    const enum ds_status s = exclude(r);
    if (s != DS_OK) {
        return s;
    }
    r->run.begin = begin;
    const bool is_whole = stego_run_go(&r->plane, begin, head_end - begin) == head_end;
    return is_whole && stego_lead_read_rest(r->image, &r->plane, head_end, &r->lead, &r->lead_end)
               ? DS_OK
               : DS_EAUTH;
}

static enum ds_status read_map(struct reading *r)
{
    const size_t bytes = r->lead.map_bytes;
    r->run.map = r->lead_end;
    if (bytes == 0) {
        return DS_OK;
    }
    const enum ds_status s = need_still(r);
    if (s != DS_OK || bytes > stego_plane_count(&r->plane)) {
        return s != DS_OK ? s : DS_EAUTH;
    }
    r->run.map = stego_run_go(&r->plane, r->lead_end, 8 * bytes);
    if (r->run.map == SIZE_MAX) {
        return DS_EAUTH;
    }
    stego_run_read(&r->plane, r->lead_end, r->run.map, &r->map);
    return r->map.failed ? DS_ENOMEM
                         : stego_still_unmap(&r->plane, r->map.bytes.data, bytes, r->still, NULL);
}

/* Takes the run apart: lead, map, blob. */
static enum ds_status read_run(struct reading *r, size_t begin)
{
    enum ds_status s = read_lead(r, begin);
    s = s == DS_OK ? read_map(r) : s;
    if (s != DS_OK) {
        return s;
    }
    const size_t blob_bits =
        r->lead.codec == STEGO_CHAIN ? STEGO_CHAIN_BLOB_BITS : 8 * r->lead.blob_bytes;
    r->run.end = !is_run_free(r) || blob_bits > stego_plane_count(&r->plane)
                     ? SIZE_MAX
                     : stego_run_go(&r->plane, r->run.map, blob_bits);
    if (r->run.end == SIZE_MAX) {
        return DS_EAUTH;
    }
    stego_run_read(&r->plane, r->run.begin, r->run.end, &r->run_bits);
    stego_bits_append(&r->blob, r->run_bits.bytes.data, r->run_bits.count - blob_bits, blob_bits);
    r->bits = r->lead.bits;
    return r->run_bits.failed || r->blob.failed ? DS_ENOMEM : DS_OK;
}

/* The last stage's bits begin with those that the run displaced. */
static enum ds_status read_displaced(struct reading *r, struct stego_bit_reader *in)
{
    const size_t count = r->run_bits.count;
    if (stego_reader_left(in) < count) {
        return DS_EAUTH;
    }
    stego_bits_append(&r->displaced, in->data, in->at, count);
    in->at += count;
    return r->displaced.failed ? DS_ENOMEM : DS_OK;
}

static enum ds_status read_sum(struct reading *r, struct stego_bit_reader *in)
{
    r->sum = stego_reader_get(in, STEGO_CHECKSUM_BITS);
    return in->failed ? DS_EAUTH : DS_OK;
}

static enum ds_status read_stage(struct reading *r, unsigned stage)
{
    DS_AUTO(stego_bits_free) struct stego_bits bits = STEGO_BITS_INIT;
    const bool is_last = stage + 1 == r->lead.stages;
    enum ds_status s =
        stego_stage_extract(&r->scan, stage & 1U, r->plane.samples, r->blob.bytes.data,
                            r->blob.bytes.len, r->bits, &r->plan[stage], &bits, NULL);
    stego_whiten(bits.bytes.data, bits.count, r->lead.seed, stage);
    struct stego_bit_reader in = stego_bits_read(&bits);
    s = s == DS_OK && is_last ? read_displaced(r, &in) : s;
    s = s == DS_OK && stage > 0 ? read_side(r, &in) : s;
    s = s == DS_OK && is_last ? read_sum(r, &in) : s;
    return s == DS_OK ? prepend(&r->message, &in) : s;
}

static enum ds_status read_board(struct reading *r)
{
    enum ds_status s = stego_scan_init(&r->scan, &r->plane, NULL);
    r->scan.run_begin = r->run.begin;
    r->scan.run_end = r->run.end;
    for (unsigned stage = r->lead.stages; s == DS_OK && stage-- > 0;) {
        s = read_stage(r, stage);
    }
    return s;
}

static enum ds_status read_chain(struct reading *r)
{
    DS_AUTO(stego_bits_free) struct stego_bits bits = STEGO_BITS_INIT;
    const struct stego_chain chain = {
        .plane = &r->plane, .run_begin = r->run.begin, .run_end = r->run.end};
    enum ds_status s = stego_chain_extract(&chain, r->blob.bytes.data, r->lead.bits, &bits, NULL);
    stego_whiten(bits.bytes.data, bits.count, r->lead.seed, 0);
    struct stego_bit_reader in = stego_bits_read(&bits);
    s = s == DS_OK ? read_displaced(r, &in) : s;
    s = s == DS_OK ? read_sum(r, &in) : s;
    return s == DS_OK ? prepend(&r->message, &in) : s;
}

static enum ds_status check_sum(const struct reading *r)
{
    uint32_t sum = lzma_crc32(r->message.bytes.data, r->message.bytes.len, 0);
    for (unsigned stage = 0; stage + 1 < r->lead.stages; stage++) {
        sum = stego_plan_checksum(&r->plan[stage], sum);
    }
    sum ^= stego_lead_checksum(r->image, r->index, &r->lead, r->map.bytes.data);
    if (r->lead.codec == STEGO_BOARD) {
        sum = stego_plan_checksum(&r->plan[r->lead.stages - 1], sum);
    }
    return sum == r->sum ? DS_OK : DS_EAUTH;
}

static enum ds_status read_plane(struct reading *r, size_t begin)
{
    enum ds_status s = read_run(r, begin);
    if (s == DS_OK) {
        s = r->lead.codec == STEGO_CHAIN ? read_chain(r) : read_board(r);
    }
    s = s == DS_OK ? check_sum(r) : s;
    if (s != DS_OK) {
        return s;
    }
    stego_run_write(&r->plane, r->plane.samples, r->run.begin, r->run.end, r->displaced.bytes.data);
    r->lead.count = r->lead.is_filled ? r->lead.count : r->message.count;
    return r->lead.count <= r->message.count ? DS_OK : DS_EAUTH;
}

void stego_plane_seek(const struct stego_image *image, size_t index, struct stego_reading *out)
{
    DS_AUTO(reading_finish)
    struct reading r = {.image = image,
                        .index = index,
                        .plane = stego_plane_of(image, index),
                        .run_bits = STEGO_BITS_INIT,
                        .displaced = STEGO_BITS_INIT,
                        .map = STEGO_BITS_INIT,
                        .blob = STEGO_BITS_INIT,
                        .message = STEGO_BITS_INIT};
    size_t begin = 0;
    *out = (struct stego_reading){.message = STEGO_BITS_INIT, .status = DS_OK};
    out->finding = stego_mark_find(r.plane.samples, stego_plane_count(&r.plane), &begin);
    if (out->finding != STEGO_FOUND_MARK) {
        return;
    }
    out->status = read_plane(&r, begin);
    out->lead = r.lead;
    if (out->status == DS_OK) {
        out->message = r.message;
        r.message = STEGO_BITS_INIT;
    }
}
