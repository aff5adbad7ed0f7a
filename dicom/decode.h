/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode - encapsulated Pixel Data into native cells, frame by frame; private to dicom/.
 *
 * fragments.h says which bytes are a frame, codec.h who decodes them.
 */
#ifndef DICOMSTEGO_DICOM_DECODE_H
#define DICOMSTEGO_DICOM_DECODE_H

#include "dicom/object.h"

#include "dicom/pixels.h"

namespace dicom
{

/* Fills p->cells; the attributes in *p are read and checked. Memory is only reserved at first: a
 * frame count that lies is found out by the fragment that is not there. */
ds_status decode_pixels(dicom_pixels *p, const dicom_dataset *d, DcmElement &element,
                        ds_error *err);

/* Fills d->decoded and d->decoded_as from encapsulated Pixel Data, the first time. */
ds_status decode_once(const dicom_dataset *d, ds_error *err);

/* The same data set with Pixel Data native; *out stays empty when it already is. */
ds_status native_copy(std::unique_ptr<dicom_dataset> *out, const dicom_dataset *d, ds_error *err);

} // namespace dicom

#endif
