/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/documents.h"

#include <lzma.h>

#define TYPE_HEADER        "Content-Type: "
#define DISPOSITION_HEADER "Content-Disposition: attachment; filename=\""
#define LENGTH_HEADER      "Content-Length: "
#define LINE_END           "\r\n"
#define LENGTH_DIGITS_MAX  10U
#define XZ_MEMORY_MAX      (96U * 1024U * 1024U)
/* Up to here each byte saved is worth the time that it takes to find it. */
#define THOROUGH_MAX_BYTES (1024U * 1024U)
#define XZ_OUT_STEP        65536U

static void bytes_auto(struct ds_bytes *b)
{
    ds_bytes_free(b);
}

/* ---- names ---- */

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* The length of the well-formed UTF-8 sequence at text that is no control character, 0 if there is
 * none (Unicode 15, table 3-7; C1 controls are U+0080 to U+009F). */
static size_t utf8_length(const char *text)
{
    const unsigned char a = (unsigned char)text[0];
    const unsigned char b = a == 0 ? 0 : (unsigned char)text[1];
    if (a < 0x80) {
        return is_control(text[0]) ? 0 : 1;
    }
    const size_t len = a >= 0xc2 && a <= 0xdf   ? 2
                       : (a & 0xf0U) == 0xe0    ? 3
                       : a >= 0xf0 && a <= 0xf4 ? 4
                                                : 0;
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)text[i] & 0xc0U) != 0x80U) {
            return 0;
        }
    }
    const bool bad = (a == 0xc2 && b < 0xa0) || (a == 0xe0 && b < 0xa0) ||
                     (a == 0xed && b >= 0xa0) || (a == 0xf0 && b < 0x90) ||
                     (a == 0xf4 && b >= 0x90);
    return bad ? 0 : len;
}

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

static bool is_plain_name(const char *name)
{
    for (const char *at = name; *at != '\0';) {
        const size_t len = utf8_length(at);
        if (len == 0 || is_separator(*at)) {
            return false;
        }
        at += len;
    }
    return name[0] != '\0' && strlen(name) < STEGO_NAME_BYTES && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* In place: the name becomes one that is_plain_name accepts. */
static void make_safe(char name[STEGO_NAME_BYTES])
{
    for (char *at = name; *at != '\0';) {
        const size_t len = utf8_length(at);
        if (len == 0 || is_separator(*at)) {
            *at = '_';
        }
        at += len == 0 ? 1 : len;
    }
    if (!is_plain_name(name)) {
        (void)snprintf(name, STEGO_NAME_BYTES, "document");
    }
}

static bool is_media_type(const char *text)
{
    const size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return len > 0 && len < STEGO_NAME_BYTES;
}

/* ---- packing ---- */

static enum ds_status put_text(struct ds_bytes *b, const char *text, struct ds_error *err)
{
    return ds_bytes_append(b, text, strlen(text), err);
}

/* '"' ends the name, so it is escaped (RFC 9110 5.6.4); '\' is never in a plain name. */
static enum ds_status put_name(struct ds_bytes *b, const char *name, struct ds_error *err)
{
    enum ds_status s = DS_OK;
    for (; *name != '\0' && s == DS_OK; name++) {
        if (*name == '"') {
            s = put_text(b, "\\", err);
        }
        if (s == DS_OK) {
            s = ds_bytes_append(b, name, 1, err);
        }
    }
    return s;
}

static enum ds_status put_document(struct ds_bytes *b, const struct stego_document *d,
                                   struct ds_error *err)
{
    if (!is_plain_name(d->name) || !is_media_type(d->media_type) ||
        d->len > STEGO_REPORT_MAX_BYTES) {
        return ds_fail(err, DS_EINVAL,
                       "a document needs a plain file name, a media type and at most %u bytes",
                       STEGO_REPORT_MAX_BYTES);
    }
    char length[LENGTH_DIGITS_MAX + 8];
    (void)snprintf(length, sizeof(length), "%zu", d->len);
    const char *const before[] = {TYPE_HEADER, d->media_type, LINE_END, DISPOSITION_HEADER};
    const char *const after[] = {"\"", LINE_END, LENGTH_HEADER, length, LINE_END, LINE_END};
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < DS_ARRAY_SIZE(before); i++) {
        s = put_text(b, before[i], err);
    }
    if (s == DS_OK) {
        s = put_name(b, d->name, err);
    }
    for (size_t i = 0; s == DS_OK && i < DS_ARRAY_SIZE(after); i++) {
        s = put_text(b, after[i], err);
    }
    return s == DS_OK ? ds_bytes_append(b, d->data, d->len, err) : s;
}

