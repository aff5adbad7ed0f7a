/* SPDX-License-Identifier: Apache-2.0 */
/* Storage commitment: what is asked of peers, what their reports do to deliveries, and what peers
 * ask of us. */
#include "db/commitment.h"

#include "fixture.h"

static const struct db_commitment_policy policy = {.failures_max = 2, .retry_ms = 0};

/* A study of count instances as they are at a peer: sent, under its own UIDs. */
static void send_study(unsigned study, unsigned count, const char *peer)
{
    int64_t ids[STUDY_MAX];
    int generation;
    const int64_t id = index_study(study, count, ids);
    OK(plan_study(id, ids, count, peer, &generation));
    struct db_delivery *deliveries;
    assert_int_equal(claim(peer, STUDY_MAX, 60000, &deliveries), count);
    struct db_delivery_result results[STUDY_MAX];
    char uids[STUDY_MAX][DB_UID_BYTES];
    for (unsigned i = 0; i < count; i++) {
        results[i] = sent_result(deliveries[i].id);
        (void)snprintf(uids[i], sizeof(uids[i]), "2.25.%u.%u", study, i);
        results[i].sent_sop_uid = uids[i];
    }
    OK(db_delivery_finish(db, results, count, &err));
    free(deliveries);
}

static struct db_commitment asked_of(const char *peer, const char *transaction)
{
    struct db_commitment c;
    bool made = false;
    bool found = false;
    OK(db_commitment_begin(db, peer, transaction, 100, 0, &made, &err));
    assert_true(made);
    OK(db_commitment_claim(db, peer, 60000, &c, &found, &err));
    assert_true(found);
    assert_string_equal(c.transaction_uid, transaction);
    return c;
}

static long long in_state(const char *peer, const char *state)
{
    char sql[160];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM deliveries WHERE peer = '%s' AND state = '%s'", peer,
                   state);
    return ask(sql);
}

static long long events(const char *peer, const char *kind)
{
    char sql[160];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM events WHERE detail->>'peer' = '%s' AND kind = '%s'", peer,
                   kind);
    return ask(sql);
}

