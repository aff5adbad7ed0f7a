/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bits - a growing string of bits and a reader over one. Private to the engine.
 *
 * Bit 0 is the most significant bit of byte 0. Both ends are sticky: a write that found no memory
 * and a read past the end set `failed`, and the caller asks once.
 */
#ifndef DICOMSTEGO_BITS_H
#define DICOMSTEGO_BITS_H

#include "base/bytes.h"

struct stego_bits {
    struct ds_bytes bytes;
    size_t count;
    bool failed;
};

/* A carrier never holds more bits than samples, and samples number less than 2^31. */
#define STEGO_BITS_MAX_BYTES ((size_t)1 << 30)
#define STEGO_BITS_INIT      ((struct stego_bits){DS_BYTES_INIT(STEGO_BITS_MAX_BYTES), 0, false})

void stego_bits_free(struct stego_bits *b);
/* The low `width` bits of v (width 0..32), most significant first. */
void stego_bits_put(struct stego_bits *b, uint32_t v, unsigned width);
/* v (below 2^31) with its width before it: 5 to 35 bits. */
void stego_bits_put_number(struct stego_bits *b, uint32_t v);
/* Bits from..from+count-1 of data. */
void stego_bits_append(struct stego_bits *b, const uint8_t *data, size_t from, size_t count);
/* count zero bits behind the present ones; their bytes may then be written directly. */
void stego_bits_grow(struct stego_bits *b, size_t count);

static inline unsigned stego_bit_at(const uint8_t *data, size_t i)
{
    return (data[i >> 3] >> (7U - (i & 7U))) & 1U;
}

struct stego_bit_reader {
    const uint8_t *data;
    size_t count;
    size_t at;
    bool failed;
};

static inline struct stego_bit_reader stego_bits_read(const struct stego_bits *b)
{
    return (struct stego_bit_reader){b->bytes.data, b->count, 0, false};
}

static inline size_t stego_reader_left(const struct stego_bit_reader *r)
{
    return r->failed ? 0 : r->count - r->at;
}

uint32_t stego_reader_get(struct stego_bit_reader *r, unsigned width);
uint32_t stego_reader_number(struct stego_bit_reader *r);

/* Exclusive-or of `count` bits of data (from bit 0) with a stream that seed (below 256) and number
 * (below 256) name: what is hidden then looks random whatever it is, and another seed makes another
 * attempt of it. Twice is nothing. */
void stego_whiten(uint8_t *data, size_t count, unsigned seed, unsigned number);

/* How many bits it takes to write any number from 0 to v. */
static inline unsigned stego_width_of(uint64_t v)
{
    return v == 0 ? 0U : 64U - (unsigned)__builtin_clzll(v);
}

#endif
