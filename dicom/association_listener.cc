/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/association_listener.h"

#include "dicom/transfer_syntax.h"
#include "dicom/upper_layer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dicom
{

namespace
{

constexpr int backlog = 128;
constexpr int reap_ms = 2000; /* finished threads are joined at least this often */

struct free_addresses {
    void operator()(addrinfo *a) const noexcept
    {
        freeaddrinfo(a);
    }
};

int bound_socket(const addrinfo &address)
{
    const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    const int on = 1;
    const int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ai_family == AF_INET6) {
        /* The one socket for all addresses takes IPv4 callers too. */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, address.ai_addr, address.ai_addrlen) != 0 || listen(fd, backlog) != 0) {
        const int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

ds_status open_port(dicom_listener &l, const char *address, uint16_t port, ds_error *err)
{
    addrinfo hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo *raw = nullptr;
    const std::string service = std::to_string(port);
    /* Without an address: first all of IPv6 and IPv4 together, then what the machine has. */
    const char *const wanted[] = {address != nullptr ? address : "::", address};
    int why = EADDRNOTAVAIL;
    for (const char *name : wanted) {
        if (getaddrinfo(name, service.c_str(), &hints, &raw) != 0) {
            continue;
        }
        const std::unique_ptr<addrinfo, free_addresses> list(raw);
        for (const addrinfo *a = list.get(); a != nullptr && l.socket < 0; a = a->ai_next) {
            l.socket = bound_socket(*a);
            why = l.socket < 0 ? errno : 0;
        }
        if (l.socket >= 0) {
            break;
        }
    }
    if (l.socket < 0) {
        return ds_fail(err, DS_EIO, "port %u: %s", static_cast<unsigned>(port), strerror(why));
    }
    sockaddr_storage bound = {};
    socklen_t len = sizeof(bound);
    char text[16] = "";
    if (getsockname(l.socket, reinterpret_cast<sockaddr *>(&bound), &len) != 0 ||
        getnameinfo(reinterpret_cast<sockaddr *>(&bound), len, nullptr, 0, text, sizeof(text),
                    NI_NUMERICSERV) != 0) {
        return ds_fail(err, DS_EIO, "port %u: %s", static_cast<unsigned>(port), strerror(errno));
    }
    l.port = static_cast<uint16_t>(strtoul(text, nullptr, 10));
    return DS_OK;
}

std::string numeric_address(const sockaddr_storage &from, socklen_t len)
{
    char text[NI_MAXHOST] = "";
    if (getnameinfo(reinterpret_cast<const sockaddr *>(&from), len, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
        return "";
    }
    /* An IPv4 caller at the common socket (RFC 4291 2.5.5.2); rules are written in IPv4 terms. */
    const char mapped[] = "::ffff:";
    const bool is_mapped = strncmp(text, mapped, sizeof(mapped) - 1) == 0;
    return is_mapped ? text + sizeof(mapped) - 1 : text;
}

void reap(dicom_listener &l, bool all)
{
    std::list<Worker> finished;
    {
        const std::lock_guard<std::mutex> lock(l.mutex);
        for (auto w = l.workers.begin(); w != l.workers.end();) {
            const auto next = std::next(w);
            if (all || w->done) {
                finished.splice(finished.end(), l.workers, w);
            }
            w = next;
        }
    }
    for (Worker &w : finished) {
        w.thread.join();
    }
}

void work(dicom_listener &l, Worker &worker, int socket, const std::string &address) noexcept
{
    serve_connection(l, socket, address);
    const std::lock_guard<std::mutex> lock(l.mutex);
    worker.done = true;
    l.connections--;
    l.ended.notify_all();
}

/* Signals are the main thread's business; a new thread inherits the mask. */
std::thread quiet_thread(std::function<void()> body)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread;
    try {
        thread = std::thread(std::move(body));
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

/* Throws when there is no thread or memory to be had; the caller then closes the socket. */
void start_worker(dicom_listener &l, int socket, const std::string &address)
{
    const std::lock_guard<std::mutex> lock(l.mutex);
    l.workers.emplace_back();
    Worker &worker = l.workers.back();
    try {
        worker.thread =
            quiet_thread([&l, &worker, socket, address] { work(l, worker, socket, address); });
    } catch (...) {
        l.workers.pop_back();
        throw;
    }
    l.connections++;
}

bool crowded(dicom_listener &l)
{
    const std::lock_guard<std::mutex> lock(l.mutex);
    return l.connections >= l.max_associations + spare_connections;
}

void accept_one(dicom_listener &l)
{
    sockaddr_storage from = {};
    socklen_t len = sizeof(from);
    const int fd = accept4(l.socket, reinterpret_cast<sockaddr *>(&from), &len, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            ds_log(DS_LOG_ERROR, "dicom", "port=%u cannot accept: %s",
                   static_cast<unsigned>(l.port), strerror(errno));
            /* The caller stays in the backlog; without a pause this would be a busy loop. */
            (void)poll(nullptr, 0, 100);
        }
        return;
    }
    const std::string address = numeric_address(from, len);
    if (crowded(l)) {
        ds_log(DS_LOG_WARNING, "dicom", "port=%u address=%s closed at once: too many connections",
               static_cast<unsigned>(l.port), address.c_str());
        close(fd);
        return;
    }
    try {
        start_worker(l, fd, address);
    } catch (...) {
        ds_log(DS_LOG_ERROR, "dicom", "port=%u address=%s closed at once: no thread for it",
               static_cast<unsigned>(l.port), address.c_str());
        close(fd);
    }
}

void accept_loop(dicom_listener &l) noexcept
{
    while (!l.closing.raised()) {
        struct pollfd fds[2] = {{l.socket, POLLIN, 0}, {l.closing.fd(), POLLIN, 0}};
        const int n = poll(fds, 2, reap_ms);
        try {
            if (n > 0 && fds[0].revents != 0 && !l.closing.raised()) {
                accept_one(l);
            }
            reap(l, false);
        } catch (...) {
            ds_log(DS_LOG_ERROR, "dicom", "port=%u out of memory while accepting",
                   static_cast<unsigned>(l.port));
        }
    }
}

/* A reference to pixels elsewhere is nothing that anybody could vouch for. */
bool can_receive(const dicom_transfer_syntax *t)
{
    return t != nullptr && t->coding != DICOM_REFERENCED;
}

ds_status copy_syntaxes(dicom_listener &l, const dicom_listener_options &options, ds_error *err)
{
    for (size_t i = 0; i < options.transfer_syntax_count; i++) {
        const char *uid = options.transfer_syntaxes[i];
        if (uid == nullptr || !can_receive(dicom_transfer_syntax_of(uid))) {
            return ds_fail(err, DS_EINVAL, "transfer syntax %s is not one that can be received",
                           uid == nullptr ? "(none)" : uid);
        }
        l.transfer_syntaxes.emplace_back(uid);
    }
    size_t count = 0;
    const dicom_transfer_syntax *known = dicom_transfer_syntaxes(&count);
    for (size_t i = 0; options.transfer_syntaxes == nullptr && i < count; i++) {
        if (can_receive(&known[i])) {
            l.transfer_syntaxes.emplace_back(known[i].uid);
        }
    }
    return DS_OK;
}

ds_status exchange_tls(dicom_listener &l, const dicom_tls &tls, ds_error *err)
{
    std::unique_ptr<TlsContext> made;
    const ds_status status = TlsContext::make(made, tls, true, err);
    if (status == DS_OK) {
        std::shared_ptr<const TlsContext> next(std::move(made));
        const std::lock_guard<std::mutex> lock(l.mutex);
        l.tls.swap(next);
    }
    return status;
}

ds_status copy_options(dicom_listener &l, const dicom_listener_options &options,
                       const dicom_service &service, ds_error *err)
{
    if (options.ae_title == nullptr || options.ae_title[0] == '\0' ||
        strlen(options.ae_title) >= DICOM_AE_BYTES) {
        return ds_fail(err, DS_EINVAL, "an AE title has 1 to 16 characters");
    }
    if (options.max_associations == 0 || options.max_associations > 4096) {
        return ds_fail(err, DS_EINVAL, "max_associations is 1 to 4096");
    }
    if (service.store_begin == nullptr || service.store_data == nullptr ||
        service.store_end == nullptr) {
        return ds_fail(err, DS_EINVAL, "a listener needs the three store callbacks");
    }
    l.service = service;
    l.ae_titles.assign(options.more_ae_titles,
                       options.more_ae_titles + options.more_ae_title_count);
    l.ae_titles.emplace_back(options.ae_title);
    l.any_called_ae = options.any_called_ae;
    l.only_known_classes = options.only_known_classes;
    l.max_associations = options.max_associations;
    l.max_pdu_bytes = pdu_bytes(options.max_pdu_bytes);
    l.timeout_ms = static_cast<int>(
        options.timeout_s == 0 ? 60000U : std::min(options.timeout_s, 3600U) * 1000U);
    const ds_status status = copy_syntaxes(l, options, err);
    if (status != DS_OK || options.tls == nullptr) {
        return status;
    }
    return exchange_tls(l, *options.tls, err);
}

} // namespace

} // namespace dicom

dicom_listener::~dicom_listener()
{
    if (socket >= 0) {
        close(socket);
    }
}

bool dicom_listener::take_place()
{
    const std::lock_guard<std::mutex> lock(mutex);
    if (associations >= max_associations) {
        return false;
    }
    associations++;
    return true;
}

void dicom_listener::leave_place()
{
    const std::lock_guard<std::mutex> lock(mutex);
    associations--;
}

std::shared_ptr<const dicom::TlsContext> dicom_listener::tls_now()
{
    const std::lock_guard<std::mutex> lock(mutex);
    return tls;
}

extern "C" ds_status dicom_listener_start(dicom_listener **out,
                                          const dicom_listener_options *options,
                                          const dicom_service *service, ds_error *err)
{
    *out = nullptr;
    return dicom::guarded(err, [&] {
        std::unique_ptr<dicom_listener> l(new dicom_listener);
        ds_status status = dicom::copy_options(*l, *options, *service, err);
        if (status == DS_OK) {
            status = dicom::open_port(*l, options->address, options->port, err);
        }
        if (status == DS_OK) {
            dicom_listener *raw = l.get();
            l->acceptor = dicom::quiet_thread([raw] { dicom::accept_loop(*raw); });
            *out = l.release();
        }
        return status;
    });
}

extern "C" ds_status dicom_listener_reload_tls(dicom_listener *l, const dicom_tls *tls,
                                               ds_error *err)
{
    return dicom::guarded(err, [&] {
        if (l->tls_now() == nullptr) {
            return ds_fail(err, DS_EINVAL, "port %u has no TLS", static_cast<unsigned>(l->port));
        }
        return dicom::exchange_tls(*l, *tls, err);
    });
}

extern "C" uint16_t dicom_listener_port(const dicom_listener *l)
{
    return l->port;
}

extern "C" void dicom_listener_stop(dicom_listener *l, unsigned drain_ms)
{
    if (l == nullptr) {
        return;
    }
    l->closing.raise();
    l->acceptor.join();
    close(l->socket);
    l->socket = -1;
    {
        std::unique_lock<std::mutex> lock(l->mutex);
        (void)l->ended.wait_for(lock, std::chrono::milliseconds(drain_ms),
                                [l] { return l->connections == 0; });
    }
    l->aborting.raise();
    dicom::reap(*l, true);
    delete l;
}
