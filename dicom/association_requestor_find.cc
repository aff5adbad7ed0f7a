/* SPDX-License-Identifier: Apache-2.0 */
/* C-FIND as the one who asks (PS3.7 9.1.2). */
#include "dicom/association_requestor.h"

#include "dicom/transfer_syntax.h"

namespace dicom
{

namespace
{

constexpr size_t match_max_bytes = 1U << 20;

/* The identifier of one match. False: the caller has seen enough. */
ds_status take_match(dicom_requestor &r, uint8_t id, const char *syntax, dicom_match_visit visit,
                     void *context, bool *more, ds_error *err)
{
    bytes_owner bytes(match_max_bytes);
    ds_status status = DS_OK;
    const Ending ending = receive_dataset(*r.association, id, [&](const uint8_t *data, size_t len) {
        status = status == DS_OK ? ds_bytes_append(&bytes.bytes, data, len, err) : status;
    });
    if (ending != Ending::none) {
        return r.lost(ending, "C-FIND", err);
    }
    dicom_dataset *match = nullptr;
    if (status == DS_OK) {
        status = dicom_dataset_read(&match, bytes.bytes.data, bytes.bytes.len, syntax, err);
    }
    if (status != DS_OK) {
        r.broken = true; /* what follows on the association is not waited for */
        return ds_fail(err, DS_EFORMAT, "C-FIND: a match of %zu bytes that is no identifier",
                       bytes.bytes.len);
    }
    *more = visit(context, match);
    dicom_dataset_free(match);
    return DS_OK;
}

ds_status take_matches(dicom_requestor &r, uint8_t id, const char *syntax, uint16_t message_id,
                       dicom_match_visit visit, void *context, uint16_t *final, ds_error *err)
{
    for (bool more = true; more;) {
        uint8_t on = 0;
        dicom_command answer = {};
        const Ending ending = receive_command(*r.association, &on, &answer);
        if (ending != Ending::none) {
            return r.lost(ending, "C-FIND", err);
        }
        const bool pending = is_pending(answer.status);
        if (on != id || answer.field != (DICOM_C_FIND_RQ | DICOM_RESPONSE) ||
            answer.responded_to != message_id || pending != dicom_command_has_data_set(&answer)) {
            return r.lost(Ending::protocol, "C-FIND", err);
        }
        *final = answer.status;
        if (!pending) {
            return DS_OK;
        }
        const ds_status status = take_match(r, id, syntax, visit, context, &more, err);
        if (status != DS_OK) {
            return status;
        }
    }
    r.broken = true;
    return DS_OK;
}

ds_status find(dicom_requestor &r, const char *class_uid, const dicom_dataset *query,
               dicom_match_visit visit, void *context, uint16_t *final, ds_error *err)
{
    Query sent;
    const ds_status status = send_query(r, DICOM_C_FIND_RQ, class_uid, nullptr, query, &sent, err);
    return status == DS_OK
               ? take_matches(r, sent.id, sent.syntax, sent.message_id, visit, context, final, err)
               : status;
}

} // namespace

} // namespace dicom

extern "C" ds_status dicom_requestor_find(dicom_requestor *r, const char *class_uid,
                                          const dicom_dataset *query, dicom_match_visit visit,
                                          void *context, uint16_t *status, ds_error *err)
{
    *status = DICOM_STATUS_CANNOT_UNDERSTAND;
    return dicom::guarded(
        err, [&] { return dicom::find(*r, class_uid, query, visit, context, status, err); });
}
