/* SPDX-License-Identifier: Apache-2.0 */
/*
 * documents - the documents of a study as one run of bytes, compressed when that helps.
 *
 * For each document, in order: three header lines, an empty line, the bytes. The whole is an .xz
 * stream without integrity check (the seal around it has one) when that is shorter.
 */
#ifndef DICOMSTEGO_DOCUMENTS_H
#define DICOMSTEGO_DOCUMENTS_H

#include "dicomstego/capsule.h"

#define STEGO_DOCUMENTS_MAX     4096U
#define STEGO_ARCHIVE_MAX_BYTES (2U * STEGO_REPORT_MAX_BYTES)

/* Appends. DS_EINVAL for a name or media type that may not be, or too much data. */
DS_CHECKED enum ds_status stego_documents_pack(const struct stego_document *documents, size_t count,
                                               struct ds_bytes *out, struct ds_error *err);

/* DS_EFORMAT when it is not what stego_documents_pack makes. Names are made safe as file names. */
DS_CHECKED enum ds_status stego_documents_unpack(const uint8_t *packed, size_t len,
                                                 struct stego_documents *out, struct ds_error *err);

#endif
