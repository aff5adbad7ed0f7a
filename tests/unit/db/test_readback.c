/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the read-back, their results, and what they say of a peer. */
#include "tests/unit/db/fixture.h"

#include "db/readback.h"

#define LEASE_MS 60000U

/* Sends a study of count instances to peer; carriers under UIDs of their own. */
static void deliver(unsigned study, unsigned count, const char *peer)
{
    int64_t ids[STUDY_MAX];
    int generation = 0;
    struct db_delivery *got = NULL;
    const int64_t row = index_study(study, count, ids);
    OK(plan_study(row, ids, count, peer, &generation));
    assert_int_equal(claim(peer, count, LEASE_MS, &got), count);
    for (unsigned i = 0; i < count; i++) {
        char uid[65];
        struct db_delivery_result r = sent_result(got[i].id);
        (void)snprintf(uid, sizeof(uid), "2.25.%u.%u", study, i);
        r.sent_sop_uid = uid;
        OK(db_delivery_finish(db, &r, 1, &err));
    }
    free(got);
}

static int64_t begin(const struct db_back_request *q)
{
    int64_t id = 0;
    OK(db_back_begin(db, q, &id, &err));
    return id;
}

static struct db_back_run claimed(struct db *who)
{
    struct db_back_run run;
    bool found = false;
    OK(db_back_claim(who, LEASE_MS, &run, &found, &err));
    if (!found) {
        run.id = 0;
    }
    return run;
}

static size_t study_of(int64_t run, struct db_back_item **items)
{
    size_t count = 0;
    OK(db_back_study(db, run, items, &count, &err));
    return count;
}

static void write_one(const struct db_back_run *run, const struct db_back_item *item,
                      enum db_back_outcome outcome)
{
    const struct db_back_result r = {.item = item->id,
                                     .sop_uid = item->sop_uid,
                                     .study_uid = "",
                                     .instance_id = item->delivery.instance_id,
                                     .outcome = outcome,
                                     .detail = "{\"a\": 1}",
                                     .has_after = true,
                                     .has_file_after = true};
    OK(db_back_write(db, run, &r, 1, &err));
}

/* Looks at all that is open; every instance has the same fate. */
static void settle(const struct db_back_run *run, enum db_back_outcome outcome)
{
    struct db_back_item *items = NULL;
    size_t count = 0;
    while ((count = study_of(run->id, &items)) > 0) {
        for (size_t i = 0; i < count; i++) {
            write_one(run, &items[i], outcome);
        }
        free(items);
    }
    OK(db_back_finish(db, run->id, "", &err));
}

static struct db_peer_profile profile_of(const char *peer)
{
    struct db_peer_profile *all = NULL;
    struct db_peer_profile found = {.peer = ""};
    size_t count = 0;
    OK(db_peer_profiles(db, peer, &all, &count, &err));
    assert_true(count <= 1);
    if (count == 1) {
        found = all[0];
    }
    free(all);
    return found;
}

static void a_run_goes_through_its_studies_and_ends(void **state)
{
    (void)state;
    deliver(800, 3, "PEER800");
    deliver(801, 2, "PEER800");
    const int64_t id =
        begin(&(struct db_back_request){.peer = "PEER800", .actor = "operator anna"});
    struct db_back_run run = claimed(db);
    assert_int_equal(run.id, id);
    assert_string_equal(run.peer, "PEER800");
    assert_int_equal(claimed(db).id, 0);
    struct db_back_item *items = NULL;
    assert_int_equal(study_of(id, &items), 3);
    assert_string_equal(items[0].delivery.instance.study_uid, "1.2.3.800");
    assert_string_equal(items[0].sop_uid, "2.25.800.0");
    assert_int_equal(items[0].part, DB_BACK_SENT);
    assert_true(items[0].has_sent && items[0].sent_file_hash[0] == 0x5a);
    assert_true(items[0].delivery.capsule_row > 0 && items[2].delivery.share_index == 2);
    write_one(&run, &items[0], DB_BACK_INTACT);
    write_one(&run, &items[0], DB_BACK_LOSSY); /* a lost answer, said again: the first one stays */
    write_one(&run, &items[1], DB_BACK_MISSING);
    free(items);
    OK(db_back_run_get(db, id, &run, &err));
    assert_string_equal(run.state, "running");
    assert_int_equal(run.total, 5);
    assert_int_equal(run.open, 3);
    assert_int_equal(run.counts[DB_BACK_INTACT], 1);
    assert_int_equal(run.counts[DB_BACK_MISSING], 1);
    assert_int_equal(run.counts[DB_BACK_LOSSY], 0);
    settle(&run, DB_BACK_INTACT);
    OK(db_back_run_get(db, id, &run, &err));
    assert_string_equal(run.state, "done");
    assert_int_equal(run.counts[DB_BACK_INTACT], 4);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'read-back' AND actor = "
                         "'operator anna' AND peer = 'PEER800' AND instance_id IS NOT "
                         "NULL AND after_hash IS NOT NULL"),
                     5);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind IN ('read-back-begun', "
                         "'read-back-ended') AND peer = 'PEER800'"),
                     2);
    struct db_back_row *rows = NULL;
    size_t count = 0;
    OK(db_back_rows(db, id, 0, true, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].outcome, DB_BACK_MISSING);
    assert_string_equal(rows[0].detail, "{\"a\": 1}");
    assert_false(rows[0].is_open);
    free(rows);
}

