/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG-LS (ITU-T T.87): lossless streams with a scan for each component here, over jpegls.c; all
 * others (interleaved, near-lossless) by DCMTK. DCMTK 3.6.7 refuses depths below 8 bits.
 */
#include "dicom/codec_private.h"
#include "dicom/jpegls.h"
#include "dicom/words.h"

#include <stdlib.h>
#include <string.h>

enum {
    SOI = 0xffd8,
    EOI = 0xffd9,
    SOS = 0xffda,
    COM = 0xfffe,
    SOF55 = 0xfff7,
    LSE = 0xfff8,
};

/* Of one stream, as its marker segments go by. */
struct jpegls_stream {
    struct ds_cursor c;
    unsigned depth;
    uint32_t columns, rows;
    unsigned components;
    uint16_t thresholds[3], reset;
    bool has_frame;
    bool is_foreign; /* uses what only DCMTK decodes */
};

static void read_frame_header(struct jpegls_stream *s, struct ds_cursor *body)
{
    s->depth = (unsigned)ds_cursor_be(body, 1);
    s->rows = (uint32_t)ds_cursor_be(body, 2);
    s->columns = (uint32_t)ds_cursor_be(body, 2);
    s->components = (unsigned)ds_cursor_be(body, 1);
    s->has_frame = !body->failed;
}

/* C.2.4.1: preset coding parameters are of type 1; the others are tables and large sizes. */
static void read_presets(struct jpegls_stream *s, struct ds_cursor *body)
{
    const unsigned type = (unsigned)ds_cursor_be(body, 1);
    const unsigned max = (unsigned)ds_cursor_be(body, 2);
    for (size_t i = 0; i < 3; i++) {
        s->thresholds[i] = (uint16_t)ds_cursor_be(body, 2);
    }
    s->reset = (uint16_t)ds_cursor_be(body, 2);
    /* The depth is the stream's word, and not checked yet. */
    const bool usual_max = max == 0 || (s->depth <= 16 && max == (1U << s->depth) - 1);
    s->is_foreign = s->is_foreign || type != 1 || body->failed ||
                    s->reset > DICOM_JPEGLS_RESET_MAX || !usual_max;
}

/* One component, NEAR 0, not interleaved, no mapping table, no point transform. */
static bool is_plain_scan(struct ds_cursor *body)
{
    const unsigned components = (unsigned)ds_cursor_be(body, 1);
    (void)ds_cursor_be(body, 1); /* which component: they come in order */
    const unsigned rest = (unsigned)ds_cursor_be(body, 4);
    return components == 1 && rest == 0 && !body->failed;
}

/* Reads marker segments until a scan begins; false when there is none. */
static bool next_scan(struct jpegls_stream *s)
{
    while (!s->c.failed) {
        const unsigned marker = (unsigned)ds_cursor_be(&s->c, 2);
        if (marker == SOI) {
            continue;
        }
        const size_t len = (size_t)ds_cursor_be(&s->c, 2);
        const uint8_t *data = len < 2 ? NULL : ds_cursor_bytes(&s->c, len - 2);
        if (data == NULL || marker < 0xff00 || marker == EOI) {
            return false;
        }
        struct ds_cursor body = ds_cursor_over(data, len - 2);
        if (marker == SOS) {
            s->is_foreign = s->is_foreign || !is_plain_scan(&body);
            return s->has_frame;
        }
        if (marker == SOF55) {
            read_frame_header(s, &body);
        } else if (marker == LSE) {
            read_presets(s, &body);
        } else if (marker != COM && (marker & 0xfff0U) != 0xffe0U) { /* nor an APPn */
            s->is_foreign = true;
        }
    }
    return false;
}

/* The bytes up to the next marker: in a scan the top bit behind an 0xff is 0. */
static const uint8_t *scan_bytes(struct jpegls_stream *s, size_t *len)
{
    const uint8_t *from = s->c.data + s->c.at;
    const size_t left = ds_cursor_left(&s->c);
    *len = 0;
    while (*len + 1 < left && (from[*len] != 0xff || from[*len + 1] < 0x80)) {
        (*len)++;
    }
    return *len + 1 < left ? ds_cursor_bytes(&s->c, *len) : NULL;
}

static enum ds_status check_frame(const struct dicom_pixels *p, const struct jpegls_stream *s,
                                  struct ds_error *err)
{
    if (s->columns != p->columns || s->rows != p->rows || s->components != p->samples_per_pixel ||
        s->depth > p->bits_allocated || p->bits_allocated > 16) {
        return ds_fail(err, DS_EFORMAT,
                       "a stream of %ux%u pixels, %u bits and %u components "
                       "where %ux%u, %u and %u belong",
                       s->columns, s->rows, s->depth, s->components, p->columns, p->rows,
                       p->bits_allocated, p->samples_per_pixel);
    }
    return DS_OK;
}

static void put_words(const struct dicom_pixels *p, unsigned component, const uint32_t *words,
                      uint8_t *cells)
{
    const size_t count = (size_t)p->columns * p->rows;
    const size_t bytes = p->bits_allocated / 8U;
    for (size_t i = 0; i < count; i++) {
        uint8_t *cell = cells + (i * p->samples_per_pixel + component) * bytes;
        cell[0] = (uint8_t)words[i];
        if (bytes == 2) {
            cell[1] = (uint8_t)(words[i] >> 8);
        }
    }
}

