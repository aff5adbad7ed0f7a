/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and deliveries; test_queue.c has who comes first. */
#include "tests/unit/db/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- plans ---- */

static void a_plan_makes_a_generation_and_claims_come_in_order(void **state)
{
    (void)state;
    int64_t ids[5];
    const int64_t study = index_study(120, 5, ids);
    int generation;
    OK(plan_study(study, ids, 5, "PEER120", &generation));
    assert_int_equal(generation, 1);
    struct db_pending_study p;
    assert_false(find_pending("1.2.3.120", &p));

    struct db_delivery *got;
    assert_int_equal(claim("PEER120", 3, 60000, &got), 3);
    assert_int_equal(got[0].instance_id, ids[0]);
    assert_int_equal(got[2].instance_id, ids[2]);
    assert_int_equal(got[1].share_index, 1);
    assert_int_equal(got[0].action, DB_SEND_CARRIER);
    assert_true(got[0].with_certificate);
    assert_false(got[1].with_certificate);
    assert_int_equal(got[0].attempts, 0);
    assert_int_equal(got[0].instance.generation, 1);
    assert_string_equal(got[0].rule, "a rule");
    assert_string_equal(got[0].instance.sop_uid, "1.2.3.120.1.0");
    struct ds_bytes saved = DS_BYTES_INIT(100);
    OK(db_capsule_saved(db, got[0].capsule_row, &saved, &err));
    assert_int_equal(saved.len, sizeof(saved_capsule));
    assert_memory_equal(saved.data, saved_capsule, saved.len);
    ds_bytes_free(&saved);
    free(got);
    assert_int_equal(claim("PEER120", 10, 60000, &got), 2);
    free(got);
    assert_int_equal(claim("PEER120", 10, 60000, &got), 0);
    assert_null(got);
}

static void a_second_plan_for_the_same_instances_changes_nothing(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(121, 2, ids);
    int generation;
    OK(plan_study(study, ids, 2, "PEER121", &generation));
    const long long events = ask("SELECT count(*) FROM events");
    assert_int_equal(plan_study(study, ids, 2, "PEER121", &generation), DS_EEXIST);
    assert_int_equal(generation, 0);
    assert_int_equal(ask("SELECT count(*) FROM events"), events);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER121'"), 2);
    assert_int_equal(ask("SELECT generation FROM studies WHERE study_uid = '1.2.3.121'"), 1);
}

static void late_instances_make_the_next_generation(void **state)
{
    (void)state;
    int64_t ids[3];
    const int64_t study = index_study(122, 2, ids);
    int generation;
    OK(plan_study(study, ids, 2, "PEER122", &generation));
    struct sample s;
    const struct db_received row = sample_row(&s, 122, 9, 1);
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    struct db_pending_study p;
    assert_true(find_pending("1.2.3.122", &p));
    assert_int_equal(p.pending, 1);
    OK(plan_study(study, &done.instance_id, 1, "PEER122", &generation));
    assert_int_equal(generation, 2);
}

static void a_plan_for_the_instances_of_another_study_is_refused(void **state)
{
    (void)state;
    int64_t ids[1], others[1];
    const int64_t study = index_study(123, 1, ids);
    (void)index_study(124, 1, others);
    const struct db_planned_delivery wrong = {others[0], "PEER123", DB_SEND_AS_IS, SIZE_MAX, -1,
                                              false,     false,     false,         ""};
    struct db_plan plan = {.study_id = study,
                           .rule = "r",
                           .instance_ids = ids,
                           .instance_count = 1,
                           .deliveries = &wrong,
                           .delivery_count = 1};
    int generation;
    assert_int_equal(db_plan_commit(db, &plan, &generation, &err), DS_EINVAL);
    plan.study_id = 987654321;
    assert_int_equal(db_plan_commit(db, &plan, &generation, &err), DS_ENOTFOUND);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER123'"), 0);
}

static void a_report_goes_out_with_one_generation_only(void **state)
{
    (void)state;
    int64_t ids[2], report;
    const int64_t study = index_study(125, 2, ids);
    OK(db_report_add(db, study, "r", "text/plain", "drop", (const uint8_t *)"x", 1, false, &report,
                     &err));
    struct db_plan plan = {.study_id = study,
                           .rule = "r",
                           .instance_ids = ids,
                           .instance_count = 1,
                           .report_ids = &report,
                           .report_count = 1};
    int generation;
    OK(db_plan_commit(db, &plan, &generation, &err));
    struct db_report *reports;
    size_t count;
    OK(db_reports_unsent(db, study, &reports, &count, &err));
    assert_int_equal(count, 0);
    plan.instance_ids = &ids[1];
    assert_int_equal(db_plan_commit(db, &plan, &generation, &err), DS_EEXIST);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'not-sent' AND "
                         "detail->>'rule' = 'r'"),
                     1);
}

