/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "dicom/pixels.h"

#include <endian.h>
#include <string.h>

/* How a sample lies in its cell; everything that the loops below need. */
struct layout {
    size_t cells;
    unsigned cell_bytes; /* 1, 2 or 4 */
    unsigned shift;      /* high_bit + 1 - bits_stored */
    unsigned bits;
    uint32_t mask; /* the stored bits, in place */
    uint32_t cell; /* all bits of a cell */
    uint32_t flip; /* the top bit of stored values that do not fit a sample, else 0 */
    bool is_signed;
    struct dicom_planes planes;
};

static uint32_t low_bits(unsigned n) /* 1 to 32 */
{
    return UINT32_MAX >> (32U - n);
}

/* ---- which images have samples ---- */

struct colour {
    const char *photometric;
    unsigned samples_per_pixel;
    struct dicom_planes planes;
};

/* YBR_PARTIAL_* leaves values out that hiding might produce; YBR_RCT and YBR_ICT exist inside
 * JPEG 2000 streams only. */
static const struct colour colours[] = {
    {"MONOCHROME1", 1, {.components = 1}},
    {"MONOCHROME2", 1, {.components = 1}},
    {"RGB", 3, {.components = 3}},
    {"YBR_FULL", 3, {.components = 3}},
    {"YBR_FULL_422", 3, {.components = 3, .chroma_halved = true}},
};

static const struct colour *colour_of(const struct dicom_pixels *p)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(colours); i++) {
        if (strcmp(p->photometric, colours[i].photometric) == 0 &&
            p->samples_per_pixel == colours[i].samples_per_pixel) {
            return &colours[i];
        }
    }
    return NULL;
}

static enum ds_status refuse_colour(const struct dicom_pixels *p, struct ds_error *err)
{
    if (strcmp(p->photometric, "PALETTE COLOR") == 0) {
        return ds_fail(err, DS_EUNSUPPORTED,
                       "palette colour: the pixels are numbers of table entries, not brightness");
    }
    return ds_fail(err, DS_EUNSUPPORTED,
                   "colour of the kind %s with %u samples a pixel; only greyscale, RGB, YBR_FULL "
                   "and YBR_FULL_422 can carry",
                   p->photometric, p->samples_per_pixel);
}

static enum ds_status check_bits(const struct dicom_pixels *p, struct ds_error *err)
{
    if (p->bits_allocated == 1) {
        return ds_fail(err, DS_EUNSUPPORTED, "black and white pixels of 1 bit");
    }
    if (p->bits_allocated != 8 && p->bits_allocated != 16 && p->bits_allocated != 32) {
        return ds_fail(err, DS_EUNSUPPORTED,
                       "pixels of %u bits allocated; only 8, 16 and 32 can "
                       "carry",
                       p->bits_allocated);
    }
    if (p->bits_stored == 0 || p->high_bit >= p->bits_allocated ||
        p->bits_stored > p->high_bit + 1U) {
        return ds_fail(err, DS_EINVAL, "bits stored and high bit contradict each other");
    }
    return DS_OK;
}

static enum ds_status count_samples(const struct dicom_pixels *p, struct layout *l,
                                    struct ds_error *err)
{
    /* Two pixels in a row share their colour: as many cells as two full planes. */
    const size_t full_planes = l->planes.chroma_halved ? 2 : l->planes.components;
    size_t n = p->rows;
    if (!ds_size_mul(n, p->columns, &n) || !ds_size_mul(n, p->frames, &n) ||
        !ds_size_mul(n, full_planes, &n) || n != p->cells.len / l->cell_bytes) {
        return ds_fail(err, DS_EINVAL, "the cells are not those of the geometry");
    }
    l->cells = n;
    l->planes.count = n;
    return DS_OK;
}

