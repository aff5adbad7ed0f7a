/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the log: heads, keys, and the hashes that proofs are made of. */
#include "db/event_row.h"
#include "db/log.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_COLUMNS "l.log_id, h.size, h.root, " DB_EVENT_US("h.at") ", h.signature"

static const char sql_heads[] =
    "SELECT " HEAD_COLUMNS " FROM log_heads h JOIN logs l ON l.id = h.log "
    "WHERE l.log_id = $1 AND h.size >= $2 ORDER BY h.size LIMIT $3";

static const char sql_last[] =
    "SELECT " HEAD_COLUMNS " FROM log_heads h JOIN logs l ON l.id = h.log "
    "WHERE l.log_id = $1 ORDER BY h.size DESC LIMIT 1";

static const char sql_leaf[] = "SELECT f.leaf FROM log_leaves f JOIN logs l ON l.id = f.log "
                               "WHERE f.event_id = $2 AND l.log_id = $1";

static const char sql_key[] = "SELECT public_key, certificate FROM logs WHERE log_id = $1";

/* A block: 256 hashes of one level, as far as they are there. */
static const char sql_leaf_block[] =
    "SELECT f.leaf, f.hash FROM log_leaves f JOIN logs l ON l.id = f.log "
    "WHERE l.log_id = $1 AND f.leaf >= $2 AND f.leaf < $2 + 256 ORDER BY f.leaf";
static const char sql_subtree_block[] =
    "SELECT s.n, s.hash FROM log_subtrees s JOIN logs l ON l.id = s.log "
    "WHERE l.log_id = $1 AND s.n >= $2 AND s.n < $2 + 256 AND s.level = $3 ORDER BY s.n";

/* ---- heads ---- */

static void head_from(const PGresult *r, size_t row, struct db_head *out)
{
    size_t len;
    memset(out, 0, sizeof(*out));
    (void)db_hash(r, row, 0, out->head.log);
    out->head.size = (uint64_t)db_int(r, row, 1);
    (void)db_hash(r, row, 2, out->head.root);
    out->head.at_us = db_int(r, row, 3);
    const uint8_t *signature = db_bytes(r, row, 4, &len);
    if (signature != NULL && len <= sizeof(out->signature)) { /* a longer one verifies nowhere */
        memcpy(out->signature, signature, len);
        out->signature_len = len;
    }
}

enum ds_status db_heads(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t from, size_t max,
                        struct db_head **out, size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)from);
    db_arg_int(&a, (int64_t)max);
    const enum ds_status s = db_ask(d, sql_heads, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu tree heads", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        head_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

enum ds_status db_head_last(struct db *d, const uint8_t log[DS_SHA256_BYTES], struct db_head *out,
                            struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    memset(out, 0, sizeof(*out));
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    const enum ds_status s = db_ask(d, sql_last, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "the log has no tree head yet");
    }
    if (s == DS_OK) {
        head_from(r, 0, out);
    }
    return s;
}

enum ds_status db_leaf_of(struct db *d, const uint8_t log[DS_SHA256_BYTES], int64_t event_id,
                          uint64_t *leaf, struct ds_error *err)
{
    *leaf = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, event_id);
    const enum ds_status s = db_ask(d, sql_leaf, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "event %lld is not in the log", (long long)event_id);
    }
    *leaf = s == DS_OK ? (uint64_t)db_int(r, 0, 0) : 0;
    return s;
}

enum ds_status db_log_key(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                          struct ds_bytes *public_key, struct ds_bytes *certificate,
                          struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    enum ds_status s = db_ask(d, sql_key, &a, &r, err);
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "the database does not know this log");
    }
    struct ds_bytes *const to[] = {public_key, certificate};
    for (int i = 0; s == DS_OK && i < 2; i++) {
        size_t len;
        const uint8_t *data = db_bytes(r, 0, i, &len);
        s = ds_bytes_append(to[i], data, len, err);
    }
    return s;
}

/* ---- nodes ---- */

#define BLOCKS      8U
#define BLOCK_NODES 256U

