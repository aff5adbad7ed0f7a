/* SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "web/connections.h"
#include "web/listen.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_S           10U
#define CONNECTION_BYTES (16U * 1024U) /* of a request's lines */
#define PAGE_MAX_BYTES   (64U * 1024U * 1024U)

struct web {
    struct MHD_Daemon *daemon;
    struct web_source source;
    struct web_connections connections;
    uint16_t port;
};

struct page {
    unsigned status;
    const char *type;
    struct ds_bytes body;
};

/* ---- pages ---- */

static enum ds_status put_text(struct page *p, const char *text, struct ds_error *err)
{
    return ds_bytes_append(&p->body, text, strlen(text), err);
}

static enum ds_status metrics(const struct web *w, struct page *p, struct ds_error *err)
{
    p->type = "text/plain; version=0.0.4; charset=utf-8";
    w->source.measure(w->source.context);
    return ds_metrics_render(&p->body, err);
}

static enum ds_status live(const struct web *w, struct page *p, struct ds_error *err)
{
    (void)w;
    p->type = "application/json";
    return put_text(p, "{\"status\":\"live\"}\n", err);
}

/* A database that is away is a field and no reason: intake goes on. */
static enum ds_status ready(const struct web *w, struct page *p, struct ds_error *err)
{
    struct web_health h = {.unready = ""};
    char text[512];
    w->source.health(w->source.context, &h);
    const bool is_ready = h.unready[0] == '\0';
    p->type = "application/json";
    p->status = is_ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    (void)snprintf(text, sizeof(text),
                   "{\"status\":\"%s\",\"reason\":\"%s\",\"database\":\"%s\","
                   "\"spool_free_bytes\":%llu,\"dicom\":%u,\"tls\":%u}\n",
                   is_ready ? "ready" : "not ready", h.unready, h.database_up ? "up" : "down",
                   (unsigned long long)h.spool_free_bytes, h.dicom_port, h.tls_port);
    return put_text(p, text, err);
}

static const struct route {
    const char *path;
    enum ds_status (*make)(const struct web *w, struct page *p, struct ds_error *err);
} routes[] = {
    {"/metrics", metrics},
    {"/health/live", live},
    {"/health/ready", ready},
};

static enum ds_status plain(struct page *p, unsigned status, const char *text, struct ds_error *err)
{
    p->status = status;
    p->type = "text/plain; charset=utf-8";
    return put_text(p, text, err);
}

static enum ds_status make_page(const struct web *w, const char *path, const char *method,
                                struct page *p, struct ds_error *err)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return plain(p, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n", err);
    }
    for (size_t i = 0; i < DS_ARRAY_SIZE(routes); i++) {
        if (strcmp(path, routes[i].path) == 0) {
            p->status = MHD_HTTP_OK;
            return routes[i].make(w, p, err);
        }
    }
    return plain(p, MHD_HTTP_NOT_FOUND, "not here\n", err);
}

/* ---- libmicrohttpd ---- */

static enum MHD_Result send_page(struct MHD_Connection *c, struct page *p)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(p->body.len, p->body.data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    bool ok =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, p->type) == MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
    if (ok && p->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        ok = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES;
    }
    const enum MHD_Result queued = ok ? MHD_queue_response(c, p->status, response) : MHD_NO;
    MHD_destroy_response(response);
    return queued;
}

/* Called when the request's lines are there. A body is nobody's business: answering before it is
 * read ends the connection after the answer. MHD_NO ends it without one. */
static enum MHD_Result answer(void *context, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **state)
{
    (void)version;
    (void)upload;
    (void)upload_bytes;
    (void)state;
    const struct web *w = context;
    struct ds_error err = {0};
    struct page p = {.body = DS_BYTES_INIT(PAGE_MAX_BYTES)};
    enum MHD_Result result = MHD_NO;
    if (make_page(w, url, method, &p, &err) == DS_OK) {
        result = send_page(c, &p);
    } else {
        ds_log(DS_LOG_ERROR, "web", "no answer: %s", err.text);
    }
    ds_bytes_free(&p.body);
    return result;
}

static void web_free(struct web *w)
{
    web_connections_finish(&w->connections);
    free(w);
}

static void note(void *context, struct MHD_Connection *c, void **state,
                 enum MHD_ConnectionNotificationCode what)
{
    (void)state;
    struct web *w = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL) {
        return;
    }
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        web_connections_begin(&w->connections, info->connect_fd);
    } else {
        web_connections_end(&w->connections, info->connect_fd);
    }
}

enum ds_status web_start(struct web **out, const char *address, uint16_t port,
                         const struct web_source *source, struct ds_error *err)
{
    *out = NULL;
    struct web *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    w->source = *source;
    web_connections_init(&w->connections);
    int socket = -1;
    const enum ds_status s = web_listen(address, port, &socket, &w->port, err);
    if (s != DS_OK) {
        web_free(w);
        return s;
    }
    w->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL, answer, w,
        MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_NOTIFY_CONNECTION, note, w,
        MHD_OPTION_CONNECTION_LIMIT, WEB_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (w->daemon == NULL) {
        ds_file_close(&socket);
        web_free(w);
        return ds_fail(err, DS_EIO, "the web server does not start");
    }
    *out = w;
    return DS_OK;
}

void web_tend(struct web *w, int64_t longest_ms)
{
    web_connections_cut(&w->connections, ds_clock_monotonic_ms() - longest_ms);
}

uint16_t web_port(const struct web *w)
{
    return w->port;
}

void web_stop(struct web *w)
{
    if (w == NULL) {
        return;
    }
    MHD_stop_daemon(w->daemon); /* closes the socket, too */
    web_free(w);
}
