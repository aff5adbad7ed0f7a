/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead - the next file of a retrieval is proven while the receiver still has to do with the one
 * before: a thread of its own that holds one file at most.
 *
 * Used by one thread.
 */
#ifndef DICOMSTEGO_NODE_AHEAD_H
#define DICOMSTEGO_NODE_AHEAD_H

#include "node/outgoing.h"

struct ahead;

/* NULL: there is no thread to be had; all that follows then works, one after the other. */
struct ahead *ahead_new(void);
void ahead_free(struct ahead *a); /* waits for what is under way; NULL is fine */

/* Begins with it as it is stored, when nothing else is under way. instance is borrowed until it is
 * taken, or another one is. */
void ahead_begin(struct ahead *a, const struct db_instance *instance);
/* outgoing_load, at once when that was begun. */
DS_CHECKED enum ds_status ahead_take(struct ahead *a, const struct db_instance *instance,
                                     const char *transfer_syntax, struct outgoing *out,
                                     struct ds_error *err);

#endif
