/* SPDX-License-Identifier: Apache-2.0 */
#include "db/query.h"

static const char sql_saved[] = "SELECT saved FROM capsules WHERE id = $1";

enum ds_status db_capsule_saved(struct db *d, int64_t capsule_row, struct ds_bytes *out,
                                struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, capsule_row);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_saved, &a, &r, err);
    }
    if (s == DS_OK && db_rows(r) == 0) {
        return ds_fail(err, DS_ENOTFOUND, "there is no capsule %lld", (long long)capsule_row);
    }
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    if (s != DS_OK) {
        return s;
    }
    size_t len;
    const uint8_t *data = db_bytes(r, 0, 0, &len);
    return ds_bytes_append(out, data, len, err);
}