/* ---- deliveries ---- */

static void an_expired_lease_can_be_claimed_again_and_counts_as_an_attempt(void **state)
{
    (void)state;
    int64_t ids[1];
    const int64_t study = index_study(130, 1, ids);
    int generation;
    OK(plan_study(study, ids, 1, "PEER130", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER130", 1, 100, &got), 1);
    const int64_t id = got[0].id;
    free(got);
    bool held = false;
    OK(db_delivery_renew(db, &id, 1, 400, &held, &err));
    assert_true(held);
    (void)usleep(200000);
    assert_int_equal(claim("PEER130", 1, 100, &got), 0);
    (void)usleep(300000);
    assert_int_equal(claim("PEER130", 1, 60000, &got), 1);
    assert_int_equal(got[0].id, id);
    assert_int_equal(got[0].attempts, 1);
    free(got);
    struct db *other;
    OK(db_open(&other, url, 1, "TESTNODE", &err));
    OK(db_delivery_renew(other, &id, 1, 400, &held, &err));
    assert_false(held); /* somebody else's by now */
    db_close(other);
}

static void what_is_given_back_was_no_attempt(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(136, 2, ids);
    int generation;
    OK(plan_study(study, ids, 2, "PEER136", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER136", 2, 60000, &got), 2);
    const int64_t back[2] = {got[0].id, got[1].id};
    free(got);
    struct db_delivery_filter second = DB_DELIVERY_FILTER_ALL;
    second.ids = &back[1];
    second.id_count = 1;
    uint64_t count;
    OK(db_delivery_cancel(db, &second, "wrong", "operator anna", &count, &err));
    OK(db_delivery_give_back(db, back, 2, &err));
    assert_int_equal(claim("PEER136", 2, 60000, &got), 1);
    assert_int_equal(got[0].id, back[0]);
    assert_int_equal(got[0].attempts, 0);
    free(got);
    assert_int_equal(ask("SELECT count(*) FROM delivery_attempts a JOIN deliveries d ON d.id = "
                         "a.delivery_id WHERE peer = 'PEER136'"),
                     0);
    assert_int_equal(
        ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER136' AND state = 'cancelled'"), 1);
}

static struct db *node_at(const char *home, uint8_t process)
{
    struct db *d;
    const uint8_t token[DB_PROCESS_BYTES] = {process};
    OK(db_open(&d, url, 1, "A:NODE", &err));
    OK(db_set_home(d, home, token, &err));
    return d;
}

static void a_node_that_starts_again_takes_back_what_it_had(void **state)
{
    (void)state;
    int64_t ids[4];
    const int64_t study = index_study(137, 4, ids);
    int generation;
    OK(plan_study(study, ids, 4, "PEER137", &generation));
    struct db *before = node_at("00aa", 1), *elsewhere = node_at("00ab", 1);
    const struct db_claim two = {.peer = "PEER137", .max = 2, .lease_ms = 600000};
    const struct db_claim one = {.peer = "PEER137", .max = 1, .lease_ms = 600000};
    struct db_delivery *got;
    size_t count;
    OK(db_delivery_claim(before, &two, &got, &count, &err));
    assert_int_equal(count, 2);
    const int64_t first = got[0].id, second = got[1].id;
    free(got);
    OK(db_delivery_claim(elsewhere, &one, &got, &count, &err));
    free(got);
    db_close(before); /* killed */
    struct db *after = node_at("00aa", 2);
    uint64_t back;
    OK(db_delivery_take_back(after, &back, &err));
    assert_int_equal(back, 2);
    OK(db_delivery_take_back(after, &back, &err));
    assert_int_equal(back, 0);
    OK(db_delivery_claim(after, &one, &got, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(got[0].id, first);
    assert_int_equal(got[0].attempts, 1);
    free(got);
    db_close(after); /* killed by it, perhaps: it waits */
    after = node_at("00aa", 3);
    OK(db_delivery_take_back(after, &back, &err));
    assert_int_equal(back, 1);
    OK(db_delivery_claim(after, &two, &got, &count, &err));
    assert_int_equal(count, 2);
    assert_int_equal(got[0].id, second);
    free(got);
    db_close(after);
    db_close(elsewhere);
    OK(db_delivery_take_back(db, &back, &err)); /* a pool without a home */
    assert_int_equal(back, 0);
    const uint8_t token[DB_PROCESS_BYTES] = {0};
    assert_int_equal(db_set_home(db, "%", token, &err), DS_EINVAL);
}

static void what_was_sent_is_recorded_with_its_proof(void **state)
{
    (void)state;
    int64_t ids[1];
    const int64_t study = index_study(131, 1, ids);
    int generation;
    OK(plan_study(study, ids, 1, "PEER131", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER131", 1, 60000, &got), 1);
    const struct db_delivery_result r = sent_result(got[0].id);
    free(got);
    OK(db_delivery_finish(db, &r, 1, &err));
    /* Once more, as after a commit whose answer was lost: nothing is counted twice. */
    OK(db_delivery_finish(db, &r, 1, &err));
    assert_int_equal(
        ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER131' AND state = 'sent' "
            "AND hidden_bits = 4096 AND psnr_format_db IS NULL AND "
            "psnr_dynamic_db = 61.5 AND max_difference = 3 AND dimse_status = 0 AND "
            "get_byte(sent_file_hash, 31) = 90 AND leased_by IS NULL"),
        1);
    assert_int_equal(ask("SELECT count(*) FROM delivery_attempts a JOIN deliveries d ON d.id = "
                         "a.delivery_id WHERE peer = 'PEER131' AND attempt = 1"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE detail->>'peer' = 'PEER131' AND kind "
                         "IN ('proven', 'sent') AND get_byte(before_hash, 0) = 1 AND "
                         "get_byte(after_hash, 0) = 90"),
                     2);
}

static void a_failed_attempt_comes_back_after_its_pause(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(132, 2, ids);
    int generation;
    OK(plan_study(study, ids, 2, "PEER132", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER132", 2, 60000, &got), 2);
    const struct db_delivery_result r[2] = {
        {.id = got[0].id, .state = DB_READY, .retry_after_ms = 300, .cause = "peer is away"},
        {.id = got[1].id,
         .state = DB_FAILED,
         .answered = true,
         .dimse_status = 0xc000,
         .cause = "cannot understand"}};
    const int64_t retried = got[0].id;
    free(got);
    OK(db_delivery_finish(db, r, 2, &err));
    assert_int_equal(claim("PEER132", 2, 60000, &got), 0);
    (void)usleep(350000);
    assert_int_equal(claim("PEER132", 2, 60000, &got), 1);
    assert_int_equal(got[0].id, retried);
    assert_int_equal(got[0].attempts, 1);
    free(got);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER132' AND state = "
                         "'failed' AND dimse_status = 49152 AND cause = 'cannot understand'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'send-failed' AND "
                         "detail->>'peer' = 'PEER132'"),
                     2);
}

static void only_the_holder_of_a_lease_can_finish(void **state)
{
    (void)state;
    int64_t ids[1];
    const int64_t study = index_study(133, 1, ids);
    int generation;
    OK(plan_study(study, ids, 1, "PEER133", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER133", 1, 60000, &got), 1);
    const struct db_delivery_result r = sent_result(got[0].id);
    free(got);
    struct db *other;
    OK(db_open(&other, url, 1, "TESTNODE", &err)); /* the same name, another process */
    OK(db_delivery_finish(other, &r, 1, &err));
    db_close(other);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER133' AND state = "
                         "'leased'"),
                     1);
    const struct db_delivery_result wrong = {.id = r.id, .state = DB_CANCELLED};
    assert_int_equal(db_delivery_finish(db, &wrong, 1, &err), DS_EINVAL);
}

static void held_and_failed_deliveries_are_requeued_by_peer_and_all(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(134, 2, ids);
    const struct db_planned_delivery held[2] = {
        {ids[0], "PEER134A", DB_SEND_AS_IS, SIZE_MAX, -1, false, false, true, "no room"},
        {ids[1], "PEER134B", DB_SEND_AS_IS, SIZE_MAX, -1, false, false, true, "no room"}};
    const struct db_plan plan = {.study_id = study,
                                 .rule = "r134",
                                 .instance_ids = ids,
                                 .instance_count = 2,
                                 .deliveries = held,
                                 .delivery_count = 2};
    int generation;
    OK(db_plan_commit(db, &plan, &generation, &err));
    struct db_delivery *got;
    assert_int_equal(claim("PEER134A", 2, 60000, &got), 0);
    assert_int_equal(requeue("PEER134A"), 1);
    assert_int_equal(claim("PEER134A", 2, 60000, &got), 1);
    assert_int_equal(got[0].capsule_row, 0);
    assert_int_equal(got[0].share_index, -1);
    free(got);
    assert_true(requeue(NULL) >= 1);
    assert_int_equal(claim("PEER134B", 2, 60000, &got), 1);
    free(got);
    assert_int_equal(requeue("PEER134A"), 0);
}

static void what_was_quarantined_while_on_its_way_is_not_tried_again(void **state)
{
    (void)state;
    int64_t ids[1];
    const int64_t study = index_study(135, 1, ids);
    int generation;
    OK(plan_study(study, ids, 1, "PEER135", &generation));
    struct db_delivery *got;
    assert_int_equal(claim("PEER135", 1, 60000, &got), 1);
    OK(db_instance_quarantine(db, ids[0], DB_UNVERIFIED, "proof failed", &err));
    const struct db_delivery_result r = {.id = got[0].id, .state = DB_READY, .cause = "away"};
    free(got);
    OK(db_delivery_finish(db, &r, 1, &err));
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'PEER135' AND state = "
                         "'cancelled'"),
                     1);
}

#define RACE_COUNT 100U

struct racer {
    int64_t ids[RACE_COUNT];
    size_t count;
    bool failed;
};

static atomic_uint racers_ready;

static void *race(void *argument)
{
    struct racer *r = argument;
    (void)atomic_fetch_add(&racers_ready, 1);
    while (atomic_load(&racers_ready) < 2) {
    }
    for (;;) {
        struct db_delivery *got;
        size_t count;
        struct ds_error e;
        const struct db_claim c = {.peer = "RACE", .max = 3, .lease_ms = 60000};
        r->failed = db_delivery_claim(db, &c, &got, &count, &e) != DS_OK;
        if (r->failed || count == 0) {
            return NULL;
        }
        for (size_t i = 0; i < count; i++) {
            r->ids[r->count++] = got[i].id;
        }
        free(got);
    }
}

static void two_threads_never_claim_the_same_delivery(void **state)
{
    (void)state;
    int64_t ids[RACE_COUNT];
    const int64_t study = index_study(140, RACE_COUNT, ids);
    int generation;
    OK(plan_study(study, ids, RACE_COUNT, "RACE", &generation));
    static struct racer racers[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(racers[i].failed);
    }
    assert_true(racers[0].count > 0 && racers[1].count > 0);
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'RACE' AND attempts = 1"),
                     RACE_COUNT);
    for (size_t i = 0; i < racers[0].count; i++) {
        for (size_t k = 0; k < racers[1].count; k++) {
            assert_int_not_equal(racers[0].ids[i], racers[1].ids[k]);
        }
    }
    assert_int_equal(racers[0].count + racers[1].count, RACE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_makes_a_generation_and_claims_come_in_order),
        cmocka_unit_test(a_second_plan_for_the_same_instances_changes_nothing),
        cmocka_unit_test(late_instances_make_the_next_generation),
        cmocka_unit_test(a_plan_for_the_instances_of_another_study_is_refused),
        cmocka_unit_test(a_report_goes_out_with_one_generation_only),
        cmocka_unit_test(an_expired_lease_can_be_claimed_again_and_counts_as_an_attempt),
        cmocka_unit_test(what_was_sent_is_recorded_with_its_proof),
        cmocka_unit_test(a_failed_attempt_comes_back_after_its_pause),
        cmocka_unit_test(only_the_holder_of_a_lease_can_finish),
        cmocka_unit_test(held_and_failed_deliveries_are_requeued_by_peer_and_all),
        cmocka_unit_test(what_was_quarantined_while_on_its_way_is_not_tried_again),
        cmocka_unit_test(what_is_given_back_was_no_attempt),
        cmocka_unit_test(a_node_that_starts_again_takes_back_what_it_had),
        cmocka_unit_test(two_threads_never_claim_the_same_delivery),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
