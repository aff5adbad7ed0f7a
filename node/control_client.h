/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client - one connection of the control socket; private to control.
 */
#ifndef DICOMSTEGO_NODE_CONTROL_CLIENT_H
#define DICOMSTEGO_NODE_CONTROL_CLIENT_H

#include "node/control.h"

struct control_client {
    int fd;       /* non-blocking; closed when it has been served */
    int stopping; /* readable: end now */
    const struct control_verb *verbs;
    void *context;
};

/* Request, verb, answer, close. */
void control_client_serve(struct control_client *c);

#endif
