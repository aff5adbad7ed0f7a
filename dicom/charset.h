/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charset - text in the character sets of DICOM (PS3.3 C.12.1.1.2) as UTF-8; private to dicom/.
 *
 * Written here because DCMTK as Debian builds it cannot do Japanese with code extensions. The C
 * library's iconv knows the sets, the switching between them (ISO 2022) is done here.
 */
#ifndef DICOMSTEGO_DICOM_CHARSET_H
#define DICOMSTEGO_DICOM_CHARSET_H

#include "base/bytes.h"

#include <stdbool.h>

/* Appends text as UTF-8. sets: the value of Specific Character Set, "" for the default. name: a
 * person name, whose delimiters ^ and = end a code extension as \ does. What cannot be converted
 * becomes '?': a listing with a hole is better than none. DS_ENOMEM, or DS_EFORMAT beyond out->max.
 */
DS_CHECKED enum ds_status dicom_charset_to_utf8(const char *text, size_t len, const char *sets,
                                                bool name, struct ds_bytes *out,
                                                struct ds_error *err);

/* The other way, into one of the sets that need no code extensions: ASCII (""), a single-byte set
 * (ISO_IR n), UTF-8 or GB18030/GBK. *fits false: the set is another, or lacks a character; nothing
 * is appended then. */
DS_CHECKED enum ds_status dicom_charset_from_utf8(const char *text, size_t len, const char *set,
                                                  struct ds_bytes *out, bool *fits,
                                                  struct ds_error *err);

#endif
