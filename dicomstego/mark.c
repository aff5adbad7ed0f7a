/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/mark.h"

#include <lzma.h>

/*
 * The mark of format 1, 64 bits without structure of its own. Chance finds it in one of 2^64
 * windows. Windows up to 4 bits away number 1 + 64 + 2016 + 41664 + 635376 < 2^19.4, so among the
 * 2^26.6 windows of 100 million random pixels one is met with probability 2^-18: a cover is
 * practically never taken for a damaged carrier, while one altered pixel, and even a handful of
 * them in the mark, cannot make a carrier pass for a cover.
 */
#define MARK_BITS     64U
#define MARK          UINT64_C(0xC5A719E23DB46F0B)
#define MARK_NEAR     4
#define CHECKSUM_BITS 32U

/* Mark, 3 + 1 + 1 bits, padding 2 * 16, rectangle 5 * 32, counts 2 * 31, checksum: below this. */
#define LEAD_MAX_BITS 384U

unsigned stego_count_width(const struct stego_scan *scan)
{
    return stego_width_of(scan->samples);
}

static unsigned value_width(const struct stego_scan *scan)
{
    return stego_width_of((uint64_t)((int64_t)scan->high - scan->low));
}

size_t stego_lead_length(const struct stego_scan *scan, const struct stego_lead *lead)
{
    size_t n = MARK_BITS + 3U + 1U + 1U + 2U * stego_count_width(scan) + CHECKSUM_BITS;
    if (lead->has_padding) {
        n += 2U * value_width(scan);
    }
    if (lead->exclude.width != 0) {
        n += 2U * stego_width_of(scan->columns) + 2U * stego_width_of(scan->rows) +
             stego_width_of(scan->frames);
    }
    return n;
}

/* Over the fields as bytes, the last one filled up with zeros. */
static uint32_t checksum(const uint8_t *data, size_t bits)
{
    uint8_t copy[LEAD_MAX_BITS / 8] = {0};
    for (size_t i = 0; i < bits && i < LEAD_MAX_BITS; i++) {
        copy[i >> 3] |= (uint8_t)(stego_bit_at(data, i) << (7U - (i & 7U)));
    }
    return lzma_crc32(copy, (bits + 7) / 8, 0);
}

void stego_lead_write(const struct stego_scan *scan, const struct stego_lead *lead,
                      struct stego_bits *out)
{
    struct stego_bits fields = STEGO_BITS_INIT;
    stego_bits_put(&fields, lead->stages - 1U, 3);
    stego_bits_put(&fields, lead->has_padding, 1);
    stego_bits_put(&fields, lead->exclude.width != 0, 1);
    if (lead->has_padding) {
        stego_bits_put(&fields, (uint32_t)(lead->padding_min - scan->low), value_width(scan));
        stego_bits_put(&fields, (uint32_t)(lead->padding_max - scan->low), value_width(scan));
    }
    if (lead->exclude.width != 0) {
        stego_bits_put(&fields, lead->exclude.x, stego_width_of(scan->columns));
        stego_bits_put(&fields, lead->exclude.width, stego_width_of(scan->columns));
        stego_bits_put(&fields, lead->exclude.y, stego_width_of(scan->rows));
        stego_bits_put(&fields, lead->exclude.height, stego_width_of(scan->rows));
        stego_bits_put(&fields, lead->exclude.frame, stego_width_of(scan->frames));
    }
    stego_bits_put(&fields, (uint32_t)lead->bits, stego_count_width(scan));
    stego_bits_put(&fields, (uint32_t)lead->blob_bits, stego_count_width(scan));
    stego_bits_put(out, (uint32_t)(MARK >> 32), 32);
    stego_bits_put(out, (uint32_t)MARK, 32);
    if (!fields.failed) {
        const uint32_t sum = checksum(fields.bytes.data, fields.count);
        stego_bits_append(out, fields.bytes.data, 0, fields.count);
        stego_bits_put(out, sum, CHECKSUM_BITS);
    }
    out->failed = out->failed || fields.failed;
    stego_bits_free(&fields);
}

static bool is_sound(const struct stego_scan *scan, const struct stego_lead *lead)
{
    const struct stego_rect *r = &lead->exclude;
    if (lead->has_padding && (lead->padding_min > lead->padding_max ||
                              lead->padding_min < scan->low || lead->padding_max > scan->high)) {
        return false;
    }
    return (uint64_t)r->x + r->width <= scan->columns && (uint64_t)r->y + r->height <= scan->rows &&
           r->frame < scan->frames && lead->bits <= scan->samples &&
           lead->blob_bits <= scan->samples;
}

static void read_fields(const struct stego_scan *scan, struct stego_bit_reader *r,
                        struct stego_lead *lead)
{
    *lead = (struct stego_lead){.stages = stego_reader_get(r, 3) + 1U};
    lead->has_padding = stego_reader_get(r, 1) != 0;
    const bool has_rectangle = stego_reader_get(r, 1) != 0;
    if (lead->has_padding) {
        lead->padding_min = scan->low + (int32_t)stego_reader_get(r, value_width(scan));
        lead->padding_max = scan->low + (int32_t)stego_reader_get(r, value_width(scan));
    }
    if (has_rectangle) {
        lead->exclude.x = stego_reader_get(r, stego_width_of(scan->columns));
        lead->exclude.width = stego_reader_get(r, stego_width_of(scan->columns));
        lead->exclude.y = stego_reader_get(r, stego_width_of(scan->rows));
        lead->exclude.height = stego_reader_get(r, stego_width_of(scan->rows));
        lead->exclude.frame = stego_reader_get(r, stego_width_of(scan->frames));
        /* The writer has no other spelling of "none" than the flag. */
        r->failed = r->failed || lead->exclude.width == 0;
    }
    lead->bits = stego_reader_get(r, stego_count_width(scan));
    lead->blob_bits = stego_reader_get(r, stego_count_width(scan));
}

