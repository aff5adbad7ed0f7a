/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_operations.h"

#include "dicom/association_events.h"
#include "dicom/association_requestor.h"
#include "dicom/operation.h"
#include "dicom/transfer_syntax.h"

#include <algorithm>
#include <cstring>

struct dicom_operation {
    dicom::Association &association;
    const dicom::Context &context;
    const dicom_command &request;
    dicom_query_kind kind;
    const dicom::Interrupt &stopping;           /* of the listener */
    dicom::Ending ending = dicom::Ending::none; /* of the association */
    bool cancelled = false;
    bool final = false;
    uint16_t next_message_id = 1; /* of sub-operations */

    bool over() const
    {
        return ending != dicom::Ending::none;
    }
    void take_other(const dicom_command &command);
    bool look();
    bool send(const dicom_response &response);
    const dicom::Context *target(const char *sop_class, const char *syntax) const;
    ds_status store(const dicom::Context &on, const char *sop_instance, const uint8_t *data,
                    size_t len, uint16_t *status, ds_error *err);
    ds_status lost(dicom::Ending how, ds_error *err);
};

namespace dicom
{

namespace
{

using Callback = void (*)(void *context, const dicom_operation_request *request,
                          dicom_operation *operation);

Callback callback_of(const dicom_service &service, dicom_query_kind kind)
{
    switch (kind) {
    case DICOM_QUERY_FIND:
        return service.find;
    case DICOM_QUERY_MOVE:
        return service.move;
    default:
        return service.get;
    }
}

uint16_t field_of(dicom_query_kind kind)
{
    switch (kind) {
    case DICOM_QUERY_FIND:
        return DICOM_C_FIND_RQ;
    case DICOM_QUERY_MOVE:
        return DICOM_C_MOVE_RQ;
    default:
        return DICOM_C_GET_RQ;
    }
}

/* PS3.4 C.4.2.1.6 to C.4.2.1.9: how many remain is said while it goes on, and when it was ended. */
void put_counts(dicom_command &c, const dicom_counts &counts)
{
    c.present |= DICOM_HAS_COMPLETED | DICOM_HAS_FAILED | DICOM_HAS_WARNING;
    c.completed = counts.completed;
    c.failed = counts.failed;
    c.warning = counts.warning;
    if (is_pending(c.status) || c.status == DICOM_STATUS_CANCEL) {
        c.present |= DICOM_HAS_REMAINING;
        c.remaining = counts.remaining;
    }
}

dicom_command command_of(const dicom_command &request, const dicom_response &response)
{
    dicom_command c = dicom_command_response(&request, response.status);
    if (response.counts != nullptr) {
        put_counts(c, *response.counts);
    }
    if (response.error_comment != nullptr) {
        c.present |= DICOM_HAS_ERROR_COMMENT;
        (void)snprintf(c.error_comment, sizeof(c.error_comment), "%s", response.error_comment);
    }
    if (response.offending_element != 0) {
        c.present |= DICOM_HAS_OFFENDING_ELEMENT;
        c.offending_element = response.offending_element;
    }
    if (response.identifier != nullptr) {
        c.data_set_type = DICOM_WITH_DATA_SET;
    }
    return c;
}

dicom_command store_request(uint16_t message_id, uint16_t priority, const Context &on,
                            const char *sop_instance)
{
    dicom_command c = {};
    c.present = DICOM_HAS_SOP_CLASS | DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID | DICOM_HAS_PRIORITY |
                DICOM_HAS_DATA_SET_TYPE | DICOM_HAS_SOP_INSTANCE;
    c.field = DICOM_C_STORE_RQ;
    c.message_id = message_id;
    c.priority = priority;
    c.data_set_type = DICOM_WITH_DATA_SET;
    (void)snprintf(c.sop_class_uid, sizeof(c.sop_class_uid), "%s", on.abstract_syntax.c_str());
    (void)snprintf(c.sop_instance_uid, sizeof(c.sop_instance_uid), "%s", sop_instance);
    return c;
}

/* The identifier, in whatever was accepted. *status: 0000H, or what to answer instead, with *why.
 */
Ending receive_identifier(Association &association, const Context &context,
                          const dicom_command &request, dicom_dataset **out,
                          dicom_response *refusal)
{
    *out = nullptr;
    *refusal = {DICOM_STATUS_CANNOT_UNDERSTAND, nullptr, nullptr, "no identifier", 0};
    if (!dicom_command_has_data_set(&request)) {
        return Ending::none;
    }
    bytes_owner bytes(DICOM_MESSAGE_MAX_BYTES);
    bool kept = true;
    const Ending ending = receive_small(association, context.id, &bytes.bytes, &kept);
    if (ending != Ending::none) {
        return ending;
    }
    if (!kept) {
        refusal->status = DICOM_STATUS_OUT_OF_RESOURCES;
        refusal->error_comment = "the identifier is too long";
    } else if (dicom_dataset_read(out, bytes.bytes.data, bytes.bytes.len,
                                  context.transfer_syntax.c_str(), nullptr) != DS_OK) {
        refusal->error_comment = "the identifier is no data set";
    }
    return Ending::none;
}

/* What is asked on a context has to be what the context is for. */
bool fits(const dicom_command &request, const dicom_query_class &query, const Context &context)
{
    return request.field == field_of(query.kind) &&
           context.abstract_syntax == request.sop_class_uid;
}

struct free_dataset {
    void operator()(dicom_dataset *d) const noexcept
    {
        dicom_dataset_free(d);
    }
};

} // namespace

bool offers_query(const dicom_service &service, const dicom_peer &peer, dicom_query_kind kind)
{
    return callback_of(service, kind) != nullptr &&
           (service.may_query == nullptr || service.may_query(service.context, &peer, kind));
}

bool agree_on_options(const dicom_presentation &proposed, dicom_context_answer &answer)
{
    const size_t len = ds_cursor_left(&proposed.extended);
    if (len == 0) {
        return false;
    }
    answer.extended_len = std::min<size_t>(len, DICOM_EXTENDED_MAX_BYTES);
    memset(answer.extended, 0, sizeof(answer.extended));
    answer.extended[0] = proposed.extended.data[0] == 1 ? 1 : 0;
    return answer.extended[0] == 1;
}

const Interrupt *interrupt_of(const dicom_operation &operation)
{
    return &operation.stopping;
}

Ending Operations::answer(const dicom_command &request, const Context &context)
{
    const dicom_query_class &query = *dicom_query_class_of(context.abstract_syntax.c_str());
    dicom_operation operation = {association_, context, request, query.kind, l_.aborting};
    dicom_dataset *read = nullptr;
    dicom_response refusal = {};
    const Ending ending = receive_identifier(association_, context, request, &read, &refusal);
    const std::unique_ptr<dicom_dataset, free_dataset> identifier(read);
    if (ending != Ending::none) {
        return ending;
    }
    if (!fits(request, query, context)) {
        refusal = {DICOM_STATUS_MISMATCH, nullptr, nullptr, "not what the context is for", 0};
    } else if (!offers_query(l_.service, peer_, query.kind)) {
        refusal = {DICOM_STATUS_NOT_AUTHORIZED, nullptr, nullptr, nullptr, 0};
    } else if (identifier != nullptr) {
        const dicom_operation_request asked = {&peer_,
                                               &query,
                                               request.message_id,
                                               request.priority,
                                               identifier.get(),
                                               request.destination,
                                               context.relational};
        callback_of(l_.service, query.kind)(l_.service.context, &asked, &operation);
        refusal = {DICOM_STATUS_CANNOT_UNDERSTAND, nullptr, nullptr, nullptr, 0};
    }
    if (!operation.final && !operation.over()) {
        (void)operation.send(refusal);
    }
    return operation.ending;
}

Ending Operations::dispatch(const dicom_command &command, const Context &context, bool *handled)
{
    *handled = dicom_query_class_of(context.abstract_syntax.c_str()) != nullptr &&
               (command.field == DICOM_C_FIND_RQ || command.field == DICOM_C_MOVE_RQ ||
                command.field == DICOM_C_GET_RQ);
    return *handled ? answer(command, context) : Ending::none;
}

} // namespace dicom

