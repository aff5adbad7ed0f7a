/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post - one HTTP POST and its answer. Only http and https, no redirects, no cookies, no proxy but
 * the environment's; the server of an https URL is verified by the system's CAs.
 */
#ifndef DICOMSTEGO_NODE_POST_H
#define DICOMSTEGO_NODE_POST_H

#include "base/bytes.h"

#include <stdbool.h>

struct post {
    const char *url;
    const char *type;   /* Content-Type of the body */
    const char *accept; /* Content-Type that the answer must have */
    const struct ds_bytes *body;
    unsigned timeout_ms;
    bool (*stopping)(void *context); /* asked about once a second; true ends it */
    void *context;
};

/* Appends the body of a 200, at most as much as answer can hold. DS_EIO for all that may be better
 * next time. Any thread; the first call of all must not run beside another. */
DS_CHECKED enum ds_status post_send(const struct post *p, struct ds_bytes *answer,
                                    struct ds_error *err);

#endif
