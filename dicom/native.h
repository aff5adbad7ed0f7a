/* SPDX-License-Identifier: Apache-2.0 */
/*
 * native - the value of native top-level Pixel Data, kept beside DCMTK, which would copy it;
 * private to dicom/.
 *
 * The bytes lie where they came from, mostly a mapped file, and are only passed over in pieces. New
 * cells for the first frames lie in front of them: an image of which a few frames were changed
 * costs those frames. DCMTK's element stands at its place in the data set with an empty value.
 */
#ifndef DICOMSTEGO_DICOM_NATIVE_H
#define DICOMSTEGO_DICOM_NATIVE_H

#include "dicom/encode.h"

#include <memory>

namespace dicom
{

class native_value
{
  public:
    /* Borrows len bytes, or owns them when kept is where they lie. swapped: big endian words. */
    void set(const std::uint8_t *data, std::size_t len, bool swapped,
             std::shared_ptr<bytes_owner> kept)
    {
        data_ = data;
        len_ = len;
        swapped_ = swapped;
        kept_ = std::move(kept);
        front_.reset();
    }
    void clear()
    {
        set(nullptr, 0, false, nullptr);
    }
    bool present() const
    {
        return data_ != nullptr;
    }
    std::size_t len() const
    {
        return len_;
    }
    /* Little endian cells in place of the first len bytes; copied. DS_EINVAL when there are fewer.
     */
    ds_status set_front(const std::uint8_t *cells, std::size_t len, ds_error *err);
    /* The value where it lies as little endian words in one piece, else nullptr. */
    const std::uint8_t *in_place() const
    {
        return front_ || swapped_ ? nullptr : data_;
    }
    /* Bytes [from, to) of the value to the sink, as little or big endian words. from is even. */
    ds_status put(byte_sink &sink, std::size_t from, std::size_t to, bool big_endian,
                  ds_error *err) const;

  private:
    ds_status put_file(byte_sink &sink, std::size_t from, std::size_t to, bool swap,
                       ds_error *err) const;

    const std::uint8_t *data_ = nullptr;
    std::size_t len_ = 0;
    bool swapped_ = false;
    std::shared_ptr<bytes_owner> kept_; /* shared by copies of a data set; never written */
    std::shared_ptr<const bytes_owner> front_;
};

} // namespace dicom

#endif
