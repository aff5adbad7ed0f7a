/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/identity.h"

#include "dicom/element_walk.h"
#include "dicom/transfer_syntax.h"

#include <string.h>

#define ZLIB_CONST /* next_in is not written to */
#include <zlib.h>

#define HEAD_BYTES 65536U /* of a deflated data set: far more than groups up to 0008 take */

static void take_uid(const uint8_t *value, size_t len, char out[DICOM_UID_BYTES])
{
    while (len > 0 && (value[len - 1] == '\0' || value[len - 1] == ' ')) {
        len--;
    }
    if (len < DICOM_UID_BYTES && memchr(value, '\0', len) == NULL) {
        memcpy(out, value, len);
        out[len] = '\0';
    }
}

static enum ds_status walk(const uint8_t *dataset, size_t len,
                           const struct dicom_transfer_syntax *syntax, struct dicom_identity *out,
                           struct ds_error *err)
{
    struct dicom_walk w;
    dicom_walk_begin(&w, dataset, 0, len, syntax->explicit_vr, syntax->big_endian);
    for (;;) {
        struct dicom_element_header h;
        bool more = true;
        const enum ds_status s = dicom_walk_next(&w, &h, &more, err);
        if (s != DS_OK || !more || h.group > 0x0008) {
            return s;
        }
        const bool is_class = h.group == 0x0008 && h.element == 0x0016;
        const bool is_instance = h.group == 0x0008 && h.element == 0x0018;
        if ((is_class || is_instance) && h.length != DICOM_UNDEFINED_LENGTH) {
            take_uid(dataset + h.value, h.length,
                     is_class ? out->sop_class_uid : out->sop_instance_uid);
        }
        if (is_instance) {
            return DS_OK;
        }
    }
}

/* The beginning of a raw deflate stream (RFC 1951, PS3.5 A.5). */
static enum ds_status inflate_head(const uint8_t *stream, size_t len, struct ds_bytes *out,
                                   struct ds_error *err)
{
    z_stream z = {0};
    enum ds_status s = ds_bytes_resize(out, HEAD_BYTES, err);
    if (s != DS_OK || inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        return s != DS_OK ? s : ds_fail(err, DS_ENOMEM, "no memory to inflate");
    }
    z.next_in = stream;
    z.avail_in = len < UINT32_MAX ? (uInt)len : UINT32_MAX;
    z.next_out = out->data;
    z.avail_out = HEAD_BYTES;
    const int result = inflate(&z, Z_SYNC_FLUSH);
    out->len = HEAD_BYTES - z.avail_out;
    (void)inflateEnd(&z);
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR
               ? DS_OK
               : ds_fail(err, DS_EFORMAT, "the data set does not inflate");
}

enum ds_status dicom_identity_read(const uint8_t *dataset, size_t len, const char *transfer_syntax,
                                   struct dicom_identity *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_of(transfer_syntax);
    if (syntax == NULL) {
        return ds_fail(err, DS_EINVAL, "unknown transfer syntax %.64s", transfer_syntax);
    }
    if (!syntax->deflated) {
        return walk(dataset, len, syntax, out, err);
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes head = DS_BYTES_INIT(HEAD_BYTES);
    const enum ds_status s = inflate_head(dataset, len, &head, err);
    return s == DS_OK ? walk(head.data, head.len, syntax, out, err) : s;
}
