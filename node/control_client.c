/* SPDX-License-Identifier: Apache-2.0 */
#include "node/control_client.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "config/control.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct control_answer {
    const struct control_client *client;
    uint64_t rows;
    int64_t waited_ms; /* for the client to read */
};

/* Waits for the client until the clock says until_ms. False: it is over, or the node stops. */
static bool wait_for(const struct control_client *c, short events, int64_t until_ms)
{
    for (;;) {
        const int64_t left = until_ms - ds_clock_monotonic_ms();
        struct pollfd waits[] = {{.fd = c->fd, .events = events},
                                 {.fd = c->stopping, .events = POLLIN}};
        if (left <= 0) {
            return false;
        }
        const int n = poll(waits, DS_ARRAY_SIZE(waits), (int)left);
        if (waits[1].revents != 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
        if (n > 0 && waits[0].revents != 0) {
            return true;
        }
    }
}

/* ---- the request ---- */

/* Bytes until the first line feed, which is not counted. */
static enum ds_status receive(const struct control_client *c, struct ds_bytes *line,
                              struct ds_error *err)
{
    const int64_t until_ms = ds_clock_monotonic_ms() + CONTROL_REQUEST_MS;
    while (wait_for(c, POLLIN, until_ms)) {
        uint8_t some[4096];
        const ssize_t n = recv(c->fd, some, sizeof(some), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (n <= 0) {
            return ds_fail(err, DS_EIO, "the connection ended before the request did");
        }
        const uint8_t *end = memchr(some, '\n', (size_t)n);
        const enum ds_status s =
            ds_bytes_append(line, some, end != NULL ? (size_t)(end - some) : (size_t)n, NULL);
        if (s != DS_OK) {
            return ds_fail(err, s, "a request has at most %u bytes", CONTROL_REQUEST_MAX_BYTES);
        }
        if (end != NULL) {
            return DS_OK;
        }
    }
    return ds_fail(err, DS_EIO, "no request within %d s", CONTROL_REQUEST_MS / 1000);
}

/* verb and arguments are borrowed from root. */
static enum ds_status parse(json_t *root, const char **verb, json_t **arguments,
                            struct ds_error *err)
{
    json_error_t why;
    json_int_t version = 0;
    if (json_unpack_ex(root, &why, 0, "{s:I}", "version", &version) != 0) {
        return ds_fail(err, DS_EINVAL, "no request: %s", why.text);
    }
    if (version != CONTROL_VERSION) {
        return ds_fail(err, DS_EUNSUPPORTED, "this node speaks version %d of the control protocol",
                       CONTROL_VERSION);
    }
    *arguments = NULL;
    if (json_unpack_ex(root, &why, JSON_STRICT, "{s:I, s:s, s?:o}", "version", &version, "verb",
                       verb, "arguments", arguments) != 0 ||
        (*arguments != NULL && !json_is_object(*arguments))) {
        return ds_fail(err, DS_EINVAL, "no request: %s",
                       why.text[0] != '\0' ? why.text : "the arguments are no object");
    }
    return DS_OK;
}

/* ---- the answer ---- */

static enum ds_status send_all(struct control_answer *a, const char *text, size_t len,
                               struct ds_error *err)
{
    size_t at = 0;
    while (at < len) {
        const ssize_t n = send(a->client->fd, text + at, len - at, MSG_NOSIGNAL);
        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        const int64_t begun_ms = ds_clock_monotonic_ms();
        if (errno != EAGAIN ||
            !wait_for(a->client, POLLOUT, begun_ms + CONTROL_SEND_MS - a->waited_ms)) {
            return ds_fail(err, DS_EIO, "the operator does not take the answer");
        }
        a->waited_ms += ds_clock_monotonic_ms() - begun_ms;
    }
    return DS_OK;
}

json_t *control_text(const char *text)
{
    json_t *string = json_string(text);
    char plain[DS_ERROR_TEXT_BYTES];
    if (string != NULL) {
        return string;
    }
    (void)snprintf(plain, sizeof(plain), "%s", text);
    for (char *c = plain; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x80 ? *c : '?';
    }
    return json_string(plain);
}

/* Takes value. */
static enum ds_status send_line(struct control_answer *a, const char *name, json_t *value,
                                struct ds_error *err)
{
    json_t *line = json_pack("{s:o}", name, value);
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (text == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for an answer");
    }
    enum ds_status s = send_all(a, text, strlen(text), err);
    free(text);
    if (s == DS_OK) {
        s = send_all(a, "\n", 1, err);
    }
    return s;
}

enum ds_status control_row(struct control_answer *a, json_t *row, struct ds_error *err)
{
    const enum ds_status s = send_line(a, "row", row, err);
    a->rows += s == DS_OK ? 1 : 0;
    return s;
}

enum ds_status control_progress(struct control_answer *a, uint64_t done, uint64_t total,
                                struct ds_error *err)
{
    return send_line(a, "progress",
                     json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total),
                     err);
}

static void send_end(struct control_answer *a, enum ds_status s, const struct ds_error *err)
{
    json_t *end = s == DS_OK ? json_pack("{s:I}", "rows", (json_int_t)a->rows)
                             : json_pack("{s:s, s:o}", "status", ds_status_name(s), "text",
                                         control_text(err->text));
    struct ds_error lost = {0};
    if (send_line(a, s == DS_OK ? "end" : "error", end, &lost) != DS_OK) {
        ds_log(DS_LOG_DEBUG, "node", "control: %s", lost.text);
    }
}

/* ---- who asks ---- */

static void name_actor(int fd, char out[CONTROL_ACTOR_BYTES])
{
    struct ucred who = {0};
    socklen_t len = sizeof(who);
    struct passwd record;
    struct passwd *found = NULL;
    char buffer[4096];
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
        (void)snprintf(out, CONTROL_ACTOR_BYTES, "operator");
        return;
    }
    if (getpwuid_r(who.uid, &record, buffer, sizeof(buffer), &found) == 0 && found != NULL) {
        (void)snprintf(out, CONTROL_ACTOR_BYTES, "operator %s", found->pw_name);
    } else {
        (void)snprintf(out, CONTROL_ACTOR_BYTES, "operator uid %u", (unsigned)who.uid);
    }
}

