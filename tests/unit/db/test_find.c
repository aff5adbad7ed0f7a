/* SPDX-License-Identifier: Apache-2.0 */
/* What queries find: every comparison, at every level, and what they never show. */
#include "tests/unit/db/fixture.h"

#include "db/find.h"

#include <stdlib.h>
#include <string.h>

#define TAG(group, element) ((uint32_t)(group) << 16 | (uint32_t)(element))
#define PATIENT_NAME        TAG(0x0010, 0x0010)
#define PATIENT_ID          TAG(0x0010, 0x0020)
#define STUDY_UID           TAG(0x0020, 0x000d)
#define SERIES_UID          TAG(0x0020, 0x000e)
#define SOP_UID             TAG(0x0008, 0x0018)
#define STUDY_DATE          TAG(0x0008, 0x0020)
#define STUDY_TIME          TAG(0x0008, 0x0030)
#define MODALITIES          TAG(0x0008, 0x0061)
#define MODALITY            TAG(0x0008, 0x0060)
#define INSTANCE_NUMBER     TAG(0x0020, 0x0013)
#define REQUESTS            TAG(0x0040, 0x0275)
#define ALL                 (DB_KINDS(DB_ORIGINAL) | DB_KINDS(DB_RESTORED) | DB_KINDS(DB_REPORT))

struct answers {
    char text[4096]; /* values with blanks between them, matches with | behind them */
    size_t columns, count, stop_at;
};

static bool take(void *context, const char *const *values)
{
    struct answers *a = context;
    for (size_t i = 0; i < a->columns; i++) {
        const size_t len = strlen(a->text);
        (void)snprintf(a->text + len, sizeof(a->text) - len, "%s%s", values[i],
                       i + 1 < a->columns ? " " : "|");
    }
    return ++a->count != a->stop_at;
}

/* Runs one query for one attribute. */
static struct answers find(enum db_level level, unsigned kinds, uint32_t wanted,
                           const struct db_condition *conditions, size_t count)
{
    struct answers a = {.columns = 1};
    const struct db_wanted w = {level, wanted};
    const struct db_query q = {level, kinds, conditions, count, &w, 1, 100000};
    bool more = true;
    OK(db_find(db, &q, take, &a, &more, &err));
    assert_false(more);
    return a;
}

#define CONDITION(LEVEL, TAG_, HOW, ...)                                                           \
    {                                                                                              \
        .level = (LEVEL), .tag = (TAG_), .how = (HOW),                                             \
        .values = (const char *const[]){__VA_ARGS__},                                              \
        .count = DS_ARRAY_SIZE(((const char *const[]){__VA_ARGS__}))                               \
    }

static void expect(enum db_level level, uint32_t wanted, struct db_condition c,
                   const char *expected)
{
    const struct answers a = find(level, ALL, wanted, &c, 1);
    assert_string_equal(a.text, expected);
}

static int64_t put(unsigned study, unsigned instance, enum db_kind kind, const char *patient_id,
                   const char *name, const char *key, const char *date, const char *time,
                   const char *modality)
{
    struct sample s;
    struct db_received row = sample_row(&s, study, instance, (uint8_t)(kind + 1));
    char study_json[128];
    char instance_json[128];
    char series[80];
    (void)snprintf(study_json, sizeof(study_json), "{\"00080030\": \"%s\"}", time);
    (void)snprintf(instance_json, sizeof(instance_json),
                   "{\"00200013\": \"%u\", \"00080008\": \"ORIGINAL\\\\PRIMARY\\\\AXIAL\"}",
                   instance);
    (void)snprintf(series, sizeof(series), "%s.%s", s.study, modality[0] == 'C' ? "1" : "2");
    row.kind = kind;
    row.patient_id = patient_id;
    row.patient_name = name;
    row.study_date = date;
    row.modality = modality;
    row.series_uid = series;
    row.attributes = (struct db_attributes){
        .study = study_json,
        .series = "{\"00400275\": [{\"00400009\": \"SPS1\", \"00401001\": \"RP1\"}, "
                  "{\"00400009\": \"SPS2\", \"00401001\": \"RP2\"}]}",
        .instance = instance_json,
        .name_key = key,
        .name_words = " mueller ~M460 "};
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    return done.instance_id;
}

