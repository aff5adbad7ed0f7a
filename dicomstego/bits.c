/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/bits.h"

#define NUMBER_WIDTH_BITS 5U

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

/* Bits from..from+7. */
static uint8_t eight_at(const uint8_t *data, size_t from)
{
    const uint8_t *byte = data + (from >> 3);
    const unsigned skip = (unsigned)(from & 7U);
    return (uint8_t)(skip == 0 ? byte[0] : byte[0] << skip | byte[1] >> (8U - skip));
}

void stego_bits_append(struct stego_bits *b, const uint8_t *data, size_t from, size_t count)
{
    const size_t at = b->count;
    stego_bits_grow(b, count);
    if (b->failed) {
        return;
    }
    size_t i = 0;
    for (; i < count && (at + i) % 8 != 0; i++) {
        set_bit(b, at + i, stego_bit_at(data, from + i));
    }
    for (; count - i >= 8; i += 8) {
        b->bytes.data[(at + i) >> 3] = eight_at(data, from + i);
    }
    for (; i < count; i++) {
        set_bit(b, at + i, stego_bit_at(data, from + i));
    }
}

void stego_bits_put_number(struct stego_bits *b, uint32_t v)
{
    const unsigned width = stego_width_of(v);
    stego_bits_put(b, width, NUMBER_WIDTH_BITS);
    stego_bits_put(b, v, width == 0 ? 0 : width - 1U); /* the first bit is 1 */
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

uint32_t stego_reader_number(struct stego_bit_reader *r)
{
    const unsigned width = stego_reader_get(r, NUMBER_WIDTH_BITS);
    return width == 0 ? 0 : UINT32_C(1) << (width - 1U) | stego_reader_get(r, width - 1U);
}

/* Counter i of the stream (the output function of splitmix64: Steele et al., OOPSLA 2014). */
static uint64_t noise_at(uint64_t key, uint64_t i)
{
    uint64_t z = key + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

void stego_whiten(uint8_t *data, size_t count, unsigned seed, unsigned number)
{
    const uint64_t key = (uint64_t)seed << 56 | (uint64_t)number << 48;
    const size_t bytes = count / 8;
    uint64_t noise = 0;
    for (size_t i = 0; i < bytes; i++) {
        noise = i % 8 == 0 ? noise_at(key, i / 8) : noise >> 8;
        data[i] ^= (uint8_t)noise;
    }
    if (count % 8 != 0) {
        noise = bytes % 8 == 0 ? noise_at(key, bytes / 8) : noise >> 8;
        data[bytes] ^= (uint8_t)(noise & (0xFFU << (8 - count % 8)));
    }
}
