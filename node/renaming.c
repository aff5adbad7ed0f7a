/* SPDX-License-Identifier: Apache-2.0 */
#include "node/renaming.h"

#include "carrier/carrier.h"

#include <stdlib.h>

static enum ds_status add(struct carrier_uid_map *map, enum carrier_uid purpose, const char *site,
                          const char *old, const uint8_t *content, struct ds_error *err)
{
    char new[DICOM_UID_BYTES];
    if (old[0] == '\0') {
        return DS_OK; /* nothing refers to it */
    }
    const enum ds_status s = carrier_derived_uid(purpose, site, old, content, new, err);
    return s == DS_OK ? carrier_uid_map_add(map, old, new, err) : s;
}

static enum ds_status add_carrier(struct carrier_uid_map *map, const char *site,
                                  const struct db_sent_carrier *c, struct ds_error *err)
{
    const enum ds_status s = add(map, CARRIER_UID_INSTANCE, site, c->sop_uid,
                                 c->is_second ? c->dataset_hash : NULL, err);
    return s == DS_OK ? add(map, CARRIER_UID_SERIES, site, c->series_uid, NULL, err) : s;
}

enum ds_status renaming_map(struct db *db, int64_t study_id, const char *peer, const char *site,
                            struct carrier_uid_map **out, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
    struct db_sent_carrier *carriers = NULL;
    size_t count = 0;
    enum ds_status s = carrier_uid_map_new(&map, err);
    if (s == DS_OK) {
        s = db_study_carriers_to(db, study_id, peer, "", &carriers, &count, err);
    }
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = add_carrier(map, site, &carriers[i], err);
    }
    free(carriers);
    if (s == DS_OK) {
        carrier_uid_map_complete(map);
        *out = map;
        map = NULL;
    }
    return s;
}

/* Only the old UID counts: the new one stands for it. */
static enum ds_status add_name(struct carrier_uid_map *map, const char *uid, struct ds_error *err)
{
    return uid[0] == '\0' ? DS_OK : carrier_uid_map_add(map, uid, uid, err);
}

static enum ds_status add_sent(struct carrier_uid_map *map, struct db *db, int64_t study_id,
                               const char *peer, struct ds_error *err)
{
    struct db_sent_carrier *carriers = NULL;
    size_t count = 0;
    enum ds_status s = db_study_carriers_to(db, study_id, peer, "", &carriers, &count, err);
    for (size_t i = 0; i < count && s == DS_OK; i++) {
        s = add_name(map, carriers[i].sop_uid, err);
    }
    free(carriers);
    return s;
}

enum ds_status renaming_candidates(struct db *db, const struct config *c,
                                   const struct config_rule *rule, int64_t study_id,
                                   const struct db_instance *pending, size_t count,
                                   struct carrier_uid_map **out, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *map = NULL;
    bool renames = false;
    enum ds_status s = carrier_uid_map_new(&map, err);
    for (size_t i = 0; i < rule->send_to.count && s == DS_OK; i++) {
        const struct config_peer *peer = config_peer_named(c, rule->send_to.items[i]);
        if (peer != NULL && !peer->retain_uids) {
            renames = true;
            s = add_sent(map, db, study_id, peer->name, err);
        }
    }
    for (size_t i = 0; i < count && s == DS_OK && renames; i++) {
        if (pending[i].kind == DB_ORIGINAL && pending[i].has_pixel_data) {
            s = add_name(map, pending[i].sop_uid, err);
        }
    }
    if (s == DS_OK && renames) {
        carrier_uid_map_complete(map);
        *out = map;
        map = NULL;
    }
    return s;
}

enum ds_status renaming_is_second(struct db *db, const struct db_instance *instance,
                                  const char *peer, bool *out, struct ds_error *err)
{
    *out = false;
    struct db_sent_carrier *carriers = NULL;
    size_t count = 0;
    const enum ds_status s = db_study_carriers_to(db, instance->study_id, peer, instance->sop_uid,
                                                  &carriers, &count, err);
    for (size_t i = 0; i < count; i++) {
        *out = *out || (carriers[i].instance_id == instance->id && carriers[i].is_second);
    }
    free(carriers);
    return s;
}
