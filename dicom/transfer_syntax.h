/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer_syntax - every transfer syntax of the standard (PS3.6 table A-1, PS3.5 10, annex A), and
 * how it encodes a data set: one table that negotiation, reading, writing and the rules share.
 *
 * Pure look-ups; any thread.
 */
#ifndef DICOMSTEGO_DICOM_TRANSFER_SYNTAX_H
#define DICOMSTEGO_DICOM_TRANSFER_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_IMPLICIT_LE "1.2.840.10008.1.2"
#define DICOM_EXPLICIT_LE "1.2.840.10008.1.2.1"
#define DICOM_EXPLICIT_BE "1.2.840.10008.1.2.2"
#define DICOM_DEFLATED_LE "1.2.840.10008.1.2.1.99"

enum dicom_pixel_coding {
    DICOM_NATIVE,       /* Pixel Data is the cells themselves */
    DICOM_ENCAPSULATED, /* fragments of compressed frames (PS3.5 A.4) */
    DICOM_VIDEO,        /* fragments of one video stream */
    DICOM_REFERENCED,   /* the pixels are elsewhere (JPIP, SMPTE ST 2110) */
};

struct dicom_transfer_syntax {
    const char *uid;
    const char *name;    /* of PS3.6, shortened */
    const char *keyword; /* for configuration and messages: "jpeg-ls-lossless" */
    bool explicit_vr, big_endian;
    bool deflated; /* the whole data set (PS3.5 A.5) */
    enum dicom_pixel_coding coding;
    bool may_lose; /* the encoder may throw information away; JPEG 2000 without "Only" counts */
};

/* In the order in which a listener chooses among what a peer proposes: first what every tool reads
 * without a codec, then lossless compression, then what may lose. */
const struct dicom_transfer_syntax *dicom_transfer_syntaxes(size_t *count);

/* NULL when it is none of the standard's. */
const struct dicom_transfer_syntax *dicom_transfer_syntax_of(const char *uid);
/* By keyword or UID; NULL when neither is known. */
const struct dicom_transfer_syntax *dicom_transfer_syntax_named(const char *text);

/* False for a UID that is not in the table. */
bool dicom_transfer_syntax_is_native(const char *uid);
bool dicom_transfer_syntax_may_lose(const char *uid);

#ifdef __cplusplus
}
#endif
#endif
