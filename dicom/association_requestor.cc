/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_requestor.h"
#include "dicom/association_operations.h"
#include "dicom/sop_class.h"
#include "dicom/transfer_syntax.h"

#include <algorithm>
#include <cstring>

namespace dicom
{

namespace
{

constexpr size_t max_contexts = 128; /* odd identifiers of one byte: PS3.8 9.3.2.2 */
constexpr int farewell_ms = 5000;    /* for the answer to an A-RELEASE-RQ */
constexpr unsigned default_timeout_s = 30;

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

/* Verification first, then each context with the number that follows. */
std::vector<dicom_proposal> proposals_of(const dicom_context *contexts, size_t count,
                                         unsigned roles)
{
    std::vector<dicom_proposal> all = {
        {1, DICOM_VERIFICATION, DICOM_EXPLICIT_LE, DICOM_IMPLICIT_LE, 0}};
    for (size_t i = 0; i < count; i++) {
        const char *class_uid = contexts[i].sop_class_uid;
        all.push_back({static_cast<uint8_t>(2 * i + 3), class_uid, contexts[i].transfer_syntax,
                       nullptr, dicom_query_class_of(class_uid) == nullptr ? roles : 0});
    }
    return all;
}

/* What was accepted, and only in a syntax that was proposed. */
void take_answers(Association &association, const std::vector<dicom_proposal> &proposals,
                  const dicom_associate_accept &accept)
{
    association.set_peer_limit(accept.max_pdu_bytes);
    for (size_t i = 0; i < accept.count; i++) {
        const dicom_context_answer &a = accept.answers[i];
        const size_t at = (a.id - 1U) / 2;
        if (a.result != DICOM_CONTEXT_ACCEPTED || at >= proposals.size()) {
            continue;
        }
        const dicom_proposal &p = proposals[at];
        const bool other =
            p.other_syntax != nullptr && strcmp(p.other_syntax, a.transfer_syntax) == 0;
        if (other || strcmp(p.syntax, a.transfer_syntax) == 0) {
            association.contexts.push_back({a.id, p.abstract_syntax, a.transfer_syntax, p.roles});
        }
    }
}

ds_status rejected(const ds_bytes &body, ds_error *err)
{
    if (body.len != 4) {
        return ds_fail(err, DS_EFORMAT, "association: an A-ASSOCIATE-RJ of %zu bytes", body.len);
    }
    const dicom_rejection why = {body.data[1], body.data[2], body.data[3]};
    const bool for_now = why.result == DICOM_REJECTED_FOR_NOW;
    return ds_fail(err, for_now ? DS_EIO : DS_EREFUSED, "association rejected for %s: %s",
                   for_now ? "now" : "good", dicom_rejection_text(why));
}

ds_status read_answer(dicom_requestor &r, const std::vector<dicom_proposal> &proposals,
                      ds_error *err)
{
    Association &association = *r.association;
    bytes_owner body(DICOM_ASSOCIATE_MAX_BYTES);
    uint8_t type = 0;
    const Ending ending = association.reader.whole(&type, &body.bytes, DICOM_ASSOCIATE_MAX_BYTES);
    if (ending != Ending::none) {
        return association.connection.fail("association", err);
    }
    if (type == DICOM_PDU_ASSOCIATE_RJ) {
        return rejected(body.bytes, err);
    }
    if (type == DICOM_PDU_ABORT) {
        return ds_fail(err, DS_EIO, "association: aborted by the peer");
    }
    const std::unique_ptr<dicom_associate_accept> accept(new dicom_associate_accept);
    if (type != DICOM_PDU_ASSOCIATE_AC ||
        dicom_associate_accept_parse(body.bytes.data, body.bytes.len, accept.get(), nullptr) !=
            DS_OK) {
        association.abort(AbortSource::provider, abort_bad_parameter);
        return ds_fail(err, DS_EREFUSED, "association: the answer is no sound A-ASSOCIATE-AC");
    }
    take_answers(association, proposals, *accept);
    return DS_OK;
}

/* Connecting, TLS and negotiation, within one time limit that nothing extends. */
ds_status connect(dicom_requestor &r, const dicom_requestor_options &o,
                  const dicom_context *contexts, size_t count, ds_error *err)
{
    Patience patience;
    patience.start(r.timeout_ms, true);
    const Interrupt *interrupt = o.during == nullptr ? nullptr : interrupt_of(*o.during);
    const int socket = dial(o.host, o.port, patience, interrupt, err);
    if (socket < 0) {
        return DS_EIO;
    }
    const uint32_t max_pdu = pdu_bytes(o.max_pdu_bytes);
    r.association.reset(new Association(socket, r.tls.get(), interrupt, max_pdu, r.timeout_ms));
    Connection &connection = r.association->connection;
    connection.patience = patience;
    const std::vector<dicom_proposal> proposals =
        proposals_of(contexts, count, o.as_scp ? DICOM_ROLE_SCP : 0);
    bytes_owner pdu(DICOM_ASSOCIATE_MAX_BYTES);
    ds_status status = dicom_associate_request_encode(
        o.called_ae, o.calling_ae, max_pdu, proposals.data(), proposals.size(), &pdu.bytes, err);
    if (status == DS_OK &&
        (!connection.handshake(false) || !connection.write_all(pdu.bytes.data, pdu.bytes.len))) {
        status = connection.fail("association", err);
    }
    status = status == DS_OK ? read_answer(r, proposals, err) : status;
    r.established = status == DS_OK;
    r.broken = !r.established;
    return status;
}

/* Sends a request and waits for its response; *answer is that. Whatever else comes costs the
 * association: nobody could tell which answer belongs to which request any more. */
ds_status exchange(dicom_requestor &r, uint8_t id, const dicom_command &request,
                   const uint8_t *data, size_t len, dicom_command *answer, ds_error *err)
{
    const char *what = request.field == DICOM_C_ECHO_RQ ? "C-ECHO" : "C-STORE";
    const ds_status status = send_message(*r.association, id, request, data, len, err);
    if (status != DS_OK) {
        return status == DS_EREFUSED ? status : r.lost(Ending::lost, what, err);
    }
    uint8_t answered_on = 0;
    const Ending ending = receive_command(*r.association, &answered_on, answer);
    if (ending != Ending::none) {
        return r.lost(ending, what, err);
    }
    if (answered_on != id || answer->field != (request.field | DICOM_RESPONSE) ||
        answer->responded_to != request.message_id || dicom_command_has_data_set(answer)) {
        return r.lost(Ending::protocol, what, err);
    }
    return DS_OK;
}

dicom_command request_of(dicom_requestor &r, uint16_t field, const char *sop_class)
{
    dicom_command c = {};
    c.present =
        DICOM_HAS_SOP_CLASS | DICOM_HAS_FIELD | DICOM_HAS_MESSAGE_ID | DICOM_HAS_DATA_SET_TYPE;
    c.field = field;
    c.message_id = r.next_message_id++;
    c.data_set_type = DICOM_NO_DATA_SET;
    (void)snprintf(c.sop_class_uid, sizeof(c.sop_class_uid), "%s", sop_class);
    return c;
}

dicom_command store_request(dicom_requestor &r, const char *sop_class, const char *sop_instance)
{
    dicom_command c = request_of(r, DICOM_C_STORE_RQ, sop_class);
    c.present |= DICOM_HAS_PRIORITY | DICOM_HAS_SOP_INSTANCE;
    c.data_set_type = DICOM_WITH_DATA_SET;
    (void)snprintf(c.sop_instance_uid, sizeof(c.sop_instance_uid), "%s", sop_instance);
    if (!r.move_originator.empty()) {
        c.present |= DICOM_HAS_ORIGINATOR | DICOM_HAS_ORIGINATOR_ID;
        (void)snprintf(c.originator, sizeof(c.originator), "%s", r.move_originator.c_str());
        c.originator_id = r.move_message_id;
    }
    return c;
}

/* Asks for the end and waits for it; a peer that asks at the same moment is answered (PS3.8 9.2,
 * release collision). What still comes in between is not for us any more. */
void take_leave(Association &association)
{
    association.say(DICOM_PDU_RELEASE_RQ);
    association.connection.patience.start(std::min(association.limit_ms, farewell_ms), true);
    bytes_owner body(DICOM_ASSOCIATE_MAX_BYTES);
    uint8_t type = DICOM_PDU_DATA;
    while (type == DICOM_PDU_DATA || type == DICOM_PDU_RELEASE_RQ) {
        if (association.reader.whole(&type, &body.bytes, DICOM_ASSOCIATE_MAX_BYTES) !=
            Ending::none) {
            association.abort(AbortSource::user, abort_unspecified);
            return;
        }
        if (type == DICOM_PDU_RELEASE_RQ) {
            association.say(DICOM_PDU_RELEASE_RP);
        }
    }
}

} // namespace

} // namespace dicom

