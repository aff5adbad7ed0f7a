/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_events.h"
#include "dicom/association_operations.h"
#include "dicom/sop_class.h"
#include "dicom/transfer_syntax.h"

extern "C" {
#include "base/metrics.h"
}

#include <algorithm>
#include <cstring>

namespace dicom
{

namespace
{

constexpr int linger_ms = 2000;
constexpr size_t titles_at = 4; /* behind the protocol version: PS3.8 9.3.2 */

class Session
{
  public:
    Session(dicom_listener &listener, int socket, const std::string &address)
        : l_(listener), tls_(listener.tls_now()),
          association_(socket, tls_.get(), &listener.aborting, listener.max_pdu_bytes,
                       listener.timeout_ms)
    {
        (void)snprintf(peer_.address, sizeof(peer_.address), "%s", address.c_str());
        peer_.tls = tls_ != nullptr;
    }
    ~Session()
    {
        if (placed_) {
            l_.leave_place();
        }
    }
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;
    void run();

  private:
    bool receive_request(bytes_owner &body, dicom_associate_request &request);
    bool admit(const dicom_associate_request &request);
    void identify(const dicom_associate_request &request);
    bool reject(const dicom_rejection &rejection, const char *why);
    bool negotiate(const bytes_owner &body, const dicom_associate_request &request);
    const std::string *storage_syntax(const dicom_presentation &proposed) const;
    void answer_context(const dicom_presentation &proposed, dicom_context_answer &answer);
    const char *serve();
    const char *end(Ending ending);
    Ending dispatch(const dicom_command &command, uint8_t id);
    Ending store(const dicom_command &request, const Context &context);
    Ending receive(const dicom_store_request &request, uint8_t id, uint16_t *status);
    Ending drain(uint8_t id);
    Ending answer(const dicom_command &request, uint8_t id, uint16_t status);
    uint16_t judge(const dicom_command &request, const Context &context) const;
    bool takes(const char *abstract_syntax) const;

