/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clerk - keeps the books of what this node has claimed: renews the leases, writes the outcomes.
 *
 * One thread for all workers, so that no worker waits for the database: leases are renewed by time,
 * also while one long object is on its way, and the outcomes of all peers go into one transaction.
 * While the database is away nothing is forgotten: what was sent stays here until it is written,
 * and keeps its lease when it can. Only when the process ends first is it sent once more, the same
 * bytes under the same UID.
 */
#ifndef DICOMSTEGO_NODE_CLERK_H
#define DICOMSTEGO_NODE_CLERK_H

#include "node/services.h"

/* What a lease lasts in the node: a node that dies is taken over from after this long. */
#define CLERK_LEASE_MS 60000U

struct clerk;
struct lease; /* of one delivery; the clerk's, until it is settled or returned */

/* Renews each quarter of lease_ms, and holds a lease for certain until a third of it is left. */
DS_CHECKED enum ds_status clerk_start(struct clerk **out, struct services *services,
                                      unsigned lease_ms, struct ds_error *err);
unsigned clerk_lease_ms(const struct clerk *c);
/* After the workers. Writes what there is to write, until until_ms (monotonic) at the latest.
 * False: the thread did not end in time, and is left alone. NULL is fine. */
bool clerk_stop(struct clerk *c, int64_t until_ms);

/* Deliveries that were claimed for clerk_lease_ms at claimed_ms (monotonic, before the claim).
 * DS_ENOMEM: none is held. */
DS_CHECKED enum ds_status clerk_hold(struct clerk *c, const struct db_delivery *deliveries,
                                     size_t count, int64_t claimed_ms, struct lease **out,
                                     struct ds_error *err);
/* Is it certain that nobody else has the delivery now, nor for a while? */
bool clerk_holds(struct clerk *c, const struct lease *l);
/* The lease is the clerk's from here on. result is copied with its texts; peer: its name. */
void clerk_settle(struct clerk *c, struct lease *l, const char *peer,
                  const struct db_delivery_result *result);
/* Not tried: given back without an attempt. */
void clerk_return(struct clerk *c, struct lease *l);

#endif
