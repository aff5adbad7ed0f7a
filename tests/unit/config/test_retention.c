/* SPDX-License-Identifier: Apache-2.0 */
/* Storage commitment and retention: defaults, inheritance and nonsense. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS  (24 * HOUR_MS)

static struct ds_error err;

static enum ds_status load(struct config **out, const char *node, const char *peer,
                           const char *rule)
{
    char text[1024];
    (void)snprintf(text, sizeof(text),
                   "node: {ae_title: A%s}\n"
                   "peers: {P: {ae_title: PP, host: p.example, port: 104%s}}\n"
                   "rules:\n- {name: r, send_to: [P]%s}\n",
                   node, peer, rule);
    return config_load_text(out, "t.yaml", (const uint8_t *)text, strlen(text), &err);
}

static struct config *loaded(const char *node, const char *peer, const char *rule)
{
    struct config *c;
    if (load(&c, node, peer, rule) != DS_OK) {
        fail_msg("%s", err.text);
    }
    return c;
}

static void refused(const char *node, const char *peer, const char *rule, const char *line,
                    const char *word)
{
    struct config *c;
    assert_int_equal(load(&c, node, peer, rule), DS_ECONFIG);
    if (strncmp(err.text, line, strlen(line)) != 0 || strstr(err.text, word) == NULL) {
        fail_msg("'%s' is not '%s' with '%s'", err.text, line, word);
    }
}

static void left_out_nobody_is_asked_and_all_is_kept(void **state)
{
    (void)state;
    struct config *c = loaded("", "", "");
    assert_int_equal(c->peers[0].commitment, CONFIG_COMMITMENT_NONE);
    assert_int_equal(c->peers[0].commitment_timeout_ms, DAY_MS);
    assert_int_equal(c->peers[0].may, CONFIG_MAY_ECHO | CONFIG_MAY_STORE);
    assert_false(c->rules[0].retention.given || c->delete_when_full);
    config_free(c);
}

static void a_peer_may_ask_and_be_asked(void **state)
{
    (void)state;
    struct config *c =
        loaded("", ", may: [store, commit], commitment: required, commitment_timeout: 2 h", "");
    assert_int_equal(c->peers[0].may, CONFIG_MAY_STORE | CONFIG_MAY_COMMIT);
    assert_int_equal(c->peers[0].commitment, CONFIG_COMMITMENT_REQUIRED);
    assert_int_equal(c->peers[0].commitment_timeout_ms, 2 * HOUR_MS);
    config_free(c);
    refused("", ", commitment: perhaps", "", "t.yaml:2:", "required");
    refused("", ", may: [promise]", "", "t.yaml:2:", "commit");
    struct config *none;
    const char *text = "node: {ae_title: A}\npeers: {P: {ae_title: PP, commitment: true}}\n";
    assert_int_equal(config_load_text(&none, "t.yaml", (const uint8_t *)text, strlen(text), &err),
                     DS_ECONFIG);
    assert_non_null(strstr(err.text, "host"));
}

static void a_rule_has_the_retention_of_the_node_or_its_own(void **state)
{
    (void)state;
    const char *node = ", retention: {keep: 30 d, after: sent}";
    struct config *c = loaded(node, "", "");
    assert_true(c->rules[0].retention.given && c->rules[0].retention.after_sent);
    assert_int_equal(c->rules[0].retention.keep_ms, 30 * DAY_MS);
    config_free(c);
    c = loaded(node, ", commitment: true", ", retention: {keep: 1 h}");
    assert_true(c->rules[0].retention.given && !c->rules[0].retention.after_sent);
    assert_int_equal(c->rules[0].retention.keep_ms, HOUR_MS);
    config_free(c);
}

/* Waiting for a commitment that nobody asks for is waiting for ever. */
static void committed_needs_peers_that_are_asked(void **state)
{
    (void)state;
    refused("", "", ", retention: {keep: 1 h}", "t.yaml:4:", "commitment");
    refused(", retention: {keep: 1 h}", "", "", "t.yaml:4:", "after: sent");
    refused("", "", ", retention: {after: sent}", "t.yaml:4:", "keep");
}

static void a_full_disk_deletes_only_what_has_a_retention(void **state)
{
    (void)state;
    refused(", disk_full: delete_delivered", "", "", "t.yaml:1:", "retention");
    refused(", disk_full: delete_all", "", "", "t.yaml:1:", "delete_delivered");
    struct config *c =
        loaded(", disk_full: delete_delivered", "", ", retention: {keep: 1 h, after: sent}");
    assert_true(c->delete_when_full);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out_nobody_is_asked_and_all_is_kept),
        cmocka_unit_test(a_peer_may_ask_and_be_asked),
        cmocka_unit_test(a_rule_has_the_retention_of_the_node_or_its_own),
        cmocka_unit_test(committed_needs_peers_that_are_asked),
        cmocka_unit_test(a_full_disk_deletes_only_what_has_a_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
