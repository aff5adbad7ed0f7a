/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/pdata.h"

#include "dicom/associate.h"

#include <algorithm>
#include <cstring>

extern "C" {
#include "base/map.h"
}

namespace dicom
{

namespace
{

constexpr uint8_t last_fragment = 0x02;

void store_be32(uint8_t *out, size_t v)
{
    for (int i = 0; i < 4; i++) {
        out[i] = static_cast<uint8_t>(v >> (24 - 8 * i));
    }
}

} // namespace

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
        head[0] = DICOM_PDU_DATA;
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