static int fill(void **state)
{
    const int started = start_everything(state);
    (void)put(1, 1, DB_ORIGINAL, "P-1", "M\xc3\xbcller^Anna", "m\xc3\xbcller^anna", "20200131",
              "101500", "CT");
    (void)put(1, 2, DB_ORIGINAL, "P-1", "M\xc3\xbcller^Anna", "m\xc3\xbcller^anna", "20200131",
              "101500", "CT");
    (void)put(1, 3, DB_ORIGINAL, "P-1", "", "", "", "", "SR");
    (void)put(2, 1, DB_ORIGINAL, "P_1", "Yamada=\xe5\xb1\xb1=x", "yamada=\xe5\xb1\xb1=x",
              "2020.02.01", "235959.5", "MR");
    (void)put(3, 1, DB_CARRIER, "P-3", "C", "c", "20210101", "", "CT");
    (void)put(4, 1, DB_RESTORED, "P-1", "M\xc3\xbcller^Anna", "m\xc3\xbcller^anna", "20220101", "",
              "CT");
    return started;
}

static void every_comparison_finds_what_it_should(void **state)
{
    (void)state;
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_EQUAL, "P-1"),
           "1.2.3.1|1.2.3.4|");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_EQUAL, "P_1",
                                          "nobody"),
           "1.2.3.2|");
    /* _ and % are characters like others, ? and * are not */
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_LIKE, "P_*"),
           "1.2.3.2|");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_LIKE, "P?1"),
           "1.2.3.1|1.2.3.2|1.2.3.4|");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_LIKE, "%"), "");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_NAME, DB_COMPARE_NAME,
                                          "m\xc3\xbcll*"),
           "1.2.3.1|1.2.3.4|");
    /* one component group is enough */
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_NAME, DB_COMPARE_NAME,
                                          "\xe5\xb1\xb1"),
           "1.2.3.2|");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_NAME, DB_COMPARE_NAME, "yam"),
           "");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_NAME, DB_COMPARE_WORDS, "~M460",
                                          "?"),
           "1.2.3.1|1.2.3.2|1.2.3.4|");
}

static void ranges_hold_their_ends_and_no_empty_value(void **state)
{
    (void)state;
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_STUDY, STUDY_DATE, DB_COMPARE_DATE, "20200131",
                                          "20200201"),
           "1.2.3.1|1.2.3.2|");
    expect(
        DB_LEVEL_STUDY, STUDY_UID,
        (struct db_condition)CONDITION(DB_LEVEL_STUDY, STUDY_DATE, DB_COMPARE_DATE, "20200201", ""),
        "1.2.3.2|1.2.3.4|");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_STUDY, STUDY_TIME, DB_COMPARE_TIME, "",
                                          "235959500000"),
           "1.2.3.1|1.2.3.2|");
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_STUDY, STUDY_TIME, DB_COMPARE_TIME,
                                          "101500000000", "101500000000"),
           "1.2.3.1|");
}

static void lower_levels_and_sums(void **state)
{
    (void)state;
    expect(DB_LEVEL_STUDY, STUDY_UID,
           (struct db_condition)CONDITION(DB_LEVEL_STUDY, MODALITIES, DB_COMPARE_EQUAL, "SR", "PT"),
           "1.2.3.1|");
    expect(DB_LEVEL_STUDY, MODALITIES,
           (struct db_condition)CONDITION(DB_LEVEL_STUDY, STUDY_UID, DB_COMPARE_EQUAL, "1.2.3.1"),
           "CT\\SR|");
    expect(DB_LEVEL_STUDY, TAG(0x0020, 0x1208),
           (struct db_condition)CONDITION(DB_LEVEL_STUDY, STUDY_UID, DB_COMPARE_EQUAL, "1.2.3.1"),
           "3|");
    expect(DB_LEVEL_PATIENT, TAG(0x0020, 0x1200),
           (struct db_condition)CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_EQUAL, "P-1"),
           "2|");
    expect(DB_LEVEL_SERIES, SERIES_UID,
           (struct db_condition)CONDITION(DB_LEVEL_SERIES, MODALITY, DB_COMPARE_LIKE, "C?"),
           "1.2.3.1.1|1.2.3.4.1|");
    expect(
        DB_LEVEL_IMAGE, SOP_UID,
        (struct db_condition)CONDITION(DB_LEVEL_IMAGE, INSTANCE_NUMBER, DB_COMPARE_NUMBER, "02.0"),
        "1.2.3.1.1.2|");
    struct db_condition type =
        CONDITION(DB_LEVEL_IMAGE, TAG(0x0008, 0x0008), DB_COMPARE_LIKE, "AX*");
    type.is_multiple = true;
    assert_int_equal(find(DB_LEVEL_IMAGE, ALL, SOP_UID, &type, 1).count, 5);
    type.is_multiple = false;
    assert_int_equal(find(DB_LEVEL_IMAGE, ALL, SOP_UID, &type, 1).count, 0);
}

