/* SPDX-License-Identifier: Apache-2.0 */
/* One SOP Instance UID with several contents, reports that come late, and what a plan does not
 * send. */
#include "fixture.h"

static int64_t index_one(unsigned study, unsigned instance, uint8_t salt, uint8_t data_set,
                         struct db_indexed *done)
{
    struct sample s;
    struct db_received row = sample_row(&s, study, instance, salt);
    memset(row.dataset_hash, data_set, sizeof(row.dataset_hash));
    row.has_pixel_data = instance != 0;
    OK(db_index(db, &row, 1, done, &err));
    return done->instance_id;
}

static long long count_of(const char *what, int64_t id)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s = %lld", what, (long long)id);
    return ask(sql);
}

static void another_encoding_of_the_same_data_set_is_a_duplicate_that_is_kept(void **state)
{
    (void)state;
    struct db_indexed done;
    (void)index_one(300, 1, 1, 50, &done);
    assert_false(done.reencoded);
    const int64_t again = index_one(300, 1, 2, 50, &done);
    assert_true(done.reencoded);
    assert_false(done.duplicate || done.conflict);
    assert_int_equal(count_of("events WHERE kind = 'duplicate' AND instance_id", again), 1);
    assert_int_equal(count_of("events WHERE kind = 'conflict' AND instance_id", again), 0);
    (void)index_one(300, 1, 3, 51, &done);
    assert_true(done.conflict && !done.reencoded);
    assert_int_equal(ask("SELECT count(*) FROM instances WHERE sop_uid = '1.2.3.300.1.1'"), 3);
}

static void within_a_batch_the_later_one_is_the_conflict(void **state)
{
    (void)state;
    struct sample s[2];
    struct db_received rows[2] = {sample_row(&s[0], 307, 1, 1), sample_row(&s[1], 307, 1, 2)};
    struct db_indexed done[2];
    OK(db_index(db, rows, 2, done, &err));
    assert_false(done[0].conflict || done[0].reencoded);
    assert_true(done[1].conflict);
    rows[0] = sample_row(&s[0], 307, 2, 3);
    rows[1] = sample_row(&s[1], 307, 2, 4);
    memset(rows[1].dataset_hash, 3, sizeof(rows[1].dataset_hash));
    OK(db_index(db, rows, 2, done, &err));
    assert_false(done[0].conflict || done[0].reencoded || done[1].conflict);
    assert_true(done[1].reencoded);
}