/* What stands behind the mark that begins at sample `begin`. */
static bool read_lead(const struct stego_scan *scan, const int32_t *samples, size_t begin,
                      struct stego_lead *lead)
{
    uint8_t data[LEAD_MAX_BITS / 8] = {0};
    const size_t from = begin + MARK_BITS;
    size_t n = scan->samples - from;
    n = n < LEAD_MAX_BITS ? n : LEAD_MAX_BITS;
    for (size_t i = 0; i < n; i++) {
        data[i >> 3] |= (uint8_t)((uint32_t)(samples[from + i] & 1) << (7U - (i & 7U)));
    }
    struct stego_bit_reader r = {data, n, 0, false};
    read_fields(scan, &r, lead);
    const size_t fields = r.at;
    const uint32_t sum = stego_reader_get(&r, CHECKSUM_BITS);
    return !r.failed && sum == checksum(data, fields) && is_sound(scan, lead);
}

enum stego_finding stego_mark_find(const struct stego_scan *scan, const int32_t *samples,
                                   struct stego_lead *lead, size_t *begin)
{
    enum stego_finding finding = STEGO_FOUND_NOTHING;
    uint64_t window = 0;
    *begin = 0;
    for (size_t i = 0; i < scan->samples; i++) {
        window = window << 1 | (uint64_t)(samples[i] & 1);
        if (i + 1 < MARK_BITS || __builtin_popcountll(window ^ MARK) > MARK_NEAR) {
            continue;
        }
        if (window == MARK && read_lead(scan, samples, i + 1 - MARK_BITS, lead)) {
            *begin = i + 1 - MARK_BITS;
            return STEGO_FOUND_CARRIER;
        }
        finding = STEGO_FOUND_ALTERED;
    }
    return finding;
}

size_t stego_run_end(const struct stego_scan *scan, const int32_t *samples, size_t begin,
                     size_t consecutive, size_t total)
{
    size_t held = 0;
    for (size_t i = begin; i < scan->samples; i++) {
        const bool holds = stego_scan_may_hold(scan, i, samples[i]);
        if (!holds && i - begin < consecutive) {
            return 0;
        }
        held += holds;
        if (held == total) {
            return i + 1;
        }
    }
    return 0;
}

/* How restless the image is at sample i. Capped, so that one edge does not outweigh texture. */
static uint64_t unrest_at(const int32_t *samples, size_t i)
{
    const int32_t d = i == 0 ? 0 : samples[i] - samples[i - 1];
    const int32_t size = d < 0 ? -d : d;
    return (uint64_t)(size < 255 ? size : 255);
}

static size_t count_holders(const struct stego_scan *scan, const int32_t *samples)
{
    size_t n = 0;
    if (!scan->has_padding && scan->exclude.width == 0) {
        return scan->samples;
    }
    for (size_t i = 0; i < scan->samples; i++) {
        n += stego_scan_may_hold(scan, i, samples[i]);
    }
    return n;
}

bool stego_run_choose(const struct stego_scan *scan, const int32_t *samples, size_t consecutive,
                      size_t total, size_t latest, size_t *begin, size_t *end)
{
    size_t room = count_holders(scan, samples); /* from the window's begin on */
    size_t length = 0;
    uint64_t unrest = 0;
    uint64_t best = 0;
    bool found = false;
    for (size_t i = 0; i < scan->samples && room >= total; i++) {
        if (!stego_scan_may_hold(scan, i, samples[i])) {
            room -= length;
            length = 0;
            unrest = 0;
            continue;
        }
        unrest += unrest_at(samples, i);
        length++;
        if (length > consecutive) {
            unrest -= unrest_at(samples, i - consecutive);
            length--;
            room--;
        }
        if (length < consecutive || room < total) {
            continue;
        }
        const size_t at = i + 1 - consecutive;
        if (at > latest) {
            break;
        }
        if (!found || unrest > best) {
            found = true;
            best = unrest;
            *begin = at;
        }
    }
    *end = found ? stego_run_end(scan, samples, *begin, consecutive, total) : 0;
    return found && *end != 0;
}

void stego_run_read(const struct stego_scan *scan, const int32_t *samples, size_t begin, size_t end,
                    struct stego_bits *out)
{
    for (size_t i = begin; i < end; i++) {
        if (stego_scan_may_hold(scan, i, samples[i])) {
            stego_bits_put(out, (uint32_t)(samples[i] & 1), 1);
        }
    }
}

void stego_run_write(const struct stego_scan *scan, int32_t *samples, size_t begin, size_t end,
                     const uint8_t *bits)
{
    size_t at = 0;
    for (size_t i = begin; i < end; i++) {
        if (stego_scan_may_hold(scan, i, samples[i])) {
            samples[i] = (samples[i] & ~1) | (int32_t)stego_bit_at(bits, at++);
        }
    }
}
