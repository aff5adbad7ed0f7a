/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renaming - under which UIDs the instances of a study went, or go, to a peer as carriers, in this
 * generation or an earlier one. Nothing is stored: the UIDs follow from site, old UID and the plan.
 */
#ifndef DICOMSTEGO_NODE_RENAMING_H
#define DICOMSTEGO_NODE_RENAMING_H

#include "carrier/references.h"
#include "config/config.h"
#include "db/db.h"

/* Old to new UIDs of instances and of their series. A series with another member that does not go
 * as a carrier is renamed too: what refers to it, refers to the carriers. */
DS_CHECKED enum ds_status renaming_map(struct db *db, int64_t study_id, const char *peer,
                                       const char *site, struct carrier_uid_map **out,
                                       struct ds_error *err);

/* Old UIDs of the instances of a study that may go, or went, to a peer of the rule as carriers
 * under new ones: the images among the pending, and those of earlier generations. NULL: none, for
 * every peer keeps UIDs. */
DS_CHECKED enum ds_status renaming_candidates(struct db *db, const struct config *c,
                                              const struct config_rule *rule, int64_t study_id,
                                              const struct db_instance *pending, size_t count,
                                              struct carrier_uid_map **out, struct ds_error *err);

/* Did an earlier instance of the study, of the same SOP Instance UID, go to the peer as a carrier?
 * Then this one's new UID is from its content as well. */
DS_CHECKED enum ds_status renaming_is_second(struct db *db, const struct db_instance *instance,
                                             const char *peer, bool *out, struct ds_error *err);

#endif
