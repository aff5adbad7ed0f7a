/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/envelope.h"

#include "dicom/element_walk.h"
#include "dicom/transfer_syntax.h"

#include <string.h>

#define PREAMBLE_BYTES 128U

/* The UID's value without its padding; false when it is no UID (PS3.5 9.1). */
static bool copy_uid(const uint8_t *value, size_t len, char out[65])
{
    while (len > 0 && (value[len - 1] == '\0' || value[len - 1] == ' ')) {
        len--;
    }
    if (len == 0 || len > 64) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (value[i] != '.' && (value[i] < '0' || value[i] > '9')) {
            return false;
        }
    }
    memcpy(out, value, len);
    out[len] = '\0';
    return true;
}

/* Where group 0002 begins, or len when the file has none (PS3.10 7.1). Some writers leave the
 * preamble out. */
static size_t meta_offset(const uint8_t *file, size_t len)
{
    if (len >= PREAMBLE_BYTES + 4 && memcmp(file + PREAMBLE_BYTES, "DICM", 4) == 0) {
        return PREAMBLE_BYTES + 4;
    }
    return len >= 8 && file[0] == 2 && file[1] == 0 ? 0 : len;
}

/* A group length of 0 or a little off is common and harmless, because the group is read element by
 * element; one that points behind the end of the file is a file that was cut. */
static enum ds_status check_group_length(const uint8_t *file, size_t len,
                                         const struct dicom_element_header *h, struct ds_error *err)
{
    if (h->element != 0 || h->length != 4) {
        return DS_OK;
    }
    struct ds_cursor c = ds_cursor_over(file + h->value, 4);
    if (ds_cursor_le(&c, 4) > len - h->value - 4) {
        return ds_fail(err, DS_EFORMAT, "group 0002 is longer than the file");
    }
    return DS_OK;
}

/* Group 0002 is always Explicit VR Little Endian. Its elements are those that say they are. */
static enum ds_status scan_meta(const uint8_t *file, size_t len, size_t at,
                                struct dicom_envelope *out, struct ds_error *err)
{
    struct dicom_walk w;
    bool more = true;
    while (at + 2 <= len && file[at] == 2 && file[at + 1] == 0) {
        struct dicom_element_header h;
        dicom_walk_begin(&w, file, at, len, true, false);
        enum ds_status s = dicom_walk_next(&w, &h, &more, err);
        if (s == DS_OK) {
            s = check_group_length(file, len, &h, err);
        }
        if (s == DS_OK && h.length == DICOM_UNDEFINED_LENGTH) {
            s = ds_fail(err, DS_EFORMAT,
                        "undefined length"); /* UN or SQ, which do not belong here */
        }
        if (s != DS_OK) {
            return ds_fail_context(err, s, "file meta information");
        }
        at = w.at;
        if (h.element == 0x0010 && !copy_uid(file + h.value, h.length, out->transfer_syntax)) {
            return ds_fail(err, DS_EFORMAT, "the transfer syntax is not a UID");
        }
    }
    out->dataset_offset = at;
    if (out->transfer_syntax[0] == '\0') {
        return ds_fail(err, DS_EFORMAT, "the file names no transfer syntax");
    }
    return DS_OK;
}

/* A data set without group 0002: its first element tells VR and byte order, for groups are small
 * numbers. */
static enum ds_status guess_syntax(const uint8_t *file, size_t len, struct dicom_envelope *out,
                                   struct ds_error *err)
{
    if (len < 8) {
        return ds_fail(err, DS_EFORMAT, "too short for a DICOM file");
    }
    const bool has_vr = file[4] >= 'A' && file[4] <= 'Z' && file[5] >= 'A' && file[5] <= 'Z';
    const bool big = has_vr && file[0] == 0 && file[1] != 0;
    const unsigned group = big ? file[1] : (unsigned)(file[0] | file[1] << 8);
    if (group != 0x0008) {
        return ds_fail(err, DS_EFORMAT, "not a DICOM file");
    }
    const char *guess = !has_vr ? DICOM_IMPLICIT_LE : big ? DICOM_EXPLICIT_BE : DICOM_EXPLICIT_LE;
    memcpy(out->transfer_syntax, guess, strlen(guess) + 1);
    return DS_OK;
}

