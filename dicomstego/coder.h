/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coder - adaptive binary arithmetic coding of the engine's side information. Private.
 *
 * Integers only, 32-bit interval, 16-bit probabilities. The encoder ends its string as early as the
 * decoder, which reads zeros beyond the end, allows: nothing coded is nothing written.
 */
#ifndef DICOMSTEGO_CODER_H
#define DICOMSTEGO_CODER_H

#include "base/bytes.h"

/* How likely the next bit is 1: quick to learn at first, steady later. */
struct stego_chance {
    uint16_t one; /* in 1/65536 */
    uint8_t seen; /* bits coded, up to 255 */
};

#define STEGO_CHANCE_EVEN ((struct stego_chance){32768, 0})

struct stego_encoder {
    uint32_t low, high;
    struct ds_bytes out; /* freed by the owner */
    bool failed;         /* out of memory */
};

void stego_encoder_init(struct stego_encoder *e);
void stego_encode(struct stego_encoder *e, struct stego_chance *chance, unsigned bit);
/* width bits of v with even chances, most significant first. */
void stego_encode_plain(struct stego_encoder *e, uint32_t v, unsigned width);
void stego_encoder_finish(struct stego_encoder *e);

struct stego_decoder {
    uint32_t low, high, value;
    struct ds_cursor in;
};

void stego_decoder_init(struct stego_decoder *d, const uint8_t *data, size_t len);
unsigned stego_decode(struct stego_decoder *d, struct stego_chance *chance);
uint32_t stego_decode_plain(struct stego_decoder *d, unsigned width);

#endif
