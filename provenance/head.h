/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head - a signed tree head: what the log was at a moment, as its node says.
 *
 * What is signed is text, so that `openssl dgst -verify` can check it:
 *
 *   dicomstego log head 1
 *   log <SHA-256 of the signer's SubjectPublicKeyInfo, hexadecimal>
 *   size <leaves, decimal>
 *   root <hexadecimal>
 *   time <2026-01-31T23:59:59.123456Z>
 *
 * each line ended by one LF. The signature is a statement (dicomstego/statement.h). A node signs
 * two heads of one size only with the same root, and of two sizes only when the smaller tree begins
 * the larger one: whoever has heads that break this has proof against it.
 */
#ifndef DICOMSTEGO_PROVENANCE_HEAD_H
#define DICOMSTEGO_PROVENANCE_HEAD_H

#include "base/bytes.h"
#include "base/sha256.h"
#include "dicomstego/key.h"

#define PROVENANCE_HEAD_TEXT_BYTES 256U

struct provenance_head {
    uint8_t log[DS_SHA256_BYTES];
    uint64_t size;
    uint8_t root[DS_SHA256_BYTES];
    int64_t at_us; /* UTC */
};

/* The text above with a terminator; returns its length. */
size_t provenance_head_text(const struct provenance_head *h, char out[PROVENANCE_HEAD_TEXT_BYTES]);
/* Exactly that text, not one byte more: DS_EFORMAT otherwise. */
DS_CHECKED enum ds_status provenance_head_parse(const char *text, size_t len,
                                                struct provenance_head *out, struct ds_error *err);

/* Appends the signature. h->log must be the identity's (provenance_log_id). */
DS_CHECKED enum ds_status provenance_head_sign(const struct provenance_head *h,
                                               const struct stego_identity *by,
                                               struct ds_bytes *signature, struct ds_error *err);
/* public_key: SubjectPublicKeyInfo, DER. DS_EAUTH when it is not the log's key, or has not signed.
 * Whether the key is to be believed is the caller's question. */
DS_CHECKED enum ds_status provenance_head_verify(const struct provenance_head *h,
                                                 const uint8_t *public_key, size_t public_key_len,
                                                 const uint8_t *signature, size_t len,
                                                 struct ds_error *err);

/* SHA-256 of a SubjectPublicKeyInfo. */
DS_CHECKED enum ds_status provenance_log_id(const uint8_t *public_key, size_t len,
                                            uint8_t out[DS_SHA256_BYTES], struct ds_error *err);

#endif
