/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify - tells the service manager how we are (sd_notify(3): a datagram to $NOTIFY_SOCKET).
 */
#ifndef DICOMSTEGO_NODE_NOTIFY_H
#define DICOMSTEGO_NODE_NOTIFY_H

/* state: "READY=1", "STOPPING=1" ... Nothing happens when nobody listens. */
void notify_manager(const char *state);

#endif