static void what_was_sent_is_asked_for_once_under_the_uid_that_was_sent(void **state)
{
    (void)state;
    send_study(500, 3, "C500");
    struct db_commitment c = asked_of("C500", "2.25.500");
    assert_int_equal(c.count, 3);
    assert_int_equal(c.asks, 1);
    assert_string_equal(c.items[2].sop_uid, "2.25.500.2");
    assert_string_equal(c.items[2].sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
    db_commitment_free(&c);
    bool more = true;
    OK(db_commitment_begin(db, "C500", "2.25.501", 100, 0, &more, &err));
    assert_false(more);
    OK(db_commitment_claim(db, "C500", 60000, &c, &more, &err)); /* leased */
    assert_false(more);
}

static void a_study_that_is_being_sent_is_asked_for_when_it_has_settled(void **state)
{
    (void)state;
    send_study(510, 3, "C510");
    bool made = true;
    OK(db_commitment_begin(db, "C510", "2.25.510", 100, 30000, &made, &err));
    assert_false(made);
    OK(db_commitment_begin(db, "C510", "2.25.510", 2, 30000, &made, &err)); /* enough of it */
    assert_true(made);
    assert_int_equal(ask("SELECT count(*) FROM commitment_items i JOIN commitments c ON c.id = "
                         "i.commitment_id WHERE c.peer = 'C510'"),
                     2);
}

static void a_report_commits_or_sends_again_or_fails(void **state)
{
    (void)state;
    send_study(520, 4, "C520");
    struct db_commitment c = asked_of("C520", "2.25.520");
    OK(db_commitment_asked(db, c.id, 60000, &err));
    db_commitment_free(&c);
    const struct db_commitment_answer answers[] = {{"2.25.520.0", 0, DB_COMMITMENT_DONE},
                                                   {"2.25.520.1", 0x0112, DB_COMMITMENT_SEND_AGAIN},
                                                   {"2.25.520.2", 0x0119, DB_COMMITMENT_FAILED},
                                                   {"2.25.520.3", 0x0213, DB_COMMITMENT_ASK_AGAIN},
                                                   {"2.25.9999", 0, DB_COMMITMENT_DONE}};
    bool known = true;
    OK(db_commitment_report(db, "C520", "2.25.52", answers, 5, &policy, &known, &err));
    assert_false(known);
    OK(db_commitment_report(db, "C500", "2.25.520", answers, 5, &policy, &known, &err));
    assert_false(known);          /* somebody else was asked */
    for (int i = 0; i < 2; i++) { /* the second time changes nothing */
        OK(db_commitment_report(db, "C520", "2.25.520", answers, 5, &policy, &known, &err));
        assert_true(known);
        assert_int_equal(in_state("C520", "committed"), 1);
        assert_int_equal(in_state("C520", "ready"), 1);
        assert_int_equal(in_state("C520", "failed"), 1);
        assert_int_equal(in_state("C520", "sent"), 1);
        assert_int_equal(events("C520", "committed"), 1);
        assert_int_equal(events("C520", "commit-failed"), 3);
    }
    assert_int_equal(ask("SELECT count(*) FROM deliveries WHERE peer = 'C520' AND cause = "
                         "'storage commitment: reason 0119H'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM commitments WHERE peer = 'C520' AND state = "
                         "'answered'"),
                     1);
    c = asked_of("C520", "2.25.521"); /* for lack of resources only */
    assert_int_equal(c.count, 1);
    assert_string_equal(c.items[0].sop_uid, "2.25.520.3");
    db_commitment_free(&c);
}

static void report_one(const char *peer, const char *transaction, const char *uid, uint16_t failure)
{
    const struct db_commitment_answer answer = {
        uid, failure, failure == 0 ? DB_COMMITMENT_DONE : DB_COMMITMENT_SEND_AGAIN};
    bool known = false;
    OK(db_commitment_report(db, peer, transaction, &answer, 1, &policy, &known, &err));
    assert_true(known);
}

/* The delivery has two items: the sidecar, and the image beside it, which is known under its own
 * UID. */
static void of_a_pair_both_are_asked_for_and_both_must_be_committed(void **state)
{
    (void)state;
    send_study(528, 2, "C528");
    assert_int_equal(ask("WITH u AS (UPDATE deliveries SET action = 2 WHERE peer = 'C528' "
                         "RETURNING 1) SELECT count(*) FROM u"),
                     2);
    char image[2][DB_UID_BYTES];
    struct db_commitment c = asked_of("C528", "2.25.5280");
    assert_int_equal(c.count, 4);
    unsigned images = 0;
    for (size_t i = 0; i < c.count; i++) {
        if (strcmp(c.items[i].sop_class_uid, "1.2.840.10008.5.1.4.1.1.66") != 0) {
            memcpy(image[images++], c.items[i].sop_uid, sizeof(image[0]));
        }
    }
    assert_int_equal(images, 2);
    db_commitment_free(&c);
    report_one("C528", "2.25.5280", "2.25.528.0", 0);
    assert_int_equal(in_state("C528", "committed"), 0);
    report_one("C528", "2.25.5280", image[0], 0);
    assert_int_equal(in_state("C528", "committed"), 1);
    report_one("C528", "2.25.5280", "2.25.528.1", 0);
    report_one("C528", "2.25.5280", image[1], 0x0112);
    assert_int_equal(in_state("C528", "committed"), 1);
    assert_int_equal(in_state("C528", "ready"), 1);
}

/* A peer that takes back its word, and one that speaks of what is being sent again. */
static void what_is_committed_stays_so_and_what_is_under_way_is_left_alone(void **state)
{
    (void)state;
    send_study(525, 2, "C525");
    struct db_commitment c = asked_of("C525", "2.25.5250");
    db_commitment_free(&c);
    report_one("C525", "2.25.5250", "2.25.525.0", 0);
    report_one("C525", "2.25.5250", "2.25.525.0", 0x0112);
    assert_int_equal(in_state("C525", "committed"), 1);
    report_one("C525", "2.25.5250", "2.25.525.1", 0x0112);
    struct db_delivery *again;
    assert_int_equal(claim("C525", 1, 60000, &again), 1);
    report_one("C525", "2.25.5250", "2.25.525.1", 0);
    assert_int_equal(in_state("C525", "leased"), 1);
    free(again);
    assert_int_equal(events("C525", "committed"), 1);
}

/* A peer that answers success to every C-STORE and keeps nothing. */
static void what_is_never_kept_is_a_dead_letter_in_the_end(void **state)
{
    (void)state;
    send_study(530, 1, "C530");
    for (unsigned i = 0; i < 3; i++) {
        char transaction[32];
        (void)snprintf(transaction, sizeof(transaction), "2.25.530%u", i);
        struct db_commitment c = asked_of("C530", transaction);
        db_commitment_free(&c);
        const struct db_commitment_answer lost = {"2.25.530.0", 0x0112, DB_COMMITMENT_SEND_AGAIN};
        bool known = false;
        OK(db_commitment_report(db, "C530", transaction, &lost, 1, &policy, &known, &err));
        assert_int_equal(in_state("C530", i < 2 ? "ready" : "failed"), 1);
        struct db_delivery *again;
        if (i < 2) {
            assert_int_equal(claim("C530", 1, 60000, &again), 1);
            struct db_delivery_result r = sent_result(again[0].id);
            r.sent_sop_uid = "2.25.530.0";
            OK(db_delivery_finish(db, &r, 1, &err));
            free(again);
        }
    }
}

static void without_a_report_it_is_asked_again_and_then_told(void **state)
{
    (void)state;
    const char *peers[] = {"C540", "C541"};
    for (unsigned p = 0; p < 2; p++) { /* the second one is required to commit */
        send_study(540 + p, 2, peers[p]);
        uint64_t count = 0;
        for (unsigned asks = 1; asks <= 2; asks++) {
            char transaction[32];
            (void)snprintf(transaction, sizeof(transaction), "2.25.54%u.%u", p, asks);
            struct db_commitment c = asked_of(peers[p], transaction);
            OK(db_commitment_asked(db, c.id, 0, &err));
            db_commitment_free(&c);
            OK(db_commitment_expire(db, peers[p], p == 1, 2, &count, &err));
            assert_int_equal(count, 1);
        }
        assert_int_equal(in_state(peers[p], p == 1 ? "failed" : "sent"), 2);
        bool made = true;
        OK(db_commitment_begin(db, peers[p], "2.25.549", 100, 0, &made, &err));
        assert_false(made);
        char sql[160];
        (void)snprintf(sql, sizeof(sql),
                       "SELECT count(*) FROM deliveries WHERE peer = '%s' AND cause = 'storage "
                       "commitment: no report in time'",
                       peers[p]);
        assert_int_equal(ask(sql), 2);
        /* Better late than never. */
        char transaction[32];
        (void)snprintf(transaction, sizeof(transaction), "2.25.54%u.2", p);
        char uid[32];
        (void)snprintf(uid, sizeof(uid), "2.25.54%u.1", p);
        const struct db_commitment_answer late = {uid, 0, DB_COMMITMENT_DONE};
        bool known = false;
        OK(db_commitment_report(db, peers[p], transaction, &late, 1, &policy, &known, &err));
        assert_int_equal(in_state(peers[p], "committed"), 1);
    }
}

static void a_peer_that_cannot_is_not_asked_for_ever(void **state)
{
    (void)state;
    send_study(550, 2, "C550");
    struct db_commitment c = asked_of("C550", "2.25.550");
    OK(db_commitment_put_off(db, c.id, 0, "connection refused", &err));
    const int64_t id = c.id;
    db_commitment_free(&c);
    bool found = false;
    OK(db_commitment_claim(db, "C550", 60000, &c, &found, &err));
    assert_true(found && c.id == id && c.asks == 2 && c.count == 2);
    db_commitment_free(&c);
    OK(db_commitment_give_up(db, id, false, "not offered", &err));
    assert_int_equal(in_state("C550", "sent"), 2);
    assert_int_equal(events("C550", "commit-failed"), 2);
    OK(db_commitment_begin(db, "C550", "2.25.551", 100, 0, &found, &err));
    assert_false(found);
}

/* ---- what we are asked ---- */

static struct db_commitment_item wanted[] = {{"1.2.840.10008.5.1.4.1.1.2", "1.2.3.560.1.0", -1},
                                             {"1.2.840.10008.5.1.4.1.1.2", "1.2.3.560.1.77", -1},
                                             {"1.2.840.10008.5.1.4.1.1.4", "1.2.3.560.1.1", -1}};

static struct db_commitment_request request_of(const char *transaction)
{
    struct db_commitment_request r = {.calling_ae = "CT1",
                                      .called_ae = "NODE",
                                      .peer = "ct",
                                      .items = wanted,
                                      .count = DS_ARRAY_SIZE(wanted)};
    (void)snprintf(r.transaction_uid, sizeof(r.transaction_uid), "%s", transaction);
    return r;
}

static void a_request_is_checked_and_then_reported(void **state)
{
    (void)state;
    int64_t ids[2];
    (void)index_study(560, 2, ids);
    const struct db_commitment_request asked = request_of("2.25.560");
    OK(db_commitment_request_add(db, &asked, &err));
    struct db_commitment_request r;
    bool found = false;
    OK(db_commitment_request_claim(db, 0, &r, &found, &err));
    assert_true(found && !r.is_checked);
    assert_int_equal(r.count, 3);
    assert_string_equal(r.calling_ae, "CT1");
    assert_string_equal(r.called_ae, "NODE");
    assert_string_equal(r.items[1].sop_uid, "1.2.3.560.1.77");
    struct db_held *held;
    size_t count;
    OK(db_commitment_held(db, &r, &held, &count, &err));
    assert_int_equal(count, 2);
    assert_true(held[0].item == 0 && held[0].instance_id == ids[0]);
    assert_true(held[1].item == 2 && held[1].instance_id == ids[1]);
    assert_int_equal(held[0].file_hash[5], 1);
    assert_string_equal(held[0].path, "/archive/560/0-1.dcm");
    free(held);
    r.items[0].answer = 0;
    r.items[1].answer = 0x0112;
    r.items[2].answer = 0x0119;
    OK(db_commitment_request_checked(db, &r, &err));
    const int64_t id = r.id;
    db_commitment_request_free(&r);
    OK(db_commitment_request_put_off(db, id, 0, true, "not listening", &err));
    OK(db_commitment_request_claim(db, 60000, &r, &found, &err));
    assert_true(found && r.id == id && r.is_checked && r.attempts == 1);
    assert_int_equal(r.items[2].answer, 0x0119);
    db_commitment_request_free(&r);
    OK(db_commitment_request_finish(db, id, "", &err));
    OK(db_commitment_request_claim(db, 60000, &r, &found, &err));
    assert_false(found);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'commitment-reported' AND "
                         "detail->>'refused' = '2' AND actor = 'CT1'"),
                     1);
}

