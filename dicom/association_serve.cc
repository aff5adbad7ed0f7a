/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_listener.h"
#include "dicom/pdata.h"
#include "dicom/receive.h"
#include "dicom/sop_class.h"
#include "dicom/transfer_syntax.h"

extern "C" {
#include "base/clock.h"
#include "base/sha256.h"
}

#include "dcmtk/dcmnet/assoc.h"
#include "dcmtk/dcmnet/cond.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <openssl/x509.h>
#include <unistd.h>
#include <vector>

namespace dicom
{

namespace
{

bool uid_is_sound(const char *uid)
{
    const size_t len = strspn(uid, "0123456789.");
    return len > 0 && uid[len] == '\0';
}

/* DCMTK takes a socket accepted by somebody else through one process-wide variable, which it reads
 * while it makes the network and before it asks the layer for a connection. This lock covers
 * exactly that span, so the variable is never seen by another association. */
std::mutex handover_mutex;

class Handover
{
  public:
    explicit Handover(int socket) : lock_(handover_mutex)
    {
        dcmExternalSocketHandle.set(socket);
    }
    ~Handover()
    {
        done();
    }
    void done()
    {
        if (lock_.owns_lock()) {
            dcmExternalSocketHandle.set(-1);
            lock_.unlock();
        }
    }
    bool pending() const
    {
        return lock_.owns_lock();
    }

  private:
    std::unique_lock<std::mutex> lock_;
};

class Session
{
  public:
    Session(dicom_listener &listener, const std::string &address) : l_(listener)
    {
        (void)snprintf(peer_.address, sizeof(peer_.address), "%s", address.c_str());
        peer_.tls = listener.tls != nullptr;
    }
    ~Session();
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;
    void run(int socket);

  private:
    bool receive_request(int socket);
    bool admit();
    void identify();
    bool reject(T_ASC_RejectParametersResult result, T_ASC_RejectParametersSource source,
                T_ASC_RejectParametersReason reason, const char *why);
    bool negotiate();
    void answer_context(const T_ASC_PresentationContext &pc);
    const char *serve();
    const char *end(const OFCondition &condition);
    OFCondition dispatch(const dicom_command &command, T_ASC_PresentationContextID id);
    OFCondition store(const dicom_command &request, const T_ASC_PresentationContext &pc);
    OFCondition receive(const dicom_store_request &request, T_ASC_PresentationContextID id,
                        uint16_t *status);
    OFCondition drain(T_ASC_PresentationContextID id);
    OFCondition answer(const dicom_command &request, T_ASC_PresentationContextID id,
                       uint16_t status);
    uint16_t judge(const dicom_command &request, const T_ASC_PresentationContext &pc) const;
    bool takes(const char *abstract_syntax) const;

