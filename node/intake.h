/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake - the listeners: who may call; what arrives goes into the spool.
 */
#ifndef DICOMSTEGO_NODE_INTAKE_H
#define DICOMSTEGO_NODE_INTAKE_H

#include "node/services.h"

struct intake;

/* Opens the plain and the TLS port of the settings in force. */
DS_CHECKED enum ds_status intake_start(struct intake **out, struct services *services,
                                       struct ds_error *err);
/* Whom the TLS port trusts, and our own certificate there, from now on; associations that are open
 * go on. On failure nothing has changed. */
DS_CHECKED enum ds_status intake_reload(struct intake *i, const struct settings *settings,
                                        struct ds_error *err);
uint16_t intake_port(const struct intake *i);     /* 0: no plain listener */
uint16_t intake_tls_port(const struct intake *i); /* 0: no TLS listener */
/* No new associations; running ones get drain_ms. Joins every thread. NULL is fine. */
void intake_stop(struct intake *i, unsigned drain_ms);

#endif
