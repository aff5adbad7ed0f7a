/* SPDX-License-Identifier: Apache-2.0 */
#include "dicomstego/capsule.h"

#include "base/secret.h"
#include "dicomstego/capsule_internal.h"
#include "dicomstego/key_internal.h"
#include "dicomstego/seal.h"

struct stego_collector {
    bool started; /* the fields below tell which capsule */
    struct stego_manifest first;
    enum stego_origin_state origin;
    struct stego_shares shares;
    bool has_share;
    size_t share_len;
    struct ds_bytes share[STEGO_SHARES_DISTINCT];
    bool present[STEGO_SHARES_DISTINCT];
    uint32_t have;
    bool decoded;
    struct ds_bytes data;
    struct stego_share_view view; /* into data */
    bool has_key;
    uint8_t key_question[DS_SHA256_BYTES]; /* for which key block and keyring */
    uint8_t key[STEGO_KEY_BYTES];
};

enum ds_status stego_collector_new(struct stego_collector **out, struct ds_error *err)
{
    *out = NULL;
    struct stego_collector *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return ds_fail(err, DS_ENOMEM, "collector");
    }
    c->data = DS_BYTES_INIT(STEGO_SHARE_DATA_MAX + STEGO_SHARES_DISTINCT);
    *out = c;
    return DS_OK;
}

void stego_collector_free(struct stego_collector *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < STEGO_SHARES_DISTINCT; i++) {
        ds_bytes_free(&c->share[i]);
    }
    ds_bytes_free(&c->data);
    ds_wipe(c, sizeof(*c));
    free(c);
}

void stego_collector_auto(struct stego_collector **c)
{
    stego_collector_free(*c);
}

/* ---- gathering ---- */

/* Everything that is the same for all instances of a capsule. */
static bool is_same_capsule(const struct stego_collector *c, const struct stego_part *p)
{
    const struct stego_manifest *a = &c->first;
    const struct stego_manifest *b = &p->container.manifest;
    return memcmp(a->capsule_id, b->capsule_id, sizeof(a->capsule_id)) == 0 &&
           memcmp(a->signer_key_id, b->signer_key_id, sizeof(a->signer_key_id)) == 0 &&
           strcmp(a->origin, b->origin) == 0 && a->created_utc_us == b->created_utc_us &&
           a->shares_needed == b->shares_needed && a->shares_total == b->shares_total &&
           a->is_sealed == b->is_sealed && c->origin == p->origin;
}

static enum ds_status check_part(const struct stego_collector *c, const struct stego_part *p,
                                 struct ds_error *err)
{
    if (c->started && !is_same_capsule(c, p)) {
        return ds_fail(err, DS_EINVAL, "a part of another capsule");
    }
    const bool shares = p->container.manifest.share_index != STEGO_NO_SHARE;
    if (shares && c->has_share && p->container.sections.share.len != c->share_len) {
        return ds_fail(err, DS_EAUTH, "two shares of one capsule differ in length");
    }
    return DS_OK;
}

static enum ds_status keep_share(struct stego_collector *c, uint32_t index, struct stego_span share,
                                 struct ds_error *err)
{
    const uint32_t i = index % STEGO_SHARES_DISTINCT;
    if (c->present[i]) {
        return DS_OK;
    }
    c->share[i] = DS_BYTES_INIT(share.len);
    const enum ds_status s = ds_bytes_append(&c->share[i], share.data, share.len, err);
    if (s != DS_OK) {
        return s;
    }
    c->present[i] = true;
    c->have++;
    c->has_share = true;
    c->share_len = share.len;
    return DS_OK;
}

enum ds_status stego_collector_add(struct stego_collector *c, const struct stego_part *p,
                                   struct ds_error *err)
{
    const enum ds_status s = check_part(c, p, err);
    if (s != DS_OK) {
        return s;
    }
    const struct stego_manifest *m = &p->container.manifest;
    if (!c->started) {
        c->started = true;
        c->first = *m;
        c->origin = p->origin;
        c->shares = stego_shares_of(m->shares_needed, m->shares_total);
    }
    return m->share_index == STEGO_NO_SHARE
               ? DS_OK
               : keep_share(c, m->share_index, p->container.sections.share, err);
}

void stego_collector_progress(const struct stego_collector *c, uint32_t *have, uint32_t *need)
{
    *have = c->have;
    *need = c->started ? c->shares.code_needed : 1;
}

/* ---- decoding ---- */

