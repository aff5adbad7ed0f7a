/* SPDX-License-Identifier: Apache-2.0 */
#include "db/witness.h"

#include "db/query.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char sql_seen_add[] =
    "INSERT INTO seen_heads (log_id, origin, size, root, witness, at, signature, public_key, "
    "certificate) VALUES ($1, $2, $3, $4, $5, "
    "'epoch'::timestamptz + $6 * interval '1 microsecond', $7, NULLIF($8, ''::bytea), "
    "NULLIF($9, ''::bytea)) "
    "ON CONFLICT DO NOTHING";
static const char sql_seen_list[] = "SELECT origin, size, root, " DB_US(
    "at") ", signature FROM seen_heads "
          "WHERE log_id = $1 AND witness = $2 ORDER BY size, id LIMIT $3";
static const char sql_witnesses[] = "SELECT DISTINCT ON (witness) origin, size, root, " DB_US(
    "at") ", signature, witness, public_key, certificate FROM seen_heads "
          "WHERE log_id = $1 AND size <= $2 AND public_key IS NOT NULL "
          "ORDER BY witness, size DESC";
static const char sql_stamp_add[] =
    "INSERT INTO head_stamps (log, size, at, token) SELECT l.id, $2, "
    "'epoch'::timestamptz + $3 * interval '1 microsecond', $4 FROM logs l WHERE l.log_id = $1 "
    "ON CONFLICT DO NOTHING";
static const char sql_stamp_first[] =
    "SELECT s.size, s.token FROM head_stamps s JOIN logs l ON l.id = s.log "
    "WHERE l.log_id = $1 AND s.size >= $2 ORDER BY s.size LIMIT 1";
static const char sql_stamp_newest[] =
    "SELECT " DB_US("max(s.at)") " FROM head_stamps s JOIN logs l ON l.id = s.log "
                                 "WHERE l.log_id = $1";

/* ---- what we have seen ---- */

static enum ds_status note(struct db_tx *t, const struct db_seen *seen, const char *peer,
                           struct ds_error *err)
{
    char log[DS_SHA256_HEX_BYTES];
    char root[DS_SHA256_HEX_BYTES];
    char detail[256];
    ds_hex(seen->head.log, sizeof(seen->head.log), log);
    ds_hex(seen->head.root, sizeof(seen->head.root), root);
    (void)snprintf(detail, sizeof(detail), "{\"log\":\"%s\",\"size\":%" PRIu64 ",\"root\":\"%s\"}",
                   log, seen->head.size, root);
    const struct db_event_at event = {
        .event = {.kind = seen->key.len > 0 ? "countersigned" : "witnessed",
                  .actor = "node",
                  .peer = peer,
                  .detail = detail}};
    return db_events_put(t, &event, 1, err);
}

enum ds_status db_seen_add(struct db *d, const struct db_seen *seen, const char *peer, bool *is_new,
                           struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_bytes(&a, seen->head.log, sizeof(seen->head.log));
    db_arg_text(&a, seen->origin);
    db_arg_int(&a, (int64_t)seen->head.size);
    db_arg_bytes(&a, seen->head.root, sizeof(seen->head.root));
    db_arg_bytes(&a, seen->witness, sizeof(seen->witness));
    db_arg_int(&a, seen->head.at_us);
    db_arg_bytes(&a, seen->signature, seen->signature_len);
    db_arg_bytes(&a, seen->key.data, seen->key.len);
    db_arg_bytes(&a, seen->certificate.data, seen->certificate.len);
    *is_new = false;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_seen_add, &a, &r, err);
    }
    *is_new = s == DS_OK && db_affected(r) > 0;
    if (*is_new) {
        s = note(&t, seen, peer, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

static void seen_from(const PGresult *r, size_t row, struct db_seen *out)
{
    size_t len = 0;
    const uint8_t *signature = db_bytes(r, row, 4, &len);
    db_text(r, row, 0, out->origin, sizeof(out->origin));
    out->head.size = (uint64_t)db_int(r, row, 1);
    (void)db_hash(r, row, 2, out->head.root);
    out->head.at_us = db_int(r, row, 3);
    out->signature_len = len <= sizeof(out->signature) ? len : 0;
    if (out->signature_len > 0) {
        memcpy(out->signature, signature, out->signature_len);
    }
}

enum ds_status db_seen_list(struct db *d, const uint8_t log[DS_SHA256_BYTES],
                            const uint8_t witness[DS_SHA256_BYTES], size_t max,
                            struct db_seen **out, size_t *count, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    *out = NULL;
    *count = 0;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_bytes(&a, witness, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)max);
    const enum ds_status s = db_ask(d, sql_seen_list, &a, &r, err);
    if (s != DS_OK) {
        return s;
    }
    *out = calloc(db_rows(r) + 1, sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu heads", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        memcpy((*out)[i].head.log, log, DS_SHA256_BYTES);
        memcpy((*out)[i].witness, witness, DS_SHA256_BYTES);
        seen_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}

static struct provenance_bytes bytes_of(const PGresult *r, size_t row, int column)
{
    struct provenance_bytes b = {0};
    b.data = db_bytes(r, row, column, &b.len);
    return b;
}

enum ds_status db_witnesses(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t size,
                            db_witness_take *take, void *context, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)size);
    enum ds_status s = db_ask(d, sql_witnesses, &a, &r, err);
    for (size_t i = 0; s == DS_OK && i < db_rows(r); i++) {
        struct db_seen seen = {0};
        memcpy(seen.head.log, log, DS_SHA256_BYTES);
        seen_from(r, i, &seen);
        (void)db_hash(r, i, 5, seen.witness);
        seen.key = bytes_of(r, i, 6);
        seen.certificate = bytes_of(r, i, 7);
        s = take(context, &seen, err);
    }
    return s;
}

/* ---- time stamps ---- */

enum ds_status db_stamp_add(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t size,
                            int64_t at_us, const uint8_t *token, size_t len, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)size);
    db_arg_int(&a, at_us);
    db_arg_bytes(&a, token, len);
    return db_ask(d, sql_stamp_add, &a, NULL, err);
}

enum ds_status db_stamp_first(struct db *d, const uint8_t log[DS_SHA256_BYTES], uint64_t from,
                              uint64_t *size, struct ds_bytes *token, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    *size = 0;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    db_arg_int(&a, (int64_t)from);
    const enum ds_status s = db_ask(d, sql_stamp_first, &a, &r, err);
    if (s != DS_OK || db_rows(r) == 0) {
        return s == DS_OK ? ds_fail(err, DS_ENOTFOUND, "no tree head has a time stamp") : s;
    }
    size_t len = 0;
    const uint8_t *data = db_bytes(r, 0, 1, &len);
    *size = (uint64_t)db_int(r, 0, 0);
    return ds_bytes_append(token, data, len, err);
}

enum ds_status db_stamp_newest(struct db *d, const uint8_t log[DS_SHA256_BYTES], int64_t *at_us,
                               struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    *at_us = 0;
    db_arg_bytes(&a, log, DS_SHA256_BYTES);
    const enum ds_status s = db_ask(d, sql_stamp_newest, &a, &r, err);
    if (s == DS_OK && db_rows(r) > 0) {
        *at_us = db_int(r, 0, 0);
    }
    return s;
}
