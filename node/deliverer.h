/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliverer - workers that send what is owed, some for each peer.
 *
 * A worker claims deliveries of its peer under a lease, makes or loads each, sends it on an
 * association that it keeps open, and hands the outcome to the clerk, who writes it down. A peer
 * that cannot be reached pauses its own workers only. At a reload the workers end after the
 * instance that they are at, and new ones take over.
 */
#ifndef DICOMSTEGO_NODE_DELIVERER_H
#define DICOMSTEGO_NODE_DELIVERER_H

#include "node/services.h"

struct deliverer;

DS_CHECKED enum ds_status deliverer_start(struct deliverer **out, struct services *services,
                                          struct ds_error *err);
/* New settings are in force. */
DS_CHECKED enum ds_status deliverer_reload(struct deliverer *d, struct ds_error *err);
/* After services_stop. False when a worker did not end in time; all is then left as it is. */
DS_CHECKED bool deliverer_stop(struct deliverer *d, int64_t until_ms);

#endif
