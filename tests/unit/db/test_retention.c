/* SPDX-License-Identifier: Apache-2.0 */
/* What may be deleted, when, and that nothing else is. */
#include "db/retention.h"

#include "fixture.h"

static const struct db_retention_rule sent_is_enough = {"a rule", 0, true};

/* Looks at everything; how many were deleted. */
static unsigned long long deleted_by(struct db_retention_rule rule, bool at_once)
{
    struct db_retention_pass pass = {.rules = &rule, .count = 1, .at_once = at_once, .max = 2};
    unsigned long long sum = 0;
    do { /* in steps of two */
        uint64_t count = 0;
        OK(db_retention_delete(db, &pass, &count, &err));
        sum += count;
    } while (pass.after_id != 0);
    return sum;
}

static void change(const char *sql)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    }
    PQclear(r);
    PQfinish(c);
}

/* A study planned for a peer; the first of its instances is sent. */
static int64_t plan_and_send(unsigned study, unsigned count, unsigned sent, const char *peer,
                             int64_t *ids)
{
    int generation;
    const int64_t id = index_study(study, count, ids);
    OK(plan_study(id, ids, count, peer, &generation));
    struct db_delivery *d = NULL;
    if (sent > 0) {
        assert_int_equal(claim(peer, sent, 60000, &d), sent);
    }
    for (unsigned i = 0; i < sent; i++) {
        const struct db_delivery_result r = sent_result(d[i].id);
        OK(db_delivery_finish(db, &r, 1, &err));
    }
    free(d);
    return id;
}

static bool is_deleted(int64_t id)
{
    char sql[96];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT (deleted_at IS NOT NULL)::int FROM instances WHERE id = %lld",
                   (long long)id);
    return ask(sql) == 1;
}

static void only_what_every_destination_has_is_deleted_and_the_row_stays(void **state)
{
    (void)state;
    int64_t ids[3];
    (void)plan_and_send(600, 3, 2, "R600", ids);
    assert_int_equal(deleted_by((struct db_retention_rule){"another rule", 0, true}, true), 0);
    assert_int_equal(deleted_by((struct db_retention_rule){"a rule", 0, false}, true), 0);
    assert_int_equal(deleted_by((struct db_retention_rule){"a rule", 3600000, true}, false), 0);
    assert_int_equal(deleted_by(sent_is_enough, false), 2);
    assert_true(is_deleted(ids[0]) && is_deleted(ids[1]) && !is_deleted(ids[2]));
    assert_int_equal(ask("SELECT count(*) FROM events e JOIN instances i ON i.id = e.instance_id "
                         "WHERE e.kind = 'deleted' AND e.before_hash = i.file_hash AND "
                         "detail->>'pixel_hash' = encode(i.pixel_hash, 'hex')"),
                     2);
    assert_int_equal(deleted_by(sent_is_enough, false), 0);
}

static void the_files_follow_the_rows(void **state)
{
    (void)state;
    struct db_left *left;
    size_t count;
    OK(db_retention_left(db, 100, &left, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(left[0].path, "/archive/600/0-1.dcm");
    OK(db_retention_removed(db, &left[0].instance_id, 1, &err));
    free(left);
    OK(db_retention_left(db, 100, &left, &count, &err));
    assert_int_equal(count, 1);
    OK(db_retention_removed(db, &left[0].instance_id, 1, &err));
    free(left);
    OK(db_retention_left(db, 100, &left, &count, &err));
    assert_int_equal(count, 0);
}

static void a_late_duplicate_of_what_was_deleted_is_known_and_not_kept(void **state)
{
    (void)state;
    struct sample s;
    struct db_received row = sample_row(&s, 600, 0, 1);
    row.path = "/archive/600/again.dcm";
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    assert_true(done.duplicate && done.elsewhere);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'duplicate' AND instance_id IN "
                         "(SELECT id FROM instances WHERE sop_uid = '1.2.3.600.1.0')"),
                     1);
}

static void with_committed_as_the_condition_sent_is_not_enough(void **state)
{
    (void)state;
    int64_t ids[2];
    (void)plan_and_send(610, 2, 2, "R610", ids);
    change("UPDATE deliveries SET state = 'committed' WHERE peer = 'R610' AND instance_id = "
           "(SELECT min(instance_id) FROM deliveries WHERE peer = 'R610')");
    assert_int_equal(deleted_by((struct db_retention_rule){"a rule", 0, false}, false), 1);
    assert_true(is_deleted(ids[0]) && !is_deleted(ids[1]));
    assert_int_equal(deleted_by(sent_is_enough, false), 1);
}

