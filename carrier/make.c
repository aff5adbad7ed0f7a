/* SPDX-License-Identifier: Apache-2.0 */
/* One carrier, and the proof that it gives the original back. */
#include "carrier/carrier_private.h"
#include "carrier/sidecar.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/secret.h"

#include <stdio.h>
#include <string.h>

/* What the steps of making hand on to each other. */
struct making {
    const struct stego_capsule *capsule;
    const struct carrier_original *o;
    const struct carrier_slot *slot;
    const struct carrier_make_options *options;
    struct dicom_dataset *derived;
    struct dicom_pixels pixels; /* the carrier's */
    struct ds_bytes hidden;     /* the bytes that one instance carries */
    struct dicom_dataset
        *beside;                /* goes in the original's place beside a sidecar; NULL: it itself */
    struct ds_bytes references; /* what beside's references were */
};

static void making_finish(struct making *m)
{
    dicom_dataset_free(m->derived);
    dicom_pixels_free(&m->pixels);
    ds_bytes_free(&m->hidden);
    dicom_dataset_free(m->beside);
    ds_bytes_free(&m->references);
}

/* What the receiver will have beside a sidecar. */
static const struct dicom_dataset *beside_of(const struct making *m)
{
    return m->beside != NULL ? m->beside : m->o->dataset;
}

static const struct stego_rect *region_of(const struct making *m)
{
    static const struct stego_rect none = {0};
    return m->slot->placement == CARRIER_IN_PIXELS ? &m->options->region : &none;
}

static const struct carrier_regions *more_of(const struct making *m)
{
    static const struct carrier_regions none = {0};
    return carrier_region_is_empty(region_of(m)) ? &none : &m->options->more;
}

static enum ds_status build_hidden(struct making *m, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes record = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    /* An original that stays what it is beside a sidecar has a record without changes. */
    const struct dicom_dataset *sent = m->derived != NULL ? m->derived : beside_of(m);
    const enum ds_status s =
        carrier_record_build(m->o, sent, region_of(m), more_of(m), &m->references, &record, err);
    if (s != DS_OK) {
        return s;
    }
    struct stego_instance instance = {
        .cell_rule = m->o->hashes.has_pixels ? (uint8_t)dicom_pixels_cell_rule(&m->o->pixels) : 0,
        .share_index = m->slot->share_index,
        .with_key_block = m->slot->with_key_block,
        .with_certificate = m->slot->with_certificate,
        .record = record.data,
        .record_len = record.len,
    };
    memcpy(instance.pixel_hash, m->o->hashes.pixel, sizeof(instance.pixel_hash));
    memcpy(instance.dataset_hash, m->o->hashes.dataset, sizeof(instance.dataset_hash));
    return stego_capsule_instance(m->capsule, &instance, &m->hidden, err);
}

/* "DICOMSTEGO:", capsule id, ":", origin; and the same with ":" and the sealed documents in Base64,
 * terminated, empty where there are none. */
