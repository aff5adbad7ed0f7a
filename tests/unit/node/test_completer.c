/* SPDX-License-Identifier: Apache-2.0 */
#include "node/completer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000LL

static struct config_rule rule_of_a_minute(void)
{
    return (struct config_rule){.complete_after_ms = 60000,
                                .complete_at_most_ms = INT64_C(1) << 40};
}

static void a_study_is_due_after_the_rules_silence(void **state)
{
    (void)state;
    const struct config_rule rule = rule_of_a_minute();
    struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND - 1, .age_us = 900 * SECOND};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
    study.idle_us = 60 * SECOND;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

static void a_study_waits_for_its_report_and_goes_when_it_comes(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    struct db_pending_study study = {.pending = 1, .idle_us = 60 * SECOND, .age_us = 3599 * SECOND};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_WAITS_FOR_REPORT);
    study.reports = 1;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
    study.idle_us = 1;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
}

static void what_comes_after_its_report_was_sent_does_not_wait_for_another(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    const struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND, .age_us = 60 * SECOND, .had_report = true};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

static void after_the_wait_the_rule_says_send_or_hold(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    const struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND, .age_us = 3600 * SECOND};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_HELD);
    rule.report_send_without = true;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

static void carriers_bring_their_report_and_do_not_wait(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    const struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND, .has_carrier = true};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

static void without_a_rule_a_study_is_filed_after_a_minute(void **state)
{
    (void)state;
    struct db_pending_study study = {.pending = 1, .idle_us = 59 * SECOND};
    assert_int_equal(completer_judge(NULL, &study, false), COMPLETER_NOT_YET);
    study.idle_us = 60 * SECOND;
    assert_int_equal(completer_judge(NULL, &study, false), COMPLETER_DUE);
}

static void a_report_that_came_after_its_study_is_due_where_the_rule_seals(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    struct db_pending_study study = {.pending = 0, .reports = 1, .idle_us = 60 * SECOND};
    assert_int_equal(completer_judge(NULL, &study, false), COMPLETER_NOT_YET);
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
    rule.has_protect = true;
    rule.protect.payload = CONFIG_PAYLOAD_INTEGRITY;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
    rule.protect.payload = CONFIG_PAYLOAD_REPORT;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
    study.idle_us = 59 * SECOND;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
}

static void a_study_that_trickles_is_due_after_the_longest_time(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.complete_at_most_ms = 1800000;
    struct db_pending_study study = {.pending = 9, .idle_us = 1, .age_us = 1800 * SECOND - 1};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
    study.age_us++;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

static void without_silence_each_instance_is_due_as_it_comes(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.complete_after_ms = 0;
    /* Others are still to be indexed: these need not wait for them. */
    const struct db_pending_study study = {.pending = 1, .idle_us = -5 * SECOND};
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

static void only_who_the_rule_hears_says_that_a_study_is_complete(void **state)
{
    (void)state;
    static const struct {
        enum db_hint hint;
        unsigned heard;
    } cases[] = {{DB_HINT_COMMITMENT, CONFIG_ON_COMMITMENT}, {DB_HINT_REPORT, CONFIG_ON_REPORT}};
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        struct config_rule rule = rule_of_a_minute();
        struct db_pending_study study = {.pending = 1, .idle_us = 1};
        study.hint_us[cases[i].hint] = 1;
        rule.complete_on = ~cases[i].heard;
        assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
        rule.complete_on = cases[i].heard;
        assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
        study.hint_us[cases[i].hint] = 0;
        assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_NOT_YET);
    }
}

static void a_study_that_has_all_of_its_source_is_due_and_waits_for_its_report(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    const struct db_pending_study study = {.pending = 1, .idle_us = 1};
    assert_int_equal(completer_judge(&rule, &study, true), COMPLETER_DUE);
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    assert_int_equal(completer_judge(&rule, &study, true), COMPLETER_WAITS_FOR_REPORT);
}

static void the_operators_word_ends_every_wait(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    struct db_pending_study study = {.pending = 1, .idle_us = 1};
    study.hint_us[DB_HINT_OPERATOR] = 1;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
    assert_int_equal(completer_judge(NULL, &study, false), COMPLETER_DUE);
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    assert_int_equal(completer_judge(&rule, &study, false), COMPLETER_DUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_is_due_after_the_rules_silence),
        cmocka_unit_test(a_study_waits_for_its_report_and_goes_when_it_comes),
        cmocka_unit_test(what_comes_after_its_report_was_sent_does_not_wait_for_another),
        cmocka_unit_test(after_the_wait_the_rule_says_send_or_hold),
        cmocka_unit_test(carriers_bring_their_report_and_do_not_wait),
        cmocka_unit_test(a_report_that_came_after_its_study_is_due_where_the_rule_seals),
        cmocka_unit_test(without_a_rule_a_study_is_filed_after_a_minute),
        cmocka_unit_test(a_study_that_trickles_is_due_after_the_longest_time),
        cmocka_unit_test(without_silence_each_instance_is_due_as_it_comes),
        cmocka_unit_test(only_who_the_rule_hears_says_that_a_study_is_complete),
        cmocka_unit_test(a_study_that_has_all_of_its_source_is_due_and_waits_for_its_report),
        cmocka_unit_test(the_operators_word_ends_every_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
