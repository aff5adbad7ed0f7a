/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element_walk - steps over encoded data elements (PS3.5 7.1), nested ones included; private to
 * dicom/.
 *
 * No recursion and no memory of its own: an explicit stack of DICOM_ENVELOPE_DEPTH sequences. In
 * Implicit VR a value that begins with an item tag is a sequence where the dictionary says so, and
 * must add up then, for DCMTK will believe the lengths in it. Else it may be one: it is walked on
 * suspicion, so that its depth is bounded, and passed over when it turns out not to be one.
 */
#ifndef DICOMSTEGO_DICOM_ELEMENT_WALK_H
#define DICOMSTEGO_DICOM_ELEMENT_WALK_H

#include "base/error.h"
#include "dicom/envelope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DICOM_UNDEFINED_LENGTH 0xffffffffU

struct dicom_element_header {
    uint16_t group, element;
    char vr[2];      /* "" (two NULs) in Implicit VR and for items */
    uint32_t length; /* or DICOM_UNDEFINED_LENGTH */
    size_t value;    /* offset of the value */
};

struct dicom_walk_frame {
    size_t end; /* one past its last byte; for undefined length the end of what surrounds it */
    bool undefined;
    bool items; /* a sequence: items follow; else elements */
    bool explicit_vr;
    bool suspicion;
};

struct dicom_walk {
    const uint8_t *data;
    size_t at;
    bool big_endian;
    unsigned depth; /* frames in use */
    struct dicom_walk_frame frames[2 * DICOM_ENVELOPE_DEPTH + 1];
};

/* Walks data[at..end). */
void dicom_walk_begin(struct dicom_walk *w, const uint8_t *data, size_t at, size_t end,
                      bool explicit_vr, bool big_endian);

/* The next top-level element in *out with all that is nested in it behind us. *more is false at the
 * end. DS_EFORMAT: does not add up, or nests too deep. */
DS_CHECKED enum ds_status dicom_walk_next(struct dicom_walk *w, struct dicom_element_header *out,
                                          bool *more, struct ds_error *err);

#endif
