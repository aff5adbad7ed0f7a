/* SPDX-License-Identifier: Apache-2.0 */
/* Schema, index, what is pending, reports. */
#include "tests/unit/db/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- schema ---- */

static void migrating_twice_changes_nothing(void **state)
{
    (void)state;
    OK(db_migrate(db, &err));
    assert_true(ask("SELECT count(*) FROM schema_migrations") >= 3);
    assert_int_equal(ask("SELECT min(octet_length(sha256)) FROM schema_migrations"), 32);
}

static void a_schema_from_a_newer_version_is_refused(void **state)
{
    (void)state;
    (void)ask("WITH n AS (INSERT INTO schema_migrations (number, name, sha256) VALUES (999, 'x', "
              "'\\x00') RETURNING 1) SELECT 1");
    assert_int_equal(db_migrate(db, &err), DS_ECONFIG);
    assert_non_null(strstr(err.text, "999"));
    (void)ask("WITH n AS (DELETE FROM schema_migrations WHERE number = 999) SELECT 1");
    OK(db_migrate(db, &err));
}

static void a_migration_that_was_edited_is_refused(void **state)
{
    (void)state;
    (void)ask("WITH n AS (UPDATE schema_migrations SET sha256 = set_byte(sha256, 0, "
              "255 - get_byte(sha256, 0))) SELECT 1");
    assert_int_equal(db_migrate(db, &err), DS_ECONFIG);
    (void)ask("WITH n AS (UPDATE schema_migrations SET sha256 = set_byte(sha256, 0, "
              "255 - get_byte(sha256, 0))) SELECT 1");
    OK(db_migrate(db, &err));
}

/* ---- index ---- */

static void a_batch_of_64_is_indexed_in_one_go(void **state)
{
    (void)state;
    int64_t ids[64];
    const int64_t start = ds_clock_utc_us();
    const int64_t study = index_study(100, 64, ids);
    print_message("    64 instances indexed in %.1f ms\n",
                  (double)(ds_clock_utc_us() - start) / 1000.0);
    struct db_instance got;
    OK(db_instance_get(db, ids[63], &got, &err));
    assert_int_equal(got.study_id, study);
    assert_string_equal(got.sop_uid, "1.2.3.100.1.63");
    assert_string_equal(got.path, "/archive/100/63-1.dcm");
    assert_string_equal(got.modality, "CT");
    assert_true(got.has_pixel_hash);
    assert_int_equal(got.pixel_hash[31], 63);
    assert_int_equal(got.file_hash[0], 1);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE "
                         "study_uid = '1.2.3.100' AND kind = 'received' AND actor = 'CT1'"),
                     64);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE "
                         "study_uid = '1.2.3.100' AND kind = 'indexed'"),
                     64);
    /* The byte that is no UTF-8 did not keep the study out, the name came through. */
    assert_int_equal(ask("SELECT count(*) FROM studies WHERE study_uid = '1.2.3.100' AND "
                         "description = 'chest ? ct' AND patient_name = U&'Br\\00fcck^Anna'"),
                     1);
}

static void the_same_bytes_again_are_a_duplicate_at_the_old_path(void **state)
{
    (void)state;
    int64_t first;
    (void)index_study(101, 1, &first);
    struct sample s;
    struct db_received row = sample_row(&s, 101, 0, 1);
    row.path = "/archive/101/again.dcm";
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    assert_true(done.duplicate);
    assert_false(done.conflict);
    assert_int_equal(done.instance_id, first);
    assert_string_equal(done.path, "/archive/101/0-1.dcm");
    assert_int_equal(ask("SELECT count(*) FROM events WHERE "
                         "study_uid = '1.2.3.101' AND kind = 'duplicate'"),
                     1);
}

static void a_duplicate_within_a_batch_is_found(void **state)
{
    (void)state;
    struct sample s[2];
    struct db_received rows[2] = {sample_row(&s[0], 102, 0, 1), sample_row(&s[1], 102, 0, 1)};
    rows[1].path = "/archive/102/second.dcm";
    struct db_indexed done[2];
    OK(db_index(db, rows, 2, done, &err));
    assert_false(done[0].duplicate);
    assert_true(done[1].duplicate);
    assert_int_equal(done[0].instance_id, done[1].instance_id);
    assert_string_equal(done[1].path, done[0].path);
}

static void a_batch_replayed_after_a_crash_is_no_duplicate_and_adds_no_event(void **state)
{
    (void)state;
    int64_t first, second;
    (void)index_study(103, 1, &first);
    const long long events = ask("SELECT count(*) FROM events");
    (void)index_study(103, 1, &second);
    assert_int_equal(first, second);
    assert_int_equal(ask("SELECT count(*) FROM events"), events);
}

