/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/upper_layer.h"

#include "dicom/pdata.h"
#include "dicom/transfer_syntax.h"

extern "C" {
#include "base/clock.h"
}

#include <algorithm>
#include <cstring>

namespace dicom
{

namespace
{

constexpr size_t min_peer_pdu_bytes = 128; /* room for a fragment worth its head */
constexpr uint32_t max_pdu_bytes = 1024 * 1024;

} // namespace

uint32_t pdu_bytes(uint32_t wanted)
{
    return wanted == 0 ? default_pdu_bytes : std::clamp(wanted, min_pdu_bytes, max_pdu_bytes);
}

bool uid_is_sound(const char *uid)
{
    const size_t len = strspn(uid, "0123456789.");
    return len > 0 && uid[len] == '\0';
}

const Context *Association::context(uint8_t id) const
{
    for (const Context &c : contexts) {
        if (c.id == id) {
            return &c;
        }
    }
    return nullptr;
}

void Association::set_peer_limit(uint32_t limit)
{
    peer_pdu_bytes = limit == 0 ? max_pdu_bytes : std::min(limit, max_pdu_bytes);
}

void Association::say(dicom_pdu_type type)
{
    const uint8_t pdu[10] = {static_cast<uint8_t>(type), 0, 0, 0, 0, 4};
    connection.patience.start(limit_ms);
    (void)connection.write_all(pdu, sizeof(pdu));
}

void Association::abort(AbortSource source, uint8_t reason)
{
    const uint8_t pdu[10] = {DICOM_PDU_ABORT, 0, 0, 0, 0, 4, 0, 0, static_cast<uint8_t>(source),
                             reason};
    connection.last_words(pdu, sizeof(pdu));
}

void Association::linger(int limit)
{
    uint8_t unread[4096];
    connection.patience.start(limit, true);
    while (connection.read_some(unread, sizeof(unread)) > 0) {
    }
}

ds_status send_message(Association &association, uint8_t context_id, const dicom_command &command,
                       const uint8_t *data, size_t len, ds_error *err)
{
    if (association.peer_pdu_bytes < min_peer_pdu_bytes) {
        return ds_fail(err, DS_EREFUSED, "the peer takes no PDU above %zu bytes",
                       association.peer_pdu_bytes);
    }
    bytes_owner encoded(DICOM_COMMAND_MAX_BYTES);
    const ds_status status = dicom_command_encode(&command, &encoded.bytes, err);
    if (status != DS_OK) {
        return status;
    }
    association.connection.patience.start(association.limit_ms);
    PdvWriter writer(association.connection, context_id, association.peer_pdu_bytes);
    if (!writer.command(encoded.bytes.data, encoded.bytes.len) || !writer.data(data, len) ||
        !writer.flush()) {
        return association.connection.fail("sending", err);
    }
    return DS_OK;
}

ds_status even(const char *transfer_syntax, const uint8_t **data, size_t *len, ds_bytes *copy,
               ds_error *err)
{
    ds_status status = DS_OK;
    if (*len % 2 != 0 && strcmp(transfer_syntax, DICOM_DEFLATED_LE) == 0) {
        status = ds_bytes_reserve(copy, *len + 1, err);
        status = status == DS_OK ? ds_bytes_append(copy, *data, *len, err) : status;
        status = status == DS_OK ? ds_bytes_put_u8(copy, 0, err) : status;
        *data = copy->data;
        *len = copy->len;
    }
    if (status == DS_OK && (*len == 0 || *len % 2 != 0)) {
        return ds_fail(err, DS_EFORMAT, "a data set of %zu bytes", *len);
    }
    return status;
}

Ending receive_command(Association &association, uint8_t *id, dicom_command *command)
{
    association.connection.patience.start(association.limit_ms);
    Ending ending = association.reader.await();
    association.connection.patience.start(association.limit_ms);
    bytes_owner set(DICOM_COMMAND_MAX_BYTES);
    Piece piece = {};
    for (bool first = true; ending == Ending::none && !piece.last; first = false) {
        ending = association.reader.next(&piece);
        if (ending != Ending::none) {
            break;
        }
        if (!piece.is_command || (!first && piece.context_id != *id) ||
            ds_bytes_append(&set.bytes, piece.data, piece.len, nullptr) != DS_OK) {
            return Ending::protocol;
        }
        *id = piece.context_id;
    }
    ds_error why = {};
    if (ending == Ending::none &&
        dicom_command_parse(set.bytes.data, set.bytes.len, command, &why) != DS_OK) {
        ds_log(DS_LOG_WARNING, "dicom", "a command set that cannot be read: %s", why.text);
        return Ending::protocol;
    }
    return ending;
}

Ending receive_dataset(Association &association, uint8_t id, const PieceSink &sink)
{
    Patience &patience = association.connection.patience;
    patience.start(association.limit_ms);
    Piece piece = {};
    while (!piece.last) {
        const Ending ending = association.reader.next(&piece);
        if (ending != Ending::none) {
            return ending;
        }
        if (piece.is_command || piece.context_id != id) {
            return Ending::protocol;
        }
        if (piece.len > 0) {
            const int64_t begin = ds_clock_monotonic_ms();
            sink(piece.data, piece.len);
            patience.excuse(ds_clock_monotonic_ms() - begin);
        }
    }
    return Ending::none;
}

} // namespace dicom
