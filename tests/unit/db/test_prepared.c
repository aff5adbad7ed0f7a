/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that a connection prepares once. */
#include "tests/unit/db/fixture.h"

#include "db/query.h"

static const char sql_twice[] = "SELECT 2 * $1 AS a_statement_that_is_long_enough_to_be_prepared";
static const char sql_count[] =
    "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE $1 || '%'";

static int64_t run_with(struct db *d, const char *sql, const char *text, int64_t number)
{
    DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
    DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
    DS_AUTO(db_clear) PGresult *r = NULL;
    if (text != NULL) {
        db_arg_text(&a, text);
    } else {
        db_arg_int(&a, number);
    }
    OK(db_begin(&t, d, &err));
    OK(db_run(&t, sql, &a, &r, &err));
    const int64_t out = db_int(r, 0, 0);
    OK(db_commit(&t, &err));
    return out;
}

static void a_statement_is_prepared_once_and_takes_new_values(void **state)
{
    (void)state;
    struct db *one;
    OK(db_open(&one, url, 1, "TESTNODE", &err));
    for (int64_t i = 0; i < 10; i++) {
        assert_int_equal(run_with(one, sql_twice, NULL, i), 2 * i);
    }
    assert_int_equal(run_with(one, sql_count, "SELECT 2", 0), 1);
    db_close(one);
}

static void a_text_that_changed_at_its_place_is_not_taken_for_the_old_one(void **state)
{
    (void)state;
    struct db *one;
    static char sql[] = "SELECT 2 * $1 AS another_statement_that_is_long_enough";
    OK(db_open(&one, url, 1, "TESTNODE", &err));
    assert_int_equal(run_with(one, sql, NULL, 7), 14);
    sql[7] = '3';
    assert_int_equal(run_with(one, sql, NULL, 7), 21);
    db_close(one);
}

static void a_failed_statement_leaves_the_connection_usable(void **state)
{
    (void)state;
    struct db *one;
    static const char sql[] = "SELECT 100 / $1 AS a_statement_that_fails_for_one_value";
    OK(db_open(&one, url, 1, "TESTNODE", &err));
    assert_int_equal(run_with(one, sql, NULL, 5), 20);
    {
        DS_AUTO(db_end) struct db_tx t = DB_TX_INIT;
        DS_AUTO(db_args_free) struct db_args a = DB_ARGS_INIT;
        db_arg_int(&a, 0);
        OK(db_begin(&t, one, &err));
        assert_int_not_equal(db_run(&t, sql, &a, NULL, &err), DS_OK);
    }
    assert_int_equal(run_with(one, sql, NULL, 4), 25);
    db_close(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_is_prepared_once_and_takes_new_values),
        cmocka_unit_test(a_text_that_changed_at_its_place_is_not_taken_for_the_old_one),
        cmocka_unit_test(a_failed_statement_leaves_the_connection_usable),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
