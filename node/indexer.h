/* SPDX-License-Identifier: Apache-2.0 */
/*
 * indexer - from the spool into the database and the archive.
 *
 * Takes accepted instances in batches, reads and hashes each, writes their rows in one transaction,
 * and then moves the files to their place in the archive. The order makes a crash harmless: an
 * entry is in spool/new until its row is there, and indexing it again answers "duplicate" with the
 * path of the row.
 */
#ifndef DICOMSTEGO_NODE_INDEXER_H
#define DICOMSTEGO_NODE_INDEXER_H

#include "node/services.h"

struct indexer;

/* Reads what a former run left in the spool, then starts the threads. */
DS_CHECKED enum ds_status indexer_start(struct indexer **out, struct services *services,
                                        struct ds_error *err);
/* After services_stop. What is not indexed stays in the spool for the next start. False when a
 * thread did not end in time. NULL is fine. */
DS_CHECKED bool indexer_stop(struct indexer *x, int64_t until_ms);

#endif
