/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sop_class.h"

#include "base/base.h"

#include <string.h>

/* clang-format off */
#define OF(uid, name, kind) {"1.2.840.10008.5.1.4.1.1." uid, name, kind}
#define IMAGE(uid, name)    OF(uid, name, DICOM_SOP_IMAGE)
#define REPORT(uid, name)   OF(uid, name, DICOM_SOP_REPORT)
#define OBJECT(uid, name)   OF(uid, name, DICOM_SOP_OBJECT)
#define MEASURE(uid, name)  OF(uid, name, DICOM_SOP_MEASUREMENT)

static const struct dicom_sop_class table[] = {
    {"1.2.840.10008.5.1.1.27", "Stored Print Storage (retired)", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.1.29", "Hardcopy Grayscale Image Storage (retired)", DICOM_SOP_IMAGE},
    {"1.2.840.10008.5.1.1.30", "Hardcopy Color Image Storage (retired)", DICOM_SOP_IMAGE},
    IMAGE("1", "Computed Radiography Image Storage"),
    IMAGE("1.1", "Digital X-Ray Image Storage - For Presentation"),
    IMAGE("1.1.1", "Digital X-Ray Image Storage - For Processing"),
    IMAGE("1.2", "Digital Mammography X-Ray Image Storage - For Presentation"),
    IMAGE("1.2.1", "Digital Mammography X-Ray Image Storage - For Processing"),
    IMAGE("1.3", "Digital Intra-Oral X-Ray Image Storage - For Presentation"),
    IMAGE("1.3.1", "Digital Intra-Oral X-Ray Image Storage - For Processing"),
    IMAGE("2", "CT Image Storage"),
    IMAGE("2.1", "Enhanced CT Image Storage"),
    IMAGE("2.2", "Legacy Converted Enhanced CT Image Storage"),
    IMAGE("3", "Ultrasound Multi-frame Image Storage (retired)"),
    IMAGE("3.1", "Ultrasound Multi-frame Image Storage"),
    IMAGE("4", "MR Image Storage"),
    IMAGE("4.1", "Enhanced MR Image Storage"),
    OBJECT("4.2", "MR Spectroscopy Storage"),
    IMAGE("4.3", "Enhanced MR Color Image Storage"),
    IMAGE("4.4", "Legacy Converted Enhanced MR Image Storage"),
    IMAGE("5", "Nuclear Medicine Image Storage (retired)"),
    IMAGE("6", "Ultrasound Image Storage (retired)"),
    IMAGE("6.1", "Ultrasound Image Storage"),
    IMAGE("6.2", "Enhanced US Volume Storage"),
    IMAGE("6.3", "Photoacoustic Image Storage"),
    IMAGE("7", "Secondary Capture Image Storage"),
    IMAGE("7.1", "Multi-frame Single Bit Secondary Capture Image Storage"),
    IMAGE("7.2", "Multi-frame Grayscale Byte Secondary Capture Image Storage"),
    IMAGE("7.3", "Multi-frame Grayscale Word Secondary Capture Image Storage"),
    IMAGE("7.4", "Multi-frame True Color Secondary Capture Image Storage"),
    OBJECT("8", "Standalone Overlay Storage (retired)"),
    OBJECT("9", "Standalone Curve Storage (retired)"),
    OBJECT("9.1", "Waveform Storage - Trial (retired)"),
    OBJECT("9.1.1", "12-lead ECG Waveform Storage"),
    OBJECT("9.1.2", "General ECG Waveform Storage"),
    OBJECT("9.1.3", "Ambulatory ECG Waveform Storage"),
    OBJECT("9.2.1", "Hemodynamic Waveform Storage"),
    OBJECT("9.3.1", "Cardiac Electrophysiology Waveform Storage"),
    OBJECT("9.4.1", "Basic Voice Audio Waveform Storage"),
    OBJECT("9.4.2", "General Audio Waveform Storage"),
    OBJECT("9.5.1", "Arterial Pulse Waveform Storage"),
    OBJECT("9.6.1", "Respiratory Waveform Storage"),
    OBJECT("9.6.2", "Multi-channel Respiratory Waveform Storage"),
    OBJECT("9.7.1", "Routine Scalp Electroencephalogram Waveform Storage"),
    OBJECT("9.7.2", "Electromyogram Waveform Storage"),
    OBJECT("9.7.3", "Electrooculogram Waveform Storage"),
    OBJECT("9.7.4", "Sleep Electroencephalogram Waveform Storage"),
    OBJECT("9.8.1", "Body Position Waveform Storage"),
    OBJECT("9.100.1", "Waveform Presentation State Storage"),
    OBJECT("9.100.2", "Waveform Acquisition Presentation State Storage"),
    OBJECT("10", "Standalone Modality LUT Storage (retired)"),
    OBJECT("11", "Standalone VOI LUT Storage (retired)"),
    OBJECT("11.1", "Grayscale Softcopy Presentation State Storage"),
    OBJECT("11.2", "Color Softcopy Presentation State Storage"),
    OBJECT("11.3", "Pseudo-Color Softcopy Presentation State Storage"),
    OBJECT("11.4", "Blending Softcopy Presentation State Storage"),
    OBJECT("11.5", "XA/XRF Grayscale Softcopy Presentation State Storage"),
    OBJECT("11.6", "Grayscale Planar MPR Volumetric Presentation State Storage"),
    OBJECT("11.7", "Compositing Planar MPR Volumetric Presentation State Storage"),
    OBJECT("11.8", "Advanced Blending Presentation State Storage"),
    OBJECT("11.9", "Volume Rendering Volumetric Presentation State Storage"),
    OBJECT("11.10", "Segmented Volume Rendering Volumetric Presentation State Storage"),
    OBJECT("11.11", "Multiple Volume Rendering Volumetric Presentation State Storage"),
    OBJECT("11.12", "Variable Modality LUT Softcopy Presentation State Storage"),
    IMAGE("12.1", "X-Ray Angiographic Image Storage"),
    IMAGE("12.1.1", "Enhanced XA Image Storage"),
    IMAGE("12.2", "X-Ray Radiofluoroscopic Image Storage"),
    IMAGE("12.2.1", "Enhanced XRF Image Storage"),
    IMAGE("12.3", "X-Ray Angiographic Bi-Plane Image Storage (retired)"),
    IMAGE("13.1.1", "X-Ray 3D Angiographic Image Storage"),
    IMAGE("13.1.2", "X-Ray 3D Craniofacial Image Storage"),
    IMAGE("13.1.3", "Breast Tomosynthesis Image Storage"),
    IMAGE("13.1.4", "Breast Projection X-Ray Image Storage - For Presentation"),
    IMAGE("13.1.5", "Breast Projection X-Ray Image Storage - For Processing"),
    IMAGE("14.1", "Intravascular Optical Coherence Tomography Image Storage - For Presentation"),
    IMAGE("14.2", "Intravascular Optical Coherence Tomography Image Storage - For Processing"),
    IMAGE("20", "Nuclear Medicine Image Storage"),
    MEASURE("30", "Parametric Map Storage"),
    OBJECT("66", "Raw Data Storage"),
    OBJECT("66.1", "Spatial Registration Storage"),
    OBJECT("66.2", "Spatial Fiducials Storage"),
    OBJECT("66.3", "Deformable Spatial Registration Storage"),
    MEASURE("66.4", "Segmentation Storage"),
    MEASURE("66.5", "Surface Segmentation Storage"),
    OBJECT("66.6", "Tractography Results Storage"),
    MEASURE("66.7", "Label Map Segmentation Storage"),
    MEASURE("66.8", "Height Map Segmentation Storage"),
    OBJECT("67", "Real World Value Mapping Storage"),
    OBJECT("68.1", "Surface Scan Mesh Storage"),
    OBJECT("68.2", "Surface Scan Point Cloud Storage"),
    IMAGE("77.1", "VL Image Storage - Trial (retired)"),
    IMAGE("77.1.1", "VL Endoscopic Image Storage"),
    IMAGE("77.1.1.1", "Video Endoscopic Image Storage"),
    IMAGE("77.1.2", "VL Microscopic Image Storage"),
    IMAGE("77.1.2.1", "Video Microscopic Image Storage"),
    IMAGE("77.1.3", "VL Slide-Coordinates Microscopic Image Storage"),
    IMAGE("77.1.4", "VL Photographic Image Storage"),
    IMAGE("77.1.4.1", "Video Photographic Image Storage"),
    IMAGE("77.1.5.1", "Ophthalmic Photography 8 Bit Image Storage"),
    IMAGE("77.1.5.2", "Ophthalmic Photography 16 Bit Image Storage"),
    OBJECT("77.1.5.3", "Stereometric Relationship Storage"),
    IMAGE("77.1.5.4", "Ophthalmic Tomography Image Storage"),
    IMAGE("77.1.5.5", "Wide Field Ophthalmic Photography Stereographic Projection Image Storage"),
    IMAGE("77.1.5.6", "Wide Field Ophthalmic Photography 3D Coordinates Image Storage"),
    IMAGE("77.1.5.7", "Ophthalmic Optical Coherence Tomography En Face Image Storage"),
    OBJECT("77.1.5.8", "Ophthalmic Optical Coherence Tomography B-scan Volume Analysis Storage"),
    IMAGE("77.1.6", "VL Whole Slide Microscopy Image Storage"),
    IMAGE("77.1.7", "Dermoscopic Photography Image Storage"),
    IMAGE("77.1.8", "Confocal Microscopy Image Storage"),
    IMAGE("77.1.9", "Confocal Microscopy Tiled Pyramidal Image Storage"),
    IMAGE("77.2", "VL Multi-frame Image Storage - Trial (retired)"),
    OBJECT("78.1", "Lensometry Measurements Storage"),
    OBJECT("78.2", "Autorefraction Measurements Storage"),
    OBJECT("78.3", "Keratometry Measurements Storage"),
    OBJECT("78.4", "Subjective Refraction Measurements Storage"),
    OBJECT("78.5", "Visual Acuity Measurements Storage"),
    OBJECT("78.6", "Spectacle Prescription Report Storage"),
    OBJECT("78.7", "Ophthalmic Axial Measurements Storage"),
    OBJECT("78.8", "Intraocular Lens Calculations Storage"),
    OBJECT("79.1", "Macular Grid Thickness and Volume Report Storage"),
    OBJECT("80.1", "Ophthalmic Visual Field Static Perimetry Measurements Storage"),
    OBJECT("81.1", "Ophthalmic Thickness Map Storage"),
    OBJECT("82.1", "Corneal Topography Map Storage"),
    REPORT("88.1", "Text SR Storage - Trial (retired)"),
    REPORT("88.2", "Audio SR Storage - Trial (retired)"),
    REPORT("88.3", "Detail SR Storage - Trial (retired)"),
    REPORT("88.4", "Comprehensive SR Storage - Trial (retired)"),
    REPORT("88.11", "Basic Text SR Storage"),
    REPORT("88.22", "Enhanced SR Storage"),
    REPORT("88.33", "Comprehensive SR Storage"),
    REPORT("88.34", "Comprehensive 3D SR Storage"),
    REPORT("88.35", "Extensible SR Storage"),
    REPORT("88.40", "Procedure Log Storage"),
    REPORT("88.50", "Mammography CAD SR Storage"),
    OBJECT("88.59", "Key Object Selection Document Storage"),
    REPORT("88.65", "Chest CAD SR Storage"),
    REPORT("88.67", "X-Ray Radiation Dose SR Storage"),
    REPORT("88.68", "Radiopharmaceutical Radiation Dose SR Storage"),
    REPORT("88.69", "Colon CAD SR Storage"),
    REPORT("88.70", "Implantation Plan SR Storage"),
    REPORT("88.71", "Acquisition Context SR Storage"),
    REPORT("88.72", "Simplified Adult Echo SR Storage"),
    REPORT("88.73", "Patient Radiation Dose SR Storage"),
    REPORT("88.74", "Planned Imaging Agent Administration SR Storage"),
    REPORT("88.75", "Performed Imaging Agent Administration SR Storage"),
    REPORT("88.76", "Enhanced X-Ray Radiation Dose SR Storage"),
    REPORT("88.77", "Waveform Annotation SR Storage"),
    OBJECT("90.1", "Content Assessment Results Storage"),
    OBJECT("91.1", "Microscopy Bulk Simple Annotations Storage"),
    REPORT("104.1", "Encapsulated PDF Storage"),
    REPORT("104.2", "Encapsulated CDA Storage"),
    OBJECT("104.3", "Encapsulated STL Storage"),
    OBJECT("104.4", "Encapsulated OBJ Storage"),
    OBJECT("104.5", "Encapsulated MTL Storage"),
    MEASURE("128", "Positron Emission Tomography Image Storage"),
    MEASURE("128.1", "Legacy Converted Enhanced PET Image Storage"),
    OBJECT("129", "Standalone PET Curve Storage (retired)"),
    MEASURE("130", "Enhanced PET Image Storage"),
    OBJECT("131", "Basic Structured Display Storage"),
    OBJECT("200.1", "CT Defined Procedure Protocol Storage"),
    OBJECT("200.2", "CT Performed Procedure Protocol Storage"),
    OBJECT("200.3", "Protocol Approval Storage"),
    OBJECT("200.7", "XA Defined Procedure Protocol Storage"),
    OBJECT("200.8", "XA Performed Procedure Protocol Storage"),
    OBJECT("201.1", "Inventory Storage"),
    IMAGE("481.1", "RT Image Storage"),
    MEASURE("481.2", "RT Dose Storage"),
    OBJECT("481.3", "RT Structure Set Storage"),
    OBJECT("481.4", "RT Beams Treatment Record Storage"),
    OBJECT("481.5", "RT Plan Storage"),
    OBJECT("481.6", "RT Brachy Treatment Record Storage"),
    OBJECT("481.7", "RT Treatment Summary Record Storage"),
    OBJECT("481.8", "RT Ion Plan Storage"),
    OBJECT("481.9", "RT Ion Beams Treatment Record Storage"),
    OBJECT("481.10", "RT Physician Intent Storage"),
    OBJECT("481.11", "RT Segment Annotation Storage"),
    OBJECT("481.12", "RT Radiation Set Storage"),
    OBJECT("481.13", "C-Arm Photon-Electron Radiation Storage"),
    OBJECT("481.14", "Tomotherapeutic Radiation Storage"),
    OBJECT("481.15", "Robotic-Arm Radiation Storage"),
    OBJECT("481.16", "RT Radiation Record Set Storage"),
    OBJECT("481.17", "RT Radiation Salvage Record Storage"),
    OBJECT("481.18", "Tomotherapeutic Radiation Record Storage"),
    OBJECT("481.19", "C-Arm Photon-Electron Radiation Record Storage"),
    OBJECT("481.20", "Robotic Radiation Record Storage"),
    OBJECT("481.21", "RT Radiation Set Delivery Instruction Storage"),
    OBJECT("481.22", "RT Treatment Preparation Storage"),
    IMAGE("481.23", "Enhanced RT Image Storage"),
    IMAGE("481.24", "Enhanced Continuous RT Image Storage"),
    OBJECT("481.25", "RT Patient Position Acquisition Instruction Storage"),
    IMAGE("501.1", "DICOS CT Image Storage"),
    IMAGE("501.2.1", "DICOS Digital X-Ray Image Storage - For Presentation"),
    IMAGE("501.2.2", "DICOS Digital X-Ray Image Storage - For Processing"),
    OBJECT("501.3", "DICOS Threat Detection Report Storage"),
    IMAGE("501.4", "DICOS 2D AIT Storage"),
    IMAGE("501.5", "DICOS 3D AIT Storage"),
    OBJECT("501.6", "DICOS Quadrupole Resonance (QR) Storage"),
    IMAGE("601.1", "Eddy Current Image Storage"),
    IMAGE("601.2", "Eddy Current Multi-frame Image Storage"),
    {"1.2.840.10008.5.1.4.34.1", "RT Beams Delivery Instruction Storage - Trial (retired)", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.34.7", "RT Beams Delivery Instruction Storage", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.34.10", "RT Brachy Application Setup Delivery Instruction Storage", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.38.1", "Hanging Protocol Storage", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.39.1", "Color Palette Storage", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.43.1", "Generic Implant Template Storage", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.44.1", "Implant Assembly Template Storage", DICOM_SOP_OBJECT},
    {"1.2.840.10008.5.1.4.45.1", "Implant Template Group Storage", DICOM_SOP_OBJECT},
};
/* clang-format on */

/* Arcs of the standard's root that belong to other services: verification, commitment, notification
 * and media (1.1), patient, visit and performed procedure steps (3.1.2), storage as a service
 * (4.2), print (5.1.1), query and retrieve of every kind, worklists, UPS, RT machine verification,
 * product and substance queries (5.1.4), real-time video (10). The few storage classes that live
 * among them stand in the table, which is asked first. */
static const char *const other_services[] = {
    "1.2.840.10008.1.",
    "1.2.840.10008.3.1.2.",
    "1.2.840.10008.4.2",
    "1.2.840.10008.5.1.1.",
    "1.2.840.10008.5.1.4.1.1.200.4",
    "1.2.840.10008.5.1.4.1.1.200.5",
    "1.2.840.10008.5.1.4.1.1.200.6",
    "1.2.840.10008.5.1.4.1.1.201.",
    "1.2.840.10008.5.1.4.1.2.",
    "1.2.840.10008.5.1.4.20.",
    "1.2.840.10008.5.1.4.3",
    "1.2.840.10008.5.1.4.4",
    "1.2.840.10008.10.",
};

const struct dicom_sop_class *dicom_sop_classes(size_t *count)
{
    *count = DS_ARRAY_SIZE(table);
    return table;
}

const struct dicom_sop_class *dicom_sop_class_of(const char *uid)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(table); i++) {
        if (strcmp(uid, table[i].uid) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

bool dicom_sop_class_may_be_storage(const char *uid)
{
    if (dicom_sop_class_of(uid) != NULL) {
        return true;
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(other_services); i++) {
        if (strncmp(uid, other_services[i], strlen(other_services[i])) == 0) {
            return false;
        }
    }
    return true;
}

static const struct dicom_query_class query_classes[] = {
    {DICOM_PATIENT_ROOT_FIND, DICOM_QUERY_FIND, true},
    {DICOM_PATIENT_ROOT_MOVE, DICOM_QUERY_MOVE, true},
    {DICOM_PATIENT_ROOT_GET, DICOM_QUERY_GET, true},
    {DICOM_STUDY_ROOT_FIND, DICOM_QUERY_FIND, false},
    {DICOM_STUDY_ROOT_MOVE, DICOM_QUERY_MOVE, false},
    {DICOM_STUDY_ROOT_GET, DICOM_QUERY_GET, false},
};

const struct dicom_query_class *dicom_query_class_of(const char *uid)
{
    for (size_t i = 0; i < DS_ARRAY_SIZE(query_classes); i++) {
        if (strcmp(uid, query_classes[i].uid) == 0) {
            return &query_classes[i];
        }
    }
    return NULL;
}
