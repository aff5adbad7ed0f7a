/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that share a SOP Instance UID: all were kept, and a rule says which of them are sent.
 */
#include "db/query.h"

/* Of each UID that a pending instance has in common with another one, all who have it, in the order
 * in which they came. Carriers and what was restored from them are judged by what they carry. */
static const char sql_rivals[] =
    "WITH p AS MATERIALIZED (SELECT DISTINCT sop_uid, kind FROM instances WHERE study_id = $1 "
    "AND generation IS NULL AND quarantined_at IS NULL AND kind IN (0, 3)), "
    "r AS (SELECT i.*, count(*) OVER (PARTITION BY i.sop_uid, i.kind) AS rivals "
    "FROM p JOIN instances i ON i.sop_uid = p.sop_uid AND i.kind = p.kind "
    "WHERE i.quarantined_at IS NULL) "
    "SELECT r.id, r.sop_uid, r.kind::bigint, r.dataset_hash, "
    "r.study_id = $1 AND r.generation IS NULL, "
    "EXISTS (SELECT 1 FROM deliveries d WHERE d.instance_id = r.id AND d.state <> 'cancelled'), "
    "EXISTS (SELECT 1 FROM deliveries d WHERE d.instance_id = r.id "
    "AND d.state IN ('ready', 'leased', 'waiting', 'failed')) "
    "FROM r WHERE r.rivals > 1 ORDER BY r.sop_uid, r.kind, r.received_at, r.id";

static void rival_from(const PGresult *r, size_t row, struct db_rival *out)
{
    out->instance_id = db_int(r, row, 0);
    db_text(r, row, 1, out->sop_uid, sizeof(out->sop_uid));
    out->kind = (enum db_kind)db_int(r, row, 2);
    out->has_dataset_hash = db_hash(r, row, 3, out->dataset_hash);
    out->is_pending = db_bool(r, row, 4);
    out->is_planned = db_bool(r, row, 5);
    out->is_unsent = db_bool(r, row, 6);
}

enum ds_status db_study_rivals(struct db *d, int64_t study_id, struct db_rival **out, size_t *count,
                               struct ds_error *err)
{
    *out = NULL;
    *count = 0;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, study_id);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_rivals, &a, &r, err);
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
        rival_from(r, i, &(*out)[i]);
    }
    return DS_OK;
}
