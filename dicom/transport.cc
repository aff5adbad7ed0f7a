/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/transport.h"

#include "dicom/associate_check.h"

extern "C" {
#include "base/clock.h"
}

#include "dcmtk/dcmnet/cond.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dicom
{

namespace
{

constexpr uint8_t a_associate_rq = 0x01;
constexpr size_t pdu_head_bytes = 6;       /* PS3.8 9.3.1: type, reserved, length */
constexpr size_t tls_record_bytes = 16384; /* RFC 8446 5.1 */
constexpr int last_words_ms = 1000;        /* for an A-ABORT while stopping */

size_t total(const struct iovec *pieces, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += pieces[i].iov_len;
    }
    return sum;
}

/* Takes sent bytes off the front; answers the first piece with something left. */
size_t advance(struct iovec *pieces, size_t count, size_t sent)
{
    size_t i = 0;
    while (i < count && sent >= pieces[i].iov_len) {
        sent -= pieces[i].iov_len;
        i++;
    }
    if (i < count) {
        pieces[i].iov_base = static_cast<uint8_t *>(pieces[i].iov_base) + sent;
        pieces[i].iov_len -= sent;
    }
    return i;
}

} // namespace

Interrupt::Interrupt() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    if (fd_ < 0) {
        throw std::bad_alloc();
    }
}

Interrupt::~Interrupt()
{
    ::close(fd_);
}

void Interrupt::raise() noexcept
{
    raised_.store(true, std::memory_order_release);
    const uint64_t one = 1;
    /* Fails only when the counter is full, and then the flag is up already. */
    (void)!::write(fd_, &one, sizeof(one));
}

