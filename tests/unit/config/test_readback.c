/* SPDX-License-Identifier: Apache-2.0 */
/* When a peer is read back, and rules that ask for transparent peers. */
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
                   "node: {ae_title: A, key: k.pem, certificate: c.pem}\n"
                   "peers: {P: {ae_title: PP%s}, Q: {ae_title: QQ, host: q.example, port: 104}}\n"
                   "rules:\n- {name: r, protect: {payload: integrity%s}, send_to: [Q]}\n",
                   peer, rule);
    return config_load_text(out, "t.yaml", (const uint8_t *)text, strlen(text), &err);
}

static void left_out_nothing_is_scheduled(void **state)
{
    (void)state;
    DS_AUTO(config_auto) struct config *c = NULL;
    assert_int_equal(load(&c, "", ""), DS_OK);
    const struct config_read_back *b = &c->peers[0].read_back;
    assert_int_equal(b->every_ms, 0);
    assert_int_equal(b->sample, 200);
    assert_int_equal(b->rate, 10);
    assert_int_equal(b->window.count, 0);
    assert_false(c->rules[0].protect.require_transparent);
}

static void a_schedule_is_read_with_its_hours(void **state)
{
    (void)state;
    DS_AUTO(config_auto) struct config *c = NULL;
    assert_int_equal(load(&c,
                          ", host: p.example, port: 104, read_back: {every: 24 h, sample: 50, "
                          "window: [\"22:00-05:00\"], rate: 3, ae_title: P_CARRIERS}",
                          ", require_transparent: true"),
                     DS_OK);
    const struct config_read_back *b = &c->peers[0].read_back;
    assert_int_equal(b->every_ms, 24 * 3600 * 1000);
    assert_int_equal(b->sample, 50);
    assert_int_equal(b->rate, 3);
    assert_string_equal(b->ae_title, "P_CARRIERS");
    assert_true(config_window_is_open(&b->window, 23 * 60));
    assert_false(config_window_is_open(&b->window, 12 * 60));
    assert_true(c->rules[0].protect.require_transparent);
}

static void what_makes_no_sense_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *says;
    } wrong[] = {
        {", read_back: {every: 24 h}", "asks a peer that has no 'host'"},
        {", read_back: {every: 24}", "read_back.every"},
        {", read_back: {sample: 0}", "read_back.sample"},
        {", read_back: {rate: 0}", "read_back.rate"},
        {", read_back: {window: [\"25:00-26:00\"]}", "read_back.window"},
        {", read_back: {often: true}", "often"},
    };
    for (size_t i = 0; i < DS_ARRAY_SIZE(wrong); i++) {
        DS_AUTO(config_auto) struct config *c = NULL;
        assert_int_equal(load(&c, wrong[i].peer, ""), DS_ECONFIG);
        assert_non_null(strstr(err.text, "t.yaml:2:"));
        if (strstr(err.text, wrong[i].says) == NULL) {
            fail_msg("%s: %s", wrong[i].peer, err.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_nothing_is_scheduled),
        cmocka_unit_test(a_schedule_is_read_with_its_hours),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
