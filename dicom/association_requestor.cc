/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_listener.h"
#include "dicom/pdata.h"
#include "dicom/receive.h"

extern "C" {
#include "base/clock.h"
}
#include "dicom/sop_class.h"
#include "dicom/transfer_syntax.h"

#include "dcmtk/dcmnet/assoc.h"
#include "dcmtk/dcmnet/cond.h"
#include "dcmtk/dcmnet/dul.h"

#include <algorithm>
#include <cstring>

struct dicom_requestor {
    std::unique_ptr<dicom::TlsContext> tls;
    dicom::Fault fault;
    std::unique_ptr<dicom::Layer> layer;
    T_ASC_Network *network = nullptr;
    T_ASC_Parameters *params = nullptr; /* ours until there is an association */
    T_ASC_Association *association = nullptr;
    int timeout_s = 0;
    bool established = false;
    bool broken = true;

    ~dicom_requestor();
    T_ASC_PresentationContextID context(const char *sop_class, const char *syntax) const;
    ds_status lost(const OFCondition &condition, const char *what, ds_error *err);
};

namespace dicom
{

namespace
{

constexpr size_t max_contexts = 128; /* odd identifiers of one byte: PS3.8 9.3.2.2 */
constexpr int farewell_ms = 5000;    /* for the answer to an A-RELEASE-RQ */

bool is_uid(const char *text)
{
    const size_t len = text == nullptr ? 0 : strnlen(text, DICOM_UID_BYTES);
    return len > 0 && len < DICOM_UID_BYTES && strspn(text, "0123456789.") == len;
}

ds_status check_options(const dicom_requestor_options &o, const dicom_context *contexts,
                        size_t count, ds_error *err)
{
    const char *const titles[] = {o.calling_ae, o.called_ae};
    for (const char *title : titles) {
        if (title == nullptr || title[0] == '\0' || strlen(title) >= DICOM_AE_BYTES) {
            return ds_fail(err, DS_EINVAL, "an AE title has 1 to 16 characters");
        }
    }
    if (o.host == nullptr || o.host[0] == '\0' || o.port == 0) {
        return ds_fail(err, DS_EINVAL, "a peer needs a host and a port");
    }
    if (count >= max_contexts) {
        return ds_fail(err, DS_EINVAL,
                       "%zu presentation contexts: at most %zu fit beside Verification", count,
                       max_contexts - 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_uid(contexts[i].sop_class_uid) || !is_uid(contexts[i].transfer_syntax)) {
            return ds_fail(err, DS_EINVAL, "presentation context %zu has no sound UIDs", i);
        }
    }
    return DS_OK;
}

OFCondition propose(T_ASC_Parameters *params, const dicom_context *contexts, size_t count)
{
    const char *plain[] = {DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE};
    OFCondition condition = ASC_addPresentationContext(params, 1, DICOM_VERIFICATION, plain, 2);
    for (size_t i = 0; i < count && condition.good(); i++) {
        const char *syntax[] = {contexts[i].transfer_syntax};
        condition =
            ASC_addPresentationContext(params, static_cast<T_ASC_PresentationContextID>(2 * i + 3),
                                       contexts[i].sop_class_uid, syntax, 1);
    }
    return condition;
}

OFCondition prepare(dicom_requestor &r, const dicom_requestor_options &o,
                    const dicom_context *contexts, size_t count)
{
    OFCondition condition = ASC_initializeNetwork(NET_REQUESTOR, 0, r.timeout_s, &r.network);
    if (condition.good()) {
        condition = ASC_setTransportLayer(r.network, r.layer.get(), 0);
    }
    if (condition.good()) {
        condition = ASC_createAssociationParameters(&r.params, pdu_bytes(o.max_pdu_bytes));
    }
    if (condition.good()) {
        announce_implementation(*r.params);
        condition = ASC_setAPTitles(r.params, o.calling_ae, o.called_ae, nullptr);
    }
    if (condition.good()) {
        condition = ASC_setTransportLayerType(r.params, o.tls != nullptr);
    }
    if (condition.good()) {
        const std::string address = std::string(o.host) + ":" + std::to_string(o.port);
        condition = ASC_setPresentationAddresses(r.params, OFStandard::getHostName().c_str(),
                                                 address.c_str());
    }
    return condition.good() ? propose(r.params, contexts, count) : condition;
}

/* PS3.8 table 9-21. */
const char *reason_text(T_ASC_RejectParametersReason reason)
{
    switch (reason) {
    case ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED:
        return "application context not supported";
    case ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED:
        return "calling AE title not recognised";
    case ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED:
        return "called AE title not recognised";
    case ASC_REASON_SP_ACSE_PROTOCOLVERSIONNOTSUPPORTED:
        return "protocol version not supported";
    case ASC_REASON_SP_PRES_TEMPORARYCONGESTION:
        return "temporary congestion";
    case ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED:
        return "local limit exceeded";
    default:
        return "no reason given";
    }
}

ds_status rejected(dicom_requestor &r, ds_error *err)
{
    T_ASC_RejectParameters why = {};
    T_ASC_Parameters *params = r.association != nullptr ? r.association->params : r.params;
    (void)ASC_getRejectParameters(params, &why);
    if (why.result == ASC_RESULT_REJECTEDTRANSIENT) {
        return ds_fail(err, DS_EIO, "association rejected for now: %s", reason_text(why.reason));
    }
    return ds_fail(err, DS_EREFUSED, "association rejected for good: %s", reason_text(why.reason));
}

ds_status connect(dicom_requestor &r, ds_error *err)
{
    /* One variable for the process: links that open at the same moment with different timeouts may
     * get each other's for connect(), which shifts when a dead peer is noticed and nothing else. */
    dcmConnectionTimeout.set(r.timeout_s);
    const OFCondition condition = ASC_requestAssociation(
        r.network, r.params, &r.association, nullptr, nullptr, DUL_NOBLOCK, r.timeout_s);
    if (r.association != nullptr) {
        r.params = nullptr; /* now the association's */
    }
    if (condition == DUL_ASSOCIATIONREJECTED) {
        return rejected(r, err);
    }
    if (condition.bad()) {
        return r.lost(condition, "association", err);
    }
    connection_of(r.association)->set_deadline(0);
    r.established = true;
    r.broken = false;
    return DS_OK;
}

/* Sends a request and waits for its response; *answer is that. */
ds_status exchange(dicom_requestor &r, T_ASC_PresentationContextID id, const dicom_command &request,
                   const uint8_t *data, size_t len, dicom_command *answer, ds_error *err)
{
    const char *what = request.field == DICOM_C_ECHO_RQ ? "C-ECHO" : "C-STORE";
    ds_status status = send_message(r.association, id, request, data, len, err);
    if (status != DS_OK) {
        return status == DS_EIO ? r.lost(DIMSE_SENDFAILED, what, err) : status;
    }
    T_ASC_PresentationContextID answered_on = 0;
    const OFCondition condition = receive_command(r.association, r.timeout_s, &answered_on, answer);
    if (condition.bad()) {
        return r.lost(condition, what, err);
    }
    if (answered_on != id || answer->field != (request.field | DICOM_RESPONSE) ||
        answer->responded_to != request.message_id || dicom_command_has_data_set(answer)) {
        return r.lost(DIMSE_BADMESSAGE, what, err);
    }
    return DS_OK;
}

dicom_command request_of(dicom_requestor &r, uint16_t field, const char *sop_class)
{
    dicom_command c = {};
    c.present =
        DICOM_HAS_SOP_CLASS | DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID | DICOM_HAS_DATA_SET_TYPE;
    c.field = field;
    c.message_id = r.association->nextMsgID++;
    c.data_set_type = DICOM_NO_DATA_SET;
    OFStandard::strlcpy(c.sop_class_uid, sop_class, sizeof(c.sop_class_uid));
    return c;
}

dicom_command store_request(dicom_requestor &r, const char *sop_class, const char *sop_instance)
{
    dicom_command c = request_of(r, DICOM_C_STORE_RQ, sop_class);
    c.present |= DICOM_HAS_PRIORITY | DICOM_HAS_SOP_INSTANCE;
    c.data_set_type = DICOM_WITH_DATA_SET;
    OFStandard::strlcpy(c.sop_instance_uid, sop_instance, sizeof(c.sop_instance_uid));
    return c;
}

/* A deflated stream of odd length gets one NUL behind it (PS3.5 A.5). */
ds_status pad(const uint8_t **data, size_t *len, ds_bytes *copy, ds_error *err)
{
    ds_status status = ds_bytes_reserve(copy, *len + 1, err);
    status = status == DS_OK ? ds_bytes_append(copy, *data, *len, err) : status;
    status = status == DS_OK ? ds_bytes_put_u8(copy, 0, err) : status;
    *data = copy->data;
    *len = copy->len;
    return status;
}

/* Between messages a peer has nothing to say but that it leaves. */
bool peer_has_left(const dicom_requestor &r)
{
    return connection_of(r.association)->networkDataAvailable(0);
}

} // namespace

} // namespace dicom

