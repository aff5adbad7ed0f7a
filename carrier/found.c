/* SPDX-License-Identifier: Apache-2.0 */
/* A carrier as it arrived: what it carries, found in its pixels or beside them. */
#include "carrier/carrier_private.h"
#include "carrier/sidecar.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX_BYTES STEGO_PAYLOAD_MAX_BYTES

/* Of many frames a few may have been altered: says which. */
static enum ds_status say_where(const struct stego_image *image,
                                const struct stego_method_facts *facts, struct ds_error *err)
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

struct stego_method_reader carrier_reader_of(const struct stego_keyring *keyring,
                                             struct stego_pool *pool, struct stego_secret *secret)
{
    *secret = (struct stego_secret){.text = keyring != NULL ? keyring->password : NULL};
    if (keyring != NULL && keyring->secret != NULL) {
        *secret = *keyring->secret;
    }
    return (struct stego_method_reader){.pool = pool, .secret = secret};
}

/* DS_ENOTHING also for images of a kind that cannot carry. */
static enum ds_status read_hidden(struct carrier_found *f, const struct stego_keyring *keyring,
                                  struct stego_pool *pool, struct ds_error *err)
{
    if (f->image.samples == NULL) {
        return ds_fail(err, DS_ENOTHING, "carries nothing");
    }
    struct stego_secret secret;
    const struct stego_method_reader reader = carrier_reader_of(keyring, pool, &secret);
    f->placement = CARRIER_IN_PIXELS;
    const enum ds_status s = stego_method_recover(&f->image, &reader, &f->payload, &f->method, err);
    f->region = f->method.exclude;
    if (s == DS_EAUTH && f->method.damaged > 0 && f->method.planes > 1) {
        return say_where(&f->image, &f->method, err);
    }
    return s;
}

/* Pixels that cannot be read carry nothing. */
static enum ds_status read_pixels(struct carrier_found *f, struct ds_error *err)
{
    struct ds_error why = {0};
    enum ds_status s =
        dicom_pixels_read_front(&f->pixels, f->dataset, CARRIER_WINDOW_SAMPLES, &why);
    if (s == DS_OK) {
        s = carrier_image_of(&f->pixels, &f->image, &why);
    }
    return s == DS_ENOMEM || s == DS_EIO ? ds_fail(err, s, "%s", why.text) : DS_OK;
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

const struct dicom_dataset *carrier_found_pixels_of(const struct carrier_found *f)
{
    return f->beside != NULL ? f->beside : f->dataset;
}

/* Without a key region, that is. */
enum ds_status carrier_found_prove_pixels(struct carrier_found *f, struct ds_error *err)
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
    const enum ds_status s = dicom_pixels_hash(carrier_found_pixels_of(f), &f->pixels, hash, err);
    if (s == DS_OK && !ds_equal(hash, m->pixel_hash, sizeof(hash))) {
        return ds_fail(err, DS_EAUTH, "the restored pixels are not those of the original");
    }
    f->pixels_are_proven = s == DS_OK;
    return s;
}

static enum ds_status read_image(struct carrier_found *f, const struct stego_keyring *keyring,
                                 struct stego_pool *pool, struct ds_error *err)
{
    enum ds_status s = read_pixels(f, err);
    if (s == DS_OK) {
        s = read_hidden(f, keyring, pool, err);
    }
    if (s == DS_OK) {
        s = stego_part_open(&f->part, f->payload.data, f->payload.len, keyring, err);
    }
    if (s != DS_OK || !f->method.is_restored) {
        return s; /* the pixels stay as they came, and nobody takes them for the original's */
    }
    s = restore_cells(f, err);
    return s == DS_OK ? carrier_found_prove_pixels(f, err) : s;
}

static enum ds_status read_found(struct carrier_found *f, const uint8_t *bytes, size_t len,
                                 const char *transfer_syntax, const struct stego_keyring *keyring,
                                 struct stego_pool *pool, struct ds_error *err)
{
    f->payload = DS_BYTES_INIT(PAYLOAD_MAX_BYTES);
    enum ds_status s = dicom_dataset_view(&f->dataset, bytes, len, transfer_syntax, err);
    if (s != DS_OK) {
        return s;
    }
    s = carrier_sidecar_payload(f->dataset, &f->payload, err);
    if (s == DS_ENOTHING) {
        return read_image(f, keyring, pool, err);
    }
    f->placement = CARRIER_SIDECAR;
    return s == DS_OK ? stego_part_open(&f->part, f->payload.data, f->payload.len, keyring, err)
                      : s;
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
    dicom_dataset_free(f->beside);
    ds_bytes_free(&f->beside_file);
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

const struct stego_method_facts *carrier_found_method(const struct carrier_found *f)
{
    return &f->method;
}

bool carrier_has_sidecar(const struct dicom_dataset *d)
{
    const uint8_t *data = NULL;
    size_t len = 0;
    return dicom_dataset_private_bytes(d, CARRIER_SIDECAR_TAG, CARRIER_SIDECAR_CREATOR, &data, &len,
                                       NULL) == DS_OK &&
           data != NULL;
}

bool carrier_is_carrier(const uint8_t *file, size_t len)
{
    DS_AUTO(carrier_found_auto) struct carrier_found *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return false;
    }
    f->payload = DS_BYTES_INIT(PAYLOAD_MAX_BYTES);
    if (dicom_dataset_view(&f->dataset, file, len, NULL, NULL) != DS_OK) {
        return false;
    }
    if (carrier_sidecar_payload(f->dataset, &f->payload, NULL) != DS_ENOTHING) {
        return true; /* also one that was altered: it is judged when it is opened */
    }
    return read_pixels(f, NULL) == DS_OK && f->image.samples != NULL && stego_is_carrier(&f->image);
}
