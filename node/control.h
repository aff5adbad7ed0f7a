/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the socket through which operators command the running node (config/control.h).
 *
 * Access is the file's permissions: 0660, the node's user and, where one is configured, a group.
 * Who calls is asked of the kernel (SO_PEERCRED), never of the request. Each client has a thread of
 * its own for as long as it is bounded: CONTROL_REQUEST_MS for its request, CONTROL_SEND_MS for the
 * answer to be taken; clients beyond CONTROL_CLIENTS_MAX are told so and closed.
 */
#ifndef DICOMSTEGO_NODE_CONTROL_H
#define DICOMSTEGO_NODE_CONTROL_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CONTROL_CLIENTS_MAX 16U
#define CONTROL_ACTOR_BYTES 64U

struct control_request {
    json_t *arguments; /* an object, borrowed */
    const char *actor; /* "operator NAME", for events */
};

struct control_answer;
/* Sends a row, which it takes (NULL: out of memory). A client that does not read it is DS_EIO. */
DS_CHECKED enum ds_status control_row(struct control_answer *a, json_t *row, struct ds_error *err);

/* Says how far it has come; no row. Errors as control_row. */
DS_CHECKED enum ds_status control_progress(struct control_answer *a, uint64_t done, uint64_t total,
                                           struct ds_error *err);

/* A string of text; what is not UTF-8, as a peer's words may be, has '?' in its place. */
json_t *control_text(const char *text);

struct control_verb {
    const char *name;
    /* Rows as it goes; its status and text end the answer. From a client's thread. */
    enum ds_status (*run)(void *context, const struct control_request *request,
                          struct control_answer *answer, struct ds_error *err);
};

struct control;

/* path: the socket. group: whose members may command too, and pass through the socket's folder for
 * that; NULL: none. verbs end with a NULL name; they and context outlive the control. DS_ECONFIG:
 * no such group. */
DS_CHECKED enum ds_status control_start(struct control **out, const char *path, const char *group,
                                        const struct control_verb *verbs, void *context,
                                        struct ds_error *err);
/* Ends clients that wait for us or for themselves. False: a verb is still running. NULL is fine. */
DS_CHECKED bool control_stop(struct control *c, int64_t until_ms);

#endif