static enum ds_status decode(struct stego_collector *c, struct ds_error *err)
{
    if (c->decoded) {
        return DS_OK;
    }
    if (!c->started) {
        return ds_fail(err, DS_ECAPACITY, "no share of the capsule is there");
    }
    const uint8_t *shares[STEGO_SHARES_DISTINCT];
    static const uint8_t empty;
    for (uint32_t i = 0; i < STEGO_SHARES_DISTINCT; i++) {
        const uint8_t *data = c->share_len == 0 ? &empty : c->share[i].data;
        shares[i] = c->present[i] ? data : NULL;
    }
    enum ds_status s = stego_shares_decode(&c->shares, shares, c->share_len, &c->data, err);
    if (s == DS_OK) {
        s = stego_share_data_get(&c->view, c->data.data, c->data.len, err);
    }
    if (s != DS_OK) {
        ds_bytes_free(&c->data);
        return s == DS_EFORMAT ? ds_fail_context(err, DS_EAUTH, "shares") : s;
    }
    c->decoded = true;
    return DS_OK;
}

enum ds_status stego_collector_sealed(struct stego_collector *c, struct ds_bytes *out,
                                      struct ds_error *err)
{
    const enum ds_status s = decode(c, err);
    if (s != DS_OK) {
        return s;
    }
    if (c->view.sealed.len == 0) {
        return ds_fail(err, DS_ENOTHING, "the capsule has no documents");
    }
    return ds_bytes_append(out, c->view.sealed.data, c->view.sealed.len, err);
}

enum ds_status stego_collector_key_block(struct stego_collector *c, struct stego_span *out,
                                         struct ds_error *err)
{
    *out = (struct stego_span){0};
    const enum ds_status s = decode(c, err);
    if (s == DS_OK) {
        *out = c->view.key_block;
    }
    return s;
}

/* ---- keys ---- */

/* A digest over all that the answer depends on, so that a remembered key is given to nobody but who
 * could have opened it again. */
static enum ds_status digest_question(struct stego_span key_block,
                                      const struct stego_keyring *keyring,
                                      uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    DS_AUTO(stego_bytes_auto) struct ds_bytes q = DS_BYTES_INIT(SIZE_MAX / 2);
    enum ds_status s = ds_bytes_append(&q, key_block.data, key_block.len, err);
    for (size_t i = 0; s == DS_OK && i < keyring->identity_count; i++) {
        s = ds_bytes_append(&q, keyring->identities[i]->certificate->key_id, STEGO_KEY_ID_BYTES,
                            err);
    }
    if (s == DS_OK) {
        s = ds_bytes_put_be(&q, keyring->identity_count, 8, err);
    }
    if (s == DS_OK && keyring->password != NULL) {
        s = ds_bytes_append(&q, keyring->password, strlen(keyring->password) + 1, err);
    }
    return s == DS_OK ? ds_sha256_of(q.data, q.len, out, err) : s;
}

enum ds_status stego_collector_study_key(struct stego_collector *c, struct stego_span key_block,
                                         const struct stego_keyring *keyring,
                                         uint8_t out[STEGO_KEY_BYTES], struct ds_error *err)
{
    memset(out, 0, STEGO_KEY_BYTES);
    uint8_t question[DS_SHA256_BYTES];
    enum ds_status s = digest_question(key_block, keyring, question, err);
    if (s != DS_OK) {
        return s;
    }
    if (!c->has_key || !ds_equal(question, c->key_question, sizeof(question))) {
        c->has_key = false;
        s = stego_study_key_open(key_block, keyring, c->key, err);
        c->has_key = s == DS_OK;
        memcpy(c->key_question, question, sizeof(question));
    }
    if (s == DS_OK) {
        memcpy(out, c->key, STEGO_KEY_BYTES);
    }
    ds_wipe(question, sizeof(question));
    return s;
}

enum ds_status stego_collector_open(struct stego_collector *c, const struct stego_keyring *keyring,
                                    struct stego_documents *out, struct ds_error *err)
{
    static const struct stego_keyring no_keys;
    *out = (struct stego_documents){0};
    enum ds_status s = decode(c, err);
    if (s != DS_OK || c->view.sealed.len == 0) {
        return s;
    }
    DS_AUTO(stego_bytes_auto) struct ds_bytes packed = DS_BYTES_INIT(STEGO_ARCHIVE_MAX_BYTES);
    s = stego_unseal(c->view.sealed.data, c->view.sealed.len, keyring == NULL ? &no_keys : keyring,
                     &packed, err);
    return s == DS_OK ? stego_documents_unpack(packed.data, packed.len, out, err) : s;
}
