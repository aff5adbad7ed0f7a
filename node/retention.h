/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - a thread that deletes the files whose time is over, by the rules' `retention`, and,
 * where the configuration allows it, on a full disk those whose time is all that keeps them.
 *
 * What may go is the database's to say (db/retention.h). Without any retention in the configuration
 * nothing is ever deleted.
 */
#ifndef DICOMSTEGO_NODE_RETENTION_H
#define DICOMSTEGO_NODE_RETENTION_H

#include "node/services.h"

struct retention;

DS_CHECKED enum ds_status retention_start(struct retention **out, struct services *services,
                                          struct ds_error *err);
/* Removes the files of rows that are deleted, also those that a crash has left. Any thread. */
void retention_remove_left(struct services *services, struct db *db);
/* After services_stop. False when it did not end in time; all is then left as it is. */
DS_CHECKED bool retention_stop(struct retention *r, int64_t until_ms);

#endif
