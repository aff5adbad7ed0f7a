/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beside - which instance belongs to which sidecar, while one generation is being recovered.
 *
 * A sidecar names its instance by SOP Instance UID. The instance may be pending with it, or have
 * come, and gone, in an earlier generation; of several with the UID it is the one whose data set
 * the manifest speaks of. While it is pending, it is not forwarded by itself: what becomes of its
 * sidecar becomes of it.
 */
#ifndef DICOMSTEGO_NODE_BESIDE_H
#define DICOMSTEGO_NODE_BESIDE_H

#include "carrier/carrier.h"
#include "node/planner.h"

struct beside_pair {
    int64_t sidecar_id;
    bool has_instance;
    bool is_owed; /* it has deliveries from an earlier generation */
    struct db_instance instance;
};

struct beside {
    struct beside_pair *pairs;
    size_t count;
};

/* Looks at every sidecar among the pending carriers. */
DS_CHECKED enum ds_status beside_find(struct beside *out, const struct due_study *due,
                                      const struct stego_keyring *keyring, struct ds_error *err);
void beside_free(struct beside *b); /* zeroed is fine */

/* Of a sidecar; NULL when the carrier is none. Borrowed. */
const struct beside_pair *beside_pair_of(const struct beside *b, int64_t carrier_id);
/* Is the instance one that a pending sidecar belongs to? */
bool beside_holds(const struct beside *b, int64_t instance_id);
/* Does the pair's instance wait for a generation, as its sidecar does? */
bool beside_is_pending(const struct beside_pair *p);

#endif
