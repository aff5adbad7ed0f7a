/* SPDX-License-Identifier: Apache-2.0 */
#include "node/logkeeper.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "dicomstego/statement.h"
#include "node/logkeeper_private.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_LEAVES    4096U
#define NUMBER_EVERY_MS 1000
#define NUMBER_AT       1024U /* as many do not wait for the second to end */
#define TRY_AGAIN_MS    5000
#define KEY_DAYS        36500U
/* Of a batch: at most one of level 8 for each 256 leaves, and few above. */
#define SUBTREES_MAX (BATCH_LEAVES / 256U + PROVENANCE_TREE_LEVELS)

/* ---- the key ---- */

/* The log's own key, for a node without one, and for one that has its key in common with others: a log
 * has one writer. */
static enum ds_status make_key(struct logkeeper *k, const char *folder, const char *name,
                               struct ds_error *err)
{
    DS_AUTO(ds_string_free) char *key = ds_file_join(folder, "log.key.pem");
    DS_AUTO(ds_string_free) char *certificate = ds_file_join(folder, "log.cert.pem");
    if (key == NULL || certificate == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    enum ds_status s = DS_OK;
    if (!ds_file_exists(key) || !ds_file_exists(certificate)) {
        s = stego_key_new("ec", name, NULL, KEY_DAYS, key, certificate, true, err);
    }
    if (s == DS_OK) {
        s = stego_identity_load(&k->made, key, certificate, err);
    }
    k->identity = k->made;
    return s;
}

static enum ds_status find_key(struct logkeeper *k, const char *folder, struct ds_error *err)
{
    k->settings = services_settings(k->services);
    k->identity = settings_identity(k->settings);
    enum ds_status s = DS_OK;
    const struct config *c = settings_config(k->settings);
    if (k->identity == NULL || c->shared_archive != NULL) {
        s = make_key(k, folder, c->ae_title, err);
    }
    if (s == DS_OK) {
        s = stego_certificate_public_key(stego_identity_certificate(k->identity), &k->public_key,
                                         err);
    }
    if (s == DS_OK) {
        s = provenance_log_id(k->public_key.data, k->public_key.len, k->log, err);
    }
    return s == DS_OK ? stego_identity_secret(k->identity, "log tag", k->tag_key, err) : s;
}

/* ---- life ---- */

enum ds_status logkeeper_new(struct logkeeper **out, struct services *services,
                             struct ds_error *err)
{
    *out = NULL;
    DS_AUTO(ds_string_free) char *folder = ds_file_join(services->archive.state_dir, "provenance");
    struct logkeeper *k = calloc(1, sizeof(*k));
    if (k == NULL || folder == NULL) {
        free(k);
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    k->services = services;
    k->public_key = DS_BYTES_INIT(STEGO_PUBLIC_KEY_MAX_BYTES);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&k->lock, NULL);
    (void)pthread_cond_init(&k->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    enum ds_status s = ds_file_make_folders(folder, 0700, err);
    if (s == DS_OK) {
        s = find_key(k, folder, err);
    }
    if (s == DS_OK) {
        s = headfile_open(&k->file, folder, k->log, err);
    }
    if (s == DS_OK) {
        s = db_book_new(&k->book, k->log, k->tag_key, err);
    }
    if (s != DS_OK) {
        logkeeper_free(k);
        return ds_fail_context(err, s, "provenance");
    }
    *out = k;
    return DS_OK;
}

void logkeeper_free(struct logkeeper *k)
{
    if (k == NULL) {
        return;
    }
    db_book_free(k->book);
    headfile_close(k->file);
    ds_bytes_free(&k->public_key);
    ds_wipe(k->tag_key, sizeof(k->tag_key));
    stego_identity_free(k->made);
    settings_release(k->settings);
    (void)pthread_cond_destroy(&k->changed);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

struct db_book *logkeeper_book(struct logkeeper *k)
{
    return k->book;
}

const struct stego_identity *logkeeper_identity(const struct logkeeper *k)
{
    return k->identity;
}

const uint8_t *logkeeper_log(const struct logkeeper *k)
{
    return k->log;
}

/* ---- numbering ---- */

struct growth {
    struct db_subtree subtrees[SUBTREES_MAX];
    size_t count;
};

static enum ds_status keep_subtree(void *context, unsigned level, uint64_t index,
                                   const uint8_t hash[DS_SHA256_BYTES], struct ds_error *err)
{
    struct growth *g = context;
    if (g->count == SUBTREES_MAX) {
        return ds_fail(err, DS_EINVAL, "a batch completes more subtrees than it can");
    }
    g->subtrees[g->count] = (struct db_subtree){.level = level, .index = index};
    memcpy(g->subtrees[g->count++].hash, hash, DS_SHA256_BYTES);
    return DS_OK;
}

static enum ds_status number_batch(struct logkeeper *k, struct db *db, const struct db_leaf *leaves,
                                   size_t count, struct ds_error *err)
{
    struct provenance_tree grown = k->tree;
    struct growth growth;
    growth.count = 0;
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = provenance_tree_append(&grown, leaves[i].hash, keep_subtree, &growth, err);
    }
    if (s == DS_OK) {
        s = db_leaves_add(db, k->log, k->tree.size, leaves, count, growth.subtrees, growth.count,
                          err);
    }
    if (s != DS_OK) {
        return s;
    }
    db_book_done(k->book, count);
    (void)pthread_mutex_lock(&k->lock);
    k->tree = grown;
    k->size = grown.size;
    (void)pthread_mutex_unlock(&k->lock);
    return DS_OK;
}

static enum ds_status number_all(struct logkeeper *k, struct db *db, struct ds_error *err)
{
    struct db_leaf *leaves = calloc(BATCH_LEAVES, sizeof(*leaves));
    if (leaves == NULL) {
        return ds_fail(err, DS_ENOMEM, "out of memory");
    }
    enum ds_status s = db_log_settle(db, k->book, err);
    size_t count = db_book_look(k->book, leaves, BATCH_LEAVES);
    while (s == DS_OK && count > 0) {
        s = number_batch(k, db, leaves, count, err);
        count = count == BATCH_LEAVES ? db_book_look(k->book, leaves, BATCH_LEAVES) : 0;
    }
    free(leaves);
    return s;
}

/* ---- heads ---- */

static enum ds_status sign_head(struct logkeeper *k, struct db *db, struct ds_error *err)
{
    struct db_head h = {.head = {.size = k->tree.size, .at_us = ds_clock_utc_us()}};
    DS_AUTO(ds_bytes_free) struct ds_bytes signature = DS_BYTES_INIT(DB_SIGNATURE_BYTES);
    memcpy(h.head.log, k->log, sizeof(h.head.log));
    enum ds_status s = provenance_tree_root(&k->tree, h.head.root, err);
    if (s == DS_OK) {
        s = provenance_head_sign(&h.head, k->identity, &signature, err);
    }
    if (s != DS_OK) {
        return s;
    }
    memcpy(h.signature, signature.data, signature.len); /* its buffer is no larger */
    h.signature_len = signature.len;
    s = headfile_add(k->file, &h, &k->tree, err);
    if (s == DS_OK) {
        s = db_head_add(db, &h, err);
    }
    if (s == DS_OK) {
        (void)pthread_mutex_lock(&k->lock);
        k->head = h;
        (void)pthread_mutex_unlock(&k->lock);
    }
    return s;
}

enum ds_status logkeeper_head(struct logkeeper *k, struct db_head *out, struct ds_error *err)
{
    (void)pthread_mutex_lock(&k->lock);
    *out = k->head;
    (void)pthread_mutex_unlock(&k->lock);
    return out->head.size > 0 ? DS_OK : ds_fail(err, DS_ENOTFOUND, "the log has no tree head yet");
}

/* ---- the thread ---- */

static int64_t head_every_ms(struct logkeeper *k)
{
    DS_AUTO(settings_auto) struct settings *settings = services_settings(k->services);
    return settings_config(settings)->provenance.head_every_ms;
}

/* One round. must_sign: a head now, if there is anything that none has. */
static enum ds_status keep(struct logkeeper *k, bool must_sign, struct ds_error *err)
{
    struct db *db = services_db(k->services);
    if (db == NULL || !atomic_load(&k->taken_up)) {
        return ds_fail(err, DS_EIO, "the database is away");
    }
    enum ds_status s = number_all(k, db, err);
    const int64_t age_ms = (ds_clock_utc_us() - k->head.head.at_us) / 1000;
    const bool is_due = must_sign || age_ms < 0 || age_ms >= head_every_ms(k);
    if (s == DS_OK && is_due && k->tree.size > k->head.head.size) {
        s = sign_head(k, db, err);
    }
    return s;
}

static void tell(struct logkeeper *k, enum ds_status s, const struct ds_error *err)
{
    ds_metric_set(DS_METRIC_LOG_EVENTS, NULL, NULL, (double)k->tree.size);
    ds_metric_set(DS_METRIC_LOG_WAITING, NULL, NULL, (double)db_book_waiting(k->book));
    const uint64_t lost = db_book_lost(k->book);
    if (lost > k->lost_told) {
        ds_log(DS_LOG_ERROR, "node", "events=%llu have no place in the log: too many waited",
               (unsigned long long)lost);
        k->lost_told = lost;
    }
    if (s == DS_OK) {
        k->told = false;
        return;
    }
    ds_log(k->told || s == DS_EIO ? DS_LOG_DEBUG : DS_LOG_ERROR, "node",
           "status=%s events wait for their place in the log%s: %s", ds_status_name(s),
           s == DS_EEXIST ? " (does another node work with the same key?)" : "", err->text);
    k->told = true;
}

static void wait_ms(struct logkeeper *k, int64_t ms)
{
    const int64_t until = ds_clock_monotonic_ms() + ms;
    const struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    (void)pthread_mutex_lock(&k->lock);
    while (!k->ending && k->wanted == k->answered &&
           pthread_cond_timedwait(&k->changed, &k->lock, &at) == 0) {
    }
    (void)pthread_mutex_unlock(&k->lock);
}

static void run(void *context)
{
    struct logkeeper *k = context;
    bool ending = false;
    while (!ending) {
        struct ds_error err = {0};
        (void)pthread_mutex_lock(&k->lock);
        ending = k->ending;
        const uint64_t wanted = k->wanted;
        const bool must_sign = ending || wanted != k->answered;
        (void)pthread_mutex_unlock(&k->lock);
        const enum ds_status s = keep(k, must_sign, &err);
        tell(k, s, &err);
        (void)pthread_mutex_lock(&k->lock);
        if (s == DS_OK) {
            k->answered = wanted;
            (void)pthread_cond_broadcast(&k->changed);
        }
        (void)pthread_mutex_unlock(&k->lock);
        if (!ending) {
            wait_ms(k, s == DS_OK ? NUMBER_EVERY_MS : TRY_AGAIN_MS);
        }
    }
}

enum ds_status logkeeper_start(struct logkeeper *k, struct ds_error *err)
{
    const enum ds_status s = thread_start(&k->thread, run, k, err);
    k->started = s == DS_OK;
    return s;
}

bool logkeeper_stop(struct logkeeper *k, int64_t until_ms)
{
    if (k == NULL || !k->started) {
        return true;
    }
    (void)pthread_mutex_lock(&k->lock);
    k->ending = true;
    (void)pthread_cond_broadcast(&k->changed);
    (void)pthread_mutex_unlock(&k->lock);
    k->started = !thread_join(&k->thread, until_ms);
    return !k->started;
}

enum ds_status logkeeper_settle(struct logkeeper *k, int64_t timeout_ms, struct ds_error *err)
{
    const int64_t until = ds_clock_monotonic_ms() + timeout_ms;
    const struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    int waited = 0;
    if (atomic_load(&k->refused)) {
        return ds_fail(err, DS_EAUTH, "the provenance log cannot be gone on with");
    }
    (void)pthread_mutex_lock(&k->lock);
    const uint64_t mine = ++k->wanted;
    (void)pthread_cond_broadcast(&k->changed);
    while (k->answered < mine && waited == 0) {
        waited = pthread_cond_timedwait(&k->changed, &k->lock, &at);
    }
    const bool done = k->answered >= mine;
    (void)pthread_mutex_unlock(&k->lock);
    return done ? DS_OK
                : ds_fail(err, DS_EIO, "the log was not brought up to date in %lld ms",
                          (long long)timeout_ms);
}
