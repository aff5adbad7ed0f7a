/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen - the socket behind the web port; private to web.
 */
#ifndef DICOMSTEGO_WEB_LISTEN_H
#define DICOMSTEGO_WEB_LISTEN_H

#include "base/error.h"

#include <stdint.h>

/* Listens on the first of the address's meanings that can be had. *bound: the port in force. */
DS_CHECKED enum ds_status web_listen(const char *address, uint16_t port, int *out, uint16_t *bound,
                                     struct ds_error *err);

#endif