/* We negotiate no window of operations, so one is under way (PS3.7 D.3.3.3), and the only request
 * that may come meanwhile is to end it. One for another message is late: it has no response. */
void dicom_operation::take_other(const dicom_command &command)
{
    if (command.field != DICOM_C_CANCEL_RQ || dicom_command_has_data_set(&command)) {
        ending = dicom::Ending::protocol;
        return;
    }
    cancelled = cancelled || command.responded_to == request.message_id;
}

bool dicom_operation::look()
{
    while (!over() && association.reader.has_more(0)) {
        uint8_t id = 0;
        dicom_command command = {};
        ending = receive_command(association, &id, &command);
        if (!over()) {
            take_other(command);
        }
    }
    return cancelled || over();
}

bool dicom_operation::send(const dicom_response &response)
{
    if (final || over()) {
        return false;
    }
    dicom::bytes_owner bytes(DICOM_MESSAGE_MAX_BYTES);
    if (response.identifier != nullptr) {
        ds_error err = {};
        if (dicom_dataset_write(response.identifier, context.transfer_syntax.c_str(), &bytes.bytes,
                                &err) != DS_OK) {
            ds_log(DS_LOG_ERROR, "dicom", "a response that cannot be written: %s", err.text);
            return false;
        }
    }
    final = !dicom::is_pending(response.status);
    const dicom_command command = dicom::command_of(request, response);
    if (dicom::send_message(association, context.id, command, bytes.bytes.data, bytes.bytes.len,
                            nullptr) != DS_OK) {
        ending = dicom::Ending::lost;
    }
    return !over();
}

