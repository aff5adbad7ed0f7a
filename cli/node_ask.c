/* SPDX-License-Identifier: Apache-2.0 */
/* The request to a running node and its answer: config/control.h. */
#include "cli/operate.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/local.h"
#include "config/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENCE_S 120 /* a peer that stalls keeps an echo waiting for half of that */
#define ROWS_MAX  20000U
#define TEXT_CUT  200

static enum ds_status connect_to(const char *path, int *fd, struct ds_error *err)
{
    const enum ds_status s = ds_local_connect(path, fd, err);
    if (s == DS_ENOTFOUND) {
        return ds_fail(err, DS_EIO,
                       "no node is running at %.*s: start it, or say where it is with --config or "
                       "--socket",
                       TEXT_CUT, path);
    }
    if (s == DS_EREFUSED) {
        return ds_fail(err, DS_EIO,
                       "you may not command the node at %.*s: be its user, or of the group that "
                       "node.control_group names",
                       TEXT_CUT, path);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct timeval patience = {.tv_sec = SILENCE_S};
    (void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return DS_OK;
}

/* Takes arguments. */
static enum ds_status send_request(int fd, const char *verb, json_t *arguments,
                                   struct ds_error *err)
{
    json_t *request = json_pack("{s:i, s:s, s:o}", "version", CONTROL_VERSION, "verb", verb,
                                "arguments", arguments);
    char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (text == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    const size_t len = strlen(text);
    text[len] = '\n'; /* in the terminator's place: sent by length from here on */
    size_t at = 0;
    while (at <= len) {
        const ssize_t n = send(fd, text + at, len + 1 - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            break; /* a node that refuses does not read on: its answer says why */
        }
        at += n > 0 ? (size_t)n : 0;
    }
    free(text);
    return DS_OK;
}

static enum ds_status status_named(const char *name)
{
    for (int s = DS_OK; s <= (int)DS_EREFUSED; s++) {
        if (strcmp(ds_status_name((enum ds_status)s), name) == 0) {
            return (enum ds_status)s;
        }
    }
    return DS_EIO;
}

/* Who gets the rows. */
struct taker {
    cli_row_fn *take;
    void *context;
};

/* One line of an answer. *done: it was the last. */
static enum ds_status take_line(const char *text, size_t len, const struct taker *to, bool *done,
                                struct ds_error *err)
{
    json_t *line = json_loadb(text, len, 0, NULL);
    json_t *row = json_object_get(line, "row");
    const char *status = NULL;
    const char *why = NULL;
    json_int_t shown = 0;
    json_int_t total = 0;
    enum ds_status s = DS_OK;
    if (json_unpack(line, "{s:{s:I, s:I}}", "progress", "done", &shown, "total", &total) == 0) {
        cli_progress("", (size_t)shown, (size_t)total);
    } else if (row != NULL) {
        s = to->take(to->context, row, err);
    } else if (json_object_get(line, "end") != NULL) {
        *done = true;
    } else if (json_unpack(line, "{s:{s:s, s:s}}", "error", "status", &status, "text", &why) == 0) {
        const enum ds_status named = status_named(status);
        s = ds_fail(err, named != DS_OK ? named : DS_EIO, "%s", why);
    } else {
        s = ds_fail(err, DS_EFORMAT, "the node's answer cannot be read");
    }
    json_decref(line);
    return s;
}

/* Takes the whole lines out of *text. */
static enum ds_status take_lines(struct ds_bytes *text, const struct taker *to, bool *done,
                                 struct ds_error *err)
{
    size_t at = 0;
    enum ds_status s = DS_OK;
    while (s == DS_OK && !*done) {
        const uint8_t *end = at < text->len ? memchr(text->data + at, '\n', text->len - at) : NULL;
        if (end == NULL) {
            break;
        }
        s = take_line((const char *)text->data + at, (size_t)(end - text->data) - at, to, done,
                      err);
        at = (size_t)(end - text->data) + 1;
    }
    if (at > 0) {
        memmove(text->data, text->data + at, text->len - at);
        text->len -= at;
    }
    return s;
}

static enum ds_status receive(int fd, const struct taker *to, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes text = DS_BYTES_INIT(CONTROL_LINE_MAX_BYTES);
    static char some[65536];
    bool done = false;
    enum ds_status s = DS_OK;
    while (s == DS_OK && !done) {
        const ssize_t n = recv(fd, some, sizeof(some), 0);
        if (n < 0 && errno == EINTR && !cli_stopped()) {
            continue;
        }
        if (n <= 0) {
            return ds_fail(err, DS_EIO,
                           n == 0 ? "the node ended before its answer did; was it stopped?"
                                  : "the node does not answer");
        }
        s = ds_bytes_append(&text, some, (size_t)n, err);
        if (s == DS_OK) {
            s = take_lines(&text, to, &done, err);
        }
    }
    return s;
}

enum ds_status cli_node_stream(const char *socket, const char *verb, json_t *arguments,
                               cli_row_fn *take, void *context, struct ds_error *err)
{
    DS_AUTO(ds_file_close) int fd = -1;
    const struct taker to = {take, context};
    enum ds_status s = connect_to(socket, &fd, err);
    if (s != DS_OK) {
        json_decref(arguments);
    } else {
        s = send_request(fd, verb, arguments, err);
    }
    if (s == DS_OK) {
        s = receive(fd, &to, err);
    }
    return s;
}

static enum ds_status keep_row(void *rows, json_t *row, struct ds_error *err)
{
    if (json_array_size(rows) >= ROWS_MAX) {
        return ds_fail(err, DS_EFORMAT, "the node's answer has too many rows");
    }
    return json_array_append(rows, row) == 0 ? DS_OK : ds_fail(err, DS_ENOMEM, "out of memory");
}

enum ds_status cli_node_ask(const char *socket, const char *verb, json_t *arguments, json_t **rows,
                            struct ds_error *err)
{
    *rows = json_array();
    const enum ds_status s = cli_node_stream(socket, verb, arguments, keep_row, *rows, err);
    if (s != DS_OK) {
        json_decref(*rows);
        *rows = NULL;
    }
    return s;
}
