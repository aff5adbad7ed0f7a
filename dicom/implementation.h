/* SPDX-License-Identifier: Apache-2.0 */
/*
 * implementation - how this software calls itself: in associations (PS3.7 D.3.3.2) and in the files
 * that it writes (PS3.10 7.1). The same in all versions, but for the name.
 */
#ifndef DICOMSTEGO_DICOM_IMPLEMENTATION_H
#define DICOMSTEGO_DICOM_IMPLEMENTATION_H

#define DICOM_IMPLEMENTATION_CLASS_UID    "2.25.130482316512954271857893004632177263851"
#define DICOM_IMPLEMENTATION_VERSION_NAME "DICOMSTEGO " DICOMSTEGO_VERSION /* at most 16 */

#endif
