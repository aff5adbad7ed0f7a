/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport - the TCP or TLS connection under an association; private to dicom/.
 *
 * Every wait has a deadline and can be interrupted, so that a peer that stalls costs its own thread
 * only, for a bounded time, and stopping never hangs. TCP_NODELAY is set, and before every wait
 * TCP_QUICKACK, because many peers write a PDU's header and body apart and would wait 40 ms for our
 * delayed acknowledgement; what we write ourselves leaves gathered.
 */
#ifndef DICOMSTEGO_DICOM_TRANSPORT_H
#define DICOMSTEGO_DICOM_TRANSPORT_H

#include "dicom/guard.h"

#include "dicom/association.h"

#include <atomic>
#include <openssl/ssl.h>
#include <sys/uio.h>
#include <vector>

namespace dicom
{

/* A flag that also ends every poll() that watches it; once raised it stays so. */
class Interrupt
{
  public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt &) = delete;
    Interrupt &operator=(const Interrupt &) = delete;
    void raise() noexcept;
    bool raised() const noexcept
    {
        return raised_.load(std::memory_order_acquire);
    }
    int fd() const noexcept
    {
        return fd_;
    }

  private:
    int fd_;
    std::atomic<bool> raised_{false};
};

/* What OpenSSL needs for all connections of one listener or requestor. TLS 1.2 and 1.3 with forward
 * secrecy and authenticated encryption only (BCP 195, RFC 9325; PS3.15 B.9 and later). A session
 * keeps what it needs of its context alive. */
class TlsContext
{
  public:
    ~TlsContext();
    TlsContext(const TlsContext &) = delete;
    TlsContext &operator=(const TlsContext &) = delete;
    static ds_status make(std::unique_ptr<TlsContext> &out, const dicom_tls &options, bool server,
                          ds_error *err);
    /* A new session over socket; nullptr when out of memory. */
    SSL *session(int socket) const;

  private:
    explicit TlsContext(SSL_CTX *ctx) : ctx_(ctx)
    {
    }
    SSL_CTX *ctx_;
};

/* How long a peer may take. Progress pays for more time, but never for more than the limit from
 * now: silence ends after the limit, and so does a trickle below min_bytes_per_s; a large object
 * over a slow line does not. */
class Patience
{
  public:
    static constexpr int64_t min_bytes_per_s = 1024;

    /* The limit from now on. fixed: progress pays for nothing. */
    void start(int limit_ms, bool fixed = false) noexcept;
    void progress(size_t bytes) noexcept;
    /* Time that was ours and not the peer's. */
    void excuse(int64_t ms) noexcept
    {
        until_ms_ += ms;
    }
    int left_ms() const noexcept; /* 0: over */

  private:
    int64_t limit_ms_ = 0, until_ms_ = 0;
    bool fixed_ = true;
};

/* How a connection ended. */
enum class Loss {
    none,
    closed,   /* by the peer, or reset */
    late,     /* the peer took too long */
    stopping, /* interrupted */
    tls,      /* the handshake failed, or a record did not verify */
};

class Connection
{
  public:
    /* Owns socket. tls, interrupt: NULL for none. */
    Connection(int socket, const TlsContext *tls, const Interrupt *interrupt);
    ~Connection();
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    /* All that follows answers false (or less than one byte) when the connection is lost: then only
     * loss() and fail() still say something. Nothing waits longer than patience allows. */
    bool handshake(bool server);
    /* At least one byte. */
    size_t read_some(uint8_t *buf, size_t nbyte);
    /* Something to read, or the end. */
    bool wait_readable();
    /* Whole PDUs, gathered. Changes the vector. */
    bool write_all(struct iovec *pieces, size_t count);
    bool write_all(const uint8_t *bytes, size_t len);
    /* The same after it was lost by our own decision (too late, stopping), when the peer can still
     * make sense of it. Waits for a moment at most. */
    void last_words(const uint8_t *bytes, size_t len) noexcept;

    /* Is there anything to read, or the end? Does not wait. */
    bool readable() noexcept;
    /* The same, after at most ms. Being stopped counts as the end. */
    bool readable_within(int ms) noexcept;
    void close() noexcept;

    Patience patience;

    Loss loss() const noexcept
    {
        return loss_;
    }
    /* DS_EAUTH: the peer's certificate is not trusted. Else DS_EIO. */
    ds_status fail(const char *what, ds_error *err) const;
    /* SHA-256 of the peer's SubjectPublicKeyInfo, the first bytes; false without a certificate. */
    bool peer_key_id(uint8_t out[DICOM_KEY_ID_BYTES]) const;

  private:
    ssize_t receive_once(void *buf, size_t nbyte, short *want);
    ssize_t send_once(const struct iovec *pieces, size_t count, short *want);
    bool wait(short events, bool reading);
    short tls_wants(int result) const;
    void lose(Loss loss, ds_status status, const char *text) noexcept;
    void quick_ack() noexcept;

    int socket_;
    const Interrupt *interrupt_;
    bool wants_tls_;
    SSL *ssl_ = nullptr;
    bool torn_ = false; /* a write ended in the middle */
    Loss loss_ = Loss::none;
    ds_status status_ = DS_OK;
    char why_[120] = "";
};

/* A connected socket, or -1: DS_EIO. interrupt may be nullptr. Each address of the host is tried
 * within what patience leaves; the look-up of a name takes as long as the resolver's own limits
 * (resolv.conf(5)). */
int dial(const char *host, uint16_t port, const Patience &patience, const Interrupt *interrupt,
         ds_error *err);

} // namespace dicom

#endif
