/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JPEG Lossless, Huffman coded, first-order prediction from the left (ITU-T T.81 annex H,
 * process 14 with selection value 1). Each frame gets the code that is best for it (K.2).
 */
#include "dicom/codec_private.h"
#include "dicom/words.h"

#include <stdlib.h>
#include <string.h>

#define CATEGORIES  17U /* bits of a difference, 0 to 16 (H.1.2.2) */
#define RESERVED    17U /* keeps the code of all ones unused (K.2) */
#define LENGTH_MAX  16U
#define LENGTH_ROOM 33U /* of codes before they are shortened */

struct code {
    uint8_t counts[LENGTH_MAX + 1]; /* codes of each length, 1 to 16 */
    uint8_t symbols[CATEGORIES];    /* by ascending length */
    unsigned symbol_count;
    uint16_t bits[CATEGORIES];
    uint8_t lengths[CATEGORIES];
};

/* One frame as the scan goes: all components of a pixel, then the next pixel. */
struct frame {
    const struct dicom_pixels *p;
    const uint8_t *cells;
    unsigned depth;
};

static uint32_t word(const struct frame *f, size_t pixel, unsigned component)
{
    return dicom_word_at(f->p, f->cells, pixel * f->p->samples_per_pixel + component) &
           ((1U << f->depth) - 1);
}

/* H.1.2.1: from the left; in the first column from above, at the start from half of the range. The
 * difference is modulo 2^16. */
static int32_t difference(const struct frame *f, size_t pixel, unsigned component)
{
    const uint32_t columns = f->p->columns;
    const uint32_t before = pixel == 0             ? 1U << (f->depth - 1)
                            : pixel % columns == 0 ? word(f, pixel - columns, component)
                                                   : word(f, pixel - 1, component);
    const uint32_t d = (word(f, pixel, component) - before) & 0xffffU;
    return d > 0x8000U ? (int32_t)d - 0x10000 : (int32_t)d;
}

static unsigned category(int32_t d)
{
    unsigned n = 0;
    for (uint32_t size = (uint32_t)(d < 0 ? -d : d); size != 0; size >>= 1) {
        n++;
    }
    return n;
}

/* ---- the code (K.2) ---- */

static void count_categories(const struct frame *f, uint64_t frequencies[RESERVED + 1])
{
    const size_t pixels = (size_t)f->p->columns * f->p->rows;
    for (size_t i = 0; i < pixels; i++) {
        for (unsigned c = 0; c < f->p->samples_per_pixel; c++) {
            frequencies[category(difference(f, i, c))]++;
        }
    }
    frequencies[RESERVED] = 1;
}

/* The index of the least frequency but not of `besides`; the larger index of two equal ones. */
static int least(const uint64_t frequencies[RESERVED + 1], int besides)
{
    int found = -1;
    for (int i = 0; i <= (int)RESERVED; i++) {
        if (frequencies[i] != 0 && i != besides &&
            (found < 0 || frequencies[i] <= frequencies[found])) {
            found = i;
        }
    }
    return found;
}

/* Figure K.1: joins the two rarest trees until one is left. */
static void code_sizes(uint64_t frequencies[RESERVED + 1], unsigned sizes[RESERVED + 1])
{
    int others[RESERVED + 1];
    for (unsigned i = 0; i <= RESERVED; i++) {
        others[i] = -1;
        sizes[i] = 0;
    }
    for (;;) {
        int a = least(frequencies, -1);
        int b = least(frequencies, a);
        if (b < 0) {
            return;
        }
        frequencies[a] += frequencies[b];
        frequencies[b] = 0;
        sizes[a]++;
        for (; others[a] >= 0; a = others[a]) {
            sizes[others[a]]++;
        }
        others[a] = b;
        sizes[b]++;
        for (; others[b] >= 0; b = others[b]) {
            sizes[others[b]]++;
        }
    }
}

/* Figure K.3: no code is longer than 16 bits, and the longest one is given up. */
static void limit_lengths(unsigned counts[LENGTH_ROOM])
{
    for (unsigned i = LENGTH_ROOM - 1; i > LENGTH_MAX; i--) {
        while (counts[i] > 0) {
            unsigned j = i - 2;
            while (counts[j] == 0) {
                j--;
            }
            counts[i] -= 2;
            counts[i - 1]++;
            counts[j + 1] += 2;
            counts[j]--;
        }
    }
    unsigned last = LENGTH_MAX;
    while (counts[last] == 0) {
        last--;
    }
    counts[last]--;
}

/* Figure C.1 to C.3: codes count up from length to length. */
static void assign(struct code *c)
{
    unsigned next = 0;
    unsigned k = 0;
    for (unsigned length = 1; length <= LENGTH_MAX; length++) {
        for (unsigned i = 0; i < c->counts[length]; i++, k++) {
            c->bits[c->symbols[k]] = (uint16_t)next++;
            c->lengths[c->symbols[k]] = (uint8_t)length;
        }
        next <<= 1;
    }
}