/* nullptr: not offered. */
const dicom::Context *dicom_operation::target(const char *sop_class, const char *syntax) const
{
    for (const dicom::Context &c : association.contexts) {
        if ((c.roles & DICOM_ROLE_SCP) != 0 && c.abstract_syntax == sop_class &&
            c.transfer_syntax == syntax) {
            return &c;
        }
    }
    return nullptr;
}

ds_status dicom_operation::lost(dicom::Ending how, ds_error *err)
{
    ending = how;
    return how == dicom::Ending::lost ? association.connection.fail("C-GET", err)
                                      : ds_fail(err, DS_EIO, "C-GET: the peer left in the middle");
}

ds_status dicom_operation::store(const dicom::Context &on, const char *sop_instance,
                                 const uint8_t *data, size_t len, uint16_t *status, ds_error *err)
{
    const uint16_t message_id = next_message_id++;
    const dicom_command c = dicom::store_request(message_id, request.priority, on, sop_instance);
    if (dicom::send_message(association, on.id, c, data, len, nullptr) != DS_OK) {
        return lost(dicom::Ending::lost, err);
    }
    for (;;) {
        uint8_t id = 0;
        dicom_command answer = {};
        const dicom::Ending how = receive_command(association, &id, &answer);
        if (how != dicom::Ending::none) {
            return lost(how, err);
        }
        if (answer.field == (DICOM_C_STORE_RQ | DICOM_RESPONSE) && id == on.id &&
            answer.responded_to == message_id && !dicom_command_has_data_set(&answer)) {
            *status = answer.status;
            return DS_OK;
        }
        take_other(answer);
        if (over()) {
            return lost(ending, err);
        }
    }
}

extern "C" bool dicom_operation_send(dicom_operation *o, const dicom_response *response)
{
    return dicom::guarded_or(false, [&] { return o->send(*response); });
}

extern "C" bool dicom_operation_cancelled(dicom_operation *o)
{
    return dicom::guarded_or(true, [&] { return o->look(); });
}

extern "C" bool dicom_operation_accepts(const dicom_operation *o, const char *sop_class_uid,
                                        const char *transfer_syntax)
{
    return dicom::guarded_or(false, [&] {
        return o->kind == DICOM_QUERY_GET && o->target(sop_class_uid, transfer_syntax) != nullptr;
    });
}

extern "C" ds_status dicom_operation_store(dicom_operation *o, const char *sop_class_uid,
                                           const char *sop_instance_uid,
                                           const char *transfer_syntax, const uint8_t *data,
                                           size_t len, uint16_t *status, ds_error *err)
{
    *status = DICOM_STATUS_CANNOT_UNDERSTAND;
    return dicom::guarded(err, [&] {
        const dicom::Context *on = o->target(sop_class_uid, transfer_syntax);
        if (o->kind != DICOM_QUERY_GET || on == nullptr) {
            return ds_fail(err, DS_EREFUSED, "the peer takes no class %s in syntax %s",
                           sop_class_uid, transfer_syntax);
        }
        dicom::bytes_owner padded;
        const ds_status sound = dicom::even(transfer_syntax, &data, &len, &padded.bytes, err);
        if (sound != DS_OK) {
            return sound;
        }
        if (strnlen(sop_instance_uid, DICOM_UID_BYTES) == DICOM_UID_BYTES) {
            return ds_fail(err, DS_EINVAL, "a UID has at most 64 characters");
        }
        if (o->over()) {
            return ds_fail(err, DS_EIO, "C-GET: the association has ended");
        }
        return o->store(*on, sop_instance_uid, data, len, status, err);
    });
}
