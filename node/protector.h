/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protector - loads what a delivery needs, and makes the bytes that are sent.
 */
#ifndef DICOMSTEGO_NODE_PROTECTOR_H
#define DICOMSTEGO_NODE_PROTECTOR_H

#include "carrier/carrier.h"
#include "db/db.h"
#include "node/settings.h"

/* Reads an instance from the archive. DS_EAUTH when it is not the file that was indexed. */
DS_CHECKED enum ds_status protector_read_file(const struct db_instance *instance,
                                              struct ds_bytes *out, struct ds_error *err);
/* The same, loaded. */
DS_CHECKED enum ds_status protector_load_original(const struct db_instance *instance,
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

/* Makes the delivery's carrier or sidecar in transfer_syntax (native; NULL: Explicit VR Little
 * Endian) and proves it. */
DS_CHECKED enum ds_status protector_make(struct capsule_cache *cache, struct db *db,
                                         const struct settings *settings,
                                         const struct db_delivery *delivery,
                                         const char *transfer_syntax, struct carrier_made *out,
                                         struct ds_error *err);

#endif
