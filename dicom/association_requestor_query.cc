/* SPDX-License-Identifier: Apache-2.0 */
/* What C-FIND, C-MOVE and C-GET have in common for the one who asks (PS3.7 9.1.2 to 9.1.4). */
#include "dicom/association_requestor.h"

#include "dicom/transfer_syntax.h"

namespace dicom
{

namespace
{

const char *name_of(uint16_t field)
{
    switch (field) {
    case DICOM_C_FIND_RQ:
        return "C-FIND";
    case DICOM_C_MOVE_RQ:
        return "C-MOVE";
    default:
        return "C-GET";
    }
}

dicom_command request_of(dicom_requestor &r, uint16_t field, const char *class_uid,
                         const char *destination)
{
    dicom_command c = {};
    c.present = DICOM_HAS_SOP_CLASS | DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID | DICOM_HAS_PRIORITY |
                DICOM_HAS_DATA_SET_TYPE;
    c.field = field;
    c.message_id = r.next_message_id++;
    c.data_set_type = DICOM_WITH_DATA_SET;
    (void)snprintf(c.sop_class_uid, sizeof(c.sop_class_uid), "%s", class_uid);
    if (destination != nullptr) {
        c.present |= DICOM_HAS_DESTINATION;
        (void)snprintf(c.destination, sizeof(c.destination), "%s", destination);
    }
    return c;
}

} // namespace

/* Also with keys that the peer does not support (PS3.4 C.4.1.1.4). */
bool is_pending(uint16_t status)
{
    return status == DICOM_STATUS_PENDING || status == DICOM_STATUS_PENDING_UNSUPPORTED;
}

ds_status send_query(dicom_requestor &r, uint16_t field, const char *class_uid,
                     const char *destination, const dicom_dataset *identifier, Query *out,
                     ds_error *err)
{
    const char *what = name_of(field);
    if (!r.usable()) {
        return ds_fail(err, DS_EIO, "%s: the association is lost", what);
    }
    const char *syntax =
        r.context(class_uid, DICOM_EXPLICIT_LE) != 0 ? DICOM_EXPLICIT_LE : DICOM_IMPLICIT_LE;
    const uint8_t id = r.context(class_uid, syntax);
    if (id == 0) {
        return ds_fail(err, DS_EREFUSED, "%s: the peer accepts no context for it", what);
    }
    bytes_owner bytes(DICOM_MESSAGE_MAX_BYTES);
    ds_status status = dicom_dataset_write(identifier, syntax, &bytes.bytes, err);
    if (status != DS_OK) {
        return status;
    }
    const dicom_command request = request_of(r, field, class_uid, destination);
    *out = {id, syntax, request.message_id, what};
    status = send_message(*r.association, id, request, bytes.bytes.data, bytes.bytes.len, err);
    return status == DS_EIO ? r.lost(Ending::lost, what, err) : status;
}

} // namespace dicom
