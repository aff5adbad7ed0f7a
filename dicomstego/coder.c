/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/coder.h"

#define CHANCE_FLOOR 64U

/* Where the interval is cut: low..cut means 1, cut+1..high means 0. While low < high, and that
 * holds after every renormalisation, both parts have at least one value. */
static uint32_t cut_of(uint32_t low, uint32_t high, uint16_t one)
{
    return low + (uint32_t)(((uint64_t)(high - low) * one) >> 16);
}

static void learn(struct stego_chance *c, unsigned bit)
{
    const unsigned shift = 2U + (c->seen > 1) + (c->seen > 5) + (c->seen > 13) + (c->seen > 60);
    uint32_t one = c->one;
    if (bit != 0) {
        one += (65536U - one) >> shift;
    } else {
        one -= one >> shift;
    }
    one = one < CHANCE_FLOOR ? CHANCE_FLOOR : one;
    one = one > 65536U - CHANCE_FLOOR ? 65536U - CHANCE_FLOOR : one;
    c->one = (uint16_t)one;
    c->seen = (uint8_t)(c->seen < 255 ? c->seen + 1 : 255);
}

void stego_encoder_init(struct stego_encoder *e)
{
    e->low = 0;
    e->high = UINT32_MAX;
    e->out = DS_BYTES_INIT((size_t)1 << 29);
    e->failed = false;
}

static void emit(struct stego_encoder *e, uint32_t byte)
{
    if (ds_bytes_put_u8(&e->out, (uint8_t)byte, NULL) != DS_OK) {
        e->failed = true;
    }
}

void stego_encode(struct stego_encoder *e, struct stego_chance *chance, unsigned bit)
{
    const uint32_t cut = cut_of(e->low, e->high, chance->one);
    if (bit != 0) {
        e->high = cut;
    } else {
        e->low = cut + 1;
    }
    learn(chance, bit);
    while (((e->low ^ e->high) >> 24) == 0) {
        emit(e, e->high >> 24);
        e->low <<= 8;
        e->high = e->high << 8 | 0xffU;
    }
}

void stego_encode_plain(struct stego_encoder *e, uint32_t v, unsigned width)
{
    for (unsigned i = width; i-- > 0;) {
        struct stego_chance even = STEGO_CHANCE_EVEN;
        stego_encode(e, &even, (v >> i) & 1U);
    }
}

void stego_encoder_finish(struct stego_encoder *e)
{
    /* The shortest string which, continued by zeros, lies in low..high. */
    for (unsigned bytes = 0; bytes <= 4; bytes++) {
        const uint64_t unit = UINT64_C(1) << (32U - 8U * bytes);
        const uint64_t value = (e->low + unit - 1) / unit * unit;
        if (value > e->high) {
            continue;
        }
        for (unsigned i = 0; i < bytes; i++) {
            emit(e, (uint32_t)(value >> (24U - 8U * i)) & 0xffU);
        }
        break;
    }
    while (e->out.len > 0 && e->out.data[e->out.len - 1] == 0) {
        e->out.len--; /* the decoder supplies it */
    }
}

static uint32_t next_byte(struct stego_decoder *d)
{
    return ds_cursor_left(&d->in) == 0 ? 0U : (uint32_t)ds_cursor_be(&d->in, 1);
}

void stego_decoder_init(struct stego_decoder *d, const uint8_t *data, size_t len)
{
    d->low = 0;
    d->high = UINT32_MAX;
    d->value = 0;
    d->in = ds_cursor_over(data, len);
    for (unsigned i = 0; i < 4; i++) {
        d->value = d->value << 8 | next_byte(d);
    }
}

unsigned stego_decode(struct stego_decoder *d, struct stego_chance *chance)
{
    const uint32_t cut = cut_of(d->low, d->high, chance->one);
    const unsigned bit = d->value <= cut;
    if (bit != 0) {
        d->high = cut;
    } else {
        d->low = cut + 1;
    }
    learn(chance, bit);
    while (((d->low ^ d->high) >> 24) == 0) {
        d->low <<= 8;
        d->high = d->high << 8 | 0xffU;
        d->value = d->value << 8 | next_byte(d);
    }
    return bit;
}

uint32_t stego_decode_plain(struct stego_decoder *d, unsigned width)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < width; i++) {
        struct stego_chance even = STEGO_CHANCE_EVEN;
        v = v << 1 | stego_decode(d, &even);
    }
    return v;
}
