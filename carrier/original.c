/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum ds_status carrier_image_of(const struct dicom_pixels *pixels, struct stego_image *image,
                                struct ds_error *err)
{
    struct dicom_planes planes = {0};
    memset(image, 0, sizeof(*image));
    enum ds_status s = dicom_pixels_planes(pixels, &planes, err);
    if (s != DS_OK) {
        return s;
    }
    if (pixels->bits_stored < STEGO_BITS_MIN || pixels->bits_stored > STEGO_BITS_MAX) {
        return ds_fail(err, DS_EUNSUPPORTED, "%u bits stored; at least %u are needed to carry",
                       pixels->bits_stored, STEGO_BITS_MIN);
    }
    struct stego_image made = {
        .columns = pixels->columns,
        .rows = pixels->rows,
        .frames = pixels->frames,
        .components = planes.components,
        .chroma_halved = planes.chroma_halved,
        .bits_stored = (uint8_t)pixels->bits_stored,
        .is_signed = planes.is_signed,
        .has_padding = pixels->has_padding,
        .padding_min = dicom_pixels_sample_of(pixels, pixels->padding_min),
        .padding_max = dicom_pixels_sample_of(pixels, pixels->padding_max),
    };
    s = stego_image_new(&made, err);
    if (s != DS_OK) {
        return s;
    }
    s = dicom_pixels_samples(pixels, made.samples, planes.count, err);
    if (s != DS_OK) {
        stego_image_free(&made);
        return s;
    }
    *image = made;
    return DS_OK;
}

enum ds_status carrier_hashes_of(const struct dicom_dataset *d, const uint8_t *file, size_t len,
                                 struct carrier_hashes *out, struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_error why = {0};
    enum ds_status s = dicom_pixels_hash(d, NULL, out->pixel, &why);
    out->has_pixels = s == DS_OK;
    if (s == DS_ENOMEM || s == DS_EIO) {
        return ds_fail(err, s, "%s", why.text);
    }
    s = dicom_dataset_hash(d, out->dataset, err);
    return s == DS_OK ? dicom_file_hash(file, len, out->file, err) : s;
}

/* Decides whether the engine can take the image, and keeps why not. An unsuitable image is still a
 * good original: it passes, or gets a sidecar. */
static enum ds_status read_pixels(struct carrier_original *o, struct ds_error *err)
{
    struct ds_error why = {0};
    o->suitable = dicom_pixels_read_front(&o->pixels, o->dataset, CARRIER_WINDOW_SAMPLES, &why);
    if (o->suitable == DS_OK) {
        o->suitable = carrier_image_of(&o->pixels, &o->image, &why);
    }
    if (o->suitable == DS_ENOMEM || o->suitable == DS_EIO) {
        return ds_fail(err, o->suitable, "%s", why.text);
    }
    (void)snprintf(o->reason, sizeof(o->reason), "%.*s", (int)sizeof(o->reason) - 1, why.text);
    return DS_OK;
}

static enum ds_status load(struct carrier_original *o, const uint8_t *file, size_t len,
                           struct ds_error *err)
{
    o->file = file;
    o->len = len;
    enum ds_status s = dicom_dataset_view(&o->dataset, file, len, NULL, err);
    if (s == DS_OK) {
        s = dicom_envelope_scan(file, len, &o->envelope, err);
    }
    if (s == DS_OK) {
        s = read_pixels(o, err);
    }
    if (s == DS_OK) {
        s = carrier_hashes_of(o->dataset, file, len, &o->hashes, err);
    }
    return s;
}

enum ds_status carrier_original_load(struct carrier_original **out, const uint8_t *file, size_t len,
                                     struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = calloc(1, sizeof(*o));
    if (o == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for an original");
    }
    enum ds_status s = load(o, file, len, err);
    if (s == DS_OK) {
        *out = o;
        o = NULL;
    }
    return s;
}

enum ds_status carrier_original_open(struct carrier_original **out, const char *path,
                                     struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(ds_map_close) struct ds_map map = {0};
    enum ds_status s = ds_map_open(&map, path, DICOM_FILE_MAX_BYTES, err);
    if (s == DS_OK) {
        s = carrier_original_load(out, map.data, map.len, err);
    }
    if (s == DS_OK) {
        (*out)->map = map;
        map = (struct ds_map){0};
    }
    return s;
}

bool carrier_original_is_carrier(const struct carrier_original *o)
{
    return carrier_has_sidecar(o->dataset) ||
           (o->image.samples != NULL && stego_is_carrier(&o->image));
}

void carrier_original_free(struct carrier_original *o)
{
    if (o == NULL) {
        return;
    }
    dicom_dataset_free(o->dataset);
    dicom_pixels_free(&o->pixels);
    stego_image_free(&o->image);
    ds_map_close(&o->map);
    free(o);
}

void carrier_original_auto(struct carrier_original **o)
{
    carrier_original_free(*o);
}

const struct carrier_hashes *carrier_original_hashes(const struct carrier_original *o)
{
    return &o->hashes;
}

const struct dicom_dataset *carrier_original_dataset(const struct carrier_original *o)
{
    return o->dataset;
}

enum ds_status carrier_original_suitable(const struct carrier_original *o, struct ds_error *err)
{
    return o->suitable == DS_OK ? DS_OK : ds_fail(err, o->suitable, "%s", o->reason);
}

const struct stego_image *carrier_original_image(const struct carrier_original *o)
{
    return o->suitable == DS_OK ? &o->image : NULL;
}
