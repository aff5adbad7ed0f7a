/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode - encapsulated Pixel Data into native cells, frame by frame; private to dicom/.
 *
 * RLE, encapsulated uncompressed and deflated frames are decoded here, JPEG and JPEG-LS by DCMTK's
 * codecs.
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

/* The syntaxes whose fragments are native frames, packed at most. */
bool syntax_only_packs(const std::string &uid);

} // namespace dicom

#endif
