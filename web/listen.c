/* SPDX-License-Identifier: Apache-2.0 */
#include "web/listen.h"

#include "base/file.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 32

static void free_addresses(struct addrinfo **a)
{
    if (*a != NULL) {
        freeaddrinfo(*a);
    }
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    char text[16] = "";
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0 ||
        getnameinfo((struct sockaddr *)&name, len, NULL, 0, text, sizeof(text), NI_NUMERICSERV) !=
            0) {
        return 0;
    }
    return (uint16_t)strtoul(text, NULL, 10);
}

/* -1 with errno. */
static int listen_at(const struct addrinfo *a)
{
    const int on = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    /* A restart must not wait for the connections of before. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    const int why = errno;
    ds_file_close(&fd);
    errno = why;
    return -1;
}

enum ds_status web_listen(const char *address, uint16_t port, int *out, uint16_t *bound,
                          struct ds_error *err)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    DS_AUTO(free_addresses) struct addrinfo *found = NULL;
    char service[8];
    *out = -1;
    (void)snprintf(service, sizeof(service), "%u", port);
    const int failed = getaddrinfo(address, service, &hints, &found);
    if (failed != 0) {
        return ds_fail(err, DS_EIO, "web address %s: %s", address, gai_strerror(failed));
    }
    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *a = found; a != NULL && *out < 0; a = a->ai_next) {
        *out = listen_at(a);
    }
    if (*out < 0) {
        return ds_fail(err, DS_EIO, "web port %s:%u: %s", address, port, strerror(errno));
    }
    *bound = port_of(*out);
    return DS_OK;
}