/* pb, the alignment that LZMA assumes, is 0: right for headers and text. The extreme presets, and
 * another try with pb 2, take six times as long for one byte of a hundred (the headers of 16 CT
 * slices: 2703 for 2724 bytes). */
static bool compress(const struct ds_bytes *plain, struct ds_bytes *out)
{
    lzma_options_lzma options;
    if (lzma_lzma_preset(&options, plain->len > THOROUGH_MAX_BYTES ? 3U : 6U)) {
        return false;
    }
    options.pb = 0;
    /* No dictionary beyond the data: less memory here and for the reader. */
    if (plain->len < options.dict_size) {
        options.dict_size =
            plain->len < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN : (uint32_t)plain->len;
    }
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    const size_t bound = lzma_stream_buffer_bound(plain->len);
    if (bound == 0 || ds_bytes_resize(out, bound, NULL) != DS_OK) {
        return false;
    }
    size_t at = 0;
    const lzma_ret r = lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, NULL, plain->data,
                                                 plain->len, out->data, &at, out->len);
    return r == LZMA_OK && ds_bytes_resize(out, at, NULL) == DS_OK;
}

enum ds_status stego_documents_pack(const struct stego_document *documents, size_t count,
                                    struct ds_bytes *out, struct ds_error *err)
{
    if (count > STEGO_DOCUMENTS_MAX) {
        return ds_fail(err, DS_EINVAL, "more than %u documents", STEGO_DOCUMENTS_MAX);
    }
    DS_AUTO(bytes_auto) struct ds_bytes plain = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES);
    DS_AUTO(bytes_auto) struct ds_bytes best = DS_BYTES_INIT(2 * STEGO_ARCHIVE_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        const enum ds_status s = put_document(&plain, &documents[i], err);
        if (s == DS_EFORMAT) {
            return ds_fail(err, DS_EINVAL, "the documents exceed %u bytes together",
                           STEGO_ARCHIVE_MAX_BYTES);
        }
        if (s != DS_OK) {
            return s;
        }
    }
    if (!compress(&plain, &best)) {
        best.len = 0;
    }
    const bool helps = best.len > 0 && best.len < plain.len;
    return ds_bytes_append(out, helps ? best.data : plain.data, helps ? best.len : plain.len, err);
}

/* ---- unpacking ---- */

static void lzma_auto(lzma_stream *s)
{
    lzma_end(s);
}

static enum ds_status decompress(const uint8_t *packed, size_t len, struct ds_bytes *out,
                                 struct ds_error *err)
{
    DS_AUTO(lzma_auto) lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, XZ_MEMORY_MAX, 0) != LZMA_OK) {
        return ds_fail(err, DS_ENOMEM, "xz decoder");
    }
    stream.next_in = packed;
    stream.avail_in = len;
    lzma_ret r = LZMA_OK;
    while (r == LZMA_OK) {
        const size_t before = out->len;
        const enum ds_status s = ds_bytes_reserve(out, XZ_OUT_STEP, err);
        if (s != DS_OK) {
            return s;
        }
        stream.next_out = out->data + before;
        stream.avail_out = XZ_OUT_STEP;
        r = lzma_code(&stream, LZMA_FINISH);
        out->len = before + (XZ_OUT_STEP - stream.avail_out);
    }
    if (r == LZMA_MEM_ERROR) {
        return ds_fail(err, DS_ENOMEM, "xz decoder");
    }
    return r == LZMA_STREAM_END && stream.avail_in == 0
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "the documents' xz stream is damaged");
}

static bool skip_text(struct ds_cursor *c, const char *text)
{
    const size_t len = strlen(text);
    const uint8_t *at = ds_cursor_bytes(c, len);
    return at != NULL && memcmp(at, text, len) == 0;
}

