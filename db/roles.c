/* SPDX-License-Identifier: Apache-2.0 */
#include "db/roles.h"

#include "db/query.h"

#include <string.h>

static const char sql_role[] = "SELECT current_user::text";

/* The one of migrations (migrate.c): two nodes that start together would update the same rows of
 * the catalogue. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(7306086967251498341)";

/* What the owner has in his schema, and nothing that lies beside it. */
static const char sql_grants[] =
    "SELECT format('GRANT USAGE ON SCHEMA %2$I TO %1$I; "
    "GRANT SELECT, INSERT, UPDATE, DELETE ON %3$s TO %1$I; "
    "GRANT USAGE, SELECT ON %4$s TO %1$I; "
    "REVOKE UPDATE, DELETE, TRUNCATE ON logs, events, log_leaves, log_subtrees, log_heads, "
    "seen_heads, head_stamps, "
    "events_before_log FROM %1$I; "
    "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON schema_migrations FROM %1$I', "
    "$1::text, current_schema(), (SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables "
    "WHERE schemaname = current_schema() AND tableowner = current_user), "
    "(SELECT 'SEQUENCE ' || string_agg(quote_ident(sequencename), ', ') FROM pg_sequences "
    "WHERE schemaname = current_schema() AND sequenceowner = current_user))";

static const char sql_may[] =
    "SELECT bool_or(has_table_privilege(t, 'UPDATE') OR has_table_privilege(t, 'DELETE') "
    "OR has_table_privilege(t, 'TRUNCATE')) FROM unnest(ARRAY['logs', 'events', 'log_leaves', "
    "'log_subtrees', 'log_heads', 'seen_heads', 'head_stamps']) AS t";

enum ds_status db_role(struct db *d, char out[DB_ROLE_BYTES], struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    out[0] = '\0';
    const enum ds_status s = db_ask(d, sql_role, NULL, &r, err);
    if (s == DS_OK) {
        db_text(r, 0, 0, out, DB_ROLE_BYTES);
    }
    return s;
}

enum ds_status db_grant(struct db *owner, const char *role, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_text(&a, role);
    enum ds_status s = db_begin(&t, owner, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_lock, NULL, NULL, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_grants, &a, &r, err);
    }
    if (s == DS_OK) {
        s = db_run_script(&t, db_string(r, 0, 0), err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_may_change_log(struct db *d, bool *may, struct ds_error *err)
{
    DS_AUTO(db_clear) PGresult *r = NULL;
    const enum ds_status s = db_ask(d, sql_may, NULL, &r, err);
    *may = s == DS_OK && db_bool(r, 0, 0);
    return s;
}
