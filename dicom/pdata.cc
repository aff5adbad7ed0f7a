/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/pdata.h"

#include <algorithm>
#include <cstring>

namespace dicom
{

namespace
{

constexpr uint8_t p_data_tf = 0x04;
constexpr uint8_t last_fragment = 0x02;
constexpr uint16_t c_store_rq = 0x0001;
constexpr uint16_t data_set_present = 0x0001; /* anything but 0101H */

void store_be32(uint8_t *out, size_t v)
{
    for (int i = 0; i < 4; i++) {
        out[i] = static_cast<uint8_t>(v >> (24 - 8 * i));
    }
}

ds_status put_head(ds_bytes *out, uint16_t element, size_t len, ds_error *err)
{
    ds_status status = ds_bytes_put_le(out, 0x0000, 2, err);
    if (status == DS_OK) {
        status = ds_bytes_put_le(out, element, 2, err);
    }
    return status == DS_OK ? ds_bytes_put_le(out, len, 4, err) : status;
}

ds_status put_number(ds_bytes *out, uint16_t element, uint32_t value, unsigned width, ds_error *err)
{
    const ds_status status = put_head(out, element, width, err);
    return status == DS_OK ? ds_bytes_put_le(out, value, width, err) : status;
}

ds_status put_uid(ds_bytes *out, uint16_t element, const char *uid, ds_error *err)
{
    const size_t len = uid == nullptr ? 0 : strnlen(uid, DICOM_UID_BYTES);
    if (len == 0 || len >= DICOM_UID_BYTES) {
        return ds_fail(err, DS_EINVAL, "a UID has 1 to 64 characters");
    }
    ds_status status = put_head(out, element, len + len % 2, err);
    if (status == DS_OK) {
        status = ds_bytes_append(out, uid, len, err);
    }
    if (status == DS_OK && len % 2 != 0) {
        status = ds_bytes_put_u8(out, 0, err); /* PS3.5 9.1 */
    }
    return status;
}

} // namespace

ds_status encode_store_command(const StoreCommand &command, uint16_t message_id, ds_bytes *out,
                               ds_error *err)
{
    bytes_owner rest(1024);
    ds_status status = put_uid(&rest.bytes, 0x0002, command.sop_class_uid, err);
    if (status == DS_OK) {
        status = put_number(&rest.bytes, 0x0100, c_store_rq, 2, err);
    }
    if (status == DS_OK) {
        status = put_number(&rest.bytes, 0x0110, message_id, 2, err);
    }
    if (status == DS_OK) {
        status = put_number(&rest.bytes, 0x0700, 0, 2, err); /* priority: medium */
    }
    if (status == DS_OK) {
        status = put_number(&rest.bytes, 0x0800, data_set_present, 2, err);
    }
    if (status == DS_OK) {
        status = put_uid(&rest.bytes, 0x1000, command.sop_instance_uid, err);
    }
    if (status == DS_OK) {
        status = put_number(out, 0x0000, static_cast<uint32_t>(rest.bytes.len), 4, err);
    }
    return status == DS_OK ? ds_bytes_append(out, rest.bytes.data, rest.bytes.len, err) : status;
}

bool PdvWriter::fragments(const uint8_t *bytes, size_t len, uint8_t control)
{
    while (len > 0) {
        if (count_ == batch && !flush()) {
            return false;
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
