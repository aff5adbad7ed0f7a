/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pixel_geometry - how many bytes the pixel attributes ask for; private to dicom/.
 *
 * All numbers come from outside: they are multiplied as if they lied.
 */
#ifndef DICOMSTEGO_DICOM_PIXEL_GEOMETRY_H
#define DICOMSTEGO_DICOM_PIXEL_GEOMETRY_H

#include "dicom/pixels.h"

/* Do the attributes make sense together (PS3.3 C.7.6.3.1, PS3.5 8.1.1)? */
DS_CHECKED enum ds_status dicom_geometry_check(const struct dicom_pixels *p, struct ds_error *err);

/* Bytes of all native frames without a trailing pad byte. */
DS_CHECKED enum ds_status dicom_geometry_native_bytes(const struct dicom_pixels *p, size_t *out,
                                                      struct ds_error *err);

/* Bytes of one decoded frame and of all of them. */
DS_CHECKED enum ds_status dicom_geometry_decoded_bytes(const struct dicom_pixels *p, size_t *frame,
                                                       size_t *total, struct ds_error *err);

#endif
