/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back to the original, with proof. Two ways: undo what carrier_make did to the attributes, by the
 * restore record; or, where they were altered on the way, put the original's own bytes around the
 * pixels, by the envelope in the capsule. Neither is believed before pixel and dataset hash are
 * those of the manifest.
 */
#include "carrier/carrier_private.h"

#include "base/secret.h"

#include <string.h>

/* ---- the first way: undo ---- */

static enum ds_status copy_pixels(const struct dicom_pixels *from, struct dicom_pixels *out,
                                  struct ds_error *err)
{
    *out = *from;
    out->cells = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    return from->cells.len == 0
               ? DS_OK
               : ds_bytes_append(&out->cells, from->cells.data, from->cells.len, err);
}

static enum ds_status undo_regions(const struct carrier_found *f,
                                   const struct carrier_record *record, struct dicom_pixels *pixels,
                                   struct ds_error *err)
{
    struct stego_image image = {0};
    size_t count = 0;
    enum ds_status s = stego_image_copy(&image, &f->image, err);
    for (size_t i = 0; i < record->region_count && s == DS_OK; i++) {
        const struct carrier_region_saved *r = &record->regions[i];
        s = carrier_region_restore(&image, &r->rect, r->saved, r->len, err);
    }
    if (s == DS_OK && !stego_image_count(&image, &count)) {
        s = ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    if (s == DS_OK) {
        const uint8_t rule = stego_part_manifest(f->part)->cell_rule; /* checked when found */
        s = dicom_pixels_set_samples(pixels, image.samples, count, (enum dicom_cell_rule)rule, err);
    }
    stego_image_free(&image);
    return s;
}

static enum ds_status check_pixels(const struct carrier_found *f, const struct dicom_pixels *pixels,
                                   struct ds_error *err)
{
    if (f->placement != CARRIER_IN_PIXELS) {
        return DS_OK; /* nothing was done to them; what can be read was proven when joined */
    }
    uint8_t hash[DS_SHA256_BYTES];
    const enum ds_status s = dicom_pixels_hash(carrier_found_pixels_of(f), pixels, hash, err);
    if (s == DS_OK && !ds_equal(hash, stego_part_manifest(f->part)->pixel_hash, sizeof(hash))) {
        return ds_fail(err, DS_EAUTH, "the restored pixels are not those of the original");
    }
    return s;
}

/* The original's cells. */
static enum ds_status undo_pixels(const struct carrier_found *f,
                                  const struct carrier_record *record, struct dicom_pixels *pixels,
                                  struct ds_error *err)
{
    const bool has_region = record->region_count > 0;
    enum ds_status s = copy_pixels(&f->pixels, pixels, err);
    if (s == DS_OK && has_region) {
        s = f->image.samples != NULL
                ? undo_regions(f, record, pixels, err)
                : ds_fail(err, DS_EFORMAT, "a key region, but no image to put it into");
    }
    return s == DS_OK && (has_region || !f->pixels_are_proven) ? check_pixels(f, pixels, err) : s;
}

static enum ds_status undo_attributes(const struct carrier_found *f,
                                      const struct carrier_record *record,
                                      const struct dicom_pixels *pixels, struct dicom_dataset *d,
                                      struct ds_error *err)
{
    enum ds_status s = carrier_record_undo(record, d, err);
    if (s == DS_OK) {
        s = dicom_pixels_write(d, pixels, err);
    }
    uint8_t hash[DS_SHA256_BYTES];
    if (s == DS_OK) {
        s = dicom_dataset_hash(d, hash, err);
    }
    if (s == DS_OK && !ds_equal(hash, stego_part_manifest(f->part)->dataset_hash, sizeof(hash))) {
        return ds_fail(err, DS_EAUTH, "pixels proven, but attributes were altered on the way");
    }
    return s;
}

enum ds_status carrier_undo(const struct carrier_found *f, const struct carrier_record *record,
                            struct dicom_dataset **out_dataset, struct dicom_pixels *pixels,
                            struct ds_error *err)
{
    *out_dataset = NULL;
    memset(pixels, 0, sizeof(*pixels));
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = undo_pixels(f, record, pixels, err);
    if (s == DS_OK) {
        s = dicom_dataset_copy(&d, f->dataset, err);
    }
    if (s == DS_OK) {
        s = undo_attributes(f, record, pixels, d, err);
    }
    if (s == DS_OK) {
        *out_dataset = d;
        d = NULL;
    }
    return s;
}

/* ---- bytes from the undone data set ---- */

/* The styled bytes, patched, with the value of Pixel Data in its place. */
static enum ds_status write_around(const struct dicom_dataset *d,
                                   const struct carrier_record *record,
                                   const struct carrier_styled *styled, struct ds_bytes *out,
                                   struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes patched = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    const bool is_patched = record->patch_len > 0;
    const struct ds_bytes *around = is_patched ? &patched : &styled->bytes;
    const size_t pixel_at = is_patched ? record->pixel_at : styled->pixel_at;
    /* Bytes are not swapped, and no style says OB where there is no VR. */
    const bool swapped = (record->style & CARRIER_STYLE_BIG_ENDIAN) != 0 &&
                         (record->style & CARRIER_STYLE_BYTE_PIXELS) == 0;
    enum ds_status s = DS_OK;
    if (is_patched) {
        s = carrier_patch_apply(record->patch, record->patch_len, &styled->bytes, &patched, err);
    }
    if (s == DS_OK && pixel_at > around->len) {
        s = ds_fail(err, DS_EFORMAT, "the restore record's patch is damaged");
    }
    if (s == DS_OK && pixel_at > 0) {
        s = ds_bytes_append(out, around->data, pixel_at, err);
    }
    if (s == DS_OK && styled->pixel_bytes > 0) {
        s = dicom_pixels_value(d, styled->pixel_bytes, swapped, out, err);
    }
    return s == DS_OK && pixel_at < around->len
               ? ds_bytes_append(out, around->data + pixel_at, around->len - pixel_at, err)
               : s;
}

enum ds_status carrier_write_styled(const struct dicom_dataset *d,
                                    const struct carrier_record *record, struct ds_bytes *out,
                                    struct ds_error *err)
{
    DS_AUTO(carrier_canonical_free) struct carrier_canonical canonical = {0};
    DS_AUTO(carrier_styled_free) struct carrier_styled styled = {0};
    enum ds_status s = dicom_dataset_header(d, record->transfer_syntax, out, err);
    if (s == DS_OK) {
        s = carrier_canonical_of(d, &canonical, err);
    }
    if (s == DS_OK) {
        s = carrier_restyle(&canonical, record->style, &styled, err);
    }
    return s == DS_OK ? write_around(d, record, &styled, out, err) : s;
}

/* The restored file by the undone data set: the original's bytes where its style is known, else its
 * transfer syntax. Compressed pixels are encoded again, without loss; where there is no encoder for
 * them (lossy JPEG), or the image does not fit its syntax, they come back native. */
static enum ds_status write_undone(const struct dicom_dataset *d,
                                   const struct carrier_record *record, struct ds_bytes *out,
                                   struct ds_error *err)
{
    if (record->style != CARRIER_STYLE_NONE) {
        return carrier_write_styled(d, record, out, err);
    }
    const enum ds_status s = dicom_dataset_write_part10(d, record->transfer_syntax, out, err);
    return s == DS_EUNSUPPORTED ? dicom_dataset_write_part10(d, DICOM_EXPLICIT_LE, out, err) : s;
}

/* ---- proof of a finished file ---- */

static enum ds_status take_facts(struct carrier_restored *out, const struct dicom_dataset *d,
                                 struct ds_error *err)
{
    (void)snprintf(out->transfer_syntax, sizeof(out->transfer_syntax), "%s",
                   dicom_dataset_transfer_syntax(d));
    enum ds_status s = dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, out->sop_class_uid,
                                         sizeof(out->sop_class_uid), err);
    if (s == DS_OK) {
        s = dicom_dataset_get(d, DICOM_TAG_SOP_INSTANCE_UID, out->sop_instance_uid,
                              sizeof(out->sop_instance_uid), err);
    }
    return s;
}