static void other_bytes_under_the_same_uid_are_kept_as_a_conflict(void **state)
{
    (void)state;
    int64_t first;
    (void)index_study(104, 1, &first);
    struct sample s;
    const struct db_received row = sample_row(&s, 104, 0, 2);
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    assert_true(done.conflict);
    assert_false(done.duplicate);
    assert_int_not_equal(done.instance_id, first);
    assert_string_equal(done.path, "/archive/104/0-2.dcm");
}

static void a_restored_instance_may_share_the_uid_of_its_carrier(void **state)
{
    (void)state;
    struct sample s;
    struct db_received row = sample_row(&s, 105, 0, 1);
    row.kind = DB_CARRIER;
    struct db_indexed carrier, restored;
    OK(db_index(db, &row, 1, &carrier, &err));
    row = sample_row(&s, 105, 0, 2);
    row.kind = DB_RESTORED;
    row.restored_from = carrier.instance_id;
    OK(db_index(db, &row, 1, &restored, &err));
    assert_false(restored.conflict);
    assert_false(restored.duplicate);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE "
                         "study_uid = '1.2.3.105' AND kind = 'received'"),
                     1);
    assert_int_equal(ask("SELECT get_byte(before_hash, 0) FROM events WHERE study_uid = "
                         "'1.2.3.105' AND before_hash IS NOT NULL"),
                     1);
}

static void an_instance_without_hashes_is_indexed_too(void **state)
{
    (void)state;
    struct sample s;
    struct db_received row = sample_row(&s, 106, 0, 1);
    row.has_pixel_hash = false;
    row.has_dataset_hash = false;
    row.modality = NULL;
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    struct db_instance got;
    OK(db_instance_get(db, done.instance_id, &got, &err));
    assert_false(got.has_pixel_hash);
    assert_int_equal(got.dataset_hash[0], 0);
    assert_int_equal(db_instance_get(db, 987654321, &got, &err), DS_ENOTFOUND);
}

static void text_that_is_no_utf8_is_stored_with_question_marks(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\xc0\xaf",         /* overlong */
                                        "\xe0\x80\xaf",     /* overlong */
                                        "\xed\xa0\x80",     /* a surrogate */
                                        "\xf4\x90\x80\x80", /* past the last character */
                                        "\xe2\x82"};        /* cut short */
    for (unsigned i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        struct sample s;
        struct db_received row = sample_row(&s, 107 + i * 1000, 0, 1);
        row.study_description = wrong[i];
        struct db_indexed done;
        OK(db_index(db, &row, 1, &done, &err));
    }
    assert_int_equal(ask("SELECT count(*) FROM studies WHERE study_uid ~ '^1\\.2\\.3\\..*107$' AND "
                         "description ~ '^\\?+$'"),
                     5);
}

static atomic_uint indexers;

/* Two nodes index overlapping batches at once: no deadlock, no lost row, each instance once. */
static void *index_again(void *argument)
{
    bool *failed = argument;
    static const unsigned orders[2][2] = {{150, 151}, {151, 150}};
    const unsigned *order = orders[atomic_fetch_add(&indexers, 1) % 2];
    for (unsigned round = 0; round < 20; round++) {
        struct sample s[2];
        const struct db_received rows[2] = {sample_row(&s[0], order[0], round, 1),
                                            sample_row(&s[1], order[1], round, 1)};
        struct db_indexed done[2];
        struct ds_error e;
        *failed = *failed || db_index(db, rows, 2, done, &e) != DS_OK || done[0].instance_id == 0 ||
                  done[1].instance_id == 0;
    }
    return NULL;
}

static void two_threads_index_the_same_studies_at_once(void **state)
{
    (void)state;
    pthread_t threads[2];
    bool failed[2] = {false, false};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, index_again, &failed[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(failed[i]);
    }
    assert_int_equal(ask("SELECT count(*) FROM instances i JOIN studies s ON s.id = i.study_id "
                         "WHERE study_uid IN ('1.2.3.150', '1.2.3.151')"),
                     40);
}

/* ---- pending, find, quarantine ---- */

static void a_pending_study_says_what_rules_need(void **state)
{
    (void)state;
    struct sample s[2];
    struct db_received rows[2] = {sample_row(&s[0], 110, 0, 1), sample_row(&s[1], 110, 1, 1)};
    rows[0].accession = "ACC110";
    rows[1].series_uid = "1.2.3.110.2";
    rows[1].modality = "SR";
    rows[1].kind = DB_CARRIER;
    rows[1].calling_ae = "CT2";
    struct db_indexed done[2];
    OK(db_index(db, rows, 2, done, &err));
    int64_t report;
    OK(db_report_add(db, done[0].study_id, "a.txt", "text/plain", "drop", (const uint8_t *)"words",
                     5, false, &report, &err));
    struct db_pending_study p;
    assert_true(find_pending("1.2.3.110", &p));
    assert_int_equal(p.study_id, done[0].study_id);
    assert_string_equal(p.accession, "ACC110");
    assert_string_equal(p.description, "chest ? ct");
    assert_string_equal(p.calling_ae, "CT2");
    assert_string_equal(p.modalities, "CT\\SR");
    assert_true(p.has_carrier);
    assert_int_equal(p.pending, 2);
    assert_int_equal(p.reports, 1);
    assert_false(p.had_report);
    assert_true(p.idle_us >= 0 && p.idle_us <= p.age_us && p.age_us < 60 * 1000000);
}

