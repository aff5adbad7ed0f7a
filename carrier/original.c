/* SPDX-License-Identifier: Apache-2.0 */
#include "carrier/carrier_private.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* The image without its samples. */
static enum ds_status describe_image(const struct dicom_pixels *pixels, struct stego_image *image,
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
    *image = (struct stego_image){
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
    return DS_OK;
}

enum ds_status carrier_image_of(const struct dicom_pixels *pixels, struct stego_image *image,
                                struct ds_error *err)
{
    size_t count = 0;
    enum ds_status s = describe_image(pixels, image, err);
    if (s == DS_OK) {
        s = stego_image_new(image, err);
    }
    if (s == DS_OK && stego_image_count(image, &count)) {
        s = dicom_pixels_samples(pixels, image->samples, count, err);
    }
    if (s != DS_OK) {
        stego_image_free(image);
        memset(image, 0, sizeof(*image));
    }
    return s;
}

enum ds_status carrier_hashes_of(const struct dicom_dataset *d, const uint8_t *file, size_t len,
                                 const uint8_t *file_hash, struct carrier_hashes *out,
                                 struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    struct ds_error why = {0};
    enum ds_status s = dicom_pixels_hash(d, NULL, out->pixel, &why);
    out->has_pixels = s == DS_OK;
    if (s == DS_ENOMEM || s == DS_EIO) {
        return ds_fail(err, s, "%s", why.text);
    }
    s = dicom_dataset_hash(d, out->dataset, err);
    if (s == DS_OK && file_hash != NULL) {
        memcpy(out->file, file_hash, DS_SHA256_BYTES);
        return DS_OK;
    }
    return s == DS_OK ? dicom_file_hash(file, len, out->file, err) : s;
}

/* Keeps why the engine cannot take the image. An unsuitable image is still a good original: it
 * passes, or gets a sidecar. */
static enum ds_status judge(struct carrier_original *o, enum ds_status suitable,
                            const struct ds_error *why, struct ds_error *err)
{
    o->suitable = suitable;
    if (suitable == DS_ENOMEM || suitable == DS_EIO) {
        return ds_fail(err, suitable, "%s", why->text);
    }
    (void)snprintf(o->reason, sizeof(o->reason), "%.*s", (int)sizeof(o->reason) - 1, why->text);
    return DS_OK;
}

static enum ds_status find_pixels(struct carrier_original *o, struct ds_error *err)
{
    struct ds_error why = {0};
    enum ds_status s =
        dicom_pixels_view_front(&o->pixels, o->dataset, CARRIER_WINDOW_SAMPLES, &why);
    if (s == DS_OK) {
        s = describe_image(&o->pixels, &o->image, &why);
    }
    return judge(o, s, &why, err);
}

enum ds_status carrier_original_read(struct carrier_original *o, struct ds_error *err)
{
    struct ds_error why = {0};
    if (o->suitable != DS_OK || o->image.samples != NULL) {
        return DS_OK;
    }
    const enum ds_status s = carrier_image_of(&o->pixels, &o->image, &why);
    return judge(o, s, &why, err);
}

/* What was found before of a file; NULL members: not known. */
struct known {
    const uint8_t *file_hash; /* of these very bytes */
    const struct carrier_hashes *hashes;
    const char *transfer_syntax;
};

static enum ds_status find_hashes(struct carrier_original *o, const struct known *known,
                                  struct ds_error *err)
{
    uint8_t file_hash[DS_SHA256_BYTES];
    if (known->hashes == NULL) {
        return carrier_hashes_of(o->dataset, o->file, o->len, known->file_hash, &o->hashes, err);
    }
    const enum ds_status s = dicom_file_hash(o->file, o->len, file_hash, err);
    if (s == DS_OK && memcmp(file_hash, known->hashes->file, sizeof(file_hash)) == 0 &&
        strcmp(dicom_dataset_transfer_syntax(o->dataset), known->transfer_syntax) == 0) {
        o->hashes = *known->hashes;
        return DS_OK;
    }
    return s == DS_OK ? carrier_hashes_of(o->dataset, o->file, o->len, file_hash, &o->hashes, err)
                      : s;
}

static enum ds_status load(struct carrier_original *o, const uint8_t *file, size_t len,
                           const struct known *known, struct ds_error *err)
{
    o->file = file;
    o->len = len;
    enum ds_status s = dicom_dataset_view(&o->dataset, file, len, NULL, err);
    if (s == DS_OK) {
        s = dicom_envelope_scan(file, len, &o->envelope, err);
    }
    if (s == DS_OK) {
        s = find_pixels(o, err);
    }
    if (s == DS_OK) {
        s = find_hashes(o, known, err);
    }
    return s;
}

static enum ds_status load_known(struct carrier_original **out, const uint8_t *file, size_t len,
                                 const struct known *known, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_original_auto) struct carrier_original *o = calloc(1, sizeof(*o));
    if (o == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for an original");
    }
    enum ds_status s = load(o, file, len, known, err);
    if (s == DS_OK) {
        *out = o;
        o = NULL;
    }
    return s;
}

