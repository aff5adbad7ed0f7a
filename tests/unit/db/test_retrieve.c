/* SPDX-License-Identifier: Apache-2.0 */
/* Which instances a retrieval is about, and what is needed to send them. */
#include "db/retrieve.h"

#include "tests/unit/db/fixture.h"

#define ALL_KINDS (DB_KINDS(DB_ORIGINAL) | DB_KINDS(DB_RESTORED) | DB_KINDS(DB_REPORT))

static struct db_indexed add(unsigned study, unsigned instance, uint8_t salt, enum db_kind kind)
{
    struct sample s;
    struct db_indexed indexed;
    struct db_received row = sample_row(&s, study, instance, salt);
    row.kind = kind;
    row.patient_id = study == 71 ? "P1" : "P2";
    OK(db_index(db, &row, 1, &indexed, &err));
    return indexed;
}

static size_t ids_of(const struct db_retrieve *what, int64_t **ids)
{
    size_t count = 0;
    OK(db_retrieve_ids(db, what, ids, &count, &err));
    return count;
}

static size_t count_of(struct db_retrieve what)
{
    int64_t *ids = NULL;
    what.kinds = what.kinds == 0 ? ALL_KINDS : what.kinds;
    const size_t count = ids_of(&what, &ids);
    free(ids);
    return count;
}

#define KEY(...)                                                                                   \
    {                                                                                              \
        (const char *const[]){__VA_ARGS__},                                                        \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)                      \
    }

static int fill(void **state)
{
    if (start_everything(state) != 0) {
        return 1;
    }
    for (unsigned i = 1; i <= 5; i++) {
        (void)add(71, i, 1, DB_ORIGINAL);
        (void)add(72, i, 1, DB_ORIGINAL);
    }
    (void)add(72, 6, 1, DB_CARRIER);
    (void)add(72, 7, 1, DB_RESTORED);
    return 0;
}

static void each_key_chooses_and_all_of_them_hold(void **state)
{
    (void)state;
    assert_int_equal(count_of((struct db_retrieve){.patients = KEY("P1")}), 5);
    assert_int_equal(count_of((struct db_retrieve){.studies = KEY("1.2.3.71", "1.2.3.72")}), 11);
    assert_int_equal(count_of((struct db_retrieve){.studies = KEY("1.2.3.71")}), 5);
    assert_int_equal(
        count_of((struct db_retrieve){.patients = KEY("P2"), .studies = KEY("1.2.3.71")}), 0);
    assert_int_equal(count_of((struct db_retrieve){
                         .studies = KEY("1.2.3.72"),
                         .series = KEY("1.2.3.72.1"),
                         .instances = KEY("1.2.3.72.1.2", "1.2.3.72.1.3", "1.2.3.71.1.2")}),
                     2);
    assert_int_equal(count_of((struct db_retrieve){.series = KEY("1.2.3.72.1")}), 6);
    assert_int_equal(count_of((struct db_retrieve){.instances = KEY("1.2.3.4")}), 0);
    struct db_retrieve nothing = {.kinds = ALL_KINDS};
    int64_t *ids = NULL;
    size_t count = 0;
    assert_int_equal(db_retrieve_ids(db, &nothing, &ids, &count, &err), DS_EINVAL);
    assert_null(ids);
}

static void a_view_has_its_kinds(void **state)
{
    (void)state;
    assert_int_equal(
        count_of((struct db_retrieve){.kinds = DB_KINDS(DB_CARRIER), .studies = KEY("1.2.3.72")}),
        1);
    assert_int_equal(
        count_of((struct db_retrieve){.kinds = DB_KINDS(DB_RESTORED), .studies = KEY("1.2.3.72")}),
        1);
}

/* Of two with one UID the newest; without that the one before it again. */
static void what_is_not_shown_is_not_retrieved(void **state)
{
    (void)state;
    const struct db_retrieve what = {.kinds = ALL_KINDS, .instances = KEY("1.2.3.71.1.1")};
    const struct db_indexed newer = add(71, 1, 9, DB_ORIGINAL);
    int64_t *ids = NULL;
    assert_int_equal(ids_of(&what, &ids), 1);
    assert_int_equal(ids[0], newer.instance_id);
    struct db_instance page[2];
    size_t found = 0;
    OK(db_retrieve_page(db, ALL_KINDS, ids, 1, page, &found, &err));
    assert_int_equal(found, 1);
    assert_int_equal(page[0].id, newer.instance_id);
    assert_string_equal(page[0].sop_uid, "1.2.3.71.1.1");
    assert_string_equal(page[0].path, "/archive/71/1-9.dcm");
    /* Between the two questions it goes into quarantine. */
    OK(db_instance_quarantine(db, newer.instance_id, DB_DAMAGED, "test", &err));
    OK(db_retrieve_page(db, ALL_KINDS, ids, 1, page, &found, &err));
    assert_int_equal(found, 0);
    free(ids);
    assert_int_equal(ids_of(&what, &ids), 1);
    assert_int_not_equal(ids[0], newer.instance_id);
    free(ids);
    assert_int_equal(ask("WITH u AS (UPDATE instances SET deleted_at = now() WHERE sop_uid = "
                         "'1.2.3.71.1.1' AND quarantined_at IS NULL RETURNING 1) "
                         "SELECT count(*) FROM u"),
                     1);
    assert_int_equal(count_of(what), 0);
}

static void a_page_keeps_the_order_it_was_asked_in(void **state)
{
    (void)state;
    const struct db_retrieve what = {.kinds = ALL_KINDS, .studies = KEY("1.2.3.72")};
    int64_t *ids = NULL;
    const size_t count = ids_of(&what, &ids);
    assert_int_equal(count, 6);
    const int64_t turned[] = {ids[5], ids[0], -1, ids[3]};
    struct db_instance page[4];
    size_t found = 0;
    OK(db_retrieve_page(db, ALL_KINDS, turned, 4, page, &found, &err));
    assert_int_equal(found, 3);
    assert_int_equal(page[0].id, ids[5]);
    assert_int_equal(page[1].id, ids[0]);
    assert_int_equal(page[2].id, ids[3]);
    free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_chooses_and_all_of_them_hold),
        cmocka_unit_test(a_view_has_its_kinds),
        cmocka_unit_test(a_page_keeps_the_order_it_was_asked_in),
        cmocka_unit_test(what_is_not_shown_is_not_retrieved),
    };
    return cmocka_run_group_tests(tests, fill, stop_everything);
}