/* Reads the very bytes that will be delivered, and compares what they say. */
static enum ds_status prove(const struct carrier_found *f, const struct carrier_record *record,
                            struct carrier_restored *out, struct ds_error *err)
{
    const struct stego_manifest *m = stego_part_manifest(f->part);
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = dicom_dataset_view(&d, out->file.data, out->file.len, NULL, err);
    if (s == DS_OK) {
        s = carrier_hashes_of(d, out->file.data, out->file.len, NULL, &out->hashes, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (!ds_equal(out->hashes.pixel, m->pixel_hash, DS_SHA256_BYTES) ||
        !ds_equal(out->hashes.dataset, m->dataset_hash, DS_SHA256_BYTES)) {
        return ds_fail(err, DS_EAUTH, "the restored file does not have the original's hashes");
    }
    out->file_proven = ds_equal(out->hashes.file, record->file_hash, DS_SHA256_BYTES);
    return take_facts(out, d, err);
}

/* ---- the second way: envelopes ---- */

static const struct stego_opened_document *envelopes_in(const struct stego_documents *documents)
{
    for (size_t i = 0; i < documents->count; i++) {
        if (strcmp(documents->items[i].media_type, CARRIER_ENVELOPES_MEDIA) == 0) {
            return &documents->items[i];
        }
    }
    return NULL;
}

/* Tries each envelope with the instance's key; four bytes of a hash may meet by chance. */
static enum ds_status fill_envelope(const struct carrier_found *f,
                                    const struct carrier_record *record,
                                    const struct dicom_pixels *pixels,
                                    const struct stego_opened_document *document,
                                    struct carrier_restored *out, struct ds_error *err)
{
    const uint8_t *key = stego_part_manifest(f->part)->dataset_hash;
    size_t at = 0;
    for (;;) {
        struct carrier_envelope_view e = {0};
        enum ds_status s =
            carrier_envelopes_find(document->data.data, document->data.len, key, &at, &e, err);
        if (s != DS_OK) {
            return s;
        }
        out->file.len = 0;
        s = carrier_envelope_fill(&e, carrier_found_pixels_of(f), pixels, &out->file, err);
        if (s == DS_OK) {
            s = prove(f, record, out, err);
        }
        if (s != DS_EAUTH && s != DS_EFORMAT) {
            return s;
        }
    }
}

static enum ds_status restore_by_envelope(const struct carrier_found *f,
                                          const struct carrier_record *record,
                                          struct stego_collector *collector,
                                          const struct stego_keyring *keyring,
                                          struct carrier_restored *out, struct ds_error *err)
{
    struct stego_documents documents = {0};
    struct dicom_pixels pixels = {0};
    enum ds_status s = undo_pixels(f, record, &pixels, err);
    if (s == DS_OK) {
        s = stego_collector_open(collector, keyring, &documents, err);
    }
    const struct stego_opened_document *document = s == DS_OK ? envelopes_in(&documents) : NULL;
    if (s == DS_OK) {
        s = document != NULL
                ? fill_envelope(f, record, &pixels, document, out, err)
                : ds_fail(err, DS_ENOTFOUND, "the capsule has no envelope for this instance");
    }
    stego_documents_free(&documents);
    dicom_pixels_free(&pixels);
    return s;
}

/* ---- both together ---- */

static enum ds_status undo_and_write(const struct carrier_found *f,
                                     const struct carrier_record *record, struct ds_bytes *out,
                                     struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    struct dicom_pixels pixels = {0};
    enum ds_status s = carrier_undo(f, record, &d, &pixels, err);
    if (s == DS_OK) {
        s = write_undone(d, record, out, err);
    }
    dicom_pixels_free(&pixels);
    return s;
}

static enum ds_status restore_by_record(const struct carrier_found *f,
                                        const struct carrier_record *record,
                                        struct carrier_restored *out, struct ds_error *err)
{
    const enum ds_status s = f->placement == CARRIER_SIDECAR
                                 ? carrier_beside_write(f, record, &out->file, err)
                                 : undo_and_write(f, record, &out->file, err);
    return s == DS_OK ? prove(f, record, out, err) : s;
}

static uint32_t shares_missing(const struct stego_collector *collector,
                               const struct stego_manifest *m)
{
    uint32_t have = 0;
    uint32_t need = m->shares_needed;
    if (collector != NULL) {
        stego_collector_progress(collector, &have, &need);
    } else if (m->share_index != STEGO_NO_SHARE) {
        have = 1;
    }
    return have >= need ? 0 : need - have;
}

/* Why neither way led home; DS_EAUTH in either case, nothing may be delivered. */
static enum ds_status altered(const struct carrier_found *f,
                              const struct stego_collector *collector, const struct ds_error *first,
                              struct ds_error *err)
{
    const uint32_t missing = shares_missing(collector, stego_part_manifest(f->part));
    if (missing > 0) {
        return ds_fail(err, DS_EAUTH, "%.150s; %u more share%s needed", first->text, missing,
                       missing == 1 ? "" : "s");
    }
    return ds_fail(err, DS_EAUTH, "%.150s; the capsule holds no copy of them", first->text);
}

static bool may_try_envelope(const struct stego_collector *collector)
{
    uint32_t have = 0;
    uint32_t need = 0;
    if (collector == NULL) {
        return false;
    }
    stego_collector_progress(collector, &have, &need);
    return need > 0 && have >= need;
}

/* True when the status says "not this way", as against no memory or a failing disk. */
static bool is_dead_end(enum ds_status s)
{
    return s == DS_EAUTH || s == DS_EFORMAT || s == DS_EUNSUPPORTED || s == DS_ENOTFOUND ||
           s == DS_ENOTHING || s == DS_EINVAL;
}

/* Opening the capsule for each instance of a large study costs more than a header's group 0002 is
 * worth; where the envelope is needed for more than that, it is opened whatever its size. */
#define ENVELOPE_CHEAP_BYTES (1024U * 1024U)

static bool wants_envelope(const struct carrier_found *f, const struct stego_collector *collector,
                           enum ds_status by_record, const struct carrier_restored *out)
{
    const struct stego_manifest *m = stego_part_manifest(f->part);
    if (!may_try_envelope(collector)) {
        return false;
    }
    return by_record != DS_OK || !out->file_proven ||
           m->share_bytes * (uint64_t)m->shares_needed <= ENVELOPE_CHEAP_BYTES;
}

static enum ds_status restore_with(const struct carrier_found *f,
                                   const struct carrier_record *record,
                                   struct stego_collector *collector,
                                   const struct stego_keyring *keyring,
                                   struct carrier_restored *out, struct ds_error *err)
{
    struct ds_error first = {0};
    const enum ds_status by_record = restore_by_record(f, record, out, &first);
    if (by_record != DS_OK && !is_dead_end(by_record)) {
        return ds_fail(err, by_record, "%s", first.text);
    }
    if (!wants_envelope(f, collector, by_record, out)) {
        return by_record == DS_OK ? DS_OK : altered(f, collector, &first, err);
    }
    struct carrier_restored second = {.file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES)};
    const enum ds_status s = restore_by_envelope(f, record, collector, keyring, &second, err);
    if (s == DS_OK && (by_record != DS_OK || second.file_proven)) {
        ds_bytes_free(&out->file);
        second.attributes_from_capsule = by_record != DS_OK;
        *out = second;
        return DS_OK;
    }
    ds_bytes_free(&second.file);
    if (by_record == DS_OK) {
        return DS_OK;
    }
    return is_dead_end(s) ? altered(f, collector, &first, err) : s;
}

enum ds_status carrier_found_restorable(const struct carrier_found *f, struct ds_error *err)
{
    return f->placement != CARRIER_IN_PIXELS || f->method.is_restored
               ? DS_OK
               : ds_fail(err, DS_EUNSUPPORTED,
                         "not restorable: hidden in place of %u least significant bit%s, which "
                         "did not travel along",
                         f->method.lsb.planes, f->method.lsb.planes == 1 ? "" : "s");
}

enum ds_status carrier_restore(const struct carrier_found *f, struct stego_collector *collector,
                               const struct stego_keyring *keyring, struct carrier_restored *out,
                               struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    out->file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    DS_AUTO(carrier_record_free) struct carrier_record record = {0};
    if (f->placement == CARRIER_SIDECAR && f->beside == NULL) {
        return ds_fail(err, DS_EINVAL, "a sidecar alone restores nothing");
    }
    enum ds_status s = carrier_found_restorable(f, err);
    if (s == DS_OK) {
        s = stego_part_record(f->part, collector, keyring, &bytes, err);
    }
    if (s == DS_OK) {
        s = carrier_record_parse(&record, bytes.data, bytes.len, err);
    }
    if (s == DS_OK) {
        s = restore_with(f, &record, collector, keyring, out, err);
    }
    if (s != DS_OK) {
        carrier_restored_free(out);
    }
    return s;
}

/* The original's pixels in the attributes of what carried them, or stands beside the sidecar. */
static enum ds_status write_pixels(const struct carrier_found *f, struct dicom_dataset **d,
                                   struct ds_bytes *out, struct ds_error *err)
{
    if (f->placement == CARRIER_SIDECAR) {
        const enum ds_status s = dicom_dataset_copy(d, f->beside, err);
        return s == DS_OK ? ds_bytes_append(out, f->beside_file.data, f->beside_file.len, err) : s;
    }
    enum ds_status s = dicom_dataset_copy(d, f->dataset, err);
    if (s == DS_OK) {
        s = dicom_pixels_write(*d, &f->pixels, err);
    }
    return s == DS_OK ? dicom_dataset_write_part10(*d, DICOM_EXPLICIT_LE, out, err) : s;
}

enum ds_status carrier_restore_pixels(const struct carrier_found *f, struct carrier_restored *out,
                                      struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    out->file = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    if (!carrier_region_is_empty(&f->region)) {
        return ds_fail(err, DS_ENOKEY, "the key region's pixels need a key");
    }
    if (f->placement == CARRIER_SIDECAR && f->beside == NULL) {
        return ds_fail(err, DS_EINVAL, "a sidecar alone restores nothing");
    }
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    enum ds_status s = carrier_found_restorable(f, err);
    if (s == DS_OK) {
        s = write_pixels(f, &d, &out->file, err);
    }
    if (s == DS_OK) {
        s = carrier_hashes_of(d, out->file.data, out->file.len, NULL, &out->hashes, err);
    }
    if (s == DS_OK) {
        s = take_facts(out, d, err);
    }
    if (s != DS_OK) {
        carrier_restored_free(out);
    }
    return s;
}

void carrier_restored_free(struct carrier_restored *r)
{
    ds_bytes_free(&r->file);
}

enum ds_status carrier_reports(struct stego_collector *collector,
                               const struct stego_keyring *keyring, struct stego_documents *out,
                               struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    const enum ds_status s = stego_collector_open(collector, keyring, out, err);
    if (s != DS_OK) {
        return s;
    }
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->items[i].media_type, CARRIER_ENVELOPES_MEDIA) == 0) {
            ds_bytes_free(&out->items[i].data);
        } else {
            out->items[kept++] = out->items[i];
        }
    }
    out->count = kept;
    return DS_OK;
}
