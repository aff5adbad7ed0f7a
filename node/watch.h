/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - keeps the metrics up to date that somebody has to ask for, and the web port open.
 *
 * The database is asked every few seconds by a thread of watch's own, never by whoever reads
 * /metrics: what is shown of it is the last answer, and dicomstego_database_up says whether that
 * is still true. A web port that cannot be had is no reason not to take images: it is tried again.
 */
#ifndef DICOMSTEGO_NODE_WATCH_H
#define DICOMSTEGO_NODE_WATCH_H

#include "node/ports.h"
#include "node/services.h"

struct watch;

/* listeners: the ports in force; its web port is ours to find. Writes ports.json. */
DS_CHECKED enum ds_status watch_start(struct watch **out, struct services *services,
                                      const struct ports *listeners, struct ds_error *err);
/* 0: none. */
uint16_t watch_web_port(const struct watch *w);
/* False: the thread is still busy. NULL is fine. */
DS_CHECKED bool watch_stop(struct watch *w, int64_t until_ms);

#endif
