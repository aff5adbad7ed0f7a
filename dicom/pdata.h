/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdata - a DIMSE message as P-DATA-TF PDUs from bytes in memory; private to dicom/.
 *
 * What we send has been proved byte by byte, so it goes out as it is: command and data are cut into
 * PDUs of the peer's size (PS3.8 9.3.5, annex E) and written gathered, many in one call, without a
 * copy.
 */
#ifndef DICOMSTEGO_DICOM_PDATA_H
#define DICOMSTEGO_DICOM_PDATA_H

#include "dicom/transport.h"

#include <array>

namespace dicom
{

/* Cuts and writes; keeps pointers until flush(). Each function answers false when the connection is
 * broken. */
class PdvWriter
{
  public:
    /* pdu_bytes: the peer's limit for what follows the six-byte PDU head, at least 8. */
    PdvWriter(Connection &connection, uint8_t context_id, size_t pdu_bytes)
        : connection_(connection), context_id_(context_id),
          fragment_bytes_((pdu_bytes - pdv_head_bytes) & ~static_cast<size_t>(1))
    {
    }
    bool command(const uint8_t *bytes, size_t len)
    {
        return fragments(bytes, len, 1);
    }
    bool data(const uint8_t *bytes, size_t len)
    {
        return fragments(bytes, len, 0);
    }
    bool flush();

  private:
    static constexpr size_t pdv_head_bytes = 6;
    static constexpr size_t head_bytes = 12; /* of PDU and PDV */
    static constexpr size_t batch = 128;     /* PDUs in one write: 256 pieces, under IOV_MAX */

    bool fragments(const uint8_t *bytes, size_t len, uint8_t control);

    Connection &connection_;
    uint8_t context_id_;
    size_t fragment_bytes_;
    size_t count_ = 0;
    std::array<std::array<uint8_t, head_bytes>, batch> heads_;
    std::array<struct iovec, 2 * batch> pieces_;
};

} // namespace dicom

#endif
