/* SPDX-License-Identifier: Apache-2.0 */
#include "db/clock.h"

#include "base/clock.h"
#include "db/query.h"

#include <stdatomic.h>

#define STEP_US 1000000 /* less is what clocks do all day */

static const char sql_now[] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

static const char sql_due[] = "UPDATE deliveries SET ready_at = clock_timestamp() "
                              "WHERE state = 'ready' AND ready_at > clock_timestamp()";

/* A lease that another node has renewed since the step ends too early by no more than the step; no
 * lease ends before now, so that a worker has its time to renew. */
static const char sql_leases[] =
    "UPDATE deliveries SET leased_until = GREATEST(leased_until - $1 * interval '1 microsecond', "
    "LEAST(leased_until, clock_timestamp() + interval '2 minutes')) WHERE state = 'leased'";

static const char sql_extend[] =
    "UPDATE deliveries SET leased_until = GREATEST(leased_until, "
    "LEAST(leased_until + $1 * interval '1 microsecond', "
    "clock_timestamp() + interval '2 minutes')) WHERE state = 'leased'";

static const char sql_instances[] =
    "UPDATE instances SET indexed_at = clock_timestamp() "
    "WHERE generation IS NULL AND quarantined_at IS NULL AND indexed_at > clock_timestamp()";

static const char sql_reports[] =
    "UPDATE reports SET received_at = clock_timestamp() "
    "WHERE generation IS NULL AND NOT sent_already AND received_at > clock_timestamp()";

static const char sql_notify[] = "NOTIFY dicomstego";

enum ds_status db_clock_look(struct db *d, struct db_clock *c, int64_t *step_us,
                             struct ds_error *err)
{
    *step_us = 0;
    DS_AUTO(db_clear) PGresult *r = NULL;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    enum ds_status s = db_begin(&t, d, err);
    const int64_t before_us = ds_clock_monotonic_ms() * 1000;
    if (s == DS_OK) {
        s = db_run(&t, sql_now, NULL, &r, err);
    }
    const int64_t after_us = (ds_clock_monotonic_ms() + 1) * 1000;
    if (s == DS_OK) {
        s = db_commit(&t, err);
    }
    if (s != DS_OK) {
        return s;
    }
    /* It was read at some moment between the two. */
    const int64_t now_us = db_int(r, 0, 0);
    const int64_t least = now_us - after_us;
    const int64_t most = now_us - before_us;
    if (c->seen && c->ahead_us - most > STEP_US) {
        *step_us = most - c->ahead_us;
    } else if (c->seen && least - c->ahead_most_us > STEP_US) {
        *step_us = least - c->ahead_most_us;
    }
    *c = (struct db_clock){.seen = true, .ahead_us = least, .ahead_most_us = most};
    return DS_OK;
}

void db_clock_believe(struct db *d, const struct db_clock *c)
{
    atomic_store(db_clock_ahead(d), c->ahead_most_us);
}

int64_t db_clock_latest_us(struct db *d)
{
    const int64_t ahead = atomic_load(db_clock_ahead(d));
    return ahead == DB_CLOCK_UNKNOWN_US ? ahead : ahead + ds_clock_monotonic_ms() * 1000 + STEP_US;
}

static enum ds_status mend_forwards(struct db *d, int64_t step_us, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    db_arg_int(&a, step_us);
    return db_ask(d, sql_extend, &a, NULL, err);
}

static enum ds_status mend_back(struct db *d, int64_t back_us, struct ds_error *err)
{
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    db_arg_int(&a, back_us);
    enum ds_status s = db_begin(&t, d, err);
    if (s == DS_OK) {
        s = db_run(&t, sql_leases, &a, NULL, err);
    }
    static const char *const rest[] = {sql_due, sql_instances, sql_reports, sql_notify};
    for (size_t i = 0; s == DS_OK && i < DS_ARRAY_SIZE(rest); i++) {
        s = db_run(&t, rest[i], NULL, NULL, err);
    }
    return s == DS_OK ? db_commit(&t, err) : s;
}

enum ds_status db_clock_mend(struct db *d, int64_t step_us, struct ds_error *err)
{
    return step_us < 0 ? mend_back(d, -step_us, err) : mend_forwards(d, step_us, err);
}