static void make_code(const struct frame *f, struct code *c)
{
    uint64_t frequencies[RESERVED + 1] = {0};
    unsigned sizes[RESERVED + 1];
    unsigned counts[LENGTH_ROOM] = {0};
    memset(c, 0, sizeof(*c));
    count_categories(f, frequencies);
    code_sizes(frequencies, sizes);
    for (unsigned i = 0; i <= RESERVED; i++) {
        counts[sizes[i]] += sizes[i] > 0 ? 1 : 0;
    }
    limit_lengths(counts);
    for (unsigned length = 1; length <= LENGTH_MAX; length++) {
        c->counts[length] = (uint8_t)counts[length];
    }
    for (unsigned size = 1; size < LENGTH_ROOM; size++) {
        for (unsigned i = 0; i < CATEGORIES; i++) {
            if (sizes[i] == size) {
                c->symbols[c->symbol_count++] = (uint8_t)i;
            }
        }
    }
    assign(c);
}

/* ---- bits out: a zero byte behind every 0xff (F.1.2.3) ---- */

struct writer {
    struct ds_bytes *out;
    struct ds_error *err;
    enum ds_status status; /* the first failure stays */
    uint64_t pending;
    unsigned count; /* bits in pending, below 8 between calls */
};

static void put_byte(struct writer *w, unsigned byte)
{
    if (w->status == DS_OK) {
        w->status = ds_bytes_put_u8(w->out, (uint8_t)byte, w->err);
    }
}

static void put_bits(struct writer *w, uint32_t value, unsigned bits)
{
    w->pending = w->pending << bits | value;
    w->count += bits;
    while (w->count >= 8) {
        w->count -= 8;
        const unsigned byte = (unsigned)(w->pending >> w->count) & 0xffU;
        put_byte(w, byte);
        if (byte == 0xffU) {
            put_byte(w, 0);
        }
    }
}

/* The last byte is filled up with ones. */
static void put_end(struct writer *w)
{
    if (w->count > 0) {
        put_bits(w, (1U << (8 - w->count)) - 1, 8 - w->count);
    }
}

/* Category, then the difference itself, negative ones less one; 2^15 has no bits behind it. */
static void put_difference(struct writer *w, const struct code *c, int32_t d)
{
    const unsigned n = category(d);
    put_bits(w, c->bits[n], c->lengths[n]);
    if (n > 0 && n < 16) {
        put_bits(w, (uint32_t)(d < 0 ? d - 1 : d) & ((1U << n) - 1), n);
    }
}

/* ---- the stream (B.2) ---- */

static void put_all(struct writer *w, const unsigned *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_byte(w, bytes[i]);
    }
}

static void put_frame_header(struct writer *w, const struct frame *f)
{
    const struct dicom_pixels *p = f->p;
    const unsigned n = p->samples_per_pixel;
    const unsigned head[] = {0xff,
                             0xd8,
                             0xff,
                             0xc3,
                             0,
                             8 + 3 * n,
                             f->depth,
                             p->rows >> 8,
                             p->rows & 0xff,
                             p->columns >> 8,
                             p->columns & 0xff,
                             n};
    put_all(w, head, DS_ARRAY_SIZE(head));
    for (unsigned i = 1; i <= n; i++) {
        const unsigned component[] = {i, 0x11, 0};
        put_all(w, component, DS_ARRAY_SIZE(component));
    }
}

static void put_code(struct writer *w, const struct code *c)
{
    const unsigned head[] = {0xff, 0xc4, 0, 19 + c->symbol_count, 0};
    put_all(w, head, DS_ARRAY_SIZE(head));
    for (unsigned length = 1; length <= LENGTH_MAX; length++) {
        put_byte(w, c->counts[length]);
    }
    for (unsigned i = 0; i < c->symbol_count; i++) {
        put_byte(w, c->symbols[i]);
    }
}

static void put_scan_header(struct writer *w, unsigned components)
{
    const unsigned head[] = {0xff, 0xda, 0, 6 + 2 * components, components};
    const unsigned tail[] = {1, 0, 0}; /* selection value 1, no point transform */
    put_all(w, head, DS_ARRAY_SIZE(head));
    for (unsigned i = 1; i <= components; i++) {
        const unsigned component[] = {i, 0};
        put_all(w, component, DS_ARRAY_SIZE(component));
    }
    put_all(w, tail, DS_ARRAY_SIZE(tail));
}

static void put_frame(struct writer *w, const struct frame *f)
{
    static const unsigned end[] = {0xff, 0xd9};
    const size_t pixels = (size_t)f->p->columns * f->p->rows;
    struct code c;
    make_code(f, &c);
    put_frame_header(w, f);
    put_code(w, &c);
    put_scan_header(w, f->p->samples_per_pixel);
    for (size_t i = 0; i < pixels && w->status == DS_OK; i++) {
        for (unsigned k = 0; k < f->p->samples_per_pixel; k++) {
            put_difference(w, &c, difference(f, i, k));
        }
    }
    put_end(w);
    put_all(w, end, DS_ARRAY_SIZE(end));
}

DICOM_ENCODER(dicom_lossless_encode)
{
    (void)frame_bytes;
    const enum ds_status s = dicom_words_check(p, "JPEG Lossless", err);
    if (s != DS_OK) {
        return s;
    }
    /* Decoders differ in whether they extend the sign of fewer bits, so signed pixels go in whole.
     */
    const struct frame f = {p, cells,
                            p->is_signed ? p->bits_allocated : dicom_word_form_of(p, cells).bits};
    struct writer w = {.out = out, .err = err};
    put_frame(&w, &f);
    return w.status;
}
