/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsb_header - what stands in front of bytes hidden in least significant bits. Private.
 *
 * A mark (the engine's, with the number of a version that it will never have), then all that the
 * reader has to know, then the first bytes of the SHA-256 of all that. Big endian. One bit a
 * sample, in bits 0: the head, which tells of padding, in consecutive samples, the rest in the next
 * ones that may hold a bit.
 */
#ifndef DICOMSTEGO_LSB_HEADER_H
#define DICOMSTEGO_LSB_HEADER_H

#include "dicomstego/lsb.h"
#include "dicomstego/seal.h"

#define STEGO_LSB_HEADER_MAX_BYTES 192U
#define STEGO_LSB_CHECK_BYTES      4U

struct stego_lsb_header {
    struct stego_lsb_facts facts;
    uint32_t body_bytes;  /* that were hidden, as coded; with a delimiter 0: not known */
    uint32_t saved_bytes; /* at the end of what was coded: replaced bits */
    uint64_t saved_slots; /* whose bits these are */
    bool has_padding;
    int32_t padding_min, padding_max;
    uint8_t key_id[STEGO_PASSWORD_ID_BYTES];  /* where is_keyed or complements */
    uint8_t key_check[STEGO_LSB_CHECK_BYTES]; /* tells a wrong key from an altered image */
    char delimiter[STEGO_DELIMITER_MAX_BYTES + 1];
};

/* Its bytes that stand in consecutive samples. */
size_t stego_lsb_header_head_bytes(const struct stego_lsb_header *h);
/* Does it name a key? */
bool stego_lsb_header_has_key(const struct stego_lsb_header *h);
/* Appends mark, header and check; at most STEGO_LSB_HEADER_MAX_BYTES. The length depends on facts,
 * padding and delimiter alone. */
DS_CHECKED enum ds_status stego_lsb_header_put(const struct stego_lsb_header *h,
                                               struct ds_bytes *out, struct ds_error *err);
/* Finds it in an image whose samples can be counted; first and count: the samples among which it
 * is.
 * DS_ENOTHING: no mark. DS_EAUTH: a mark, but altered. DS_EUNSUPPORTED: of a later version. */
DS_CHECKED enum ds_status stego_lsb_header_find(const struct stego_image *image,
                                                struct stego_lsb_header *h, size_t *first,
                                                size_t *count, struct ds_error *err);

#endif
