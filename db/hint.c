/* SPDX-License-Identifier: Apache-2.0 */
/* Who says that a study is complete; study.c asks what still holds of it. */
#include "base/clock.h"
#include "db/query.h"

/* What was said of studies that never came is forgotten after a week. */
static const char sql_add[] =
    "WITH forgotten AS (DELETE FROM study_hints "
    " WHERE made_at < clock_timestamp() - interval '7 days' AND study_uid <> $1) "
    "INSERT INTO study_hints AS h (study_uid, kind, made_at) "
    "VALUES ($1, $2, to_timestamp($3::double precision / 1000000)) "
    "ON CONFLICT (study_uid, kind) DO UPDATE SET made_at = GREATEST(h.made_at, EXCLUDED.made_at)";

static const char sql_notify[] = "NOTIFY dicomstego";

static const char *name_of(enum db_hint kind)
{
    return kind == DB_HINT_OPERATOR ? "operator" : "commitment";
}

enum ds_status db_study_hint_add(struct db *d, const char *study_uid, enum db_hint kind,
                                 int64_t at_us, struct ds_error *err)
{
    if (kind != DB_HINT_OPERATOR && kind != DB_HINT_COMMITMENT) {
        return ds_fail(err, DS_EINVAL, "hint %d is not one that can be added", (int)kind);
    }
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_text(&a, study_uid);
    db_arg_text(&a, name_of(kind));
    db_arg_int(&a, at_us == 0 ? ds_clock_utc_us() : at_us);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_add, &a, NULL, err);
    }
    if (s == DS_OK) {
        s = db_run(&t, sql_notify, NULL, NULL, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}
