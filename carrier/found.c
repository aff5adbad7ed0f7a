/* SPDX-License-Identifier: Apache-2.0 */
/* A carrier as it arrived: what it carries, found in its pixels or beside them. */
#include "carrier/carrier_private.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX_BYTES STEGO_PAYLOAD_MAX_BYTES

static enum ds_status read_sidecar(struct carrier_found *f, struct ds_error *err)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    const enum ds_status s = dicom_dataset_private_bytes(f->dataset, CARRIER_SIDECAR_TAG,
                                                         CARRIER_SIDECAR_CREATOR, &data, &len, err);
    if (s != DS_OK) {
        return s;
    }
    if (data == NULL) {
        return ds_fail(err, DS_ENOTHING, "carries nothing");
    }
    struct ds_cursor c = ds_cursor_over(data, len);
    const size_t payload_len = (size_t)ds_cursor_be(&c, 4);
    const uint8_t *payload = ds_cursor_bytes(&c, payload_len);
    if (payload == NULL || ds_cursor_left(&c) > 1) {
        return ds_fail(err, DS_EAUTH, "the sidecar was altered");
    }
    f->placement = CARRIER_SIDECAR;
    return ds_bytes_append(&f->payload, payload, payload_len, err);
}

/* Of many frames a few may have been altered: says which. */
static enum ds_status say_where(const struct stego_image *image,
                                const struct stego_extract_facts *facts, struct ds_error *err)
{
    if (image->frames == 1) {
        return ds_fail(err, DS_EAUTH, "altered since it was made: %u of %u colour planes",
                       facts->damaged, facts->planes);
    }
    return ds_fail(err, DS_EAUTH,
                   "altered since it was made: %u of the %u planes that carry, the first of them "
                   "in frame %u of %u",
                   facts->damaged, facts->planes, facts->first_damaged + 1, image->frames);
}

/* DS_ENOTHING also for images of a kind that cannot carry. */
static enum ds_status read_hidden(struct carrier_found *f, struct stego_pool *pool,
                                  struct ds_error *err)
{
    if (f->image.samples == NULL) {
        return ds_fail(err, DS_ENOTHING, "carries nothing");
    }
    struct stego_extract_facts facts = {0};
    f->placement = CARRIER_IN_PIXELS;
    const enum ds_status s = stego_extract(&f->image, pool, &f->payload, &facts, err);
    f->region = facts.exclude;
    if (s == DS_EAUTH && facts.damaged > 0 && facts.planes > 1) {
        return say_where(&f->image, &facts, err);
    }
    return s;
}

/* Pixels that cannot be read are no fault here: the instance may have a sidecar. */
static enum ds_status read_pixels(struct carrier_found *f, struct ds_error *err)
{
    struct ds_error why = {0};
    enum ds_status s = dicom_pixels_read(&f->pixels, f->dataset, &why);
    if (s == DS_OK) {
        s = carrier_image_of(&f->pixels, &f->image, &why);
    }
    return s == DS_ENOMEM ? ds_fail(err, s, "%s", why.text) : DS_OK;
}

/* The engine has restored the samples; cells follow by the rule that the manifest names. */
static enum ds_status restore_cells(struct carrier_found *f, struct ds_error *err)
{
    size_t count = 0;
    if (!stego_image_count(&f->image, &count)) {
        return ds_fail(err, DS_EFORMAT, "the image's geometry overflows");
    }
    const struct stego_manifest *m = stego_part_manifest(f->part);
    if (m->cell_rule > DICOM_CELL_KEEP) {
        return ds_fail(err, DS_EUNSUPPORTED, "cell rule %u is of a later version", m->cell_rule);
    }
    return dicom_pixels_set_samples(&f->pixels, f->image.samples, count,
                                    (enum dicom_cell_rule)m->cell_rule, err);
}

