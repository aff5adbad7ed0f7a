/* SPDX-License-Identifier: Apache-2.0 */
/*
 * person_name - names of persons (PS3.5 6.2.1) in forms that can be compared. UTF-8 in and out.
 *
 * What is a letter and which its small one is stands in a table here, not in the machine's locale:
 * what one machine has indexed another must find. Pure; any thread.
 */
#ifndef DICOMSTEGO_DICOM_PERSON_NAME_H
#define DICOMSTEGO_DICOM_PERSON_NAME_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends the name as it is compared without regard to case (PS3.4 C.2.2.2.1): small letters, empty
 * components at the end of each group and empty groups at the end left out. */
DS_CHECKED enum ds_status dicom_person_name_key(const char *name, struct ds_bytes *out,
                                                struct ds_error *err);

/* Appends " word ~S530 word ~S530 ": the name's words in small letters without accents, in whatever
 * component they stand, each with how it sounds (Soundex) where it is in Latin letters. Nothing for
 * a name without words. */
DS_CHECKED enum ds_status dicom_person_name_words(const char *name, struct ds_bytes *out,
                                                  struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
