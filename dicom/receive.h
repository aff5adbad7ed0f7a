/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receive - PDUs from the byte stream (PS3.8 9.3), data piece by piece, unparsed; private to
 * dicom/.
 *
 * One read takes what the kernel has, up to a buffer full, across the borders of PDUs. Each piece
 * is handed on as it lies there, as soon as it is there: neither a PDU nor a fragment is ever put
 * together. Buffers come from a pool, for as long as there is something in them: an association
 * that waits for its peer holds none.
 */
#ifndef DICOMSTEGO_DICOM_RECEIVE_H
#define DICOMSTEGO_DICOM_RECEIVE_H

#include "dicom/transport.h"

#include <mutex>

namespace dicom
{

constexpr size_t receive_buffer_bytes = 256 * 1024; /* fits the second-level cache */

/* One for the process; any thread. What is given back last is handed out first, while it is still
 * in a cache. */
class BufferPool
{
  public:
    using Buffer = std::unique_ptr<uint8_t[]>;
    Buffer take();
    void give(Buffer buffer) noexcept;
    static BufferPool &shared();

  private:
    static constexpr size_t kept = 16;
    std::mutex mutex_;
    std::vector<Buffer> free_;
};

/* Why there is no more to read. */
enum class Ending {
    none,     /* there is */
    released, /* A-RELEASE-RQ; the answer to it is still owed */
    aborted,  /* A-ABORT by the peer */
    lost,     /* see Connection::loss() */
    protocol, /* the peer broke it */
};

/* A part of one fragment (PS3.8 9.3.5, annex E), lent until the next call. */
struct Piece {
    uint8_t context_id;
    bool is_command;
    bool last; /* of the message's command set or data set */
    const uint8_t *data;
    size_t len;
};

class PduReader
{
  public:
    /* max_pdu_bytes: what the peer was told; longer ones break the protocol. */
    PduReader(Connection &connection, uint32_t max_pdu_bytes)
        : connection_(connection), max_pdu_bytes_(max_pdu_bytes)
    {
    }
    ~PduReader();
    PduReader(const PduReader &) = delete;
    PduReader &operator=(const PduReader &) = delete;

    /* Any other PDU than P-DATA-TF ends it. */
    Ending next(Piece *out);
    /* Before and after P-DATA: any PDU whole, at most max bytes behind its head. */
    Ending whole(uint8_t *type, ds_bytes *body, size_t max);
    /* Waits for the first byte of the next PDU; gives the buffer back meanwhile. */
    Ending await();
    /* Is there something to read, or the end, within ms? Nothing is lost by a no. */
    bool has_more(int ms);
    /* Nothing is buffered, and the connection has nothing to say (or has said that it is over). */
    bool idle() noexcept
    {
        return at_ == len_ && !connection_.readable();
    }

  private:
    bool fill();
    bool rest(); /* without a buffer, when there is nothing in it */
    bool need(size_t bytes);
    Ending pdu_head(uint8_t *type, uint32_t *len);
    Ending fragment_head();

    Connection &connection_;
    uint32_t max_pdu_bytes_;
    BufferPool::Buffer buffer_;
    size_t at_ = 0, len_ = 0;
    size_t pdu_left_ = 0;      /* of a P-DATA-TF, behind the present fragment */
    size_t fragment_left_ = 0; /* not handed on yet */
    uint8_t context_id_ = 0, control_ = 0;
};

} // namespace dicom

#endif
