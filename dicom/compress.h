/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress - native Pixel Data into encapsulated frames, lossless; private to dicom/.
 */
#ifndef DICOMSTEGO_DICOM_COMPRESS_H
#define DICOMSTEGO_DICOM_COMPRESS_H

#include "dicom/object.h"

namespace dicom
{

/* A copy of d, whose Pixel Data is native, in a transfer syntax with an encoder: a fragment for
 * each frame and a filled Basic Offset Table (PS3.5 A.4); all other elements as they are, so that
 * pixel and dataset hash stay. DS_EUNSUPPORTED and why: no encoder, or an image that this syntax
 * cannot hold without changing it. */
ds_status compressed_copy(std::unique_ptr<dicom_dataset> *out, const dicom_dataset *d,
                          const char *syntax, ds_error *err);

} // namespace dicom

#endif
