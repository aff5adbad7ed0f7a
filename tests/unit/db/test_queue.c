/* SPDX-License-Identifier: Apache-2.0 */
/* Who is claimed first, by whom, and how many at once. */
#include "tests/unit/db/fixture.h"

static void plan_with(unsigned study, const char *peer, enum db_priority rule,
                      enum db_priority object)
{
    struct sample s;
    struct db_received row = sample_row(&s, study, 0, 1);
    row.priority = object;
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    const struct db_planned_delivery d = {
        done.instance_id, peer, DB_SEND_AS_IS, SIZE_MAX, -1, false, false, false, ""};
    const struct db_plan plan = {.study_id = done.study_id,
                                 .rule = "r",
                                 .priority = rule,
                                 .instance_ids = &done.instance_id,
                                 .instance_count = 1,
                                 .deliveries = &d,
                                 .delivery_count = 1};
    int generation;
    OK(db_plan_commit(db, &plan, &generation, &err));
}

static void what_is_urgent_overtakes(void **state)
{
    (void)state;
    plan_with(150, "PEER150", DB_PRIORITY_ROUTINE, DB_PRIORITY_LOW);
    plan_with(151, "PEER150", DB_PRIORITY_LOW, DB_PRIORITY_LOW);
    bool urgent;
    OK(db_delivery_should_yield(db, "PEER150", DB_PRIORITY_ROUTINE, &urgent, &err));
    assert_false(urgent);
    plan_with(152, "PEER150", DB_PRIORITY_HIGH, DB_PRIORITY_LOW);
    plan_with(153, "PEER150", DB_PRIORITY_ROUTINE, DB_PRIORITY_STAT);
    OK(db_delivery_should_yield(db, "PEER150", DB_PRIORITY_ROUTINE, &urgent, &err));
    assert_true(urgent);
    const struct db_claim stat = {
        .peer = "PEER150", .max = 9, .lease_ms = 60000, .at_least = DB_PRIORITY_STAT};
    struct db_delivery *got;
    size_t count;
    OK(db_delivery_claim(db, &stat, &got, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(got[0].instance.study_uid, "1.2.3.153");
    assert_int_equal(got[0].priority, DB_PRIORITY_STAT);
    free(got);
    assert_int_equal(claim("PEER150", 9, 60000, &got), 3);
    assert_string_equal(got[0].instance.study_uid, "1.2.3.152");
    assert_string_equal(got[1].instance.study_uid, "1.2.3.150");
    assert_string_equal(got[2].instance.study_uid, "1.2.3.151");
    free(got);
}

static void workers_share_what_is_due(void **state)
{
    (void)state;
    int64_t ids[10];
    const int64_t study = index_study(155, 10, ids);
    int generation;
    OK(plan_study(study, ids, 10, "PEER155", &generation));
    const struct db_claim c = {.peer = "PEER155", .max = 64, .workers = 3, .lease_ms = 60000};
    static const size_t parts[] = {4, 2, 2, 1, 1, 0};
    for (size_t i = 0; i < DS_ARRAY_SIZE(parts); i++) {
        struct db_delivery *got;
        size_t count;
        OK(db_delivery_claim(db, &c, &got, &count, &err));
        assert_int_equal(count, parts[i]);
        free(got);
    }
}

static void files_are_delivered_by_nodes_that_see_their_archive(void **state)
{
    (void)state;
    struct db *other;
    OK(db_open(&other, url, 2, "OTHERNODE", &err));
    OK(db_set_archive(other, "theirs", &err));
    struct sample s;
    const struct db_received row = sample_row(&s, 160, 0, 1);
    struct db_indexed done;
    OK(db_index(other, &row, 1, &done, &err));
    struct db_pending_study p;
    assert_false(find_pending("1.2.3.160", &p));
    struct db_instance *found;
    size_t count;
    OK(db_study_pending_instances(db, done.study_id, &found, &count, &err));
    assert_int_equal(count, 0);
    OK(db_study_pending_instances(other, done.study_id, &found, &count, &err));
    assert_int_equal(count, 1);
    free(found);
    int generation;
    OK(plan_study(done.study_id, &done.instance_id, 1, "PEER160", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER160", 9, 60000, &got), 0);
    const struct db_claim c = {.peer = "PEER160", .max = 9, .lease_ms = 60000};
    OK(db_delivery_claim(other, &c, &got, &count, &err));
    assert_int_equal(count, 1);
    free(got);
    /* The same object comes to us: it is there, but not where we could read it. */
    struct db_received again = row;
    again.path = "/archive/here.dcm";
    OK(db_index(db, &again, 1, &done, &err));
    assert_true(done.duplicate);
    assert_true(done.elsewhere);
    db_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_urgent_overtakes),
        cmocka_unit_test(workers_share_what_is_due),
        cmocka_unit_test(files_are_delivered_by_nodes_that_see_their_archive),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
