/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "dicom/pixels.h"

#include <string.h>

/* How samples lie in the cells of an image; everything that the loops below need. */
struct layout {
    size_t count;
    unsigned cell_bytes; /* 1 or 2 */
    unsigned shift;      /* high_bit + 1 - bits_stored */
    unsigned bits;
    uint32_t mask; /* the stored bits, in place */
    uint32_t cell; /* all bits of a cell */
};

static enum ds_status layout_of(const struct dicom_pixels *p, struct layout *out,
                                struct ds_error *err)
{
    *out = (struct layout){0};
    if (p->samples_per_pixel != 1 || strncmp(p->photometric, "MONOCHROME", 10) != 0) {
        return ds_fail(err, DS_EUNSUPPORTED, "not a greyscale image: %s", p->photometric);
    }
    if (p->bits_allocated != 8 && p->bits_allocated != 16) {
        return ds_fail(err, DS_EUNSUPPORTED, "pixels of %u bits allocated", p->bits_allocated);
    }
    if (p->bits_stored == 0 || p->high_bit >= p->bits_allocated ||
        p->bits_stored > p->high_bit + 1U) {
        return ds_fail(err, DS_EINVAL, "bits stored and high bit contradict each other");
    }
    out->cell_bytes = p->bits_allocated / 8U;
    out->bits = p->bits_stored;
    out->shift = p->high_bit + 1U - p->bits_stored;
    out->cell = (1U << p->bits_allocated) - 1;
    out->mask = ((1U << p->bits_stored) - 1) << out->shift;
    size_t n = p->rows;
    if (!ds_size_mul(n, p->columns, &n) || !ds_size_mul(n, p->frames, &n) ||
        n != p->cells.len / out->cell_bytes) {
        return ds_fail(err, DS_EINVAL, "the cells are not those of the geometry");
    }
    out->count = n;
    return DS_OK;
}

static uint32_t load(const struct layout *l, const uint8_t *cells, size_t i)
{
    if (l->cell_bytes == 1) {
        return cells[i];
    }
    return cells[2 * i] | (uint32_t)cells[2 * i + 1] << 8;
}

static void store(const struct layout *l, uint8_t *cells, size_t i, uint32_t cell)
{
    if (l->cell_bytes == 1) {
        cells[i] = (uint8_t)cell;
        return;
    }
    cells[2 * i] = (uint8_t)cell;
    cells[2 * i + 1] = (uint8_t)(cell >> 8);
}

static int32_t sample_of(const struct layout *l, uint32_t cell, bool is_signed)
{
    const uint32_t v = (cell & l->mask) >> l->shift;
    const uint32_t sign = 1U << (l->bits - 1);
    return is_signed ? (int32_t)(v ^ sign) - (int32_t)sign : (int32_t)v;
}

/* The cell of a stored value when the bits outside are zeros, or copies of its top bit. The bits
 * below the stored ones, where there are any, are never sign. */
static uint32_t cell_of(const struct layout *l, uint32_t stored, enum dicom_cell_rule rule)
{
    const uint32_t above = l->cell & ~((l->mask | ((1U << l->shift) - 1)));
    const bool top = (stored >> (l->bits - 1) & 1U) != 0;
    return stored << l->shift | (rule == DICOM_CELL_SIGN && top ? above : 0);
}

enum ds_status dicom_pixels_samples(const struct dicom_pixels *p, int32_t *samples, size_t count,
                                    struct ds_error *err)
{
    struct layout l;
    const enum ds_status s = layout_of(p, &l, err);
    if (s != DS_OK) {
        return s;
    }
    if (count != l.count) {
        return ds_fail(err, DS_EINVAL, "room for %zu samples, the image has %zu", count, l.count);
    }
    for (size_t i = 0; i < count; i++) {
        samples[i] = sample_of(&l, load(&l, p->cells.data, i), p->is_signed);
    }
    return DS_OK;
}

static bool rule_holds(const struct dicom_pixels *p, const struct layout *l,
                       enum dicom_cell_rule rule)
{
    for (size_t i = 0; i < l->count; i++) {
        const uint32_t cell = load(l, p->cells.data, i);
        if (cell != cell_of(l, (cell & l->mask) >> l->shift, rule)) {
            return false;
        }
    }
    return true;
}

enum dicom_cell_rule dicom_pixels_cell_rule(const struct dicom_pixels *p)
{
    struct layout l;
    if (layout_of(p, &l, NULL) != DS_OK) {
        return DICOM_CELL_KEEP;
    }
    if (rule_holds(p, &l, DICOM_CELL_ZERO)) {
        return DICOM_CELL_ZERO;
    }
    return rule_holds(p, &l, DICOM_CELL_SIGN) ? DICOM_CELL_SIGN : DICOM_CELL_KEEP;
}

static bool in_range(const struct layout *l, bool is_signed, int32_t v)
{
    const int32_t half = (int32_t)(1U << (l->bits - 1));
    return is_signed ? v >= -half && v < half : v >= 0 && v < 2 * half;
}

enum ds_status dicom_pixels_set_samples(struct dicom_pixels *p, const int32_t *samples,
                                        size_t count, enum dicom_cell_rule rule,
                                        struct ds_error *err)
{
    struct layout l;
    const enum ds_status s = layout_of(p, &l, err);
    if (s != DS_OK) {
        return s;
    }
    if (count != l.count) {
        return ds_fail(err, DS_EINVAL, "%zu samples for an image of %zu", count, l.count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!in_range(&l, p->is_signed, samples[i])) {
            return ds_fail(err, DS_EINVAL, "a sample does not fit %u bits", l.bits);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t stored = (uint32_t)samples[i] & (l.mask >> l.shift);
        const uint32_t kept = load(&l, p->cells.data, i) & ~l.mask;
        const uint32_t cell =
            rule == DICOM_CELL_KEEP ? kept | stored << l.shift : cell_of(&l, stored, rule);
        store(&l, p->cells.data, i, cell);
    }
    return DS_OK;
}

enum ds_status dicom_pixels_hash(const struct dicom_pixels *p, uint8_t out[DS_SHA256_BYTES],
                                 struct ds_error *err)
{
    return ds_sha256_of(p->cells.data, p->cells.len, out, err);
}

void dicom_pixels_free(struct dicom_pixels *p)
{
    ds_bytes_free(&p->cells);
}