dicom_requestor::~dicom_requestor()
{
    dicom::Connection *connection = dicom::connection_of(association);
    if (established && connection != nullptr) {
        connection->set_deadline(ds_clock_monotonic_ms() + dicom::farewell_ms);
        if (broken || ASC_releaseAssociation(association).bad()) {
            (void)ASC_abortAssociation(association);
        }
    }
    if (association != nullptr) {
        (void)ASC_destroyAssociation(&association);
    }
    if (params != nullptr) {
        (void)ASC_destroyAssociationParameters(&params);
    }
    if (network != nullptr) {
        (void)ASC_dropNetwork(&network);
    }
}

/* 0: none. DCMTK's own search falls back to another context of the class, in whatever syntax that
 * has. */
T_ASC_PresentationContextID dicom_requestor::context(const char *sop_class,
                                                     const char *syntax) const
{
    const int count = ASC_countPresentationContexts(association->params);
    for (int i = 0; i < count; i++) {
        T_ASC_PresentationContext pc = {};
        if (ASC_getPresentationContext(association->params, i, &pc).good() &&
            pc.resultReason == ASC_P_ACCEPTANCE && strcmp(pc.abstractSyntax, sop_class) == 0 &&
            strcmp(pc.acceptedTransferSyntax, syntax) == 0) {
            return pc.presentationContextID;
        }
    }
    return 0;
}

