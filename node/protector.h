/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protector - loads what a delivery needs, and makes the bytes that are sent.
 */
#ifndef DICOMSTEGO_NODE_PROTECTOR_H
#define DICOMSTEGO_NODE_PROTECTOR_H

#include "base/map.h"
#include "carrier/carrier.h"
#include "db/db.h"
#include "node/originals.h"
#include "node/settings.h"

/* An instance in the archive. DS_EAUTH when it is not the file that was indexed. *out needs
 * ds_map_close, also on failure. */
DS_CHECKED enum ds_status protector_map_file(const struct db_instance *instance, struct ds_map *out,
                                             struct ds_error *err);
/* The same, loaded; or taken from those that were loaded a moment ago. */
DS_CHECKED enum ds_status protector_load_original(struct originals *kept,
                                                  const struct db_instance *instance,
                                                  struct carrier_original **out,
                                                  struct ds_error *err);

/* The capsule that was used last: the instances of a study come together. One per thread. */
struct capsule_cache {
    int64_t row;
    struct stego_capsule *capsule;
};
void capsule_cache_free(struct capsule_cache *c);

/* What a rule asks of hiding. */
struct carrier_hiding protector_hiding(const struct config_protect *p);

/* What the delivery's rule asks of protecting; NULL when the rule is gone, or asks nothing. */
const struct config_protect *protector_rule(const struct settings *settings,
                                            const struct db_delivery *delivery);

/* Makes the delivery's carrier or sidecar for peer in transfer_syntax and proves it. beside_syntax:
 * of what goes beside a sidecar, where that is not the original itself.
 * DS_EUNSUPPORTED: there is no lossless form of this image in it. */
DS_CHECKED enum ds_status protector_make(struct originals *kept, struct capsule_cache *cache,
                                         struct db *db, const struct settings *settings,
                                         const struct config_peer *peer,
                                         const struct db_delivery *delivery,
                                         const char *transfer_syntax, const char *beside_syntax,
                                         struct carrier_made *out, struct ds_error *err);

#endif
