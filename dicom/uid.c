/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/dataset.h"

#include <string.h>

/* Divides the big endian number by ten in place and returns the remainder. */
static unsigned next_digit(uint8_t number[16])
{
    unsigned rest = 0;
    for (size_t i = 0; i < 16; i++) {
        const unsigned v = rest << 8 | number[i];
        number[i] = (uint8_t)(v / 10);
        rest = v % 10;
    }
    return rest;
}

static bool is_zero(const uint8_t number[16])
{
    static const uint8_t zero[16];
    return memcmp(number, zero, 16) == 0;
}

void dicom_uid_from_digest(const uint8_t digest[DS_SHA256_BYTES], char out[DICOM_UID_BYTES])
{
    uint8_t number[16];
    memcpy(number, digest, sizeof number);
    number[6] = (uint8_t)((number[6] & 0x0f) | 0x80); /* version 8 */
    number[8] = (uint8_t)((number[8] & 0x3f) | 0x80); /* variant 10 */
    char digits[40];                                  /* 2^128 has 39 decimal digits */
    size_t count = 0;
    while (!is_zero(number)) {
        digits[count++] = (char)('0' + next_digit(number));
    }
    memcpy(out, "2.25.", 5);
    for (size_t i = 0; i < count; i++) {
        out[5 + i] = digits[count - 1 - i];
    }
    out[5 + count] = '\0';
}
