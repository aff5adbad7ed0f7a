/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder - events of what others asked to see, written behind the answer: a query does not wait
 * for the disk, and one that is asked while the database is away is recorded when it is back.
 *
 * The queue is bounded. Who finds it full waits for a moment, then the event is an error in the
 * log. What is queued when the node stops is written before it ends, as far as the database is
 * there; what was queued when its process is killed, at most some milliseconds of it, is lost.
 */
#ifndef DICOMSTEGO_NODE_RECORDER_H
#define DICOMSTEGO_NODE_RECORDER_H

#include "db/db.h"

#include <stdbool.h>

struct recorder;
struct services;

DS_CHECKED enum ds_status recorder_start(struct recorder **out, struct services *services,
                                         struct ds_error *err);
/* After those who add have ended. False when it did not end in time; all is then left as it is. */
DS_CHECKED bool recorder_stop(struct recorder *r, int64_t until_ms);
/* Texts are copied: kind, actor, peer, outcome and detail; no instance, study or hash. Any thread.
 * r NULL: it is only logged. */
void recorder_add(struct recorder *r, const struct db_event *event);

#endif