dicom_requestor::~dicom_requestor()
{
    if (established) {
        if (broken) {
            association->abort(dicom::AbortSource::user, dicom::abort_unspecified);
        } else {
            dicom::take_leave(*association);
        }
    }
}

/* 0: none. */
uint8_t dicom_requestor::context(const char *sop_class, const char *syntax) const
{
    for (const dicom::Context &c : association->contexts) {
        if (c.abstract_syntax == sop_class && c.transfer_syntax == syntax) {
            return c.id;
        }
    }
    return 0;
}

/* Between messages a peer has nothing to say but that it leaves. */
bool dicom_requestor::usable()
{
    ended = ended || (!broken && !association->reader.idle());
    return !broken && !ended;
}

/* The association cannot be used any more, whatever the reason was: from here on it can only be
 * closed. */
ds_status dicom_requestor::lost(dicom::Ending ending, const char *what, ds_error *err)
{
    broken = true;
    switch (ending) {
    case dicom::Ending::released:
    case dicom::Ending::aborted:
        ended = true;
        return ds_fail(err, DS_EIO, "%s: the peer has ended the association", what);
    case dicom::Ending::protocol:
        return ds_fail(err, DS_EIO, "%s: the peer's answer is none to what was asked", what);
    default:
        return association->connection.fail(what, err);
    }
}

