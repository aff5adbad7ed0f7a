/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messenger - tells an audit repository what the node does: a thread that reads the node's own log
 * behind a cursor in the database (db/telling.h) and sends messages by syslog over TLS.
 *
 * Nothing waits for it: the log is the queue, however long the repository is away. A transfer is
 * told when it has been quiet for some seconds, so that its instances are in one message; what is
 * urgent is told at once. Each lot is a connection of its own, for the end of a connection is the
 * only answer that syslog has (provenance/syslog.h): the cursor moves when the repository has read
 * all of it, and goes back by one lot when the repository was gone in between.
 *
 * It writes down what it alone is told: that the node started and stops, and who was refused.
 */
#ifndef DICOMSTEGO_NODE_MESSENGER_H
#define DICOMSTEGO_NODE_MESSENGER_H

#include "node/services.h"

struct messenger;

/* After the log was taken up and before anybody writes events of this run: the start is the first
 * of them, and a repository that is new begins with it. Later calls do nothing. */
void messenger_take_up(struct services *services, struct db *db);
DS_CHECKED enum ds_status messenger_start(struct messenger **out, struct services *services,
                                          struct ds_error *err);
/* After services_stop. False when it did not end in time; all is then left as it is. */
DS_CHECKED bool messenger_stop(struct messenger *m, int64_t until_ms);

#endif
