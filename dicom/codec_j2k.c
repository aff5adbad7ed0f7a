/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG 2000 (ITU-T T.800) by OpenJPEG, which reads HTJ2K (ITU-T T.814) too. */
#include "dicom/apart.h"
#include "dicom/codec_private.h"
#include "dicom/j2k_header.h"
#include "dicom/words.h"

#include "base/log.h"

#include <openjpeg.h>

#include <string.h>

/* ---- OpenJPEG's streams and messages ---- */

struct source {
    struct ds_cursor c;
};

static OPJ_SIZE_T read_source(void *to, OPJ_SIZE_T len, void *context)
{
    struct source *in = context;
    const size_t left = ds_cursor_left(&in->c);
    const size_t n = len < left ? len : left;
    if (n == 0) {
        return (OPJ_SIZE_T)-1;
    }
    memcpy(to, ds_cursor_bytes(&in->c, n), n);
    return n;
}

static OPJ_OFF_T skip_source(OPJ_OFF_T len, void *context)
{
    struct source *in = context;
    const size_t left = ds_cursor_left(&in->c);
    const size_t n = len < 0 ? 0 : (uint64_t)len < left ? (size_t)len : left;
    (void)ds_cursor_bytes(&in->c, n);
    return n == 0 ? -1 : (OPJ_OFF_T)n;
}

static OPJ_BOOL seek_source(OPJ_OFF_T to, void *context)
{
    struct source *in = context;
    if (to < 0 || (uint64_t)to > in->c.len) {
        return OPJ_FALSE;
    }
    in->c.at = (size_t)to;
    return OPJ_TRUE;
}

struct target {
    struct ds_bytes *out;
    size_t start, at; /* of the codestream among what is in out; the next byte */
};

/* Overwrites what is there and grows: the encoder goes back to fill lengths in. */
static OPJ_SIZE_T write_target(void *from, OPJ_SIZE_T len, void *context)
{
    struct target *t = context;
    const size_t end = t->at + len;
    if (end > t->out->len && ds_bytes_resize(t->out, end, NULL) != DS_OK) {
        return (OPJ_SIZE_T)-1;
    }
    memcpy(t->out->data + t->at, from, len);
    t->at = end;
    return len;
}

static OPJ_OFF_T skip_target(OPJ_OFF_T len, void *context)
{
    struct target *t = context;
    if (len < 0 || (t->at + (size_t)len > t->out->len &&
                    ds_bytes_resize(t->out, t->at + (size_t)len, NULL) != DS_OK)) {
        return -1;
    }
    t->at += (size_t)len;
    return len;
}

static OPJ_BOOL seek_target(OPJ_OFF_T to, void *context)
{
    struct target *t = context;
    if (to < 0 || (uint64_t)to > t->out->len - t->start) {
        return OPJ_FALSE;
    }
    t->at = t->start + (size_t)to;
    return OPJ_TRUE;
}

/* The texts are about markers and packets, never about what the image shows. */
static void log_message(const char *text, void *context)
{
    (void)context;
    ds_log(DS_LOG_DEBUG, "dicom", "openjpeg: %.*s", (int)strcspn(text, "\n"), text);
}

static void free_codec(opj_codec_t **c)
{
    opj_destroy_codec(*c);
}

static void free_stream(opj_stream_t **s)
{
    opj_stream_destroy(*s);
}

static void free_image(opj_image_t **i)
{
    opj_image_destroy(*i);
}

static void listen_to(opj_codec_t *codec)
{
    (void)opj_set_info_handler(codec, log_message, NULL);
    (void)opj_set_warning_handler(codec, log_message, NULL);
    (void)opj_set_error_handler(codec, log_message, NULL);
}

/* ---- reading ---- */

static enum ds_status open_stream(struct source *in, opj_stream_t **out, struct ds_error *err)
{
    *out = opj_stream_default_create(OPJ_TRUE);
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a JPEG 2000 stream");
    }
    opj_stream_set_read_function(*out, read_source);
    opj_stream_set_skip_function(*out, skip_source);
    opj_stream_set_seek_function(*out, seek_source);
    opj_stream_set_user_data(*out, in, NULL);
    opj_stream_set_user_data_length(*out, in->c.len);
    return DS_OK;
}

static enum ds_status decode_image(struct source *in, opj_image_t **image, struct ds_error *err)
{
    opj_dparameters_t parameters;
    DS_AUTO(free_stream) opj_stream_t *stream = NULL;
    DS_AUTO(free_codec) opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
    const enum ds_status s = open_stream(in, &stream, err);
    if (s != DS_OK) {
        return s;
    }
    if (codec == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a JPEG 2000 decoder");
    }
    opj_set_default_decoder_parameters(&parameters);
    /* Strict: half a stream is an error, not a blurred image. */
    if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) ||
        !opj_read_header(stream, codec, image) || !opj_decode(codec, stream, *image) ||
        !opj_end_decompress(codec, stream)) {
        return ds_fail(err, DS_EFORMAT, "a JPEG 2000 stream is damaged");
    }
    return DS_OK;
}

static bool has_all(const opj_image_t *image, const struct dicom_pixels *p)
{
    bool all = image->numcomps == p->samples_per_pixel;
    for (OPJ_UINT32 i = 0; all && i < image->numcomps; i++) {
        const opj_image_comp_t *c = &image->comps[i];
        all = c->data != NULL && c->w == p->columns && c->h == p->rows;
    }
    return all;
}

