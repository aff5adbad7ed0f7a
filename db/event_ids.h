/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_ids - ids of events, taken from the database by the block, so that a row's bytes are known
 * before it is written. Each pool has its own block; any thread.
 */
#ifndef DICOMSTEGO_DB_EVENT_IDS_H
#define DICOMSTEGO_DB_EVENT_IDS_H

#include "db/query.h"

#include <pthread.h>

struct db_event_ids {
    pthread_mutex_t lock;
    int64_t next, end; /* of the block at hand */
};
struct db_event_ids *db_event_ids_of(struct db *d); /* in pool.c */

/* count ids that nobody else has, not always in a row. */
DS_CHECKED enum ds_status db_event_ids(struct db_tx *t, int64_t *out, size_t count,
                                       struct ds_error *err);

#endif
