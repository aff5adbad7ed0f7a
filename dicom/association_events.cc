/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_events.h"

#include "dicom/commitment.h"

extern "C" {
#include "base/clock.h"
}

#include <cstring>

namespace dicom
{

namespace
{

constexpr int look_every_ms = 1000; /* for a report that has become due */

/* An N-ACTION names what is requested, an N-EVENT-REPORT what is affected (PS3.7 10.1). */
dicom_message message_of(const dicom_command &c, const dicom_peer &peer, const char *syntax,
                         const ds_bytes &data)
{
    const bool action = c.field == DICOM_N_ACTION_RQ;
    return {&peer,
            action ? c.requested_class_uid : c.sop_class_uid,
            action ? c.requested_instance_uid : c.sop_instance_uid,
            action ? c.action_type : c.event_type,
            syntax,
            data.data,
            data.len};
}

} // namespace

Ending receive_small(Association &association, uint8_t id, ds_bytes *out, bool *kept)
{
    *kept = true;
    return receive_dataset(association, id, [&](const uint8_t *data, size_t len) {
        *kept = *kept && ds_bytes_append(out, data, len, nullptr) == DS_OK;
    });
}

dicom_command event_request(uint16_t message_id, const char *sop_class, const char *sop_instance,
                            uint16_t event_type)
{
    dicom_command c = {};
    c.present = DICOM_HAS_SOP_CLASS | DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID |
                DICOM_HAS_DATA_SET_TYPE | DICOM_HAS_SOP_INSTANCE | DICOM_HAS_EVENT_TYPE;
    c.field = DICOM_N_EVENT_RQ;
    c.message_id = message_id;
    c.data_set_type = DICOM_WITH_DATA_SET;
    c.event_type = event_type;
    (void)snprintf(c.sop_class_uid, sizeof(c.sop_class_uid), "%s", sop_class);
    (void)snprintf(c.sop_instance_uid, sizeof(c.sop_instance_uid), "%s", sop_instance);
    return c;
}

bool takes_events(const dicom_service &service, const char *abstract_syntax)
{
    return service.action != nullptr && service.event != nullptr &&
           strcmp(abstract_syntax, DICOM_COMMITMENT) == 0;
}

Events::Events(dicom_listener &listener, const dicom_peer &peer, Association &association)
    : l_(listener), peer_(peer), association_(association)
{
    for (const Context &c : association.contexts) {
        if (context_ == 0 && l_.service.report != nullptr && c.roles != DICOM_ROLE_SCP &&
            takes_events(l_.service, c.abstract_syntax.c_str())) {
            context_ = c.id;
            syntax_ = c.transfer_syntax;
        }
    }
}

Events::~Events()
{
    if (waiting_) {
        l_.service.reported(l_.service.context, &peer_, token_, false, 0);
    }
}

Ending Events::send_due()
{
    bytes_owner data(DICOM_MESSAGE_MAX_BYTES);
    dicom_report report = {0, "", "", 0, &data.bytes};
    if (!l_.service.report(l_.service.context, &peer_, syntax_.c_str(), &report)) {
        return Ending::none;
    }
    message_id_ = next_message_id_++;
    token_ = report.token;
    waiting_ = true;
    const dicom_command request =
        event_request(message_id_, report.sop_class_uid, report.sop_instance_uid, report.type);
    const ds_status s =
        send_message(association_, context_, request, data.bytes.data, data.bytes.len, nullptr);
    return s == DS_OK ? Ending::none : Ending::lost;
}

Ending Events::await()
{
    const int64_t until = ds_clock_monotonic_ms() + association_.limit_ms;
    while (context_ != 0 && !association_.reader.has_more(look_every_ms)) {
        if (ds_clock_monotonic_ms() >= until) {
            association_.connection.patience.start(0, true);
            return association_.reader.await();
        }
        const Ending ending = waiting_ ? Ending::none : send_due();
        if (ending != Ending::none) {
            return ending;
        }
    }
    return Ending::none;
}

Ending Events::take(const dicom_command &request, const Context &context)
{
    bytes_owner data(DICOM_MESSAGE_MAX_BYTES);
    bool kept = true;
    if (dicom_command_has_data_set(&request)) {
        const Ending ending = receive_small(association_, context.id, &data.bytes, &kept);
        if (ending != Ending::none) {
            return ending;
        }
    }
    uint16_t status = DICOM_STATUS_RESOURCE_LIMITATION;
    if (kept) {
        const dicom_message m =
            message_of(request, peer_, context.transfer_syntax.c_str(), data.bytes);
        status = request.field == DICOM_N_ACTION_RQ ? l_.service.action(l_.service.context, &m)
                                                    : l_.service.event(l_.service.context, &m);
    }
    const dicom_command response = dicom_command_response(&request, status);
    const ds_status sent = send_message(association_, context.id, response, nullptr, 0, nullptr);
    return sent == DS_OK ? Ending::none : Ending::lost;
}

Ending Events::settle(const dicom_command &answer, uint8_t id)
{
    if (!waiting_ || answer.responded_to != message_id_ || id != context_) {
        return Ending::protocol;
    }
    waiting_ = false;
    l_.service.reported(l_.service.context, &peer_, token_, true, answer.status);
    bytes_owner reply(DICOM_MESSAGE_MAX_BYTES);
    bool kept = true;
    return dicom_command_has_data_set(&answer)
               ? receive_small(association_, id, &reply.bytes, &kept)
               : Ending::none;
}

Ending Events::dispatch(const dicom_command &command, const Context &context, bool *handled)
{
    *handled = takes_events(l_.service, context.abstract_syntax.c_str());
    if (*handled && command.field == (DICOM_N_EVENT_RQ | DICOM_RESPONSE)) {
        return settle(command, context.id);
    }
    *handled =
        *handled && (command.field == DICOM_N_ACTION_RQ || command.field == DICOM_N_EVENT_RQ);
    return *handled ? take(command, context) : Ending::none;
}

} // namespace dicom
