/* SPDX-License-Identifier: Apache-2.0 */
/* A sidecar and the instance that it belongs to, together again. */
#include "carrier/sidecar.h"

#include "base/secret.h"

#include <string.h>

enum ds_status carrier_sidecar_of(const uint8_t *file, size_t len, char uid[DICOM_UID_BYTES],
                                  struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    DS_AUTO(ds_bytes_free) struct ds_bytes payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    uid[0] = '\0';
    enum ds_status s = dicom_dataset_read(&d, file, len, NULL, err);
    if (s != DS_OK) {
        return s;
    }
    s = carrier_sidecar_payload(d, &payload, err);
    return s == DS_OK || s == DS_EAUTH ? carrier_sidecar_names(d, uid, err) : s;
}

bool carrier_original_is_sidecar(const struct carrier_original *o)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes payload = DS_BYTES_INIT(STEGO_PAYLOAD_MAX_BYTES);
    const enum ds_status s = carrier_sidecar_payload(o->dataset, &payload, NULL);
    return s == DS_OK || s == DS_EAUTH;
}

/* Pixels that cannot be read here were either not read at home, too, or fail the proof. */
static enum ds_status read_beside(struct carrier_found *f, struct ds_error *err)
{
    struct ds_error why = {0};
    enum ds_status s =
        dicom_dataset_view(&f->beside, f->beside_file.data, f->beside_file.len, NULL, err);
    if (s == DS_OK) {
        s = dicom_pixels_read_front(&f->pixels, f->beside, CARRIER_WINDOW_SAMPLES, &why);
        s = s == DS_ENOMEM ? ds_fail(err, s, "%s", why.text) : DS_OK;
    }
    return s == DS_OK ? carrier_found_prove_pixels(f, err) : s;
}

enum ds_status carrier_found_join(struct carrier_found *f, struct ds_bytes *file,
                                  struct ds_error *err)
{
    if (f->placement != CARRIER_SIDECAR || f->beside != NULL) {
        return ds_fail(err, DS_EINVAL, "only a sidecar is joined, and once");
    }
    f->beside_file = ds_bytes_take(file);
    const enum ds_status s = read_beside(f, err);
    if (s != DS_OK) {
        dicom_dataset_free(f->beside);
        f->beside = NULL;
        dicom_pixels_free(&f->pixels);
        f->pixels = (struct dicom_pixels){0};
        ds_bytes_free(&f->beside_file);
        return ds_fail_context(err, s, "the instance beside the sidecar");
    }
    return DS_OK;
}

enum ds_status carrier_found_prove_beside(const struct carrier_found *f, struct ds_error *err)
{
    uint8_t hash[DS_SHA256_BYTES];
    const enum ds_status s = dicom_dataset_hash(f->beside, hash, err);
    if (s == DS_OK && !ds_equal(hash, stego_part_manifest(f->part)->dataset_hash, sizeof(hash))) {
        return ds_fail(err, DS_EAUTH,
                       "the attributes of the instance beside the sidecar were altered on the way");
    }
    return s;
}

/* What went in the original's place because it refers to carriers: the original again. */
static enum ds_status write_undone(const struct carrier_found *f,
                                   const struct carrier_record *record, struct ds_bytes *out,
                                   struct ds_error *err)
{
    DS_AUTO(dicom_dataset_auto) struct dicom_dataset *d = NULL;
    uint8_t hash[DS_SHA256_BYTES];
    enum ds_status s = dicom_dataset_copy(&d, f->beside, err);
    if (s == DS_OK) {
        s = carrier_record_undo(record, d, err);
    }
    if (s == DS_OK) {
        s = dicom_dataset_hash(d, hash, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (!ds_equal(hash, stego_part_manifest(f->part)->dataset_hash, sizeof(hash))) {
        return ds_fail(err, DS_EAUTH,
                       "the attributes of the instance beside the sidecar were altered on the way");
    }
    if (record->style != CARRIER_STYLE_NONE) {
        return carrier_write_styled(d, record, out, err);
    }
    const char *now = dicom_dataset_transfer_syntax(d);
    const bool is_own = strcmp(now, record->transfer_syntax) == 0;
    return dicom_dataset_write_part10(d, is_own ? now : DICOM_EXPLICIT_LE, out, err);
}

enum ds_status carrier_beside_write(const struct carrier_found *f,
                                    const struct carrier_record *record, struct ds_bytes *out,
                                    struct ds_error *err)
{
    uint8_t hash[DS_SHA256_BYTES];
    if (record->change_count > 0 || record->references_len > 0) {
        return write_undone(f, record, out, err);
    }
    enum ds_status s = carrier_found_prove_beside(f, err);
    if (s == DS_OK) {
        s = dicom_file_hash(f->beside_file.data, f->beside_file.len, hash, err);
    }
    if (s != DS_OK) {
        return s;
    }
    if (record->style == CARRIER_STYLE_NONE || ds_equal(hash, record->file_hash, sizeof(hash))) {
        return ds_bytes_append(out, f->beside_file.data, f->beside_file.len, err);
    }
    return carrier_write_styled(f->beside, record, out, err);
}
