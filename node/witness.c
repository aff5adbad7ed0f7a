/* SPDX-License-Identifier: Apache-2.0 */
#include "node/witness.h"

#include "base/clock.h"
#include "db/witness.h"
#include "dicomstego/statement.h"
#include "node/logkeeper.h"
#include "node/testimony.h"
#include "provenance/witness.h"

#include <string.h>

/* ---- ours ---- */

enum ds_status witness_name_head(struct services *services, const struct stego_identity *signer,
                                 struct stego_tree_head *out, struct ds_error *err)
{
    uint8_t log[DS_SHA256_BYTES];
    struct db_head last;
    memset(out, 0, sizeof(*out));
    if (signer == NULL) {
        return DS_OK;
    }
    enum ds_status s = testimony_log_of(stego_identity_certificate(signer), log, err);
    if (s != DS_OK || memcmp(log, logkeeper_log(services->logkeeper), sizeof(log)) != 0) {
        return s;
    }
    s = logkeeper_head(services->logkeeper, &last, err);
    if (s == DS_OK) {
        out->size = last.head.size;
        memcpy(out->root, last.head.root, sizeof(out->root));
    }
    return s == DS_ENOTFOUND ? DS_OK : s;
}

/* ---- theirs ---- */

/* The peer whose certificate has this key; NULL when there is none. */
static const struct config_peer *peer_of(const struct settings *settings,
                                         const uint8_t key_id[STEGO_KEY_ID_BYTES])
{
    const struct config *c = settings_config(settings);
    for (size_t i = 0; i < c->peer_count; i++) {
        uint8_t id[STEGO_KEY_ID_BYTES];
        const struct stego_certificate *mine = settings_certificate(settings, c->peers[i].name);
        if (mine == NULL) {
            continue;
        }
        stego_certificate_key_id(mine, id);
        if (memcmp(id, key_id, sizeof(id)) == 0) {
            return &c->peers[i];
        }
    }
    return NULL;
}

static enum ds_status sign_seen(struct db_seen *seen, const struct stego_identity *by,
                                struct ds_error *err)
{
    DS_AUTO(ds_bytes_free) struct ds_bytes signature = DS_BYTES_INIT(DB_SIGNATURE_BYTES);
    seen->head.at_us = ds_clock_utc_us();
    enum ds_status s = testimony_log_of(stego_identity_certificate(by), seen->witness, err);
    if (s == DS_OK) {
        s = provenance_witness_sign(&seen->head, by, &signature, err);
    }
    if (s == DS_OK) {
        seen->signature_len = signature.len;
        memcpy(seen->signature, signature.data, signature.len);
    }
    return s;
}

enum ds_status witness_manifest(struct services *services, struct db *db,
                                const struct settings *settings,
                                const struct stego_manifest *manifest, struct ds_error *err)
{
    const struct stego_identity *by = logkeeper_identity(services->logkeeper);
    const struct config_peer *peer = peer_of(settings, manifest->signer_key_id);
    if (peer == NULL || manifest->head.size == 0) {
        return DS_OK;
    }
    struct db_seen seen = {.head = {.size = manifest->head.size}};
    bool is_new = false;
    memcpy(seen.origin, manifest->origin, strlen(manifest->origin));
    memcpy(seen.head.root, manifest->head.root, sizeof(seen.head.root));
    enum ds_status s =
        testimony_log_of(settings_certificate(settings, peer->name), seen.head.log, err);
    if (s == DS_OK) {
        s = sign_seen(&seen, by, err);
    }
    return s == DS_OK ? db_seen_add(db, &seen, peer->name, &is_new, err) : s;
}

/* ---- what they have seen of ours ---- */

static enum ds_status check_root(struct db *db, const struct provenance_head *seen, uint64_t size,
                                 struct ds_error *err)
{
    struct db_log_nodes *nodes = NULL;
    uint8_t root[DS_SHA256_BYTES] = {0};
    if (seen->size == 0 || seen->size > size) {
        return ds_fail(err, DS_EAUTH, "the log has not as many events as were seen");
    }
    enum ds_status s = db_log_nodes_new(&nodes, db, seen->log, err);
    if (s == DS_OK) {
        const struct provenance_nodes from = db_log_nodes_of(nodes);
        s = provenance_root(&from, seen->size, root, err);
    }
    db_log_nodes_free(nodes);
    if (s == DS_OK && memcmp(root, seen->root, sizeof(root)) != 0) {
        return ds_fail(err, DS_EAUTH, "what was seen is not what the log has there");
    }
    return s;
}

static const struct config_peer *peer_with_log(const struct settings *settings,
                                               const uint8_t log[DS_SHA256_BYTES])
{
    const struct config *c = settings_config(settings);
    for (size_t i = 0; i < c->peer_count; i++) {
        uint8_t id[DS_SHA256_BYTES];
        const struct stego_certificate *mine = settings_certificate(settings, c->peers[i].name);
        if (mine != NULL && testimony_log_of(mine, id, NULL) == DS_OK &&
            memcmp(id, log, sizeof(id)) == 0) {
            return &c->peers[i];
        }
    }
    return NULL;
}

enum ds_status witness_accept(struct services *services, struct db *db,
                              const struct settings *settings, struct db_seen *seen,
                              struct ds_error *err)
{
    struct db_head last;
    bool is_new = false;
    char subject[STEGO_SUBJECT_BYTES];
    enum ds_status s = provenance_log_id(seen->key.data, seen->key.len, seen->witness, err);
    const struct config_peer *peer = peer_with_log(settings, seen->witness);
    if (s == DS_OK && peer == NULL) {
        s = ds_fail(err, DS_EAUTH, "no peer of the configuration has the witness's key");
    }
    if (s == DS_OK &&
        memcmp(seen->head.log, logkeeper_log(services->logkeeper), sizeof(seen->head.log)) != 0) {
        s = ds_fail(err, DS_EAUTH, "it is not our log that was seen");
    }
    if (s == DS_OK) {
        s = stego_trust_key(NULL, seen->key.data, seen->key.len, seen->certificate.data,
                            seen->certificate.len, 0, subject, err);
    }
    if (s == DS_OK) {
        s = provenance_witness_verify(&seen->head, seen->key.data, seen->key.len, seen->signature,
                                      seen->signature_len, err);
    }
    if (s == DS_OK) {
        s = logkeeper_head(services->logkeeper, &last, err);
    }
    if (s == DS_OK) {
        s = check_root(db, &seen->head, last.head.size, err);
    }
    if (s != DS_OK) {
        return s;
    }
    (void)snprintf(seen->origin, sizeof(seen->origin), "%s", settings_config(settings)->ae_title);
    return db_seen_add(db, seen, peer->name, &is_new, err);
}