static enum ds_status layout_of(const struct dicom_pixels *p, struct layout *out,
                                struct ds_error *err)
{
    *out = (struct layout){0};
    const struct colour *colour = colour_of(p);
    if (colour == NULL) {
        return refuse_colour(p, err);
    }
    const enum ds_status s = check_bits(p, err);
    if (s != DS_OK) {
        return s;
    }
    if (colour->planes.chroma_halved && (p->columns % 2 != 0 || p->is_planar)) {
        return ds_fail(err, DS_EUNSUPPORTED, "YBR_FULL_422 %s",
                       p->is_planar ? "by plane" : "with an odd number of columns");
    }
    out->cell_bytes = p->bits_allocated / 8U;
    out->bits = p->bits_stored;
    out->shift = p->high_bit + 1U - p->bits_stored;
    out->cell = low_bits(p->bits_allocated);
    out->mask = low_bits(p->bits_stored) << out->shift;
    out->flip = p->bits_stored == 32 && !p->is_signed ? UINT32_C(1) << 31 : 0;
    out->is_signed = p->is_signed || out->flip != 0;
    out->planes = colour->planes;
    out->planes.is_signed = out->is_signed;
    return count_samples(p, out, err);
}

enum ds_status dicom_pixels_planes(const struct dicom_pixels *p, struct dicom_planes *out,
                                   struct ds_error *err)
{
    struct layout l;
    const enum ds_status s = layout_of(p, &l, err);
    *out = l.planes;
    return s;
}

/* ---- where the samples of a plane are ---- */

/* Sample i of a plane is cell first + (i >> pair) * step + (i & pair). */
struct stride {
    size_t first, step, count;
    unsigned pair; /* 1 where two samples stand together: brightness in YBR_FULL_422 */
};

static struct stride stride_of(const struct dicom_pixels *p, const struct layout *l, uint32_t frame,
                               unsigned component)
{
    const size_t pixels = (size_t)p->rows * p->columns;
    const size_t components = l->planes.components;
    if (l->planes.chroma_halved) {
        const size_t start = 2 * pixels * frame;
        return component == 0 ? (struct stride){start, 4, pixels, 1}
                              : (struct stride){start + 1 + component, 4, pixels / 2, 0};
    }
    if (p->is_planar) {
        return (struct stride){(frame * components + component) * pixels, 1, pixels, 0};
    }
    return (struct stride){frame * pixels * components + component, components, pixels, 0};
}

static size_t cell_at(const struct stride *s, size_t i)
{
    return s->first + (i >> s->pair) * s->step + (i & s->pair);
}

static uint32_t load(const struct layout *l, const uint8_t *cells, size_t i)
{
    switch (l->cell_bytes) {
    case 1:
        return cells[i];
    case 2:
        return cells[2 * i] | (uint32_t)cells[2 * i + 1] << 8;
    default:
        return cells[4 * i] | (uint32_t)cells[4 * i + 1] << 8 | (uint32_t)cells[4 * i + 2] << 16 |
               (uint32_t)cells[4 * i + 3] << 24;
    }
}

static void store(const struct layout *l, uint8_t *cells, size_t i, uint32_t cell)
{
    for (unsigned k = 0; k < l->cell_bytes; k++) {
        cells[l->cell_bytes * i + k] = (uint8_t)(cell >> (8 * k));
    }
}

/* ---- between cells and samples ---- */

static int32_t sample_of(const struct layout *l, uint32_t cell)
{
    const uint32_t v = ((cell & l->mask) >> l->shift) ^ l->flip;
    const uint32_t sign = UINT32_C(1) << (l->bits - 1);
    return (int32_t)(l->is_signed ? (v ^ sign) - sign : v);
}

/* The cell of a stored value when the bits outside are zeros, or copies of its top bit. The bits
 * below the stored ones, where there are any, are never sign. */
static uint32_t cell_of(const struct layout *l, uint32_t stored, enum dicom_cell_rule rule)
{
    const uint32_t above = l->cell & ~(l->mask | ((UINT32_C(1) << l->shift) - 1));
    const bool top = (stored >> (l->bits - 1) & 1U) != 0;
    return stored << l->shift | (rule == DICOM_CELL_SIGN && top ? above : 0);
}