enum ds_status dicom_envelope_locate(const uint8_t *file, size_t len, struct dicom_envelope *out,
                                     struct ds_error *err)
{
    *out = (struct dicom_envelope){.cell_bytes = 1};
    struct dicom_envelope e = *out;
    const size_t meta = meta_offset(file, len);
    const enum ds_status s =
        meta < len ? scan_meta(file, len, meta, &e, err) : guess_syntax(file, len, &e, err);
    if (s == DS_OK) {
        e.deflated = strcmp(e.transfer_syntax, DICOM_DEFLATED_LE) == 0;
        *out = e;
    }
    return s;
}

static void note_pixels(struct dicom_envelope *out, const struct dicom_element_header *h,
                        size_t begin)
{
    if (h->group != 0x7fe0 || h->element != 0x0010 || h->length == DICOM_UNDEFINED_LENGTH) {
        return;
    }
    out->has_native_pixels = true;
    out->pixel_element = begin;
    out->pixel_offset = h->value;
    out->pixel_len = h->length;
    out->cell_bytes = memcmp(h->vr, "OB", 2) == 0 ? 1 : 2;
}

static enum ds_status scan_elements(const uint8_t *file, size_t len, struct dicom_envelope *out,
                                    struct ds_error *err)
{
    struct dicom_walk w;
    struct dicom_element_header h;
    out->big_endian = strcmp(out->transfer_syntax, DICOM_EXPLICIT_BE) == 0;
    dicom_walk_begin(&w, file, out->dataset_offset, len,
                     strcmp(out->transfer_syntax, DICOM_IMPLICIT_LE) != 0, out->big_endian);
    bool more = true;
    while (more) {
        const size_t begin = w.at;
        const enum ds_status s = dicom_walk_next(&w, &h, &more, err);
        if (s != DS_OK) {
            return s;
        }
        if (more) {
            out->elements++;
            note_pixels(out, &h, begin);
        }
    }
    return DS_OK;
}

enum ds_status dicom_envelope_scan(const uint8_t *file, size_t len, struct dicom_envelope *out,
                                   struct ds_error *err)
{
    enum ds_status s = dicom_envelope_locate(file, len, out, err);
    struct dicom_envelope e = *out;
    if (s != DS_OK || e.deflated) {
        return s;
    }
    s = scan_elements(file, len, &e, err);
    *out = s == DS_OK ? e : (struct dicom_envelope){.cell_bytes = 1};
    return s;
}

enum ds_status dicom_envelope_scan_dataset(const uint8_t *dataset, size_t len,
                                           const char *transfer_syntax, struct dicom_envelope *out,
                                           struct ds_error *err)
{
    *out = (struct dicom_envelope){.cell_bytes = 1};
    struct dicom_envelope e = *out;
    if (!copy_uid((const uint8_t *)transfer_syntax, strlen(transfer_syntax), e.transfer_syntax)) {
        return ds_fail(err, DS_EINVAL, "the transfer syntax is not a UID");
    }
    const enum ds_status s = scan_elements(dataset, len, &e, err);
    if (s == DS_OK) {
        *out = e;
    }
    return s;
}

enum ds_status dicom_file_hash(const uint8_t *file, size_t len, uint8_t out[DS_SHA256_BYTES],
                               struct ds_error *err)
{
    memset(out, 0, DS_SHA256_BYTES);
    struct dicom_envelope e;
    const enum ds_status s = dicom_envelope_locate(file, len, &e, err);
    if (s != DS_OK) {
        return s;
    }
    return ds_sha256_of(file + e.dataset_offset, len - e.dataset_offset, out, err);
}