Connection::Connection(int socket, const ConnectionOptions &options)
    : DcmTransportConnection(socket), options_(options)
{
    const int on = 1;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    quick_ack();
    const int flags = fcntl(socket, F_GETFL);
    (void)fcntl(socket, F_SETFL, flags | O_NONBLOCK);
    (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
    if (options_.tls != nullptr) {
        ssl_ = options_.tls->session(socket);
    }
}

Connection::~Connection()
{
    closeTransportConnection();
}

void Connection::quick_ack() noexcept
{
    /* The kernel forgets it as soon as it takes the exchange for interactive: tcp(7). */
    const int on = 1;
    (void)setsockopt(getSocket(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void Connection::fail(ds_status status, const char *text)
{
    if (options_.fault != nullptr && options_.fault->status == DS_OK) {
        options_.fault->status = status;
        (void)snprintf(options_.fault->text, sizeof(options_.fault->text), "%s", text);
    }
}

int Connection::patience_ms() const
{
    int64_t left = options_.idle_ms;
    if (options_.deadline_ms != 0) {
        left = std::min(left, options_.deadline_ms - ds_clock_monotonic_ms());
    }
    return static_cast<int>(std::max<int64_t>(left, 0));
}

/* True when the socket is ready for events (or has failed, which the next call then finds out).
 * When stopping, reading ends at once and writing gets a moment for the A-ABORT. */
bool Connection::wait(short events, bool reading)
{
    int patience = patience_ms();
    const bool stopping = options_.interrupt != nullptr && options_.interrupt->raised();
    if (stopping) {
        patience = reading ? 0 : std::min(patience, last_words_ms);
    }
    struct pollfd fds[2] = {{getSocket(), events, 0}, {-1, POLLIN, 0}};
    if (options_.interrupt != nullptr && !stopping) {
        fds[1].fd = options_.interrupt->fd();
    }
    const int n = poll(fds, 2, patience);
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        fail(DS_EIO, stopping ? "stopping" : "the peer did not answer in time");
        errno = ETIMEDOUT;
        return false;
    }
    if (fds[0].revents == 0 && fds[1].revents != 0 && reading) {
        fail(DS_EIO, "stopping");
        errno = ECANCELED;
        return false;
    }
    return true;
}

short Connection::tls_wants(int result) const
{
    switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    default:
        return 0;
    }
}

OFCondition Connection::handshake(int (*step)(SSL *))
{
    if (options_.tls == nullptr) {
        return EC_Normal;
    }
    if (ssl_ == nullptr) {
        fail(DS_ENOMEM, "out of memory for TLS");
        return EC_MemoryExhausted;
    }
    for (;;) {
        ERR_clear_error();
        const int result = step(ssl_);
        if (result == 1) {
            return EC_Normal;
        }
        const short want = tls_wants(result);
        if (want == 0) {
            const long verdict = SSL_get_verify_result(ssl_);
            const bool untrusted = verdict != X509_V_OK;
            const char *reason = ERR_reason_error_string(ERR_peek_last_error());
            char text[100];
            (void)snprintf(text, sizeof(text), "TLS handshake: %s",
                           untrusted           ? X509_verify_cert_error_string(verdict)
                           : reason != nullptr ? reason
                                               : "connection closed");
            fail(untrusted ? DS_EAUTH : DS_EIO, text);
            ERR_clear_error();
            return makeDcmnetCondition(DULC_TLSERROR, OF_error, text);
        }
        if (!wait(want, true)) {
            return makeDcmnetCondition(DULC_TLSERROR, OF_error, "TLS handshake: timed out");
        }
    }
}

OFCondition Connection::serverSideHandshake()
{
    return handshake(SSL_accept);
}

OFCondition Connection::clientSideHandshake()
{
    return handshake(SSL_connect);
}

OFCondition Connection::renegotiate(const char *)
{
    return EC_IllegalCall; /* TLS 1.3 knows no renegotiation, and for 1.2 it is switched off */
}

/* Negative with *want set: would block. */
ssize_t Connection::receive_once(void *buf, size_t nbyte, short *want)
{
    *want = 0;
    if (ssl_ == nullptr) {
        const ssize_t n = recv(getSocket(), buf, nbyte, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            *want = POLLIN;
        }
        return n;
    }
    ERR_clear_error();
    size_t done = 0;
    const int result = SSL_read_ex(ssl_, buf, nbyte, &done);
    if (result == 1) {
        return static_cast<ssize_t>(done);
    }
    *want = tls_wants(result);
    if (*want == 0 && SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) {
        return 0;
    }
    if (*want == 0) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        fail(DS_EIO, reason != nullptr ? reason : "TLS connection lost");
        errno = ECONNRESET;
    }
    return -1;
}

ssize_t Connection::receive(void *buf, size_t nbyte)
{
    for (;;) {
        if (getSocket() < 0 || (options_.interrupt != nullptr && options_.interrupt->raised())) {
            errno = ECANCELED;
            return -1;
        }
        short want = 0;
        const ssize_t n = receive_once(buf, nbyte, &want);
        if (n >= 0) {
            quick_ack();
            return n;
        }
        if (want == 0 || !wait(want, true)) {
            return -1;
        }
    }
}

bool Connection::receive_all(uint8_t *buf, size_t nbyte)
{
    size_t done = 0;
    while (done < nbyte) {
        const ssize_t n = receive(buf + done, nbyte - done);
        if (n <= 0) {
            return false;
        }
        done += static_cast<size_t>(n);
    }
    return true;
}

/* By the service provider; reason: invalid PDU parameter value (PS3.8 9.3.8). */
bool Connection::refuse_request(const char *why)
{
    std::array<uint8_t, 10> abort = {0x07, 0, 0, 0, 0, 4, 0, 0, 2, 6};
    struct iovec piece = {abort.data(), abort.size()};
    fail(DS_EFORMAT, why);
    (void)write_all(&piece, 1);
    errno = EPROTO;
    return false;
}

/* PS3.8 9.3.2: whole, and sound, before DCMTK's parser sees any of it. */
bool Connection::receive_request()
{
    std::array<uint8_t, pdu_head_bytes> head;
    if (!receive_all(head.data(), head.size())) {
        return false;
    }
    ds_cursor c = ds_cursor_over(head.data(), head.size());
    const bool is_request = ds_cursor_be(&c, 1) == a_associate_rq;
    (void)ds_cursor_be(&c, 1);
    const auto len = static_cast<size_t>(ds_cursor_be(&c, 4));
    if (!is_request || len > DICOM_ASSOCIATE_MAX_BYTES) {
        return refuse_request("the first PDU is no A-ASSOCIATE-RQ");
    }
    request_.assign(head.begin(), head.end());
    request_.resize(pdu_head_bytes + len);
    if (!receive_all(request_.data() + pdu_head_bytes, len)) {
        return false;
    }
    ds_error why = {};
    return dicom_associate_check(request_.data() + pdu_head_bytes, len, &why) == DS_OK ||
           refuse_request(why.text);
}

ssize_t Connection::read(void *buf, size_t nbyte)
{
    if (options_.accepting) {
        options_.accepting = false;
        if (!receive_request()) {
            request_.clear();
            return -1;
        }
    }
    if (request_at_ < request_.size()) {
        const size_t n = std::min(nbyte, request_.size() - request_at_);
        memcpy(buf, request_.data() + request_at_, n);
        request_at_ += n;
        return static_cast<ssize_t>(n);
    }
    if (in_at_ == in_len_) {
        if (nbyte >= in_.size()) {
            return receive(buf, nbyte);
        }
        const ssize_t n = receive(in_.data(), in_.size());
        if (n <= 0) {
            return n;
        }
        in_at_ = 0;
        in_len_ = static_cast<size_t>(n);
    }
    const size_t n = std::min(nbyte, in_len_ - in_at_);
    memcpy(buf, in_.data() + in_at_, n);
    in_at_ += n;
    return static_cast<ssize_t>(n);
}

ssize_t Connection::send_once(const struct iovec *pieces, size_t count, short *want)
{
    *want = 0;
    if (ssl_ == nullptr) {
        struct msghdr message = {};
        message.msg_iov = const_cast<struct iovec *>(pieces);
        message.msg_iovlen = std::min<size_t>(count, IOV_MAX);
        const ssize_t n = sendmsg(getSocket(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            *want = POLLOUT;
        }
        return n;
    }
    /* One record for what belongs together: a PDU's head alone would be a record of its own. */
    std::array<uint8_t, tls_record_bytes> record;
    size_t len = 0;
    for (size_t i = 0; i < count && len < record.size(); i++) {
        const size_t part = std::min(pieces[i].iov_len, record.size() - len);
        memcpy(record.data() + len, pieces[i].iov_base, part);
        len += part;
    }
    ERR_clear_error();
    size_t done = 0;
    const int result = SSL_write_ex(ssl_, record.data(), len, &done);
    if (result != 1) {
        *want = tls_wants(result);
        return -1;
    }
    return static_cast<ssize_t>(done);
}

bool Connection::write_all(struct iovec *pieces, size_t count)
{
    size_t left = total(pieces, count);
    while (left > 0) {
        if (getSocket() < 0) {
            return false;
        }
        short want = 0;
        const ssize_t n = send_once(pieces, count, &want);
        if (n < 0) {
            if (want == 0 || !wait(want, false)) {
                return false;
            }
            continue;
        }
        left -= static_cast<size_t>(n);
        const size_t gone = advance(pieces, count, static_cast<size_t>(n));
        pieces += gone;
        count -= gone;
    }
    quick_ack();
    return true;
}

/* DCMTK writes a P-DATA-TF PDU as head and body: the head is held until the body comes. */
ssize_t Connection::write(void *buf, size_t nbyte)
{
    if (pdu_left_ == 0 && nbyte >= pdu_head_bytes) {
        ds_cursor head = ds_cursor_over(buf, nbyte);
        (void)ds_cursor_be(&head, 2);
        pdu_left_ = pdu_head_bytes + static_cast<size_t>(ds_cursor_be(&head, 4));
    }
    pdu_left_ -= std::min(pdu_left_, nbyte);
    if (pdu_left_ > 0 && nbyte <= held_.size() - held_len_) {
        memcpy(held_.data() + held_len_, buf, nbyte);
        held_len_ += nbyte;
        return static_cast<ssize_t>(nbyte);
    }
    struct iovec pieces[2] = {{held_.data(), held_len_}, {buf, nbyte}};
    held_len_ = 0;
    return write_all(pieces, 2) ? static_cast<ssize_t>(nbyte) : -1;
}

void Connection::close()
{
    if (ssl_ != nullptr && getSocket() >= 0) {
        ERR_clear_error();
        (void)SSL_shutdown(ssl_); /* sends close_notify; the peer's is not waited for */
        ERR_clear_error();
    }
    closeTransportConnection();
}

void Connection::closeTransportConnection()
{
    SSL_free(ssl_);
    ssl_ = nullptr;
    if (getSocket() >= 0) {
        ::close(getSocket());
        setSocket(-1);
    }
}

/* The certificate in DER; 0 without one. OpenSSL has verified it. */
unsigned long Connection::getPeerCertificateLength()
{
    const X509 *certificate = ssl_ != nullptr ? SSL_get0_peer_certificate(ssl_) : nullptr;
    const int len = certificate != nullptr ? i2d_X509(certificate, nullptr) : 0;
    return len > 0 ? static_cast<unsigned long>(len) : 0;
}

unsigned long Connection::getPeerCertificate(void *buf, unsigned long bufLen)
{
    const unsigned long len = getPeerCertificateLength();
    if (len == 0 || len > bufLen) {
        return 0;
    }
    auto *at = static_cast<unsigned char *>(buf);
    return i2d_X509(SSL_get0_peer_certificate(ssl_), &at) > 0 ? len : 0;
}

/* An interrupt and a lost connection count as data: reading then tells which. */
OFBool Connection::networkDataAvailable(int timeout)
{
    if (getSocket() < 0 || in_at_ < in_len_ || request_at_ < request_.size() ||
        (ssl_ != nullptr && SSL_pending(ssl_) > 0)) {
        return OFTrue;
    }
    struct pollfd fds[2] = {{getSocket(), POLLIN, 0}, {-1, POLLIN, 0}};
    if (options_.interrupt != nullptr) {
        fds[1].fd = options_.interrupt->fd();
    }
    const int limit = timeout < 0 ? INT_MAX : std::min(timeout, INT_MAX / 1000) * 1000;
    const int64_t end = ds_clock_monotonic_ms() + std::min(limit, patience_ms());
    for (;;) {
        const int64_t left = std::max<int64_t>(end - ds_clock_monotonic_ms(), 0);
        const int n = poll(fds, 2, static_cast<int>(left));
        if (n > 0) {
            return OFTrue;
        }
        if (n == 0 || errno != EINTR) {
            return OFFalse;
        }
    }
}

OFBool Connection::isTransparentConnection()
{
    return ssl_ == nullptr;
}

OFString &Connection::dumpConnectionParameters(OFString &str)
{
    str = ssl_ != nullptr ? SSL_get_version(ssl_) : "TCP";
    return str;
}

DcmTransportConnection *Layer::createConnection(DcmNativeSocketType socket, OFBool)
{
    DcmTransportConnection *connection = new (std::nothrow) Connection(socket, options_);
    if (connected_) {
        connected_();
    }
    return connection;
}

} // namespace dicom
