/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest - how one instance's bytes are laid out: digest, header, sections, signature.
 *
 *   digest (16) | header (117 + origin) | key block | certificate | share | record | signature
 *
 * Version 2 has a tree head (40) at the end of the header, version 1 has none; what has none to
 * name is written as version 1.
 *
 * The digest is over all that follows it, so nothing is interpreted before it holds. The signature
 * covers header and sections. All numbers are big endian.
 */
#ifndef DICOMSTEGO_MANIFEST_H
#define DICOMSTEGO_MANIFEST_H

#include "dicomstego/capsule.h"

#define STEGO_MANIFEST_PLAIN 1U
#define STEGO_MANIFEST_HEAD  2U /* with a tree head */
#define STEGO_DIGEST_BYTES   16U
#define STEGO_HEADER_BYTES   117U   /* without the origin's characters and the tree head */
#define STEGO_SECTION_MAX    65535U /* key block and certificate: 16-bit lengths */

struct stego_span {
    const uint8_t *data; /* NULL when len is 0 */
    size_t len;
};

/* The sections, borrowed. */
struct stego_sections {
    struct stego_span key_block, certificate, share, record;
};

/* Appends the header for sections of these lengths. manifest: its *_bytes fields are not looked at.
 */
DS_CHECKED enum ds_status stego_header_put(struct ds_bytes *out,
                                           const struct stego_manifest *manifest, bool is_signed,
                                           const struct stego_sections *sections,
                                           struct ds_error *err);

/* An instance's bytes taken apart; everything borrowed from them. */
struct stego_container {
    struct stego_manifest manifest;
    bool is_signed;
    struct stego_sections sections;
    struct stego_span body;          /* header and sections: what is signed */
    struct stego_span before_record; /* the body without the record: what the record's seal binds */
    struct stego_span signature;
};

/* The digest over len bytes. */
DS_CHECKED enum ds_status stego_container_digest(const uint8_t *bytes, size_t len,
                                                 uint8_t out[STEGO_DIGEST_BYTES],
                                                 struct ds_error *err);

/* Checks the digest, then takes apart. DS_EAUTH when anything is not as it must be; DS_EUNSUPPORTED
 * for a later version whose digest holds. */
DS_CHECKED enum ds_status stego_container_parse(struct stego_container *out, const uint8_t *bytes,
                                                size_t len, struct ds_error *err);

#endif
