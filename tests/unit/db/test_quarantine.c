/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "db/quarantine.h"
#include "db/retention.h"

static struct db_quarantine_row *rows;
static size_t count;

static void list(int state)
{
    struct db_quarantine_filter f = DB_QUARANTINE_ALL;
    f.state = state;
    free(rows);
    OK(db_quarantine_list(db, &f, 100, 0, &rows, &count, &err));
}

/* The newest of its instance, whatever its state. */
static struct db_quarantine_row row_of(int64_t instance)
{
    list(-1);
    for (size_t i = count; i > 0; i--) {
        if (rows[i - 1].instance_id == instance) {
            return rows[i - 1];
        }
    }
    fail_msg("instance %lld is not listed", (long long)instance);
    return rows[0];
}

static struct db_quarantine_decision by_anna(int64_t id)
{
    return (struct db_quarantine_decision){.id = id, .actor = "operator anna", .reason = "a test"};
}

static int64_t hold_one(unsigned study, enum db_quarantine_class class_, const char *reason)
{
    int64_t ids[1];
    (void)index_study(study, 1, ids);
    OK(db_instance_quarantine(db, ids[0], class_, reason, &err));
    return ids[0];
}

static long long events(const char *kind, int64_t instance)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM events WHERE kind = '%s' AND instance_id = %lld", kind,
                   (long long)instance);
    return ask(sql);
}

static bool is_pending(int64_t instance)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM instances WHERE id = %lld AND generation IS NULL "
                   "AND quarantined_at IS NULL",
                   (long long)instance);
    return ask(sql) == 1;
}

static void what_is_held_is_listed_with_its_reason(void **state)
{
    (void)state;
    const int64_t id = hold_one(5001, DB_NO_KEY, "sealed for others");
    const struct db_quarantine_row q = row_of(id);
    assert_int_equal(q.state, DB_HELD);
    assert_int_equal(q.class_, DB_NO_KEY);
    assert_string_equal(q.reason, "sealed for others");
    assert_string_equal(q.calling_ae, "CT1");
    assert_string_equal(q.study_uid, "1.2.3.5001");
    assert_int_equal(q.file_bytes, 12345);
    assert_true(q.has_file_hash && q.has_pixel_hash && q.has_dataset_hash && q.is_ours);
    uint64_t counts[DB_QUARANTINE_CLASSES];
    OK(db_quarantine_counts(db, counts, &err));
    assert_true(counts[DB_NO_KEY] >= 1);
}

static void released_as_it_is_it_is_pending_and_says_so(void **state)
{
    (void)state;
    const int64_t id = hold_one(5002, DB_UNVERIFIED, "altered");
    const struct db_quarantine_decision d = by_anna(row_of(id).id);
    struct db_quarantine_row was;
    struct db_instance i;
    OK(db_quarantine_release(db, &d, false, &was, &err));
    assert_true(is_pending(id));
    OK(db_instance_get(db, id, &i, &err));
    assert_true(i.is_released);
    assert_int_equal(row_of(id).state, DB_RELEASED);
    assert_string_equal(row_of(id).decided_by, "operator anna");
    assert_int_equal(events("released", id), 1);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'released' AND "
                         "detail::jsonb->>'reason' = 'a test' AND "
                         "detail::jsonb->>'how' = 'as it is' AND actor = 'operator anna'"),
                     1);
    assert_int_equal(db_quarantine_release(db, &d, false, &was, &err), DS_ENOTFOUND);
    assert_int_equal(events("released", id), 1);
}

static void judged_again_and_refused_again_it_is_held_under_its_number(void **state)
{
    (void)state;
    const int64_t id = hold_one(5003, DB_UNVERIFIED, "not trusted");
    const struct db_quarantine_decision d = by_anna(row_of(id).id);
    struct db_quarantine_row was;
    struct db_instance i;
    OK(db_quarantine_release(db, &d, true, &was, &err));
    OK(db_instance_get(db, id, &i, &err));
    assert_true(is_pending(id) && !i.is_released);
    OK(db_instance_quarantine(db, id, DB_NO_KEY, "still not", &err));
    assert_int_equal(row_of(id).id, d.id);
    assert_int_equal(row_of(id).state, DB_HELD);
    assert_int_equal(row_of(id).class_, DB_NO_KEY);
    assert_string_equal(row_of(id).decision, "");
}

static void what_is_damaged_is_not_sent_as_if_it_were_whole(void **state)
{
    (void)state;
    const int64_t id = hold_one(5004, DB_DAMAGED, "hash");
    const struct db_quarantine_decision d = by_anna(row_of(id).id);
    struct db_quarantine_row was;
    assert_int_equal(db_quarantine_release(db, &d, false, &was, &err), DS_EINVAL);
    assert_false(is_pending(id));
    assert_int_equal(row_of(id).state, DB_HELD);
    assert_int_equal(events("released", id), 0);
}

static void a_decision_without_a_reason_is_none(void **state)
{
    (void)state;
    const int64_t id = hold_one(5005, DB_UNVERIFIED, "altered");
    struct db_quarantine_decision d = by_anna(row_of(id).id);
    struct db_quarantine_row was;
    d.reason = "";
    assert_int_equal(db_quarantine_release(db, &d, false, &was, &err), DS_EINVAL);
    assert_int_equal(db_quarantine_discard(db, &d, &was, &err), DS_EINVAL);
    assert_int_equal(row_of(id).state, DB_HELD);
}

