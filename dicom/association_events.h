/* SPDX-License-Identifier: Apache-2.0 */
/*
 * association_events - the DIMSE-N messages of an accepted association (PS3.7 10.3): N-ACTION and
 * N-EVENT-REPORT requests that come, and reports that we owe the peer; private to dicom/.
 *
 * Belongs to the association's thread.
 */
#ifndef DICOMSTEGO_DICOM_ASSOCIATION_EVENTS_H
#define DICOMSTEGO_DICOM_ASSOCIATION_EVENTS_H

#include "dicom/association_listener.h"
#include "dicom/upper_layer.h"

namespace dicom
{

/* A small data set whole. *kept false: it was longer than DICOM_MESSAGE_MAX_BYTES, or there was no
 * memory; it is then drained. */
Ending receive_small(Association &association, uint8_t id, ds_bytes *out, bool *kept);

/* An N-EVENT-REPORT-RQ; the data set follows. */
dicom_command event_request(uint16_t message_id, const char *sop_class, const char *sop_instance,
                            uint16_t event_type);

/* Does the service take this abstract syntax? Storage Commitment is the one of DIMSE-N. */
bool takes_events(const dicom_service &service, const char *abstract_syntax);

class Events
{
  public:
    Events(dicom_listener &listener, const dicom_peer &peer, Association &association);
    /* Tells the service of a report that was never answered. */
    ~Events();
    Events(const Events &) = delete;
    Events &operator=(const Events &) = delete;

    /* Returns when something can be read, and sends meanwhile what there is to report. At once when
     * the association has no context for reports. */
    Ending await();
    /* *handled false: the command is somebody else's. */
    Ending dispatch(const dicom_command &command, const Context &context, bool *handled);

  private:
    Ending send_due();
    Ending take(const dicom_command &request, const Context &context);
    Ending settle(const dicom_command &answer, uint8_t id);

    dicom_listener &l_;
    const dicom_peer &peer_;
    Association &association_;
    uint8_t context_ = 0; /* on which we report; 0: none */
    std::string syntax_;
    bool waiting_ = false; /* for the answer to a report */
    uint64_t token_ = 0;
    uint16_t message_id_ = 0, next_message_id_ = 1;
};

} // namespace dicom

#endif
