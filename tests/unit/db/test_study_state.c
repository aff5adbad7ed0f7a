/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a study follows from its deliveries. */
#include "tests/unit/db/fixture.h"

static void the_state_follows_from_the_counts(void **state)
{
    (void)state;
    const struct {
        uint64_t n[DB_DELIVERY_STATES]; /* waiting ready leased sent committed failed cancelled */
        uint64_t unplanned;
        enum db_study_state expected;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0}, 3, DB_STUDY_RECEIVING},
        {{0, 0, 0, 0, 0, 0, 0}, 0, DB_STUDY_KEPT},
        {{0, 5, 0, 0, 0, 0, 0}, 0, DB_STUDY_PENDING},
        {{0, 5, 1, 0, 0, 0, 0}, 0, DB_STUDY_SENDING},
        {{0, 5, 0, 1, 0, 0, 0}, 2, DB_STUDY_SENDING},
        {{0, 0, 0, 4, 2, 0, 0}, 0, DB_STUDY_DELIVERED},
        {{0, 0, 0, 0, 6, 0, 1}, 0, DB_STUDY_COMMITTED},
        {{0, 0, 0, 5, 0, 1, 0}, 0, DB_STUDY_PARTLY_FAILED},
        {{0, 2, 0, 0, 0, 1, 0}, 0, DB_STUDY_PARTLY_FAILED},
        {{0, 0, 0, 0, 0, 6, 1}, 0, DB_STUDY_FAILED},
        {{1, 0, 0, 5, 0, 0, 0}, 0, DB_STUDY_HELD},
        {{0, 0, 0, 0, 0, 0, 2}, 0, DB_STUDY_CANCELLED},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        assert_int_equal(db_study_state_of(cases[i].n, cases[i].unplanned), cases[i].expected);
        assert_true(db_study_state_name(cases[i].expected)[0] != '\0');
    }
}

static void a_study_is_shown_from_its_arrival_to_its_delivery(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(600, 2, ids);
    struct db_study_row row;
    OK(db_study_show(db, "1.2.3.600", &row, &err));
    assert_int_equal(row.id, study);
    assert_int_equal(row.state, DB_STUDY_RECEIVING);
    assert_int_equal(row.instances, 2);
    assert_int_equal(row.unplanned, 2);
    assert_true(row.first_us > 0 && row.last_us >= row.first_us);
    int generation;
    OK(plan_study(study, ids, 2, "PEER600", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER600", 2, 60000, &got), 2);
    const struct db_delivery_result r[2] = {sent_result(got[0].id), sent_result(got[1].id)};
    free(got);
    OK(db_study_show(db, "1.2.3.600", &row, &err));
    assert_int_equal(row.state, DB_STUDY_SENDING);
    assert_int_equal(row.counts[DB_LEASED], 2);
    OK(db_delivery_finish(db, r, 2, &err));
    OK(db_study_show(db, "1.2.3.600", &row, &err));
    assert_int_equal(row.state, DB_STUDY_DELIVERED);
    assert_int_equal(row.generation, 1);
    assert_int_equal(row.unplanned, 0);
    struct db_study_peer *peers;
    size_t count;
    OK(db_study_peers(db, study, &peers, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(peers[0].peer, "PEER600");
    assert_int_equal(peers[0].counts[DB_SENT], 2);
    assert_int_equal(peers[0].state, DB_STUDY_DELIVERED);
    free(peers);
    assert_int_equal(db_study_show(db, "9.9.9", &row, &err), DS_ENOTFOUND);
}

static void studies_are_listed_newest_first_in_pages(void **state)
{
    (void)state;
    int64_t ids[1];
    const int64_t old = index_study(601, 1, ids);
    const int64_t new = index_study(602, 1, ids);
    struct db_study_row *rows;
    size_t count;
    OK(db_study_list(db, NULL, 1, 0, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].id, new);
    free(rows);
    OK(db_study_list(db, NULL, 1, new, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].id, old);
    free(rows);
    OK(db_study_list(db, "1.2.3.601", 10, 0, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].study_uid, "1.2.3.601");
    free(rows);
    assert_int_equal(db_study_list(db, NULL, 0, 0, &rows, &count, &err), DS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_follows_from_the_counts),
        cmocka_unit_test(a_study_is_shown_from_its_arrival_to_its_delivery),
        cmocka_unit_test(studies_are_listed_newest_first_in_pages),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
