/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake - the listeners: who may call, and what arrives goes to the indexer.
 */
#ifndef DICOMSTEGO_NODE_INTAKE_H
#define DICOMSTEGO_NODE_INTAKE_H

#include "node/indexer.h"
#include "node/services.h"

struct intake;

/* Opens the plain and the TLS port of the settings in force. */
DS_CHECKED enum ds_status intake_start(struct intake **out, struct services *services,
                                       struct indexer *indexer, struct ds_error *err);
uint16_t intake_port(const struct intake *i);     /* 0: no plain listener */
uint16_t intake_tls_port(const struct intake *i); /* 0: no TLS listener */
/* No new associations; running ones get drain_ms. Joins every thread. NULL is fine. */
void intake_stop(struct intake *i, unsigned drain_ms);

#endif