static void all_keys_of_a_sequence_hold_of_one_item(void **state)
{
    (void)state;
    struct db_condition c[] = {
        CONDITION(DB_LEVEL_SERIES, TAG(0x0040, 0x0009), DB_COMPARE_EQUAL, "SPS1"),
        CONDITION(DB_LEVEL_SERIES, TAG(0x0040, 0x1001), DB_COMPARE_EQUAL, "RP1"),
        CONDITION(DB_LEVEL_STUDY, STUDY_UID, DB_COMPARE_EQUAL, "1.2.3.2"),
    };
    c[0].sequence = c[1].sequence = REQUESTS;
    assert_int_equal(find(DB_LEVEL_SERIES, ALL, SERIES_UID, c, 3).count, 1);
    c[1].values = (const char *const[]){"RP2"}; /* of the other item */
    assert_int_equal(find(DB_LEVEL_SERIES, ALL, SERIES_UID, c, 3).count, 0);
}

static void views_are_apart(void **state)
{
    (void)state;
    assert_string_equal(find(DB_LEVEL_STUDY, DB_KINDS(DB_CARRIER), STUDY_UID, NULL, 0).text,
                        "1.2.3.3|");
    assert_string_equal(find(DB_LEVEL_STUDY, DB_KINDS(DB_RESTORED), STUDY_UID, NULL, 0).text,
                        "1.2.3.4|");
    assert_string_equal(find(DB_LEVEL_STUDY, ALL, STUDY_UID, NULL, 0).text,
                        "1.2.3.1|1.2.3.2|1.2.3.4|");
    /* a patient once, as his newest study in the view has him */
    assert_string_equal(find(DB_LEVEL_PATIENT, ALL, PATIENT_ID, NULL, 0).text, "P_1|P-1|");
}

static void what_is_deleted_or_in_quarantine_is_not_shown(void **state)
{
    (void)state;
    const int64_t id = put(20, 1, DB_ORIGINAL, "P-20", "Q", "q", "20200101", "", "CT");
    const struct db_condition c = CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_EQUAL, "P-20");
    assert_int_equal(find(DB_LEVEL_STUDY, ALL, STUDY_UID, &c, 1).count, 1);
    OK(db_instance_quarantine(db, id, DB_DAMAGED, "a reason", &err));
    for (enum db_level level = DB_LEVEL_PATIENT; level <= DB_LEVEL_IMAGE; level++) {
        assert_int_equal(find(level, ALL, PATIENT_ID, &c, 1).count, 0);
    }
}

static void of_one_uid_the_newest_is_shown(void **state)
{
    (void)state;
    (void)put(21, 1, DB_ORIGINAL, "P-21", "Q", "q", "20200101", "", "CT");
    (void)put(21, 1, DB_RESTORED, "P-21", "Q", "q", "20200101", "", "CT");
    const struct db_condition c = CONDITION(DB_LEVEL_PATIENT, PATIENT_ID, DB_COMPARE_EQUAL, "P-21");
    assert_int_equal(find(DB_LEVEL_IMAGE, ALL, SOP_UID, &c, 1).count, 1);
    assert_int_equal(find(DB_LEVEL_IMAGE, DB_KINDS(DB_ORIGINAL), SOP_UID, &c, 1).count, 1);
    assert_string_equal(find(DB_LEVEL_STUDY, ALL, TAG(0x0020, 0x1208), &c, 1).text, "1|");
}

static void many_matches_come_in_pages_and_end_at_the_bound(void **state)
{
    (void)state;
    int64_t ids[STUDY_MAX];
    for (unsigned study = 500; study < 506; study++) {
        (void)index_study(study, STUDY_MAX, ids);
    }
    const struct db_condition c =
        CONDITION(DB_LEVEL_STUDY, STUDY_UID, DB_COMPARE_LIKE, "1.2.3.50?");
    const struct db_wanted w = {DB_LEVEL_IMAGE, SOP_UID};
    struct db_query q = {DB_LEVEL_IMAGE, ALL, &c, 1, &w, 1, 768};
    struct answers a = {.columns = 0};
    bool more = true;
    OK(db_find(db, &q, take, &a, &more, &err));
    assert_int_equal(a.count, 768);
    assert_false(more);
    for (q.max = 767; q.max > 0; q.max /= 3) { /* on either side of a page */
        a.count = 0;
        OK(db_find(db, &q, take, &a, &more, &err));
        assert_int_equal(a.count, q.max);
        assert_true(more);
    }
    q.max = 1000;
    a = (struct answers){.columns = 0, .stop_at = 300};
    OK(db_find(db, &q, take, &a, &more, &err));
    assert_int_equal(a.count, 300);
}

