/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered migrations, each applied once, all missing ones in one transaction. */
#include "db/query.h"

#include <string.h>

struct migration {
    int64_t number;
    const char *name;
    const char *sql;
    size_t len;
};

#include "db_migrations.h"

/* Any number will do, as long as every node takes the same. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(7306086967251498341)";
static const char sql_patience[] = "SET LOCAL statement_timeout = '10min'";
static const char sql_table[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                "number bigint PRIMARY KEY, name text NOT NULL, "
                                "sha256 bytea NOT NULL, "
                                "applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";
static const char sql_applied[] = "SELECT number, sha256 FROM schema_migrations ORDER BY number";
static const char sql_record[] =
    "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)";

static enum ds_status digest_of(const struct migration *m, uint8_t out[DS_SHA256_BYTES],
                                struct ds_error *err)
{
    return ds_sha256_of(m->sql, m->len, out, err);
}

static enum ds_status check_applied(const PGresult *applied, size_t row, struct ds_error *err)
{
    const int64_t number = db_int(applied, row, 0);
    uint8_t there[DS_SHA256_BYTES];
    uint8_t here[DS_SHA256_BYTES];
    if (row >= DS_ARRAY_SIZE(migrations) || number != migrations[row].number) {
        return ds_fail(err, DS_ECONFIG,
                       "the database has migration %lld, which this version does not know; "
                       "expected a newer dicomstegod",
                       (long long)number);
    }
    const enum ds_status s = digest_of(&migrations[row], here, err);
    if (s == DS_OK &&
        (!db_hash(applied, row, 1, there) || memcmp(here, there, sizeof(here)) != 0)) {
        return ds_fail(err, DS_ECONFIG,
                       "migration %s was applied with another text; expected a database made by "
                       "a released version",
                       migrations[row].name);
    }
    return s;
}

static enum ds_status apply(struct db_tx *t, const struct migration *m, struct ds_error *err)
{
    uint8_t digest[DS_SHA256_BYTES];
    enum ds_status s = digest_of(m, digest, err);
    if (s == DS_OK) {
        s = db_run_script(t, m->sql, err);
    }
    if (s != DS_OK) {
        return ds_fail_context(err, s, "migration %s", m->name);
    }
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, m->number);
    db_arg_text(&a, m->name);
    db_arg_bytes(&a, digest, sizeof(digest));
    return db_run(t, sql_record, &a, NULL, err);
}

static enum ds_status prepare(struct db_tx *t, struct ds_error *err)
{
    const char *const statements[] = {sql_patience, sql_lock, sql_table};
    enum ds_status s = DS_OK;
    for (size_t i = 0; s == DS_OK && i < DS_ARRAY_SIZE(statements); i++) {
        s = db_run(t, statements[i], NULL, NULL, err);
    }
    return s;
}

enum ds_status db_migrate(struct db *d, struct ds_error *err)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_clear) PGresult *applied = NULL;
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = prepare(&t, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_applied, NULL, &applied, err);
    }
    const size_t done = s == DS_OK ? db_rows(applied) : 0;
    for (size_t i = 0; s == DS_OK && i < done; i++) {
        s = check_applied(applied, i, err);
    }
    for (size_t i = done; s == DS_OK && i < DS_ARRAY_SIZE(migrations); i++) {
        s = apply(&t, &migrations[i], err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
