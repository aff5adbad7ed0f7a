/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/transport.h"

extern "C" {
#include "base/clock.h"
#include "base/sha256.h"
}

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dicom
{

namespace
{

constexpr size_t tls_record_bytes = 16384; /* RFC 8446 5.1 */
constexpr int last_words_ms = 1000;        /* for an A-ABORT while stopping */
/* Unsent bytes that the kernel may hold for us. Without a bound a slow line would take minutes for
 * what write() has long returned from, and the peer's answer would look late. */
constexpr int unsent_bytes = 256 * 1024;

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

size_t gather(const struct iovec *pieces, size_t count,
              std::array<uint8_t, tls_record_bytes> &record)
{
    size_t len = 0;
    for (size_t i = 0; i < count && len < record.size(); i++) {
        const size_t part = std::min(pieces[i].iov_len, record.size() - len);
        memcpy(record.data() + len, pieces[i].iov_base, part);
        len += part;
    }
    return len;
}

void set_option(int socket, int level, int option, int value) noexcept
{
    (void)setsockopt(socket, level, option, &value, sizeof(value));
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

void Patience::start(int limit_ms, bool fixed) noexcept
{
    limit_ms_ = limit_ms;
    until_ms_ = ds_clock_monotonic_ms() + limit_ms;
    fixed_ = fixed;
}

void Patience::progress(size_t bytes) noexcept
{
    if (!fixed_) {
        const auto earned = static_cast<int64_t>(bytes) * 1000 / min_bytes_per_s;
        until_ms_ = std::min(ds_clock_monotonic_ms() + limit_ms_, until_ms_ + earned);
    }
}

int Patience::left_ms() const noexcept
{
    const int64_t left = until_ms_ - ds_clock_monotonic_ms();
    return static_cast<int>(std::max<int64_t>(left, 0));
}

Connection::Connection(int socket, const TlsContext *tls, const Interrupt *interrupt)
    : socket_(socket), interrupt_(interrupt), wants_tls_(tls != nullptr)
{
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_bytes);
    (void)fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
    (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
    if (tls != nullptr) {
        ssl_ = tls->session(socket);
    }
}

Connection::~Connection()
{
    close();
}

void Connection::close() noexcept
{
    if (ssl_ != nullptr && loss_ == Loss::none) {
        ERR_clear_error();
        (void)SSL_shutdown(ssl_); /* sends close_notify; the peer's is not waited for */
        ERR_clear_error();
    }
    SSL_free(ssl_);
    ssl_ = nullptr;
    if (socket_ >= 0) {
        if (torn_) { /* or the kernel would keep for minutes what nobody reads */
            const struct linger reset = {1, 0};
            (void)setsockopt(socket_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        ::close(socket_);
        socket_ = -1;
    }
    lose(Loss::closed, DS_EIO, "the connection is closed");
}

void Connection::quick_ack() noexcept
{
    /* The kernel forgets it as soon as it takes the exchange for interactive: tcp(7). Set while
     * there is nothing to read, it also sends the acknowledgement that is due. */
    set_option(socket_, IPPROTO_TCP, TCP_QUICKACK, 1);
}

/* The first reason is the one that counts. */
void Connection::lose(Loss loss, ds_status status, const char *text) noexcept
{
    if (loss_ == Loss::none) {
        loss_ = loss;
        status_ = status;
        (void)snprintf(why_, sizeof(why_), "%s", text);
    }
}

ds_status Connection::fail(const char *what, ds_error *err) const
{
    return loss_ == Loss::none ? ds_fail(err, DS_EFORMAT, "%s: the peer broke the protocol", what)
                               : ds_fail(err, status_, "%s: %s", what, why_);
}

/* True when the socket is ready for events (or has failed, which the next call then finds out).
 * When stopping, reading ends at once and writing gets a moment for the A-ABORT. */
bool Connection::wait(short events, bool reading)
{
    int left = patience.left_ms();
    const bool stopping = interrupt_ != nullptr && interrupt_->raised();
    if (stopping) {
        left = reading ? 0 : std::min(left, last_words_ms);
    }
    struct pollfd fds[2] = {{socket_, events, 0}, {-1, POLLIN, 0}};
    if (interrupt_ != nullptr && !stopping) {
        fds[1].fd = interrupt_->fd();
    }
    if (reading) {
        quick_ack();
    }
    const int n = left == 0 ? 0 : poll(fds, 2, left);
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        lose(stopping ? Loss::stopping : Loss::late, DS_EIO,
             stopping ? "stopping" : "the peer took too long");
        return false;
    }
    if (fds[0].revents == 0 && fds[1].revents != 0 && reading) {
        lose(Loss::stopping, DS_EIO, "stopping");
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

bool Connection::handshake(bool server)
{
    if (!wants_tls_) {
        return true;
    }
    if (ssl_ == nullptr) {
        lose(Loss::tls, DS_ENOMEM, "out of memory for TLS");
        return false;
    }
    for (;;) {
        ERR_clear_error();
        const int result = server ? SSL_accept(ssl_) : SSL_connect(ssl_);
        if (result == 1) {
            return true;
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
            lose(Loss::tls, untrusted ? DS_EAUTH : DS_EIO, text);
            ERR_clear_error();
            return false;
        }
        if (!wait(want, true)) {
            return false;
        }
    }
}

/* Negative with *want set: would block. */
ssize_t Connection::receive_once(void *buf, size_t nbyte, short *want)
{
    *want = 0;
    if (ssl_ == nullptr) {
        const ssize_t n = recv(socket_, buf, nbyte, MSG_DONTWAIT);
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
    if (*want == 0 && SSL_get_error(ssl_, result) != SSL_ERROR_ZERO_RETURN) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        lose(Loss::tls, DS_EIO, reason != nullptr ? reason : "the TLS connection is lost");
    }
    return *want == 0 ? 0 : -1;
}

size_t Connection::read_some(uint8_t *buf, size_t nbyte)
{
    for (;;) {
        if (loss_ != Loss::none) {
            return 0;
        }
        if (interrupt_ != nullptr && interrupt_->raised()) {
            lose(Loss::stopping, DS_EIO, "stopping");
            return 0;
        }
        short want = 0;
        const ssize_t n = receive_once(buf, nbyte, &want);
        if (n > 0) {
            patience.progress(static_cast<size_t>(n));
            return static_cast<size_t>(n);
        }
        if (want == 0) {
            lose(Loss::closed, DS_EIO, n < 0 ? strerror(errno) : "the peer closed the connection");
            return 0;
        }
        if (!wait(want, true)) {
            return 0;
        }
    }
}

void Connection::last_words(const uint8_t *bytes, size_t len) noexcept
{
    const Loss loss = loss_;
    if (loss == Loss::none || loss == Loss::late || loss == Loss::stopping) {
        loss_ = Loss::none;
        patience.start(last_words_ms, true);
        (void)write_all(bytes, len);
        loss_ = loss;
    }
}

bool Connection::wait_readable()
{
    if (loss_ != Loss::none) {
        return false;
    }
    return (ssl_ != nullptr && SSL_has_pending(ssl_) == 1) || wait(POLLIN, true);
}

ssize_t Connection::send_once(const struct iovec *pieces, size_t count, short *want)
{
    *want = 0;
    if (ssl_ == nullptr) {
        struct msghdr message = {};
        message.msg_iov = const_cast<struct iovec *>(pieces);
        message.msg_iovlen = std::min<size_t>(count, IOV_MAX);
        const ssize_t n = sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            *want = POLLOUT;
        }
        return n;
    }
    /* A record for what belongs together: a PDU's head alone would be one of its own. What fills
     * one by itself needs no gathering. */
    std::array<uint8_t, tls_record_bytes> gathered;
    const void *record = pieces[0].iov_base;
    size_t len = std::min(pieces[0].iov_len, gathered.size());
    if (len < gathered.size()) {
        len = gather(pieces, count, gathered);
        record = gathered.data();
    }
    ERR_clear_error();
    size_t done = 0;
    const int result = SSL_write_ex(ssl_, record, len, &done);
    if (result != 1) {
        *want = tls_wants(result);
        return -1;
    }
    return static_cast<ssize_t>(done);
}

bool Connection::write_all(struct iovec *pieces, size_t count)
{
    size_t left = total(pieces, count);
    if (loss_ != Loss::none || torn_) {
        return false;
    }
    torn_ = true; /* unless all of it goes out */
    while (left > 0) {
        short want = 0;
        const ssize_t n = send_once(pieces, count, &want);
        if (n < 0 && want == 0) {
            lose(Loss::closed, DS_EIO, "the peer closed the connection");
            return false;
        }
        if (n < 0) {
            if (!wait(want, false)) {
                return false;
            }
            continue;
        }
        patience.progress(static_cast<size_t>(n));
        left -= static_cast<size_t>(n);
        const size_t gone = advance(pieces, count, static_cast<size_t>(n));
        pieces += gone;
        count -= gone;
    }
    torn_ = false;
    return true;
}

bool Connection::write_all(const uint8_t *bytes, size_t len)
{
    struct iovec piece = {const_cast<uint8_t *>(bytes), len};
    return write_all(&piece, 1);
}

bool Connection::readable() noexcept
{
    if (loss_ != Loss::none) {
        return true;
    }
    uint8_t byte = 0;
    if (ssl_ == nullptr) {
        const ssize_t n = recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        return n >= 0 || (errno != EAGAIN && errno != EINTR);
    }
    /* Not every record is for us: a session ticket makes the socket readable too. */
    ERR_clear_error();
    size_t done = 0;
    const int result = SSL_peek_ex(ssl_, &byte, 1, &done);
    return result == 1 || tls_wants(result) == 0;
}

bool Connection::readable_within(int ms) noexcept
{
    if (readable()) {
        return true;
    }
    struct pollfd fds[2] = {{socket_, POLLIN, 0}, {-1, POLLIN, 0}};
    if (interrupt_ != nullptr) {
        fds[1].fd = interrupt_->fd();
    }
    quick_ack();
    return poll(fds, 2, ms) > 0;
}

/* OpenSSL has verified the certificate. */
bool Connection::peer_key_id(uint8_t out[DICOM_KEY_ID_BYTES]) const
{
    const X509 *certificate = ssl_ != nullptr ? SSL_get0_peer_certificate(ssl_) : nullptr;
    unsigned char *key = nullptr;
    const int len =
        certificate == nullptr ? 0 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    uint8_t digest[DS_SHA256_BYTES];
    const bool ok =
        len > 0 && ds_sha256_of(key, static_cast<size_t>(len), digest, nullptr) == DS_OK;
    OPENSSL_free(key);
    if (ok) {
        memcpy(out, digest, DICOM_KEY_ID_BYTES);
    }
    return ok;
}

} // namespace dicom