static void one_destination_that_does_not_have_it_keeps_it(void **state)
{
    (void)state;
    static const char *const states[] = {"ready", "waiting", "failed"};
    int64_t ids[2];
    (void)plan_and_send(620, 2, 2, "R620", ids);
    for (size_t i = 0; i < DS_ARRAY_SIZE(states); i++) {
        char sql[400];
        change("DELETE FROM deliveries WHERE peer = 'OTHER620'");
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO deliveries (generation_id, instance_id, peer, rule, action, "
                       "with_key_block, with_certificate, state) SELECT generation_id, "
                       "instance_id, 'OTHER620', rule, 0, false, false, '%s' FROM deliveries "
                       "WHERE peer = 'R620'",
                       states[i]);
        change(sql);
        assert_int_equal(deleted_by(sent_is_enough, true), 0);
    }
    change("UPDATE deliveries SET state = 'cancelled' WHERE peer = 'OTHER620'");
    assert_int_equal(deleted_by(sent_is_enough, true), 2);
}

static void a_study_that_is_not_wholly_planned_is_kept_and_so_is_what_is_quarantined(void **state)
{
    (void)state;
    int64_t ids[2];
    (void)plan_and_send(630, 2, 2, "R630", ids);
    struct sample s;
    struct db_received late = sample_row(&s, 630, 9, 9);
    struct db_indexed done;
    OK(db_index(db, &late, 1, &done, &err));
    assert_int_equal(deleted_by(sent_is_enough, true), 0);
    OK(db_instance_quarantine(db, done.instance_id, DB_UNVERIFIED, "damaged", &err));
    OK(db_instance_quarantine(db, ids[0], DB_UNVERIFIED, "damaged", &err));
    assert_int_equal(deleted_by(sent_is_enough, true), 1);
    assert_true(is_deleted(ids[1]) && !is_deleted(ids[0]) && !is_deleted(done.instance_id));
}

/* On the receiving node the carrier itself is owed to nobody; what came out of it is. */
static void a_carrier_goes_with_what_was_restored_from_it(void **state)
{
    (void)state;
    struct sample s;
    struct db_received carrier = sample_row(&s, 640, 0, 1);
    carrier.kind = DB_CARRIER;
    struct db_indexed done;
    OK(db_index(db, &carrier, 1, &done, &err));
    const int64_t id = done.instance_id;
    struct sample t;
    struct db_received restored = sample_row(&t, 640, 0, 2);
    restored.kind = DB_RESTORED;
    restored.restored_from = id;
    OK(db_index(db, &restored, 1, &done, &err));
    const int64_t ids[] = {id, done.instance_id};
    int generation;
    const struct db_planned_delivery owed = {ids[1], "R640", DB_SEND_AS_IS, SIZE_MAX, -1,
                                             false,  false,  false,         ""};
    const struct db_plan plan = {.study_id = done.study_id,
                                 .rule = "a rule",
                                 .instance_ids = ids,
                                 .instance_count = 2,
                                 .deliveries = &owed,
                                 .delivery_count = 1};
    OK(db_plan_commit(db, &plan, &generation, &err));
    assert_int_equal(deleted_by(sent_is_enough, true), 0);
    struct db_delivery *d;
    assert_int_equal(claim("R640", 1, 60000, &d), 1);
    const struct db_delivery_result r = sent_result(d[0].id);
    OK(db_delivery_finish(db, &r, 1, &err));
    free(d);
    assert_int_equal(deleted_by(sent_is_enough, true), 2);
}

/* What no delivery was ever for: nobody else has it. */
static void what_was_never_owed_is_kept(void **state)
{
    (void)state;
    int64_t ids[1];
    const int64_t study = index_study(650, 1, ids);
    const struct db_plan plan = {
        .study_id = study, .rule = "a rule", .instance_ids = ids, .instance_count = 1};
    int generation;
    OK(db_plan_commit(db, &plan, &generation, &err));
    assert_int_equal(deleted_by(sent_is_enough, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_every_destination_has_is_deleted_and_the_row_stays),
        cmocka_unit_test(the_files_follow_the_rows),
        cmocka_unit_test(a_late_duplicate_of_what_was_deleted_is_known_and_not_kept),
        cmocka_unit_test(with_committed_as_the_condition_sent_is_not_enough),
        cmocka_unit_test(one_destination_that_does_not_have_it_keeps_it),
        cmocka_unit_test(a_study_that_is_not_wholly_planned_is_kept_and_so_is_what_is_quarantined),
        cmocka_unit_test(a_carrier_goes_with_what_was_restored_from_it),
        cmocka_unit_test(what_was_never_owed_is_kept),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
