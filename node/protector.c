/* SPDX-License-Identifier: Apache-2.0 */
#include "node/protector.h"

#include "dicom/envelope.h"
#include "node/renaming.h"

#include <string.h>

#define SAVED_CAPSULE_MAX_BYTES (256U * 1024U * 1024U)

static enum ds_status check_file(const struct db_instance *instance, const uint8_t *hash,
                                 struct ds_error *err)
{
    if (memcmp(hash, instance->file_hash, DS_SHA256_BYTES) != 0) {
        return ds_fail(err, DS_EAUTH, "the file in the archive is not the one that was indexed");
    }
    return DS_OK;
}

enum ds_status protector_map_file(const struct db_instance *instance, struct ds_map *out,
                                  struct ds_error *err)
{
    enum ds_status s = ds_map_open(out, instance->path, DICOM_FILE_MAX_BYTES, err);
    uint8_t hash[DS_SHA256_BYTES];
    if (s == DS_OK) {
        s = dicom_file_hash(out->data, out->len, hash, err);
    }
    return s == DS_OK ? check_file(instance, hash, err) : s;
}

static enum ds_status open_indexed(struct carrier_original **out,
                                   const struct db_instance *instance, struct ds_error *err)
{
    struct carrier_hashes known = {.has_pixels = instance->has_pixel_hash};
    memcpy(known.pixel, instance->pixel_hash, sizeof(known.pixel));
    memcpy(known.dataset, instance->dataset_hash, sizeof(known.dataset));
    memcpy(known.file, instance->file_hash, sizeof(known.file));
    return carrier_original_open_known(out, instance->path, &known, instance->transfer_syntax, err);
}

enum ds_status protector_load_original(struct originals *kept, const struct db_instance *instance,
                                       struct carrier_original **out, struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(carrier_original_auto)
    struct carrier_original *original = originals_take(kept, instance->id);
    enum ds_status s = original != NULL ? DS_OK : open_indexed(&original, instance, err);
    if (s == DS_OK) {
        s = check_file(instance, carrier_original_hashes(original)->file, err);
    }
    if (s == DS_OK) {
        s = carrier_original_read(original, err);
    }
    if (s == DS_OK) {
        *out = original;
        original = NULL;
    }
    return s;
}

void capsule_cache_free(struct capsule_cache *c)
{
    stego_capsule_free(c->capsule);
    c->capsule = NULL;
    c->row = 0;
}

static enum ds_status load_capsule(struct capsule_cache *c, struct db *db,
                                   const struct settings *settings, int64_t row,
                                   struct ds_error *err)
{
    if (c->capsule != NULL && c->row == row) {
        return DS_OK;
    }
    capsule_cache_free(c);
    const struct stego_identity *own = settings_identity(settings);
    if (own == NULL) {
        return ds_fail(err, DS_ENOKEY, "the node's key that sealed the capsule is not configured");
    }
    DS_AUTO(ds_bytes_free) struct ds_bytes saved = DS_BYTES_INIT(SAVED_CAPSULE_MAX_BYTES);
    enum ds_status s = db_capsule_saved(db, row, &saved, err);
    if (s == DS_OK) {
        s = stego_capsule_load(&c->capsule, saved.data, saved.len, own, own, err);
    }
    if (s == DS_OK) {
        c->row = row;
    }
    return s;
}

static const struct config_rule *rule_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->rule_count; i++) {
        if (strcmp(c->rules[i].name, name) == 0) {
            return &c->rules[i];
        }
    }
    return NULL;
}

struct carrier_hiding protector_hiding(const struct config_protect *p)
{
    static const enum stego_effort efforts[] = {[CONFIG_EFFORT_FAST] = STEGO_FAST,
                                                [CONFIG_EFFORT_BALANCED] = STEGO_BALANCED,
                                                [CONFIG_EFFORT_BEST] = STEGO_BEST};
    const bool is_lsb = p->method == CONFIG_METHOD_LSB;
    return (struct carrier_hiding){
        .method = is_lsb ? &stego_method_lsb : &stego_method_rdh,
        .lsb = {.planes = p->planes, .is_reversible = p->reversible, .dna_rule = p->dna_rule},
        .effort = efforts[p->effort],
        .max_difference = p->max_difference,
        .min_psnr_db = p->min_psnr_db,
        .use_padding = p->use_padding,
    };
}

const struct config_protect *protector_rule(const struct settings *settings,
                                            const struct db_delivery *delivery)
{
    const struct config_rule *rule = rule_named(settings_config(settings), delivery->rule);
    return rule != NULL && rule->has_protect ? &rule->protect : NULL;
}

enum ds_status protector_make(struct originals *kept, struct capsule_cache *cache, struct db *db,
                              const struct settings *settings, const struct config_peer *peer,
                              const struct db_delivery *delivery, const char *transfer_syntax,
                              const char *beside_syntax, struct carrier_made *out,
                              struct ds_error *err)
{
    memset(out, 0, sizeof(*out));
    enum ds_status s = load_capsule(cache, db, settings, delivery->capsule_row, err);
    DS_AUTO(carrier_original_auto) struct carrier_original *original = NULL;
    if (s == DS_OK) {
        s = protector_load_original(kept, &delivery->instance, &original, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct config *c = settings_config(settings);
    const struct carrier_slot slot = {
        .placement = delivery->action == DB_SEND_SIDECAR ? CARRIER_SIDECAR : CARRIER_IN_PIXELS,
        .share_index = delivery->share_index < 0 ? STEGO_NO_SHARE : (uint32_t)delivery->share_index,
        .with_key_block = delivery->with_key_block,
        .with_certificate = delivery->with_certificate,
    };
    static const struct config_protect gone = {.effort = CONFIG_EFFORT_FAST};
    const struct config_protect *given = protector_rule(settings, delivery);
    const struct config_protect *protect = given != NULL ? given : &gone;
    DS_AUTO(carrier_uid_map_auto) struct carrier_uid_map *references = NULL;
    bool is_second = false;
    if (!peer->retain_uids && slot.placement == CARRIER_SIDECAR) {
        s = renaming_map(db, delivery->instance.study_id, peer->name, c->site, &references, err);
    } else if (!peer->retain_uids) {
        s = renaming_is_second(db, &delivery->instance, peer->name, &is_second, err);
    }
    if (s != DS_OK) {
        return s;
    }
    const struct carrier_make_options options = {
        .retain_uids = peer->retain_uids,
        .uid_from_capsule = delivery->again,
        .site = c->site,
        .uid_from_content = is_second,
        .references = references,
        .beside_syntax = beside_syntax,
        .hiding = protector_hiding(protect),
        .station = c->ae_title,
        .transfer_syntax = transfer_syntax,
    };
    return carrier_make(cache->capsule, original, &slot, &options, out, err);
}