static bool take_text(struct ds_cursor *c, char end, bool escapes, char out[STEGO_NAME_BYTES])
{
    for (size_t n = 0; n < STEGO_NAME_BYTES; n++) {
        char ch = (char)ds_cursor_be(c, 1);
        if (!c->failed && ch == end) {
            out[n] = '\0';
            return true;
        }
        if (escapes && ch == '\\') {
            ch = (char)ds_cursor_be(c, 1);
        }
        /* No control character, so neither header nor name can hold a line end or a terminator. */
        if (c->failed || is_control(ch)) {
            return false;
        }
        out[n] = ch;
    }
    return false;
}

/* Decimal without leading zeros, then the end of the line. */
static bool take_length(struct ds_cursor *c, size_t *out)
{
    size_t value = 0;
    for (unsigned digits = 0; digits <= LENGTH_DIGITS_MAX; digits++) {
        const uint64_t ch = ds_cursor_be(c, 1);
        if (ch == '\r' && digits > 0) {
            *out = value;
            return ds_cursor_be(c, 1) == '\n';
        }
        if (ch < '0' || ch > '9' || (digits > 0 && value == 0)) {
            return false;
        }
        value = value * 10 + (size_t)(ch - '0'); /* at most 11 digits: fits */
    }
    return false;
}

static bool take_headers(struct ds_cursor *c, struct stego_opened_document *d, size_t *len)
{
    return skip_text(c, TYPE_HEADER) && take_text(c, '\r', false, d->media_type) &&
           skip_text(c, "\n" DISPOSITION_HEADER) && take_text(c, '"', true, d->name) &&
           skip_text(c, LINE_END LENGTH_HEADER) && take_length(c, len) && skip_text(c, LINE_END);
}

static enum ds_status take_document(struct ds_cursor *c, struct stego_opened_document *d,
                                    struct ds_error *err)
{
    size_t len = 0;
    if (!take_headers(c, d, &len) || !is_media_type(d->media_type)) {
        return ds_fail(err, DS_EFORMAT, "a document's headers are not as they should be");
    }
    const uint8_t *bytes = ds_cursor_bytes(c, len);
    if (bytes == NULL || len > STEGO_REPORT_MAX_BYTES) {
        return ds_fail(err, DS_EFORMAT, "a document of %zu bytes is cut short", len);
    }
    make_safe(d->name);
    d->data = DS_BYTES_INIT(STEGO_REPORT_MAX_BYTES);
    return ds_bytes_append(&d->data, bytes, len, err);
}

void stego_documents_free(struct stego_documents *d)
{
    for (size_t i = 0; i < d->count; i++) {
        ds_bytes_free(&d->items[i].data);
    }
    free(d->items);
    *d = (struct stego_documents){0};
}

static enum ds_status take_next(struct ds_cursor *c, struct stego_documents *out,
                                struct ds_error *err)
{
    if (out->count == STEGO_DOCUMENTS_MAX) {
        return ds_fail(err, DS_EFORMAT, "more than %u documents", STEGO_DOCUMENTS_MAX);
    }
    struct stego_opened_document *grown =
        realloc(out->items, (out->count + 1) * sizeof(struct stego_opened_document));
    if (grown == NULL) {
        return ds_fail(err, DS_ENOMEM, "documents");
    }
    out->items = grown;
    struct stego_opened_document *d = &grown[out->count];
    memset(d, 0, sizeof(*d));
    const enum ds_status s = take_document(c, d, err);
    out->count++; /* also after a failure: freed with the others */
    return s;
}

static enum ds_status parse(const uint8_t *plain, size_t len, struct stego_documents *out,
                            struct ds_error *err)
{
    struct ds_cursor c = ds_cursor_over(plain, len);
    enum ds_status s = DS_OK;
    while (s == DS_OK && ds_cursor_left(&c) > 0) {
        s = take_next(&c, out, err);
    }
    if (s != DS_OK) {
        stego_documents_free(out);
    }
    return s;
}

enum ds_status stego_documents_unpack(const uint8_t *packed, size_t len,
                                      struct stego_documents *out, struct ds_error *err)
{
    static const uint8_t xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0};
    *out = (struct stego_documents){0};
    if (len < sizeof(xz_magic) || memcmp(packed, xz_magic, sizeof(xz_magic)) != 0) {
        return parse(packed, len, out, err);
    }
    DS_AUTO(bytes_auto)
    struct ds_bytes plain = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES + XZ_OUT_STEP);
    const enum ds_status s = decompress(packed, len, &plain, err);
    return s == DS_OK ? parse(plain.data, plain.len, out, err) : s;
}
