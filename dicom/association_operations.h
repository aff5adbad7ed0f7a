/* SPDX-License-Identifier: Apache-2.0 */
/*
 * association_operations - the queries and retrievals of an accepted association (PS3.7 9.1.2 to
 * 9.1.4); private to dicom/.
 *
 * Belongs to the association's thread.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATION_OPERATIONS_H
#define DICOMSTEGO_DICOM_ASSOCIATION_OPERATIONS_H

#include "dicom/association_listener.h"
#include "dicom/upper_layer.h"

namespace dicom
{

/* Raised when the listener's associations end. */
const Interrupt *interrupt_of(const dicom_operation &operation);

/* What the service offers this peer of it. */
bool offers_query(const dicom_service &service, const dicom_peer &peer, dicom_query_kind kind);

/* SOP Class Extended Negotiation (PS3.4 C.5.1.1, C.5.2.1): of what is proposed the relational
 * behaviour alone, in the first byte, is agreed to. True: it is. */
bool agree_on_options(const dicom_presentation &proposed, dicom_context_answer &answer);

class Operations
{
  public:
    Operations(dicom_listener &listener, const dicom_peer &peer, Association &association)
        : l_(listener), peer_(peer), association_(association)
    {
    }
    Operations(const Operations &) = delete;
    Operations &operator=(const Operations &) = delete;

    /* *handled false: the command is somebody else's. */
    Ending dispatch(const dicom_command &command, const Context &context, bool *handled);

  private:
    Ending answer(const dicom_command &request, const Context &context);

    dicom_listener &l_;
    const dicom_peer &peer_;
    Association &association_;
};

} // namespace dicom

#endif
