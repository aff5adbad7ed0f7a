/* SPDX-License-Identifier: Apache-2.0 */
/* N-ACTION and N-EVENT-REPORT on an association of our own. */
#include "dicom/association_events.h"
#include "dicom/association_requestor.h"

#include <algorithm>

namespace dicom
{

namespace
{

dicom_command action_request(dicom_requestor &r, const dicom_message &m)
{
    dicom_command c = {};
    c.present = DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID | DICOM_HAS_DATA_SET_TYPE |
                DICOM_HAS_REQUESTED_CLASS | DICOM_HAS_REQUESTED_INSTANCE | DICOM_HAS_ACTION_TYPE;
    c.field = DICOM_N_ACTION_RQ;
    c.message_id = r.next_message_id++;
    c.data_set_type = DICOM_WITH_DATA_SET;
    c.action_type = m.type;
    (void)snprintf(c.requested_class_uid, sizeof(c.requested_class_uid), "%s", m.sop_class_uid);
    (void)snprintf(c.requested_instance_uid, sizeof(c.requested_instance_uid), "%s",
                   m.sop_instance_uid);
    return c;
}

/* Reports of other transactions that a peer may have to tell before it answers. */
constexpr unsigned max_reports = 16;

struct Listening {
    uint16_t (*take)(void *context, const dicom_message *report);
    void *context;
    bool *reported;
};

Ending take_report(dicom_requestor &r, const dicom_message &asked, const Listening &l, uint8_t id,
                   const dicom_command &request)
{
    bytes_owner data(DICOM_MESSAGE_MAX_BYTES);
    bool kept = true;
    const Ending ending = dicom_command_has_data_set(&request)
                              ? receive_small(*r.association, id, &data.bytes, &kept)
                              : Ending::none;
    if (ending != Ending::none) {
        return ending;
    }
    const dicom_message report = {nullptr,
                                  request.sop_class_uid,
                                  request.sop_instance_uid,
                                  request.event_type,
                                  asked.transfer_syntax,
                                  data.bytes.data,
                                  data.bytes.len};
    const uint16_t status =
        kept ? l.take(l.context, &report) : uint16_t{DICOM_STATUS_RESOURCE_LIMITATION};
    *l.reported = *l.reported || status == DICOM_STATUS_SUCCESS;
    const dicom_command response = dicom_command_response(&request, status);
    return send_message(*r.association, id, response, nullptr, 0, nullptr) == DS_OK ? Ending::none
                                                                                    : Ending::lost;
}

/* One message: the response to request, or a report; *answer is then left alone. */
Ending hear(dicom_requestor &r, const dicom_message &asked, const Listening &l, uint8_t id,
            const dicom_command *request, dicom_command *answer)
{
    uint8_t on = 0;
    dicom_command command = {};
    const Ending ending = receive_command(*r.association, &on, &command);
    if (ending != Ending::none || on != id) {
        return ending != Ending::none ? ending : Ending::protocol;
    }
    if (command.field == DICOM_N_EVENT_RQ && l.take != nullptr) {
        return take_report(r, asked, l, id, command);
    }
    if (request == nullptr || command.field != (request->field | DICOM_RESPONSE) ||
        command.responded_to != request->message_id || dicom_command_has_data_set(&command)) {
        return Ending::protocol;
    }
    *answer = command;
    return Ending::none;
}

/* Sends a request and reads until its response. */
ds_status converse(dicom_requestor &r, const dicom_message &m, const Listening &l, uint8_t id,
                   const dicom_command &request, uint16_t *status, ds_error *err)
{
    const char *what = request.field == DICOM_N_ACTION_RQ ? "N-ACTION" : "N-EVENT-REPORT";
    const bool usable = !r.broken; /* a report may be waiting to be read */
    if (!usable || id == 0) {
        return ds_fail(err, usable ? DS_EREFUSED : DS_EIO, "%s: %s", what,
                       usable ? "the peer accepts no context for Storage Commitment"
                              : "the association is lost");
    }
    const ds_status sent = send_message(*r.association, id, request, m.data, m.len, err);
    if (sent != DS_OK) {
        return sent == DS_EIO ? r.lost(Ending::lost, what, err) : sent;
    }
    dicom_command answer = {};
    for (unsigned heard = 0; answer.field == 0; heard++) {
        const Ending ending =
            heard <= max_reports ? hear(r, m, l, id, &request, &answer) : Ending::protocol;
        if (ending != Ending::none) {
            return r.lost(ending, what, err);
        }
    }
    *status = answer.status;
    return DS_OK;
}

ds_status act(dicom_requestor &r, const dicom_message &m, unsigned wait_s, const Listening &l,
              uint16_t *status, ds_error *err)
{
    const uint8_t id = r.context(m.sop_class_uid, m.transfer_syntax);
    const ds_status s = converse(r, m, l, id, action_request(r, m), status, err);
    if (s != DS_OK) {
        return s;
    }
    dicom_command none = {};
    const int wait_ms = static_cast<int>(std::min(wait_s, 3600U) * 1000U);
    const bool waits =
        !*l.reported && *status == DICOM_STATUS_SUCCESS && r.association->reader.has_more(wait_ms);
    if (waits && hear(r, m, l, id, nullptr, &none) != Ending::none) {
        r.broken = true; /* it has left, or breaks the protocol: the request stands */
    }
    return DS_OK;
}

} // namespace

} // namespace dicom

extern "C" ds_status
dicom_requestor_action(dicom_requestor *r, const dicom_message *request, unsigned wait_s,
                       uint16_t (*take)(void *context, const dicom_message *report), void *context,
                       uint16_t *status, bool *reported, ds_error *err)
{
    *status = DICOM_STATUS_PROCESSING_FAILURE;
    *reported = false;
    return dicom::guarded(err, [&] {
        const dicom::Listening listening = {take, context, reported};
        return dicom::act(*r, *request, wait_s, listening, status, err);
    });
}

extern "C" ds_status dicom_requestor_report(dicom_requestor *r, const dicom_message *report,
                                            uint16_t *status, ds_error *err)
{
    *status = DICOM_STATUS_PROCESSING_FAILURE;
    return dicom::guarded(err, [&] {
        const dicom::Listening deaf = {nullptr, nullptr, nullptr};
        const dicom_command request = dicom::event_request(
            r->next_message_id++, report->sop_class_uid, report->sop_instance_uid, report->type);
        return dicom::converse(*r, *report, deaf,
                               r->context(report->sop_class_uid, report->transfer_syntax), request,
                               status, err);
    });
}
