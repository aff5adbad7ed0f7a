/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/shuffle.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS      8U
#define BLOCK_BYTES 16U

struct stego_shuffle {
    EVP_CIPHER_CTX *aes;
    uint64_t n;
    unsigned low_bits, high_bits; /* of a number: its two halves */
    uint8_t in[STEGO_SHUFFLE_BATCH * BLOCK_BYTES];
    uint8_t out[STEGO_SHUFFLE_BATCH * BLOCK_BYTES];
};

enum ds_status stego_shuffle_new(struct stego_shuffle **out, const uint8_t key[STEGO_KEY_BYTES],
                                 uint64_t n, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(stego_shuffle_auto) struct stego_shuffle *s = calloc(1, sizeof(*s));
    if (n == 0 || n > UINT64_C(1) << 62) {
        return ds_fail(err, DS_EINVAL, "an order of %llu places", (unsigned long long)n);
    }
    if (s == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for an order");
    }
    unsigned bits = 2; /* both halves have one */
    while (n > UINT64_C(1) << bits) {
        bits++;
    }
    s->n = n;
    s->low_bits = bits / 2;
    s->high_bits = bits - s->low_bits;
    s->aes = EVP_CIPHER_CTX_new();
    if (s->aes == NULL || EVP_EncryptInit_ex(s->aes, EVP_aes_256_ecb(), NULL, key, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(s->aes, 0) != 1) {
        return stego_crypto_fail(err, DS_ENOMEM, "AES-256");
    }
    *out = s;
    s = NULL;
    return DS_OK;
}

void stego_shuffle_free(struct stego_shuffle *s)
{
    if (s != NULL) {
        EVP_CIPHER_CTX_free(s->aes);
        free(s);
    }
}

void stego_shuffle_auto(struct stego_shuffle **s)
{
    stego_shuffle_free(*s);
}

static uint64_t mask_of(unsigned bits)
{
    return (UINT64_C(1) << bits) - 1;
}

/* One block for each number: the round, and the half that stays. */
static void fill(struct stego_shuffle *s, unsigned round, const uint64_t *numbers, size_t count)
{
    const bool is_even = round % 2 == 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t *block = s->in + i * BLOCK_BYTES;
        uint64_t half = is_even ? numbers[i] >> s->low_bits : numbers[i] & mask_of(s->low_bits);
        memset(block, 0, BLOCK_BYTES);
        block[0] = (uint8_t)round;
        for (unsigned k = 0; k < 8; k++, half >>= 8) {
            block[BLOCK_BYTES - 1 - k] = (uint8_t)half;
        }
    }
}

/* The other half takes the round function's bits: a round turned back by itself. */
static void mix(const struct stego_shuffle *s, unsigned round, uint64_t *numbers, size_t count)
{
    const bool is_even = round % 2 == 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *block = s->out + i * BLOCK_BYTES;
        uint64_t f = 0;
        for (unsigned k = 0; k < 8; k++) {
            f = f << 8 | block[k];
        }
        numbers[i] ^=
            is_even ? f & mask_of(s->low_bits) : (f & mask_of(s->high_bits)) << s->low_bits;
    }
}

static enum ds_status permute(struct stego_shuffle *s, uint64_t *numbers, size_t count,
                              struct ds_error *err)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        int n = 0;
        fill(s, round, numbers, count);
        if (EVP_EncryptUpdate(s->aes, s->out, &n, s->in, (int)(count * BLOCK_BYTES)) != 1) {
            return stego_crypto_fail(err, DS_ENOMEM, "AES-256");
        }
        mix(s, round, numbers, count);
    }
    return DS_OK;
}

/* Ends: a permutation that is walked from a number below n comes back to that number at last, and
 * more than every fourth number is below n. */
enum ds_status stego_shuffle_at(struct stego_shuffle *s, uint64_t first, size_t count,
                                uint64_t *out, struct ds_error *err)
{
    uint64_t walking[STEGO_SHUFFLE_BATCH];
    uint16_t place[STEGO_SHUFFLE_BATCH];
    if (count > STEGO_SHUFFLE_BATCH || first > s->n || count > s->n - first) {
        return ds_fail(err, DS_EINVAL, "an order has no such places");
    }
    for (size_t i = 0; i < count; i++) {
        walking[i] = first + i;
        place[i] = (uint16_t)i;
    }
    while (count > 0) {
        const enum ds_status status = permute(s, walking, count, err);
        if (status != DS_OK) {
            return status;
        }
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            if (walking[i] < s->n) {
                out[place[i]] = walking[i];
            } else {
                walking[left] = walking[i];
                place[left++] = place[i];
            }
        }
        count = left;
    }
    return DS_OK;
}
