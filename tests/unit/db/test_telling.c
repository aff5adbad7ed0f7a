/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "db/telling.h"

static const uint8_t log_id[DS_SHA256_BYTES] = {1};

static void run(const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    }
    PQclear(r);
    PQfinish(c);
}

/* Leaves as the keeper gives them: not in the order of the events' numbers. */
static void put_leaf(int leaf, int event, const char *kind)
{
    char sql[512];
    (void)snprintf(
        sql, sizeof(sql),
        "INSERT INTO events (id, log, at, node, kind, actor, detail) SELECT %d, id, "
        "'2026-01-02 03:04:05Z', 'TESTNODE', '%s', 'node', '{\"peer\": \"P\"}' FROM logs",
        event, kind);
    run(sql);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO log_leaves (log, leaf, event_id, hash) SELECT id, %d, %d, "
                   "decode(repeat('00', 32), 'hex') FROM logs",
                   leaf, event);
    run(sql);
}

static void a_cursor_follows_the_leaves_and_goes_back(void **state)
{
    (void)state;
    struct db_told *rows = NULL;
    size_t count = 0;
    int64_t sure = -1;
    run("INSERT INTO logs (log_id, node, public_key, certificate) VALUES "
        "(decode('01' || repeat('00', 31), 'hex'), 'TESTNODE', '', '')");
    put_leaf(0, 900001, "before");
    OK(db_telling_begin(db, log_id, "audit:6514", &sure, &err));
    assert_int_equal(sure, 1); /* new: from now on */
    OK(db_telling_read(db, log_id, sure, 10, &rows, &count, &err));
    assert_int_equal(count, 0);
    put_leaf(1, 900009, "later number");
    put_leaf(2, 900003, "lower number");
    OK(db_telling_read(db, log_id, sure, 10, &rows, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].kind, "later number");
    assert_int_equal(rows[0].event_id, 900009);
    assert_string_equal(rows[1].kind, "lower number");
    assert_string_equal(rows[1].peer, "P");
    assert_string_equal(rows[1].patient_id, "");
    assert_int_equal(rows[1].place, 3);
    db_told_free(rows, count);
    OK(db_telling_done(db, "audit:6514", 3, 2, &err));
    OK(db_telling_begin(db, log_id, "audit:6514", &sure, &err));
    assert_int_equal(sure, 2); /* told may have been lost with its reader */
    OK(db_telling_read(db, log_id, sure, 1, &rows, &count, &err));
    assert_int_equal(count, 1);
    db_told_free(rows, count);
    OK(db_telling_begin(db, log_id, "another:6514", &sure, &err));
    assert_int_equal(sure, 3);
    assert_int_equal(db_telling_read(db, log_id, 0, 0, &rows, &count, &err), DS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_follows_the_leaves_and_goes_back),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
