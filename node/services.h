/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services - what every thread of the node stands on: settings, database, archive, spool, the bell.
 *
 * Made before the first thread and taken down after the last. The database may be away at any time:
 * whoever gets NULL waits and asks again.
 */
#ifndef DICOMSTEGO_NODE_SERVICES_H
#define DICOMSTEGO_NODE_SERVICES_H

#include "db/db.h"
#include "node/archive.h"
#include "node/arrivals.h"
#include "node/awaited.h"
#include "node/bell.h"
#include "node/budget.h"
#include "node/offers.h"
#include "node/originals.h"
#include "node/refusals.h"
#include "node/recorder.h"
#include "node/settings.h"
#include "scp/spool.h"

#include <stdatomic.h>

struct logkeeper;

struct services {
    struct bell
        bell; /* rung for new deliveries, new settings, a database that came back, the stop */
    struct bell planning;       /* rung for instances, reports and hints, new settings, the stop */
    struct budget budget;       /* working memory for whoever handles images */
    struct originals originals; /* from the indexer to whoever plans and protects */
    struct refusals refusals;   /* from the listeners to the messenger */
    struct archive archive;
    struct spool *spool;
    struct arrivals *arrivals; /* from the listeners to the indexer */
    struct offers *offers;     /* reports for associations of their peers */
    struct awaited awaited;    /* from the listeners to who reads back */
    struct recorder *recorder; /* of events behind answers; the node's, who stops it */
    atomic_bool stopping;
    atomic_bool quarantine_unsettled; /* files in quarantine/ may lack a row, or a move */
    atomic_bool is_announced;         /* the start of this run is in the log */
    atomic_uint hurries; /* how often an operator said that pauses after failures are over */
    struct logkeeper *logkeeper; /* from before the database's thread to after it */
    _Atomic(struct db *) db;
    pthread_mutex_t lock;
    struct settings *settings; /* under lock */
};

void services_init(struct services *s);
void services_finish(struct services *s); /* releases the settings; closes spool and queue */

/* Held: settings_release when done. */
struct settings *services_settings(struct services *s);
/* Puts settings in force; takes the caller's hold. */
void services_set_settings(struct services *s, struct settings *settings);

struct db *services_db(struct services *s); /* NULL: away or not open yet */
bool services_stopping(struct services *s);
void services_stop(struct services *s);
/* Peers that pause after failures are asked again at once. */
void services_hurry(struct services *s);
/* Sleeps, less when the node stops. */
void services_sleep(struct services *s, int64_t ms);

#endif