static void a_sample_is_drawn_by_its_seed(void **state)
{
    (void)state;
    deliver(810, 20, "PEER810");
    long long drawn[3];
    for (int i = 0; i < 3; i++) {
        const struct db_back_request q = {
            .peer = "PEER810", .actor = "node", .sample = 5, .seed = i < 2 ? 7 : 8};
        char sql[200];
        const int64_t id = begin(&q);
        const struct db_back_run run = claimed(db);
        assert_int_equal(run.id, id);
        assert_true(run.is_sampled && run.sample == 5 && run.seed == q.seed);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT sum(delivery_id * delivery_id) FROM read_back_results WHERE run_id "
                       "= %lld AND (SELECT count(*) FROM read_back_results WHERE run_id = %lld) = "
                       "5",
                       (long long)id, (long long)id);
        drawn[i] = ask(sql);
        settle(&run, DB_BACK_INTACT);
    }
    assert_true(drawn[0] > 0);
    assert_int_equal(drawn[0], drawn[1]);
    assert_true(drawn[0] != drawn[2]);
}

static void conditions_name_a_study_or_a_time(void **state)
{
    (void)state;
    deliver(820, 2, "PEER820");
    deliver(821, 3, "PEER820");
    const struct db_back_request study = {
        .peer = "PEER820", .actor = "node", .study_uid = "1.2.3.821"};
    const struct db_back_request later = {
        .peer = "PEER820", .actor = "node", .since_us = ds_clock_utc_us() + 60000000};
    struct db_back_run run;
    (void)begin(&study);
    run = claimed(db);
    OK(db_back_run_get(db, run.id, &run, &err));
    assert_int_equal(run.total, 3);
    settle(&run, DB_BACK_INTACT);
    (void)begin(&later);
    run = claimed(db);
    OK(db_back_run_get(db, run.id, &run, &err));
    assert_int_equal(run.total, 0);
    settle(&run, DB_BACK_INTACT);
    OK(db_back_run_get(db, run.id, &run, &err));
    assert_string_equal(run.state, "done");
}

static void a_schedule_is_met_once_in_its_time(void **state)
{
    (void)state;
    deliver(830, 1, "PEER830");
    struct db_back_request q = {.peer = "PEER830", .actor = "node", .every_ms = 3600000};
    assert_true(begin(&q) > 0);
    assert_int_equal(begin(&q), 0); /* it is open */
    const struct db_back_run run = claimed(db);
    assert_true(run.scheduled);
    settle(&run, DB_BACK_INTACT);
    assert_int_equal(begin(&q), 0); /* not yet again */
    q.every_ms = 1;
    assert_true(begin(&q) > 0);
    const struct db_back_run second = claimed(db);
    settle(&second, DB_BACK_INTACT);
}

static void what_another_process_left_is_taken_up_and_what_it_has_is_not(void **state)
{
    (void)state;
    deliver(840, 2, "PEER840");
    static const uint8_t first[DB_PROCESS_BYTES] = {1};
    static const uint8_t second[DB_PROCESS_BYTES] = {2};
    struct db *old = NULL;
    struct db *new = NULL;
    bool held = false;
    OK(db_open(&old, url, 1, "TESTNODE", &err));
    OK(db_open(&new, url, 1, "TESTNODE", &err));
    OK(db_set_home(old, "abcdef01", first, &err));
    OK(db_set_home(new, "abcdef01", second, &err));
    const int64_t id = begin(&(struct db_back_request){.peer = "PEER840", .actor = "node"});
    assert_int_equal(claimed(old).id, id);
    assert_int_equal(claimed(db).id, 0); /* another home waits for the lease to run out */
    assert_int_equal(claimed(new).id, id);
    OK(db_back_renew(old, id, LEASE_MS, &held, &err));
    assert_false(held);
    OK(db_back_renew(new, id, LEASE_MS, &held, &err));
    assert_true(held);
    OK(db_back_put_off(new, id, 3600000, &err));
    assert_int_equal(claimed(db).id, 0); /* its time has not come */
    OK(db_back_put_off(new, id, 0, &err));
    (void)ask("WITH u AS (UPDATE read_back_runs SET next_at = now() - interval '1 s' WHERE state = "
              "'waiting' RETURNING 1) SELECT count(*) FROM u");
    const struct db_back_run run = claimed(new);
    assert_int_equal(run.id, id);
    OK(db_back_finish(new, id, "the peer is away", &err));
    struct db_back_run ended;
    OK(db_back_run_get(db, id, &ended, &err));
    assert_string_equal(ended.state, "incomplete");
    assert_string_equal(ended.cause, "the peer is away");
    assert_int_equal(ended.open, 2);
    db_close(old);
    db_close(new);
}

