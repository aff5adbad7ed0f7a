/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule answers to objects, reports, measurements and collisions: defaults and nonsense. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "node: {ae_title: A, key: k.pem, certificate: c.pem}\n"                                        \
    "peers: {P: {ae_title: PP, host: p.example, port: 104, certificate: p.pem}}\n"                 \
    "rules:\n- name: r\n  send_to: [P]\n"

static struct ds_error err;

static enum ds_status load(struct config **out, const char *rest)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "%s%s", HEAD, rest);
    return config_load_text(out, "t.yaml", (const uint8_t *)text, strlen(text), &err);
}

static struct config *loaded(const char *rest)
{
    struct config *c;
    if (load(&c, rest) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static void refused(const char *rest, const char *at, const char *word)
{
    struct config *c;
    assert_int_equal(load(&c, rest), DS_ECONFIG);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "t.yaml:%s: ", at);
    if (strncmp(err.text, expected, strlen(expected)) != 0 || strstr(err.text, word) == NULL) {
        fail_msg("'%s' is not '%s' with '%s'", err.text, expected, word);
    }
}

static void left_out_everything_is_sent_and_reports_follow_the_payload(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        enum config_reports reports;
    } cases[] = {
        {"", CONFIG_REPORTS_SEND},
        {"  recover: {}\n", CONFIG_REPORTS_SEND},
        {"  protect: {recipients: P}\n", CONFIG_REPORTS_SEAL},
        {"  protect: {payload: integrity}\n", CONFIG_REPORTS_HOLD},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        struct config *c = loaded(cases[i].rest);
        assert_int_equal(c->rules[0].objects, CONFIG_OBJECTS_SEND);
        assert_int_equal(c->rules[0].collision, CONFIG_COLLISION_NEWEST);
        assert_int_equal(c->rules[0].protect.measurement, 0);
        assert_int_equal(c->rules[0].reports, cases[i].reports);
        config_free(c);
    }
}

static void every_answer_reaches_its_place(void **state)
{
    (void)state;
    struct config *c = loaded("  objects: drop\n  reports: send\n  collision: both\n"
                              "  protect: {recipients: P, measurement: [pet, rt_dose]}\n");
    assert_int_equal(c->rules[0].objects, CONFIG_OBJECTS_DROP);
    assert_int_equal(c->rules[0].reports, CONFIG_REPORTS_SEND);
    assert_int_equal(c->rules[0].collision, CONFIG_COLLISION_BOTH);
    assert_int_equal(c->rules[0].protect.measurement,
                     CONFIG_MEASURES_PET | CONFIG_MEASURES_RT_DOSE);
    config_free(c);
    c = loaded("  objects: hold\n  reports: hold\n  collision: first\n");
    assert_int_equal(c->rules[0].objects, CONFIG_OBJECTS_HOLD);
    assert_int_equal(c->rules[0].reports, CONFIG_REPORTS_HOLD);
    assert_int_equal(c->rules[0].collision, CONFIG_COLLISION_FIRST);
    config_free(c);
    c = loaded("  collision: hold\n  reports: drop\n"
               "  protect: {payload: integrity, measurement: segmentation}\n");
    assert_int_equal(c->rules[0].collision, CONFIG_COLLISION_HOLD);
    assert_int_equal(c->rules[0].reports, CONFIG_REPORTS_DROP);
    assert_int_equal(c->rules[0].protect.measurement, CONFIG_MEASURES_SEGMENTATION);
    config_free(c);
}

static void an_answer_that_is_none_is_refused_at_its_place(void **state)
{
    (void)state;
    refused("  objects: seal\n", "6:12", "send, hold, drop");
    refused("  reports: pass\n", "6:12", "seal, send, hold, drop");
    refused("  collision: last\n", "6:14", "newest, first, both, hold");
    refused("  protect: {recipients: P, measurement: [pet, nm]}\n", "6:47", "parametric_map");
}

static void answers_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    refused("  reports: seal\n", "6:12", "payload: report");
    refused("  reports: seal\n  protect: {payload: integrity}\n", "6:12", "payload: report");
    refused("  recover: {}\n  reports: send\n", "7:12", "report_as");
    refused("  reports: drop\n  report: {wait: 1 h}\n", "7:11", "throws away");
    /* Files of the drop folder are still sealed: there is something to wait for. */
    config_free(loaded("  reports: drop\n  report: {wait: 1 h}\n  protect: {recipients: P}\n"));
}

static void an_ae_title_stands_for_one_view(void **state)
{
    (void)state;
    struct config *c = loaded("");
    assert_int_equal(c->query.max_results, 10000);
    assert_false(c->query.fuzzy_names);
    assert_int_equal(config_view_of(c, "A"), CONFIG_VIEW_ORIGINALS);
    config_free(c);
    c = loaded(
        "query: {views: {carriers: [C1, C2], restored: R}, max_results: 5, fuzzy_names: true}\n");
    assert_int_equal(config_view_of(c, "C1"), CONFIG_VIEW_CARRIERS);
    assert_int_equal(config_view_of(c, "C2"), CONFIG_VIEW_CARRIERS);
    assert_int_equal(config_view_of(c, "R"), CONFIG_VIEW_RESTORED);
    assert_int_equal(config_view_of(c, "c1"), CONFIG_VIEW_ORIGINALS);
    assert_int_equal(c->query.max_results, 5);
    assert_true(c->query.fuzzy_names);
    config_free(c);
    refused("query: {views: {carriers: A}}\n", "6:16", "two views");
    refused("query: {views: {carriers: X, restored: [Y, X]}}\n", "6:16", "two views");
    refused("query: {views: {originals: X}}\n", "6:17", "carriers, restored");
    refused("query: {max_results: 0}\n", "6:22", "1");
    refused("query: {views: {carriers: SEVENTEENLETTERSX}}\n", "6:27", "16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_everything_is_sent_and_reports_follow_the_payload),
        cmocka_unit_test(every_answer_reaches_its_place),
        cmocka_unit_test(an_answer_that_is_none_is_refused_at_its_place),
        cmocka_unit_test(answers_that_do_not_go_together_are_refused),
        cmocka_unit_test(an_ae_title_stands_for_one_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