static enum ds_status decode_scans(struct jpegls_stream *s, const struct dicom_pixels *p,
                                   uint32_t *words, uint8_t *cells, struct ds_error *err)
{
    struct dicom_jpegls j = {words, p->columns, p->rows, s->depth, {0}, s->reset};
    memcpy(j.thresholds, s->thresholds, sizeof(j.thresholds));
    for (unsigned component = 0; component < p->samples_per_pixel; component++) {
        size_t len = 0;
        const uint8_t *scan = NULL;
        if ((component == 0 || next_scan(s)) && !s->is_foreign) {
            scan = scan_bytes(s, &len);
        }
        if (scan == NULL) {
            return ds_fail(err, DS_EFORMAT, "a JPEG-LS stream ends in component %u", component + 1);
        }
        const enum ds_status status = dicom_jpegls_decode(&j, scan, len, err);
        if (status != DS_OK) {
            return status;
        }
        put_words(p, component, words, cells);
    }
    return DS_OK;
}

DICOM_DECODER(dicom_jpegls_frame_decode)
{
    struct jpegls_stream s = {.c = ds_cursor_over(stream, len)};
    if (!next_scan(&s)) {
        return ds_fail(err, DS_EFORMAT, "a frame is no JPEG-LS stream");
    }
    if (s.is_foreign || p->bits_allocated < 8) {
        return dicom_jpeg_decode(p, stream, len, cells, frame_bytes, err);
    }
    enum ds_status status = check_frame(p, &s, err);
    if (status != DS_OK) {
        return status;
    }
    uint32_t *words = calloc((size_t)p->columns * p->rows, sizeof(*words));
    if (words == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %ux%u pixels", p->columns, p->rows);
    }
    status = decode_scans(&s, p, words, cells, err);
    free(words);
    /* Old encoders wrote errors that A.5.2 does not have; DCMTK takes them as they meant them. */
    return status == DS_EFORMAT ? dicom_jpeg_decode(p, stream, len, cells, frame_bytes, err)
                                : status;
}

/* ---- writing ---- */

/* Bytes in a row, each below 256; the first failure stays. */
static enum ds_status put_all(struct ds_bytes *out, const unsigned *bytes, size_t count,
                              struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = ds_bytes_put_u8(out, (uint8_t)bytes[i], err);
    }
    return s;
}

static enum ds_status put_frame_header(const struct dicom_pixels *p, unsigned depth,
                                       struct ds_bytes *out, struct ds_error *err)
{
    const unsigned n = p->samples_per_pixel;
    const unsigned head[] = {0xff,
                             0xd8,
                             0xff,
                             0xf7,
                             0,
                             8 + 3 * n,
                             depth,
                             p->rows >> 8,
                             p->rows & 0xff,
                             p->columns >> 8,
                             p->columns & 0xff,
                             n};
    enum ds_status s = put_all(out, head, DS_ARRAY_SIZE(head), err);
    for (unsigned i = 1; s == DS_OK && i <= n; i++) {
        const unsigned component[] = {i, 0x11, 0};
        s = put_all(out, component, DS_ARRAY_SIZE(component), err);
    }
    return s;
}

static enum ds_status put_scan(const struct dicom_pixels *p, const uint8_t *cells,
                               unsigned component, struct dicom_jpegls *j, struct ds_bytes *out,
                               struct ds_error *err)
{
    const unsigned head[] = {0xff, 0xda, 0, 8, 1, component + 1, 0, 0, 0, 0};
    const size_t count = (size_t)p->columns * p->rows;
    const uint32_t mask = (1U << j->depth) - 1;
    for (size_t i = 0; i < count; i++) {
        j->values[i] = dicom_word_at(p, cells, i * p->samples_per_pixel + component) & mask;
    }
    const enum ds_status s = put_all(out, head, DS_ARRAY_SIZE(head), err);
    return s == DS_OK ? dicom_jpegls_encode(j, out, err) : s;
}

/* Decoders differ in whether they extend the sign of fewer bits, so signed pixels go in whole. */
static unsigned depth_of(const struct dicom_pixels *p, const uint8_t *cells)
{
    return p->is_signed ? p->bits_allocated : dicom_word_form_of(p, cells).bits;
}

DICOM_ENCODER(dicom_jpegls_frame_encode)
{
    (void)frame_bytes;
    enum ds_status s = dicom_words_check(p, "JPEG-LS", err);
    if (s != DS_OK) {
        return s;
    }
    uint32_t *words = calloc((size_t)p->columns * p->rows, sizeof(*words));
    if (words == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %ux%u pixels", p->columns, p->rows);
    }
    struct dicom_jpegls j = {words, p->columns, p->rows, depth_of(p, cells), {0}, 0};
    s = put_frame_header(p, j.depth, out, err);
    for (unsigned c = 0; s == DS_OK && c < p->samples_per_pixel; c++) {
        s = put_scan(p, cells, c, &j, out, err);
    }
    free(words);
    return s == DS_OK ? ds_bytes_put_be(out, EOI, 2, err) : s;
}
