/* SPDX-License-Identifier: Apache-2.0 */
/* What was said of a study: for which instances it stands, and when it is spent. */
#include "tests/unit/db/fixture.h"

#define SECOND 1000000LL

/* An instance of the study that was received then. */
static int64_t index_one(unsigned study, unsigned instance, int64_t received_us, int64_t *id)
{
    struct sample sample;
    struct db_received row = sample_row(&sample, study, instance, 1);
    struct db_indexed done;
    row.received_us = received_us;
    OK(db_index(db, &row, 1, &done, &err));
    *id = done.instance_id;
    return done.study_id;
}

static int64_t hint_of(const char *study_uid, enum db_hint kind)
{
    struct db_pending_study p = {0};
    assert_true(find_pending(study_uid, &p));
    return p.hint_us[kind];
}

static void nobody_has_said_anything_of_a_new_study(void **state)
{
    (void)state;
    int64_t id;
    (void)index_one(700, 0, ds_clock_utc_us(), &id);
    for (int kind = 0; kind < DB_HINT_KINDS; kind++) {
        assert_int_equal(hint_of("1.2.3.700", (enum db_hint)kind), 0);
    }
}

static void a_hint_may_come_before_its_study_is_indexed(void **state)
{
    (void)state;
    const int64_t now = ds_clock_utc_us();
    int64_t id;
    OK(db_study_hint_add(db, "1.2.3.701", DB_HINT_COMMITMENT, now, &err));
    (void)index_one(701, 0, now - SECOND, &id);
    assert_int_equal(hint_of("1.2.3.701", DB_HINT_COMMITMENT), now);
    assert_int_equal(hint_of("1.2.3.701", DB_HINT_OPERATOR), 0);
}

static void what_is_received_after_it_makes_a_hint_void_until_it_is_repeated(void **state)
{
    (void)state;
    const int64_t now = ds_clock_utc_us();
    int64_t id;
    (void)index_one(702, 0, now, &id);
    OK(db_study_hint_add(db, "1.2.3.702", DB_HINT_OPERATOR, now, &err));
    assert_int_equal(hint_of("1.2.3.702", DB_HINT_OPERATOR), now);
    (void)index_one(702, 1, now + 1, &id);
    assert_int_equal(hint_of("1.2.3.702", DB_HINT_OPERATOR), 0);
    OK(db_study_hint_add(db, "1.2.3.702", DB_HINT_OPERATOR, now + 1, &err));
    assert_int_equal(hint_of("1.2.3.702", DB_HINT_OPERATOR), now + 1);
    OK(db_study_hint_add(db, "1.2.3.702", DB_HINT_OPERATOR, now, &err)); /* an older one */
    assert_int_equal(hint_of("1.2.3.702", DB_HINT_OPERATOR), now + 1);
}

static void a_report_is_a_hint_for_the_images_before_it(void **state)
{
    (void)state;
    int64_t id;
    int64_t report;
    const int64_t study = index_one(703, 0, ds_clock_utc_us() - SECOND, &id);
    OK(db_report_add(db, study, "r.pdf", "application/pdf", "drop", (const uint8_t *)"pdf", 3,
                     false, &report, &err));
    assert_true(hint_of("1.2.3.703", DB_HINT_REPORT) > 0);
    (void)index_one(703, 1, ds_clock_utc_us() + SECOND, &id);
    assert_int_equal(hint_of("1.2.3.703", DB_HINT_REPORT), 0);
}

static void a_hint_is_spent_when_nothing_is_left_to_plan(void **state)
{
    (void)state;
    const int64_t now = ds_clock_utc_us();
    int64_t ids[2];
    const int64_t study = index_one(704, 0, now, &ids[0]);
    (void)index_one(704, 1, now, &ids[1]);
    OK(db_study_hint_add(db, "1.2.3.704", DB_HINT_OPERATOR, now, &err));
    int generation;
    OK(plan_study(study, ids, 1, "PEER", &generation));
    assert_int_equal(hint_of("1.2.3.704", DB_HINT_OPERATOR), now);
    OK(plan_study(study, ids + 1, 1, "PEER", &generation));
    assert_int_equal(ask("SELECT count(*) FROM study_hints WHERE study_uid = '1.2.3.704'"), 0);
}

static void a_study_counts_every_uid_that_was_received_once(void **state)
{
    (void)state;
    int64_t id;
    uint64_t count;
    (void)index_one(706, 0, ds_clock_utc_us(), &id);
    const int64_t study = index_one(706, 1, ds_clock_utc_us(), &id);
    struct sample samples[2];
    struct db_received again = sample_row(&samples[0], 706, 1, 2); /* the UID with other bytes */
    struct db_received restored = sample_row(&samples[1], 706, 9, 1);
    struct db_indexed done;
    OK(db_index(db, &again, 1, &done, &err));
    restored.kind = DB_RESTORED;
    restored.restored_from = id;
    OK(db_index(db, &restored, 1, &done, &err));
    OK(db_study_count(db, study, &count, &err));
    assert_int_equal(count, 2);
}

static void only_who_can_say_it_may_add_a_hint(void **state)
{
    (void)state;
    assert_int_equal(db_study_hint_add(db, "1.2.3.705", DB_HINT_REPORT, 0, &err), DS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_said_anything_of_a_new_study),
        cmocka_unit_test(a_hint_may_come_before_its_study_is_indexed),
        cmocka_unit_test(what_is_received_after_it_makes_a_hint_void_until_it_is_repeated),
        cmocka_unit_test(a_report_is_a_hint_for_the_images_before_it),
        cmocka_unit_test(a_hint_is_spent_when_nothing_is_left_to_plan),
        cmocka_unit_test(a_study_counts_every_uid_that_was_received_once),
        cmocka_unit_test(only_who_can_say_it_may_add_a_hint),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