/* The association cannot be used any more, whatever the reason was: from here on it can only be
 * closed. */
ds_status dicom_requestor::lost(const OFCondition &condition, const char *what, ds_error *err)
{
    broken = true;
    if (fault.status != DS_OK) {
        return ds_fail(err, fault.status, "%s: %s", what, fault.text);
    }
    if (condition == DIMSE_NODATAAVAILABLE || condition == DUL_READTIMEOUT) {
        return ds_fail(err, DS_EIO, "%s: the peer did not answer within %d s", what, timeout_s);
    }
    return ds_fail(err, DS_EIO, "%s: %s", what, condition.text());
}

extern "C" ds_status dicom_requestor_open(dicom_requestor **out,
                                          const dicom_requestor_options *options,
                                          const dicom_context *contexts, size_t count,
                                          ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        dicom::set_network_globals();
        ds_status status = dicom::check_options(*options, contexts, count, err);
        if (status != DS_OK) {
            return status;
        }
        std::unique_ptr<dicom_requestor> r(new dicom_requestor);
        r->timeout_s =
            options->timeout_s == 0 ? 30 : static_cast<int>(std::min(options->timeout_s, 3600U));
        if (options->tls != nullptr) {
            status = dicom::TlsContext::make(r->tls, *options->tls, false, err);
            if (status != DS_OK) {
                return status;
            }
        }
        dicom::ConnectionOptions connection;
        connection.tls = r->tls.get();
        connection.idle_ms = r->timeout_s * 1000;
        connection.fault = &r->fault;
        r->layer.reset(new dicom::Layer(connection));
        const OFCondition condition = dicom::prepare(*r, *options, contexts, count);
        if (condition.bad()) {
            return ds_fail(err, DS_EINVAL, "association: %s", condition.text());
        }
        status = dicom::connect(*r, err);
        if (status == DS_OK) {
            *out = r.release();
        }
        return status;
    });
}