static void what_is_discarded_leaves_its_file_and_may_come_anew(void **state)
{
    (void)state;
    const int64_t id = hold_one(5006, DB_UNVERIFIED, "altered");
    const struct db_quarantine_decision d = by_anna(row_of(id).id);
    struct db_quarantine_row was;
    OK(db_quarantine_discard(db, &d, &was, &err));
    assert_int_equal(row_of(id).state, DB_DISCARDED);
    assert_int_equal(events("discarded", id), 1);
    struct db_left *left = NULL;
    size_t left_count = 0;
    bool listed = false;
    OK(db_retention_left(db, 100, &left, &left_count, &err));
    for (size_t i = 0; i < left_count; i++) {
        listed = listed || left[i].instance_id == id;
    }
    free(left);
    assert_true(listed);
    assert_false(is_pending(id));
    /* The same bytes again: a new instance, and no duplicate of what is gone. */
    struct sample sample;
    struct db_indexed again;
    const struct db_received row = sample_row(&sample, 5006, 0, 1);
    OK(db_index(db, &row, 1, &again, &err));
    assert_false(again.duplicate || again.elsewhere);
    assert_int_not_equal(again.instance_id, id);
    assert_true(is_pending(again.instance_id));
}

static struct db_quarantined_entry entry_named(const char *name)
{
    return (struct db_quarantined_entry){.entry = name,
                                         .reason = "no \"DICOM\"\n",
                                         .calling_ae = "CT9",
                                         .file_bytes = 17,
                                         .file_hash = {1, 2, 3}};
}

static void an_entry_is_listed_once_and_again_after_it_was_released(void **state)
{
    (void)state;
    const struct db_quarantined_entry e = entry_named("0001790000000000-1f2e3d4c");
    enum db_quarantine_state s = DB_DISCARDED;
    struct db_quarantine_row was;
    assert_int_equal(db_quarantine_entry_state(db, e.entry, &s, &err), DS_ENOTFOUND);
    OK(db_quarantine_entry(db, &e, &err));
    OK(db_quarantine_entry(db, &e, &err));
    OK(db_quarantine_entry_state(db, e.entry, &s, &err));
    assert_int_equal(s, DB_HELD);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'quarantined' AND "
                         "detail::jsonb->>'entry' = '0001790000000000-1f2e3d4c'"),
                     1);
    list(DB_HELD);
    const struct db_quarantine_row q = rows[count - 1];
    assert_string_equal(q.entry, e.entry);
    assert_string_equal(q.calling_ae, "CT9");
    const struct db_quarantine_decision d = by_anna(q.id);
    assert_int_equal(db_quarantine_release(db, &d, false, &was, &err), DS_EINVAL);
    OK(db_quarantine_release(db, &d, true, &was, &err));
    OK(db_quarantine_entry_state(db, e.entry, &s, &err));
    assert_int_equal(s, DB_RELEASED);
    OK(db_quarantine_entry(db, &e, &err));
    OK(db_quarantine_entry_state(db, e.entry, &s, &err));
    assert_int_equal(s, DB_HELD);
}

static void what_collided_is_listed_while_it_waits_and_sent_when_released(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(5007, 2, ids);
    const struct db_planned_delivery held = {.instance_id = ids[0],
                                             .peer = "PEER5007",
                                             .action = DB_SEND_AS_IS,
                                             .capsule = SIZE_MAX,
                                             .share_index = -1,
                                             .held = true,
                                             .note = "the rule holds them"};
    const struct db_planned_delivery two[] = {held,
                                              {.instance_id = ids[1],
                                               .peer = "PEER5007",
                                               .action = DB_SEND_AS_IS,
                                               .capsule = SIZE_MAX,
                                               .share_index = -1,
                                               .held = true,
                                               .note = "for another reason"}};
    const struct db_plan plan = {.study_id = study,
                                 .rule = "r",
                                 .instance_ids = ids,
                                 .instance_count = 2,
                                 .deliveries = two,
                                 .delivery_count = 2,
                                 .collided_ids = ids,
                                 .collided_count = 1};
    int generation = 0;
    OK(db_plan_commit(db, &plan, &generation, &err));
    const struct db_quarantine_row q = row_of(ids[0]);
    assert_int_equal(q.class_, DB_COLLISION);
    assert_string_equal(q.reason, "the rule holds them");
    const struct db_quarantine_decision d = by_anna(q.id);
    struct db_quarantine_row was;
    OK(db_quarantine_release(db, &d, false, &was, &err));
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER5007' "
                         "AND state = 'ready'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM quarantine q JOIN instances i "
                         "ON i.id = q.instance_id WHERE q.class = 'collision' AND "
                         "i.sop_uid LIKE '1.2.3.5007.%'"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_is_listed_with_its_reason),
        cmocka_unit_test(released_as_it_is_it_is_pending_and_says_so),
        cmocka_unit_test(judged_again_and_refused_again_it_is_held_under_its_number),
        cmocka_unit_test(what_is_damaged_is_not_sent_as_if_it_were_whole),
        cmocka_unit_test(a_decision_without_a_reason_is_none),
        cmocka_unit_test(what_is_discarded_leaves_its_file_and_may_come_anew),
        cmocka_unit_test(an_entry_is_listed_once_and_again_after_it_was_released),
        cmocka_unit_test(what_collided_is_listed_while_it_waits_and_sent_when_released),
    };
    const int failed = cmocka_run_group_tests(tests, start_everything, stop_everything);
    free(rows);
    return failed;
}
