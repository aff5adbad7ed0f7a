/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/chain_params.h"

#include <lzma.h>
#include <string.h>

static const uint8_t reaches[16] = {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64, 128, 255};

static unsigned reach_index(uint8_t reach)
{
    unsigned i = 0;
    while (i < 15U && reaches[i] != reach) {
        i++;
    }
    return i;
}

/* Not every parameter matters to every plane, so the message's checksum would miss some. */
static uint32_t sum_of(const uint8_t *blob)
{
    uint8_t fields[STEGO_CHAIN_BLOB_SUM / 8 + 1];
    memcpy(fields, blob, sizeof fields);
    fields[sizeof fields - 1] &= (uint8_t)(0xFF00U >> STEGO_CHAIN_BLOB_SUM % 8);
    return lzma_crc32(fields, sizeof fields, 0) &
           ((1U << (STEGO_CHAIN_BLOB_BITS - STEGO_CHAIN_BLOB_SUM)) - 1U);
}

void stego_params_write(const struct stego_params *p, struct stego_bits *blob)
{
    stego_bits_put(blob, p->predictor, 2);
    stego_bits_put(blob, p->model.shape, 2);
    stego_bits_put(blob, p->model.lambda, 10);
    stego_bits_put(blob, reach_index(p->model.reach), 4);
    stego_bits_put(blob, (uint32_t)(p->scale.offset + 256), 9);
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        stego_bits_put(blob, (uint32_t)(p->scale.slope[i] + 16), 6);
    }
    stego_bits_put(blob, p->scale.first, 7);
    for (unsigned i = 0; i < STEGO_KNOTS; i++) {
        stego_bits_put(blob, (uint32_t)(p->scale.correction[i] + 6), 4);
    }
    stego_bits_put(blob, p->stop, 31);
    stego_bits_put(blob, (uint32_t)(p->state >> 32), 32);
    stego_bits_put(blob, (uint32_t)p->state, 32);
    if (!blob->failed) {
        stego_bits_put(blob, sum_of(blob->bytes.data),
                       STEGO_CHAIN_BLOB_BITS - STEGO_CHAIN_BLOB_SUM);
    }
}

bool stego_params_read(struct stego_params *p, const uint8_t *blob, size_t samples)
{
    struct stego_bit_reader r = {blob, STEGO_CHAIN_BLOB_BITS, 0, false};
    p->predictor = (uint8_t)stego_reader_get(&r, 2);
    p->model.shape = (uint8_t)stego_reader_get(&r, 2);
    p->model.lambda = (uint16_t)stego_reader_get(&r, 10);
    p->model.reach = reaches[stego_reader_get(&r, 4)];
    p->scale.offset = (int16_t)((int32_t)stego_reader_get(&r, 9) - 256);
    for (unsigned i = 0; i < STEGO_FEATURES; i++) {
        p->scale.slope[i] = (int8_t)((int32_t)stego_reader_get(&r, 6) - 16);
    }
    p->scale.first = (uint8_t)stego_reader_get(&r, 7);
    for (unsigned i = 0; i < STEGO_KNOTS; i++) {
        p->scale.correction[i] = (int8_t)((int32_t)stego_reader_get(&r, 4) - 6);
    }
    p->stop = stego_reader_get(&r, 31);
    p->state = (uint64_t)stego_reader_get(&r, 32) << 32U;
    p->state |= stego_reader_get(&r, 32);
    return stego_reader_get(&r, STEGO_CHAIN_BLOB_BITS - STEGO_CHAIN_BLOB_SUM) == sum_of(blob) &&
           p->stop <= samples && p->model.shape < STEGO_SHAPES && p->state >> 32U != 0;
}
