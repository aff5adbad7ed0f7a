/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element - one data element in Explicit VR Little Endian, taken apart (PS3.5 7.1.2).
 */
#ifndef DICOMSTEGO_CARRIER_ELEMENT_H
#define DICOMSTEGO_CARRIER_ELEMENT_H

#include "base/bytes.h"

#define CARRIER_LENGTH_UNDEFINED 0xffffffffU

struct carrier_element {
    uint16_t group, number;
    uint8_t vr[2];
    bool long_form;       /* 32-bit length behind two reserved bytes */
    uint32_t len;         /* may be CARRIER_LENGTH_UNDEFINED */
    const uint8_t *value; /* borrowed; NULL when len is undefined */
};

/* Reads one element with its value; for an undefined length, only its header. Items and delimiters
 * (group FFFE) have no VR. False when the bytes do not hold it. */
DS_CHECKED bool carrier_element_read(struct ds_cursor *c, struct carrier_element *out);
DS_CHECKED bool carrier_element_is_vr(const struct carrier_element *e, const char *vr);
/* Appends the header for a value of len bytes. DS_EFORMAT when the VR has no room for it. */
DS_CHECKED enum ds_status carrier_element_header(struct ds_bytes *out,
                                                 const struct carrier_element *e, uint32_t len,
                                                 struct ds_error *err);

#endif
