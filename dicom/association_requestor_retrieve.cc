/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_requestor.h"
#include "dicom/retrieval.h"

#include <cstring>

namespace dicom
{

namespace
{

class Retrieval
{
  public:
    Retrieval(dicom_requestor &r, const Query &query, uint16_t field, const dicom_retrieval &take)
        : r_(r), association_(*r.association), query_(query), field_(field), take_(take)
    {
    }
    Retrieval(const Retrieval &) = delete;
    Retrieval &operator=(const Retrieval &) = delete;
    ds_status run(dicom_retrieved *out, ds_error *err);

  private:
    Ending take_response(const dicom_command &c, uint8_t id, dicom_retrieved *out);
    Ending take_instance(const dicom_command &request, const Context *context);
    Ending receive(const dicom_store_request &request, uint8_t id, uint16_t *status);
    Ending take(const dicom_command &c, uint8_t id, dicom_retrieved *out);
    Ending cancel();

    dicom_requestor &r_;
    Association &association_;
    const Query &query_;
    const uint16_t field_;
    const dicom_retrieval &take_;
    bool final_ = false;
    bool cancelled_ = false;
};

/* The list of those that failed (PS3.4 C.4.2.1.4.2) says nothing that the counts and what has come
 * do not say, so it is only read past. */
Ending Retrieval::take_response(const dicom_command &c, uint8_t id, dicom_retrieved *out)
{
    if (id != query_.id || c.responded_to != query_.message_id) {
        return Ending::protocol;
    }
    out->status = c.status;
    if ((c.present & DICOM_HAS_COMPLETED) != 0) {
        out->counts = {c.remaining, c.completed, c.failed, c.warning};
    }
    final_ = !is_pending(c.status);
    return dicom_command_has_data_set(&c)
               ? receive_dataset(association_, id, [](const uint8_t *, size_t) {})
               : Ending::none;
}

Ending Retrieval::receive(const dicom_store_request &request, uint8_t id, uint16_t *status)
{
    const bool begun = *status == DICOM_STATUS_SUCCESS &&
                       (*status = take_.begin(take_.context, &request)) == DICOM_STATUS_SUCCESS;
    uint16_t answer = *status;
    const Ending ending = receive_dataset(association_, id, [&](const uint8_t *data, size_t len) {
        if (answer == DICOM_STATUS_SUCCESS) {
            answer = take_.data(take_.context, data, len);
        }
    });
    *status = answer;
    if (begun) {
        const bool complete = ending == Ending::none && answer == DICOM_STATUS_SUCCESS;
        const uint16_t end = take_.end(take_.context, complete);
        *status = complete ? end : answer;
    }
    return ending;
}

/* Only what was agreed on comes through: the class is the context's, the UID is one. */
Ending Retrieval::take_instance(const dicom_command &request, const Context *context)
{
    if (context == nullptr || field_ != DICOM_C_GET_RQ || !dicom_command_has_data_set(&request)) {
        return Ending::protocol;
    }
    uint16_t status = DICOM_STATUS_SUCCESS;
    if (context->abstract_syntax != request.sop_class_uid) {
        status = DICOM_STATUS_MISMATCH;
    } else if (!uid_is_sound(request.sop_instance_uid)) {
        status = DICOM_STATUS_CANNOT_UNDERSTAND;
    }
    const dicom_store_request begin = {nullptr, request.sop_class_uid, request.sop_instance_uid,
                                       context->transfer_syntax.c_str(), request.originator};
    const Ending ending = receive(begin, context->id, &status);
    if (ending != Ending::none) {
        return ending;
    }
    const dicom_command response = dicom_command_response(&request, status);
    return send_message(association_, context->id, response, nullptr, 0, nullptr) == DS_OK
               ? Ending::none
               : Ending::lost;
}

Ending Retrieval::take(const dicom_command &c, uint8_t id, dicom_retrieved *out)
{
    if (c.field == (field_ | DICOM_RESPONSE)) {
        return take_response(c, id, out);
    }
    return c.field == DICOM_C_STORE_RQ ? take_instance(c, association_.context(id))
                                       : Ending::protocol;
}

/* PS3.7 9.3.2.3: it has no response of its own; the operation ends with FE00. */
Ending Retrieval::cancel()
{
    dicom_command c = {};
    c.present = DICOM_HAS_FIELD | DICOM_HAS_RESPONDED_TO | DICOM_HAS_DATA_SET_TYPE;
    c.field = DICOM_C_CANCEL_RQ;
    c.responded_to = query_.message_id;
    c.data_set_type = DICOM_NO_DATA_SET;
    cancelled_ = true;
    return send_message(association_, query_.id, c, nullptr, 0, nullptr) == DS_OK ? Ending::none
                                                                                  : Ending::lost;
}

ds_status Retrieval::run(dicom_retrieved *out, ds_error *err)
{
    while (!final_) {
        uint8_t id = 0;
        dicom_command c = {};
        Ending ending = receive_command(association_, &id, &c);
        ending = ending == Ending::none ? take(c, id, out) : ending;
        if (ending == Ending::none && !final_ && !cancelled_ && take_.goes_on != nullptr &&
            !take_.goes_on(take_.context, &out->counts)) {
            ending = cancel();
        }
        if (ending != Ending::none) {
            return r_.lost(ending, query_.what, err);
        }
    }
    return DS_OK;
}

ds_status retrieve(dicom_requestor &r, uint16_t field, const char *class_uid,
                   const char *destination, const dicom_dataset *identifier,
                   const dicom_retrieval *take, dicom_retrieved *out, ds_error *err)
{
    const dicom_retrieval nothing = {};
    Query query;
    const ds_status status = send_query(r, field, class_uid, destination, identifier, &query, err);
    return status == DS_OK
               ? Retrieval(r, query, field, take == nullptr ? nothing : *take).run(out, err)
               : status;
}

} // namespace

} // namespace dicom

extern "C" ds_status dicom_requestor_get(dicom_requestor *r, const char *class_uid,
                                         const dicom_dataset *identifier,
                                         const dicom_retrieval *take, dicom_retrieved *out,
                                         ds_error *err)
{
    *out = {DICOM_STATUS_CANNOT_UNDERSTAND, {}};
    return dicom::guarded(err, [&] {
        if (take->begin == nullptr || take->data == nullptr || take->end == nullptr) {
            return ds_fail(err, DS_EINVAL, "C-GET: nobody takes what comes");
        }
        return dicom::retrieve(*r, DICOM_C_GET_RQ, class_uid, nullptr, identifier, take, out, err);
    });
}

extern "C" ds_status dicom_requestor_move(dicom_requestor *r, const char *class_uid,
                                          const char *destination, const dicom_dataset *identifier,
                                          const dicom_retrieval *take, dicom_retrieved *out,
                                          ds_error *err)
{
    *out = {DICOM_STATUS_CANNOT_UNDERSTAND, {}};
    return dicom::guarded(err, [&] {
        const size_t len = strnlen(destination, DICOM_AE_BYTES);
        if (len == 0 || len == DICOM_AE_BYTES) {
            return ds_fail(err, DS_EINVAL, "an AE title has 1 to 16 characters");
        }
        return dicom::retrieve(*r, DICOM_C_MOVE_RQ, class_uid, destination, identifier, take, out,
                               err);
    });
}
