/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the log: leaves, subtrees, heads. */
#include "db/book.h"
#include "db/query.h"

#include <stdlib.h>
#include <string.h>

#define SETTLE_MAX 1024U

static const char sql_register[] =
    "INSERT INTO logs (log_id, node, public_key, certificate) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (log_id) DO NOTHING";

/* Which of the events are there. */
static const char sql_there[] = "SELECT id FROM events WHERE id = ANY($1)";

static const char sql_leaves[] =
    "INSERT INTO log_leaves (log, leaf, event_id, hash) "
    "SELECT (SELECT id FROM logs WHERE log_id = $1), $2 + b.n - 1, b.event_id, b.hash "
    "FROM unnest($3::bigint[], $4::bytea[]) WITH ORDINALITY AS b(event_id, hash, n)";

static const char sql_subtrees[] =
    "INSERT INTO log_subtrees (log, level, n, hash) "
    "SELECT (SELECT id FROM logs WHERE log_id = $1), b.level, b.n, b.hash "
    "FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS b(level, n, hash)";

static const char sql_head[] =
    "INSERT INTO log_heads (log, size, root, at, signature) "
    "SELECT id, $2, $3, 'epoch'::timestamptz + $4 * interval '1 microsecond', $5 FROM logs "
    "WHERE log_id = $1 ON CONFLICT (log, size) DO NOTHING";

enum ds_status db_log_register(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                               const uint8_t *public_key, size_t public_key_len,
                               const uint8_t *certificate, size_t certificate_len,
                               struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_text(&a, db_node(d));
    db_arg_bytes(&a, public_key, public_key_len);
    db_arg_bytes(&a, certificate, certificate_len);
    return db_ask(d, sql_register, &a, NULL, err);
}

/* ---- commits that were not answered ---- */

static bool is_there(const PGresult *r, int64_t id)
{
    for (size_t i = 0; i < db_rows(r); i++) {
        if (db_int(r, i, 0) == id) {
            return true;
        }
    }
    return false;
}

static enum ds_status settle_some(struct db *d, struct db_book *b, const struct db_leaf *leaves,
                                  size_t count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_array_begin(&a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(&a, leaves[i].event_id);
    }
    db_array_end(&a);
    const enum ds_status s = db_ask(d, sql_there, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_there(r, leaves[i].event_id)) {
            db_book_add(b, &leaves[i], 1, true);
        }
    }
    db_book_done_unsure(b, count);
    return DS_OK;
}

static void free_leaves(struct db_leaf **leaves)
{
    free(*leaves);
}

enum ds_status db_log_settle(struct db *d, struct db_book *b, struct ds_error *err)
{
    DS_AUTO(free_leaves) struct db_leaf *leaves = calloc(SETTLE_MAX, sizeof(*leaves));
    if (leaves == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for events");
    }
    enum ds_status s = DS_OK;
    size_t count = db_book_look_unsure(b, leaves, SETTLE_MAX);
    while (s == DS_OK && count > 0) {
        s = settle_some(d, b, leaves, count, err);
        count = db_book_look_unsure(b, leaves, SETTLE_MAX);
    }
    return s;
}

/* ---- leaves ---- */

static enum ds_status put_leaves(struct db_tx *t, const uint8_t *log, uint64_t first,
                                 const struct db_leaf *leaves, size_t count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)first);
    db_array_begin(&a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(&a, leaves[i].event_id);
    }
    db_array_end(&a);
    db_array_begin(&a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_bytes(&a, leaves[i].hash, DS_SHA256_BYTES);
    }
    db_array_end(&a);
    return db_run(t, sql_leaves, &a, NULL, err);
}

static enum ds_status put_subtrees(struct db_tx *t, const uint8_t *log,
                                   const struct db_subtree *subtrees, size_t count,
                                   struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_array_begin(&a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(&a, subtrees[i].level);
    }
    db_array_end(&a);
    db_array_begin(&a, DB_INT8);
    for (size_t i = 0; i < count; i++) {
        db_item_int(&a, (int64_t)subtrees[i].index);
    }
    db_array_end(&a);
    db_array_begin(&a, DB_BYTEA);
    for (size_t i = 0; i < count; i++) {
        db_item_bytes(&a, subtrees[i].hash, DS_SHA256_BYTES);
    }
    db_array_end(&a);
    return db_run(t, sql_subtrees, &a, NULL, err);
}

enum ds_status db_leaves_add(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t first,
                             const struct db_leaf *leaves, size_t count,
                             const struct db_subtree *subtrees, size_t subtree_count,
                             struct ds_error *err)
{
    if (count == 0) {
        return DS_OK;
    }
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = put_leaves(&t, log, first, leaves, count, err);
    }
    if (s == DS_OK) {
        s = put_subtrees(&t, log, subtrees, subtree_count, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_head_add(struct db *d, const struct db_head *h, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_bytes(&a, h->head.log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)h->head.size);
    db_arg_bytes(&a, h->head.root, DS_SHA256_BYTES);
    db_arg_int(&a, h->head.at_us);
    db_arg_bytes(&a, h->signature, h->signature_len);
    return db_ask(d, sql_head, &a, NULL, err);
}
