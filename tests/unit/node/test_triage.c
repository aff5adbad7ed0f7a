/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule does with each class of instance. */
#include "node/triage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void kind_and_pixels_make_the_class(void **state)
{
    (void)state;
    static const struct {
        enum db_kind kind;
        bool has_pixel_data;
        enum triage_class class;
    } cases[] = {
        {DB_ORIGINAL, true, TRIAGE_IMAGE},   {DB_ORIGINAL, false, TRIAGE_OBJECT},
        {DB_REPORT, false, TRIAGE_REPORT},   {DB_REPORT, true, TRIAGE_REPORT},
        {DB_CARRIER, true, TRIAGE_MARKED},   {DB_CARRIER, false, TRIAGE_MARKED},
        {DB_RESTORED, false, TRIAGE_MARKED},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        const struct db_instance instance = {.kind = cases[i].kind,
                                             .has_pixel_data = cases[i].has_pixel_data};
        assert_int_equal(triage_class_of(&instance), cases[i].class);
    }
}

/* Whatever the rule says about the others, images go its own way. */
static void an_image_goes_the_rules_own_way(void **state)
{
    (void)state;
    for (int objects = CONFIG_OBJECTS_SEND; objects <= CONFIG_OBJECTS_DROP; objects++) {
        for (int reports = CONFIG_REPORTS_SEAL; reports <= CONFIG_REPORTS_DROP; reports++) {
            const struct config_rule rule = {.objects = (enum config_objects)objects,
                                             .reports = (enum config_reports)reports,
                                             .has_protect = true};
            assert_int_equal(triage_of(TRIAGE_IMAGE, &rule).way, TRIAGE_RULE);
        }
    }
}

static void objects_and_reports_go_as_the_rule_answers(void **state)
{
    (void)state;
    static const enum triage_way objects[] = {[CONFIG_OBJECTS_SEND] = TRIAGE_SEND,
                                              [CONFIG_OBJECTS_HOLD] = TRIAGE_HOLD,
                                              [CONFIG_OBJECTS_DROP] = TRIAGE_DROP};
    static const enum triage_way reports[] = {[CONFIG_REPORTS_SEAL] = TRIAGE_SEAL,
                                              [CONFIG_REPORTS_SEND] = TRIAGE_SEND,
                                              [CONFIG_REPORTS_HOLD] = TRIAGE_HOLD,
                                              [CONFIG_REPORTS_DROP] = TRIAGE_DROP};
    for (int protects = 0; protects < 2; protects++) {
        for (int i = CONFIG_OBJECTS_SEND; i <= CONFIG_OBJECTS_DROP; i++) {
            const struct config_rule rule = {.objects = (enum config_objects)i,
                                             .reports = CONFIG_REPORTS_SEND,
                                             .has_protect = protects != 0};
            const struct triage t = triage_of(TRIAGE_OBJECT, &rule);
            assert_int_equal(t.way, objects[i]);
            assert_true(t.note[0] != '\0');
        }
        for (int i = CONFIG_REPORTS_SEAL; i <= CONFIG_REPORTS_DROP; i++) {
            const struct config_rule rule = {.reports = (enum config_reports)i,
                                             .has_protect = protects != 0};
            assert_int_equal(triage_of(TRIAGE_REPORT, &rule).way, reports[i]);
        }
    }
}

static void what_is_marked_is_never_protected_again(void **state)
{
    (void)state;
    const struct config_rule protects = {.has_protect = true, .objects = CONFIG_OBJECTS_DROP};
    const struct config_rule recovers = {.has_recover = true, .objects = CONFIG_OBJECTS_DROP};
    const struct config_rule forwards = {.objects = CONFIG_OBJECTS_DROP};
    assert_int_equal(triage_of(TRIAGE_MARKED, &protects).way, TRIAGE_SEND);
    assert_int_equal(triage_of(TRIAGE_MARKED, &recovers).way, TRIAGE_RULE);
    assert_int_equal(triage_of(TRIAGE_MARKED, &forwards).way, TRIAGE_RULE);
}

/* Untouched in either case, but with a sidecar only the plan can make, or the recoverer join. */
static void an_object_that_is_sent_goes_the_way_of_sidecars(void **state)
{
    (void)state;
    const struct config_rule beside = {.has_protect = true,
                                       .protect = {.unsuitable = CONFIG_UNSUITABLE_SIDECAR}};
    const struct config_rule alone = {.has_protect = true,
                                      .protect = {.unsuitable = CONFIG_UNSUITABLE_HOLD}};
    const struct config_rule recovers = {.has_recover = true};
    assert_int_equal(triage_of(TRIAGE_OBJECT, &beside).way, TRIAGE_RULE);
    assert_int_equal(triage_of(TRIAGE_OBJECT, &recovers).way, TRIAGE_RULE);
    assert_int_equal(triage_of(TRIAGE_OBJECT, &alone).way, TRIAGE_SEND);
}

/* `reports` does not go together with `recover`; `objects` does. */
static void a_recovering_rule_answers_for_objects_only(void **state)
{
    (void)state;
    const struct config_rule rule = {
        .has_recover = true, .objects = CONFIG_OBJECTS_HOLD, .reports = CONFIG_REPORTS_SEND};
    assert_int_equal(triage_of(TRIAGE_REPORT, &rule).way, TRIAGE_RULE);
    assert_int_equal(triage_of(TRIAGE_OBJECT, &rule).way, TRIAGE_HOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kind_and_pixels_make_the_class),
        cmocka_unit_test(an_image_goes_the_rules_own_way),
        cmocka_unit_test(objects_and_reports_go_as_the_rule_answers),
        cmocka_unit_test(what_is_marked_is_never_protected_again),
        cmocka_unit_test(an_object_that_is_sent_goes_the_way_of_sidecars),
        cmocka_unit_test(a_recovering_rule_answers_for_objects_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
