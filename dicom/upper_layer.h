/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upper_layer - an association once it is negotiated, and DIMSE messages over it, of either side
 * (PS3.8 9.3, PS3.7 9.3); private to dicom/.
 */
#ifndef DICOMSTEGO_DICOM_UPPER_LAYER_H
#define DICOMSTEGO_DICOM_UPPER_LAYER_H

#include "dicom/receive.h"

#include "dicom/associate.h"
#include "dicom/command.h"

#include <functional>
#include <string>

namespace dicom
{

constexpr uint32_t default_pdu_bytes = 128 * 1024; /* what we take, unless told otherwise */
constexpr uint32_t min_pdu_bytes = 4096;

/* 0: the default. */
uint32_t pdu_bytes(uint32_t wanted);

/* Nothing but the characters of PS3.5 9.1, and some. */
bool uid_is_sound(const char *uid);

/* An accepted presentation context. */
struct Context {
    uint8_t id = 0;
    std::string abstract_syntax, transfer_syntax;
    unsigned roles = 0;      /* DICOM_ROLE_* of the requestor; 0: the default, SCU */
    bool relational = false; /* queries or retrievals (PS3.4 C.5.1.1) */
};

/* Which part of the house ends it (PS3.8 9.3.8). */
enum class AbortSource : uint8_t { user = 0, provider = 2 };
constexpr uint8_t abort_unspecified = 0;
constexpr uint8_t abort_bad_parameter = 6; /* invalid PDU parameter value */

struct Association {
    Connection connection;
    PduReader reader;
    int limit_ms; /* patience for whatever the peer has to do next */
    /* What the peer takes in one P-DATA-TF. */
    size_t peer_pdu_bytes = default_pdu_bytes;
    std::vector<Context> contexts;

    Association(int socket, const TlsContext *tls, const Interrupt *interrupt,
                uint32_t max_pdu_bytes, int limit)
        : connection(socket, tls, interrupt), reader(connection, max_pdu_bytes), limit_ms(limit)
    {
    }
    /* nullptr: not accepted. */
    const Context *context(uint8_t id) const;
    /* limit: as the peer stated it; 0 means any. */
    void set_peer_limit(uint32_t limit);
    /* A PDU that says no more than its type: A-RELEASE-RQ or -RP. */
    void say(dicom_pdu_type type);
    void abort(AbortSource source, uint8_t reason);
    /* Waits for the peer to close after our last word, at most limit: whoever closes first may
     * destroy what the other has not read yet (PS3.8 9.2.3, Sta13). */
    void linger(int limit);
};

/* Sends one message; data may be empty. DS_EIO: the association is lost, it can only be closed.
 * DS_EREFUSED: the peer's limit leaves no room for anything. */
ds_status send_message(Association &association, uint8_t context_id, const dicom_command &command,
                       const uint8_t *data, size_t len, ds_error *err);

/* What can be sent of a data set: its length is even (PS3.5 7.1), and a deflated stream of odd
 * length gets one NUL behind it (PS3.5 A.5), in copy. DS_EFORMAT: nothing, or odd. */
ds_status even(const char *transfer_syntax, const uint8_t **data, size_t *len, ds_bytes *copy,
               ds_error *err);

/* Waits for a command set: limit_ms for its first byte and as long again for the rest. protocol
 * also when it cannot be read. Whether the context was accepted is for the caller to ask. */
Ending receive_command(Association &association, uint8_t *id, dicom_command *command);

using PieceSink = std::function<void(const uint8_t *data, size_t len)>;

/* Reads fragments until the last one (PS3.8 E.2). One of odd length, against that clause, is taken:
 * whether the data set is one, its elements say, and that costs one instance and not the
 * association. Anything but none: what was handed on is incomplete. */
Ending receive_dataset(Association &association, uint8_t id, const PieceSink &sink);

} // namespace dicom

#endif
