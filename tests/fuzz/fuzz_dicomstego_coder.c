/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dicomstego_coder - the adaptive coder on arbitrary strings, and on bits under arbitrary
 * contexts: what was encoded is decoded.
 */
#include "dicomstego/coder.h"

#include <stdlib.h>

#define CONTEXTS 8U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void contexts_begin(struct stego_chance contexts[CONTEXTS])
{
    for (size_t i = 0; i < CONTEXTS; i++) {
        contexts[i] = STEGO_CHANCE_EVEN;
    }
}

static void decode_anything(const uint8_t *data, size_t size)
{
    struct stego_chance contexts[CONTEXTS];
    struct stego_decoder d;
    contexts_begin(contexts);
    stego_decoder_init(&d, data, size);
    for (size_t i = 0; i < 16 * size + 64; i++) {
        must(stego_decode(&d, &contexts[i % CONTEXTS]) <= 1);
        const unsigned width = (unsigned)(i % 17);
        must(width == 0 || stego_decode_plain(&d, width) >> (width - 1) <= 1);
    }
}

/* Of each byte: bit 0 is coded, bits 1..3 are its context, bit 4 says that bits 5..7 go plain. */
static void check_way_back(const uint8_t *data, size_t size)
{
    struct stego_chance contexts[CONTEXTS];
    struct stego_encoder e;
    struct stego_decoder d;
    contexts_begin(contexts);
    stego_encoder_init(&e);
    for (size_t i = 0; i < size; i++) {
        stego_encode(&e, &contexts[data[i] >> 1 & 7U], data[i] & 1U);
        if ((data[i] & 16U) != 0) {
            stego_encode_plain(&e, data[i] >> 5, 3);
        }
    }
    stego_encoder_finish(&e);
    must(!e.failed);
    contexts_begin(contexts);
    stego_decoder_init(&d, e.out.data, e.out.len);
    for (size_t i = 0; i < size; i++) {
        must(stego_decode(&d, &contexts[data[i] >> 1 & 7U]) == (data[i] & 1U));
        must((data[i] & 16U) == 0 || stego_decode_plain(&d, 3) == data[i] >> 5);
    }
    ds_bytes_free(&e.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_anything(data, size);
    check_way_back(data, size);
    return 0;
}
