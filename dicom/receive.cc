/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/receive.h"

#include "dcmtk/dcmnet/cond.h"

namespace dicom
{

namespace
{

OFCondition next_pdv(T_ASC_Association *association, int timeout_s, DUL_PDV *pdv)
{
    OFCondition condition = DUL_NextPDV(&association->DULassociation, pdv);
    if (condition != DUL_NOPDVS) {
        return condition;
    }
    if (!ASC_dataWaiting(association, timeout_s)) {
        return DIMSE_NODATAAVAILABLE;
    }
    condition = DUL_ReadPDVs(&association->DULassociation, nullptr, DUL_NOBLOCK, timeout_s);
    if (condition != DUL_PDATAPDUARRIVED) {
        return condition.good() ? DIMSE_READPDVFAILED : condition;
    }
    return DUL_NextPDV(&association->DULassociation, pdv);
}

} // namespace

OFCondition receive_command(T_ASC_Association *association, int timeout_s,
                            T_ASC_PresentationContextID *id, dicom_command *command)
{
    bytes_owner set(DICOM_COMMAND_MAX_BYTES);
    bool first = true;
    for (;;) {
        DUL_PDV pdv = {};
        const OFCondition condition = next_pdv(association, timeout_s, &pdv);
        if (condition.bad()) {
            return condition;
        }
        if (pdv.pdvType != DUL_COMMANDPDV || (!first && pdv.presentationContextID != *id)) {
            return DIMSE_UNEXPECTEDPDVTYPE;
        }
        first = false;
        *id = pdv.presentationContextID;
        if (ds_bytes_append(&set.bytes, pdv.data, pdv.fragmentLength, nullptr) != DS_OK) {
            return DIMSE_RECEIVEFAILED;
        }
        if (pdv.lastPDV) {
            break;
        }
    }
    ds_error why = {};
    if (dicom_command_parse(set.bytes.data, set.bytes.len, command, &why) != DS_OK) {
        ds_log(DS_LOG_WARNING, "dicom", "a command set that cannot be read: %s", why.text);
        return DIMSE_PARSEFAILED;
    }
    return EC_Normal;
}

OFCondition receive_dataset(T_ASC_Association *association, T_ASC_PresentationContextID id,
                            int timeout_s, const FragmentSink &sink)
{
    for (;;) {
        DUL_PDV pdv = {};
        const OFCondition condition = next_pdv(association, timeout_s, &pdv);
        if (condition.bad()) {
            return condition;
        }
        if (pdv.pdvType != DUL_DATASETPDV || pdv.presentationContextID != id) {
            return DIMSE_UNEXPECTEDPDVTYPE;
        }
        if (pdv.fragmentLength > 0) {
            sink(static_cast<const uint8_t *>(pdv.data), pdv.fragmentLength);
        }
        if (pdv.lastPDV) {
            return EC_Normal;
        }
    }
}

} // namespace dicom
