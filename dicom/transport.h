/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport - the TCP or TLS connection under an association; private to dicom/.
 *
 * DCMTK asks a transport layer for a connection object and leaves reading and writing to it. Ours
 * replaces both of DCMTK's for three reasons. Every wait has a deadline and can be interrupted, so
 * that a peer that stalls costs its own thread only and stopping never hangs. TCP_NODELAY and
 * TCP_QUICKACK are kept set, because DCMTK peers write a PDU's header and body apart and would wait
 * 40 ms for our delayed acknowledgement. And what DCMTK writes in two pieces leaves in one segment.
 */
#ifndef DICOMSTEGO_DICOM_TRANSPORT_H
#define DICOMSTEGO_DICOM_TRANSPORT_H

#include "dicom/guard.h"

#include "dicom/association.h"

#include "dcmtk/dcmnet/dcmlayer.h"
#include "dcmtk/dcmnet/dcmtrans.h"

#include <array>
#include <atomic>
#include <functional>
#include <openssl/ssl.h>
#include <string>
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
 * secrecy and authenticated encryption only (BCP 195, RFC 9325; PS3.15 B.9 and later). */
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

/* Why a connection failed, for whoever outlives it: DCMTK drops the connection with the cause. */
struct Fault {
    ds_status status = DS_OK;
    char text[120] = "";
};

struct ConnectionOptions {
    const TlsContext *tls = nullptr;
    const Interrupt *interrupt = nullptr;
    int idle_ms = 60000; /* the longest wait for one more byte in either direction */
    int64_t deadline_ms =
        0; /* monotonic; until connected() everything must be done by then. 0: none */
    /* The first PDU must be a sound A-ASSOCIATE-RQ; anything else is answered with an A-ABORT. */
    bool accepting = false;
    Fault *fault = nullptr;
};

class Connection final : public DcmTransportConnection
{
  public:
    Connection(int socket, const ConnectionOptions &options);
    ~Connection() override;

    OFCondition serverSideHandshake() override;
    OFCondition clientSideHandshake() override;
    OFCondition renegotiate(const char *suite) override;
    ssize_t read(void *buf, size_t nbyte) override;
    ssize_t write(void *buf, size_t nbyte) override;
    void close() override;
    void closeTransportConnection() override;
    unsigned long getPeerCertificateLength() override;
    unsigned long getPeerCertificate(void *buf, unsigned long bufLen) override;
    OFBool networkDataAvailable(int timeout) override;
    OFBool isTransparentConnection() override;
    OFString &dumpConnectionParameters(OFString &str) override;

    /* Replaces the deadline; 0: none. */
    void set_deadline(int64_t monotonic_ms) noexcept
    {
        options_.deadline_ms = monotonic_ms;
    }
    /* Writes whole PDUs, gathered; false: broken. Changes the vector. */
    bool write_all(struct iovec *pieces, size_t count);

  private:
    OFCondition handshake(int (*step)(SSL *));
    ssize_t receive(void *buf, size_t nbyte);
    bool receive_all(uint8_t *buf, size_t nbyte);
    bool receive_request();
    bool refuse_request(const char *why);
    ssize_t receive_once(void *buf, size_t nbyte, short *want);
    ssize_t send_once(const struct iovec *pieces, size_t count, short *want);
    bool wait(short events, bool reading);
    int patience_ms() const;
    short tls_wants(int result) const;
    void fail(ds_status status, const char *text);
    void quick_ack() noexcept;

    ConnectionOptions options_;
    SSL *ssl_ = nullptr;
    std::array<uint8_t, 8192> in_;
    size_t in_at_ = 0, in_len_ = 0;
    std::vector<uint8_t> request_; /* the first PDU, checked; empty once DCMTK has read it */
    size_t request_at_ = 0;
    std::array<uint8_t, 64> held_; /* the beginning of a PDU whose rest DCMTK is about to write */
    size_t held_len_ = 0;
    size_t pdu_left_ = 0;
};

/* Makes Connections; tells when it has made one. */
class Layer final : public DcmTransportLayer
{
  public:
    explicit Layer(const ConnectionOptions &options, std::function<void()> connected = {})
        : options_(options), connected_(std::move(connected))
    {
    }
    DcmTransportConnection *createConnection(DcmNativeSocketType socket, OFBool secure) override;

  private:
    ConnectionOptions options_;
    std::function<void()> connected_;
};

} // namespace dicom

#endif