static void the_same_transaction_again_begins_anew(void **state)
{
    (void)state;
    struct db_commitment_request asked = request_of("2.25.570");
    OK(db_commitment_request_add(db, &asked, &err));
    struct db_commitment_request r;
    bool found = false;
    OK(db_commitment_request_claim(db, 60000, &r, &found, &err));
    assert_true(found);
    OK(db_commitment_request_finish(db, r.id, "nobody listens", &err));
    const int64_t id = r.id;
    db_commitment_request_free(&r);
    asked.count = 1;
    OK(db_commitment_request_add(db, &asked, &err));
    OK(db_commitment_request_claim(db, 60000, &r, &found, &err));
    assert_true(found && r.id == id && !r.is_checked);
    assert_int_equal(r.count, 1);
    OK(db_commitment_request_finish(db, r.id, "", &err));
    db_commitment_request_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sent_is_asked_for_once_under_the_uid_that_was_sent),
        cmocka_unit_test(a_study_that_is_being_sent_is_asked_for_when_it_has_settled),
        cmocka_unit_test(a_report_commits_or_sends_again_or_fails),
        cmocka_unit_test(what_is_committed_stays_so_and_what_is_under_way_is_left_alone),
        cmocka_unit_test(of_a_pair_both_are_asked_for_and_both_must_be_committed),
        cmocka_unit_test(what_is_never_kept_is_a_dead_letter_in_the_end),
        cmocka_unit_test(without_a_report_it_is_asked_again_and_then_told),
        cmocka_unit_test(a_peer_that_cannot_is_not_asked_for_ever),
        cmocka_unit_test(a_request_is_checked_and_then_reported),
        cmocka_unit_test(the_same_transaction_again_begins_anew),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