extern "C" bool dicom_requestor_accepts(const dicom_requestor *r, const char *sop_class_uid,
                                        const char *transfer_syntax)
{
    return dicom::guarded_or(false,
                             [&] { return r->context(sop_class_uid, transfer_syntax) != 0; });
}

extern "C" ds_status dicom_requestor_echo(dicom_requestor *r, ds_error *err)
{
    return dicom::guarded(err, [&] {
        if (r->broken) {
            return ds_fail(err, DS_EIO, "C-ECHO: the association is lost");
        }
        const T_ASC_PresentationContextID id =
            r->context(DICOM_VERIFICATION, DICOM_EXPLICIT_LE) != 0
                ? r->context(DICOM_VERIFICATION, DICOM_EXPLICIT_LE)
                : r->context(DICOM_VERIFICATION, DICOM_IMPLICIT_LE);
        if (id == 0) {
            return ds_fail(err, DS_EREFUSED, "C-ECHO: the peer does not accept Verification");
        }
        dicom_command answer = {};
        const dicom_command request = dicom::request_of(*r, DICOM_C_ECHO_RQ, DICOM_VERIFICATION);
        const ds_status status = dicom::exchange(*r, id, request, nullptr, 0, &answer, err);
        if (status == DS_OK && answer.status != DICOM_STATUS_SUCCESS) {
            return ds_fail(err, DS_EREFUSED, "C-ECHO: status %04x", answer.status);
        }
        return status;
    });
}

extern "C" ds_status dicom_requestor_store(dicom_requestor *r, const char *sop_class_uid,
                                           const char *sop_instance_uid,
                                           const char *transfer_syntax, const uint8_t *data,
                                           size_t len, uint16_t *status, ds_error *err)
{
    *status = DICOM_STATUS_CANNOT_UNDERSTAND;
    return dicom::guarded(err, [&] {
        dicom::bytes_owner padded;
        const bool deflated = strcmp(transfer_syntax, DICOM_DEFLATED_LE) == 0;
        if (deflated && len % 2 != 0) {
            const ds_status s = dicom::pad(&data, &len, &padded.bytes, err);
            if (s != DS_OK) {
                return s;
            }
        }
        if (len == 0 || len % 2 != 0) {
            return ds_fail(err, DS_EFORMAT, "a data set of %zu bytes", len); /* PS3.5 7.1 */
        }
        if (r->broken || dicom::peer_has_left(*r)) {
            r->broken = true;
            return ds_fail(err, DS_EIO, "C-STORE: the peer has ended the association");
        }
        const T_ASC_PresentationContextID id = r->context(sop_class_uid, transfer_syntax);
        if (id == 0) {
            return ds_fail(err, DS_EREFUSED,
                           "the peer accepts no context for class %s in syntax %s", sop_class_uid,
                           transfer_syntax);
        }
        if (strnlen(sop_instance_uid, DICOM_UID_BYTES) == DICOM_UID_BYTES) {
            return ds_fail(err, DS_EINVAL, "a UID has at most 64 characters");
        }
        dicom_command answer = {};
        const dicom_command request = dicom::store_request(*r, sop_class_uid, sop_instance_uid);
        const ds_status sent = dicom::exchange(*r, id, request, data, len, &answer, err);
        if (sent == DS_OK) {
            *status = answer.status;
        }
        return sent;
    });
}

extern "C" void dicom_requestor_close(dicom_requestor *r)
{
    (void)dicom::guarded_or(0, [&] {
        delete r;
        return 0;
    });
}
