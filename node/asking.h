/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asking - storage commitment that we ask of peers for what we have sent them.
 *
 * A study's deliveries to a peer become a transaction once they have settled; the peer is asked on
 * an association of its own, and reports there, later on one that it opens, or never.
 */
#ifndef DICOMSTEGO_NODE_ASKING_H
#define DICOMSTEGO_NODE_ASKING_H

#include "dicom/commitment.h"
#include "node/services.h"

/* What is due at one peer; false when there was nothing. peer belongs to settings, which are held.
 * May take as long as the peer does to answer. */
bool asking_serve(struct services *s, struct db *db, const struct settings *settings,
                  const struct config_peer *peer);

/* A report of a peer, on whichever association it came. *known false: it was never asked so. What
 * it has lost is sent again, at first after the peer's retry.first. */
DS_CHECKED enum ds_status asking_take_report(struct services *s, const struct config_peer *peer,
                                             const struct dicom_commitment *report, bool *known,
                                             struct ds_error *err);

#endif
