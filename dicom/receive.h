/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receive - a DIMSE message from the PDV stream: the command set whole, the data set fragment by
 * fragment, unparsed; private to dicom/.
 *
 * DCMTK's own DIMSE layer stands aside: it refuses every command on a context in a transfer syntax
 * that it has no name for, although a command set is the same in all of them (PS3.7 6.3.1). Each
 * fragment is handed on as it lies in DCMTK's buffer: no stream, no file and no copy between.
 */
#ifndef DICOMSTEGO_DICOM_RECEIVE_H
#define DICOMSTEGO_DICOM_RECEIVE_H

#include "dicom/guard.h"

#include "dicom/command.h"

#include "dcmtk/dcmnet/assoc.h"

#include <functional>

namespace dicom
{

using FragmentSink = std::function<void(const uint8_t *data, size_t len)>;

/* Waits up to timeout_s for each PDU. A bad condition: a release or abort by the peer, silence
 * (DIMSE_NODATAAVAILABLE, DUL_READTIMEOUT), a lost connection, or no command set where one belongs.
 * Whether the context was accepted is for the caller to ask. */
OFCondition receive_command(T_ASC_Association *association, int timeout_s,
                            T_ASC_PresentationContextID *id, dicom_command *command);

/* Reads PDVs until the last one (PS3.8 E.2). A fragment of odd length, against that clause, is
 * taken: whether the data set is one, its elements say, and that costs one instance and not the
 * association. A bad condition: the association is lost or the peer broke the protocol; what was
 * handed on is then incomplete. */
OFCondition receive_dataset(T_ASC_Association *association, T_ASC_PresentationContextID id,
                            int timeout_s, const FragmentSink &sink);

} // namespace dicom

#endif
