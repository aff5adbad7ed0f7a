/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/dictionary.h"

#include "dcmtk/config/osconfig.h"

#include "dcmtk/dcmdata/dctag.h"

extern "C" bool dicom_dictionary_is_sequence(uint16_t group, uint16_t element)
{
    return DcmTag(group, element).getEVR() == EVR_SQ;
}
