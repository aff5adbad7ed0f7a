/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/query_key.h"

#include <string.h>

#define T DICOM_TAG

static const struct dicom_query_key keys[] = {
    {T(0x0008, 0x0008), 0, "CS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, true, "Image Type"},
    {T(0x0008, 0x0012), 0, "DA", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Instance Creation Date"},
    {T(0x0008, 0x0013), 0, "TM", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Instance Creation Time"},
    {T(0x0008, 0x0016), 0, "UI", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "SOP Class UID"},
    {T(0x0008, 0x0018), 0, "UI", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "SOP Instance UID"},
    {T(0x0008, 0x0020), 0, "DA", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false, "Study Date"},
    {T(0x0008, 0x0021), 0, "DA", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Series Date"},
    {T(0x0008, 0x0022), 0, "DA", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Acquisition Date"},
    {T(0x0008, 0x0023), 0, "DA", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Content Date"},
    {T(0x0008, 0x002a), 0, "DT", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Acquisition DateTime"},
    {T(0x0008, 0x0030), 0, "TM", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false, "Study Time"},
    {T(0x0008, 0x0031), 0, "TM", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Series Time"},
    {T(0x0008, 0x0032), 0, "TM", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Acquisition Time"},
    {T(0x0008, 0x0033), 0, "TM", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Content Time"},
    {T(0x0008, 0x0050), 0, "SH", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Accession Number"},
    {T(0x0008, 0x0060), 0, "CS", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Modality"},
    {T(0x0008, 0x0061), 0, "CS", DICOM_LEVEL_STUDY, DICOM_KEY_SUM, true, "Modalities in Study"},
    {T(0x0008, 0x0062), 0, "UI", DICOM_LEVEL_STUDY, DICOM_KEY_SUM, true, "SOP Classes in Study"},
    {T(0x0008, 0x0070), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Manufacturer"},
    {T(0x0008, 0x0080), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Institution Name"},
    {T(0x0008, 0x0090), 0, "PN", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Referring Physician's Name"},
    {T(0x0008, 0x1010), 0, "SH", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Station Name"},
    {T(0x0008, 0x1030), 0, "LO", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Study Description"},
    {T(0x0008, 0x1032), 0, "SQ", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Procedure Code Sequence"},
    {T(0x0008, 0x0100), T(0x0008, 0x1032), "SH", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Code Value"},
    {T(0x0008, 0x0102), T(0x0008, 0x1032), "SH", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Coding Scheme Designator"},
    {T(0x0008, 0x0104), T(0x0008, 0x1032), "LO", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Code Meaning"},
    {T(0x0008, 0x103e), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Series Description"},
    {T(0x0008, 0x1040), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Institutional Department Name"},
    {T(0x0008, 0x1050), 0, "PN", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, true,
     "Performing Physician's Name"},
    {T(0x0008, 0x1060), 0, "PN", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, true,
     "Name of Physician(s) Reading Study"},
    {T(0x0008, 0x1070), 0, "PN", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, true, "Operators' Name"},
    {T(0x0008, 0x1080), 0, "LO", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, true,
     "Admitting Diagnoses Description"},
    {T(0x0008, 0x1090), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Manufacturer's Model Name"},
    {T(0x0008, 0x3002), 0, "UI", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_TRANSFER, false,
     "Available Transfer Syntax UID"},
    {T(0x0010, 0x0010), 0, "PN", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false,
     "Patient's Name"},
    {T(0x0010, 0x0020), 0, "LO", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false, "Patient ID"},
    {T(0x0010, 0x0021), 0, "LO", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false,
     "Issuer of Patient ID"},
    {T(0x0010, 0x0030), 0, "DA", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false,
     "Patient's Birth Date"},
    {T(0x0010, 0x0032), 0, "TM", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false,
     "Patient's Birth Time"},
    {T(0x0010, 0x0040), 0, "CS", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false, "Patient's Sex"},
    {T(0x0010, 0x1000), 0, "LO", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, true,
     "Other Patient IDs"},
    {T(0x0010, 0x1001), 0, "PN", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, true,
     "Other Patient Names"},
    {T(0x0010, 0x1010), 0, "AS", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false, "Patient's Age"},
    {T(0x0010, 0x1020), 0, "DS", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false, "Patient's Size"},
    {T(0x0010, 0x1030), 0, "DS", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Patient's Weight"},
    {T(0x0010, 0x2160), 0, "SH", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false, "Ethnic Group"},
    {T(0x0010, 0x4000), 0, "LT", DICOM_LEVEL_PATIENT, DICOM_KEY_OF_DATASET, false,
     "Patient Comments"},
    {T(0x0018, 0x0015), 0, "CS", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Body Part Examined"},
    {T(0x0018, 0x1030), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Protocol Name"},
    {T(0x0018, 0x5100), 0, "CS", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Patient Position"},
    {T(0x0020, 0x000d), 0, "UI", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false,
     "Study Instance UID"},
    {T(0x0020, 0x000e), 0, "UI", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Series Instance UID"},
    {T(0x0020, 0x0010), 0, "SH", DICOM_LEVEL_STUDY, DICOM_KEY_OF_DATASET, false, "Study ID"},
    {T(0x0020, 0x0011), 0, "IS", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Series Number"},
    {T(0x0020, 0x0012), 0, "IS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Acquisition Number"},
    {T(0x0020, 0x0013), 0, "IS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Instance Number"},
    {T(0x0020, 0x0052), 0, "UI", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Frame of Reference UID"},
    {T(0x0020, 0x0060), 0, "CS", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false, "Laterality"},
    {T(0x0020, 0x1041), 0, "DS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Slice Location"},
    {T(0x0020, 0x1200), 0, "IS", DICOM_LEVEL_PATIENT, DICOM_KEY_COUNT, false,
     "Number of Patient Related Studies"},
    {T(0x0020, 0x1202), 0, "IS", DICOM_LEVEL_PATIENT, DICOM_KEY_COUNT, false,
     "Number of Patient Related Series"},
    {T(0x0020, 0x1204), 0, "IS", DICOM_LEVEL_PATIENT, DICOM_KEY_COUNT, false,
     "Number of Patient Related Instances"},
    {T(0x0020, 0x1206), 0, "IS", DICOM_LEVEL_STUDY, DICOM_KEY_COUNT, false,
     "Number of Study Related Series"},
    {T(0x0020, 0x1208), 0, "IS", DICOM_LEVEL_STUDY, DICOM_KEY_COUNT, false,
     "Number of Study Related Instances"},
    {T(0x0020, 0x1209), 0, "IS", DICOM_LEVEL_SERIES, DICOM_KEY_COUNT, false,
     "Number of Series Related Instances"},
    {T(0x0020, 0x4000), 0, "LT", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Image Comments"},
    {T(0x0028, 0x0002), 0, "US", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Samples per Pixel"},
    {T(0x0028, 0x0004), 0, "CS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Photometric Interpretation"},
    {T(0x0028, 0x0008), 0, "IS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Number of Frames"},
    {T(0x0028, 0x0010), 0, "US", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Rows"},
    {T(0x0028, 0x0011), 0, "US", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Columns"},
    {T(0x0028, 0x0100), 0, "US", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Bits Allocated"},
    {T(0x0028, 0x0101), 0, "US", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Bits Stored"},
    {T(0x0040, 0x0244), 0, "DA", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Performed Procedure Step Start Date"},
    {T(0x0040, 0x0245), 0, "TM", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Performed Procedure Step Start Time"},
    {T(0x0040, 0x0253), 0, "SH", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Performed Procedure Step ID"},
    {T(0x0040, 0x0254), 0, "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Performed Procedure Step Description"},
    {T(0x0040, 0x0275), 0, "SQ", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Request Attributes Sequence"},
    {T(0x0008, 0x0050), T(0x0040, 0x0275), "SH", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Accession Number"},
    {T(0x0032, 0x1060), T(0x0040, 0x0275), "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Requested Procedure Description"},
    {T(0x0040, 0x0007), T(0x0040, 0x0275), "LO", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Scheduled Procedure Step Description"},
    {T(0x0040, 0x0009), T(0x0040, 0x0275), "SH", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Scheduled Procedure Step ID"},
    {T(0x0040, 0x1001), T(0x0040, 0x0275), "SH", DICOM_LEVEL_SERIES, DICOM_KEY_OF_DATASET, false,
     "Requested Procedure ID"},
    {T(0x0040, 0xa043), 0, "SQ", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Concept Name Code Sequence"},
    {T(0x0008, 0x0100), T(0x0040, 0xa043), "SH", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Code Value"},
    {T(0x0008, 0x0102), T(0x0040, 0xa043), "SH", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Coding Scheme Designator"},
    {T(0x0008, 0x0104), T(0x0040, 0xa043), "LO", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Code Meaning"},
    {T(0x0040, 0xa491), 0, "CS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Completion Flag"},
    {T(0x0040, 0xa493), 0, "CS", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false,
     "Verification Flag"},
    {T(0x0042, 0x0010), 0, "ST", DICOM_LEVEL_IMAGE, DICOM_KEY_OF_DATASET, false, "Document Title"},
};

const struct dicom_query_key *dicom_query_keys(size_t *count)
{
    *count = DS_ARRAY_SIZE(keys);
    return keys;
}

const struct dicom_query_key *dicom_query_key_of(dicom_tag sequence, dicom_tag tag)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(keys); i++) {
        if (keys[i].tag == tag && keys[i].sequence == sequence) {
            return &keys[i];
        }
    }
    return NULL;
}

dicom_tag dicom_level_key(enum dicom_level level)
{
    static const dicom_tag unique[] = {
        [DICOM_LEVEL_PATIENT] = DICOM_TAG_PATIENT_ID,
        [DICOM_LEVEL_STUDY] = DICOM_TAG_STUDY_INSTANCE_UID,
        [DICOM_LEVEL_SERIES] = DICOM_TAG_SERIES_INSTANCE_UID,
        [DICOM_LEVEL_IMAGE] = DICOM_TAG_SOP_INSTANCE_UID,
    };
    return unique[level];
}

static const char *const level_names[] = {"PATIENT", "STUDY", "SERIES", "IMAGE"};

const char *dicom_level_name(enum dicom_level level)
{
    return level_names[level];
}

bool dicom_level_named(const char *name, enum dicom_level *out)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(level_names); i++) {
        if (strcmp(level_names[i], name) == 0) {
            *out = (enum dicom_level)i;
            return true;
        }
    }
    return false;
}