static enum ds_status write_texts(const struct making *m, struct ds_bytes *reference,
                                  struct ds_bytes *report, struct ds_error *err)
{
    char text[CARRIER_QR_TEXT_BYTES];
    char id[2 * STEGO_CAPSULE_ID_BYTES + 1];
    ds_hex(stego_capsule_id(m->capsule), STEGO_CAPSULE_ID_BYTES, id);
    const int len =
        snprintf(text, sizeof(text), "DICOMSTEGO:%s:%s", id, stego_capsule_origin(m->capsule));
    enum ds_status s = ds_bytes_append(reference, text, (size_t)len + 1, err);
    if (s == DS_OK) {
        s = ds_bytes_append(report, text, (size_t)len, err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_u8(report, ':', err);
    }
    if (s == DS_OK) {
        s = stego_capsule_sealed_text(m->capsule, report, err);
    }
    const bool has_documents = report->len > (size_t)len + 1;
    if (s == DS_OK && !has_documents) {
        s = ds_bytes_resize(report, 0, err);
    }
    return s == DS_OK ? ds_bytes_put_u8(report, 0, err) : s;
}

static enum ds_status cover_regions(const struct making *m, struct stego_image *image,
                                    struct ds_error *err)
{
    if (carrier_region_is_empty(region_of(m))) {
        return DS_OK;
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes reference = DS_BYTES_INIT(CARRIER_QR_TEXT_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes report = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    enum ds_status s = write_texts(m, &reference, &report, err);
    if (s != DS_OK) {
        return s;
    }
    const struct carrier_qr_text texts[] = {{(const char *)report.data, true},
                                            {(const char *)reference.data, false}};
    const size_t first = report.len > 1 ? 0 : 1;
    const size_t count = m->options->qr ? DS_ARRAY_SIZE(texts) - first : 0;
    s = carrier_region_cover(image, region_of(m), texts + first, count, m->o->pixels.photometric,
                             err);
    for (size_t i = 0; i < more_of(m)->count && s == DS_OK; i++) {
        s = carrier_region_cover(image, &more_of(m)->items[i], texts + first, count,
                                 m->o->pixels.photometric, err);
    }
    return s;
}

static enum ds_status hide(const struct making *m, struct stego_image *image,
                           struct carrier_made *made, struct ds_error *err)
{
    struct stego_embed_facts facts = {0};
    struct stego_image covered = {0}; /* what has a key region differs from the original already */
    const bool has_region = !carrier_region_is_empty(region_of(m));
    struct stego_rect room[STEGO_PRESERVE_MAX];
    struct carrier_hiding how = {0};
    enum ds_status s = carrier_regions_preserve(&m->options->hiding, more_of(m), room, &how, err);
    if (s == DS_OK && has_region) {
        s = stego_image_copy(&covered, image, err);
    }
    if (s == DS_OK) {
        s = carrier_hide(&how, image, region_of(m), m->hidden.data, 8 * m->hidden.len, &facts, err);
    }
    if (s == DS_OK) {
        s = stego_image_compare(has_region ? &covered : &m->o->image, image, &made->distortion,
                                err);
    }
    stego_image_free(&covered);
    made->hidden_bits = facts.hidden_bits;
    made->passes = facts.passes;
    return s;
}

static enum ds_status put_samples(struct making *m, const struct stego_image *image,
                                  struct ds_error *err)
{
    size_t count = 0;
    if (!stego_image_count(image, &count)) {
        return ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    m->pixels = m->o->pixels;
    m->pixels.cells = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    m->pixels.is_borrowed = false;
    enum ds_status s =
        ds_bytes_append(&m->pixels.cells, m->o->pixels.cells.data, m->o->pixels.cells.len, err);
    if (s == DS_OK) {
        s = dicom_pixels_set_samples(&m->pixels, image->samples, count,
                                     dicom_pixels_cell_rule(&m->o->pixels), err);
    }
    return s == DS_OK ? dicom_pixels_write(m->derived, &m->pixels, err) : s;
}

static enum ds_status make_in_pixels(struct making *m, struct carrier_made *made,
                                     struct ds_error *err)
{
    struct stego_image image = {0};
    enum ds_status s = carrier_original_suitable(m->o, err);
    if (s == DS_OK) {
        s = stego_image_copy(&image, &m->o->image, err);
    }
    if (s == DS_OK) {
        s = cover_regions(m, &image, err);
    }
    if (s == DS_OK) {
        s = hide(m, &image, made, err);
    }
    if (s == DS_OK) {
        s = put_samples(m, &image, err);
    }
    if (s == DS_OK) {
        s = carrier_extremes_settle(m->o, &image, m->derived, err);
    }
    if (s == DS_OK) {
        s = dicom_pixels_hash(m->derived, NULL, made->hashes.pixel, err);
    }
    made->hashes.has_pixels = true;
    stego_image_free(&image);
    return s;
}

/* ---- writing ---- */

static enum ds_status write_out(const struct making *m, struct carrier_made *made,
                                struct ds_error *err)
{
    (void)snprintf(made->transfer_syntax, sizeof(made->transfer_syntax), "%s",
                   m->options->transfer_syntax != NULL ? m->options->transfer_syntax
                                                       : DICOM_EXPLICIT_LE);
    enum ds_status s = dicom_dataset_hash(m->derived, made->hashes.dataset, err);
    if (s == DS_OK) {
        s = dicom_dataset_write(m->derived, made->transfer_syntax, &made->dataset, err);
    }
    if (s == DS_OK) {
        s = ds_sha256_of(made->dataset.data, made->dataset.len, made->hashes.file, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_get(m->derived, DICOM_TAG_SOP_CLASS_UID, made->sop_class_uid,
                              sizeof(made->sop_class_uid), err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_get(m->derived, DICOM_TAG_SOP_INSTANCE_UID, made->sop_instance_uid,
                              sizeof(made->sop_instance_uid), err);
    }
    return s;
}

static enum ds_status write_beside(const struct making *m, struct carrier_made *made,
                                   struct ds_error *err)
{
    (void)snprintf(made->beside_syntax, sizeof(made->beside_syntax), "%s",
                   m->options->beside_syntax != NULL ? m->options->beside_syntax
                                                     : dicom_dataset_transfer_syntax(m->beside));
    const enum ds_status s =
        dicom_dataset_get(m->beside, DICOM_TAG_SOP_INSTANCE_UID, made->beside_sop_instance_uid,
                          sizeof(made->beside_sop_instance_uid), err);
    return s == DS_OK ? dicom_dataset_write(m->beside, made->beside_syntax, &made->beside, err) : s;
}

/* ---- proof ---- */

static enum ds_status prove_manifest(const struct making *m, const struct carrier_found *f,
                                     struct ds_error *err)
{
    const struct stego_manifest *said = stego_part_manifest(f->part);
    const struct carrier_hashes *true_ones = &m->o->hashes;
    const bool same_bytes =
        f->payload.len == m->hidden.len && ds_equal(f->payload.data, m->hidden.data, m->hidden.len);
    if (!same_bytes || f->placement != m->slot->placement ||
        !ds_equal(said->pixel_hash, true_ones->pixel, DS_SHA256_BYTES) ||
        !ds_equal(said->dataset_hash, true_ones->dataset, DS_SHA256_BYTES)) {
        return ds_fail(err, DS_EAUTH, "the carrier does not give back what was hidden in it");
    }
    return DS_OK;
}

/* Joined as the receiver will do it; writing proves the data set's hash. */
static enum ds_status prove_rewritten(const struct carrier_made *made, struct carrier_found *f,
                                      const struct carrier_record *record, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes file = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    DS_AUTO(ds_bytes_free) struct ds_bytes restored = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    enum ds_status s = carrier_made_beside_part10(made, &file, err);
    if (s == DS_OK) {
        s = carrier_found_join(f, &file, err);
    }
    return s == DS_OK ? carrier_beside_write(f, record, &restored, err) : s;
}

/* Where the original goes as it is, what is left to prove is that the record speaks of these bytes.
 */
static enum ds_status prove_beside(const struct making *m, const struct carrier_made *made,
                                   struct carrier_found *f, const struct carrier_record *record,
                                   struct ds_error *err)
{
    if (m->beside != NULL) {
        return prove_rewritten(made, f, record, err);
    }
    return record->change_count == 0 &&
                   ds_equal(record->file_hash, m->o->hashes.file, DS_SHA256_BYTES)
               ? DS_OK
               : ds_fail(err, DS_EAUTH, "the sidecar's record is not that of the original");
}

/* What replaces bits for good gives back what was hidden, and has changed nothing but these bits.
 */
static enum ds_status prove_irreversible(const struct making *m, const struct carrier_found *f,
                                         struct ds_error *err)
{
    size_t count = 0;
    bool is_kept = stego_image_count(&f->image, &count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t change = (uint32_t)(f->image.samples[i] ^ m->o->image.samples[i]);
        is_kept = is_kept && change >> f->method.lsb.planes == 0;
    }
    return is_kept && !carrier_hiding_reverses(&m->options->hiding)
               ? DS_OK
               : ds_fail(err, DS_EAUTH, "the carrier differs in more than the replaced bits");
}

static enum ds_status prove_restores(const struct making *m, const struct carrier_made *made,
                                     struct carrier_found *f, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes bytes = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES);
    DS_AUTO(carrier_record_free) struct carrier_record record = {0};
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *restored = NULL;
    struct dicom_pixels pixels = {0};
    enum ds_status s = stego_part_record_with_capsule(f->part, m->capsule, &bytes, err);
    if (s == DS_OK) {
        s = carrier_record_parse(&record, bytes.data, bytes.len, err);
    }
    if (s == DS_OK && m->slot->placement == CARRIER_SIDECAR) {
        return prove_beside(m, made, f, &record, err);
    }
    if (s == DS_OK && !f->method.is_restored) {
        return prove_irreversible(m, f, err);
    }
    if (s == DS_OK) {
        s = carrier_undo(f, &record, &restored, &pixels, err);
    }
    dicom_pixels_free(&pixels);
    return s;
}

/* From the very bytes that will be sent, as the receiver will do it. */
static enum ds_status prove(const struct making *m, const struct carrier_made *made,
                            struct ds_error *err)
{
    DS_AUTO(carrier_found_auto) struct carrier_found *f = NULL;
    const struct stego_secret secret = {.key = m->options->hiding.lsb.key};
    const struct stego_keyring ring = {.secret = &secret};
    enum ds_status s =
        carrier_found_read(&f, made->dataset.data, made->dataset.len, made->transfer_syntax, &ring,
                           m->options->hiding.pool, err);
    if (s == DS_OK) {
        s = prove_manifest(m, f, err);
    }
    if (s == DS_OK) {
        s = prove_restores(m, made, f, err);
    }
    if (s != DS_OK && s != DS_ENOMEM) {
        return ds_fail_context(err, DS_EAUTH, "proof before sending failed");
    }
    return s;
}

static enum ds_status make_carrier(struct making *m, const struct carrier_derivation *how,
                                   struct carrier_made *made, struct ds_error *err)
{
    enum ds_status s = carrier_derive(m->o, how, &m->derived, err);
    if (s == DS_OK) {
        s = build_hidden(m, err);
    }
    return s == DS_OK ? make_in_pixels(m, made, err) : s;
}

static enum ds_status make_sidecar(struct making *m, const struct carrier_derivation *how,
                                   struct carrier_made *made, struct ds_error *err)
{
    enum ds_status s = carrier_derive_referring(m->o, how, &m->beside, &m->references, err);
    if (s == DS_OK) {
        s = build_hidden(m, err);
    }
    if (s == DS_OK && m->beside != NULL) {
        s = write_beside(m, made, err);
    }
    made->hidden_bits = 8U * (uint64_t)m->hidden.len;
    return s == DS_OK ? carrier_sidecar_build(m->o, beside_of(m), how, &m->hidden, &m->derived, err)
                      : s;
}

static enum ds_status make(struct making *m, struct carrier_made *made, struct ds_error *err)
{
    const struct carrier_derivation how = {
        .capsule_id = stego_capsule_id(m->capsule),
        .site = m->options->site != NULL ? m->options->site : stego_capsule_origin(m->capsule),
        .created_utc_us = stego_capsule_created_utc_us(m->capsule),
        .options = m->options,
    };
    enum ds_status s = m->slot->placement == CARRIER_SIDECAR ? make_sidecar(m, &how, made, err)
                                                             : make_carrier(m, &how, made, err);
    if (s == DS_OK) {
        s = write_out(m, made, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const int64_t begun_us = ds_clock_monotonic_us();
    s = prove(m, made, err);
    ds_metric_observe(DS_METRIC_PROVE_SECONDS, NULL, ds_clock_monotonic_us() - begun_us);
    return s;
}

enum ds_status carrier_make(const struct stego_capsule *capsule, const struct carrier_original *o,
                            const struct carrier_slot *slot,
                            const struct carrier_make_options *options, struct carrier_made *made,
                            struct ds_error *err)
{
    memset(made, 0, sizeof(*made));
    made->dataset = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
    made->beside = DS_BYTES_INIT(DICOM_FILE_MAX_BYTES);
    if (slot->placement != CARRIER_IN_PIXELS && slot->placement != CARRIER_SIDECAR) {
        return ds_fail(err, DS_EINVAL, "this instance was planned to pass or be held");
    }
    if (options->transfer_syntax != NULL &&
        dicom_transfer_syntax_may_lose(options->transfer_syntax)) {
        return ds_fail(err, DS_EINVAL,
                       "a carrier is never sent in a transfer syntax that may lose");
    }
    DS_AUTO(making_finish)
    struct making m = {
        .capsule = capsule,
        .o = o,
        .slot = slot,
        .options = options,
        .hidden = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES),
        .references = DS_BYTES_INIT(STEGO_RECORD_MAX_BYTES),
    };
    const enum ds_status s = make(&m, made, err);
    if (s != DS_OK) {
        carrier_made_free(made);
    }
    return s;
}

/* A data set in its encoding, and what its header says of it. */
struct encoded {
    const struct ds_bytes *dataset;
    const char *transfer_syntax, *sop_class_uid, *sop_instance_uid;
};

static enum ds_status append_part10(const struct encoded *encoded, struct ds_bytes *out,
                                    struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL; /* what goes into the header */
    enum ds_status s = dicom_dataset_new(&d, err);
    if (s == DS_OK) {
        s = dicom_dataset_set(d, DICOM_TAG_SOP_CLASS_UID, encoded->sop_class_uid, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_set(d, DICOM_TAG_SOP_INSTANCE_UID, encoded->sop_instance_uid, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_header(d, encoded->transfer_syntax, out, err);
    }
    return s == DS_OK ? ds_bytes_append(out, encoded->dataset->data, encoded->dataset->len, err)
                      : s;
}

enum ds_status carrier_made_part10(const struct carrier_made *m, struct ds_bytes *out,
                                   struct ds_error *err)
{
    const struct encoded e = {&m->dataset, m->transfer_syntax, m->sop_class_uid,
                              m->sop_instance_uid};
    return append_part10(&e, out, err);
}

/* The class of the original is not made's: that is the sidecar's. */
enum ds_status carrier_made_beside_part10(const struct carrier_made *m, struct ds_bytes *out,
                                          struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    char sop_class[DICOM_UID_BYTES] = "";
    enum ds_status s = dicom_dataset_read(&d, m->beside.data, m->beside.len, m->beside_syntax, err);
    if (s == DS_OK) {
        s = dicom_dataset_get(d, DICOM_TAG_SOP_CLASS_UID, sop_class, sizeof(sop_class), err);
    }
    const struct encoded e = {&m->beside, m->beside_syntax, sop_class, m->beside_sop_instance_uid};
    return s == DS_OK ? append_part10(&e, out, err) : s;
}

void carrier_made_free(struct carrier_made *m)
{
    ds_bytes_free(&m->dataset);
    ds_bytes_free(&m->beside);
}
