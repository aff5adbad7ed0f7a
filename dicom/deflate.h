/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deflate - bare deflated streams (RFC 1951), as PS3.5 A.5 and A.4.13 want them; private to dicom/.
 */
#ifndef DICOMSTEGO_DICOM_DEFLATE_H
#define DICOMSTEGO_DICOM_DEFLATE_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends what the stream holds. DS_EFORMAT: damaged, cut, or more than out->max. Bytes behind the
 * stream's end are not looked at: a padding byte may stand there. */
DS_CHECKED enum ds_status dicom_inflate(const uint8_t *data, size_t len, struct ds_bytes *out,
                                        struct ds_error *err);
/* Appends the stream, not padded. The same bytes give the same stream. */
DS_CHECKED enum ds_status dicom_deflate(const uint8_t *data, size_t len, struct ds_bytes *out,
                                        struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
