/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence_private - the spelling of evidence files, which writing and reading share.
 */
#ifndef DICOMSTEGO_PROVENANCE_EVIDENCE_PRIVATE_H
#define DICOMSTEGO_PROVENANCE_EVIDENCE_PRIVATE_H

#include "provenance/evidence.h"

/* Characters for so many bytes, and EVP_EncodeBlock's terminator. */
#define EVIDENCE_BASE64_BYTES(len) (((len) + 2U) / 3U * 4U + 1U)

const char *evidence_word_name(enum evidence_word word);
const char *evidence_kind_name(enum evidence_kind kind);
bool evidence_is_uid(const char *text, size_t len);

#endif
