/* SPDX-License-Identifier: Apache-2.0 */
/*
 * associate_check - is this the body of an A-ASSOCIATE-RQ (PS3.8 9.3.2, annex D)?
 *
 * The guard in front of DCMTK's parser, which loses memory with every request that it refuses half
 * way: whoever can connect could let a node grow until it dies. What passes here, it takes whole.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATE_CHECK_H
#define DICOMSTEGO_DICOM_ASSOCIATE_CHECK_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_ASSOCIATE_MAX_BYTES (1024U * 1024U) /* 128 contexts with 40 syntaxes take 0.4 MB */
#define DICOM_CONTEXTS_MAX        128U            /* odd numbers of one byte */
#define DICOM_CONTEXT_SYNTAXES    50U             /* in one context; DCMTK takes no more */

/* body: what follows the six-byte head. DS_EFORMAT with what is wrong: an AE title of nothing,
 * items that do not fill what surrounds them, a UID longer than 64 characters, a context whose
 * number is even or stands twice, or that has not one abstract and 1 to DICOM_CONTEXT_SYNTAXES
 * transfer syntaxes. Items of unknown types are passed over (PS3.8 9.3.1). */
DS_CHECKED enum ds_status dicom_associate_check(const uint8_t *body, size_t len,
                                                struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
