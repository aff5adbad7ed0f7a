/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receive - the data set of a request, fragment by fragment, unparsed; private to dicom/.
 *
 * Each fragment is handed on as it lies in DCMTK's buffer: no stream, no file and no copy between.
 */
#ifndef DICOMSTEGO_DICOM_RECEIVE_H
#define DICOMSTEGO_DICOM_RECEIVE_H

#include "dicom/guard.h"

#include "dcmtk/dcmnet/assoc.h"

#include <functional>

namespace dicom
{

using FragmentSink = std::function<void(const uint8_t *data, size_t len)>;

/* Reads PDVs until the last one (PS3.8 E.2). A bad condition: the association is lost or the peer
 * broke the protocol; what was handed on is then incomplete. */
OFCondition receive_dataset(T_ASC_Association *association, T_ASC_PresentationContextID id,
                            int timeout_s, const FragmentSink &sink);

} // namespace dicom

#endif
