/* SPDX-License-Identifier: Apache-2.0 */
/* Events, waiting, and a database that goes away and comes back. */
#include "tests/unit/db/fixture.h"

#include <pthread.h>
#include <signal.h>

/* ---- events ---- */

static void events_can_be_added_and_never_changed(void **state)
{
    (void)state;
    int64_t ids[1];
    (void)index_study(160, 1, ids);
    struct db_event e = {.kind = "verified",
                         .instance_id = ids[0],
                         .actor = "PEER",
                         .has_after = true,
                         .detail = "{\"algorithm\": \"ES256\"}"};
    memset(e.after, 7, sizeof(e.after));
    OK(db_event_add(db, &e, 1, &err));
    assert_int_equal(ask("SELECT count(*) FROM events WHERE "
                         "study_uid = '1.2.3.160' AND kind = 'verified' AND "
                         "detail->>'algorithm' = 'ES256' AND node = 'TESTNODE'"),
                     1);
    assert_true(is_refused("UPDATE events SET kind = 'other'"));
    assert_true(is_refused("DELETE FROM events WHERE false"));
    assert_true(is_refused("TRUNCATE events"));
    e.detail = "not json";
    assert_int_not_equal(db_event_add(db, &e, 1, &err), DS_OK);
    assert_null(strstr(err.text, "not json"));
}

/* ---- waiting ---- */

static void *plan_soon(void *argument)
{
    (void)usleep(200000);
    uint64_t count;
    struct ds_error e;
    struct db_delivery_filter nobody = DB_DELIVERY_FILTER_ALL;
    nobody.peer = "NOBODY";
    *(bool *)argument = db_delivery_requeue(db, &nobody, "node", &count, &e) == DS_OK;
    return NULL;
}

static void a_waiter_is_woken_by_new_deliveries(void **state)
{
    (void)state;
    bool woken;
    OK(db_wait(db, 1000, &woken, &err)); /* the first call opens the connection: look around */
    assert_true(woken);
    const int64_t start = ds_clock_monotonic_ms();
    OK(db_wait(db, 150, &woken, &err));
    assert_false(woken);
    assert_true(ds_clock_monotonic_ms() - start >= 140);
    pthread_t thread;
    bool planned = false;
    assert_int_equal(pthread_create(&thread, NULL, plan_soon, &planned), 0);
    OK(db_wait(db, 10000, &woken, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(planned);
    assert_true(woken);
    assert_true(ds_clock_monotonic_ms() - start < 5000);
}

/* ---- the database goes away ---- */

static void a_stopped_database_is_an_io_error_and_work_goes_on_after_it(void **state)
{
    (void)state;
    int64_t ids[1];
    (void)index_study(100, 1, ids);
    OK(db_ping(db, &err));
    db_cluster_stop(cluster);
    cluster = NULL;
    assert_int_equal(db_ping(db, &err), DS_EIO);
    int64_t id;
    assert_int_equal(db_study_find(db, "1.2.3.100", &id, &err), DS_EIO);
    assert_non_null(strstr(err.text, "PostgreSQL"));
    bool woken;
    assert_int_equal(db_wait(db, 100, &woken, &err), DS_EIO);
    assert_int_equal(db_wait(db, 100, &woken, &err), DS_EIO);

    char *again;
    OK(db_cluster_start(&cluster, folder, &again, &err));
    assert_string_equal(again, url);
    free(again);
    OK(db_study_find(db, "1.2.3.100", &id, &err));
    OK(db_wait(db, 1000, &woken, &err));
    assert_true(woken);
}

static void the_server_that_dies_is_noticed_and_started_again(void **state)
{
    (void)state;
    assert_true(db_cluster_is_alive(cluster));
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/postgresql/data/postmaster.pid", folder);
    struct ds_bytes text = DS_BYTES_INIT(4096);
    OK(ds_file_read(path, &text, &err));
    const long pid = strtol((const char *)text.data, NULL, 10);
    ds_bytes_free(&text);
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    for (int i = 0; i < 100 && db_cluster_is_alive(cluster); i++) {
        (void)usleep(50000);
    }
    assert_false(db_cluster_is_alive(cluster));
    assert_int_equal(db_ping(db, &err), DS_EIO);
    db_cluster_stop(cluster);
    char *again;
    OK(db_cluster_start(&cluster, folder, &again, &err)); /* past the stale postmaster.pid */
    free(again);
    OK(db_ping(db, &err));
}

static void an_address_with_a_password_is_never_shown(void **state)
{
    (void)state;
    struct db *d;
    OK(db_open(&d, "postgresql://user:s3cret@127.0.0.1:1/none", 1, "N", &err));
    assert_int_equal(db_ping(d, &err), DS_EIO);
    assert_null(strstr(err.text, "s3cret"));
    db_close(d);
    assert_int_equal(db_open(&d, "postgresql://user:s3cret@[::1/none", 1, "N", &err), DS_ECONFIG);
    assert_null(d);
    assert_null(strstr(err.text, "s3cret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_can_be_added_and_never_changed),
        cmocka_unit_test(a_waiter_is_woken_by_new_deliveries),
        cmocka_unit_test(an_address_with_a_password_is_never_shown),
        cmocka_unit_test(a_stopped_database_is_an_io_error_and_work_goes_on_after_it),
        cmocka_unit_test(the_server_that_dies_is_noticed_and_started_again),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
