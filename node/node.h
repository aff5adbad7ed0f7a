/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node - the daemon's inside: the pipeline between what others send us and what we owe to others.
 *
 *   listeners -> spool -> indexer -> archive and database -> completer (planner, recoverer) ->
 * deliverer
 *
 * Each arrow is a thread or several (indexer, completer, drop folder, the database's keeper, a
 * listener for its notifications, workers for each peer). They share struct services and nothing
 * else, and each starts again where the database and the spool say that it was.
 *
 * Called from one thread, the main one.
 */
#ifndef DICOMSTEGO_NODE_NODE_H
#define DICOMSTEGO_NODE_NODE_H

#include "base/error.h"

#include <stdbool.h>

struct node;

/* Reads the configuration, opens spool and listeners, starts the threads. When it returns,
 * instances are accepted; the database may still be on its way. */
DS_CHECKED enum ds_status node_start(struct node **out, const char *config_path,
                                     struct ds_error *err);

/* Reads the configuration again. On failure the running one stays in force. */
DS_CHECKED enum ds_status node_reload(struct node *n, struct ds_error *err);

/* Stops within ten seconds and frees. False: a thread was stuck with a peer and everything it may
 * still use was left; the process must end at once. */
DS_CHECKED bool node_stop(struct node *n);

#endif
