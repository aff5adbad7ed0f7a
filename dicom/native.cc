/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/native.h"

#include <algorithm>

extern "C" {
#include "base/map.h"
}

namespace dicom
{

namespace
{

/* Even, so that a step ends with a word. */
constexpr std::size_t step_bytes = 1024 * 1024;

/* Words begin at data. have: bytes that are there, of which len are asked for; what is no whole
 * word stays as it is. */
ds_status put_swapped(byte_sink &sink, const std::uint8_t *data, std::size_t len, std::size_t have,
                      ds_error *err)
{
    std::vector<std::uint8_t> words(std::min(len, step_bytes));
    ds_status s = DS_OK;
    for (std::size_t at = 0; s == DS_OK && at < len; at += words.size()) {
        const std::size_t n = std::min(len - at, words.size());
        for (std::size_t i = 0; i < n; i++) {
            const std::size_t other = (at + i) ^ 1;
            words[i] = data[other < have ? other : at + i];
        }
        s = sink.put(words.data(), n, err);
    }
    return s;
}

} // namespace

ds_status native_value::set_front(const std::uint8_t *cells, std::size_t len, ds_error *err)
{
    if (len > len_) {
        return ds_fail(err, DS_EINVAL, "%zu bytes of cells, Pixel Data has %zu", len, len_);
    }
    auto front = std::make_shared<bytes_owner>(len + 1, true);
    ds_status s = ds_bytes_append(&front->bytes, cells, len, err);
    if (s == DS_OK && (len & 1) != 0 && len < len_) { /* whole words, so that all can be swapped */
        s = ds_bytes_put_u8(&front->bytes, data_[swapped_ ? len - 1 : len], err);
    }
    if (s == DS_OK) {
        front_ = std::move(front);
    }
    return s;
}

ds_status native_value::put_file(byte_sink &sink, std::size_t from, std::size_t to, bool swap,
                                 ds_error *err) const
{
    ds_status s = DS_OK;
    for (std::size_t at = from; s == DS_OK && at < to;) {
        const std::size_t n = std::min(to - at, step_bytes);
        s = swap ? put_swapped(sink, data_ + at, n, len_ - at, err) : sink.put(data_ + at, n, err);
        ds_map_forget(data_ + at, n);
        at += n;
    }
    return s;
}

ds_status native_value::put(byte_sink &sink, std::size_t from, std::size_t to, bool big_endian,
                            ds_error *err) const
{
    const std::size_t border = front_ ? std::min(front_->bytes.len, to) : 0;
    ds_status s = DS_OK;
    if (from < border) {
        const std::uint8_t *cells = front_->bytes.data + from;
        s = big_endian ? put_swapped(sink, cells, border - from, front_->bytes.len - from, err)
                       : sink.put(cells, border - from, err);
    }
    return s == DS_OK ? put_file(sink, std::max(from, border), to, swapped_ != big_endian, err) : s;
}

} // namespace dicom
