/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/transport.h"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace dicom
{

namespace
{

/* 0, or the reason as errno. */
int finish(int fd, const Patience &patience, const Interrupt *interrupt)
{
    for (;;) {
        /* poll passes over a descriptor of -1. */
        struct pollfd ready[2] = {{fd, POLLOUT, 0},
                                  {interrupt == nullptr ? -1 : interrupt->fd(), POLLIN, 0}};
        const int n = poll(ready, 2, patience.left_ms());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? ETIMEDOUT : errno;
        }
        if (ready[1].revents != 0) {
            return ECANCELED;
        }
        int why = 0;
        socklen_t len = sizeof(why);
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 ? why : errno;
    }
}

/* -1 with *why. */
int dial_address(const addrinfo &to, const Patience &patience, const Interrupt *interrupt, int *why)
{
    const int fd = socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *why = errno;
        return -1;
    }
    *why = connect(fd, to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
    if (*why == EINPROGRESS || *why == EINTR) {
        *why = finish(fd, patience, interrupt);
    }
    if (*why != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct free_addresses {
    void operator()(addrinfo *a) const noexcept
    {
        freeaddrinfo(a);
    }
};

} // namespace

int dial(const char *host, uint16_t port, const Patience &patience, const Interrupt *interrupt,
         ds_error *err)
{
    addrinfo hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo *raw = nullptr;
    const int found = getaddrinfo(host, std::to_string(port).c_str(), &hints, &raw);
    if (found != 0) {
        (void)ds_fail(err, DS_EIO, "%s: %s", host, gai_strerror(found));
        return -1;
    }
    const std::unique_ptr<addrinfo, free_addresses> list(raw);
    int why = EADDRNOTAVAIL;
    int untried = 0;
    for (const addrinfo *a = list.get(); a != nullptr; a = a->ai_next) {
        untried++;
    }
    for (const addrinfo *a = list.get(); a != nullptr; a = a->ai_next, untried--) {
        Patience share; /* one address that swallows everything leaves the others their time */
        share.start(patience.left_ms() / untried, true);
        const int fd = dial_address(*a, share, interrupt, &why);
        if (fd >= 0) {
            return fd;
        }
    }
    (void)ds_fail(err, DS_EIO, "%s port %u: %s", host, static_cast<unsigned>(port), strerror(why));
    return -1;
}

} // namespace dicom