static void one_peer_is_looked_at_by_one_run_at_a_time(void **state)
{
    (void)state;
    deliver(850, 1, "PEER850");
    const struct db_back_request q = {.peer = "PEER850", .actor = "node"};
    const int64_t first = begin(&q);
    const int64_t second = begin(&q);
    int64_t newest = 0;
    OK(db_back_newest(db, "PEER850", &newest, &err));
    assert_int_equal(newest, second);
    const struct db_back_run run = claimed(db);
    assert_int_equal(run.id, first);
    assert_int_equal(claimed(db).id, 0);
    settle(&run, DB_BACK_INTACT);
    const struct db_back_run next = claimed(db);
    assert_int_equal(next.id, second);
    settle(&next, DB_BACK_INTACT);
}

static void the_worst_of_the_newest_results_is_the_profile(void **state)
{
    (void)state;
    static const struct {
        enum db_back_outcome outcome;
        enum db_back_profile profile;
    } steps[] = {{DB_BACK_UNREAD, DB_PROFILE_UNKNOWN},
                 {DB_BACK_INTACT, DB_PROFILE_TRANSPARENT},
                 {DB_BACK_ATTRIBUTES_CHANGED, DB_PROFILE_COERCES},
                 {DB_BACK_MISSING, DB_PROFILE_DROPS},
                 {DB_BACK_LOSSY, DB_PROFILE_LOSSY},
                 {DB_BACK_PIXELS_CHANGED, DB_PROFILE_LOSSY},
                 {DB_BACK_INTACT, DB_PROFILE_TRANSPARENT}};
    deliver(860, 2, "PEER860");
    assert_string_equal(profile_of("PEER860").peer, "");
    for (size_t i = 0; i < DS_ARRAY_SIZE(steps); i++) {
        (void)begin(&(struct db_back_request){.peer = "PEER860", .actor = "node"});
        const struct db_back_run run = claimed(db);
        settle(&run, steps[i].outcome);
        const struct db_peer_profile p = profile_of("PEER860");
        assert_int_equal(p.profile, steps[i].profile);
        assert_int_equal(p.counts[steps[i].outcome], 2); /* older ones of the same do not count */
    }
    deliver(861, 1, "PEER860"); /* one bad one among good ones */
    (void)begin(
        &(struct db_back_request){.peer = "PEER860", .actor = "node", .study_uid = "1.2.3.861"});
    const struct db_back_run run = claimed(db);
    settle(&run, DB_BACK_ATTRIBUTES_CHANGED);
    assert_int_equal(profile_of("PEER860").profile, DB_PROFILE_COERCES);
}

static void what_was_not_sent_is_written_once(void **state)
{
    (void)state;
    deliver(870, 1, "PEER870");
    const int64_t id = begin(&(struct db_back_request){.peer = "PEER870", .actor = "node"});
    struct db_back_run run = claimed(db);
    const struct db_back_result extra = {
        .sop_uid = "9.9.9", .study_uid = "1.2.3.870", .outcome = DB_BACK_EXTRA_THERE};
    OK(db_back_write(db, &run, &extra, 1, &err));
    OK(db_back_write(db, &run, &extra, 1, &err));
    OK(db_back_run_get(db, id, &run, &err));
    assert_int_equal(run.counts[DB_BACK_EXTRA_THERE], 1);
    assert_int_equal(run.open, 1);
    struct db_back_known *known = NULL;
    size_t count = 0;
    OK(db_back_known_uids(db, "PEER870", "1.2.3.870", &known, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(known[0].sop_uid, "2.25.870.0");
    free(known);
    settle(&run, DB_BACK_INTACT);
    assert_int_equal(profile_of("PEER870").profile, DB_PROFILE_TRANSPARENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_goes_through_its_studies_and_ends),
        cmocka_unit_test(a_sample_is_drawn_by_its_seed),
        cmocka_unit_test(conditions_name_a_study_or_a_time),
        cmocka_unit_test(a_schedule_is_met_once_in_its_time),
        cmocka_unit_test(what_another_process_left_is_taken_up_and_what_it_has_is_not),
        cmocka_unit_test(one_peer_is_looked_at_by_one_run_at_a_time),
        cmocka_unit_test(the_worst_of_the_newest_results_is_the_profile),
        cmocka_unit_test(what_was_not_sent_is_written_once),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