struct block {
    unsigned level;
    uint64_t first;
    unsigned count; /* 0: free */
    uint64_t used;
    uint8_t hashes[BLOCK_NODES][DS_SHA256_BYTES];
    bool has[BLOCK_NODES];
};

struct db_log_nodes {
    struct db *d;
    uint8_t log[DS_SHA256_BYTES];
    uint64_t clock;
    struct block blocks[BLOCKS];
};

enum ds_status db_log_nodes_new(struct db_log_nodes **out, struct db *d,
                                const uint8_t log[DS_SHA256_BYTES], struct ds_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for a proof");
    }
    (*out)->d = d;
    memcpy((*out)->log, log, DS_SHA256_BYTES);
    return DS_OK;
}

void db_log_nodes_free(struct db_log_nodes *n)
{
    free(n);
}

static enum ds_status read_block(struct db_log_nodes *n, struct block *b, unsigned level,
                                 uint64_t first, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    *b = (struct block){.level = level, .first = first};
    db_arg_bytes(&a, n->log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)first);
    if (level > 0) {
        db_arg_int(&a, level);
    }
    const enum ds_status s =
        db_ask(n->d, level == 0 ? sql_leaf_block : sql_subtree_block, &a, &r, err);
    for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
        const uint64_t at = (uint64_t)db_int(r, i, 0) - first;
        if (at < BLOCK_NODES) {
            b->has[at] = db_hash(r, i, 1, b->hashes[at]);
        }
    }
    b->count = s == DS_OK ? BLOCK_NODES : 0;
    return s;
}

/* The one at hand, or the one that was not used for longest, filled anew. */
static enum ds_status find_block(struct db_log_nodes *n, unsigned level, uint64_t first,
                                 struct block **out, struct ds_error *err)
{
    struct block *oldest = &n->blocks[0];
    for (size_t i = 0; i < BLOCKS; i++) {
        struct block *b = &n->blocks[i];
        if (b->count > 0 && b->level == level && b->first == first) {
            b->used = ++n->clock;
            *out = b;
            return DS_OK;
        }
        oldest = b->used < oldest->used ? b : oldest;
    }
    *out = oldest;
    const enum ds_status s = read_block(n, oldest, level, first, err);
    oldest->used = ++n->clock;
    return s;
}

static enum ds_status kept_node(struct db_log_nodes *n, unsigned level, uint64_t index,
                                uint8_t *out, struct ds_error *err)
{
    struct block *b = NULL;
    const uint64_t at = index % BLOCK_NODES;
    const enum ds_status s = find_block(n, level, index - at, &b, err);
    if (s == DS_OK && !b->has[at]) {
        return ds_fail(err, DS_EAUTH, "the log lacks the hash of leaf %llu and on (%llu of them)",
                       (unsigned long long)(index << level), 1ULL << level);
    }
    if (s == DS_OK) {
        memcpy(out, b->hashes[at], DS_SHA256_BYTES);
    }
    return s;
}

/* What lies between two kept levels is folded from the lower one: at most 128 hashes. */
static enum ds_status get_node(void *context, unsigned level, uint64_t index,
                               uint8_t out[DS_SHA256_BYTES], struct ds_error *err)
{
    struct db_log_nodes *n = context;
    const unsigned above = level % PROVENANCE_TREE_STEP;
    uint8_t folded[128][DS_SHA256_BYTES];
    size_t count = (size_t)1 << above;
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < count; i++) {
        s = kept_node(n, level - above, (index << above) + i, folded[i], err);
    }
    for (; s == DS_OK && count > 1; count /= 2) {
        for (size_t i = 0; s == DS_OK && i < count / 2; i++) {
            s = provenance_node_hash(folded[2 * i], folded[2 * i + 1], folded[i], err);
        }
    }
    if (s == DS_OK) {
        memcpy(out, folded[0], DS_SHA256_BYTES);
    }
    return s;
}

struct provenance_nodes db_log_nodes_of(struct db_log_nodes *n)
{
    return (struct provenance_nodes){get_node, n};
}
