/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identifier - the data set of a query, and of an answer to one, as a list of keys and values
 * (PS3.4 C.2.2.1). Text is UTF-8 on this side, whatever the data set says.
 */
#ifndef DICOMSTEGO_DICOM_IDENTIFIER_H
#define DICOMSTEGO_DICOM_IDENTIFIER_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_KEYS_MAX      256U /* of an identifier, those in sequences included */
#define DICOM_CHARSET_BYTES 128U

struct dicom_key {
    dicom_tag tag;
    dicom_tag sequence; /* it stands in an item of this one; 0: it does not */
    unsigned item;      /* of an answer: in which one, from 0 */
    char vr[3];
    const char *value; /* several with backslashes, without padding; "": universal, or none */
};

struct dicom_identifier {
    struct dicom_key *keys; /* in the order of the data set; a sequence before what is in it */
    size_t count;
    char charset[DICOM_CHARSET_BYTES]; /* Specific Character Set, "" when there is none */
    struct ds_bytes texts;             /* where the values lie */
};

/* Of a sequence its first item counts (PS3.4 C.2.2.2.6), of that what is no sequence itself.
 * DS_EFORMAT: more than DICOM_KEYS_MAX keys. dicom_identifier_free in either case. */
DS_CHECKED enum ds_status dicom_identifier_read(struct dicom_identifier *out,
                                                const struct dicom_dataset *from,
                                                struct ds_error *err);
void dicom_identifier_free(struct dicom_identifier *i);
/* A value at the top level; NULL: no such key. */
const char *dicom_identifier_value(const struct dicom_identifier *i, dicom_tag tag);

/* A data set of these keys; a sequence without items is empty. What its VR cannot hold stays
 * empty. Text goes in the character set that is asked for, where that is one without code
 * extensions and has all the characters, else in UTF-8; Specific Character Set is there when
 * anything is not ASCII. */
DS_CHECKED enum ds_status dicom_identifier_write(struct dicom_dataset **out,
                                                 const struct dicom_key *keys, size_t count,
                                                 const char *charset, struct ds_error *err);

/* Every value of VR text is UTF-8: the one in the item of a sequence. DS_ENOTFOUND: there is no
 * such item. */
DS_CHECKED enum ds_status dicom_dataset_item_utf8(const struct dicom_dataset *d, dicom_tag sequence,
                                                  unsigned item, dicom_tag tag, char *out,
                                                  size_t size, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
