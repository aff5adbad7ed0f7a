/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graphics - what a presentation state draws on an image (PS3.3 C.10.5).
 */
#ifndef DICOMSTEGO_DICOM_GRAPHICS_H
#define DICOMSTEGO_DICOM_GRAPHICS_H

#include "dicom/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What encloses one graphic object, in pixels: 0, 0 is the upper left corner of the upper left
 * pixel, 1, 1 its lower right one. */
struct dicom_graphic {
    double left, top, right, bottom;
    uint32_t frame; /* from 0: the first one that the annotation refers to */
};

/* Has the data set graphic annotations? */
bool dicom_graphics_are_in(const struct dicom_dataset *state);

/* The graphic objects of all annotations of the image, in the order of the data set; those that
 * refer to no image are for all. *count: how many there are, of which at most room are in out.
 * DS_EUNSUPPORTED: an object that is given in parts of what is displayed. DS_EFORMAT: numbers that
 * are none, or too few of them. */
DS_CHECKED enum ds_status dicom_graphics_of(const struct dicom_dataset *state,
                                            const char *sop_instance_uid, struct dicom_graphic *out,
                                            size_t room, size_t *count, struct ds_error *err);

#ifdef __cplusplus
}
#endif
#endif
