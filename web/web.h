/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web - HTTP for those who watch: /metrics for Prometheus, /health/live and /health/ready for
 * whoever starts and stops the node.
 *
 * GET and HEAD only; a path is a row of the table in web.c. Nothing here tells anything of a
 * patient or a study, and nothing changes anything, so there is no login: the address that it
 * listens on is the limit, and the default is the machine itself.
 *
 * One thread serves all. What a client may cost is bounded: connections, seconds without a byte,
 * seconds at all (web_tend), bytes of a request.
 */
#ifndef DICOMSTEGO_WEB_WEB_H
#define DICOMSTEGO_WEB_WEB_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct web_health {
    const char
        *unready; /* why the node takes no images now, a text without quotes; "" if it does */
    bool database_up;
    uint64_t spool_free_bytes;
    uint16_t dicom_port, tls_port; /* 0: no such listener */
};

/* The node's answers, called from web's thread; they must be quick. */
struct web_source {
    void *context;
    /* Brings those metrics up to date that are read and not counted. */
    void (*measure)(void *context);
    void (*health)(void *context, struct web_health *out);
};

struct web;

/* Serves on address and port (0: any free one) until stopped; source is copied. DS_EIO: the port is
 * taken, or there is no such address. */
DS_CHECKED enum ds_status web_start(struct web **out, const char *address, uint16_t port,
                                    const struct web_source *source, struct ds_error *err);
uint16_t web_port(const struct web *w);
/* Ends connections that are older than this; to be called every now and then, from any thread. */
void web_tend(struct web *w, int64_t longest_ms);
/* Ends at once, with what is being answered; NULL is fine. */
void web_stop(struct web *w);

#endif
