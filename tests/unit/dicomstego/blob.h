/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob - gives rubbish in the place of a chain's blob the checksum that lets it in.
 */
#ifndef DICOMSTEGO_TESTS_BLOB_H
#define DICOMSTEGO_TESTS_BLOB_H

#include "dicomstego/chain.h"

#include <lzma.h>

static inline void blob_seal(uint8_t blob[STEGO_CHAIN_BLOB_BITS / 8])
{
    uint8_t fields[24];
    for (unsigned i = 0; i < 24; i++) {
        fields[i] = i < 23 ? blob[i] : (uint8_t)(blob[i] & 0x80U);
    }
    const uint32_t sum = lzma_crc32(fields, sizeof fields, 0) & 0x7FFFFFU;
    blob[23] = (uint8_t)(fields[23] | sum >> 16);
    blob[24] = (uint8_t)(sum >> 8);
    blob[25] = (uint8_t)sum;
}

#endif
