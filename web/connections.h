/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connections - how old each connection of the web port is; private to web.
 *
 * libmicrohttpd ends who says nothing for some seconds. Who says one byte every few seconds would
 * keep his place for good, and the places are few: so no connection lives longer than a while.
 */
#ifndef DICOMSTEGO_WEB_CONNECTIONS_H
#define DICOMSTEGO_WEB_CONNECTIONS_H

#include <pthread.h>
#include <stdint.h>

#define WEB_CONNECTIONS_MAX 32U

struct web_connections {
    pthread_mutex_t lock;
    struct {
        int fd;           /* -1: a free place */
        int64_t begun_ms; /* monotonic */
    } places[WEB_CONNECTIONS_MAX];
};

void web_connections_init(struct web_connections *c);
void web_connections_finish(struct web_connections *c);
/* Before the descriptor is used, and before it is closed. */
void web_connections_begin(struct web_connections *c, int fd);
void web_connections_end(struct web_connections *c, int fd);
/* Shuts those down that began before this time; whoever serves them closes them. */
void web_connections_cut(struct web_connections *c, int64_t before_ms);

#endif