int32_t dicom_pixels_sample_of(const struct dicom_pixels *p, int64_t value)
{
    const bool flips = p->bits_stored == 32 && !p->is_signed;
    return (int32_t)(flips ? value - (INT64_C(1) << 31) : value);
}

/* ---- cells of 16 bits in a row: what scanners send; loops that the compiler vectorises ---- */

static bool is_row_of_words(const struct layout *l, const struct stride *s)
{
    return l->cell_bytes == 2 && s->step == 1 && s->pair == 0;
}

static uint32_t load_word(const uint8_t *cells, size_t i)
{
    uint16_t word = 0;
    memcpy(&word, cells + 2 * i, sizeof(word));
    return le16toh(word);
}

static void read_words(const struct layout *l, const uint8_t *cells, size_t count, int32_t *samples)
{
    const uint32_t mask = l->mask;
    const unsigned shift = l->shift;
    const uint32_t sign = l->is_signed ? UINT32_C(1) << (l->bits - 1) : 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t v = (load_word(cells, i) & mask) >> shift;
        samples[i] = (int32_t)((v ^ sign) - sign);
    }
}

static void write_words(const struct layout *l, const int32_t *samples, size_t count,
                        enum dicom_cell_rule rule, uint8_t *cells)
{
    const unsigned shift = l->shift;
    const unsigned top = l->bits - 1;
    const uint32_t stored = l->mask >> l->shift;
    const uint32_t kept = rule == DICOM_CELL_KEEP ? ~l->mask : 0;
    const uint32_t above =
        rule == DICOM_CELL_SIGN ? l->cell & ~(l->mask | ((UINT32_C(1) << shift) - 1)) : 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t v = (uint32_t)samples[i] & stored;
        const uint32_t cell =
            (load_word(cells, i) & kept) | v << shift | (above & (0U - (v >> top)));
        const uint16_t word = htole16((uint16_t)cell);
        memcpy(cells + 2 * i, &word, sizeof(word));
    }
}

/* Samples first .. first + count - 1 of a plane. */
static void read_plane(const struct layout *l, const struct stride *s, const uint8_t *cells,
                       size_t first, size_t count, int32_t *samples)
{
    if (is_row_of_words(l, s)) {
        read_words(l, cells + 2 * (s->first + first), count, samples);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        samples[i] = sample_of(l, load(l, cells, cell_at(s, first + i)));
    }
}

enum ds_status dicom_pixels_samples(const struct dicom_pixels *p, int32_t *samples, size_t count,
                                    struct ds_error *err)
{
    struct layout l;
    const enum ds_status s = layout_of(p, &l, err);
    if (s != DS_OK) {
        return s;
    }
    if (count != l.planes.count) {
        return ds_fail(err, DS_EINVAL, "room for %zu samples, the image has %zu", count,
                       l.planes.count);
    }
    for (uint32_t frame = 0; frame < p->frames; frame++) {
        for (unsigned c = 0; c < l.planes.components; c++) {
            const struct stride at = stride_of(p, &l, frame, c);
            read_plane(&l, &at, p->cells.data, 0, at.count, samples);
            samples += at.count;
        }
    }
    return DS_OK;
}

enum ds_status dicom_pixels_plane_samples(const struct dicom_pixels *p, uint32_t frame,
                                          unsigned component, size_t first, size_t count,
                                          int32_t *samples, struct ds_error *err)
{
    struct layout l;
    const enum ds_status s = layout_of(p, &l, err);
    if (s != DS_OK) {
        return s;
    }
    if (frame >= p->frames || component >= l.planes.components) {
        return ds_fail(err, DS_EINVAL, "the image has no such plane");
    }
    const struct stride at = stride_of(p, &l, frame, component);
    if (first > at.count || count > at.count - first) {
        return ds_fail(err, DS_EINVAL, "a plane of %zu samples", at.count);
    }
    read_plane(&l, &at, p->cells.data, first, count, samples);
    return DS_OK;
}