static void who_shares_a_uid_is_listed_with_what_became_of_it(void **state)
{
    (void)state;
    struct db_indexed done;
    struct db_rival *rivals;
    size_t count;
    int generation;
    const int64_t first = index_one(301, 1, 1, 60, &done);
    const int64_t study = done.study_id;
    (void)index_one(301, 2, 1, 60, &done); /* alone under its UID */
    OK(db_study_rivals(db, study, &rivals, &count, &err));
    assert_int_equal(count, 0);
    OK(plan_study(study, &first, 1, "PEER301", &generation));
    const int64_t second = index_one(301, 1, 2, 61, &done);
    OK(db_study_rivals(db, study, &rivals, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(rivals[0].instance_id, first);
    assert_true(!rivals[0].is_pending && rivals[0].is_planned && rivals[0].is_unsent);
    assert_int_equal(rivals[1].instance_id, second);
    assert_true(rivals[1].is_pending && !rivals[1].is_planned && !rivals[1].is_unsent);
    assert_int_equal(rivals[1].dataset_hash[0], 61);
    free(rivals);
    OK(db_instance_quarantine(db, first, DB_UNVERIFIED, "damaged", &err));
    OK(db_study_rivals(db, study, &rivals, &count, &err));
    assert_int_equal(count, 0);
}

static void whether_there_are_pixels_is_remembered(void **state)
{
    (void)state;
    struct db_indexed done;
    struct db_instance got;
    OK(db_instance_get(db, index_one(302, 0, 1, 1, &done), &got, &err));
    assert_false(got.has_pixel_data);
    OK(db_instance_get(db, index_one(302, 1, 1, 1, &done), &got, &err));
    assert_true(got.has_pixel_data);
}

static enum ds_status plan_as_is(int64_t study, int64_t instance, const char *peer)
{
    const struct db_planned_delivery d = {.instance_id = instance,
                                          .peer = peer,
                                          .action = DB_SEND_AS_IS,
                                          .capsule = SIZE_MAX,
                                          .share_index = -1,
                                          .note = ""};
    const struct db_plan plan = {.study_id = study,
                                 .rule = "r",
                                 .instance_ids = &instance,
                                 .instance_count = 1,
                                 .deliveries = &d,
                                 .delivery_count = 1};
    int generation;
    return db_plan_commit(db, &plan, &generation, &err);
}

static void an_absence_says_why_and_a_recall_takes_back_what_is_unsent(void **state)
{
    (void)state;
    struct db_indexed done;
    const int64_t old = index_one(303, 1, 1, 1, &done);
    const int64_t study = done.study_id;
    const int64_t held = index_one(303, 2, 1, 1, &done);
    OK(plan_as_is(study, old, "PEER303"));
    OK(plan_as_is(study, held, "PEER303"));
    const int64_t dropped = index_one(303, 0, 1, 1, &done);
    const struct db_planned_absence absence = {dropped, "dropped", "it has no pixels"};
    const struct db_planned_recall recalls[] = {{old, false, "another one"}, {held, true, "wait"}};
    const struct db_plan plan = {.study_id = study,
                                 .rule = "the rule",
                                 .instance_ids = &dropped,
                                 .instance_count = 1,
                                 .absences = &absence,
                                 .absence_count = 1,
                                 .recalls = recalls,
                                 .recall_count = 2};
    int generation;
    OK(db_plan_commit(db, &plan, &generation, &err));
    assert_int_equal(count_of("events WHERE kind = 'dropped' AND detail->>'rule' = 'the rule' AND "
                              "detail->>'note' = 'it has no pixels' AND instance_id",
                              dropped),
                     1);
    assert_int_equal(count_of("events WHERE kind = 'not-sent' AND instance_id", dropped), 0);
    assert_int_equal(count_of("deliveries WHERE state = 'cancelled' AND instance_id", old), 1);
    assert_int_equal(count_of("events WHERE kind = 'superseded' AND instance_id", old), 1);
    assert_int_equal(
        count_of("deliveries WHERE state = 'waiting' AND note = 'wait' AND instance_id", held), 1);
    struct db_delivery *got;
    assert_int_equal(claim("PEER303", 5, 1000, &got), 0);
    assert_int_equal(requeue("PEER303"), 1);
}

static void what_is_recalled_while_it_is_sent_is_not_tried_again(void **state)
{
    (void)state;
    struct db_indexed done;
    struct db_delivery *got;
    const int64_t old = index_one(306, 1, 1, 1, &done);
    const int64_t study = done.study_id;
    OK(plan_as_is(study, old, "PEER306"));
    assert_int_equal(claim("PEER306", 1, 60000, &got), 1);
    const int64_t new = index_one(306, 1, 2, 2, &done);
    const struct db_planned_recall recall = {old, false, "another one"};
    const struct db_plan plan = {.study_id = study,
                                 .rule = "r",
                                 .instance_ids = &new,
                                 .instance_count = 1,
                                 .recalls = &recall,
                                 .recall_count = 1};
    int generation;
    OK(db_plan_commit(db, &plan, &generation, &err));
    assert_int_equal(count_of("deliveries WHERE state = 'leased' AND instance_id", old), 1);
    const struct db_delivery_result failed = {
        .id = got[0].id, .state = DB_READY, .cause = "", .sent_sop_uid = ""};
    free(got);
    OK(db_delivery_finish(db, &failed, 1, &err));
    assert_int_equal(count_of("deliveries WHERE state = 'cancelled' AND instance_id", old), 1);
}

/* The share may be what the report still needs. */
static void a_carrier_with_a_share_is_not_taken_back(void **state)
{
    (void)state;
    struct db_indexed done;
    int generation;
    const int64_t old = index_one(304, 1, 1, 1, &done);
    const int64_t study = done.study_id;
    OK(plan_study(study, &old, 1, "PEER304", &generation));
    const int64_t new = index_one(304, 1, 2, 2, &done);
    const struct db_planned_recall recall = {old, false, "another one"};
    const struct db_plan plan = {.study_id = study,
                                 .rule = "r",
                                 .instance_ids = &new,
                                 .instance_count = 1,
                                 .recalls = &recall,
                                 .recall_count = 1};
    OK(db_plan_commit(db, &plan, &generation, &err));
    assert_int_equal(count_of("deliveries WHERE state = 'ready' AND instance_id", old), 1);
}

static void a_report_that_comes_after_its_study_makes_it_pending_again(void **state)
{
    (void)state;
    int64_t ids[2], report;
    int generation;
    struct db_pending_study p;
    const int64_t study = index_study(305, 2, ids);
    OK(plan_study(study, ids, 2, "PEER305", &generation));
    struct sample s;
    struct db_received row = sample_row(&s, 305, 7, 1);
    struct db_indexed done;
    row.calling_ae = "RIS1"; /* the images' sender is asked for all the same */
    row.has_pixel_data = false;
    OK(db_index(db, &row, 1, &done, &err));
    OK(plan_as_is(study, done.instance_id, "PEER305"));
    assert_false(find_pending("1.2.3.305", &p));
    OK(db_report_add(db, study, "r", "text/plain", "drop", (const uint8_t *)"x", 1, false, &report,
                     &err));
    assert_true(find_pending("1.2.3.305", &p));
    assert_int_equal(p.pending, 0);
    assert_int_equal(p.reports, 1);
    assert_string_equal(p.calling_ae, "CT1");
    assert_true(p.idle_us >= 0 && p.idle_us < 60000000);

    struct db_instance *sent;
    size_t count;
    OK(db_study_sent_originals(db, study, "a rule", 8, &sent, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(sent[0].id, ids[0]);
    free(sent);
    OK(db_study_sent_originals(db, study, "another rule", 8, &sent, &count, &err));
    assert_int_equal(count, 0);

    /* Once more the first image, with the report: a generation without an instance of its own. */
    const struct db_planned_delivery d = {.instance_id = ids[0],
                                          .peer = "PEER305",
                                          .action = DB_SEND_CARRIER,
                                          .capsule = SIZE_MAX,
                                          .share_index = -1,
                                          .note = ""};
    struct db_plan plan = {.study_id = study,
                           .rule = "a rule",
                           .deliveries = &d,
                           .delivery_count = 1,
                           .report_ids = &report,
                           .report_count = 1};
    OK(db_plan_commit(db, &plan, &generation, &err));
    assert_int_equal(generation, 3);
    assert_false(find_pending("1.2.3.305", &p));
    assert_int_equal(count_of("events WHERE kind = 'planned' AND instance_id", ids[0]), 2);
    assert_int_equal(db_plan_commit(db, &plan, &generation, &err), DS_EEXIST);
    plan.report_count = 0;
    assert_int_equal(db_plan_commit(db, &plan, &generation, &err), DS_EINVAL);

    /* What comes after that is told that its report has gone. */
    row = sample_row(&s, 305, 8, 1);
    OK(db_index(db, &row, 1, &done, &err));
    assert_true(find_pending("1.2.3.305", &p));
    assert_int_equal(p.reports, 0);
    assert_true(p.had_report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_encoding_of_the_same_data_set_is_a_duplicate_that_is_kept),
        cmocka_unit_test(within_a_batch_the_later_one_is_the_conflict),
        cmocka_unit_test(who_shares_a_uid_is_listed_with_what_became_of_it),
        cmocka_unit_test(whether_there_are_pixels_is_remembered),
        cmocka_unit_test(an_absence_says_why_and_a_recall_takes_back_what_is_unsent),
        cmocka_unit_test(what_is_recalled_while_it_is_sent_is_not_tried_again),
        cmocka_unit_test(a_carrier_with_a_share_is_not_taken_back),
        cmocka_unit_test(a_report_that_comes_after_its_study_makes_it_pending_again),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