    dicom_listener &l_;
    dicom_peer peer_{};
    unsigned stored_ = 0;
    bool placed_ = false;
    T_ASC_Network *network_ = nullptr;
    T_ASC_Association *association_ = nullptr;
    Fault fault_;
    std::unique_ptr<Layer> layer_;
};

Session::~Session()
{
    if (association_ != nullptr) {
        (void)ASC_dropAssociation(association_);
        (void)ASC_destroyAssociation(&association_);
    }
    if (network_ != nullptr) {
        (void)ASC_dropNetwork(&network_);
    }
    if (placed_) {
        l_.leave_place();
    }
}

bool Session::receive_request(int socket)
{
    const int wait_s = std::min<int>(l_.timeout_s, max_request_wait_s);
    ConnectionOptions options;
    options.tls = l_.tls.get();
    options.interrupt = &l_.aborting;
    options.idle_ms = l_.timeout_s * 1000;
    options.deadline_ms = ds_clock_monotonic_ms() + wait_s * INT64_C(1000);
    options.accepting = true;
    options.fault = &fault_;
    Handover handover(socket);
    layer_.reset(new Layer(options, [&handover] { handover.done(); }));
    OFCondition condition = ASC_initializeNetwork(NET_ACCEPTOR, 0, l_.timeout_s, &network_);
    if (condition.good()) {
        condition = ASC_setTransportLayer(network_, layer_.get(), 0);
    }
    if (condition.good()) {
        condition = ASC_receiveAssociation(network_, &association_, l_.max_pdu_bytes, nullptr,
                                           nullptr, l_.tls != nullptr, DUL_NOBLOCK, wait_s);
    }
    if (handover.pending()) {
        close(socket); /* DCMTK gave up before it took the socket over */
    }
    if (condition.bad()) {
        /* Scanners and health checks connect and go: no alarm. */
        ds_log(fault_.status == DS_EAUTH ? DS_LOG_WARNING : DS_LOG_INFO, "dicom",
               "port=%u address=%s no association: %s", static_cast<unsigned>(l_.port),
               peer_.address, fault_.status != DS_OK ? fault_.text : condition.text());
    }
    return condition.good();
}

/* False without a certificate. */
bool peer_key_id(T_ASC_Association *association, uint8_t out[DICOM_KEY_ID_BYTES])
{
    std::vector<unsigned char> der(ASC_getPeerCertificateLength(association));
    if (der.empty() || ASC_getPeerCertificate(association, der.data(), der.size()) != der.size()) {
        return false;
    }
    const unsigned char *at = der.data();
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
    unsigned char *key = nullptr;
    const int len =
        certificate == nullptr ? 0 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &key);
    uint8_t digest[DS_SHA256_BYTES];
    const bool ok =
        len > 0 && ds_sha256_of(key, static_cast<size_t>(len), digest, nullptr) == DS_OK;
    OPENSSL_free(key);
    if (ok) {
        memcpy(out, digest, DICOM_KEY_ID_BYTES);
    }
    return ok;
}

void Session::identify()
{
    char calling[64] = "";
    char called[64] = "";
    (void)ASC_getAPTitles(association_->params, calling, sizeof(calling), called, sizeof(called),
                          nullptr, 0);
    copy_ae(peer_.calling_ae, calling);
    copy_ae(peer_.called_ae, called);
    peer_.has_key_id = peer_key_id(association_, peer_.key_id);
    const std::lock_guard<std::mutex> lock(l_.mutex);
    peer_.association = ++l_.last_association;
}

bool Session::reject(T_ASC_RejectParametersResult result, T_ASC_RejectParametersSource source,
                     T_ASC_RejectParametersReason reason, const char *why)
{
    ds_log(DS_LOG_WARNING, "dicom", "assoc=%llu peer=%s address=%s rejected: %s",
           static_cast<unsigned long long>(peer_.association), peer_.calling_ae, peer_.address,
           why);
    const T_ASC_RejectParameters parameters = {result, source, reason};
    (void)ASC_rejectAssociation(association_, &parameters);
    /* The requestor closes (PS3.8 9.2.3, Sta13); its own reading of the answer must not race ours.
     */
    (void)ASC_dropSCPAssociation(association_, 2);
    return false;
}

bool Session::admit()
{
    identify();
    char application[128] = "";
    (void)ASC_getApplicationContextName(association_->params, application, sizeof(application));
    if (strcmp(application, UID_StandardApplicationContext) != 0) {
        return reject(ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                      ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED, "application context");
    }
    if (!l_.any_called_ae && l_.ae_title != peer_.called_ae) {
        return reject(ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                      ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED, "called AE title");
    }
    placed_ = l_.take_place();
    if (!placed_) {
        return reject(ASC_RESULT_REJECTEDTRANSIENT, ASC_SOURCE_SERVICEPROVIDER_PRESENTATION_RELATED,
                      ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED, "too many associations");
    }
    bool transient = false;
    if (l_.service.admit != nullptr && !l_.service.admit(l_.service.context, &peer_, &transient)) {
        if (transient) {
            return reject(ASC_RESULT_REJECTEDTRANSIENT,
                          ASC_SOURCE_SERVICEPROVIDER_PRESENTATION_RELATED,
                          ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED, "not now");
        }
        return reject(ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                      ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED, "calling AE title");
    }
    return true;
}

const char *preferred(const std::vector<std::string> &ours, const T_ASC_PresentationContext &pc)
{
    for (const std::string &syntax : ours) {
        for (unsigned i = 0; i < pc.transferSyntaxCount; i++) {
            if (syntax == pc.proposedTransferSyntaxes[i]) {
                return pc.proposedTransferSyntaxes[i];
            }
        }
    }
    return nullptr;
}

const char *uncompressed(const T_ASC_PresentationContext &pc)
{
    static const std::vector<std::string> plain = {DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE};
    return preferred(plain, pc);
}

bool Session::takes(const char *abstract_syntax) const
{
    return l_.only_known_classes ? dicom_sop_class_of(abstract_syntax) != nullptr
                                 : dicom_sop_class_may_be_storage(abstract_syntax);
}

void Session::answer_context(const T_ASC_PresentationContext &pc)
{
    T_ASC_Parameters *params = association_->params;
    const bool echo = strcmp(pc.abstractSyntax, DICOM_VERIFICATION) == 0;
    if (!echo && !takes(pc.abstractSyntax)) {
        (void)ASC_refusePresentationContext(params, pc.presentationContextID,
                                            ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
        return;
    }
    const char *syntax = echo ? uncompressed(pc) : preferred(l_.transfer_syntaxes, pc);
    if (syntax == nullptr) {
        (void)ASC_refusePresentationContext(params, pc.presentationContextID,
                                            ASC_P_TRANSFERSYNTAXESNOTSUPPORTED);
        return;
    }
    /* We are the SCP; a peer that offers to be one (for C-GET) may still send as SCU. */
    const bool roles = pc.proposedRole == ASC_SC_ROLE_SCU || pc.proposedRole == ASC_SC_ROLE_SCUSCP;
    const OFCondition accepted = ASC_acceptPresentationContext(
        params, pc.presentationContextID, syntax, roles ? ASC_SC_ROLE_SCU : ASC_SC_ROLE_DEFAULT);
    if (accepted.bad()) {
        (void)ASC_refusePresentationContext(params, pc.presentationContextID, ASC_P_USERREJECTION);
    }
}

bool Session::negotiate()
{
    const int count = ASC_countPresentationContexts(association_->params);
    for (int i = 0; i < count; i++) {
        T_ASC_PresentationContext pc = {};
        if (ASC_getPresentationContext(association_->params, i, &pc).good()) {
            answer_context(pc);
        }
    }
    announce_implementation(*association_->params);
    return ASC_acknowledgeAssociation(association_).good();
}

uint16_t Session::judge(const dicom_command &request, const T_ASC_PresentationContext &pc) const
{
    if (l_.service.may_store != nullptr && !l_.service.may_store(l_.service.context, &peer_)) {
        return DICOM_STATUS_NOT_AUTHORIZED;
    }
    if (strcmp(pc.abstractSyntax, DICOM_VERIFICATION) == 0) {
        return DICOM_STATUS_CLASS_NOT_SUPPORTED;
    }
    if (strcmp(request.sop_class_uid, pc.abstractSyntax) != 0) {
        return DICOM_STATUS_MISMATCH;
    }
    /* Goes into file headers and queries: nothing but the characters of PS3.5 9.1 gets past here.
     */
    if (!uid_is_sound(request.sop_instance_uid)) {
        return DICOM_STATUS_CANNOT_UNDERSTAND;
    }
    return DICOM_STATUS_SUCCESS;
}

/* Reads one data set. *status: in, what is decided already; out, what to answer. A bad condition:
 * the association is lost. */
OFCondition Session::receive(const dicom_store_request &request, T_ASC_PresentationContextID id,
                             uint16_t *status)
{
    const dicom_service &service = l_.service;
    void *context = nullptr;
    if (*status == DICOM_STATUS_SUCCESS) {
        *status = service.store_begin(service.context, &request, &context);
    }
    /* After a refusal the rest is swallowed: the peer must be drained before it can be answered. */
    uint16_t answer = *status;
    const OFCondition condition =
        receive_dataset(association_, id, l_.timeout_s, [&](const uint8_t *data, size_t len) {
            if (answer == DICOM_STATUS_SUCCESS) {
                answer = service.store_data(context, data, len);
            }
        });
    *status = answer;
    if (context != nullptr) {
        const bool complete = condition.good() && *status == DICOM_STATUS_SUCCESS;
        const uint16_t end = service.store_end(context, complete);
        *status = complete ? end : *status;
    }
    return condition;
}

OFCondition Session::drain(T_ASC_PresentationContextID id)
{
    return receive_dataset(association_, id, l_.timeout_s, [](const uint8_t *, size_t) {});
}

OFCondition Session::answer(const dicom_command &request, T_ASC_PresentationContextID id,
                            uint16_t status)
{
    const dicom_command response = dicom_command_response(&request, status);
    const ds_status sent = send_message(association_, id, response, nullptr, 0, nullptr);
    return sent == DS_OK ? EC_Normal : DIMSE_SENDFAILED;
}

OFCondition Session::store(const dicom_command &request, const T_ASC_PresentationContext &pc)
{
    uint16_t status = DICOM_STATUS_CANNOT_UNDERSTAND; /* of a request without a data set */
    if (dicom_command_has_data_set(&request)) {
        status = judge(request, pc);
        const dicom_store_request begin = {&peer_, request.sop_class_uid, request.sop_instance_uid,
                                           pc.acceptedTransferSyntax};
        const OFCondition condition = receive(begin, pc.presentationContextID, &status);
        if (condition.bad()) {
            return condition;
        }
    }
    if (status == DICOM_STATUS_SUCCESS) {
        stored_++;
    } else {
        ds_log(DS_LOG_WARNING, "dicom", "assoc=%llu peer=%s status=%04x C-STORE not accepted",
               static_cast<unsigned long long>(peer_.association), peer_.calling_ae, status);
    }
    return answer(request, pc.presentationContextID, status);
}

/* A context that was not accepted, or a response to nothing, is a protocol error: the association
 * ends. An operation that nobody here knows is answered (PS3.7 C.5.24). */
OFCondition Session::dispatch(const dicom_command &command, T_ASC_PresentationContextID id)
{
    T_ASC_PresentationContext pc = {};
    const OFCondition condition =
        ASC_findAcceptedPresentationContext(association_->params, id, &pc);
    if (condition.bad() || dicom_command_is_response(&command)) {
        return condition.bad() ? condition : DIMSE_BADCOMMANDTYPE;
    }
    if (command.field == DICOM_C_STORE_RQ) {
        return store(command, pc);
    }
    if (command.field == DICOM_C_CANCEL_RQ) {
        return EC_Normal; /* nothing is under way that it could end, and it has no response */
    }
    const bool follows = dicom_command_has_data_set(&command);
    const OFCondition drained = follows ? drain(id) : EC_Normal;
    const uint16_t status =
        command.field == DICOM_C_ECHO_RQ ? DICOM_STATUS_SUCCESS : DICOM_STATUS_UNKNOWN_OPERATION;
    return drained.good() ? answer(command, id, status) : drained;
}

const char *Session::end(const OFCondition &condition)
{
    if (condition == DUL_PEERREQUESTEDRELEASE) {
        (void)ASC_acknowledgeRelease(association_);
        (void)ASC_dropSCPAssociation(association_, 2);
        return "released";
    }
    if (condition == DUL_PEERABORTEDASSOCIATION) {
        return "aborted by the peer";
    }
    ds_log(DS_LOG_DEBUG, "dicom", "assoc=%llu peer=%s aborting: %s",
           static_cast<unsigned long long>(peer_.association), peer_.calling_ae, condition.text());
    (void)ASC_abortAssociation(association_);
    if (l_.aborting.raised()) {
        return "aborted: stopping";
    }
    const bool late = condition == DIMSE_NODATAAVAILABLE || condition == DUL_READTIMEOUT;
    return late ? "aborted: the peer was silent for too long" : "aborted: protocol error or lost";
}

const char *Session::serve()
{
    for (;;) {
        T_ASC_PresentationContextID id = 0;
        dicom_command command = {};
        OFCondition condition = receive_command(association_, l_.timeout_s, &id, &command);
        if (condition.good()) {
            condition = dispatch(command, id);
        }
        if (condition.bad()) {
            return end(condition);
        }
    }
}

void Session::run(int socket)
{
    if (!receive_request(socket) || !admit()) {
        return;
    }
    const char *how = "lost during negotiation";
    if (negotiate()) {
        Connection *connection = connection_of(association_);
        if (connection != nullptr) {
            connection->set_deadline(0);
        }
        how = serve();
    }
    if (l_.service.closed != nullptr) {
        l_.service.closed(l_.service.context, &peer_, how, stored_);
    }
}

} // namespace

void serve_connection(dicom_listener &listener, int socket, const std::string &address) noexcept
{
    try {
        Session session(listener, address);
        session.run(socket);
    } catch (...) {
        ds_log(DS_LOG_ERROR, "dicom", "port=%u address=%s association lost: out of memory",
               static_cast<unsigned>(listener.port), address.c_str());
    }
}

} // namespace dicom
