/* SPDX-License-Identifier: Apache-2.0 */
/* What a study has had before, for carriers and sidecars that come late. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static size_t named(int64_t study, const char *sop_uid, int64_t *first)
{
    struct db_instance *found = NULL;
    size_t n = 0;
    OK(db_study_planned_named(db, study, sop_uid, &found, &n, &err));
    *first = n > 0 ? found[0].id : 0;
    free(found);
    return n;
}

static bool owed(int64_t id)
{
    bool is_owed = false;
    OK(db_instance_is_owed(db, id, &is_owed, &err));
    return is_owed;
}

static void an_instance_is_found_by_its_uid_once_it_has_a_generation(void **state)
{
    (void)state;
    int64_t ids[2];
    int64_t first = 0;
    int generation = 0;
    const int64_t study = index_study(1, 2, ids);
    assert_int_equal(named(study, "1.2.3.1.1.1", &first), 0);
    OK(plan_study(study, ids, 2, "PEER", &generation));
    assert_int_equal(named(study, "1.2.3.1.1.1", &first), 1);
    assert_int_equal(first, ids[1]);
    assert_int_equal(named(study + 1000, "1.2.3.1.1.1", &first), 0);
    OK(db_instance_quarantine(db, ids[1], DB_UNVERIFIED, "for a test", &err));
    assert_int_equal(named(study, "1.2.3.1.1.1", &first), 0);
}

static void what_has_a_delivery_is_owed(void **state)
{
    (void)state;
    int64_t ids[2];
    int generation = 0;
    const int64_t study = index_study(2, 2, ids);
    assert_false(owed(ids[0]));
    OK(plan_study(study, ids, 1, "PEER", &generation));
    assert_true(owed(ids[0]));
    assert_false(owed(ids[1]));
}

static size_t carriers_to(int64_t study, const char *peer, const char *sop_uid,
                          struct db_sent_carrier out[4])
{
    struct db_sent_carrier *found = NULL;
    size_t n = 0;
    OK(db_study_carriers_to(db, study, peer, sop_uid, &found, &n, &err));
    assert_true(n <= 4);
    for (size_t i = 0; i < n; i++) {
        out[i] = found[i];
    }
    free(found);
    return n;
}

static void
carriers_of_every_generation_to_a_peer_are_known_and_the_second_of_a_uid_is_told(void **state)
{
    (void)state;
    struct db_sent_carrier c[4];
    struct sample s;
    struct db_indexed twin;
    int64_t ids[3];
    int generation = 0;
    const int64_t study = index_study(3, 3, ids);
    assert_int_equal(carriers_to(study, "PEER", "", c), 0);
    OK(plan_study(study, ids, 1, "PEER", &generation));
    OK(plan_study(study, &ids[1], 1, "OTHER", &generation));
    const struct db_received row = sample_row(&s, 3, 0, 9); /* the first one's UID, other bytes */
    OK(db_index(db, &row, 1, &twin, &err));
    OK(plan_study(study, &twin.instance_id, 1, "PEER", &generation));
    assert_int_equal(carriers_to(study, "PEER", "", c), 2);
    assert_int_equal(c[0].instance_id, ids[0]);
    assert_string_equal(c[0].sop_uid, "1.2.3.3.1.0");
    assert_string_equal(c[0].series_uid, "1.2.3.3.1");
    assert_int_equal(c[0].dataset_hash[0], 1);
    assert_false(c[0].is_second);
    assert_int_equal(c[1].instance_id, twin.instance_id);
    assert_int_equal(c[1].dataset_hash[0], 9);
    assert_true(c[1].is_second);
    assert_int_equal(carriers_to(study, "OTHER", "1.2.3.3.1.1", c), 1);
    assert_int_equal(carriers_to(study, "OTHER", "1.2.3.3.1.0", c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_is_found_by_its_uid_once_it_has_a_generation),
        cmocka_unit_test(what_has_a_delivery_is_owed),
        cmocka_unit_test(
            carriers_of_every_generation_to_a_peer_are_known_and_the_second_of_a_uid_is_told),
    };
    return cmocka_run_group_tests(tests, start_everything, stop_everything);
}
