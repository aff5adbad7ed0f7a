/* SPDX-License-Identifier: Apache-2.0 */
/*
 * committer - storage commitment as a service of the node: threads that ask peers (asking.h) and
 * answer them (answering.h).
 *
 * Each peer is served by one thread at a time, so that one that keeps a thread waiting keeps no
 * more than that one.
 */
#ifndef DICOMSTEGO_NODE_COMMITTER_H
#define DICOMSTEGO_NODE_COMMITTER_H

#include "node/services.h"

struct committer;

DS_CHECKED enum ds_status committer_start(struct committer **out, struct services *services,
                                          struct ds_error *err);
/* After services_stop. False when a thread did not end in time; all is then left as it is. */
DS_CHECKED bool committer_stop(struct committer *c, int64_t until_ms);

#endif
