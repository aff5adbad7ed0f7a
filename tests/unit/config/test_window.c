/* SPDX-License-Identifier: Apache-2.0 */
/* How a peer is sent to: retries, the circuit, bandwidth, hours of the day; and a rule's urgency.
 */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct ds_error err;

static enum ds_status load(struct config **out, const char *peer, const char *rule)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "node: {ae_title: A}\n"
                   "peers: {P: {ae_title: PP, host: p.example, port: 104%s}}\n"
                   "rules:\n- {name: r, send_to: [P]%s}\n",
                   peer, rule);
    return config_load_text(out, "t.yaml", (const uint8_t *)text, strlen(text), &err);
}

static void left_out_the_defaults_hold(void **state)
{
    (void)state;
    DS_AUTO(config_auto) struct config *c = NULL;
    assert_int_equal(load(&c, "", ""), DS_OK);
    const struct config_peer *p = &c->peers[0];
    assert_int_equal(p->retry.first_ms, 5000);
    assert_int_equal(p->retry.factor, 2);
    assert_int_equal(p->retry.cap_ms, 60000);
    assert_int_equal(p->retry.jitter_percent, 20);
    assert_int_equal(p->retry.attempts, 0);
    assert_int_equal(p->circuit_after, 3);
    assert_int_equal(p->bandwidth, 0);
    assert_int_equal(p->send_window.count, 0);
    assert_int_equal(c->rules[0].priority, CONFIG_PRIORITY_ROUTINE);
    assert_null(c->shared_archive);
}

static void what_is_given_is_read(void **state)
{
    (void)state;
    DS_AUTO(config_auto) struct config *c = NULL;
    assert_int_equal(load(&c,
                          ", retry: {first: 1 s, factor: 3, cap: 1 h, jitter: 0 %, attempts: 9}"
                          ", circuit_after: 7, bandwidth: 10 MiB/s"
                          ", send_window: [\"22:00-06:00\", \"12:30-13:00\"]",
                          ", priority: stat"),
                     DS_OK);
    const struct config_peer *p = &c->peers[0];
    assert_int_equal(p->retry.first_ms, 1000);
    assert_int_equal(p->retry.factor, 3);
    assert_int_equal(p->retry.cap_ms, 3600000);
    assert_int_equal(p->retry.jitter_percent, 0);
    assert_int_equal(p->retry.attempts, 9);
    assert_int_equal(p->circuit_after, 7);
    assert_int_equal(p->bandwidth, 10 << 20);
    assert_int_equal(p->send_window.count, 2);
    assert_int_equal(p->send_window.items[0].from, 22 * 60);
    assert_int_equal(p->send_window.items[0].to, 6 * 60);
    assert_int_equal(p->send_window.items[1].from, 12 * 60 + 30);
    assert_int_equal(c->rules[0].priority, CONFIG_PRIORITY_STAT);
}

static void nonsense_is_refused_with_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *rule, *word;
    } cases[] = {
        {", send_window: \"22:00-22:00\"", "", "22:00-06:00"},
        {", send_window: \"25:00-06:00\"", "", "22:00-06:00"},
        {", send_window: \"22:60-06:00\"", "", "22:00-06:00"},
        {", send_window: \"24:30-06:00\"", "", "22:00-06:00"},
        {", send_window: \"24:00-06:00\"", "", "22:00-06:00"},
        {", send_window: \"2:00-06:00\"", "", "22:00-06:00"},
        {", send_window: \"22:00-06:00 \"", "", "22:00-06:00"},
        {", send_window: \"22:00\"", "", "22:00-06:00"},
        {", bandwidth: 10 MiB", "", "MiB/s"},
        {", bandwidth: 10 B/s", "", "too small"},
        {", retry: {first: 5}", "", "60 s"},
        {", retry: {factor: 0}", "", "1 to 10"},
        {", retry: {first: 2 h}", "", "'cap' is shorter"},
        {", circuit_after: 0", "", "1 to 1000"},
        {"", ", priority: urgent", "low, routine, high, stat"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(cases); i++) {
        struct config *c = NULL;
        if (load(&c, cases[i].peer, cases[i].rule) != DS_ECONFIG ||
            strstr(err.text, cases[i].word) == NULL) {
            fail_msg("%s%s: %s", cases[i].peer, cases[i].rule, err.text);
        }
    }
}

static void a_window_may_go_over_midnight(void **state)
{
    (void)state;
    const struct config_windows always = {.count = 0};
    const struct config_windows night = {.items = {{22 * 60, 6 * 60}}, .count = 1};
    const struct config_windows day = {.items = {{0, 60}, {9 * 60, 24 * 60}}, .count = 2};
    assert_true(config_window_is_open(&always, 700));
    assert_true(config_window_is_open(&night, 22 * 60));
    assert_true(config_window_is_open(&night, 0));
    assert_true(config_window_is_open(&night, 6 * 60 - 1));
    assert_false(config_window_is_open(&night, 6 * 60));
    assert_false(config_window_is_open(&night, 22 * 60 - 1));
    assert_true(config_window_is_open(&day, 59));
    assert_false(config_window_is_open(&day, 60));
    assert_true(config_window_is_open(&day, 24 * 60 - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_the_defaults_hold),
        cmocka_unit_test(what_is_given_is_read),
        cmocka_unit_test(nonsense_is_refused_with_what_was_expected),
        cmocka_unit_test(a_window_may_go_over_midnight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