static DICOM_DECODER(decode_frame)
{
    struct dicom_j2k_header h;
    DS_AUTO(free_image) opj_image_t *image = NULL;
    if (!dicom_j2k_header_read(&stream, &len, &h)) {
        return ds_fail(err, DS_EFORMAT, "a frame is no JPEG 2000 stream");
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes widened = DS_BYTES_INIT(len);
    enum ds_status s = dicom_j2k_header_check(p, &h, err);
    if (s == DS_OK && h.is_signed && h.is_reversible) {
        s = ds_bytes_append(&widened, stream, len, err);
        if (s == DS_OK) {
            dicom_j2k_widen(widened.data, h.components);
            stream = widened.data;
        }
    }
    struct source in = {ds_cursor_over(stream, len)};
    if (s == DS_OK) {
        s = decode_image(&in, &image, err);
    }
    if (s == DS_OK && !has_all(image, p)) {
        s = ds_fail(err, DS_EFORMAT, "a JPEG 2000 stream is damaged");
    }
    if (s != DS_OK) {
        return s;
    }
    memset(cells, 0, frame_bytes);
    const size_t pixels = (size_t)p->columns * p->rows;
    const unsigned samples = p->samples_per_pixel;
    for (unsigned c = 0; c < samples; c++) {
        for (size_t i = 0; i < pixels; i++) {
            dicom_j2k_put_cell(p, &h, cells, i * samples + c, image->comps[c].data[i]);
        }
    }
    return DS_OK;
}

struct frame {
    const struct dicom_pixels *p;
    const uint8_t *stream;
    size_t len;
};

static enum ds_status decode_apart(void *context, uint8_t *out, size_t len, struct ds_error *err)
{
    const struct frame *f = context;
    return decode_frame(f->p, f->stream, f->len, out, len, err);
}

DICOM_DECODER(dicom_j2k_decode)
{
    struct frame f = {p, stream, len};
    return dicom_apart_run(decode_apart, &f, cells, frame_bytes, err);
}

/* ---- writing ---- */

#define RESOLUTIONS_MAX 6U /* five decompositions, as everybody's encoder does */

/* As many resolutions as the shorter side has halves. */
static int resolutions_of(const struct dicom_pixels *p)
{
    const uint32_t side = p->columns < p->rows ? p->columns : p->rows;
    unsigned n = 1;
    while (n < RESOLUTIONS_MAX && side >> n > 0) {
        n++;
    }
    return (int)n;
}

static enum ds_status make_image(const struct dicom_pixels *p, const uint8_t *cells,
                                 opj_image_t **out, struct ds_error *err)
{
    opj_image_cmptparm_t components[3];
    struct dicom_word_form form = dicom_word_form_of(p, cells);
    memset(components, 0, sizeof(components));
    for (unsigned c = 0; c < p->samples_per_pixel; c++) {
        components[c] = (opj_image_cmptparm_t){.dx = 1,
                                               .dy = 1,
                                               .w = p->columns,
                                               .h = p->rows,
                                               .prec = form.bits,
                                               .bpp = form.bits,
                                               .sgnd = form.is_signed ? 1 : 0};
    }
    *out = opj_image_create(p->samples_per_pixel, components,
                            p->samples_per_pixel == 1 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_UNSPECIFIED);
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %ux%u pixels", p->columns, p->rows);
    }
    (*out)->x1 = p->columns;
    (*out)->y1 = p->rows;
    const size_t pixels = (size_t)p->columns * p->rows;
    for (unsigned c = 0; c < p->samples_per_pixel; c++) {
        for (size_t i = 0; i < pixels; i++) {
            const uint32_t word = dicom_word_at(p, cells, i * p->samples_per_pixel + c);
            (*out)->comps[c].data[i] = form.is_signed ? (OPJ_INT32)(int16_t)word : (OPJ_INT32)word;
        }
    }
    return DS_OK;
}

static enum ds_status encode_image(opj_image_t *image, const struct dicom_pixels *p,
                                   struct target *t, struct ds_error *err)
{
    opj_cparameters_t parameters;
    DS_AUTO(free_stream) opj_stream_t *stream = opj_stream_default_create(OPJ_FALSE);
    DS_AUTO(free_codec) opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    if (stream == NULL || codec == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a JPEG 2000 encoder");
    }
    listen_to(codec);
    opj_stream_set_write_function(stream, write_target);
    opj_stream_set_skip_function(stream, skip_target);
    opj_stream_set_seek_function(stream, seek_target);
    opj_stream_set_user_data(stream, t, NULL);
    /* Reversible, one layer with all of it, no colour transform: RGB stays RGB (PS3.3
     * C.7.6.3.1.2). */
    opj_set_default_encoder_parameters(&parameters);
    parameters.tcp_numlayers = 1;
    parameters.tcp_rates[0] = 0;
    parameters.cp_disto_alloc = 1;
    parameters.numresolution = resolutions_of(p);
    parameters.tcp_mct = 0;
    if (!opj_setup_encoder(codec, &parameters, image) ||
        !opj_start_compress(codec, image, stream) || !opj_encode(codec, stream) ||
        !opj_end_compress(codec, stream)) {
        return ds_fail(err, DS_ENOMEM, "OpenJPEG could not encode a frame");
    }
    return DS_OK;
}

DICOM_ENCODER(dicom_j2k_encode)
{
    (void)frame_bytes;
    DS_AUTO(free_image) opj_image_t *image = NULL;
    struct target t = {out, out->len, out->len};
    enum ds_status s = dicom_words_check(p, "JPEG 2000", err);
    if (s == DS_OK) {
        s = make_image(p, cells, &image, err);
    }
    return s == DS_OK ? encode_image(image, p, &t, err) : s;
}
