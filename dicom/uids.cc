/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/guard.h"

#include "dicom/association.h"

#include "dcmtk/dcmdata/dcuid.h"

extern "C" const char *const *dicom_storage_classes(size_t *count)
{
    *count = static_cast<size_t>(numberOfDcmAllStorageSOPClassUIDs);
    return dcmAllStorageSOPClassUIDs;
}
