/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dictionary - what DCMTK's data dictionary knows of a tag; private to dicom/. Any thread.
 */
#ifndef DICOMSTEGO_DICOM_DICTIONARY_H
#define DICOMSTEGO_DICOM_DICTIONARY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Is it a sequence (SQ)? Private tags are not known without their creator: false. */
bool dicom_dictionary_is_sequence(uint16_t group, uint16_t element);

#ifdef __cplusplus
}
#endif
#endif