static void studies_are_found_by_uid_and_by_accession_number(void **state)
{
    (void)state;
    struct sample s;
    struct db_received row = sample_row(&s, 111, 0, 1);
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    /* The second instance brings the accession number that the first one lacked. */
    row = sample_row(&s, 111, 1, 1);
    row.accession = "ACC111";
    OK(db_index(db, &row, 1, &done, &err));
    int64_t id;
    OK(db_study_find(db, "1.2.3.111", &id, &err));
    assert_int_equal(id, done.study_id);
    OK(db_study_find(db, "ACC111", &id, &err));
    assert_int_equal(id, done.study_id);
    assert_int_equal(db_study_find(db, "' OR true --", &id, &err), DS_ENOTFOUND);
    assert_int_equal(db_study_find(db, "", &id, &err), DS_ENOTFOUND);
}

static void a_quarantined_instance_leaves_the_flow(void **state)
{
    (void)state;
    int64_t ids[2];
    const int64_t study = index_study(112, 2, ids);
    OK(db_instance_quarantine(db, ids[0], DB_UNVERIFIED, "does not verify", &err));
    OK(db_instance_quarantine(db, ids[0], DB_UNVERIFIED, "another reason", &err));
    struct db_instance *pending;
    size_t count;
    OK(db_study_pending_instances(db, study, &pending, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(pending[0].id, ids[1]);
    free(pending);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'quarantined' AND "
                         "detail->>'reason' = 'does not verify'"),
                     1);
    int generation;
    assert_int_equal(plan_study(study, ids, 2, "PEER112", &generation), DS_EEXIST);
    assert_int_equal(db_instance_quarantine(db, 987654321, DB_UNVERIFIED, "x", &err), DS_ENOTFOUND);
}

/* ---- reports ---- */

static void the_same_report_twice_is_one_and_recovered_ones_stay_out(void **state)
{
    (void)state;
    int64_t instance, first, second, third;
    const int64_t study = index_study(113, 1, &instance);
    const uint8_t text[] = {'r', 0, 0xff};
    OK(db_report_add(db, study, "r.pdf", "application/pdf", "drop", text, 3, false, &first, &err));
    OK(db_report_add(db, study, "s.pdf", "application/pdf", "dicom", text, 3, false, &second,
                     &err));
    assert_int_equal(first, second);
    OK(db_report_add(db, study, "t", "text/plain", "recovered", text, 2, true, &third, &err));
    struct db_report *reports;
    size_t count;
    OK(db_reports_unsent(db, study, &reports, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(reports[0].id, first);
    assert_string_equal(reports[0].name, "r.pdf");
    assert_int_equal(reports[0].data.len, 3);
    assert_memory_equal(reports[0].data.data, text, 3);
    db_reports_free(reports, count);
}

static void a_report_for_no_study_is_refused(void **state)
{
    (void)state;
    int64_t id;
    assert_int_not_equal(db_report_add(db, 987654321, "r", "text/plain", "drop",
                                       (const uint8_t *)"x", 1, false, &id, &err),
                         DS_OK);
    assert_int_equal(id, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrating_twice_changes_nothing),
        cmocka_unit_test(a_schema_from_a_newer_version_is_refused),
        cmocka_unit_test(a_migration_that_was_edited_is_refused),
        cmocka_unit_test(a_batch_of_64_is_indexed_in_one_go),
        cmocka_unit_test(the_same_bytes_again_are_a_duplicate_at_the_old_path),
        cmocka_unit_test(a_duplicate_within_a_batch_is_found),
        cmocka_unit_test(a_batch_replayed_after_a_crash_is_no_duplicate_and_adds_no_event),
        cmocka_unit_test(other_bytes_under_the_same_uid_are_kept_as_a_conflict),
        cmocka_unit_test(a_restored_instance_may_share_the_uid_of_its_carrier),
        cmocka_unit_test(an_instance_without_hashes_is_indexed_too),
        cmocka_unit_test(text_that_is_no_utf8_is_stored_with_question_marks),
        cmocka_unit_test(two_threads_index_the_same_studies_at_once),
        cmocka_unit_test(a_pending_study_says_what_rules_need),
        cmocka_unit_test(studies_are_found_by_uid_and_by_accession_number),
        cmocka_unit_test(a_quarantined_instance_leaves_the_flow),
        cmocka_unit_test(the_same_report_twice_is_one_and_recovered_ones_stay_out),
        cmocka_unit_test(a_report_for_no_study_is_refused),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
