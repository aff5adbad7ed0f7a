/* SPDX-License-Identifier: Apache-2.0 */
#include "web/connections.h"

#include "base/clock.h"

#include <sys/socket.h>

void web_connections_init(struct web_connections *c)
{
    (void)pthread_mutex_init(&c->lock, NULL);
    for (unsigned i = 0; i < WEB_CONNECTIONS_MAX; i++) {
        c->places[i].fd = -1;
    }
}

void web_connections_finish(struct web_connections *c)
{
    (void)pthread_mutex_destroy(&c->lock);
}

static void replace(struct web_connections *c, int fd, int by)
{
    (void)pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < WEB_CONNECTIONS_MAX; i++) {
        if (c->places[i].fd == fd) {
            c->places[i].fd = by;
            c->places[i].begun_ms = ds_clock_monotonic_ms();
            break;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void web_connections_begin(struct web_connections *c, int fd)
{
    replace(c, -1, fd);
}

void web_connections_end(struct web_connections *c, int fd)
{
    replace(c, fd, -1);
}

void web_connections_cut(struct web_connections *c, int64_t before_ms)
{
    /* Under the lock a descriptor is not closed, so it cannot be somebody else's already. */
    (void)pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < WEB_CONNECTIONS_MAX; i++) {
        if (c->places[i].fd >= 0 && c->places[i].begun_ms < before_ms) {
            (void)shutdown(c->places[i].fd, SHUT_RDWR);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
}