    dicom_listener &l_;
    std::shared_ptr<const TlsContext> tls_;
    Association association_;
    dicom_peer peer_{};
    std::unique_ptr<Events> events_;         /* while it serves */
    std::unique_ptr<Operations> operations_; /* as long as these */
    unsigned stored_ = 0;
    bool placed_ = false;
    bool gets_ = false; /* may retrieve on this association */
};

/* Scanners and health checks connect and go: no alarm. */
void log_stranger(const dicom_listener &l, const dicom_peer &peer, const ds_error &why)
{
    ds_log(why.status == DS_EAUTH ? DS_LOG_WARNING : DS_LOG_INFO, "dicom",
           "port=%u address=%s no association: %s", static_cast<unsigned>(l.port), peer.address,
           why.text);
}

/* TLS and the A-ASSOCIATE-RQ, within one time limit that nothing extends (ARTIM: PS3.8 9.1.5). */
bool Session::receive_request(bytes_owner &body, dicom_associate_request &request)
{
    Connection &connection = association_.connection;
    connection.patience.start(std::min(l_.timeout_ms, max_request_wait_ms), true);
    uint8_t type = 0;
    Ending ending = connection.handshake(true) ? Ending::none : Ending::lost;
    if (ending == Ending::none) {
        ending = association_.reader.whole(&type, &body.bytes, DICOM_ASSOCIATE_MAX_BYTES);
    }
    ds_error why = {};
    if (ending == Ending::lost) {
        (void)connection.fail("connection", &why);
    } else if (ending != Ending::none || type != DICOM_PDU_ASSOCIATE_RQ) {
        (void)ds_fail(&why, DS_EFORMAT, "the first PDU is no A-ASSOCIATE-RQ");
    } else if (dicom_associate_request_parse(body.bytes.data, body.bytes.len, &request, &why) ==
               DS_OK) {
        return true;
    }
    log_stranger(l_, peer_, why);
    if (why.status == DS_EAUTH && l_.service.untrusted != nullptr) {
        l_.service.untrusted(l_.service.context, &peer_);
    }
    if (ending != Ending::lost) { /* who says nothing hears nothing: PS3.8 9.2, AA-2 */
        association_.abort(AbortSource::provider, abort_bad_parameter);
    }
    return false;
}

void Session::identify(const dicom_associate_request &request)
{
    memcpy(peer_.calling_ae, request.calling_ae, sizeof(peer_.calling_ae));
    memcpy(peer_.called_ae, request.called_ae, sizeof(peer_.called_ae));
    peer_.has_key_id = association_.connection.peer_key_id(peer_.key_id);
    const std::lock_guard<std::mutex> lock(l_.mutex);
    peer_.association = ++l_.last_association;
}

bool Session::reject(const dicom_rejection &rejection, const char *why)
{
    ds_log(DS_LOG_WARNING, "dicom", "assoc=%llu peer=%s address=%s rejected: %s",
           static_cast<unsigned long long>(peer_.association), peer_.calling_ae, peer_.address,
           why);
    ds_metric_add(DS_METRIC_ASSOCIATIONS_REFUSED, why, nullptr, 1);
    const uint8_t pdu[10] = {
        DICOM_PDU_ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, rejection.result, rejection.source,
        rejection.reason};
    if (association_.connection.write_all(pdu, sizeof(pdu))) {
        association_.linger(linger_ms);
    }
    return false;
}

/* The numbers: PS3.8 table 9-21. */
bool Session::admit(const dicom_associate_request &request)
{
    identify(request);
    if (!request.version_1) {
        return reject({DICOM_REJECTED_FOR_GOOD, 2, 2}, "protocol version");
    }
    if (strcmp(request.application_context, DICOM_APPLICATION_CONTEXT) != 0) {
        return reject({DICOM_REJECTED_FOR_GOOD, 1, 2}, "application context");
    }
    if (!l_.any_called_ae && std::find(l_.ae_titles.begin(), l_.ae_titles.end(), peer_.called_ae) ==
                                 l_.ae_titles.end()) {
        return reject({DICOM_REJECTED_FOR_GOOD, 1, 7}, "called AE title");
    }
    placed_ = l_.take_place();
    if (!placed_) {
        return reject({DICOM_REJECTED_FOR_NOW, 3, 2}, "too many associations");
    }
    bool transient = false;
    if (l_.service.admit != nullptr && !l_.service.admit(l_.service.context, &peer_, &transient)) {
        return transient ? reject({DICOM_REJECTED_FOR_NOW, 3, 2}, "not now")
                         : reject({DICOM_REJECTED_FOR_GOOD, 1, 3}, "calling AE title");
    }
    return true;
}

std::vector<std::string> proposed_syntaxes(const dicom_presentation &proposed)
{
    std::vector<std::string> found;
    ds_cursor c = proposed.syntaxes;
    char uid[DICOM_UID_BYTES];
    while (dicom_presentation_next(&c, uid)) {
        found.emplace_back(uid);
    }
    return found;
}

/* nullptr: none of ours is among them. */
const std::string *preferred(const std::vector<std::string> &ours,
                             const dicom_presentation &proposed)
{
    const std::vector<std::string> theirs = proposed_syntaxes(proposed);
    for (const std::string &syntax : ours) {
        if (std::find(theirs.begin(), theirs.end(), syntax) != theirs.end()) {
            return &syntax;
        }
    }
    return nullptr;
}

const std::string *uncompressed(const dicom_presentation &proposed)
{
    static const std::vector<std::string> plain = {DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE};
    return preferred(plain, proposed);
}

bool Session::takes(const char *abstract_syntax) const
{
    return l_.only_known_classes ? dicom_sop_class_of(abstract_syntax) != nullptr
                                 : dicom_sop_class_may_be_storage(abstract_syntax);
}

/* We are the SCP, but of whoever may get from us, where he offers it (PS3.4 C.4.3.1), and of who
 * reports on an association of his own: he proposes to be SCP, or, against PS3.4 J.3.3, nothing. */
unsigned roles_for(const dicom_presentation &proposed, bool both)
{
    return both ? proposed.roles : proposed.roles & DICOM_ROLE_SCU;
}

/* To a peer that offers to be SCP we send: of what he lists in one context, what everything can be
 * written in. Else nullptr. */
const std::string *Session::storage_syntax(const dicom_presentation &proposed) const
{
    const bool sending = gets_ && (proposed.roles & DICOM_ROLE_SCP) != 0;
    const std::string *plain = sending ? uncompressed(proposed) : nullptr;
    return plain != nullptr ? plain : preferred(l_.transfer_syntaxes, proposed);
}

void Session::answer_context(const dicom_presentation &proposed, dicom_context_answer &answer)
{
    answer.id = proposed.id;
    answer.result = DICOM_CONTEXT_NO_ABSTRACT_SYNTAX;
    memcpy(answer.abstract_syntax, proposed.abstract_syntax, sizeof(answer.abstract_syntax));
    const bool echo = strcmp(proposed.abstract_syntax, DICOM_VERIFICATION) == 0;
    const bool events = takes_events(l_.service, proposed.abstract_syntax);
    const dicom_query_class *query = dicom_query_class_of(proposed.abstract_syntax);
    const bool asks = query != nullptr && offers_query(l_.service, peer_, query->kind);
    if (!echo && !events && !asks && !takes(proposed.abstract_syntax)) {
        return;
    }
    const bool storage = !echo && !events && !asks;
    const std::string *syntax = storage ? storage_syntax(proposed) : uncompressed(proposed);
    if (syntax == nullptr) {
        answer.result = DICOM_CONTEXT_NO_TRANSFER_SYNTAX;
        return;
    }
    answer.result = DICOM_CONTEXT_ACCEPTED;
    memcpy(answer.transfer_syntax, syntax->c_str(), syntax->size() + 1);
    answer.roles = roles_for(proposed, events || (storage && gets_));
    answer.has_roles = answer.roles != 0;
    const bool relational = asks && agree_on_options(proposed, answer);
    association_.contexts.push_back(
        {proposed.id, proposed.abstract_syntax, *syntax, answer.roles, relational});
}

bool Session::negotiate(const bytes_owner &body, const dicom_associate_request &request)
{
    association_.set_peer_limit(request.max_pdu_bytes);
    gets_ = offers_query(l_.service, peer_, DICOM_QUERY_GET);
    std::vector<dicom_context_answer> answers(request.count);
    for (size_t i = 0; i < request.count; i++) {
        answer_context(request.contexts[i], answers[i]);
    }
    bytes_owner pdu(DICOM_ASSOCIATE_MAX_BYTES);
    if (dicom_associate_accept_encode(body.bytes.data + titles_at, l_.max_pdu_bytes, answers.data(),
                                      answers.size(), &pdu.bytes, nullptr) != DS_OK) {
        throw std::bad_alloc();
    }
    association_.connection.patience.start(l_.timeout_ms);
    return association_.connection.write_all(pdu.bytes.data, pdu.bytes.len);
}

uint16_t Session::judge(const dicom_command &request, const Context &context) const
{
    if (l_.service.may_store != nullptr && !l_.service.may_store(l_.service.context, &peer_)) {
        return DICOM_STATUS_NOT_AUTHORIZED;
    }
    if (context.abstract_syntax == DICOM_VERIFICATION) {
        return DICOM_STATUS_CLASS_NOT_SUPPORTED;
    }
    if (context.abstract_syntax != request.sop_class_uid) {
        return DICOM_STATUS_MISMATCH;
    }
    /* Goes into file headers and queries: nothing but the characters of PS3.5 9.1 gets past here.
     */
    if (!uid_is_sound(request.sop_instance_uid)) {
        return DICOM_STATUS_CANNOT_UNDERSTAND;
    }
    return DICOM_STATUS_SUCCESS;
}

/* Reads one data set. *status: in, what is decided already; out, what to answer. Anything but none:
 * the association is lost. */
Ending Session::receive(const dicom_store_request &request, uint8_t id, uint16_t *status)
{
    const dicom_service &service = l_.service;
    void *context = nullptr;
    if (*status == DICOM_STATUS_SUCCESS) {
        *status = service.store_begin(service.context, &request, &context);
    }
    /* After a refusal the rest is swallowed: the peer must be drained before it can be answered. */
    uint16_t answer = *status;
    const Ending ending = receive_dataset(association_, id, [&](const uint8_t *data, size_t len) {
        if (answer == DICOM_STATUS_SUCCESS) {
            answer = service.store_data(context, data, len);
        }
    });
    *status = answer;
    if (context != nullptr) {
        const bool complete = ending == Ending::none && *status == DICOM_STATUS_SUCCESS;
        const uint16_t end = service.store_end(context, complete);
        *status = complete ? end : *status;
    }
    return ending;
}

Ending Session::drain(uint8_t id)
{
    return receive_dataset(association_, id, [](const uint8_t *, size_t) {});
}

Ending Session::answer(const dicom_command &request, uint8_t id, uint16_t status)
{
    const dicom_command response = dicom_command_response(&request, status);
    const ds_status sent = send_message(association_, id, response, nullptr, 0, nullptr);
    return sent == DS_OK ? Ending::none : Ending::lost;
}

void count_answer(uint16_t status)
{
    char text[8];
    (void)snprintf(text, sizeof(text), "%04x", static_cast<unsigned>(status));
    ds_metric_add(DS_METRIC_STORE_ANSWERS, text, nullptr, 1);
}

Ending Session::store(const dicom_command &request, const Context &context)
{
    uint16_t status = DICOM_STATUS_CANNOT_UNDERSTAND; /* of a request without a data set */
    if (dicom_command_has_data_set(&request)) {
        status = judge(request, context);
        const dicom_store_request begin = {&peer_, request.sop_class_uid, request.sop_instance_uid,
                                           context.transfer_syntax.c_str(), request.originator};
        const Ending ending = receive(begin, context.id, &status);
        if (ending != Ending::none) {
            return ending;
        }
    }
    count_answer(status);
    if (status == DICOM_STATUS_SUCCESS) {
        stored_++;
    } else {
        ds_log(DS_LOG_WARNING, "dicom", "assoc=%llu peer=%s status=%04x C-STORE not accepted",
               static_cast<unsigned long long>(peer_.association), peer_.calling_ae, status);
    }
    return answer(request, context.id, status);
}

/* A context that was not accepted, or a response to nothing, is a protocol error: the association
 * ends. An operation that nobody here knows is answered (PS3.7 C.5.24). */
Ending Session::dispatch(const dicom_command &command, uint8_t id)
{
    const Context *context = association_.context(id);
    if (context == nullptr) {
        return Ending::protocol;
    }
    bool handled = false;
    Ending ending = events_->dispatch(command, *context, &handled);
    if (!handled) {
        ending = operations_->dispatch(command, *context, &handled);
    }
    if (handled) {
        return ending;
    }
    if (dicom_command_is_response(&command)) {
        return Ending::protocol;
    }
    if (command.field == DICOM_C_STORE_RQ) {
        return store(command, *context);
    }
    if (command.field == DICOM_C_CANCEL_RQ) {
        return Ending::none; /* nothing is under way that it could end, and it has no response */
    }
    const bool follows = dicom_command_has_data_set(&command);
    const Ending drained = follows ? drain(id) : Ending::none;
    const uint16_t status =
        command.field == DICOM_C_ECHO_RQ ? DICOM_STATUS_SUCCESS : DICOM_STATUS_UNKNOWN_OPERATION;
    return drained == Ending::none ? answer(command, id, status) : drained;
}

const char *Session::end(Ending ending)
{
    if (ending == Ending::released) {
        association_.say(DICOM_PDU_RELEASE_RP);
        association_.linger(linger_ms);
        return "released";
    }
    if (ending == Ending::aborted) {
        return "aborted by the peer";
    }
    const Loss loss = association_.connection.loss();
    association_.abort(AbortSource::provider, abort_unspecified);
    switch (loss) {
    case Loss::none:
        return "aborted: the peer broke the protocol";
    case Loss::late:
        return "aborted: the peer was silent or slow for too long";
    case Loss::stopping:
        return "aborted: stopping";
    default:
        return "lost";
    }
}

const char *Session::serve()
{
    for (;;) {
        uint8_t id = 0;
        dicom_command command = {};
        Ending ending = events_->await();
        if (ending == Ending::none) {
            ending = receive_command(association_, &id, &command);
        }
        if (ending == Ending::none) {
            ending = dispatch(command, id);
        }
        if (ending != Ending::none) {
            return end(ending);
        }
    }
}

/* Counted as open for as long as it lives, however it ends. */
struct OpenAssociation {
    OpenAssociation()
    {
        ds_metric_add(DS_METRIC_ASSOCIATIONS, nullptr, nullptr, 1);
        ds_metric_change(DS_METRIC_ASSOCIATIONS_OPEN, nullptr, nullptr, 1);
    }
    ~OpenAssociation()
    {
        ds_metric_change(DS_METRIC_ASSOCIATIONS_OPEN, nullptr, nullptr, -1);
    }
    OpenAssociation(const OpenAssociation &) = delete;
    OpenAssociation &operator=(const OpenAssociation &) = delete;
};

void Session::run()
{
    bytes_owner body(DICOM_ASSOCIATE_MAX_BYTES);
    const std::unique_ptr<dicom_associate_request> request(new dicom_associate_request);
    if (!receive_request(body, *request) || !admit(*request)) {
        return;
    }
    const OpenAssociation counted;
    const char *how = "lost during negotiation";
    if (negotiate(body, *request)) {
        events_.reset(new Events(l_, peer_, association_));
        operations_.reset(new Operations(l_, peer_, association_));
        how = serve();
        operations_.reset();
        events_.reset();
    }
    if (l_.service.closed != nullptr) {
        l_.service.closed(l_.service.context, &peer_, how, stored_);
    }
}

} // namespace

void serve_connection(dicom_listener &listener, int socket, const std::string &address) noexcept
{
    try {
        Session session(listener, socket, address);
        session.run();
    } catch (...) {
        ds_log(DS_LOG_ERROR, "dicom", "port=%u address=%s association lost: out of memory",
               static_cast<unsigned>(listener.port), address.c_str());
    }
}

} // namespace dicom
