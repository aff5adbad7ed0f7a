/* SPDX-License-Identifier: Apache-2.0 */
#include "node/beside.h"

#include "node/protector.h"

#include <stdlib.h>
#include <string.h>

static bool may_be_beside(const struct db_instance *instance, const char *sop_uid)
{
    return (instance->kind == DB_ORIGINAL || instance->kind == DB_REPORT) &&
           strcmp(instance->sop_uid, sop_uid) == 0;
}

/* The better of the two, when the manifest's hash is known: the one that it speaks of. */
static void offer(struct beside_pair *p, const struct db_instance *candidate,
                  const uint8_t *dataset_hash)
{
    const bool fits =
        dataset_hash != NULL && memcmp(candidate->dataset_hash, dataset_hash, DS_SHA256_BYTES) == 0;
    if (!p->has_instance || fits) {
        p->instance = *candidate;
        p->has_instance = true;
    }
}

static enum ds_status offer_earlier(struct beside_pair *p, const struct due_study *due,
                                    const char *sop_uid, const uint8_t *dataset_hash,
                                    struct ds_error *err)
{
    struct db_instance *earlier = NULL;
    size_t count = 0;
    enum ds_status s =
        db_study_planned_named(due->db, due->study->study_id, sop_uid, &earlier, &count, err);
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        if (may_be_beside(&earlier[i], sop_uid)) {
            offer(p, &earlier[i], dataset_hash);
        }
    }
    free(earlier);
    if (s == DS_OK && p->has_instance && !beside_is_pending(p)) {
        s = db_instance_is_owed(due->db, p->instance.id, &p->is_owed, err);
    }
    return s;
}

static enum ds_status find_one(struct beside *b, const struct due_study *due,
                               const struct db_instance *carrier,
                               const struct stego_keyring *keyring, struct ds_error *err)
{
    DS_AUTO(ds_map_close) struct ds_map file = {0};
    DS_AUTO(carrier_found_auto) struct carrier_found *found = NULL;
    char sop_uid[DICOM_UID_BYTES] = "";
    enum ds_status s = protector_map_file(carrier, &file, err);
    if (s == DS_OK) {
        s = carrier_sidecar_of(file.data, file.len, sop_uid, err);
    }
    if (s != DS_OK) {
        return s;
    }
    struct beside_pair *p = &b->pairs[b->count++];
    p->sidecar_id = carrier->id;
    /* One that does not open names its instance all the same: the two are refused together. */
    s = carrier_found_load(&found, file.data, file.len, keyring, NULL, NULL);
    const uint8_t *hash =
        s == DS_OK ? stego_part_manifest(carrier_found_part(found))->dataset_hash : NULL;
    for (size_t i = 0; i < due->count; i++) {
        if (may_be_beside(&due->instances[i], sop_uid)) {
            offer(p, &due->instances[i], hash);
        }
    }
    return sop_uid[0] == '\0' ? DS_OK : offer_earlier(p, due, sop_uid, hash, err);
}

enum ds_status beside_find(struct beside *out, const struct due_study *due,
                           const struct stego_keyring *keyring, struct ds_error *err)
{
    *out = (struct beside){.pairs = calloc(due->count + 1, sizeof(*out->pairs))};
    if (out->pairs == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < due->count; i++) {
        const struct db_instance *carrier = &due->instances[i];
        if (carrier->kind != DB_CARRIER || carrier->is_released ||
            strcmp(carrier->sop_class_uid, CARRIER_SIDECAR_CLASS) != 0) {
            continue;
        }
        const enum ds_status s = find_one(out, due, carrier, keyring, err);
        if (s == DS_EIO || s == DS_ENOMEM) {
            return s;
        }
    }
    return DS_OK;
}

void beside_free(struct beside *b)
{
    free(b->pairs);
}

const struct beside_pair *beside_pair_of(const struct beside *b, int64_t carrier_id)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->pairs[i].sidecar_id == carrier_id) {
            return &b->pairs[i];
        }
    }
    return NULL;
}

bool beside_is_pending(const struct beside_pair *p)
{
    return p->has_instance && p->instance.generation == 0;
}

bool beside_holds(const struct beside *b, int64_t instance_id)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->pairs[i].has_instance && b->pairs[i].instance.id == instance_id) {
            return true;
        }
    }
    return false;
}
