/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness - another node's signature that it has seen a tree head.
 *
 * A carrier's manifest names a head of its origin's log. Who recovers it signs
 *
 *   dicomstego log witness 1
 *   log <the origin's log, hexadecimal>
 *   size <leaves, decimal>
 *   root <hexadecimal>
 *   witness <the signer's own log, hexadecimal>
 *   time <when it was seen: 2026-01-31T23:59:59.123456Z>
 *
 * each line ended by one LF; the signature is a statement (dicomstego/statement.h). From then on
 * the origin cannot exchange what the head covers without the witness being able to show it.
 */
#ifndef DICOMSTEGO_PROVENANCE_WITNESS_H
#define DICOMSTEGO_PROVENANCE_WITNESS_H

#include "provenance/head.h"

#define PROVENANCE_WITNESS_TEXT_BYTES 384U

/* seen: the origin's log, size and root; at_us: when it was seen. Appends the signature. */
DS_CHECKED enum ds_status provenance_witness_sign(const struct provenance_head *seen,
                                                  const struct stego_identity *by,
                                                  struct ds_bytes *signature, struct ds_error *err);
/* public_key: the witness's SubjectPublicKeyInfo, DER. DS_EAUTH when that key has not signed. */
DS_CHECKED enum ds_status provenance_witness_verify(const struct provenance_head *seen,
                                                    const uint8_t *public_key,
                                                    size_t public_key_len, const uint8_t *signature,
                                                    size_t len, struct ds_error *err);

#endif