/* Which bits outside the stored ones are not those of a rule, over all cells. */
struct deviations {
    uint32_t zero, sign;
};

static void judge_cell(const struct layout *l, uint32_t above, uint32_t cell, struct deviations *d)
{
    const uint32_t top = cell >> (l->shift + l->bits - 1) & 1U;
    const uint32_t outside = cell & l->cell & ~l->mask;
    d->zero |= outside;
    d->sign |= outside ^ (above & (0U - top));
}

static struct deviations judge_cells(const struct layout *l, const uint8_t *cells)
{
    const struct layout local = *l;
    const uint32_t above = local.cell & ~(local.mask | ((UINT32_C(1) << local.shift) - 1));
    struct deviations d = {0};
    if (local.cell_bytes == 2) {
        for (size_t i = 0; i < local.cells; i++) {
            judge_cell(&local, above, load_word(cells, i), &d);
        }
        return d;
    }
    for (size_t i = 0; i < local.cells; i++) {
        judge_cell(&local, above, load(&local, cells, i), &d);
    }
    return d;
}

enum dicom_cell_rule dicom_pixels_cell_rule(const struct dicom_pixels *p)
{
    struct layout l;
    if (layout_of(p, &l, NULL) != DS_OK) {
        return DICOM_CELL_KEEP;
    }
    const struct deviations d = judge_cells(&l, p->cells.data);
    return d.zero == 0 ? DICOM_CELL_ZERO : d.sign == 0 ? DICOM_CELL_SIGN : DICOM_CELL_KEEP;
}

/* A sample of at most 31 bits, moved so that the lowest is 0, has nothing above its bits. */
static bool all_in_range(const struct layout *l, const int32_t *samples, size_t count)
{
    if (l->bits == 32) {
        return true; /* of layouts of 32 bits every sample is signed */
    }
    const uint32_t lowest = l->is_signed ? UINT32_C(1) << (l->bits - 1) : 0;
    const unsigned bits = l->bits;
    uint32_t above = 0;
    for (size_t i = 0; i < count; i++) {
        above |= ((uint32_t)samples[i] + lowest) >> bits;
    }
    return above == 0;
}

static void write_plane(const struct layout *l, const struct stride *s, const int32_t *samples,
                        enum dicom_cell_rule rule, uint8_t *cells)
{
    if (is_row_of_words(l, s)) {
        write_words(l, samples, s->count, rule, cells + 2 * s->first);
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        const size_t at = cell_at(s, i);
        const uint32_t stored = ((uint32_t)samples[i] ^ l->flip) & (l->mask >> l->shift);
        const uint32_t kept = load(l, cells, at) & ~l->mask;
        store(l, cells, at,
              rule == DICOM_CELL_KEEP ? kept | stored << l->shift : cell_of(l, stored, rule));
    }
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
    if (count != l.planes.count) {
        return ds_fail(err, DS_EINVAL, "%zu samples for an image of %zu", count, l.planes.count);
    }
    if (p->is_borrowed) {
        return ds_fail(err, DS_EINVAL, "these cells belong to a data set");
    }
    if (!all_in_range(&l, samples, count)) {
        return ds_fail(err, DS_EINVAL, "a sample does not fit %u bits", l.bits);
    }
    for (uint32_t frame = 0; frame < p->frames; frame++) {
        for (unsigned c = 0; c < l.planes.components; c++) {
            const struct stride at = stride_of(p, &l, frame, c);
            write_plane(&l, &at, samples, rule, p->cells.data);
            samples += at.count;
        }
    }
    return DS_OK;
}

void dicom_pixels_free(struct dicom_pixels *p)
{
    if (p->is_borrowed) {
        p->cells = DS_BYTES_LARGE(DICOM_FILE_MAX_BYTES);
        p->is_borrowed = false;
        return;
    }
    ds_bytes_free(&p->cells);
}