static enum ds_status read_or_free(struct carrier_original **o, struct ds_error *err)
{
    const enum ds_status s = carrier_original_read(*o, err);
    if (s != DS_OK) {
        carrier_original_free(*o);
        *o = NULL;
    }
    return s;
}

enum ds_status carrier_original_load(struct carrier_original **out, const uint8_t *file, size_t len,
                                     struct ds_error *err)
{
    const struct known nothing = {0};
    const enum ds_status s = load_known(out, file, len, &nothing, err);
    return s == DS_OK ? read_or_free(out, err) : s;
}

static enum ds_status open_known(struct carrier_original **out, const char *path,
                                 const struct known *known, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(ds_map_close) struct ds_map map = {0};
    enum ds_status s = ds_map_open(&map, path, DICOM_FILE_MAX_BYTES, err);
    if (s == DS_OK) {
        s = load_known(out, map.data, map.len, known, err);
    }
    if (s == DS_OK) {
        (*out)->map = map;
        map = (struct ds_map){0};
    }
    return s;
}

enum ds_status carrier_original_open_hashed(struct carrier_original **out, const char *path,
                                            const uint8_t *file_hash, struct ds_error *err)
{
    const struct known known = {.file_hash = file_hash};
    return open_known(out, path, &known, err);
}

enum ds_status carrier_original_open_known(struct carrier_original **out, const char *path,
                                           const struct carrier_hashes *hashes,
                                           const char *transfer_syntax, struct ds_error *err)
{
    const struct known known = {.hashes = hashes, .transfer_syntax = transfer_syntax};
    const enum ds_status s = open_known(out, path, &known, err);
    return s == DS_OK ? read_or_free(out, err) : s;
}

enum ds_status carrier_original_open(struct carrier_original **out, const char *path,
                                     struct ds_error *err)
{
    const enum ds_status s = carrier_original_open_hashed(out, path, NULL, err);
    return s == DS_OK ? read_or_free(out, err) : s;
}

static bool read_piece(void *context, uint32_t frame, unsigned component, size_t first,
                       size_t count, int32_t *out)
{
    const struct carrier_original *o = context;
    return dicom_pixels_plane_samples(&o->pixels, frame, component, first, count, out, NULL) ==
           DS_OK;
}

bool carrier_original_is_carrier(struct carrier_original *o)
{
    return carrier_has_sidecar(o->dataset) ||
           (o->suitable == DS_OK && stego_is_carrier_read(&o->image, read_piece, o));
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

size_t carrier_original_bytes(const struct carrier_original *o)
{
    size_t samples = 0;
    return o->image.samples != NULL && stego_image_count(&o->image, &samples)
               ? o->len + samples * sizeof(*o->image.samples)
               : o->len;
}

const uint8_t *carrier_original_file(const struct carrier_original *o, size_t *len)
{
    *len = o->len;
    return o->file;
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
    return o->image.samples != NULL ? &o->image : NULL;
}