/* Without a key region anybody can prove the pixels. */
static enum ds_status prove_pixels(const struct carrier_found *f, struct ds_error *err)
{
    static const uint8_t none[DS_SHA256_BYTES] = {0};
    const struct stego_manifest *m = stego_part_manifest(f->part);
    if (!carrier_region_is_empty(&f->region) || memcmp(m->pixel_hash, none, sizeof(none)) == 0) {
        return DS_OK;
    }
    if (f->pixels.cells.len == 0) {
        return ds_fail(err, DS_EAUTH, "the pixels that the manifest speaks of cannot be read");
    }
    uint8_t hash[DS_SHA256_BYTES];
    const enum ds_status s = dicom_pixels_hash(&f->pixels, hash, err);
    if (s == DS_OK && !ds_equal(hash, m->pixel_hash, sizeof(hash))) {
        return ds_fail(err, DS_EAUTH, "the restored pixels are not those of the original");
    }
    return s;
}

static enum ds_status read_found(struct carrier_found *f, const uint8_t *bytes, size_t len,
                                 const char *transfer_syntax, const struct stego_keyring *keyring,
                                 struct stego_pool *pool, struct ds_error *err)
{
    f->payload = DS_BYTES_INIT(PAYLOAD_MAX_BYTES);
    enum ds_status s = dicom_dataset_read(&f->dataset, bytes, len, transfer_syntax, err);
    if (s == DS_OK) {
        s = read_pixels(f, err);
    }
    if (s == DS_OK) {
        s = read_sidecar(f, err);
    }
    if (s == DS_ENOTHING) {
        s = read_hidden(f, pool, err);
    }
    if (s == DS_OK) {
        s = stego_part_open(&f->part, f->payload.data, f->payload.len, keyring, err);
    }
    if (s == DS_OK && f->placement == CARRIER_IN_PIXELS) {
        s = restore_cells(f, err);
    }
    return s == DS_OK ? prove_pixels(f, err) : s;
}

enum ds_status carrier_found_read(struct carrier_found **out, const uint8_t *bytes, size_t len,
                                  const char *transfer_syntax, const struct stego_keyring *keyring,
                                  struct stego_pool *pool, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_found_auto) struct carrier_found *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a carrier");
    }
    const enum ds_status s = read_found(f, bytes, len, transfer_syntax, keyring, pool, err);
    if (s == DS_OK) {
        *out = f;
        f = NULL;
    }
    return s;
}

enum ds_status carrier_found_load(struct carrier_found **out, const uint8_t *file, size_t len,
                                  const struct stego_keyring *keyring, struct stego_pool *pool,
                                  struct ds_error *err)
{
    return carrier_found_read(out, file, len, NULL, keyring, pool, err);
}

void carrier_found_free(struct carrier_found *f)
{
    if (f == NULL) {
        return;
    }
    dicom_dataset_free(f->dataset);
    dicom_pixels_free(&f->pixels);
    stego_image_free(&f->image);
    stego_part_free(f->part);
    ds_bytes_free(&f->payload);
    free(f);
}

void carrier_found_auto(struct carrier_found **f)
{
    carrier_found_free(*f);
}

const struct stego_part *carrier_found_part(const struct carrier_found *f)
{
    return f->part;
}

enum carrier_placement carrier_found_placement(const struct carrier_found *f)
{
    return f->placement;
}

const struct dicom_dataset *carrier_found_dataset(const struct carrier_found *f)
{
    return f->dataset;
}

const struct stego_rect *carrier_found_region(const struct carrier_found *f)
{
    return &f->region;
}

size_t carrier_found_payload_bytes(const struct carrier_found *f)
{
    return f->payload.len;
}

bool carrier_is_carrier(const uint8_t *file, size_t len)
{
    DS_AUTO(carrier_found_auto) struct carrier_found *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return false;
    }
    f->payload = DS_BYTES_INIT(PAYLOAD_MAX_BYTES);
    if (dicom_dataset_read(&f->dataset, file, len, NULL, NULL) != DS_OK) {
        return false;
    }
    if (read_sidecar(f, NULL) == DS_OK) {
        return true;
    }
    return read_pixels(f, NULL) == DS_OK && f->image.samples != NULL && stego_is_carrier(&f->image);
}
