/* SPDX-License-Identifier: Apache-2.0 */
/* The carriers that a study has had: a late one may need their shares. */
#include "db/query.h"

static const char sql_planned_carriers[] =
    "SELECT " DB_INSTANCE_COLUMNS " FROM instances i" DB_INSTANCE_JOINS
    "WHERE i.study_id = $1 AND i.kind = 1 "
    "AND (i.generation IS NOT NULL OR i.quarantined_at IS NOT NULL) ORDER BY i.id";

enum ds_status db_study_planned_carriers(struct db *d, int64_t study_id, struct db_instance **out,
                                         size_t *count, struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, study_id);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_planned_carriers, &a, &r, err);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    if (s != DS_OK || db_rows(r) == 0) {
        return s;
    }
    *out = calloc(db_rows(r), sizeof(**out));
    if (*out == NULL) {
        return ds_fail(err, DS_ENOMEM, "no memory for %zu instances", db_rows(r));
    }
    *count = db_rows(r);
    for (size_t i = 0; i < *count; i++) {
        db_instance_from(r, i, 0, &(*out)[i]);
    }
    return DS_OK;
}
