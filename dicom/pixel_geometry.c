/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/pixel_geometry.h"

#include "base/size.h"

#include <string.h>

enum ds_status dicom_geometry_check(const struct dicom_pixels *p, struct ds_error *err)
{
    if (p->rows == 0 || p->columns == 0 || p->samples_per_pixel == 0 || p->frames == 0) {
        return ds_fail(err, DS_EFORMAT, "an image of %ux%u pixels with %u samples", p->columns,
                       p->rows, p->samples_per_pixel);
    }
    const unsigned a = p->bits_allocated;
    if (a != 1 && a != 8 && a != 16 && a != 32 && a != 64) {
        return ds_fail(err, DS_EUNSUPPORTED, "pixels of %u bits allocated", a);
    }
    if (p->bits_stored == 0 || p->bits_stored > a || p->high_bit >= a ||
        p->high_bit + 1 < p->bits_stored) {
        return ds_fail(err, DS_EFORMAT, "%u bits stored up to bit %u in %u allocated",
                       p->bits_stored, p->high_bit, a);
    }
    return DS_OK;
}

static enum ds_status too_large(const struct dicom_pixels *p, struct ds_error *err)
{
    return ds_fail(err, DS_EFORMAT, "%u frames of %ux%u pixels are more than a file can hold",
                   p->frames, p->columns, p->rows);
}

/* YBR_FULL_422 in native form has two samples a pixel: every two pixels share their colour (PS3.3
 * C.7.6.3.1.2). */
static size_t native_samples(const struct dicom_pixels *p)
{
    const bool shared = strcmp(p->photometric, "YBR_FULL_422") == 0 ||
                        strcmp(p->photometric, "YBR_PARTIAL_422") == 0;
    return shared && p->samples_per_pixel == 3 ? 2 : p->samples_per_pixel;
}

enum ds_status dicom_geometry_native_bytes(const struct dicom_pixels *p, size_t *out,
                                           struct ds_error *err)
{
    size_t bits = p->rows;
    *out = 0;
    if (!ds_size_mul(bits, p->columns, &bits) || !ds_size_mul(bits, native_samples(p), &bits) ||
        !ds_size_mul(bits, p->bits_allocated, &bits) || !ds_size_mul(bits, p->frames, &bits) ||
        bits / 8 >= DICOM_FILE_MAX_BYTES) {
        return too_large(p, err);
    }
    *out = bits / 8 + (bits % 8 != 0);
    return DS_OK;
}

enum ds_status dicom_geometry_decoded_bytes(const struct dicom_pixels *p, size_t *frame,
                                            size_t *total, struct ds_error *err)
{
    size_t bits = p->rows;
    *frame = 0;
    *total = 0;
    if (!ds_size_mul(bits, p->columns, &bits) || !ds_size_mul(bits, p->samples_per_pixel, &bits) ||
        !ds_size_mul(bits, p->bits_allocated, &bits)) {
        return too_large(p, err);
    }
    *frame = bits / 8 + (bits % 8 != 0);
    if (!ds_size_mul(bits, p->frames, &bits) || bits / 8 >= DICOM_FILE_MAX_BYTES) {
        return too_large(p, err);
    }
    *total = bits / 8 + (bits % 8 != 0);
    return DS_OK;
}
