/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/pdata.h"

#include <algorithm>
#include <cstring>

extern "C" {
#include "base/map.h"
}

namespace dicom
{

namespace
{

constexpr uint8_t p_data_tf = 0x04;
constexpr uint8_t last_fragment = 0x02;
constexpr size_t min_peer_pdu_bytes = 128; /* room for a fragment worth its head */

void store_be32(uint8_t *out, size_t v)
{
    for (int i = 0; i < 4; i++) {
        out[i] = static_cast<uint8_t>(v >> (24 - 8 * i));
    }
}

} // namespace

ds_status peer_pdu_bytes(T_ASC_Association *association, size_t *out, ds_error *err)
{
    long limit = association->params->theirMaxPDUReceiveSize;
    if (limit <= 0 || limit > ASC_MAXIMUMPDUSIZE) {
        limit = ASC_MAXIMUMPDUSIZE; /* 0: the peer takes any (PS3.8 D.1) */
    }
    *out = static_cast<size_t>(limit);
    if (*out < min_peer_pdu_bytes) {
        return ds_fail(err, DS_EREFUSED, "the peer takes no PDU above %ld bytes", limit);
    }
    return DS_OK;
}

Connection *connection_of(T_ASC_Association *association)
{
    if (association == nullptr || association->DULassociation == nullptr) {
        return nullptr;
    }
    return static_cast<Connection *>(DUL_getTransportConnection(association->DULassociation));
}

ds_status send_message(T_ASC_Association *association, uint8_t context_id,
                       const dicom_command &command, const uint8_t *data, size_t len, ds_error *err)
{
    bytes_owner encoded(DICOM_COMMAND_MAX_BYTES);
    size_t pdu_bytes = 0;
    ds_status status = peer_pdu_bytes(association, &pdu_bytes, err);
    if (status == DS_OK) {
        status = dicom_command_encode(&command, &encoded.bytes, err);
    }
    if (status != DS_OK) {
        return status;
    }
    Connection *connection = connection_of(association);
    if (connection == nullptr) {
        return ds_fail(err, DS_EIO, "the connection is lost");
    }
    PdvWriter writer(*connection, context_id, pdu_bytes);
    if (!writer.command(encoded.bytes.data, encoded.bytes.len) || !writer.data(data, len) ||
        !writer.flush()) {
        return ds_fail(err, DS_EIO, "the connection is lost");
    }
    return DS_OK;
}

bool PdvWriter::fragments(const uint8_t *bytes, size_t len, uint8_t control)
{
    const uint8_t *unsent = bytes;
    while (len > 0) {
        if (count_ == batch) {
            if (!flush()) {
                return false;
            }
            ds_map_forget(unsent, static_cast<size_t>(bytes - unsent));
            unsent = bytes;
        }
        const size_t part = std::min(len, fragment_bytes_);
        std::array<uint8_t, head_bytes> &head = heads_[count_];
        head[0] = p_data_tf;
        head[1] = 0;
        store_be32(&head[2], part + pdv_head_bytes);
        store_be32(&head[6], part + 2); /* context and control belong to the PDV's length */
        head[10] = context_id_;
        head[11] = part == len ? control | last_fragment : control;
        pieces_[2 * count_] = {head.data(), head.size()};
        pieces_[2 * count_ + 1] = {const_cast<uint8_t *>(bytes), part};
        count_++;
        bytes += part;
        len -= part;
    }
    return true;
}

bool PdvWriter::flush()
{
    const size_t count = count_;
    count_ = 0;
    return count == 0 || connection_.write_all(pieces_.data(), 2 * count);
}

} // namespace dicom