extern "C" ds_status dicom_requestor_open(dicom_requestor **out,
                                          const dicom_requestor_options *options,
                                          const dicom_context *contexts, size_t count,
                                          ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        ds_status status = dicom::check_options(*options, contexts, count, err);
        if (status != DS_OK) {
            return status;
        }
        std::unique_ptr<dicom_requestor> r(new dicom_requestor);
        const unsigned timeout_s =
            options->timeout_s == 0 ? dicom::default_timeout_s : options->timeout_s;
        r->move_originator = options->move_originator == nullptr ? "" : options->move_originator;
        r->move_message_id = options->move_message_id;
        r->timeout_ms = static_cast<int>(std::min(timeout_s, 3600U) * 1000U);
        if (options->tls != nullptr) {
            status = dicom::TlsContext::make(r->tls, *options->tls, false, err);
        }
        if (status == DS_OK) {
            status = dicom::connect(*r, *options, contexts, count, err);
        }
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

extern "C" bool dicom_requestor_usable(dicom_requestor *r)
{
    return dicom::guarded_or(false, [&] { return r->usable(); });
}

extern "C" bool dicom_requestor_was_cut(const dicom_requestor *r)
{
    return r->association != nullptr &&
           (r->ended || r->association->connection.loss() == dicom::Loss::closed);
}

extern "C" ds_status dicom_requestor_echo(dicom_requestor *r, ds_error *err)
{
    return dicom::guarded(err, [&] {
        if (!r->usable()) {
            return ds_fail(err, DS_EIO, "C-ECHO: the peer has ended the association");
        }
        const uint8_t id = r->context(DICOM_VERIFICATION, DICOM_EXPLICIT_LE) != 0
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
        const ds_status sound = dicom::even(transfer_syntax, &data, &len, &padded.bytes, err);
        if (sound != DS_OK) {
            return sound;
        }
        if (!r->usable()) {
            return ds_fail(err, DS_EIO, "C-STORE: the peer has ended the association");
        }
        const uint8_t id = r->context(sop_class_uid, transfer_syntax);
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
