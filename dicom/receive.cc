/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/receive.h"

#include "dicom/associate.h"

#include <algorithm>
#include <cstring>

namespace dicom
{

namespace
{

constexpr size_t fragment_head_bytes = 6; /* length of four bytes, context, control */
constexpr uint8_t is_command_bit = 1;     /* of the control header: PS3.8 E.2 */
constexpr uint8_t is_last_bit = 2;

} // namespace

BufferPool &BufferPool::shared()
{
    static BufferPool pool;
    return pool;
}

BufferPool::Buffer BufferPool::take()
{
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!free_.empty()) {
            Buffer buffer = std::move(free_.back());
            free_.pop_back();
            return buffer;
        }
        free_.reserve(kept); /* so that giving back needs no memory */
    }
    return Buffer(new uint8_t[receive_buffer_bytes]);
}

void BufferPool::give(Buffer buffer) noexcept
{
    const std::lock_guard<std::mutex> lock(mutex_);
    if (buffer != nullptr && free_.size() < kept) {
        free_.push_back(std::move(buffer));
    }
}

PduReader::~PduReader()
{
    BufferPool::shared().give(std::move(buffer_));
}

bool PduReader::fill()
{
    if (buffer_ == nullptr) {
        buffer_ = BufferPool::shared().take();
    }
    if (at_ == len_) {
        at_ = len_ = 0;
    }
    const size_t n = connection_.read_some(buffer_.get() + len_, receive_buffer_bytes - len_);
    len_ += n;
    return n > 0;
}

/* At least so many bytes buffered; a head at most, so moving what is there costs nothing. */
bool PduReader::need(size_t bytes)
{
    if (at_ > 0 && at_ + bytes > receive_buffer_bytes) {
        memmove(buffer_.get(), buffer_.get() + at_, len_ - at_);
        len_ -= at_;
        at_ = 0;
    }
    while (len_ - at_ < bytes) {
        if (!fill()) {
            return false;
        }
    }
    return true;
}

bool PduReader::rest()
{
    if (at_ < len_) {
        return false;
    }
    BufferPool::shared().give(std::move(buffer_));
    at_ = len_ = 0;
    return true;
}

bool PduReader::has_more(int ms)
{
    return !rest() || connection_.readable_within(ms);
}

Ending PduReader::await()
{
    if (!rest()) {
        return Ending::none;
    }
    return connection_.wait_readable() ? Ending::none : Ending::lost;
}

Ending PduReader::pdu_head(uint8_t *type, uint32_t *len)
{
    if (!need(DICOM_PDU_HEAD_BYTES)) {
        return Ending::lost;
    }
    ds_cursor c = ds_cursor_over(buffer_.get() + at_, DICOM_PDU_HEAD_BYTES);
    *type = static_cast<uint8_t>(ds_cursor_be(&c, 1));
    (void)ds_cursor_be(&c, 1);
    *len = static_cast<uint32_t>(ds_cursor_be(&c, 4));
    at_ += DICOM_PDU_HEAD_BYTES;
    return Ending::none;
}

Ending PduReader::whole(uint8_t *type, ds_bytes *body, size_t max)
{
    uint32_t len = 0;
    const Ending ending = pdu_head(type, &len);
    if (ending != Ending::none) {
        return ending;
    }
    body->len = 0;
    if (len > max) {
        return Ending::protocol;
    }
    while (body->len < len) {
        if (at_ == len_ && !fill()) {
            return Ending::lost;
        }
        const size_t part = std::min(len - body->len, len_ - at_);
        if (ds_bytes_append(body, buffer_.get() + at_, part, nullptr) != DS_OK) {
            throw std::bad_alloc();
        }
        at_ += part;
    }
    return Ending::none;
}

Ending PduReader::fragment_head()
{
    if (pdu_left_ == 0) {
        uint8_t type = 0;
        uint32_t len = 0;
        const Ending ending = pdu_head(&type, &len);
        if (ending != Ending::none) {
            return ending;
        }
        if (type == DICOM_PDU_RELEASE_RQ && len == 4) {
            return need(len) ? Ending::released : Ending::lost;
        }
        if (type == DICOM_PDU_ABORT && len == 4) {
            return Ending::aborted;
        }
        if (type != DICOM_PDU_DATA || len > max_pdu_bytes_) {
            return Ending::protocol;
        }
        pdu_left_ = len;
    }
    if (pdu_left_ < fragment_head_bytes) {
        return Ending::protocol; /* also an empty P-DATA-TF: at least one fragment (9.3.5) */
    }
    if (!need(fragment_head_bytes)) {
        return Ending::lost;
    }
    ds_cursor c = ds_cursor_over(buffer_.get() + at_, fragment_head_bytes);
    const auto len = static_cast<size_t>(ds_cursor_be(&c, 4));
    context_id_ = static_cast<uint8_t>(ds_cursor_be(&c, 1));
    control_ = static_cast<uint8_t>(ds_cursor_be(&c, 1));
    if (len < 2 || len > pdu_left_ - 4) {
        return Ending::protocol;
    }
    at_ += fragment_head_bytes;
    pdu_left_ -= len + 4;
    fragment_left_ = len - 2;
    return Ending::none;
}

Ending PduReader::next(Piece *out)
{
    if (fragment_left_ == 0) {
        const Ending ending = fragment_head();
        if (ending != Ending::none) {
            return ending;
        }
    }
    if (fragment_left_ > 0 && at_ == len_ && !fill()) {
        return Ending::lost;
    }
    const size_t part = std::min(fragment_left_, len_ - at_);
    fragment_left_ -= part;
    out->context_id = context_id_;
    out->is_command = (control_ & is_command_bit) != 0;
    out->last = fragment_left_ == 0 && (control_ & is_last_bit) != 0;
    out->data = buffer_.get() + at_;
    out->len = part;
    at_ += part;
    return Ending::none;
}

} // namespace dicom