/* ---- all of it ---- */

static const struct control_verb *verb_named(const struct control_verb *verbs, const char *name)
{
    for (const struct control_verb *v = verbs; v->name != NULL; v++) {
        if (strcmp(v->name, name) == 0) {
            return v;
        }
    }
    return NULL;
}

static enum ds_status obey(struct control_answer *a, json_t *root, struct ds_error *err)
{
    const struct control_client *c = a->client;
    const char *name = NULL;
    char actor[CONTROL_ACTOR_BYTES];
    struct control_request request = {.actor = actor};
    const enum ds_status s = parse(root, &name, &request.arguments, err);
    if (s != DS_OK) {
        return s;
    }
    const struct control_verb *verb = verb_named(c->verbs, name);
    if (verb == NULL) {
        return ds_fail(err, DS_EUNSUPPORTED, "this node knows no verb '%.60s'", name);
    }
    name_actor(c->fd, actor);
    ds_log(DS_LOG_DEBUG, "node", "control: %s asks for %s", actor, verb->name);
    json_t *none = request.arguments == NULL ? json_object() : NULL;
    if (none != NULL) {
        request.arguments = none;
    }
    const enum ds_status done = verb->run(c->context, &request, a, err);
    json_decref(none);
    return done;
}

static enum ds_status converse(struct control_answer *a, struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes line = DS_BYTES_INIT(CONTROL_REQUEST_MAX_BYTES);
    json_error_t why;
    const enum ds_status s = receive(a->client, &line, err);
    if (s != DS_OK) {
        return s;
    }
    json_t *root = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return ds_fail(err, DS_EINVAL, "no request: %s", why.text);
    }
    const enum ds_status done = obey(a, root, err);
    json_decref(root);
    return done;
}

void control_client_serve(struct control_client *c)
{
    struct control_answer a = {.client = c};
    struct ds_error err = {0};
    const enum ds_status s = converse(&a, &err);
    send_end(&a, s, &err);
    ds_file_close(&c->fd);
}
