/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/bits.h"

void stego_bits_free(struct stego_bits *b)
{
    ds_bytes_free(&b->bytes);
    b->count = 0;
    b->failed = false;
}

void stego_bits_grow(struct stego_bits *b, size_t count)
{
    if (b->failed || count > 8 * STEGO_BITS_MAX_BYTES - b->count) {
        b->failed = true;
        return;
    }
    const size_t bytes = (b->count + count + 7) / 8;
    if (ds_bytes_reserve(&b->bytes, bytes - b->bytes.len, NULL) != DS_OK ||
        ds_bytes_resize(&b->bytes, bytes, NULL) != DS_OK) {
        b->failed = true;
        return;
    }
    b->count += count;
}

static void set_bit(struct stego_bits *b, size_t i, unsigned bit)
{
    b->bytes.data[i >> 3] |= (uint8_t)(bit << (7U - (i & 7U)));
}

void stego_bits_put(struct stego_bits *b, uint32_t v, unsigned width)
{
    const size_t at = b->count;
    stego_bits_grow(b, width);
    if (b->failed) {
        return;
    }
    for (unsigned i = 0; i < width; i++) {
        set_bit(b, at + i, (v >> (width - 1U - i)) & 1U);
    }
}

void stego_bits_append(struct stego_bits *b, const uint8_t *data, size_t from, size_t count)
{
    const size_t at = b->count;
    stego_bits_grow(b, count);
    if (b->failed) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        set_bit(b, at + i, stego_bit_at(data, from + i));
    }
}

uint32_t stego_reader_get(struct stego_bit_reader *r, unsigned width)
{
    uint32_t v = 0;
    if (r->failed || width > r->count - r->at) {
        r->failed = true;
        return 0;
    }
    for (unsigned i = 0; i < width; i++) {
        v = v << 1 | stego_bit_at(r->data, r->at++);
    }
    return v;
}
