/* SPDX-License-Identifier: Apache-2.0 */
#include "node/completer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000LL

static struct config_rule rule_of_a_minute(void)
{
    return (struct config_rule){.complete_after_ms = 60000};
}

static void a_study_is_due_after_the_rules_silence(void **state)
{
    (void)state;
    const struct config_rule rule = rule_of_a_minute();
    struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND - 1, .age_us = 900 * SECOND};
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_NOT_YET);
    study.idle_us = 60 * SECOND;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_DUE);
}

static void a_study_waits_for_its_report_and_goes_when_it_comes(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    struct db_pending_study study = {.pending = 1, .idle_us = 60 * SECOND, .age_us = 3599 * SECOND};
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_WAITS_FOR_REPORT);
    study.reports = 1;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_DUE);
    study.idle_us = 1;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_NOT_YET);
}

static void after_the_wait_the_rule_says_send_or_hold(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    const struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND, .age_us = 3600 * SECOND};
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_HELD);
    rule.report_send_without = true;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_DUE);
}

static void carriers_bring_their_report_and_do_not_wait(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    rule.waits_for_report = true;
    rule.report_wait_ms = 3600000;
    const struct db_pending_study study = {
        .pending = 1, .idle_us = 60 * SECOND, .has_carrier = true};
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_DUE);
}

static void without_a_rule_a_study_is_filed_after_a_minute(void **state)
{
    (void)state;
    struct db_pending_study study = {.pending = 1, .idle_us = 59 * SECOND};
    assert_int_equal(completer_judge(NULL, &study), COMPLETER_NOT_YET);
    study.idle_us = 60 * SECOND;
    assert_int_equal(completer_judge(NULL, &study), COMPLETER_DUE);
}

static void a_report_that_came_after_its_study_is_due_where_the_rule_seals(void **state)
{
    (void)state;
    struct config_rule rule = rule_of_a_minute();
    struct db_pending_study study = {.pending = 0, .reports = 1, .idle_us = 60 * SECOND};
    assert_int_equal(completer_judge(NULL, &study), COMPLETER_NOT_YET);
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_NOT_YET);
    rule.has_protect = true;
    rule.protect.payload = CONFIG_PAYLOAD_INTEGRITY;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_NOT_YET);
    rule.protect.payload = CONFIG_PAYLOAD_REPORT;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_DUE);
    study.idle_us = 59 * SECOND;
    assert_int_equal(completer_judge(&rule, &study), COMPLETER_NOT_YET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_is_due_after_the_rules_silence),
        cmocka_unit_test(a_study_waits_for_its_report_and_goes_when_it_comes),
        cmocka_unit_test(after_the_wait_the_rule_says_send_or_hold),
        cmocka_unit_test(carriers_bring_their_report_and_do_not_wait),
        cmocka_unit_test(a_report_that_came_after_its_study_is_due_where_the_rule_seals),
        cmocka_unit_test(without_a_rule_a_study_is_filed_after_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
