/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness - what two nodes know of each other's logs: the head that our carriers name, and the
 * heads that the carriers of others named.
 *
 * A head that we have named and that was seen binds us: what it covers cannot be exchanged any more
 * without our peer being able to show it, and the other way round.
 */
#ifndef DICOMSTEGO_NODE_WITNESS_H
#define DICOMSTEGO_NODE_WITNESS_H

#include "dicomstego/capsule.h"
#include "node/services.h"

/* The newest head of our log, for the manifests of a study that signer signs; size 0 when there is
 * none yet, or when signer's is not the log's key: a manifest's log is its signer's. */
DS_CHECKED enum ds_status witness_name_head(struct services *services,
                                            const struct stego_identity *signer,
                                            struct stego_tree_head *out, struct ds_error *err);

/* Signs and keeps the head that a verified manifest names, with an event; one that is known, or no
 * head at all, is nothing to do. So is an origin that is believed by a CA alone: its log is not
 * known by its key id. */
DS_CHECKED enum ds_status witness_manifest(struct services *services, struct db *db,
                                           const struct settings *settings,
                                           const struct stego_manifest *manifest,
                                           struct ds_error *err);

/* What a peer has seen of our log, as it says: kept, with an event, when a certificate of the
 * configuration has the key, the key has signed, and our log began so. DS_EAUTH otherwise. seen:
 * all but origin and witness. */
struct db_seen;
DS_CHECKED enum ds_status witness_accept(struct services *services, struct db *db,
                                         const struct settings *settings, struct db_seen *seen,
                                         struct ds_error *err);

#endif