static void values_are_values(void **state)
{
    (void)state;
    static const char *const nasty[] = {"'; DROP TABLE studies; --", "\\", "%", "*\\", "@", "$1"};
    for (size_t i = 0; i < DS_ARRAY_SIZE(nasty); i++) {
        for (enum db_comparison how = DB_COMPARE_EQUAL; how <= DB_COMPARE_WORDS; how++) {
            if (how == DB_COMPARE_NUMBER) {
                continue; /* takes numbers */
            }
            const struct db_condition c = {.level = DB_LEVEL_PATIENT,
                                           .tag = PATIENT_ID,
                                           .how = how,
                                           .values = &nasty[i],
                                           .count = 1};
            (void)find(DB_LEVEL_STUDY, DB_KINDS(DB_CARRIER), STUDY_UID, &c, 1);
        }
    }
    assert_true(ask("SELECT count(*) FROM studies") > 0);
}

static void what_was_there_before_is_described_later(void **state)
{
    (void)state;
    struct sample s;
    struct db_received row = sample_row(&s, 30, 1, 1);
    struct db_indexed done;
    OK(db_index(db, &row, 1, &done, &err));
    struct db_undescribed *found = NULL;
    size_t count = 0;
    OK(db_undescribed(db, done.instance_id - 1, 10, &found, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(found[0].instance_id, done.instance_id);
    assert_string_equal(found[0].path, s.path);
    row.attributes.instance = "{\"00200013\": \"77\"}";
    row.attributes.study = "{\"00080030\": \"070707\"}";
    row.attributes.name_key = "late";
    OK(db_describe(db, &done.instance_id, &row, 1, &err));
    const struct db_condition c =
        CONDITION(DB_LEVEL_IMAGE, INSTANCE_NUMBER, DB_COMPARE_NUMBER, "77");
    assert_int_equal(find(DB_LEVEL_IMAGE, ALL, SOP_UID, &c, 1).count, 1);
    const struct db_condition late =
        CONDITION(DB_LEVEL_PATIENT, PATIENT_NAME, DB_COMPARE_NAME, "late");
    assert_string_equal(find(DB_LEVEL_STUDY, ALL, STUDY_TIME, &late, 1).text, "070707|");
    free(found);
    OK(db_undescribed(db, done.instance_id - 1, 10, &found, &count, &err));
    assert_int_equal(count, 0);
}

static void too_many_conditions_are_refused(void **state)
{
    (void)state;
    const struct db_condition one = CONDITION(DB_LEVEL_PATIENT, PATIENT_NAME, DB_COMPARE_NAME, "a");
    struct db_condition many[DB_CONDITIONS_MAX + 1];
    for (size_t i = 0; i < DS_ARRAY_SIZE(many); i++) {
        many[i] = one;
    }
    struct db_query q = {.level = DB_LEVEL_STUDY, .kinds = ALL, .conditions = many, .max = 1};
    bool more;
    q.condition_count = DS_ARRAY_SIZE(many);
    assert_int_equal(db_find(db, &q, take, NULL, &more, &err), DS_ECAPACITY);
    q.condition_count = DB_CONDITIONS_MAX; /* four values each: more than a statement takes */
    assert_int_equal(db_find(db, &q, take, NULL, &more, &err), DS_ECAPACITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_comparison_finds_what_it_should),
        cmocka_unit_test(ranges_hold_their_ends_and_no_empty_value),
        cmocka_unit_test(lower_levels_and_sums),
        cmocka_unit_test(all_keys_of_a_sequence_hold_of_one_item),
        cmocka_unit_test(views_are_apart),
        cmocka_unit_test(what_is_deleted_or_in_quarantine_is_not_shown),
        cmocka_unit_test(of_one_uid_the_newest_is_shown),
        cmocka_unit_test(many_matches_come_in_pages_and_end_at_the_bound),
        cmocka_unit_test(values_are_values),
        cmocka_unit_test(what_was_there_before_is_described_later),
        cmocka_unit_test(too_many_conditions_are_refused),
    };
    return cmocka_run_group_tests(tests, fill, stop_everything);
}
